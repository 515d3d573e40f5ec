/* SPDX-License-Identifier: Apache-2.0
 *
 * Secrets on the locked heap: bounded, wiped, and never so many that OpenSSL starves. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cmocka.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>

#include "backends/secret.h"

static int heap_setup(void **state)
{
	bool locked;

	return secret_setup(&locked, NULL);
}

static void the_process_can_no_longer_be_dumped(void **state)
{
	assert_int_equal(prctl(PR_GET_DUMPABLE), 0);
}

static void bytes_grow_shrink_and_compare(void **state)
{
	SECRET(a);
	SECRET(b);

	assert_int_equal(secret_append_text(&a, "0123456789"), 0);
	assert_int_equal(secret_append(&a, NULL, 0), 0);
	assert_int_equal(secret_copy(&b, &a), 0);
	assert_true(secret_equal(&a, &b));
	b.bytes[3] ^= 1;
	assert_false(secret_equal(&a, &b));
	assert_int_equal(secret_resize(&a, 4), 0);
	assert_int_equal(a.len, 4);
	assert_int_equal(a.bytes[4], 0);      /* what was cut off is wiped */
	assert_int_equal(secret_resize(&a, 6), 0);
	assert_memory_equal(a.bytes, "0123\0\0", 6);
	assert_false(secret_equal(&a, &b));
	assert_string_equal(secret_text(&a), "0123");
}

static void an_empty_secret_is_whole(void **state)
{
	SECRET(a);
	SECRET(b);

	assert_true(secret_equal(&a, &b));
	assert_string_equal(secret_text(&a), "");
	secret_wipe(NULL);
	secret_wipe(&b);
	secret_trim(&b);
	assert_int_equal(b.len, 0);
}

static void moving_leaves_nothing_behind(void **state)
{
	SECRET(a);
	SECRET(b);

	assert_int_equal(secret_append_text(&a, "key"), 0);
	unsigned char *bytes = a.bytes;
	secret_move(&b, &a);
	assert_ptr_equal(b.bytes, bytes);
	assert_null(a.bytes);
	assert_int_equal(a.len + a.cap, 0);
}

static void white_space_is_trimmed_at_the_end_only(void **state)
{
	SECRET(a);

	assert_int_equal(secret_append_text(&a, " s.token \r\n\t"), 0);
	secret_trim(&a);
	assert_string_equal(secret_text(&a), " s.token");
}

static void more_than_the_limit_is_refused_and_changes_nothing(void **state)
{
	SECRET(a);

	assert_int_equal(secret_append_text(&a, "key"), 0);
	assert_int_equal(secret_reserve(&a, (size_t)SECRET_MAX + 1), -EFBIG);
	assert_string_equal(secret_text(&a), "key");
}

static void large_values_keep_their_bytes(void **state)
{
	SECRET(a);

	for (int i = 0; i < 100000; i++) {
		unsigned char c = (unsigned char)(i * 7);
		assert_int_equal(secret_append(&a, &c, 1), 0);
	}
	for (int i = 0; i < 100000; i++)
		if (a.bytes[i] != (unsigned char)(i * 7))
			fail_msg("byte %d", i);
}

#ifndef KESFS_SANITIZED
enum { CHUNK = 4096, CHUNKS_MAX = 4096 };
static struct secret chunks[CHUNKS_MAX];
static size_t chunks_fit;                     /* found out by the first of the two tests */

static void the_last_eighth_of_the_heap_is_left_to_openssl(void **state)
{
	unsigned char random[16];
	size_t n = 0;
	int r;

	while ((r = secret_reserve(&chunks[n], CHUNK)) == 0)
		assert_true(++n < CHUNKS_MAX);
	assert_int_equal(r, -ENOMEM);
	assert_int_equal(RAND_priv_bytes(random, sizeof random), 1);
	void *left = OPENSSL_secure_malloc(CHUNK);
	assert_non_null(left);
	assert_true(CRYPTO_secure_allocated(left));
	OPENSSL_secure_free(left);
	for (size_t i = 0; i < n; i++)
		secret_wipe(&chunks[i]);
	chunks_fit = n;
}

static void *wipe_one(void *arg)
{
	secret_wipe(arg);
	return NULL;
}

static void a_full_heap_is_waited_for(void **state)
{
	pthread_t thread;
	SECRET(waits);

	assert_true(chunks_fit > 0);
	for (size_t i = 0; i < chunks_fit; i++)
		assert_int_equal(secret_reserve(&chunks[i], CHUNK), 0);
	assert_int_equal(pthread_create(&thread, NULL, wipe_one, &chunks[0]), 0);
	assert_int_equal(secret_reserve(&waits, CHUNK), 0);
	pthread_join(thread, NULL);
	for (size_t i = 1; i < chunks_fit; i++)
		secret_wipe(&chunks[i]);
}
#endif

static int file_with(const char *text, char path[static 64])
{
	strcpy(path, "/tmp/kesfs-secret.XXXXXX");
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
	return 0;
}

static void a_file_is_read_whole_or_refused_by_name(void **state)
{
	struct error err = ERROR_INIT;
	char path[64], expected[128];
	SECRET(a);

	file_with("s.token\n", path);
	assert_int_equal(secret_read_file(&a, path, 8, &err), 0);
	assert_string_equal(secret_text(&a), "s.token\n");
	secret_wipe(&a);
	assert_int_equal(secret_read_file(&a, path, 7, &err), -EFBIG);
	snprintf(expected, sizeof expected, "%s: more than 7 bytes", path);
	assert_string_equal(err.text, expected);
	unlink(path);
	secret_wipe(&a);
	assert_int_equal(secret_read_file(&a, path, 7, &err), -ENOENT);
	snprintf(expected, sizeof expected, "%s: No such file or directory", path);
	assert_string_equal(err.text, expected);
}

static void what_is_read_is_appended(void **state)
{
	int ends[2];
	SECRET(a);

	assert_int_equal(secret_append_text(&a, "one "), 0);
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	assert_int_equal(write(ends[1], "two", 3), 3);
	close(ends[1]);
	assert_int_equal(secret_read_fd(&a, ends[0], 3, NULL), 0);
	close(ends[0]);
	assert_string_equal(secret_text(&a), "one two");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_process_can_no_longer_be_dumped),
		cmocka_unit_test(bytes_grow_shrink_and_compare),
		cmocka_unit_test(an_empty_secret_is_whole),
		cmocka_unit_test(moving_leaves_nothing_behind),
		cmocka_unit_test(white_space_is_trimmed_at_the_end_only),
		cmocka_unit_test(more_than_the_limit_is_refused_and_changes_nothing),
		cmocka_unit_test(large_values_keep_their_bytes),
#ifndef KESFS_SANITIZED
		cmocka_unit_test(the_last_eighth_of_the_heap_is_left_to_openssl),
		cmocka_unit_test(a_full_heap_is_waited_for),
#endif
		cmocka_unit_test(a_file_is_read_whole_or_refused_by_name),
		cmocka_unit_test(what_is_read_is_appended),
	};

	return cmocka_run_group_tests(tests, heap_setup, NULL);
}
