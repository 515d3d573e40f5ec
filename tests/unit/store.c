/* SPDX-License-Identifier: Apache-2.0
 *
 * What the user named becomes a store or a sentence; pages become one sorted listing. */
#include "fs/store.h"

#include <errno.h>
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

static char top[64], path[128];

static int top_make(void **state)
{
	snprintf(top, sizeof top, "/tmp/kesfs-store.XXXXXX");
	return mkdtemp(top) != NULL ? 0 : -1;
}

static int top_drop(void **state)
{
	return rmdir(top);
}

static const char *below(const char *name)
{
	snprintf(path, sizeof path, "%s/%s", top, name);
	return path;
}

static int open_here(const char *where, bool create, struct store *ret, struct error *err)
{
	struct backend_options o = { .write = true, .create_store = create };

	return store_open(where, &o, NULL, NULL, ret, err);
}

static void a_directory_is_a_store(void **state)
{
	struct store s;

	assert_int_equal(open_here(top, false, &s, NULL), 0);
	assert_string_equal(s.ops->name, "fs");
	assert_string_equal(s.where, top);
	assert_non_null(strstr(s.label, top));
	assert_false(s.mount);
	assert_true(store_caps(&s) & BACKEND_READ);
	store_close(&s);
	store_close(&s);
}

static void a_configuration_file_is_a_store(void **state)
{
	struct store s;
	FILE *f = fopen(below("fs.yml"), "w");

	assert_non_null(f);
	fprintf(f, "version: v1\nkeystore:\n  fs:\n    path: %s\n", top);
	fclose(f);
	assert_int_equal(open_here(path, false, &s, NULL), 0);
	assert_string_equal(s.ops->name, "fs");
	assert_string_equal(s.where, path);
	assert_non_null(strstr(s.label, top));
	store_close(&s);
	unlink(path);
}

static void what_is_not_there_is_enoent(void **state)
{
	struct error err = ERROR_INIT;
	struct store s;

	assert_int_equal(open_here(below("nothing"), false, &s, &err), -ENOENT);
	assert_non_null(strstr(err.text, path));
	assert_int_equal(open_here(below("nothing.yml"), false, &s, &err), -ENOENT);
	assert_int_equal(open_here(below("nothing.yml"), true, &s, &err), -ENOENT);
}

static void a_missing_directory_is_made_on_request_but_not_its_parents(void **state)
{
	struct error err = ERROR_INIT;
	struct store s;
	struct stat st;

	assert_int_equal(open_here(below("new/deeper"), true, &s, &err), -ENOENT);
	assert_non_null(strstr(err.text, "parent"));
	assert_int_equal(open_here(below("new"), true, &s, NULL), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	store_close(&s);
	/* Nothing was stored in it. */
	assert_int_equal(stat(path, &st), -1);
	/* Another one that has taken its path is not ours to remove. */
	assert_int_equal(open_here(path, true, &s, NULL), 0);
	assert_int_equal(rmdir(path), 0);
	assert_int_equal(mkdir(path, 0700), 0);
	store_close(&s);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(open_here(path, true, &s, NULL), 0);
	store_close(&s);
	assert_int_equal(rmdir(path), 0);
}

/* --- listings ---------------------------------------------------------------------------------------------------- */

/* Pages of a store that shows some names twice, and at first changes while it is read. */
struct backend {
	int stale;                    /* so often */
	int calls;
};

static int pages_list(struct backend *b, const struct call *c, const char *prefix, char **cursor, backend_emit *emit,
		      void *arg, struct error *err)
{
	static const char *const pages[][3] = { { "b", "a", "z" }, { "a", "c", "Z" } };
	int page = *cursor != NULL;

	b->calls++;
	for (int i = 0; i < 3; i++) {
		struct backend_entry e = { pages[page][i], -1, 17, -1, 0 };
		assert_true(emit(&e, arg));
	}
	if (page == 1 && b->stale-- > 0)
		return error_set(err, ESTALE, "changed");
	free(*cursor);
	*cursor = page == 0 ? strdup("more") : NULL;
	return 0;
}

static const struct backend_ops pages_ops = { .name = "pages", .list = pages_list };

static void pages_become_one_sorted_listing_without_duplicates(void **state)
{
	static const char *const expected[] = { "Z", "a", "b", "c", "z" };
	struct backend b = { .stale = 2 };
	struct store s = { .ops = &pages_ops, .handle = &b };
	struct call c = call_in(60, NULL);
	struct listing l;

	assert_int_equal(store_list(&s, &c, NULL, &l, NULL), 0);
	assert_int_equal(b.calls, 6);
	assert_int_equal(l.count, 5);
	for (size_t i = 0; i < l.count; i++) {
		assert_string_equal(l.entries[i].name, expected[i]);
		assert_int_equal(l.entries[i].changed, 17);
	}
	listing_free(&l);
	assert_int_equal(l.count, 0);
}

static void a_listing_that_never_holds_still_is_given_up(void **state)
{
	struct backend b = { .stale = 1000000 };
	char label[] = "pages";
	struct store s = { .ops = &pages_ops, .handle = &b, .label = label };
	struct call c = call_in(60, NULL);
	struct listing l;
	struct error err = ERROR_INIT;

	assert_int_equal(store_list(&s, &c, NULL, &l, &err), -EAGAIN);
	assert_int_equal(err.code, EAGAIN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_directory_is_a_store),
		cmocka_unit_test(a_configuration_file_is_a_store),
		cmocka_unit_test(what_is_not_there_is_enoent),
		cmocka_unit_test(a_missing_directory_is_made_on_request_but_not_its_parents),
		cmocka_unit_test(pages_become_one_sorted_listing_without_duplicates),
		cmocka_unit_test(a_listing_that_never_holds_still_is_given_up),
	};

	return cmocka_run_group_tests_name("store", tests, top_make, top_drop);
}
