/* SPDX-License-Identifier: Apache-2.0
 *
 * Outcomes, names that differ only in case, and numbers as they are shown. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fs/migrate/caseless.h"
#include "fs/migrate/outcome.h"
#include "fs/migrate/text.h"

static void test_of_two_statuses_the_one_that_comes_first_counts(void **state)
{
	static const int order[] = { 2, 3, 8, 129, 130, 143, 7, 1, 5, 6, 0 };

	for (size_t i = 0; i < sizeof order / sizeof *order; i++)
		for (size_t k = i; k < sizeof order / sizeof *order; k++) {
			assert_int_equal(status_worse(order[i], order[k]), order[i]);
			assert_int_equal(status_worse(order[k], order[i]), order[i]);
		}
}

static void test_an_error_that_ends_a_run_has_a_status(void **state)
{
	static const struct { int code, status; } cases[] = {
		{ EINVAL, 2 }, { ENOENT, 3 }, { EACCES, 7 }, { EKEYREJECTED, 7 }, { ENOKEY, 7 }, { EHOSTUNREACH, 5 },
		{ ETIMEDOUT, 5 }, { EPROTO, 1 },
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		assert_int_equal(status_of_error(cases[i].code), cases[i].status);
}

static void test_a_tally_knows_what_may_pass(void **state)
{
	struct tally t = { 0 };
	struct item item = { .name = NULL };

	item_settle_as(&item, OUTCOME_FAILED, EHOSTUNREACH, "away");
	tally_add(&t, &item);
	item_settle_as(&item, OUTCOME_FAILED, EACCES, "refused");
	tally_add(&t, &item);
	item_settle(&item, OUTCOME_CREATED, NULL);
	item.flags |= ITEM_VERIFIED;
	tally_add(&t, &item);
	assert_null(item.reason);
	assert_int_equal(tally_count(&t, OUTCOME_FAILED), 2);
	assert_int_equal(t.passing, 1);
	assert_int_equal(t.other, 1);
	assert_int_equal(t.refused, 1);
	assert_int_equal(t.verified, 1);
}

static void test_the_second_of_two_names_that_differ_only_in_case_is_unfit(void **state)
{
	char names[5][8] = { "Alpha", "alpha", "beta", "gamma", "same" }, there[3][10] = { "BETA", "same", "unrelated" };
	char *target[] = { there[0], there[1], there[2] };
	struct item items[5] = { 0 };
	struct error err = ERROR_INIT;
	static const bool unfit[] = { false, true, true, false, false };

	for (size_t i = 0; i < 5; i++)
		items[i].name = names[i];
	assert_int_equal(caseless_mark(items, 5, target, 3, &err), 0);
	for (size_t i = 0; i < 5; i++) {
		assert_int_equal((items[i].flags & ITEM_UNFIT) != 0, unfit[i]);
		free(items[i].reason);
	}
}

static void test_numbers_are_shown_as_a_reader_wants_them(void **state)
{
	char buf[TEXT_MAX];

	assert_string_equal(text_count(buf, 0), "0");
	assert_string_equal(text_count(buf, 999), "999");
	assert_string_equal(text_count(buf, 1000), "1,000");
	assert_string_equal(text_count(buf, 12345678), "12,345,678");
	assert_string_equal(text_keys(buf, 1), "1 key");
	assert_string_equal(text_keys(buf, 2000), "2,000 keys");
	assert_string_equal(text_seconds(buf, 40000000), "0.04 s");
	assert_string_equal(text_seconds(buf, INT64_C(12340000000)), "12.3 s");
	assert_string_equal(text_seconds(buf, INT64_C(125000000000)), "2:05 min");
	assert_string_equal(text_seconds(buf, INT64_C(3723000000000)), "1:02:03 h");
	assert_string_equal(text_time(buf, 1700000000), "2023-11-14T22:13:20Z");
	assert_string_equal(text_time(buf, -1), "-");
}

static void test_a_json_string_is_always_valid(void **state)
{
	static const struct { const char *text, *json; } cases[] = {
		{ "plain", "\"plain\"" },
		{ "q\"b\\", "\"q\\\"b\\\\\"" },
		{ "n\n\x7f", "\"n\\u000a\\u007f\"" },
		{ "\xc3\xbc\xe2\x82\xac\xf0\x9f\x94\x91", "\"\xc3\xbc\xe2\x82\xac\xf0\x9f\x94\x91\"" },
		{ "\xff" "a\xc3", "\"\\ufffda\\ufffd\"" },
		{ "\xed\xa0\x80", "\"\\ufffd\\ufffd\\ufffd\"" },
		{ "\xc0\x80", "\"\\ufffd\\ufffd\"" },
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char *out = NULL;
		size_t size = 0;
		FILE *file = open_memstream(&out, &size);
		assert_non_null(file);
		text_json(file, cases[i].text);
		fclose(file);
		assert_string_equal(out, cases[i].json);
		free(out);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_of_two_statuses_the_one_that_comes_first_counts),
		cmocka_unit_test(test_an_error_that_ends_a_run_has_a_status),
		cmocka_unit_test(test_a_tally_knows_what_may_pass),
		cmocka_unit_test(test_the_second_of_two_names_that_differ_only_in_case_is_unfit),
		cmocka_unit_test(test_numbers_are_shown_as_a_reader_wants_them),
		cmocka_unit_test(test_a_json_string_is_always_valid),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
