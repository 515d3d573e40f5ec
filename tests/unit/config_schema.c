/* SPDX-License-Identifier: Apache-2.0
 *
 * The table of fields is sound, and kesfs.yml(5) describes these fields and no others. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "backends/config_schema.h"

static bool described(const struct schema_field *f)
{
	return f->type != SCHEMA_IGNORED && f->type != SCHEMA_RENAMED;
}

static void every_field_stands_in_a_mapping_that_precedes_it(void **state)
{
	for (size_t s = 0; s < schema_store_count; s++) {
		const struct schema_store *store = &schema_stores[s];
		assert_ptr_equal(schema_store_find(store->name), store);
		for (size_t i = 0; i < store->count; i++) {
			const struct schema_field *f = &store->fields[i];
			char parent[100] = "";
			if (strchr(f->path, '.') != NULL) {
				snprintf(parent, sizeof parent, "%.*s", (int)(strrchr(f->path, '.') - f->path),
				         f->path);
				const struct schema_field *p = schema_field_find(store, parent);
				assert_true(p != NULL && p < f && p->type == SCHEMA_MAP);
			}
			assert_true(schema_child(f, parent));
			assert_ptr_equal(schema_field_find(store, f->path), f);       /* no name twice */
			assert_int_equal(f->expected == NULL, f->type == SCHEMA_IGNORED);
		}
	}
	assert_null(schema_store_find("memory"));
}

static const struct schema_store *section_store(const char *line)
{
	char name[100];

	for (size_t s = 0; s < schema_store_count; s++) {
		const struct schema_store *store = &schema_stores[s];
		snprintf(name, sizeof name, ".Ss keystore.%s%s%s\n", store->name, store->inner != NULL ? "." : "",
		         store->inner != NULL ? store->inner : "");
		if (strcmp(line, name) == 0)
			return store;
	}
	return NULL;
}

static void item_check(const struct schema_store *store, const char *line, int *seen)
{
	char path[100] = "";

	assert_int_equal(sscanf(line, ".It Cm %99s", path), 1);
	const struct schema_field *f = schema_field_find(store, path);
	if (f == NULL || !described(f))
		fail_msg("the manual has a field %s.%s that is not read", store->name, path);
	if ((strstr(line, "needed") != NULL) != ((f->flags & SCHEMA_REQUIRED) != 0) ||
	    (strstr(line, "only kesfs") != NULL) != ((f->flags & SCHEMA_OURS) != 0))
		fail_msg("the manual says otherwise of %s.%s", store->name, path);
	seen[f - store->fields]++;
}

static void the_manual_describes_every_field(void **state)
{
	const char *source = getenv("KESFS_SOURCE");
	const struct schema_store *store = NULL;
	int seen[32][64] = { 0 };
	char path[4096], line[400];

	assert_non_null(source);              /* set by meson test */
	snprintf(path, sizeof path, "%s/docs/man/kesfs.yml.5", source);
	FILE *manual = fopen(path, "r");
	assert_non_null(manual);
	while (fgets(line, sizeof line, manual) != NULL) {
		if (strncmp(line, ".Sh ", 4) == 0 || strncmp(line, ".Ss ", 4) == 0)
			store = section_store(line);
		else if (store != NULL && strncmp(line, ".It ", 4) == 0)
			item_check(store, line, seen[store - schema_stores]);
	}
	fclose(manual);
	for (size_t s = 0; s < schema_store_count; s++)
		for (size_t i = 0; i < schema_stores[s].count; i++)
			if (seen[s][i] != described(&schema_stores[s].fields[i]))
				fail_msg("the manual has %s.%s %d times", schema_stores[s].name,
				         schema_stores[s].fields[i].path, seen[s][i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_field_stands_in_a_mapping_that_precedes_it),
		cmocka_unit_test(the_manual_describes_every_field),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
