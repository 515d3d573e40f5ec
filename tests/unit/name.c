/* SPDX-License-Identifier: Apache-2.0
 *
 * Names that a KES server accepts, and names that can be files. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "fs/name.h"

#define TEN "abcdefghij"
#define EIGHTY TEN TEN TEN TEN TEN TEN TEN TEN

static void what_a_kes_server_accepts_passes(void **state)
{
	static const char *const good[] = { "a", "my-key", "my_key", "__", "_a", "a_", "0", "A-Z", "a--b", EIGHTY };

	for (size_t i = 0; i < sizeof good / sizeof *good; i++)
		assert_int_equal(name_check(good[i], NULL), 0);
}

static void the_first_rule_broken_is_named(void **state)
{
	static const struct {
		const char *name;
		int code;
		const char *sentence;
	} bad[] = {
		{ "", EINVAL, "an empty name cannot be a key" },
		{ "a b", EINVAL, "'a b' has ' ' at position 2; a KES server accepts only A-Z a-z 0-9 - _" },
		{ "a.b", EINVAL, "'a.b' has '.' at position 2; a KES server accepts only A-Z a-z 0-9 - _" },
		{ "k\xc3\xa9y", EINVAL,
		  "'k\xc3\xa9y' has '\xc3\xa9' at position 2; a KES server accepts only A-Z a-z 0-9 - _" },
		{ "k\xffy", EINVAL,
		  "'k\xffy' has the byte 0xff at position 2; a KES server accepts only A-Z a-z 0-9 - _" },
		{ "k\ny", EINVAL, "'k?y' has the control character 0x0a at position 2; "
		                  "a KES server accepts only A-Z a-z 0-9 - _" },
		{ "-a", EINVAL, "'-a' begins with '-', which a KES server refuses" },
		{ "a-", EINVAL, "'a-' ends with '-', which a KES server refuses" },
		{ "-", EINVAL, "'-' begins with '-', which a KES server refuses" },
		{ "_", EINVAL, "'_' alone is refused by a KES server" },
		{ EIGHTY "x", ENAMETOOLONG, "'" EIGHTY "x' has 81 characters; a KES server accepts at most 80" },
	};

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct error err = ERROR_INIT;
		assert_int_equal(name_check(bad[i].name, &err), -bad[i].code);
		assert_string_equal(err.text, bad[i].sentence);
	}
}

static void a_file_name_shows_a_stored_name(void **state)
{
	char long_name[257];

	assert_true(name_shown("my-key"));
	assert_true(name_shown("with blank"));
	assert_true(name_shown("k\xc3\xa9y.txt"));
	assert_true(name_shown("-"));
	assert_false(name_shown(""));
	assert_false(name_shown("."));
	assert_false(name_shown(".."));
	assert_false(name_shown(".kesfs"));
	assert_false(name_shown("a/b"));
	assert_false(name_shown("a\nb"));
	assert_false(name_shown("a\x7f"));
	memset(long_name, 'a', 256);
	long_name[256] = '\0';
	assert_false(name_shown(long_name));
	long_name[255] = '\0';
	assert_true(name_shown(long_name));
}

static bool no_underscore(const char *name)
{
	return strchr(name, '_') == NULL;
}

static void a_store_may_be_narrower_than_kes(void **state)
{
	const struct backend_ops ops = { .name = "azure", .name_max = 20, .name_ok = no_underscore };
	struct error err = ERROR_INIT;

	assert_int_equal(name_check_store("my-key", &ops, &err), 0);
	assert_int_equal(name_check_store("my_key", &ops, &err), -EINVAL);
	assert_string_equal(err.text, "'my_key' cannot exist in a store of kind azure, which allows fewer characters");
	assert_int_equal(name_check_store(TEN TEN "x", &ops, &err), -ENAMETOOLONG);
	assert_string_equal(err.text, "'" TEN TEN "x' has 21 characters; a store of kind azure accepts at most 20");
	assert_int_equal(name_check_store("-", &ops, &err), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_a_kes_server_accepts_passes),
		cmocka_unit_test(the_first_rule_broken_is_named),
		cmocka_unit_test(a_file_name_shows_a_stored_name),
		cmocka_unit_test(a_store_may_be_narrower_than_kes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
