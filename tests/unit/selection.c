/* SPDX-License-Identifier: Apache-2.0
 *
 * Which names a run is about, and the words before them. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "fs/migrate/selection.h"

static struct migrate_options options;

/* words: without the program's name, ended by NULL. */
static struct selection *select_by(const char *const *words)
{
	static char *argv[32];
	struct error err = ERROR_INIT;
	struct selection *s = NULL;
	int argc = 0;

	argv[argc++] = (char *)"kesfs-migrate";
	argv[argc++] = (char *)"--from=a";
	argv[argc++] = (char *)"--to=b";
	while (*words != NULL)
		argv[argc++] = (char *)*words++;
	argv[argc] = NULL;
	assert_int_equal(options_parse(argc, argv, &options, &err), 0);
	assert_int_equal(selection_new(&options, &s, &err), 0);
	return s;
}
#define SELECT(...) select_by((const char *const[]){ __VA_ARGS__, NULL })

static void done(struct selection *s)
{
	selection_free(s);
	options_free(&options);
}

static bool takes(struct selection *s, const char *name)
{
	bool literal;

	return selection_match(s, name, &literal);
}

static void test_without_a_pattern_everything_is_selected(void **state)
{
	struct selection *s = SELECT("--merge");
	size_t count;
	char buf[200];

	assert_null(selection_literals(s, &count));
	assert_true(takes(s, "anything"));
	assert_false(selection_unmatched(s, buf, sizeof buf));
	assert_string_equal(selection_prefix(s), "");
	done(s);
}

static void test_literal_names_are_sorted_and_doubles_dropped(void **state)
{
	struct selection *s = SELECT("b", "a", "b", "c\\*");
	size_t count;
	const char *const *names = selection_literals(s, &count);

	assert_non_null(names);
	assert_int_equal(count, 3);
	assert_string_equal(names[0], "a");
	assert_string_equal(names[1], "b");
	assert_string_equal(names[2], "c*");
	done(s);
}

static void test_exclude_takes_literal_names_away_and_they_are_not_missed(void **state)
{
	struct selection *s = SELECT("a", "b*", "--exclude", "a");
	bool literal;
	char buf[200];

	assert_false(selection_match(s, "a", &literal));
	assert_true(literal);
	assert_true(takes(s, "bc"));
	assert_false(selection_unmatched(s, buf, sizeof buf));
	done(s);
}

static void test_what_found_nothing_is_named_five_at_most(void **state)
{
	struct selection *s = SELECT("x*", "y?", "l1", "l2", "l3", "l4", "l5", "l6");
	char buf[200];

	assert_true(takes(s, "x1"));
	assert_true(takes(s, "l1"));
	assert_true(selection_unmatched(s, buf, sizeof buf));
	assert_string_equal(buf, "'y?', 'l2', 'l3', 'l4', 'l5' and 1 more");
	done(s);
}

static void test_one_pattern_gives_a_prefix_and_two_do_not(void **state)
{
	struct selection *s = SELECT("my-app*");

	assert_string_equal(selection_prefix(s), "my-app");
	done(s);
	s = SELECT("my-app*", "my-web*");
	assert_string_equal(selection_prefix(s), "");
	done(s);
}

static void test_a_malformed_pattern_is_refused_wherever_it_stands(void **state)
{
	char words[4][16] = { "kesfs-migrate", "--from=a", "--to=b", "--exclude=[" };
	char *argv[] = { words[0], words[1], words[2], words[3], NULL };
	struct error err = ERROR_INIT;
	struct selection *s;

	assert_int_equal(options_parse(4, argv, &options, &err), 0);
	assert_int_equal(selection_new(&options, &s, &err), -EINVAL);
	options_free(&options);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_without_a_pattern_everything_is_selected),
		cmocka_unit_test(test_literal_names_are_sorted_and_doubles_dropped),
		cmocka_unit_test(test_exclude_takes_literal_names_away_and_they_are_not_missed),
		cmocka_unit_test(test_what_found_nothing_is_named_five_at_most),
		cmocka_unit_test(test_one_pattern_gives_a_prefix_and_two_do_not),
		cmocka_unit_test(test_a_malformed_pattern_is_refused_wherever_it_stands),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
