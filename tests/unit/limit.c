/* SPDX-License-Identifier: Apache-2.0
 *
 * The window, the pause and the rate, on a clock of the test's own. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "backends/limit.h"

#define SECOND INT64_C(1000000000)

static struct limit l;

static struct limit_mark marks[4096];         /* of what is in flight, in order */

static unsigned admit_all(int64_t now)
{
	unsigned n = 0;

	while (limit_admit(&l, now) == 0)
		marks[n++] = limit_mark(&l);
	return n;
}

/* The window up to max, as answers that are all equally quick make it. */
static unsigned grown(unsigned window, unsigned max)
{
	return window * LIMIT_GROWTH < max ? window * LIMIT_GROWTH : max;
}

static void answer_all_in(unsigned n, int64_t took)
{
	for (unsigned i = 0; i < n; i++) {
		limit_done(&l);
		limit_good(&l, marks[i], took);
	}
}

static void answer_all(unsigned n)
{
	answer_all_in(n, SECOND / 50);
}

static void it_begins_high_and_grows_as_it_is_proved(void **state)
{
	limit_init(&l, 0, 0);
	assert_int_equal(admit_all(0), LIMIT_START);
	assert_int_equal(limit_admit(&l, 0), INT64_MAX);
	answer_all(LIMIT_START);
	for (unsigned window = grown(LIMIT_START, LIMIT_MAX);; window = grown(window, LIMIT_MAX)) {
		assert_int_equal(admit_all(0), window);
		answer_all(window);
		if (window == LIMIT_MAX)
			break;
	}
	assert_int_equal(admit_all(0), LIMIT_MAX);
}

static void answers_that_become_slower_end_the_growth(void **state)
{
	limit_init(&l, 0, 0);
	answer_all_in(admit_all(0), SECOND / 1000);
	assert_int_equal((int)l.window, grown(LIMIT_START, LIMIT_MAX));
	/* Twice as slow may be the way; a hundred times as slow is a queue, and two answers tell. */
	answer_all_in(admit_all(0), SECOND / 10);
	assert_in_range((int)l.window, grown(LIMIT_START, LIMIT_MAX), grown(LIMIT_START, LIMIT_MAX) + 4 * LIMIT_GROWTH);
	unsigned n = admit_all(0);
	answer_all_in(n, SECOND / 10);
	assert_int_equal(admit_all(0), n);
	answer_all_in(n, SECOND / 500);
	assert_true((unsigned)l.window > n);
}

static void what_was_asked_alone_is_no_measure_of_slowness(void **state)
{
	limit_init(&l, 0, 0);
	assert_int_equal(limit_admit(&l, 0), 0);
	marks[0] = limit_mark(&l);
	answer_all_in(1, 1);
	unsigned n = admit_all(0);
	assert_int_equal(n, LIMIT_START);
	answer_all(n);
	assert_int_equal(admit_all(0), grown(LIMIT_START, LIMIT_MAX));
}

static void the_users_own_cap_holds(void **state)
{
	limit_init(&l, 2 * LIMIT_MAX, 0);
	for (int i = 0; i < 10; i++) {
		unsigned n = admit_all(0);
		answer_all(n);
	}
	assert_int_equal(admit_all(0), 2 * LIMIT_MAX);
	limit_init(&l, 3, 0);
	assert_int_equal(admit_all(0), 3);
	answer_all(3);
	assert_int_equal(admit_all(0), 3);
}

static void a_window_that_is_not_used_does_not_grow(void **state)
{
	limit_init(&l, 1000, 0);
	for (int i = 0; i < 1000; i++) {
		assert_int_equal(limit_admit(&l, 0), 0);
		marks[0] = limit_mark(&l);
		answer_all(1);
	}
	assert_int_equal((int)l.window, LIMIT_START);
}

static void a_burst_of_refusals_cuts_once(void **state)
{
	limit_init(&l, 0, 0);
	unsigned n = admit_all(10);
	for (unsigned i = 0; i < n; i++) {
		limit_done(&l);
		limit_throttled(&l, 10, 20 + i, SECOND, 0);
	}
	assert_int_equal(n, LIMIT_START);
	assert_int_equal((int)l.window, LIMIT_START / 2);
	assert_int_equal(l.throttled, LIMIT_START);
	assert_int_equal(limit_admit(&l, 30), 20 + LIMIT_START - 1 + SECOND);
	assert_true(limit_held(&l, 30));
	/* After the pause fewer start; refused again, fewer still, but never none. */
	for (int round = 0; round < 10; round++) {
		int64_t now = l.paused_until;
		n = admit_all(now);
		assert_true(n >= 1);
		for (unsigned i = 0; i < n; i++) {
			limit_done(&l);
			limit_throttled(&l, now, now + 1, SECOND, 0);
		}
	}
	assert_int_equal((int)l.window, 1);
}

static void it_grows_by_at_most_one_a_round_after_a_cut(void **state)
{
	limit_init(&l, 0, 0);
	assert_int_equal(limit_admit(&l, 0), 0);
	limit_done(&l);
	limit_throttled(&l, 0, 1, SECOND, 0);
	assert_int_equal((int)l.window, LIMIT_START / 2);
	for (int round = 1; round <= 10; round++) {
		unsigned n = admit_all(10 * SECOND);
		answer_all(n);
	}
	assert_in_range((int)l.window, LIMIT_START / 2 + 5, LIMIT_START / 2 + 10);
}

static void without_retry_after_the_pause_backs_off_until_a_good_answer(void **state)
{
	int64_t now = 0;

	limit_init(&l, 0, 0);
	for (unsigned i = 0; i < 8; i++) {
		int64_t most = INT64_C(200000000) << i < 8 * SECOND ? INT64_C(200000000) << i : 8 * SECOND;
		assert_int_equal(limit_admit(&l, now), 0);
		limit_done(&l);
		limit_throttled(&l, now, now, 0, (uint64_t)most);
		assert_int_equal(l.paused_until, now + most);
		now = l.paused_until;
	}
	assert_int_equal(limit_admit(&l, now), 0);
	answer_all(1);
	limit_throttled(&l, now, now, 0, 200000000);
	assert_int_equal(l.paused_until, now + 200000000);
}

static void a_shorter_pause_does_not_end_a_longer_one(void **state)
{
	limit_init(&l, 0, 0);
	limit_throttled(&l, 0, 0, 10 * SECOND, 0);
	limit_throttled(&l, 1, 1, SECOND, 0);
	assert_int_equal(l.paused_until, 10 * SECOND);
}

static void who_waits_only_for_the_users_own_cap_is_not_held_by_throttling(void **state)
{
	limit_init(&l, 4, 0);
	admit_all(0);
	assert_false(limit_held(&l, 0));
	answer_all(2);
	limit_throttled(&l, 0, 0, SECOND, 0);
	assert_true(limit_held(&l, SECOND / 2));
	assert_true(limit_held(&l, SECOND));          /* the window is half of what it was */
	limit_init(&l, 4, 1);
	assert_int_equal(admit_all(0), 1);
	assert_false(limit_held(&l, 0));
}

static void a_rate_spaces_the_starts(void **state)
{
	int64_t now = 5 * SECOND;

	limit_init(&l, 0, 4);
	for (int i = 0; i < 20; i++) {
		assert_int_equal(limit_admit(&l, now), 0);
		assert_int_equal(limit_admit(&l, now), now + SECOND / 4);
		limit_done(&l);
		now += SECOND / 4;
	}
	/* Time that was not used is not made up for. */
	now += 100 * SECOND;
	assert_int_equal(limit_admit(&l, now), 0);
	assert_int_equal(limit_admit(&l, now), now + SECOND / 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_begins_high_and_grows_as_it_is_proved),
		cmocka_unit_test(answers_that_become_slower_end_the_growth),
		cmocka_unit_test(what_was_asked_alone_is_no_measure_of_slowness),
		cmocka_unit_test(the_users_own_cap_holds),
		cmocka_unit_test(a_window_that_is_not_used_does_not_grow),
		cmocka_unit_test(a_burst_of_refusals_cuts_once),
		cmocka_unit_test(it_grows_by_at_most_one_a_round_after_a_cut),
		cmocka_unit_test(without_retry_after_the_pause_backs_off_until_a_good_answer),
		cmocka_unit_test(a_shorter_pause_does_not_end_a_longer_one),
		cmocka_unit_test(who_waits_only_for_the_users_own_cap_is_not_held_by_throttling),
		cmocka_unit_test(a_rate_spaces_the_starts),
	};

	return cmocka_run_group_tests_name("limit", tests, NULL, NULL);
}
