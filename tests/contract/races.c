/* SPDX-License-Identifier: Apache-2.0
 *
 * The promises of backend.h that show only when several callers meet: threads on one handle, threads on handles of
 * their own, and processes. */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/contract/place.h"

enum { RACERS = 8, ROUNDS = 15, PROCESSES = 4, REPLACES = 60 };

struct racer {
	struct store *store, own;
	pthread_t thread;
	pthread_barrier_t *start;
	const char *name;
	const struct secret *old;
	struct secret value;
	int r;
};

static void *race_create(void *arg)
{
	struct racer *racer = arg;
	struct call c = soon();

	pthread_barrier_wait(racer->start);
	racer->r = racer->store->ops->create(racer->store->handle, &c, racer->name, &racer->value, NULL);
	return NULL;
}

static void *race_replace(void *arg)
{
	struct racer *racer = arg;
	struct call c = soon();

	pthread_barrier_wait(racer->start);
	racer->r = racer->store->ops->replace(racer->store->handle, &c, racer->name, racer->old, &racer->value, NULL);
	return NULL;
}

/* All start at once; the number that got 0, whose value must be the one that is stored. */
static int winners(struct racer *racers, void *(*run)(void *), const char *name, const struct secret *old, int expected)
{
	pthread_barrier_t start;
	int won = 0;

	pthread_barrier_init(&start, NULL, RACERS);
	for (int i = 0; i < RACERS; i++) {
		racers[i].start = &start;
		racers[i].name = name;
		racers[i].old = old;
		value_new(&racers[i].value, 208);
		assert_int_equal(pthread_create(&racers[i].thread, NULL, run, &racers[i]), 0);
	}
	for (int i = 0; i < RACERS; i++)
		pthread_join(racers[i].thread, NULL);
	pthread_barrier_destroy(&start);
	for (int i = 0; i < RACERS; i++) {
		if (racers[i].r == 0) {
			assert_stored(name, &racers[i].value);
			won++;
		} else {
			assert_int_equal(racers[i].r, expected);
		}
	}
	return won;
}

static void racers_open(struct racer *racers)
{
	for (int i = 0; i < RACERS; i++) {
		racers[i] = (struct racer){ .store = place_store() };
		if (i % 2 == 0)
			continue;
		place_open(&racers[i].own, true);
		racers[i].store = &racers[i].own;
	}
}

static void racers_close(struct racer *racers)
{
	for (int i = 0; i < RACERS; i++) {
		secret_wipe(&racers[i].value);
		store_close(&racers[i].own);
	}
}

static void of_threads_that_create_one_key_one_wins(void **state)
{
	struct racer racers[RACERS];
	char name[NAME_ROOM];

	racers_open(racers);
	for (int i = 0; i < ROUNDS; i++) {
		name_new(name, "race");
		assert_int_equal(winners(racers, race_create, name, NULL, -EEXIST), 1);
	}
	racers_close(racers);
}

static void of_threads_that_replace_one_value_one_wins(void **state)
{
	struct racer racers[RACERS];
	struct call c = soon();
	char name[NAME_ROOM];

	/* A delete without a condition may hit what another replace has just created. */
	if ((store_caps(place_store()) & BACKEND_REPLACE) == 0)
		skip();
	VALUE(old, 208);

	racers_open(racers);
	for (int i = 0; i < ROUNDS; i++) {
		name_new(name, "swap");
		assert_int_equal(place_store()->ops->create(place_store()->handle, &c, name, &old, NULL), 0);
		assert_int_equal(winners(racers, race_replace, name, &old, -ESTALE), 1);
	}
	racers_close(racers);
}

/* --- processes --------------------------------------------------------------------------------------------------- */

/* In the child: wait until the parent closes the pipe, then act; the status tells the outcome. */
static int child_create(int start, const char *name, const struct secret *value)
{
	struct store store;
	char byte;

	place_open(&store, true);
	if (read(start, &byte, 1) != 0)
		return 99;
	struct call c = soon();
	int r = store.ops->create(store.handle, &c, name, value, NULL);
	store_close(&store);
	return r == 0 ? 0 : r == -EEXIST ? 1 : 2;
}

static void of_processes_that_create_one_key_one_wins(void **state)
{
	pid_t children[PROCESSES];
	int start[2], won = 0, status;
	char name[NAME_ROOM];

	if ((place_store()->ops->caps & BACKEND_LOCAL) == 0)
		skip();                       /* the threads of the network engine do not survive a fork */
	name_new(name, "fork");
	assert_int_equal(pipe(start), 0);
	for (int i = 0; i < PROCESSES; i++) {
		VALUE(value, 208);
		children[i] = fork();
		assert_true(children[i] >= 0);
		if (children[i] == 0) {
			close(start[1]);
			_exit(child_create(start[0], name, &value));
		}
	}
	close(start[0]);
	close(start[1]);
	for (int i = 0; i < PROCESSES; i++) {
		assert_int_equal(waitpid(children[i], &status, 0), children[i]);
		assert_true(WIFEXITED(status));
		assert_in_range(WEXITSTATUS(status), 0, 1);
		won += WEXITSTATUS(status) == 0;
	}
	assert_int_equal(won, 1);
}

/* Each adds its mark to what it read, and tries again when it was too late: no mark may be lost. */
static int child_append(int start, const char *name, char mark)
{
	struct store store;
	char byte;

	place_open(&store, true);
	if (read(start, &byte, 1) != 0)
		return 99;
	for (int done = 0; done < REPLACES / PROCESSES;) {
		struct call c = soon();
		SECRET(old);
		SECRET(new);
		int r = store.ops->get(store.handle, &c, name, &old, NULL);
		if (r != 0 || secret_copy(&new, &old) != 0 || secret_append(&new, &mark, 1) != 0)
			return 2;
		r = store.ops->replace(store.handle, &c, name, &old, &new, NULL);
		if (r != 0 && r != -ESTALE)
			return 3;
		done += r == 0;
	}
	store_close(&store);
	return 0;
}

static void replaces_of_processes_lose_no_update(void **state)
{
	pid_t children[PROCESSES];
	struct call c = soon();
	int start[2], status;
	char name[NAME_ROOM];
	SECRET(last);

	if ((place_store()->ops->caps & BACKEND_LOCAL) == 0)
		skip();
	VALUE(first, 16);

	name_new(name, "append");
	assert_int_equal(place_store()->ops->create(place_store()->handle, &c, name, &first, NULL), 0);
	assert_int_equal(pipe(start), 0);
	for (int i = 0; i < PROCESSES; i++) {
		children[i] = fork();
		assert_true(children[i] >= 0);
		if (children[i] == 0) {
			close(start[1]);
			_exit(child_append(start[0], name, (char)('0' + i)));
		}
	}
	close(start[0]);
	close(start[1]);
	for (int i = 0; i < PROCESSES; i++) {
		assert_int_equal(waitpid(children[i], &status, 0), children[i]);
		assert_true(WIFEXITED(status));
		assert_int_equal(WEXITSTATUS(status), 0);
	}
	c = soon();
	assert_int_equal(place_store()->ops->get(place_store()->handle, &c, name, &last, NULL), 0);
	assert_int_equal(last.len, 16 + REPLACES / PROCESSES * PROCESSES);
}

/* --- readers beside a writer ------------------------------------------------------------------------------------- */

struct reader {
	pthread_t thread;
	const char *name;
	const struct secret *a, *b;
	_Atomic bool stop;
	int wrong, reads;
};

static void *read_on(void *arg)
{
	struct reader *reader = arg;
	struct store *s = place_store();

	while (!reader->stop) {
		struct call c = soon();
		SECRET(now);
		int r = s->ops->get(s->handle, &c, reader->name, &now, NULL);
		reader->reads++;
		if (r != 0 || (!secret_equal(&now, reader->a) && !secret_equal(&now, reader->b)))
			reader->wrong++;
	}
	return NULL;
}

static void a_reader_beside_a_replace_sees_the_old_or_the_new_value(void **state)
{
	struct store *s = place_store();
	struct reader reader = { .stop = false };
	struct call c = soon();
	char name[NAME_ROOM];

	if ((store_caps(s) & BACKEND_REPLACE) == 0)
		skip();
	VALUE(a, 208);
	VALUE(b, 5000);

	name_new(name, "reader");
	assert_int_equal(s->ops->create(s->handle, &c, name, &a, NULL), 0);
	reader.name = name;
	reader.a = &a;
	reader.b = &b;
	assert_int_equal(pthread_create(&reader.thread, NULL, read_on, &reader), 0);
	for (int i = 0; i < REPLACES; i++) {
		c = soon();
		assert_int_equal(s->ops->replace(s->handle, &c, name, i % 2 == 0 ? &a : &b, i % 2 == 0 ? &b : &a, NULL), 0);
	}
	reader.stop = true;
	pthread_join(reader.thread, NULL);
	assert_int_equal(reader.wrong, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(of_threads_that_create_one_key_one_wins),
		cmocka_unit_test(of_threads_that_replace_one_value_one_wins),
		cmocka_unit_test(of_processes_that_create_one_key_one_wins),
		cmocka_unit_test(replaces_of_processes_lose_no_update),
		cmocka_unit_test(a_reader_beside_a_replace_sees_the_old_or_the_new_value),
	};

	return cmocka_run_group_tests_name("races", tests, place_make, place_drop);
}
