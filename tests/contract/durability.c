/* SPDX-License-Identifier: Apache-2.0
 *
 * What a directory store asks of the disk, and in which order: the calls that make a key durable are caught on their
 * way to the system and written down.  (What a disk makes of them was measured: keystores.md 6.2.) */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "backends/dir.h"
#include "tests/contract/place.h"

/* --- catching ---------------------------------------------------------------------------------------------------- */

/* Letters: w write, f fsync of a file, d fsync of a directory, S syncfs, l link, r rename without replacing, x exchange,
 * u unlink. */
static char seen[128];
static char failing;                  /* this one fails with EIO, */
static int failing_after;             /* after so many that do not */
static bool old_system;               /* no renameat2() */

static bool note(char letter)
{
	size_t len = strlen(seen);

	if (len + 1 < sizeof seen)
		seen[len] = letter;
	if (failing != letter || failing_after-- > 0)
		return true;
	errno = EIO;
	return false;
}

ssize_t write(int fd, const void *bytes, size_t len)
{
	struct stat st;

	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && !note('w'))
		return -1;
	return syscall(SYS_write, fd, bytes, len);
}

int fsync(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && note(S_ISDIR(st.st_mode) ? 'd' : 'f') ? (int)syscall(SYS_fsync, fd) : -1;
}

int syncfs(int fd)
{
	return note('S') ? (int)syscall(SYS_syncfs, fd) : -1;
}

int linkat(int from, const char *old, int to, const char *new, int flags)
{
	return note('l') ? (int)syscall(SYS_linkat, from, old, to, new, flags) : -1;
}

int renameat2(int from, const char *old, int to, const char *new, unsigned flags)
{
	if (old_system) {
		errno = EINVAL;
		return -1;
	}
	return note(flags == RENAME_EXCHANGE ? 'x' : 'r') ? (int)syscall(SYS_renameat2, from, old, to, new, flags) : -1;
}

int renameat(int from, const char *old, int to, const char *new)
{
	return note('R') ? (int)syscall(SYS_renameat2, from, old, to, new, 0) : -1;
}

int unlinkat(int dir, const char *name, int flags)
{
	return note('u') ? (int)syscall(SYS_unlinkat, dir, name, flags) : -1;
}

/* --- cases ------------------------------------------------------------------------------------------------------- */

static struct store *store;

static unsigned long nothing_unwritten(void)
{
	return 0;
}

static int fresh(void **state)
{
	store = place_store();
	store->handle->named = false;
	store->handle->in_memory = false;
	memset(seen, 0, sizeof seen);
	failing = 0;
	failing_after = 0;
	old_system = false;
	struct crowd *crowd = &store->handle->crowd;
	crowd->fd = store->handle->fd;
	crowd->able = false;
	crowd->failed = false;
	crowd->inside = 0;
	crowd->rests = 0;
	crowd->unwritten = nothing_unwritten;
	return 0;
}

static int create(const char *name, const struct secret *value)
{
	struct call c = soon();

	memset(seen, 0, sizeof seen);
	return store->ops->create(store->handle, &c, name, value, NULL);
}

static int replace(const char *name, const struct secret *old, const struct secret *value)
{
	struct call c = soon();

	memset(seen, 0, sizeof seen);
	return store->ops->replace(store->handle, &c, name, old, value, NULL);
}

/* Without O_TMPFILE the other way is taken by itself. */
static bool unnamed_files_here(void)
{
	char name[NAME_ROOM];
	VALUE(value, 208);

	name_new(name, "probe");
	assert_int_equal(create(name, &value), 0);
	return !store->handle->named;
}

static void an_unnamed_file_is_synced_before_and_after_its_link(void **state)
{
	char name[NAME_ROOM];

	if (!unnamed_files_here())
		skip();
	VALUE(value, 208);

	name_new(name, "unnamed");
	assert_int_equal(create(name, &value), 0);
	assert_string_equal(seen, "wflf");
	assert_stored(name, &value);
}

static void a_named_file_is_synced_before_its_rename_and_the_directory_after(void **state)
{
	char name[NAME_ROOM];
	VALUE(value, 208);

	store->handle->named = true;
	name_new(name, "named");
	assert_int_equal(create(name, &value), 0);
	assert_string_equal(seen, "wfrd");
	assert_stored(name, &value);
}

/* As if others were at work, too. */
static void crowd_gather(void)
{
	store->handle->crowd.able = true;
	store->handle->crowd.inside = 100;
}

static void in_a_crowd_the_file_system_is_synced_before_and_after_the_link(void **state)
{
	char name[NAME_ROOM];

	if (!unnamed_files_here())
		skip();
	VALUE(value, 208);
	VALUE(other, 208);

	crowd_gather();
	name_new(name, "crowd");
	assert_int_equal(create(name, &value), 0);
	assert_string_equal(seen, "wSlS");
	assert_stored(name, &value);
	assert_int_equal(create(name, &other), -EEXIST);
	assert_stored(name, &value);
}

/* What the failed sync has lost may be any file's, and an fsync() would not say so again. */
static void where_a_crowds_sync_fails_each_file_is_written_anew_and_synced_by_itself(void **state)
{
	char name[NAME_ROOM];

	if (!unnamed_files_here())
		skip();
	VALUE(value, 208);

	crowd_gather();
	name_new(name, "alone");
	failing = 'S';
	assert_int_equal(create(name, &value), 0);
	assert_string_equal(seen, "wSwflf");
	assert_stored(name, &value);
	failing = 0;
	name_new(name, "later");
	assert_int_equal(create(name, &value), 0);
	assert_string_equal(seen, "wflf");
}

static void a_crowds_sync_that_fails_after_the_link_is_told(void **state)
{
	struct error err = ERROR_INIT;
	struct call c = soon();
	char name[NAME_ROOM];

	if (!unnamed_files_here())
		skip();
	VALUE(value, 208);

	crowd_gather();
	name_new(name, "unsure");
	failing = 'S';
	failing_after = 1;
	int r = store->ops->create(store->handle, &c, name, &value, &err);
	failing = 0;
	assert_int_equal(r, -EIO);
	assert_sentence(&err, r, name, &value);
	assert_non_null(strstr(err.text, "power cut"));
}

static void without_rename_that_does_not_replace_a_link_decides(void **state)
{
	char name[NAME_ROOM];
	VALUE(value, 208);
	VALUE(other, 208);

	store->handle->named = true;
	old_system = true;
	name_new(name, "linked");
	assert_int_equal(create(name, &value), 0);
	assert_string_equal(seen, "wfldu");
	assert_int_equal(create(name, &other), -EEXIST);
	assert_stored(name, &value);
	assert_int_equal(replace(name, &value, &other), 0);
	assert_string_equal(seen, "wfRd");
	assert_stored(name, &other);
}

static void a_replace_is_synced_before_the_exchange_and_the_old_file_goes_last(void **state)
{
	char name[NAME_ROOM];
	VALUE(value, 208);
	VALUE(other, 208);

	name_new(name, "exchange");
	assert_int_equal(create(name, &value), 0);
	assert_int_equal(replace(name, &value, &other), 0);
	assert_string_equal(seen, "wfxdu");
	assert_stored(name, &other);
}

static void a_removal_is_synced(void **state)
{
	struct call c = soon();
	char name[NAME_ROOM];
	VALUE(value, 208);

	name_new(name, "removal");
	assert_int_equal(create(name, &value), 0);
	memset(seen, 0, sizeof seen);
	assert_int_equal(store->ops->remove(store->handle, &c, name, NULL), 0);
	assert_string_equal(seen, "ud");
}

static void in_memory_nothing_is_synced(void **state)
{
	char name[NAME_ROOM];

	if (!unnamed_files_here())
		skip();
	VALUE(value, 208);
	VALUE(other, 208);

	store->handle->in_memory = true;
	name_new(name, "memory");
	assert_int_equal(create(name, &value), 0);
	assert_string_equal(seen, "wl");
	assert_int_equal(replace(name, &value, &other), 0);
	assert_string_equal(seen, "wxu");
}

/* Whatever fails before the file has its name leaves no name. */
static void a_create_that_fails_leaves_nothing(void **state)
{
	static const char steps[] = "wflr";
	char name[NAME_ROOM];
	VALUE(value, 208);
	SECRET(out);

	for (int named = 0; named < 2; named++)
		for (const char *step = steps; *step != '\0'; step++) {
			struct call c = soon();
			struct listing l;
			store->handle->named = named;
			if (*step == (named ? 'l' : 'r'))
				continue;
			failing = *step;
			name_new(name, "fails");
			assert_int_equal(create(name, &value), -EIO);
			failing = 0;
			assert_int_equal(store->ops->get(store->handle, &c, name, &out, NULL), -ENOENT);
			assert_int_equal(store_list(store, &c, name, &l, NULL), 0);
			assert_int_equal(l.count, 0);
			listing_free(&l);
		}
}

static void a_replace_that_fails_leaves_the_old_value(void **state)
{
	static const char steps[] = "wfx";
	char name[NAME_ROOM];
	VALUE(value, 208);
	VALUE(other, 208);

	name_new(name, "kept");
	assert_int_equal(create(name, &value), 0);
	for (const char *step = steps; *step != '\0'; step++) {
		failing = *step;
		assert_int_equal(replace(name, &value, &other), -EIO);
		failing = 0;
		assert_stored(name, &value);
	}
}

static void a_directory_that_cannot_be_synced_is_told(void **state)
{
	struct error err = ERROR_INIT;
	struct call c = soon();
	char name[NAME_ROOM];
	VALUE(value, 208);

	store->handle->named = true;
	name_new(name, "unsure");
	failing = 'd';
	int r = store->ops->create(store->handle, &c, name, &value, &err);
	failing = 0;
	assert_int_equal(r, -EIO);
	assert_sentence(&err, r, name, &value);
	assert_non_null(strstr(err.text, "power cut"));
}

#define CASE(f) cmocka_unit_test_setup(f, fresh)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(an_unnamed_file_is_synced_before_and_after_its_link),
		CASE(a_named_file_is_synced_before_its_rename_and_the_directory_after),
		CASE(in_a_crowd_the_file_system_is_synced_before_and_after_the_link),
		CASE(where_a_crowds_sync_fails_each_file_is_written_anew_and_synced_by_itself),
		CASE(a_crowds_sync_that_fails_after_the_link_is_told),
		CASE(without_rename_that_does_not_replace_a_link_decides),
		CASE(a_replace_is_synced_before_the_exchange_and_the_old_file_goes_last),
		CASE(a_removal_is_synced),
		CASE(in_memory_nothing_is_synced),
		CASE(a_create_that_fails_leaves_nothing),
		CASE(a_replace_that_fails_leaves_the_old_value),
		CASE(a_directory_that_cannot_be_synced_is_told),
	};

	unsetenv("KESFS_CONTRACT_STORE");
	return cmocka_run_group_tests_name("durability", tests, place_make, place_drop);
}
