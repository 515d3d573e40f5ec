/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/pool.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t opened = PTHREAD_COND_INITIALIZER, entered = PTHREAD_COND_INITIALIZER;
static bool open_;
static unsigned inside, most;
static atomic_uint done;

static void gate_set(bool open)
{
	pthread_mutex_lock(&gate);
	open_ = open;
	pthread_cond_broadcast(&opened);
	pthread_mutex_unlock(&gate);
}

/* Waits at the gate, and counts how many do. */
static void job_wait(struct pool_job *job)
{
	pthread_mutex_lock(&gate);
	if (++inside > most)
		most = inside;
	pthread_cond_broadcast(&entered);
	while (!open_)
		pthread_cond_wait(&opened, &gate);
	inside--;
	pthread_mutex_unlock(&gate);
	done++;
}

static void inside_await(unsigned n)
{
	pthread_mutex_lock(&gate);
	while (inside < n)
		pthread_cond_wait(&entered, &gate);
	pthread_mutex_unlock(&gate);
}

static int begin(void **state)
{
	gate_set(false);
	most = 0;
	done = 0;
	return 0;
}

static void every_job_runs_once_and_freeing_waits_for_all(void **state)
{
	enum { JOBS = 500 };
	struct pool_job *jobs = calloc(JOBS, sizeof *jobs);
	struct pool *p = pool_new(8);

	gate_set(true);
	for (int i = 0; i < JOBS; i++) {
		jobs[i].run = job_wait;
		assert_true(pool_submit(p, &jobs[i]));
	}
	pool_free(p);
	assert_int_equal(done, JOBS);
	free(jobs);
}

static void as_many_run_at_once_as_there_may_be_threads(void **state)
{
	struct pool_job jobs[20] = { 0 };
	struct pool *p = pool_new(5);

	for (int i = 0; i < 20; i++) {
		jobs[i].run = job_wait;
		assert_true(pool_submit(p, &jobs[i]));
	}
	inside_await(5);
	pool_threads_max(p, 12);
	inside_await(12);
	gate_set(true);
	pool_drain(p);
	assert_int_equal(done, 20);
	assert_int_equal(most, 12);
	pool_free(p);
}

static void a_job_that_has_not_begun_can_be_withdrawn(void **state)
{
	struct pool_job first = { .run = job_wait }, second = { .run = job_wait };
	struct pool *p = pool_new(1);

	assert_true(pool_submit(p, &first));
	inside_await(1);
	assert_true(pool_submit(p, &second));
	assert_true(pool_withdraw(p, &second));
	assert_false(pool_withdraw(p, &second));
	assert_false(pool_withdraw(p, &first));
	gate_set(true);
	pool_drain(p);
	assert_int_equal(done, 1);
	assert_true(pool_submit(p, &second));
	pool_free(p);
	assert_int_equal(done, 2);
}

static void fewer_threads_still_do_all_the_work(void **state)
{
	enum { JOBS = 200 };
	struct pool_job *jobs = calloc(JOBS, sizeof *jobs);
	struct pool *p = pool_new(16);

	for (int i = 0; i < JOBS; i++) {
		jobs[i].run = job_wait;
		assert_true(pool_submit(p, &jobs[i]));
	}
	inside_await(16);
	pool_threads_max(p, 2);
	gate_set(true);
	pool_drain(p);
	assert_int_equal(done, JOBS);
	pool_free(p);
	pool_free(NULL);
	free(jobs);
}

static void job_free(struct pool_job *job)
{
	free(job);
	done++;
}

static void a_job_may_be_freed_by_its_own_run(void **state)
{
	struct pool *p = pool_new(4);

	for (int i = 0; i < 100; i++) {
		struct pool_job *job = calloc(1, sizeof *job);

		job->run = job_free;
		assert_true(pool_submit(p, job));
	}
	pool_free(p);
	assert_int_equal(done, 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(every_job_runs_once_and_freeing_waits_for_all, begin),
		cmocka_unit_test_setup(as_many_run_at_once_as_there_may_be_threads, begin),
		cmocka_unit_test_setup(a_job_that_has_not_begun_can_be_withdrawn, begin),
		cmocka_unit_test_setup(fewer_threads_still_do_all_the_work, begin),
		cmocka_unit_test_setup(a_job_may_be_freed_by_its_own_run, begin),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
