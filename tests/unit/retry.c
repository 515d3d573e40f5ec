/* SPDX-License-Identifier: Apache-2.0
 *
 * What may be repeated, and after how long. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <stdbool.h>

#include "backends/retry.h"

static void only_what_may_pass_is_repeated(void **state)
{
	const int again[] = { 408, 500, 502, 504 }, throttled[] = { 429, 503 };
	const int final[] = { 200, 204, 301, 307, 400, 401, 403, 404, 405, 409, 412, 413, 472, 473, 501, 505 };

	for (size_t i = 0; i < sizeof again / sizeof *again; i++)
		assert_int_equal(retry_status(again[i]), RETRY_AGAIN);
	for (size_t i = 0; i < sizeof throttled / sizeof *throttled; i++)
		assert_int_equal(retry_status(throttled[i]), RETRY_THROTTLED);
	for (size_t i = 0; i < sizeof final / sizeof *final; i++)
		assert_int_equal(retry_status(final[i]), RETRY_FINAL);
}

static void the_delay_doubles_up_to_8_seconds(void **state)
{
	int64_t most = RETRY_BASE_NS;

	for (unsigned n = 0; n < 70; n++) {
		assert_int_equal(retry_delay(n, (uint64_t)most), most);
		assert_int_equal(retry_delay(n, (uint64_t)most + 1), 0);
		most = most * 2 < RETRY_CAP_NS ? most * 2 : RETRY_CAP_NS;
	}
	assert_int_equal(most, RETRY_CAP_NS);
}

static void the_jitter_is_full(void **state)
{
	bool low = false, high = false;

	for (int i = 0; i < 1000; i++) {
		int64_t d = retry_delay(2, retry_random());
		assert_in_range(d, 0, 4 * RETRY_BASE_NS);
		low = low || d < 2 * RETRY_BASE_NS;
		high = high || d >= 2 * RETRY_BASE_NS;
	}
	assert_true(low && high);
}

static void a_service_cannot_ask_for_more_than_a_minute(void **state)
{
	assert_int_equal(retry_after(-5), 0);
	assert_int_equal(retry_after(0), 0);
	assert_int_equal(retry_after(7), INT64_C(7000000000));
	assert_int_equal(retry_after(3600), INT64_C(60000000000));
	assert_int_equal(retry_after(INT64_MAX), INT64_C(60000000000));
}

static void four_tries_mean_three_waits(void **state)
{
	struct retry r = retry_start(0);

	for (int i = 0; i < 3; i++)
		assert_true(retry_next(&r, 5) >= 0);
	assert_int_equal(retry_next(&r, 5), -1);
	assert_int_equal(retry_next(&r, 5), -1);
	r = retry_start(1);
	assert_int_equal(retry_next(&r, 5), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_what_may_pass_is_repeated),
		cmocka_unit_test(the_delay_doubles_up_to_8_seconds),
		cmocka_unit_test(the_jitter_is_full),
		cmocka_unit_test(a_service_cannot_ask_for_more_than_a_minute),
		cmocka_unit_test(four_tries_mean_three_waits),
	};

	return cmocka_run_group_tests_name("retry", tests, NULL, NULL);
}
