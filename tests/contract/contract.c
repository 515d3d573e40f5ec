/* SPDX-License-Identifier: Apache-2.0
 *
 * Each promise of backend.h that one caller at a time can see, as a case of its own. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/contract/place.h"

#define OPS (place_store()->ops)
#define HANDLE (place_store()->handle)

static int create(const char *name, const struct secret *value, struct error *err)
{
	struct call c = soon();

	return OPS->create(HANDLE, &c, name, value, err);
}

static int get(const char *name, struct secret *out, struct error *err)
{
	struct call c = soon();

	return OPS->get(HANDLE, &c, name, out, err);
}

static int replace(const char *name, const struct secret *old, const struct secret *value, struct error *err)
{
	struct call c = soon();

	return OPS->replace(HANDLE, &c, name, old, value, err);
}

static int drop(const char *name, struct error *err)
{
	struct call c = soon();

	return OPS->remove(HANDLE, &c, name, err);
}

/* --- create ----------------------------------------------------------------------------------------------------- */

static void a_new_value_reads_back_byte_for_byte(void **state)
{
	static const size_t sizes[] = { 1, 31, 208, 511, 512, 513, 4095, 4096, 4097, 20000 };
	char name[NAME_ROOM];

	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		VALUE(value, sizes[i]);
		name_new(name, "new");
		assert_int_equal(create(name, &value, NULL), 0);
		assert_stored(name, &value);
	}
}

static void white_space_and_newlines_of_a_value_are_kept(void **state)
{
	char name[NAME_ROOM];
	SECRET(value);

	secret_append_text(&value, "\n {\"bytes\": \"\\u0041\"}\r\n\n");
	name_new(name, "space");
	assert_int_equal(create(name, &value, NULL), 0);
	assert_stored(name, &value);
}

static void a_taken_name_is_eexist_and_keeps_its_value(void **state)
{
	struct error err = ERROR_INIT;
	char name[NAME_ROOM];
	VALUE(first, 208);
	VALUE(second, 208);

	name_new(name, "taken");
	assert_int_equal(create(name, &first, NULL), 0);
	int r = create(name, &second, &err);
	assert_int_equal(r, -EEXIST);
	assert_sentence(&err, r, name, &second);
	assert_stored(name, &first);
}

static void the_largest_value_fits_and_one_byte_more_is_efbig(void **state)
{
	struct error err = ERROR_INIT;
	char name[NAME_ROOM];
	VALUE(value, OPS->value_max);
	SECRET(out);

	name_new(name, "large");
	assert_int_equal(create(name, &value, NULL), 0);
	assert_stored(name, &value);
	name_new(name, "larger");
	assert_int_equal(secret_append(&value, "x", 1), 0);
	int r = create(name, &value, &err);
	assert_int_equal(r, -EFBIG);
	assert_sentence(&err, r, name, &value);
	assert_int_equal(get(name, &out, NULL), -ENOENT);
}

static void names_that_cannot_be_are_einval(void **state)
{
	static const char *const bad[] = { "", "a/b", "..", "." };
	struct error err = ERROR_INIT;

	if (OPS->name_ok == NULL)
		skip();
	VALUE(value, 208);

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		assert_false(OPS->name_ok(bad[i]));
		assert_int_equal(create(bad[i], &value, &err), -EINVAL);
	}
}

/* --- get, stat --------------------------------------------------------------------------------------------------- */

static void a_missing_key_is_enoent_everywhere(void **state)
{
	struct error err = ERROR_INIT;
	char name[NAME_ROOM];
	SECRET(out);

	name_new(name, "missing");
	int r = get(name, &out, &err);
	assert_int_equal(r, -ENOENT);
	assert_sentence(&err, r, name, NULL);
	assert_int_equal(out.len, 0);
	r = drop(name, &err);
	assert_int_equal(r, -ENOENT);
	assert_sentence(&err, r, name, NULL);
}

struct seen {
	struct backend_entry entry;
	int count;
};

static bool see(const struct backend_entry *e, void *arg)
{
	struct seen *s = arg;

	s->entry = *e;
	s->count++;
	return true;
}

static void stat_tells_size_and_time_without_the_value(void **state)
{
	struct seen s = { .count = 0 };
	struct call c = soon();
	char name[NAME_ROOM];

	if (OPS->stat == NULL)
		skip();
	VALUE(value, 208);

	name_new(name, "stat");
	assert_int_equal(OPS->stat(HANDLE, &c, name, see, &s, NULL), -ENOENT);
	assert_int_equal(s.count, 0);
	assert_int_equal(create(name, &value, NULL), 0);
	assert_int_equal(OPS->stat(HANDLE, &c, name, see, &s, NULL), 0);
	assert_int_equal(s.count, 1);
	assert_int_equal(s.entry.flags, 0);
	if (OPS->caps & BACKEND_SIZES)
		assert_int_equal(s.entry.size, 208);
}

/* --- replace, remove --------------------------------------------------------------------------------------------- */

static void a_replaced_key_has_the_new_value(void **state)
{
	char name[NAME_ROOM];
	VALUE(old, 208);
	VALUE(new, 300);

	name_new(name, "replace");
	assert_int_equal(create(name, &old, NULL), 0);
	assert_int_equal(replace(name, &old, &new, NULL), 0);
	assert_stored(name, &new);
	assert_int_equal(replace(name, &new, &old, NULL), 0);
	assert_stored(name, &old);
}

static void a_replace_of_what_is_not_there_is_estale_and_changes_nothing(void **state)
{
	struct error err = ERROR_INIT;
	char name[NAME_ROOM];
	VALUE(there, 208);
	VALUE(thought, 208);
	VALUE(new, 208);
	SECRET(out);

	name_new(name, "stale");
	assert_int_equal(create(name, &there, NULL), 0);
	int r = replace(name, &thought, &new, &err);
	assert_int_equal(r, -ESTALE);
	assert_sentence(&err, r, name, &new);
	assert_stored(name, &there);
	name_new(name, "stale");
	assert_int_equal(replace(name, &thought, &new, &err), -ESTALE);
	assert_int_equal(get(name, &out, NULL), -ENOENT);
}

static void a_replace_by_the_same_value_is_fine(void **state)
{
	char name[NAME_ROOM];
	VALUE(value, 208);

	name_new(name, "same");
	assert_int_equal(create(name, &value, NULL), 0);
	assert_int_equal(replace(name, &value, &value, NULL), 0);
	assert_stored(name, &value);
}

static void a_removed_name_is_free_again(void **state)
{
	char name[NAME_ROOM];
	VALUE(first, 208);
	VALUE(second, 208);
	SECRET(out);

	name_new(name, "removed");
	assert_int_equal(create(name, &first, NULL), 0);
	assert_int_equal(drop(name, NULL), 0);
	assert_int_equal(get(name, &out, NULL), -ENOENT);
	assert_int_equal(drop(name, NULL), -ENOENT);
	if (OPS->caps & BACKEND_TOMBSTONE)
		return;
	assert_int_equal(create(name, &second, NULL), 0);
	assert_stored(name, &second);
}

static void what_is_opened_for_reading_only_changes_nothing(void **state)
{
	struct error err = ERROR_INIT;
	struct call c = soon();
	struct store reader;
	char name[NAME_ROOM];
	VALUE(value, 208);
	SECRET(out);

	name_new(name, "reader");
	place_open(&reader, false);
	assert_int_not_equal(reader.ops->create(reader.handle, &c, name, &value, &err), 0);
	assert_int_equal(get(name, &out, NULL), -ENOENT);
	assert_int_equal(create(name, &value, NULL), 0);
	assert_int_not_equal(reader.ops->remove(reader.handle, &c, name, &err), 0);
	store_close(&reader);
	assert_stored(name, &value);
}

/* --- list -------------------------------------------------------------------------------------------------------- */

static void a_listing_has_every_key_once(void **state)
{
	enum { KEYS = 300 };
	char names[KEYS][NAME_ROOM];
	struct listing listing;
	struct call c = soon();
	size_t found = 0;
	VALUE(value, 208);

	for (size_t i = 0; i < KEYS; i++) {
		name_new(names[i], "list");
		assert_int_equal(create(names[i], &value, NULL), 0);
	}
	assert_int_equal(store_list(place_store(), &c, "list-", &listing, NULL), 0);
	for (size_t i = 0; i < listing.count; i++) {
		if (i > 0)
			assert_true(strcmp(listing.entries[i - 1].name, listing.entries[i].name) < 0);
		for (size_t j = 0; j < KEYS; j++)
			if (strcmp(names[j], listing.entries[i].name) == 0) {
				assert_int_equal(listing.entries[i].flags, 0);
				found++;
			}
	}
	listing_free(&listing);
	assert_int_equal(found, KEYS);
	for (size_t i = 0; i < KEYS; i++)
		assert_int_equal(drop(names[i], NULL), 0);
}

static bool see_one(const struct backend_entry *e, void *arg)
{
	++*(int *)arg;
	return false;
}

static void a_listing_stops_when_it_is_told_to(void **state)
{
	struct call c = soon();
	char name[NAME_ROOM], *cursor = NULL;
	int count = 0;
	VALUE(value, 208);

	for (int i = 0; i < 3; i++) {
		name_new(name, "stop");
		assert_int_equal(create(name, &value, NULL), 0);
	}
	assert_int_equal(OPS->list(HANDLE, &c, NULL, &cursor, see_one, &count, NULL), 0);
	free(cursor);
	assert_int_equal(count, 1);
}

/* --- deadline, cancel -------------------------------------------------------------------------------------------- */

/* Every operation, by a call that may not begin any more. */
static void nothing_happens(const struct call *c, int expected)
{
	struct error err = ERROR_INIT;
	char there[NAME_ROOM], absent[NAME_ROOM], *cursor = NULL;
	int count = 0;
	VALUE(value, 208);
	VALUE(other, 208);
	SECRET(out);

	name_new(there, "there");
	name_new(absent, "absent");
	assert_int_equal(create(there, &value, NULL), 0);

	assert_int_equal(OPS->status(HANDLE, c, &err), expected);
	assert_int_equal(OPS->list(HANDLE, c, NULL, &cursor, see_one, &count, &err), expected);
	assert_int_equal(OPS->get(HANDLE, c, there, &out, &err), expected);
	int r = OPS->create(HANDLE, c, absent, &value, &err);
	assert_int_equal(r, expected);
	assert_sentence(&err, r, NULL, &value);
	assert_int_equal(OPS->replace(HANDLE, c, there, &value, &other, &err), expected);
	assert_int_equal(OPS->remove(HANDLE, c, there, &err), expected);

	assert_int_equal(count, 0);
	assert_null(cursor);
	assert_int_equal(out.len, 0);
	assert_stored(there, &value);
	assert_int_equal(get(absent, &out, NULL), -ENOENT);
}

static void after_its_deadline_a_call_does_nothing(void **state)
{
	struct call c = { .deadline = call_now() - 1 };

	nothing_happens(&c, -ETIMEDOUT);
}

static void a_cancelled_call_does_nothing(void **state)
{
	struct cancel cancel;

	cancel_init(&cancel);
	cancel_request(&cancel);
	struct call c = call_in(60, &cancel);
	nothing_happens(&c, -ECANCELED);
	cancel_destroy(&cancel);
}

/* --- the handle -------------------------------------------------------------------------------------------------- */

static void closing_nothing_is_fine(void **state)
{
	OPS->close(NULL);
}

static void two_handles_of_one_store_have_one_identity(void **state)
{
	struct call c = soon();
	struct store other;
	char *a, *b;

	if (OPS->identity == NULL)
		skip();
	place_open(&other, false);
	assert_int_equal(OPS->identity(HANDLE, &c, &a, NULL), 0);
	assert_int_equal(other.ops->identity(other.handle, &c, &b, NULL), 0);
	assert_string_equal(a, b);
	free(a);
	free(b);
	store_close(&other);
}

static void requests_are_counted(void **state)
{
	struct backend_counts before, after;
	SECRET(out);

	if (OPS->counts == NULL)
		skip();
	OPS->counts(HANDLE, &before);
	assert_int_equal(get("never-there", &out, NULL), -ENOENT);
	OPS->counts(HANDLE, &after);
	assert_true(after.requests > before.requests);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_new_value_reads_back_byte_for_byte),
		cmocka_unit_test(white_space_and_newlines_of_a_value_are_kept),
		cmocka_unit_test(a_taken_name_is_eexist_and_keeps_its_value),
		cmocka_unit_test(the_largest_value_fits_and_one_byte_more_is_efbig),
		cmocka_unit_test(names_that_cannot_be_are_einval),
		cmocka_unit_test(a_missing_key_is_enoent_everywhere),
		cmocka_unit_test(stat_tells_size_and_time_without_the_value),
		cmocka_unit_test(a_replaced_key_has_the_new_value),
		cmocka_unit_test(a_replace_of_what_is_not_there_is_estale_and_changes_nothing),
		cmocka_unit_test(a_replace_by_the_same_value_is_fine),
		cmocka_unit_test(a_removed_name_is_free_again),
		cmocka_unit_test(what_is_opened_for_reading_only_changes_nothing),
		cmocka_unit_test(a_listing_has_every_key_once),
		cmocka_unit_test(a_listing_stops_when_it_is_told_to),
		cmocka_unit_test(after_its_deadline_a_call_does_nothing),
		cmocka_unit_test(a_cancelled_call_does_nothing),
		cmocka_unit_test(closing_nothing_is_fine),
		cmocka_unit_test(two_handles_of_one_store_have_one_identity),
		cmocka_unit_test(requests_are_counted),
	};

	return cmocka_run_group_tests_name("contract", tests, place_make, place_drop);
}
