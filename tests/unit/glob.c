/* SPDX-License-Identifier: Apache-2.0
 *
 * Patterns against what Go's filepath.Match says of them (the table was printed by Go 1.26, on Unix), and what may
 * stand in a complaint about a malformed one. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fs/glob.h"

enum answer { NO, YES, BAD };

static const struct {
	const char *pattern, *name;
	enum answer answer;           /* BAD: malformed, whatever the name */
} table[] = {
	{ "", "", YES },
	{ "", "a", NO },
	{ "abc", "abc", YES },
	{ "abc", "ab", NO },
	{ "*", "", YES },
	{ "*", "abc", YES },
	{ "*", "a/b", NO },
	{ "*", ".hidden", YES },
	{ "*c", "abc", YES },
	{ "a*", "a", YES },
	{ "a*", "abc", YES },
	{ "a*", "ab/c", NO },
	{ "a*/b", "abc/b", YES },
	{ "a*/b", "a/c/b", NO },
	{ "a*b*c*d*e*/f", "axbxcxdxe/f", YES },
	{ "a*b*c*d*e*/f", "axbxcxdxexxx/fff", NO },
	{ "a*b?c*x", "abxbbxdbxebxczzx", YES },
	{ "a*b?c*x", "abxbbxdbxebxczzy", NO },
	{ "**", "abc", YES },
	{ "a**c", "abbc", YES },
	{ "*a*a*a*a*b", "aaaaaaaaaaaaaaaaaaaaaaaa", NO },
	{ "?", "a", YES },
	{ "?", "", NO },
	{ "?", "ab", NO },
	{ "?", "/", NO },
	{ "?", "\303\251", YES },
	{ "?""?", "\303\251", NO },
	{ "?", "\377", YES },
	{ "a?b", "a\342\230\272b", YES },
	{ "a?""??b", "a\342\230\272b", NO },
	{ "*?", "\303\251", YES },
	{ "?""??""?", "\360\237\224\221", NO },
	{ "my-key*", "my-key", YES },
	{ "my-key*", "my-key-1", YES },
	{ "my-key*", "your-key", NO },
	{ "My*", "my-key", NO },
	{ "[ab]", "a", YES },
	{ "[ab]", "c", NO },
	{ "ab[c]", "abc", YES },
	{ "ab[b-d]", "abc", YES },
	{ "ab[e-g]", "abc", NO },
	{ "ab[^c]", "abc", NO },
	{ "ab[^b-d]", "abc", NO },
	{ "ab[^e-g]", "abc", YES },
	{ "[!a]", "a", YES },
	{ "[!a]", "!", YES },
	{ "[!a]", "b", NO },
	{ "[z-a]", "m", NO },
	{ "[a-a]", "a", YES },
	{ "[a-cx-z]", "y", YES },
	{ "[a-cx-z]", "d", NO },
	{ "[^a]", "\303\251", YES },
	{ "[\303\240-\303\257]", "\303\251", YES },
	{ "[\303\240-\303\257]", "e", NO },
	{ "a[^a]b", "a\342\230\272b", YES },
	{ "[a-\316\266]*", "\316\261", YES },
	{ "*[a-\316\266]", "A", NO },
	{ "[^a]", "/", YES },
	{ "[a]", "", NO },
	{ "[[]", "[", YES },
	{ "[[:alpha:]]", "a", NO },
	{ "[[:alpha:]]", "a]", YES },
	{ "[\\]a]", "]", YES },
	{ "[\\-]", "-", YES },
	{ "[x\\-]", "x", YES },
	{ "[x\\-]", "z", NO },
	{ "[\\-x]", "-", YES },
	{ "[\\^]", "^", YES },
	{ "[a^]", "^", YES },
	{ "[\\a-c]", "b", YES },
	{ "[*]", "*", YES },
	{ "[*]", "a", NO },
	{ "[?]", "?", YES },
	{ "a[*]b", "a*b", YES },
	{ "[\357\277\275]", "\377", YES },
	{ "\\a", "a", YES },
	{ "\\*", "*", YES },
	{ "\\*", "a", NO },
	{ "a\\*b", "a*b", YES },
	{ "\\[a]", "[a]", YES },
	{ "\\\\", "\\", YES },
	{ "a\\?", "a?", YES },
	{ "{a,b}", "a", NO },
	{ "{a,b}", "{a,b}", YES },
	{ "]", "]", YES },
	{ "a]", "a]", YES },
	{ "-", "-", YES },
	{ "^", "^", YES },
	{ "*x", "xxx", YES },
	{ "*-v1", "key-v1", YES },
	{ "*-v1", "key-v12", NO },
	{ "[", "a", BAD },
	{ "[a", "a", BAD },
	{ "[a", "b", BAD },
	{ "[]", "a", BAD },
	{ "[]a]", "]", BAD },
	{ "[^]", "a", BAD },
	{ "[^]a]", "a", BAD },
	{ "[-]", "-", BAD },
	{ "[-a]", "a", BAD },
	{ "[a-]", "a", BAD },
	{ "[a-", "a", BAD },
	{ "[a-\\", "a", BAD },
	{ "[\\", "a", BAD },
	{ "[a\\", "a", BAD },
	{ "a[", "a", BAD },
	{ "a[", "ab", BAD },
	{ "a[", "x", BAD },
	{ "\\", "a", BAD },
	{ "a\\", "b", BAD },
	{ "abc\\", "x", BAD },
	{ "[a-b-c]", "a", BAD },
	{ "[\377]", "a", BAD },
	{ "[\\\377]", "a", BAD },
	{ "[a-\377]", "a", BAD },
	{ "*[", "", BAD },
	{ "a*[]", "b", BAD },
	{ "[a]]", "a]", YES },
	{ "[^^]", "a", YES },
	{ "[^^]", "^", NO },
	{ "[--a]", "a", BAD },
	{ "[a--]", "a", BAD },
};

static void every_answer_is_that_of_go(void **state)
{
	for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
		bool bad = glob_check(table[i].pattern, NULL) != 0;
		enum answer answer = bad ? BAD : glob_match(table[i].pattern, table[i].name) ? YES : NO;
		if (answer != table[i].answer)
			fail_msg("pattern '%s', name '%s': %d", table[i].pattern, table[i].name, answer);
	}
}

static void a_malformed_pattern_is_named_with_the_place(void **state)
{
	static const struct {
		const char *pattern, *sentence;
	} bad[] = {
		{ "my-[key", "malformed pattern 'my-[key': '[' at position 4 opens a class that no ']' closes" },
		{ "[]a]", "malformed pattern '[]a]': ']' at position 2 closes an empty class; the character itself is "
		          "'\\]'" },
		{ "[a-]", "malformed pattern '[a-]': ']' at position 4 closes a class after '-'; the character itself "
		          "is '\\-'" },
		{ "[-a]", "malformed pattern '[-a]': '-' at position 2 stands for no range; the character itself is "
		          "'\\-'" },
		{ "key\\", "malformed pattern 'key\\': '\\' at position 4 has nothing behind it that it could escape" },
		{ "[\xff]", "malformed pattern '[\xff]': the byte 0xff at position 2, in a class, is no UTF-8" },
		{ "x*[", "malformed pattern 'x*[': '[' at position 3 opens a class that no ']' closes" },
	};

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct error err = ERROR_INIT;
		assert_int_equal(glob_check(bad[i].pattern, &err), -EINVAL);
		assert_string_equal(err.text, bad[i].sentence);
		assert_int_equal(err.code, EINVAL);
	}
}

static void stars_without_end_cost_no_time(void **state)
{
	char pattern[402], name[4001];

	for (size_t i = 0; i < 400; i += 2)
		memcpy(pattern + i, "*a", 2);
	memcpy(pattern + 400, "b", 2);
	memset(name, 'a', 4000);
	name[4000] = '\0';
	assert_int_equal(glob_check(pattern, NULL), 0);
	assert_false(glob_match(pattern, name));
}

static void only_a_pattern_without_magic_is_a_literal(void **state)
{
	static const struct {
		const char *pattern, *literal, *prefix;
	} cases[] = {
		{ "my-key", "my-key", "my-key" }, { "a\\*b", "a*b", "a*b" }, { "", "", "" }, { "a]", "a]", "a]" },
		{ "my-*", NULL, "my-" }, { "a?", NULL, "a" }, { "[ab]", NULL, "" }, { "a\\[b[c]", NULL, "a[b" },
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char *literal, *prefix = glob_prefix(cases[i].pattern);
		bool is = glob_literal(cases[i].pattern, &literal);
		assert_int_equal(is, cases[i].literal != NULL);
		if (is)
			assert_string_equal(literal, cases[i].literal);
		else
			assert_null(literal);
		assert_string_equal(prefix, cases[i].prefix);
		free(literal);
		free(prefix);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_answer_is_that_of_go),
		cmocka_unit_test(a_malformed_pattern_is_named_with_the_place),
		cmocka_unit_test(stars_without_end_cost_no_time),
		cmocka_unit_test(only_a_pattern_without_magic_is_a_literal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
