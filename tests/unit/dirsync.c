/* SPDX-License-Identifier: Apache-2.0
 *
 * How many syncs serve how many waiters, and who hears of a failed one.  A sync here takes as long as the test
 * wants. */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#include "backends/dirsync.h"

enum { WAITERS = 20 };

static struct {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	int begun, allowed;           /* syncs that began; that may end */
	int fail_number, code;        /* this one fails */
} disk = { .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER };

static int slow_sync(int fd)
{
	pthread_mutex_lock(&disk.lock);
	int number = ++disk.begun;
	pthread_cond_broadcast(&disk.changed);
	while (disk.allowed < number)
		pthread_cond_wait(&disk.changed, &disk.lock);
	bool fails = number == disk.fail_number;
	pthread_mutex_unlock(&disk.lock);
	errno = disk.code;
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

struct waiter {
	struct dirsync *d;
	pthread_t thread;
	int r;
};

static struct waiter waiters[WAITERS];

static void *waiter_run(void *arg)
{
	struct waiter *w = arg;
	struct call c = call_in(60, NULL);

	w->r = dirsync_wait(w->d, &c);
	return NULL;
}

static void waiter_start(struct waiter *w, struct dirsync *d)
{
	w->d = d;
	w->r = 1;
	assert_int_equal(pthread_create(&w->thread, NULL, waiter_run, w), 0);
}

static void begin(struct dirsync *d, int allowed)
{
	dirsync_init(d, -1);
	d->sync = slow_sync;
	disk.begun = disk.fail_number = 0;
	disk.allowed = allowed;
	disk.code = EIO;
}

static void alone_each_wait_is_a_sync(void **state)
{
	struct call c = call_in(60, NULL);
	struct dirsync d;

	begin(&d, 100);
	for (int i = 1; i <= 3; i++) {
		assert_int_equal(dirsync_wait(&d, &c), 0);
		assert_int_equal(disk.begun, i);
	}
	dirsync_destroy(&d);
}

/* All but the first one's change may have come after the first sync began: a second one serves them all, and needs no
 * third unless some of them came even later. */
static void one_sync_serves_all_who_came_before_it(void **state)
{
	struct dirsync d;

	begin(&d, 0);
	waiter_start(&waiters[0], &d);
	disk_begun(1);
	for (int i = 1; i < WAITERS; i++)
		waiter_start(&waiters[i], &d);
	disk_allow(1);
	disk_begun(2);
	pthread_join(waiters[0].thread, NULL);
	assert_int_equal(waiters[0].r, 0);
	disk_allow(1000);
	for (int i = 1; i < WAITERS; i++) {
		pthread_join(waiters[i].thread, NULL);
		assert_int_equal(waiters[i].r, 0);
	}
	assert_in_range(disk.begun, 2, WAITERS);
	dirsync_destroy(&d);
}

static void who_comes_during_a_sync_waits_for_the_next(void **state)
{
	struct call c = { .deadline = call_now() };
	struct dirsync d;

	begin(&d, 0);
	waiter_start(&waiters[0], &d);
	disk_begun(1);
	assert_int_equal(dirsync_wait(&d, &c), -ETIMEDOUT);
	disk_allow(1000);
	pthread_join(waiters[0].thread, NULL);
	assert_int_equal(waiters[0].r, 0);
	struct call again = call_in(60, NULL);
	assert_int_equal(dirsync_wait(&d, &again), 0);
	assert_int_equal(disk.begun, 2);
	dirsync_destroy(&d);
}

static void a_failed_sync_is_heard_by_its_waiters_only(void **state)
{
	struct call c = call_in(60, NULL);
	struct dirsync d;

	begin(&d, 1000);
	disk.fail_number = 2;
	assert_int_equal(dirsync_wait(&d, &c), 0);
	assert_int_equal(dirsync_wait(&d, &c), -EIO);
	assert_int_equal(dirsync_wait(&d, &c), 0);
	dirsync_destroy(&d);
}

static void a_file_system_that_cannot_sync_directories_is_no_failure(void **state)
{
	struct call c = call_in(60, NULL);
	struct dirsync d;

	begin(&d, 1000);
	disk.fail_number = 1;
	disk.code = EINVAL;
	assert_int_equal(dirsync_wait(&d, &c), 0);
	dirsync_destroy(&d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(alone_each_wait_is_a_sync),
		cmocka_unit_test(one_sync_serves_all_who_came_before_it),
		cmocka_unit_test(who_comes_during_a_sync_waits_for_the_next),
		cmocka_unit_test(a_failed_sync_is_heard_by_its_waiters_only),
		cmocka_unit_test(a_file_system_that_cannot_sync_directories_is_no_failure),
	};

	return cmocka_run_group_tests_name("dirsync", tests, NULL, NULL);
}
