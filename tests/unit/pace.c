/* SPDX-License-Identifier: Apache-2.0
 *
 * The pace against a token bucket, on a clock of the test's own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "backends/pace.h"

#define SECOND INT64_C(1000000000)
#define MS (SECOND / 1000)

/* ---- a service with a quota, 20 ms away, and callers who always have one more request ---- */

static struct {
	double quota, room, tokens;
	unsigned answered, refused;
} service;

enum { FLIGHT = 1024 };
static struct { int64_t begun; bool good; } flight[FLIGHT];
static size_t first, last;

static void request_send(struct pace *p, int64_t now)
{
	bool good = service.tokens >= 1;

	pace_begin(p, now);
	service.tokens -= good;
	flight[last % FLIGHT].begun = now;
	flight[last++ % FLIGHT].good = good;
}

static void answers_take(struct pace *p, int64_t now)
{
	while (first < last && flight[first % FLIGHT].begun + 20 * MS <= now) {
		int64_t begun = flight[first % FLIGHT].begun;
		bool good = flight[first++ % FLIGHT].good;
		service.answered += good;
		service.refused += !good;
		if (good)
			pace_good(p, now);
		else
			pace_throttled(p, begun, now, 0, (uint64_t)now * 2654435761u);
	}
}

/* callers: requests at once.  Returns what share of the quota was used. */
static double run(struct pace *p, double quota, double room, unsigned seconds, unsigned callers)
{
	memset(&service, 0, sizeof service);
	service.quota = quota;
	service.room = service.tokens = room;
	first = last = 0;
	for (int64_t now = SECOND; now < (1 + (int64_t)seconds) * SECOND; now += MS) {
		service.tokens += quota / 1000;
		if (service.tokens > room)
			service.tokens = room;
		answers_take(p, now);
		while (last - first < callers && pace_when(p, now) == 0)
			request_send(p, now);
	}
	return service.answered / (quota * seconds + room);
}

/* ---- tests ---- */

static void without_a_refusal_there_is_no_pace_unless_it_is_asked_for(void **state)
{
	struct pace p;

	pace_init(&p, 50, false);
	for (int i = 0; i < 1000; i++) {
		assert_int_equal(pace_when(&p, 0), 0);
		pace_begin(&p, 0);
	}
	pace_init(&p, 50, true);
	unsigned n = 0;
	for (; pace_when(&p, SECOND) == 0; n++)
		pace_begin(&p, SECOND);
	assert_in_range(n, 1, 4);
}

static void what_is_not_known_is_never_paced(void **state)
{
	struct pace p;

	pace_init(&p, 0, true);
	pace_throttled(&p, 0, 1, SECOND, 0);
	assert_int_equal(pace_when(&p, 2), 0);
}

static void a_quota_that_is_known_is_used_to_95_percent(void **state)
{
	/* A bucket that holds a single request punishes each millisecond. */
	static const struct { double room, least; } cases[] = { { 1, 0.93 }, { 2, 0.95 }, { 5, 0.95 }, { 50, 0.95 }, { 500, 0.95 } };

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct pace p;
		pace_init(&p, 50, true);
		double share = run(&p, 50, cases[i].room, 60, 128);
		print_message("a bucket of %g: %.3f of the quota, %u refused\n", cases[i].room, share, service.refused);
		assert_true(share >= cases[i].least);
		assert_true(service.refused <= 60);
	}
}

static void a_quota_that_is_another_is_found(void **state)
{
	static const struct { double quota; unsigned seconds, refused; } cases[] = { { 20, 60, 60 }, { 5, 120, 120 }, { 100, 300, 60 } };

	for (size_t i = 0; i < 3; i++) {
		struct pace p;
		pace_init(&p, 50, true);
		run(&p, cases[i].quota, 1, cases[i].seconds, 128);
		double rate = p.rate / cases[i].quota;
		print_message("%g instead of 50: found as %.2f of it, %u refused\n", cases[i].quota, rate, service.refused);
		assert_true(rate >= 0.85 && rate <= 1.1);
		assert_true(service.refused <= cases[i].refused);
	}
}

static void begun_without_a_pace_one_burst_is_refused_and_the_rest_is_not(void **state)
{
	struct pace p;

	pace_init(&p, 50, false);
	double share = run(&p, 50, 50, 60, 128);
	print_message("from full speed: %.3f of the quota, %u refused\n", share, service.refused);
	assert_true(share >= 0.95);
	assert_true(service.refused <= 128 + 30);
}

static void a_burst_of_refusals_cuts_and_pauses_once(void **state)
{
	struct pace p;

	pace_init(&p, 50, true);
	double before = p.rate;
	for (int i = 0; i < 100; i++)
		pace_throttled(&p, SECOND, SECOND + 20 * MS + i, 0, 100 * MS);
	assert_true(p.rate > 0.9 * before);
	assert_int_equal(p.paused_until, SECOND + 20 * MS + 100 * MS);
	assert_int_equal(pace_when(&p, SECOND + 30 * MS), p.paused_until);
}

static void a_refusal_before_anything_went_through_only_makes_the_pause_longer(void **state)
{
	struct pace p;

	pace_init(&p, 50, false);
	pace_throttled(&p, 0, SECOND, 0, 10 * MS);
	double rate = p.rate;
	assert_true(rate > 45);
	pace_throttled(&p, SECOND + 10 * MS, SECOND + 30 * MS, 0, 300 * MS);
	assert_true(p.rate >= rate);
	assert_int_equal(p.paused_until, SECOND + 330 * MS);
	/* One answer and a refusal again: that is far beyond the quota. */
	pace_good(&p, SECOND + 400 * MS);
	pace_throttled(&p, SECOND + 390 * MS, SECOND + 410 * MS, 0, 0);
	assert_true(p.rate < 0.8 * rate);
}

static void a_pace_that_is_not_used_does_not_grow(void **state)
{
	struct pace p;

	pace_init(&p, 50, true);
	double before = p.rate;
	for (int64_t now = SECOND; now < 600 * SECOND; now += 100 * MS) {
		assert_int_equal(pace_when(&p, now), 0);
		pace_begin(&p, now);
		pace_good(&p, now);
	}
	assert_true(p.rate <= before);
}

static void time_that_was_not_used_is_made_up_for_only_shortly(void **state)
{
	struct pace p;
	unsigned n = 0;

	pace_init(&p, 1000, true);
	for (; pace_when(&p, 100 * SECOND) == 0; n++)
		pace_begin(&p, 100 * SECOND);
	assert_in_range(n, 2, 60);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_a_refusal_there_is_no_pace_unless_it_is_asked_for),
		cmocka_unit_test(what_is_not_known_is_never_paced),
		cmocka_unit_test(a_quota_that_is_known_is_used_to_95_percent),
		cmocka_unit_test(a_quota_that_is_another_is_found),
		cmocka_unit_test(begun_without_a_pace_one_burst_is_refused_and_the_rest_is_not),
		cmocka_unit_test(a_burst_of_refusals_cuts_and_pauses_once),
		cmocka_unit_test(a_refusal_before_anything_went_through_only_makes_the_pause_longer),
		cmocka_unit_test(a_pace_that_is_not_used_does_not_grow),
		cmocka_unit_test(time_that_was_not_used_is_made_up_for_only_shortly),
	};

	return cmocka_run_group_tests_name("pace", tests, NULL, NULL);
}
