/* SPDX-License-Identifier: Apache-2.0
 *
 * Lines of the log as a file shows them, also while the file is opened anew. */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "fs/log.h"

enum { THREADS = 4, LINES = 200 };

static char dir[64], path[96], moved[96];

static int directory_make(void **state)
{
	snprintf(dir, sizeof dir, "/tmp/kesfs-log.XXXXXX");
	if (mkdtemp(dir) == NULL)
		return -1;
	snprintf(path, sizeof path, "%s/log", dir);
	snprintf(moved, sizeof moved, "%s/log.1", dir);
	log_setup("unit");
	return log_to_file(path, NULL);
}

static int directory_drop(void **state)
{
	unlink(path);
	unlink(moved);
	return rmdir(dir);
}

/* How many lines a file has; every one must end in tail. */
static int lines_in(const char *file, const char *tail)
{
	char line[4096];
	int count = 0;
	FILE *f = fopen(file, "r");

	if (f == NULL)
		return 0;
	for (; fgets(line, sizeof line, f) != NULL; count++) {
		size_t len = strlen(line), end = strlen(tail);
		assert_true(len > end);
		assert_string_equal(line + len - end, tail);
	}
	fclose(f);
	return count;
}

static void a_line_has_time_name_pid_and_sentence(void **state)
{
	char line[256], wanted[64];
	struct stat st;

	log_line(LOG_LEVEL_WARNING, "the key '%s' is odd", "a\nb\033[31m");
	FILE *f = fopen(path, "r");
	assert_non_null(f);
	assert_non_null(fgets(line, sizeof line, f));
	fclose(f);
	snprintf(wanted, sizeof wanted, " unit[%d]: warning: the key 'a?b?[31m' is odd\n", (int)getpid());
	assert_non_null(strstr(line, wanted));
	assert_int_equal(line[4], '-');
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(truncate(path, 0), 0);
}

static void a_line_that_is_too_long_is_cut_and_ends(void **state)
{
	char *text = malloc(10000);

	memset(text, 'x', 9999);
	text[9999] = '\0';
	log_line(LOG_LEVEL_INFO, "%s", text);
	free(text);
	assert_int_equal(lines_in(path, "xxx...\n"), 1);
	assert_int_equal(truncate(path, 0), 0);
}

static void areas_are_closed_until_they_are_opened(void **state)
{
	struct error err = ERROR_INIT;

	log_area("http", "nothing");
	assert_int_equal(log_debug("http,nonsense", &err), -EINVAL);
	assert_non_null(strstr(err.text, "'nonsense'"));
	assert_non_null(strstr(err.text, "cache"));
	assert_int_equal(log_debug("", &err), -EINVAL);
	assert_false(log_debugging("http"));
	assert_int_equal(log_debug("http,cache", &err), 0);
	assert_true(log_debugging("http"));
	assert_false(log_debugging("fuse"));
	log_area("http", "GET");
	assert_int_equal(lines_in(path, "debug: http: GET\n"), 1);
	assert_int_equal(truncate(path, 0), 0);
}

static void *lines_write(void *arg)
{
	for (int i = 0; i < LINES; i++)
		log_line(LOG_LEVEL_INFO, "the same sentence");
	return NULL;
}

static void no_line_is_lost_while_the_file_is_opened_anew(void **state)
{
	pthread_t threads[THREADS];

	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, lines_write, NULL), 0);
	assert_int_equal(rename(path, moved), 0);
	for (int i = 0; i < 50; i++)
		log_reopen();
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(lines_in(path, "the same sentence\n") + lines_in(moved, "the same sentence\n"), THREADS * LINES);
}

static void a_file_that_cannot_be_opened_is_a_sentence(void **state)
{
	struct error err = ERROR_INIT;

	assert_int_equal(log_to_file("/nonexistent/log", &err), -ENOENT);
	assert_string_equal(err.text, "cannot open the log file /nonexistent/log: No such file or directory");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_line_has_time_name_pid_and_sentence),
		cmocka_unit_test(a_line_that_is_too_long_is_cut_and_ends),
		cmocka_unit_test(areas_are_closed_until_they_are_opened),
		cmocka_unit_test(no_line_is_lost_while_the_file_is_opened_anew),
		cmocka_unit_test(a_file_that_cannot_be_opened_is_a_sentence),
	};

	return cmocka_run_group_tests(tests, directory_make, directory_drop);
}
