/* SPDX-License-Identifier: Apache-2.0
 *
 * One code and one sentence: what comes out is always a single clean line. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "backends/error.h"

static void code_and_sentence_are_set_in_one_step(void **state)
{
	struct error err = ERROR_INIT;

	assert_int_equal(error_set(&err, EACCES, "reading '%s' was refused", "my-key"), -EACCES);
	assert_int_equal(err.code, EACCES);
	assert_string_equal(err.text, "reading 'my-key' was refused");
	assert_int_equal(error_set(NULL, ENOENT, "%s", "nobody listens"), -ENOENT);
}

static void a_name_cannot_forge_a_line_or_colour_a_terminal(void **state)
{
	struct error err = ERROR_INIT;

	error_set(&err, ENOENT, "no key '%s'", "a\nkesfs: all is well\x1b[31m\x7f\r\t");
	assert_string_equal(err.text, "no key 'a?kesfs: all is well?[31m?" "?" "?'");
}

static void an_old_sentence_may_be_part_of_the_new_one(void **state)
{
	struct error err = ERROR_INIT;

	error_set(&err, ENOENT, "%s", "/a/file: not there");
	error_set(&err, EKEYREJECTED, "the login: %s", err.text);
	assert_string_equal(err.text, "the login: /a/file: not there");
}

static void what_is_too_long_is_cut_visibly(void **state)
{
	struct error err = ERROR_INIT;
	char name[2 * ERROR_TEXT_MAX];

	memset(name, 'a', sizeof name - 1);
	name[sizeof name - 1] = '\0';
	error_set(&err, ENOENT, "no key '%s'", name);
	assert_int_equal(strlen(err.text), ERROR_TEXT_MAX - 1);
	assert_string_equal(err.text + ERROR_TEXT_MAX - 5, "a...");
	assert_int_equal(error_prefix(&err, "%s", name), -ENOENT);
	assert_int_equal(strlen(err.text), ERROR_TEXT_MAX - 1);
}

static void a_prefix_keeps_code_and_sentence(void **state)
{
	struct error err = ERROR_INIT;

	error_set(&err, ETIMEDOUT, "no answer in %d s", 30);
	assert_int_equal(error_prefix(&err, "store '%s'", "old"), -ETIMEDOUT);
	assert_string_equal(err.text, "store 'old': no answer in 30 s");
	assert_int_equal(err.code, ETIMEDOUT);
}

/* The codes of backend.h. */
static const int codes[] = {
	ENOENT, EEXIST, EACCES, EKEYREJECTED, EPERM, EINVAL, ENAMETOOLONG, EFBIG, EBUSY, EAGAIN, ETIMEDOUT,
	EHOSTUNREACH, ENOKEY, ESTALE, EBADMSG, ENOSPC, EROFS, ENOMEM, EMFILE, EIO, ECANCELED, EPROTO, EINPROGRESS,
	ENOTRECOVERABLE,
};

static void a_failure_is_never_shown_as_no_such_key(void **state)
{
	for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
		assert_int_equal(error_errno(codes[i]) == ENOENT, codes[i] == ENOENT);
	assert_int_not_equal(error_errno(EXDEV), ENOENT);     /* one that no module may use */
}

static void programs_see_the_errno_of_the_contract(void **state)
{
	assert_int_equal(error_errno(EKEYREJECTED), EACCES);
	assert_int_equal(error_errno(EAGAIN), EBUSY);
	assert_int_equal(error_errno(ENOKEY), EIO);
	assert_int_equal(error_errno(EHOSTUNREACH), EIO);
	assert_int_equal(error_errno(EPROTO), EIO);
	assert_int_equal(error_errno(EINPROGRESS), EIO);
	assert_int_equal(error_errno(ECANCELED), EINTR);
	assert_int_equal(error_errno(EBADMSG), EBADMSG);
	assert_int_equal(error_errno(ENOTRECOVERABLE), EIO);
}

static void passing_and_refused_are_told_apart(void **state)
{
	assert_true(error_passing(EAGAIN));
	assert_true(error_passing(ETIMEDOUT));
	assert_false(error_passing(EACCES));
	assert_false(error_passing(EBADMSG));
	assert_false(error_passing(EPROTO));
	assert_true(error_refused(EACCES));
	assert_true(error_refused(EKEYREJECTED));
	assert_true(error_refused(ENOKEY));
	assert_false(error_refused(EPERM));
	assert_false(error_refused(ENOENT));
}

static void a_code_has_a_symbol(void **state)
{
	assert_string_equal(error_symbol(EACCES), "EACCES");
	assert_string_equal(error_symbol(4095), "errno 4095");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(code_and_sentence_are_set_in_one_step),
		cmocka_unit_test(a_name_cannot_forge_a_line_or_colour_a_terminal),
		cmocka_unit_test(an_old_sentence_may_be_part_of_the_new_one),
		cmocka_unit_test(what_is_too_long_is_cut_visibly),
		cmocka_unit_test(a_prefix_keeps_code_and_sentence),
		cmocka_unit_test(a_failure_is_never_shown_as_no_such_key),
		cmocka_unit_test(programs_see_the_errno_of_the_contract),
		cmocka_unit_test(passing_and_refused_are_told_apart),
		cmocka_unit_test(a_code_has_a_symbol),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
