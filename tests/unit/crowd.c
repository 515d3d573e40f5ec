/* SPDX-License-Identifier: Apache-2.0
 *
 * Who is a crowd, how many syncs it needs, and what each of its writers is told.  Files are real, in memory; a sync
 * here takes as long as the test wants, and fails when it wants. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "backends/crowd.h"

enum { WRITERS = 40 };

static char folder[64];
static int dir;
static struct crowd crowd;

static struct {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	int begun, allowed;           /* syncs that began; that may end */
	int fails;                    /* this one fails with EIO */
} disk = { .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER };

static unsigned long unwritten;

static int slow_sync(int fd)
{
	pthread_mutex_lock(&disk.lock);
	int number = ++disk.begun;
	pthread_cond_broadcast(&disk.changed);
	while (disk.allowed < number)
		pthread_cond_wait(&disk.changed, &disk.lock);
	bool fails = number == disk.fails;
	pthread_mutex_unlock(&disk.lock);
	errno = EIO;
	return fails ? -1 : 0;
}

static void disk_begun(int number)
{
	pthread_mutex_lock(&disk.lock);
	while (disk.begun < number)
		pthread_cond_wait(&disk.changed, &disk.lock);
	pthread_mutex_unlock(&disk.lock);
}

static void disk_allow(int number)
{
	pthread_mutex_lock(&disk.lock);
	disk.allowed = number;
	pthread_cond_broadcast(&disk.changed);
	pthread_mutex_unlock(&disk.lock);
}

static unsigned long unwritten_here(void)
{
	return unwritten;
}

/* --- writers ---------------------------------------------------------------------------------------------------- */

struct writer {
	pthread_t thread;
	char name[16];
	struct cancel cancel;
	struct call call;
	bool published;
	int r;
};

static struct writer writers[WRITERS];

static void *writer_run(void *arg)
{
	struct writer *w = arg;
	AUTO_DRAFT d = { .fd = -1 };

	if (draft_open_unnamed(&d, dir) != 0 || write(d.fd, w->name, strlen(w->name)) < 0)
		w->r = -EPROTO;
	else
		w->r = crowd_publish(&crowd, &d, w->name, &w->call, &w->published);
	return NULL;
}

static void writer_start(int i)
{
	struct writer *w = &writers[i];

	snprintf(w->name, sizeof w->name, "key-%d", i);
	cancel_init(&w->cancel);
	w->call = call_in(60, &w->cancel);
	w->published = false;
	w->r = 1;
	assert_int_equal(pthread_create(&w->thread, NULL, writer_run, w), 0);
}

static void queue_holds(size_t n)
{
	size_t waiting;

	do {
		usleep(1000);
		pthread_mutex_lock(&crowd.lock);
		waiting = crowd.waiting;
		pthread_mutex_unlock(&crowd.lock);
	} while (waiting < n);
}

/* The first has a round of its own, which hangs in its first sync; the others are in the queue. */
static void all_but_the_first_wait(void)
{
	writer_start(0);
	disk_begun(1);
	for (int i = 1; i < WRITERS; i++)
		writer_start(i);
	queue_holds(WRITERS - 1);
}

static void all_end(void)
{
	disk_allow(1000);
	for (int i = 0; i < WRITERS; i++) {
		assert_int_equal(pthread_join(writers[i].thread, NULL), 0);
		cancel_destroy(&writers[i].cancel);
	}
}

static bool there(int i)
{
	char text[16];
	int fd = openat(dir, writers[i].name, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return false;
	ssize_t n = read(fd, text, sizeof text);
	close(fd);
	return n == (ssize_t)strlen(writers[i].name) && memcmp(text, writers[i].name, (size_t)n) == 0;
}

static void file_make(const char *name)
{
	int fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	close(fd);
}

static int begin(void **state)
{
	struct draft d;

	snprintf(folder, sizeof folder, "%s/kesfs-crowd-XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	assert_non_null(mkdtemp(folder));
	dir = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(dir >= 0);
	disk.begun = disk.allowed = disk.fails = 0;
	unwritten = 0;
	crowd_init(&crowd, dir);
	crowd.able = true;
	crowd.sync = slow_sync;
	crowd.unwritten = unwritten_here;
	crowd.slow = INT64_MAX;       /* the test itself holds syncs up */
	if (draft_open_unnamed(&d, dir) != 0)
		return -1;
	draft_drop(&d);
	return 0;
}

static int end(void **state)
{
	for (int i = 0; i < WRITERS; i++)
		unlinkat(dir, writers[i].name, 0);
	crowd_destroy(&crowd);
	close(dir);
	return rmdir(folder);
}

/* --- cases ------------------------------------------------------------------------------------------------------ */

static void a_few_writers_are_no_crowd_and_eight_are(void **state)
{
	for (int i = 0; i < 7; i++)
		assert_false(crowd_enter(&crowd));
	assert_true(crowd_enter(&crowd));
	for (int i = 0; i < 8; i++)
		crowd_leave(&crowd);
	crowd.able = false;
	for (int i = 0; i < 20; i++)
		assert_false(crowd_enter(&crowd));
}

static void a_directory_in_memory_has_no_crowd(void **state)
{
	struct crowd other;

	crowd_init(&other, -1);
	assert_false(other.able);
	crowd_destroy(&other);
	if (strncmp(folder, "/dev/shm", 8) != 0)
		skip();
	crowd_init(&other, dir);
	assert_false(other.able);
	crowd_destroy(&other);
}

static void two_syncs_serve_all_who_wait(void **state)
{
	all_but_the_first_wait();
	all_end();
	for (int i = 0; i < WRITERS; i++) {
		assert_int_equal(writers[i].r, 0);
		assert_true(writers[i].published && there(i));
	}
	assert_int_equal(disk.begun, 4);
}

static void nothing_has_a_name_before_the_first_sync_is_over(void **state)
{
	all_but_the_first_wait();
	assert_false(there(0));
	disk_allow(2);
	disk_begun(3);
	assert_true(there(0));
	for (int i = 1; i < WRITERS; i++)
		assert_false(there(i));
	all_end();
}

static void a_taken_name_is_told_to_its_writer_only(void **state)
{
	file_make("key-5");
	all_but_the_first_wait();
	all_end();
	for (int i = 0; i < WRITERS; i++) {
		assert_int_equal(writers[i].r, i == 5 ? -EEXIST : 0);
		assert_int_equal(writers[i].published, i != 5);
		assert_int_equal(there(i), i != 5);
	}
}

static void a_first_sync_that_fails_changes_nothing_and_sends_everybody_away(void **state)
{
	disk.fails = 3;
	all_but_the_first_wait();
	all_end();
	assert_int_equal(writers[0].r, 0);
	for (int i = 1; i < WRITERS; i++) {
		assert_int_equal(writers[i].r, -EAGAIN);
		assert_false(writers[i].published || there(i));
	}
	for (int i = 0; i < 20; i++)
		assert_false(crowd_enter(&crowd));
}

static void a_second_sync_that_fails_is_told_to_all_who_got_a_name(void **state)
{
	disk.fails = 4;
	file_make("key-5");
	all_but_the_first_wait();
	all_end();
	for (int i = 1; i < WRITERS; i++) {
		assert_int_equal(writers[i].r, i == 5 ? -EEXIST : -EIO);
		assert_int_equal(writers[i].published, i != 5);
	}
	assert_false(crowd_enter(&crowd));
}

static void a_writer_that_is_stopped_gets_no_name(void **state)
{
	all_but_the_first_wait();
	cancel_request(&writers[7].cancel);
	all_end();
	for (int i = 0; i < WRITERS; i++) {
		assert_int_equal(writers[i].r, i == 7 ? -ECANCELED : 0);
		assert_int_equal(there(i), i != 7);
	}
}

/* In the middle and at the end of the queue: who comes after them must not be lost. */
static void a_deadline_that_passes_in_the_queue_ends_the_wait(void **state)
{
	static const int late[] = { 1, 2 };
	struct writer *w;

	writer_start(0);
	disk_begun(1);
	for (size_t i = 0; i < 2; i++) {
		w = &writers[late[i]];
		snprintf(w->name, sizeof w->name, "key-%d", late[i]);
		cancel_init(&w->cancel);
		w->call = (struct call){ .deadline = call_now() };
		w->published = false;
		writer_run(w);
		assert_int_equal(w->r, -ETIMEDOUT);
		assert_false(w->published);
		if (i == 0)
			writer_start(3);
	}
	for (int i = 4; i < WRITERS; i++)
		writer_start(i);
	queue_holds(WRITERS - 3);
	disk_allow(1000);
	for (int i = 0; i < WRITERS; i++) {
		if (i != 1 && i != 2)
			pthread_join(writers[i].thread, NULL);
		assert_int_equal(there(i), i != 1 && i != 2);
		cancel_destroy(&writers[i].cancel);
	}
}

static void while_much_is_unwritten_everybody_goes_alone(void **state)
{
	unwritten = 1024 * 1024;
	disk.allowed = 1000;
	for (int i = 0; i < WRITERS; i++)
		writer_start(i);
	all_end();
	for (int i = 0; i < WRITERS; i++) {
		assert_int_equal(writers[i].r, -EAGAIN);
		assert_false(there(i));
	}
	assert_int_equal(disk.begun, 0);
	assert_true(crowd.rests > 0);
}

static void after_a_slow_sync_everybody_goes_alone_for_a_while(void **state)
{
	crowd.slow = -1;
	disk.allowed = 1000;
	writer_start(0);
	pthread_join(writers[0].thread, NULL);
	cancel_destroy(&writers[0].cancel);
	assert_int_equal(writers[0].r, 0);
	assert_true(crowd.rests > 0);
}

static void who_rests_goes_alone(void **state)
{
	crowd.rests = INT64_MAX;
	for (int i = 0; i < 20; i++)
		assert_false(crowd_enter(&crowd));
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(a_few_writers_are_no_crowd_and_eight_are),
		CASE(a_directory_in_memory_has_no_crowd),
		CASE(two_syncs_serve_all_who_wait),
		CASE(nothing_has_a_name_before_the_first_sync_is_over),
		CASE(a_taken_name_is_told_to_its_writer_only),
		CASE(a_first_sync_that_fails_changes_nothing_and_sends_everybody_away),
		CASE(a_second_sync_that_fails_is_told_to_all_who_got_a_name),
		CASE(a_writer_that_is_stopped_gets_no_name),
		CASE(a_deadline_that_passes_in_the_queue_ends_the_wait),
		CASE(while_much_is_unwritten_everybody_goes_alone),
		CASE(after_a_slow_sync_everybody_goes_alone_for_a_while),
		CASE(who_rests_goes_alone),
	};

	return cmocka_run_group_tests_name("crowd", tests, NULL, NULL);
}
