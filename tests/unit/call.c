/* SPDX-License-Identifier: Apache-2.0
 *
 * Deadlines and cancels, also from another thread. */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "backends/call.h"

enum { HOUR = 3600 };

static void a_deadline_that_passed_is_a_sentence(void **state)
{
	struct call c = call_in(0, NULL);
	struct error err = ERROR_INIT;

	assert_int_equal(call_check(&c, &err, "vault: reading 'a'"), -ETIMEDOUT);
	assert_string_equal(err.text, "vault: reading 'a': not finished within the time allowed");
	assert_int_equal(call_left(&c), 0);
}

static void time_left_is_never_negative_and_no_cancel_never_stops(void **state)
{
	struct call past = { .deadline = call_now() - 1 }, later = call_in(HOUR, NULL);

	assert_int_equal(call_left(&past), 0);
	assert_true(call_left(&later) > INT64_C(1000000000));
	assert_false(cancel_requested(NULL));
	assert_int_equal(call_check(&later, NULL, "x"), 0);
}

static void a_cancel_is_seen_before_the_deadline(void **state)
{
	struct cancel cancel;
	struct error err = ERROR_INIT;

	cancel_init(&cancel);
	struct call c = call_in(HOUR, &cancel);
	assert_int_equal(call_check(&c, &err, "x"), 0);
	cancel_request(&cancel);
	cancel_request(&cancel);
	assert_int_equal(call_check(&c, &err, "writing 'a'"), -ECANCELED);
	assert_string_equal(err.text, "writing 'a': cancelled before anything was sent");
	cancel_destroy(&cancel);
}

static void *request(void *arg)
{
	cancel_request(arg);
	return NULL;
}

static void a_cancel_from_another_thread_ends_a_long_sleep(void **state)
{
	struct cancel cancel;
	pthread_t thread;

	cancel_init(&cancel);
	struct call c = call_in(2 * HOUR, &cancel);
	assert_int_equal(pthread_create(&thread, NULL, request, &cancel), 0);
	/* An hour: the test would be killed if the cancel did not end it. */
	assert_int_equal(call_sleep(&c, INT64_C(1000000000) * HOUR, true), -ECANCELED);
	pthread_join(thread, NULL);
	cancel_destroy(&cancel);
}

static void a_sleep_ends_whole_or_at_the_deadline(void **state)
{
	struct cancel cancel;

	cancel_init(&cancel);
	cancel_request(&cancel);
	struct call c = call_in(HOUR, &cancel), soon = call_in(0.001, NULL);
	int64_t from = call_now();
	assert_int_equal(call_sleep(&c, 1000000, false), 0);          /* a change was sent: the cancel is not obeyed */
	assert_true(call_now() - from >= 1000000);
	assert_int_equal(call_sleep(&soon, INT64_C(1000000000) * HOUR, true), -ETIMEDOUT);
	assert_int_equal(call_sleep(&c, INT64_C(1000000000) * HOUR, true), -ECANCELED);
	cancel_destroy(&cancel);
}

static void count(void *arg)
{
	(*(int *)arg)++;
}

static void a_wake_is_called_once_and_at_once_if_too_late(void **state)
{
	struct cancel cancel;
	int woken = 0, late = 0, taken_back = 0;

	cancel_init(&cancel);
	cancel_wake(&cancel, count, &taken_back);
	cancel_wake(&cancel, NULL, NULL);
	cancel_wake(&cancel, count, &woken);
	cancel_request(&cancel);
	cancel_request(&cancel);
	cancel_wake(&cancel, count, &late);
	assert_int_equal(taken_back, 0);
	assert_int_equal(woken, 1);
	assert_int_equal(late, 1);
	cancel_wake(NULL, count, &late);
	assert_int_equal(late, 1);
	cancel_destroy(&cancel);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_deadline_that_passed_is_a_sentence),
		cmocka_unit_test(time_left_is_never_negative_and_no_cancel_never_stops),
		cmocka_unit_test(a_cancel_is_seen_before_the_deadline),
		cmocka_unit_test(a_cancel_from_another_thread_ends_a_long_sleep),
		cmocka_unit_test(a_sleep_ends_whole_or_at_the_deadline),
		cmocka_unit_test(a_wake_is_called_once_and_at_once_if_too_late),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
