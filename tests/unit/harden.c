/* SPDX-License-Identifier: Apache-2.0
 *
 * What free() and realloc() leave behind, looked at where the block was: with the heap's own notes at its beginning
 * (two pointers) left out. */
#include <errno.h>
#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fs/harden.h"

#ifndef KESFS_SANITIZED

enum { NOTES = 2 * sizeof(void *) };

/* Out of the compiler's sight: a use after free is what is looked for here. */
static size_t left_at(volatile uintptr_t where, size_t len)
{
	const volatile unsigned char *p = (const volatile unsigned char *)where;
	size_t left = 0;

	for (size_t i = NOTES; i < len; i++)
		left += p[i] == 'K';
	return left;
}

static void *filled(size_t len)
{
	unsigned char *p = malloc(len);

	assert_non_null(p);
	for (volatile size_t i = 0; i < len; i++)
		p[i] = 'K';
	return p;
}

static void free_wipes(void **state)
{
	for (size_t len = 40; len < 60000; len *= 3) {
		void *p = filled(len);
		volatile uintptr_t where = (uintptr_t)p;
		free(p);
		assert_int_equal(left_at(where, len), 0);
	}
}

static void realloc_that_moves_wipes_the_old_block(void **state)
{
	void *p = filled(500);
	volatile uintptr_t where = (uintptr_t)p;
	unsigned char *q = realloc(p, 20000);

	assert_non_null(q);
	assert_int_equal(left_at(where, 500), 0);
	for (size_t i = 0; i < 500; i++)
		assert_int_equal(q[i], 'K');
	free(q);
}

static void realloc_that_shrinks_wipes_the_rest(void **state)
{
	void *p = filled(20000);
	volatile uintptr_t where = (uintptr_t)p;
	unsigned char *q = realloc(p, 15000);

	assert_int_equal(left_at(where + 15000, 5000 - NOTES), 0);
	q = realloc(q, 100);
	for (size_t i = 0; i < 100; i++)
		assert_int_equal(q[i], 'K');
	assert_int_equal(left_at(where + 100, 14000), 0);
	free(q);
}

static void realloc_keeps_its_promises(void **state)
{
	volatile size_t huge = SIZE_MAX / 2, odd = SIZE_MAX / 3;
	void *volatile kept = realloc(NULL, 10);

	assert_non_null(kept);
	assert_null(realloc(kept, huge));
	assert_null(reallocarray(kept, odd, 5));
	assert_int_equal(errno, ENOMEM);
	void *p = reallocarray(kept, 100, 100);
	assert_true(malloc_usable_size(p) >= 10000);
	assert_null(realloc(p, 0));
}

#endif

static void free_keeps_errno(void **state)
{
	void *p = malloc(10);

	errno = EXDEV;
	free(p);
	free(NULL);
	assert_int_equal(errno, EXDEV);
}

static void the_c_library_uses_them_too(void **state)
{
	char *line = NULL, *text = NULL;
	size_t room = 0, len = 0;
	FILE *f = open_memstream(&text, &len);

	assert_non_null(f);
	for (int i = 0; i < 2000; i++)
		fprintf(f, "%0200d\n", i);
	fclose(f);
	f = fmemopen(text, len, "r");
	assert_non_null(f);
	while (getline(&line, &room, f) > 0)
		assert_int_equal(strlen(line), 201);
	fclose(f);
	free(line);
	volatile uintptr_t where = (uintptr_t)text;
	free(text);
	assert_true(where != 0);
	harden_wipe_stack();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#ifndef KESFS_SANITIZED
		cmocka_unit_test(free_wipes),
		cmocka_unit_test(realloc_that_moves_wipes_the_old_block),
		cmocka_unit_test(realloc_that_shrinks_wipes_the_rest),
		cmocka_unit_test(realloc_keeps_its_promises),   /* sanitizers abort on what is too much */
#endif
		cmocka_unit_test(free_keeps_errno),
		cmocka_unit_test(the_c_library_uses_them_too),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
