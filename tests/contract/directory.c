/* SPDX-License-Identifier: Apache-2.0
 *
 * What is particular to a directory: what else may lie in it, whose the files are, and what the system may refuse. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "tests/contract/place.h"

#define OPS (place_store()->ops)
#define HANDLE (place_store()->handle)
static const char KEY[] =
	"CiQKIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4fEAESJAogICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8QARoL"
	"CIDiz6oGEJWa7zoiQGM4NGNjOWI5MWFlMjM5OWIwNDNkYTdlY2E2MTYwNDhkNGI0MjAwZWRmMmZmNDE4ZDhhZjM4MzU5MTFkYjk0NWQ=";

/* The clock that the directory store sees: a file's age cannot be set, since it is that of its inode's last change. */
static time_t ahead;

time_t time(time_t *ret)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	if (ret != NULL)
		*ret = now.tv_sec + ahead;
	return now.tv_sec + ahead;
}

/* --- helpers ----------------------------------------------------------------------------------------------------- */

static const char *inside(const char *name)
{
	static char path[4][512];
	static int turn;
	char *p = path[turn++ % 4];

	snprintf(p, sizeof path[0], "%s/%s", place_path(), name);
	return p;
}

static void file_write(const char *path, const char *text, size_t len)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, len), len);
	close(fd);
}

static int create_in(struct store *s, const char *name, const struct secret *value, struct error *err)
{
	struct call c = soon();

	return s->ops->create(s->handle, &c, name, value, err);
}

static int replace_in(struct store *s, const char *name, const struct secret *old, const struct secret *value,
		      struct error *err)
{
	struct call c = soon();

	return s->ops->replace(s->handle, &c, name, old, value, err);
}

static int remove_in(struct store *s, const char *name, struct error *err)
{
	struct call c = soon();

	return s->ops->remove(s->handle, &c, name, err);
}

static int get_in(struct store *s, const char *name, struct secret *out, struct error *err)
{
	struct call c = soon();

	return s->ops->get(s->handle, &c, name, out, err);
}

/* The flags of a name in the listing; -1: not listed. */
static int listed(struct store *s, const char *name)
{
	struct listing l;
	struct call c = soon();
	int flags = -1;

	assert_int_equal(store_list(s, &c, NULL, &l, NULL), 0);
	for (size_t i = 0; i < l.count; i++)
		if (strcmp(l.entries[i].name, name) == 0)
			flags = (int)l.entries[i].flags;
	listing_free(&l);
	return flags;
}

static void open_at(const char *path, struct store *ret)
{
	struct backend_options o = { .write = true };
	struct error err = ERROR_INIT;

	if (store_open(path, &o, NULL, NULL, ret, &err) != 0)
		fail_msg("%s", err.text);
}

/* --- what lies in it --------------------------------------------------------------------------------------------- */

static void a_symbolic_link_is_named_and_never_followed(void **state)
{
	struct error err = ERROR_INIT;
	VALUE(value, 208);
	SECRET(out);

	file_write(inside("real"), KEY, strlen(KEY));
	assert_int_equal(symlink("real", inside("link")), 0);
	assert_int_equal(symlink("nowhere", inside("dangling")), 0);
	assert_int_equal(listed(place_store(), "link"), ENTRY_SYMLINK);
	int r = get_in(place_store(), "link", &out, &err);
	assert_int_equal(r, -EBADMSG);
	assert_sentence(&err, r, "link", NULL);
	assert_int_equal(create_in(place_store(), "dangling", &value, NULL), -EEXIST);
	assert_int_equal(replace_in(place_store(), "link", &value, &value, NULL), -EBADMSG);
	assert_int_equal(remove_in(place_store(), "link", NULL), -EBADMSG);
	assert_int_equal(access(inside("nowhere"), F_OK), -1);
	assert_int_equal(access(inside("link"), F_OK), 0);
	unlink(inside("link"));
	unlink(inside("dangling"));
	unlink(inside("real"));
}

static void a_directory_is_a_folder_and_no_key(void **state)
{
	VALUE(value, 208);
	SECRET(out);

	assert_int_equal(mkdir(inside("folder"), 0700), 0);
	assert_int_equal(listed(place_store(), "folder"), ENTRY_FOLDER);
	assert_int_equal(get_in(place_store(), "folder", &out, NULL), -EBADMSG);
	assert_int_equal(create_in(place_store(), "folder", &value, NULL), -EEXIST);
	assert_int_equal(remove_in(place_store(), "folder", NULL), -EBADMSG);
	rmdir(inside("folder"));
}

static void a_fifo_or_socket_is_foreign_and_does_not_hang_a_reader(void **state)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	SECRET(out);

	assert_int_equal(mkfifo(inside("fifo"), 0600), 0);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	snprintf(address.sun_path, sizeof address.sun_path, "%s", inside("socket"));
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
	assert_int_equal(listed(place_store(), "fifo"), ENTRY_FOREIGN);
	assert_int_equal(listed(place_store(), "socket"), ENTRY_FOREIGN);
	assert_int_equal(get_in(place_store(), "fifo", &out, NULL), -EBADMSG);
	assert_int_equal(get_in(place_store(), "socket", &out, NULL), -EBADMSG);
	close(fd);
	unlink(inside("fifo"));
	unlink(inside("socket"));
}

static void a_name_that_kes_cannot_open_is_foreign(void **state)
{
	static const char *const names[] = { "a.b", "back\\slash", ".hidden", "key.bak" };

	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		file_write(inside(names[i]), KEY, strlen(KEY));
		assert_int_equal(listed(place_store(), names[i]), ENTRY_FOREIGN);
		unlink(inside(names[i]));
	}
}

static void a_file_of_more_than_a_mebibyte_is_efbig_and_never_cut(void **state)
{
	struct error err = ERROR_INIT;
	SECRET(out);

	file_write(inside("huge"), "x", 1);
	assert_int_equal(truncate(inside("huge"), 1024 * 1024), 0);
	assert_int_equal(get_in(place_store(), "huge", &out, &err), 0);
	assert_int_equal(out.len, 1024 * 1024);
	secret_wipe(&out);
	assert_int_equal(truncate(inside("huge"), 1024 * 1024 + 1), 0);
	int r = get_in(place_store(), "huge", &out, &err);
	assert_int_equal(r, -EFBIG);
	assert_sentence(&err, r, "huge", NULL);
	assert_int_equal(out.len, 0);
	unlink(inside("huge"));
}

static void leftovers_are_not_listed_and_old_ones_removed(void **state)
{
	struct store reader;

	file_write(inside(".kesfs-1-2-3"), KEY, strlen(KEY));
	assert_int_equal(listed(place_store(), ".kesfs-1-2-3"), -1);
	assert_int_equal(access(inside(".kesfs-1-2-3"), F_OK), 0);
	ahead = 2 * 3600;
	place_open(&reader, false);
	assert_int_equal(listed(&reader, ".kesfs-1-2-3"), -1);
	assert_int_equal(access(inside(".kesfs-1-2-3"), F_OK), 0);
	store_close(&reader);
	assert_int_equal(listed(place_store(), ".kesfs-1-2-3"), -1);
	assert_int_equal(access(inside(".kesfs-1-2-3"), F_OK), -1);
	ahead = 0;
}

static void a_file_that_only_begins_like_a_leftover_stays(void **state)
{
	static const char *const names[] = {
		".kesfs-", ".kesfs-backup", ".kesfs-1", ".kesfs-1-2", ".kesfs-1-2-", ".kesfs-1-2-3-4", ".kesfs-1-2-3.yml",
	};

	ahead = 2 * 3600;
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		file_write(inside(names[i]), KEY, strlen(KEY));
		assert_int_equal(listed(place_store(), names[i]), ENTRY_FOREIGN);
		assert_int_equal(access(inside(names[i]), F_OK), 0);
		unlink(inside(names[i]));
	}
	ahead = 0;
}

/* --- half-written files ------------------------------------------------------------------------------------------- */

struct finisher {
	int notify;
	const char *path;
};

/* Complete the file as soon as somebody has read its first half. */
static void *finish_writing(void *arg)
{
	struct finisher *f = arg;
	struct pollfd p = { .fd = f->notify, .events = POLLIN };
	char event[512];

	if (poll(&p, 1, 60000) != 1 || read(f->notify, event, sizeof event) <= 0)
		return NULL;
	int fd = open(f->path, O_WRONLY | O_APPEND | O_CLOEXEC);
	if (fd >= 0 && write(fd, KEY + 100, strlen(KEY) - 100) > 0)
		close(fd);
	return NULL;
}

static bool second_look_sees_all(const char *name)
{
	struct finisher f = { inotify_init1(IN_CLOEXEC), inside(name) };
	pthread_t thread;
	SECRET(out);

	file_write(f.path, KEY, 100);
	assert_true(inotify_add_watch(f.notify, f.path, IN_CLOSE_NOWRITE) >= 0);
	assert_int_equal(pthread_create(&thread, NULL, finish_writing, &f), 0);
	assert_int_equal(get_in(place_store(), name, &out, NULL), 0);
	pthread_join(thread, NULL);
	close(f.notify);
	unlink(f.path);
	return out.len == strlen(KEY) && memcmp(out.bytes, KEY, out.len) == 0;
}

static void a_file_that_is_being_written_is_read_once_more(void **state)
{
	bool seen = false;

	/* The writer has 50 ms; a machine that is too busy for that gets more chances. */
	for (int i = 0; i < 50 && !seen; i++)
		seen = second_look_sees_all("half");
	assert_true(seen);
}

/* --- whose the files are ------------------------------------------------------------------------------------------ */

static void a_new_file_is_the_owners_alone(void **state)
{
	struct stat st;
	mode_t before = umask(0);
	VALUE(value, 208);

	assert_int_equal(create_in(place_store(), "mode", &value, NULL), 0);
	umask(before);
	assert_int_equal(stat(inside("mode"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(st.st_nlink, 1);
	assert_int_equal(remove_in(place_store(), "mode", NULL), 0);
}

static void what_root_makes_belongs_to_the_directorys_owner(void **state)
{
	struct stat st;
	struct store s;

	if (geteuid() != 0 || chown(place_path(), 4321, 4322) != 0)
		skip();
	VALUE(value, 208);
	VALUE(other, 208);

	place_open(&s, true);
	assert_int_equal(create_in(&s, "given", &value, NULL), 0);
	assert_int_equal(stat(inside("given"), &st), 0);
	assert_int_equal(st.st_uid, 4321);
	assert_int_equal(st.st_gid, 4322);
	/* And a replaced one stays with whom it was, and readable to whom it was. */
	assert_int_equal(chown(inside("given"), 4323, 4324), 0);
	assert_int_equal(chmod(inside("given"), 0640), 0);
	assert_int_equal(replace_in(&s, "given", &value, &other, NULL), 0);
	assert_int_equal(stat(inside("given"), &st), 0);
	assert_int_equal(st.st_uid, 4323);
	assert_int_equal(st.st_gid, 4324);
	assert_int_equal(st.st_mode & 07777, 0640);
	assert_int_equal(remove_in(&s, "given", NULL), 0);
	store_close(&s);
	assert_int_equal(chown(place_path(), 0, 0), 0);
}

/* --- refusals ----------------------------------------------------------------------------------------------------- */

/* Nothing is left but what was there. */
static void assert_only(const char *path, size_t count)
{
	struct listing l;
	struct store s;
	struct call c = soon();

	open_at(path, &s);
	assert_int_equal(store_list(&s, &c, NULL, &l, NULL), 0);
	assert_int_equal(l.count, count);
	listing_free(&l);
	store_close(&s);
}

static void a_directory_without_permission_is_eacces(void **state)
{
	struct error err = ERROR_INIT;
	VALUE(value, 208);
	VALUE(other, 208);

	assert_int_equal(create_in(place_store(), "locked", &value, NULL), 0);
	assert_int_equal(chmod(place_path(), 0555), 0);
	if (geteuid() == 0 && seteuid(65534) != 0)
		skip();
	int created = create_in(place_store(), "unlocked", &value, &err);
	int removed = remove_in(place_store(), "locked", NULL);
	int replaced = replace_in(place_store(), "locked", &value, &other, NULL);
	assert_int_equal(seteuid(getuid()), 0);
	assert_int_equal(chmod(place_path(), 0700), 0);
	assert_int_equal(created, -EACCES);
	assert_sentence(&err, created, "unlocked", &value);
	assert_int_equal(removed, -EACCES);
	assert_int_equal(replaced, -EACCES);
	assert_stored("locked", &value);
	assert_int_equal(remove_in(place_store(), "locked", NULL), 0);
}

static void where_listing_is_forbidden_keys_still_open_by_name(void **state)
{
	struct error err = ERROR_INIT;
	struct listing l;
	struct store s;
	struct call c = soon();
	SECRET(out);

	if (geteuid() == 0 && chown(place_path(), 65534, 65534) != 0)
		skip();
	file_write(inside("by-name"), KEY, strlen(KEY));
	assert_int_equal(chmod(inside("by-name"), 0644), 0);
	assert_int_equal(chmod(place_path(), 0311), 0);
	if (geteuid() == 0)
		assert_int_equal(seteuid(65534), 0);
	open_at(place_path(), &s);
	int list = store_list(&s, &c, NULL, &l, &err), got = get_in(&s, "by-name", &out, NULL);
	secret_wipe(&out);
	VALUE(value, 208);
	int created = create_in(&s, "new-by-name", &value, NULL), read = get_in(&s, "new-by-name", &out, NULL);
	int removed = remove_in(&s, "new-by-name", NULL);
	store_close(&s);
	assert_int_equal(seteuid(getuid()), 0);
	assert_int_equal(chmod(place_path(), 0700), 0);
	if (geteuid() == 0)
		assert_int_equal(chown(place_path(), 0, 0), 0);
	unlink(inside("by-name"));
	assert_int_equal(list, -EACCES);
	assert_sentence(&err, list, place_path(), NULL);
	assert_int_equal(got, 0);
	assert_int_equal(created, 0);
	assert_int_equal(read, 0);
	assert_int_equal(removed, 0);
	assert_true(secret_equal(&out, &value));
}

static void without_descriptors_it_is_emfile_and_nothing_changes(void **state)
{
	struct rlimit before, none;
	struct error err = ERROR_INIT;
	VALUE(value, 208);
	VALUE(other, 208);
	SECRET(out);

	assert_int_equal(create_in(place_store(), "files", &value, NULL), 0);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	none = before;
	none.rlim_cur = 3;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	int got = get_in(place_store(), "files", &out, &err), created = create_in(place_store(), "files-2", &value, NULL);
	int replaced = replace_in(place_store(), "files", &value, &other, NULL);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	assert_int_equal(got, -EMFILE);
	assert_sentence(&err, got, "files", NULL);
	assert_int_equal(created, -EMFILE);
	assert_int_equal(replaced, -EMFILE);
	assert_stored("files", &value);
	assert_int_equal(get_in(place_store(), "files-2", &out, NULL), -ENOENT);
	assert_int_equal(remove_in(place_store(), "files", NULL), 0);
	assert_only(place_path(), 0);
}

static void a_removed_directory_is_eio_and_never_enoent(void **state)
{
	struct error err = ERROR_INIT;
	struct store s;
	struct call c = soon();
	struct listing l;
	VALUE(value, 208);
	SECRET(out);

	assert_int_equal(mkdir(inside("goes"), 0700), 0);
	open_at(inside("goes"), &s);
	assert_int_equal(rmdir(inside("goes")), 0);
	int r = get_in(&s, "key", &out, &err);
	assert_int_equal(r, -EIO);
	assert_sentence(&err, r, "removed", NULL);
	assert_int_equal(create_in(&s, "key", &value, NULL), -EIO);
	assert_int_equal(remove_in(&s, "key", NULL), -EIO);
	assert_int_equal(store_list(&s, &c, NULL, &l, NULL), -EIO);
	assert_int_equal(s.ops->status(s.handle, &c, &err), -EIO);
	/* Nor do keys land in another directory of that name. */
	assert_int_equal(mkdir(inside("goes"), 0700), 0);
	assert_int_equal(s.ops->status(s.handle, &c, &err), -EIO);
	assert_int_equal(create_in(&s, "key", &value, NULL), -EIO);
	assert_only(inside("goes"), 0);
	rmdir(inside("goes"));
	store_close(&s);
}

static void another_process_that_holds_the_lock_is_waited_for_until_the_deadline(void **state)
{
	struct error err = ERROR_INIT;
	struct call c = call_in(0.1, NULL);
	VALUE(value, 208);
	VALUE(other, 208);

	assert_int_equal(create_in(place_store(), "held", &value, NULL), 0);
	int fd = open(place_path(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(flock(fd, LOCK_EX), 0);
	int r = OPS->replace(HANDLE, &c, "held", &value, &other, &err);
	assert_int_equal(r, -ETIMEDOUT);
	assert_sentence(&err, r, "held", &value);
	close(fd);
	assert_stored("held", &value);
	assert_int_equal(replace_in(place_store(), "held", &value, &other, NULL), 0);
	assert_int_equal(remove_in(place_store(), "held", NULL), 0);
	assert_only(place_path(), 0);
}

/* A file system of our own, which vanishes with this process: small, and then read-only. */
static bool small_mount(const char *path)
{
	return geteuid() == 0 && unshare(CLONE_NEWNS) == 0 && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
	       mount("kesfs-test", path, "tmpfs", 0, "size=64k") == 0;
}

static void a_full_or_read_only_file_system_is_told_and_left_as_it_was(void **state)
{
	struct error err = ERROR_INIT;
	struct store s;
	SECRET(out);

	assert_int_equal(mkdir(inside("small"), 0700), 0);
	if (!small_mount(inside("small"))) {
		rmdir(inside("small"));
		skip();
	}
	VALUE(value, 208);
	VALUE(large, 128 * 1024);

	open_at(inside("small"), &s);
	assert_int_equal(create_in(&s, "fits", &value, NULL), 0);
	int r = create_in(&s, "large", &large, &err);
	assert_int_equal(r, -ENOSPC);
	assert_sentence(&err, r, "large", &large);
	assert_int_equal(replace_in(&s, "fits", &value, &large, NULL), -ENOSPC);
	assert_only(inside("small"), 1);
	assert_int_equal(mount(NULL, inside("small"), NULL, MS_REMOUNT | MS_RDONLY, "size=64k"), 0);
	r = create_in(&s, "late", &value, &err);
	assert_int_equal(r, -EROFS);
	assert_sentence(&err, r, "late", &value);
	assert_int_equal(replace_in(&s, "fits", &value, &large, NULL), -EROFS);
	assert_int_equal(remove_in(&s, "fits", NULL), -EROFS);
	assert_int_equal(get_in(&s, "fits", &out, NULL), 0);
	assert_true(secret_equal(&out, &value));
	store_close(&s);
	assert_int_equal(umount(inside("small")), 0);
	rmdir(inside("small"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_symbolic_link_is_named_and_never_followed),
		cmocka_unit_test(a_directory_is_a_folder_and_no_key),
		cmocka_unit_test(a_fifo_or_socket_is_foreign_and_does_not_hang_a_reader),
		cmocka_unit_test(a_name_that_kes_cannot_open_is_foreign),
		cmocka_unit_test(a_file_of_more_than_a_mebibyte_is_efbig_and_never_cut),
		cmocka_unit_test(leftovers_are_not_listed_and_old_ones_removed),
		cmocka_unit_test(a_file_that_only_begins_like_a_leftover_stays),
		cmocka_unit_test(a_file_that_is_being_written_is_read_once_more),
		cmocka_unit_test(a_new_file_is_the_owners_alone),
		cmocka_unit_test(what_root_makes_belongs_to_the_directorys_owner),
		cmocka_unit_test(a_directory_without_permission_is_eacces),
		cmocka_unit_test(where_listing_is_forbidden_keys_still_open_by_name),
		cmocka_unit_test(without_descriptors_it_is_emfile_and_nothing_changes),
		cmocka_unit_test(a_removed_directory_is_eio_and_never_enoent),
		cmocka_unit_test(another_process_that_holds_the_lock_is_waited_for_until_the_deadline),
		cmocka_unit_test(a_full_or_read_only_file_system_is_told_and_left_as_it_was),
	};

	unsetenv("KESFS_CONTRACT_STORE");
	return cmocka_run_group_tests_name("directory", tests, place_make, place_drop);
}
