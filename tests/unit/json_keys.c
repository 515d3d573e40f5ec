/* SPDX-License-Identifier: Apache-2.0
 *
 * Listings cut into pieces at every place, and what only looks like one. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "backends/json_keys.h"

struct names {
	char text[4096];                      /* joined by '|' */
	size_t count, most;
};

static bool name_take(const char *name, size_t len, void *arg)
{
	struct names *n = arg;

	assert_int_equal(name[len], '\0');
	strncat(n->text, name, sizeof n->text - strlen(n->text) - 2);
	strcat(n->text, "|");
	return ++n->count != n->most;
}

/* piece bytes at a time */
static int scan(const char *path, const char *text, size_t len, size_t piece, struct names *n, struct error *err)
{
	struct json_keys *k = json_keys_new(path, name_take, n);
	int r = 0;

	assert_non_null(k);
	for (size_t i = 0; i < len && r == 0; i += piece)
		r = json_keys_feed(k, text + i, len - i < piece ? len - i : piece, err);
	if (r == 0)
		r = json_keys_end(k, err);
	json_keys_free(k);
	return r;
}

static const char listing[] =
	"{\"request_id\":\"x\",\"keys\":[\"no\"],\"data\" : {\"other\":{\"keys\":[\"no\"]},\"key\":[\"no\"],\n"
	"\"keys\":[\"a\",\"b\\\"\\\\\\/\", \"\\u00fc\\ud83d\\ude00\",\"folder/\" ,\"\"],\"key_info\":{\"a\":{\"keys\":[1]}}},"
	"\"n\":[-1.5e+3,true,false,null,{}],\"warnings\":null}\n";

static void names_are_found_however_the_bytes_arrive(void **state)
{
	for (size_t piece = 1; piece < sizeof listing; piece++) {
		struct names n = { .count = 0 };
		assert_int_equal(scan("data.keys", listing, sizeof listing - 1, piece, &n, NULL), 0);
		assert_string_equal(n.text, "a|b\"\\/|\xc3\xbc\xf0\x9f\x98\x80|folder/||");
		assert_int_equal(n.count, 5);
	}
}

static void a_listing_cut_anywhere_is_refused(void **state)
{
	for (size_t len = 0; len < sizeof listing - 3; len++) {
		struct names n = { .count = 0 };
		struct error err = ERROR_INIT;
		assert_int_equal(scan("data.keys", listing, len, 7, &n, &err), -EPROTO);
		assert_non_null(strstr(err.text, "truncated"));
	}
}

static void a_million_names_need_no_tree(void **state)
{
	struct names n = { .count = 0 };
	struct json_keys *k = json_keys_new("data.keys", name_take, &n);
	char piece[64];

	assert_int_equal(json_keys_feed(k, "{\"data\":{\"keys\":[\"first\"", 24, NULL), 0);
	for (int i = 1; i < 1000 * 1000; i++) {
		int len = snprintf(piece, sizeof piece, ",\"my-key-%07d\"", i);
		assert_int_equal(json_keys_feed(k, piece, (size_t)len, NULL), 0);
		n.text[0] = '\0';
	}
	assert_int_equal(json_keys_feed(k, "]}}", 3, NULL), 0);
	assert_int_equal(json_keys_end(k, NULL), 0);
	assert_int_equal(n.count, 1000 * 1000);
	json_keys_free(k);
}

static void enough_is_enough(void **state)
{
	struct names n = { .most = 2 };

	assert_int_equal(scan("data.keys", listing, sizeof listing - 1, 3, &n, NULL), 0);
	assert_int_equal(n.count, 2);
}

static void an_empty_list_is_a_list(void **state)
{
	const char *const texts[] = { "{\"data\":{\"keys\":[]}}", "{\"data\":{\"keys\":null}}" };

	for (size_t i = 0; i < 2; i++) {
		struct names n = { .count = 0 };
		assert_int_equal(scan("data.keys", texts[i], strlen(texts[i]), 100, &n, NULL), 0);
		assert_int_equal(n.count, 0);
	}
}

static void a_document_without_the_list_is_refused(void **state)
{
	const char *const texts[] = { "{}", "{\"keys\":[\"a\"]}", "{\"data\":[{\"keys\":[]}]}", "{\"data\":null}", "[]",
		"{\"data\":{\"keys\":{}}}", "{\"data\":{\"keys\":\"a\"}}", "{\"data\":{\"keys\":7}}", "{\"data\":{\"Keys\":[]}}",
		"{\"data\":{\"x\":{\"keys\":[]}}}", "\"data\"", "{\"data\":{}}" };

	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		struct names n = { .count = 0 };
		struct error err = ERROR_INIT;
		assert_int_equal(scan("data.keys", texts[i], strlen(texts[i]), 100, &n, &err), -EPROTO);
		assert_non_null(strstr(err.text, "without the list"));
		assert_int_equal(n.count, 0);
	}
}

static void what_is_not_json_is_refused(void **state)
{
	const char *const bad[] = { "<html>", "{\"data\":{\"keys\":[\"a\" \"b\"]}}", "{\"data\":{\"keys\":[\"a\",]}}",
		"{\"data\":{\"keys\":[1]}}", "{\"data\":{\"keys\":[[\"a\"]]}}", "{\"data\":{\"keys\":[{}]}}",
		"{\"data\":{\"keys\":[null]}}", "{\"data\":{\"keys\":[\"\\x\"]}}", "{\"data\":{\"keys\":[\"\\ud800\"]}}",
		"{\"data\":{\"keys\":[\"\\ud800x\"]}}", "{\"data\":{\"keys\":[\"\\udc00\"]}}", "{\"data\":{\"keys\":[\"\\u12g4\"]}}",
		"{\"data\":{\"keys\":[\"a\nb\"]}}", "{\"data\":{\"keys\":[\"a\"}}", "{\"data\":{\"keys\":[\"a\"]]}", "{data:1}",
		"{\"data\":{\"keys\":[]}}{}", "{\"data\":{\"keys\":[]}} x", "{\"a\":01}", "{\"a\":1.}", "{\"a\":truE}", "{\"a\":-}",
		"{\"a\":1e}", "{,}", "{\"a\":1,}", "]" };

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct names n = { .count = 0 };
		struct error err = ERROR_INIT;
		assert_int_equal(scan("data.keys", bad[i], strlen(bad[i]), 5, &n, &err), -EPROTO);
		assert_true(err.text[0] != '\0');
	}
}

static void names_and_depth_are_bounded(void **state)
{
	char *text = malloc(JSON_KEYS_NAME_MAX + 100);

	assert_non_null(text);
	for (int more = 0; more < 2; more++) {
		struct names n = { .count = 0 };
		size_t len = (size_t)sprintf(text, "{\"data\":{\"keys\":[\"");
		memset(text + len, 'x', JSON_KEYS_NAME_MAX + more);
		strcpy(text + len + JSON_KEYS_NAME_MAX + more, "\"]}}");
		assert_int_equal(scan("data.keys", text, strlen(text), 1000, &n, NULL), more ? -EPROTO : 0);
	}
	memset(text, '[', 100);
	struct names n = { .count = 0 };
	struct error err = ERROR_INIT;
	assert_int_equal(scan("data.keys", text, 100, 1000, &n, &err), -EPROTO);
	assert_non_null(strstr(err.text, "nested"));
	free(text);
}

static bool zero_take(const char *name, size_t len, void *arg)
{
	*(size_t *)arg = len;
	assert_int_equal(strlen(name), 1);
	return true;
}

static void a_zero_byte_in_a_name_is_told_by_its_length(void **state)
{
	size_t len = 0;
	struct json_keys *k = json_keys_new("keys", zero_take, &len);
	const char *text = "{\"keys\":[\"a\\u0000b\"]}";

	assert_int_equal(json_keys_feed(k, text, strlen(text), NULL), 0);
	assert_int_equal(json_keys_end(k, NULL), 0);
	assert_int_equal(len, 3);
	json_keys_free(k);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_are_found_however_the_bytes_arrive),
		cmocka_unit_test(a_listing_cut_anywhere_is_refused),
		cmocka_unit_test(a_million_names_need_no_tree),
		cmocka_unit_test(enough_is_enough),
		cmocka_unit_test(an_empty_list_is_a_list),
		cmocka_unit_test(a_document_without_the_list_is_refused),
		cmocka_unit_test(what_is_not_json_is_refused),
		cmocka_unit_test(names_and_depth_are_bounded),
		cmocka_unit_test(a_zero_byte_in_a_name_is_told_by_its_length),
	};

	return cmocka_run_group_tests_name("json_keys", tests, NULL, NULL);
}
