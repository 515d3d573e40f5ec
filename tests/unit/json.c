/* SPDX-License-Identifier: Apache-2.0
 *
 * Answers of the right shape, and of every wrong one. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "backends/json.h"

static int parse(const char *text, struct json **ret, struct error *err)
{
	SECRET(s);

	assert_int_equal(secret_append_text(&s, text), 0);
	return json_parse(&s, ret, err);
}

static void members_are_found_by_path_and_by_name(void **state)
{
	AUTO_JSON(j);
	const char *text = "{\"data\":{\"data\":{\"a.b\":\"x\",\"Key\":\"y\"},\"n\":7,\"t\":\"8\",\"yes\":true,\"nil\":null},"
	                   "\"keys\":[\"a\",\"b\",3]}";

	assert_int_equal(parse(text, &j, NULL), 0);
	assert_string_equal(json_text(j, "data.data.Key"), "y");
	assert_null(json_text(j, "data.data.key"));
	assert_null(json_text(j, "data.data.a.b"));
	assert_string_equal(json_text(json_member(json_at(j, "data.data"), "a.b"), NULL), "x");
	assert_int_equal(json_number(j, "data.n", -1), 7);
	assert_int_equal(json_number(j, "data.t", -1), 8);
	assert_int_equal(json_number(j, "data.yes", -1), -1);
	assert_true(json_bool(j, "data.yes", false));
	assert_true(json_bool(j, "data.n", true));
	assert_true(json_is_null(json_at(j, "data.nil")));
	assert_false(json_is_null(json_at(j, "data.none")));
	assert_int_equal(json_count(json_at(j, "keys")), 3);
	assert_int_equal(json_count(json_at(j, "data.n")), 0);
	const struct json *key = json_first(json_at(j, "keys"));
	assert_string_equal(json_text(key, NULL), "a");
	assert_null(json_name(key));
	key = json_next(json_next(key));
	assert_null(json_text(key, NULL));
	assert_null(json_next(key));
	assert_string_equal(json_name(json_first(j)), "data");
	assert_null(json_at(json_at(j, "no.such"), "path"));
}

static void numbers_are_whole_and_in_range(void **state)
{
	AUTO_JSON(j);

	assert_int_equal(parse("[1.5,1e300,-1e300,9007199254740993,\"x\",\"\",\"99999999999999999999\",-3,1e3]", &j, NULL), 0);
	const struct json *n = json_first(j);
	for (int i = 0; i < 3; i++, n = json_next(n))
		assert_int_equal(json_number(n, NULL, -7), -7);
	for (n = json_next(n); json_text(n, NULL) != NULL; n = json_next(n))
		assert_int_equal(json_number(n, NULL, -7), -7);
	assert_int_equal(json_number(n, NULL, -7), -3);
	assert_int_equal(json_number(json_next(n), NULL, -7), 1000);
}

static void a_value_is_taken_into_a_secret(void **state)
{
	AUTO_JSON(j);
	SECRET(out);
	struct error err = ERROR_INIT;

	assert_int_equal(parse("{\"v\":\"Zm9v\",\"w\":\"not base64\",\"n\":1}", &j, NULL), 0);
	assert_int_equal(json_take_text(j, "w", &out, &err), 0);
	assert_string_equal(secret_text(&out), "not base64");
	assert_int_equal(json_take_base64(j, "v", &out, &err), 0);
	assert_string_equal(secret_text(&out), "foo");
	assert_int_equal(json_take_base64(j, "w", &out, &err), -EBADMSG);
	assert_null(strstr(err.text, "not base64 "));
	assert_int_equal(json_take_text(j, "n", &out, &err), -EPROTO);
	assert_int_equal(json_take_text(j, "none", &out, &err), -EPROTO);
	assert_string_equal(err.text, "no text 'none' in the answer");
}

static void what_is_not_json_is_refused(void **state)
{
	const char *const bad[] = { "", " ", "{", "[", "\"", "{\"a\":1", "[1,2", "{}x", "{} {}", "nul", "<html>", "{\"a\" 1}",
		"]", "}{", "[}", "{\"a\":\"b}", "{\"a\":\"\\u0000\"}", "{\"\\u0000\":1}", "\"a\nb\"", "[1,]x", "\x01" };

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		AUTO_JSON(j);
		struct error err = ERROR_INIT;
		assert_int_equal(parse(bad[i], &j, &err), -EPROTO);
		assert_null(j);
		assert_true(err.text[0] != '\0');
	}
}

static void depth_is_bounded(void **state)
{
	char text[200];

	for (int depth = 30; depth < 100; depth++) {
		AUTO_JSON(j);
		memset(text, '[', (size_t)depth);
		memset(text + depth, ']', (size_t)depth);
		text[2 * depth] = '\0';
		assert_int_equal(parse(text, &j, NULL), depth <= JSON_DEPTH_MAX ? 0 : -EPROTO);
	}
}

static void white_space_and_escapes_are_understood(void **state)
{
	AUTO_JSON(j);

	assert_int_equal(parse(" \n{ \"a\" : \"\\u00fc\\\"{[\\\\\" }\r\n\t ", &j, NULL), 0);
	assert_string_equal(json_text(j, "a"), "\xc3\xbc\"{[\\");
}

static void a_request_is_written_escaped(void **state)
{
	SECRET(out);
	SECRET(value);
	AUTO_JSON(j);

	secret_append(&value, "a\"b\\c\n\x01\x7f\xc3\xbc", 10);
	assert_int_equal(json_format(&out, "{%s:{%s:%d},%s:%S,%s:%B}", "options", "cas", 0, "na\"me", &value, "b", &value), 0);
	assert_int_equal(json_parse(&out, &j, NULL), 0);
	assert_int_equal(json_number(j, "options.cas", -1), 0);
	assert_string_equal(json_text(json_member(j, "na\"me"), NULL), secret_text(&value));
	secret_wipe(&out);
	assert_int_equal(json_take_base64(j, "b", &out, NULL), 0);
	assert_true(secret_equal(&out, &value));
}

static void bytes_that_json_cannot_carry_are_refused(void **state)
{
	SECRET(out);
	const char *const bad[] = { "\xff", "\xc3", "\xc0\x80", "\xed\xa0\x80", "\xf5\x80\x80\x80", "ok\x80" };

	secret_append_text(&out, "kept");
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_int_equal(json_append_text(&out, bad[i]), -EINVAL);
	assert_string_equal(secret_text(&out), "kept");
	assert_int_equal(json_format(&out, "{%s:%s}", "a", "\xff"), -EINVAL);
	assert_string_equal(secret_text(&out), "kept");
	assert_int_equal(json_append_string(&out, "a\0b", 3), 0);
	assert_string_equal(secret_text(&out), "kept\"a\\u0000b\"");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(members_are_found_by_path_and_by_name),
		cmocka_unit_test(numbers_are_whole_and_in_range),
		cmocka_unit_test(a_value_is_taken_into_a_secret),
		cmocka_unit_test(what_is_not_json_is_refused),
		cmocka_unit_test(depth_is_bounded),
		cmocka_unit_test(white_space_and_escapes_are_understood),
		cmocka_unit_test(a_request_is_written_escaped),
		cmocka_unit_test(bytes_that_json_cannot_carry_are_refused),
	};

	return cmocka_run_group_tests_name("json", tests, NULL, NULL);
}
