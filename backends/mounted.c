/* SPDX-License-Identifier: Apache-2.0
 *
 * A kesfs mount as a store: open with O_EXCL and close to create, O_TRUNC and close to replace.  The close is where
 * the mount commits and where it says what became of it. */
#include "backends/mounted.h"

#include <cjson/cJSON.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "backends/config.h"

enum {
	STATUS_MAX = 256 * 1024,              /* bytes of .kesfs/status */
	VALUE_MAX = 1024 * 1024,
	READ_ONCE = 4096,                     /* more than any key: one read() answers and tells the end */
	CHECK_EVERY = 1024,
};

#define BUSY_NS INT64_C(5000000000)           /* so long a key may be written by somebody else before that is an error */
#define BUSY_PAUSE_NS INT64_C(2000000)

struct backend {
	char *path;
	int fd;
	bool write;
	_Atomic uint64_t requests;
};

/* --- errors ----------------------------------------------------------------------------------------------------- */

static const struct meaning {
	int said, code;
	const char *sentence;
} meanings[] = {
	{ ENOENT, ENOENT, "no such key" },
	{ EEXIST, EEXIST, "a key of this name exists" },
	{ EACCES, EACCES, "the store behind the mount refused it, or the mount belongs to another user" },
	{ EPERM, EPERM, "the mount's options or the store forbid it (replacing needs -o overwrite, removing -o delete)" },
	{ EINVAL, EINVAL, "the mount does not take this name or this value (values that are no keys need -o raw)" },
	{ ENAMETOOLONG, ENAMETOOLONG, "the name is too long" },
	{ EFBIG, EFBIG, "the value is too large for the store" },
	{ EROFS, EROFS, "it is mounted read-only" },
	{ EBUSY, EBUSY, "being written, blocked by a pending deletion, or throttled" },
	{ ETIMEDOUT, ETIMEDOUT, "the store behind the mount did not answer in time" },
	{ ESTALE, ESTALE, "it was changed by somebody else meanwhile" },
	{ EBADMSG, EBADMSG, "the stored value cannot be decoded" },
	{ ENOSPC, ENOSPC, "no space is left" },
	{ ENOMEM, ENOMEM, "no memory" },
	{ EMFILE, EMFILE, "too many open files; raise the limit (ulimit -n)" },
	{ ENFILE, EMFILE, "the system has too many open files" },
	{ EINTR, ECANCELED, "interrupted" },
	{ EISDIR, EBADMSG, "it is a directory, not a key" },
	{ ELOOP, EBADMSG, "it is a symbolic link, which is not followed" },
	{ ENOTCONN, EHOSTUNREACH, "the kesfs process behind the mount is gone; unmount and mount again" },
	{ ECONNABORTED, EHOSTUNREACH, "the kesfs process behind the mount is gone; unmount and mount again" },
};

static int mount_error(const struct backend *b, struct error *err, int code, const char *doing, const char *name)
{
	for (size_t i = 0; i < sizeof meanings / sizeof *meanings; i++)
		if (meanings[i].said == code)
			return error_set(err, meanings[i].code, "mount %s: %s '%s': %s", b->path, doing, name,
					 meanings[i].sentence);
	return error_set(err, EIO, "mount %s: %s '%s': %s; the mount's log and .kesfs/status say why", b->path, doing, name,
			 strerror(code));
}

/* --- .kesfs/status ---------------------------------------------------------------------------------------------- */

static void json_drop(cJSON **json)
{
	cJSON_Delete(*json);
}

static void text_drop(char **text)
{
	free(*text);
}

static int text_read(int dir, const char *file, char **ret)
{
	size_t len = 0;
	char *text = malloc(STATUS_MAX);
	int fd = openat(dir, file, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC), r = fd < 0 ? -errno : 0;
	ssize_t n = 1;

	if (text == NULL && r == 0)
		r = -ENOMEM;
	while (r == 0 && n > 0 && len < STATUS_MAX - 1) {
		n = read(fd, text + len, STATUS_MAX - 1 - len);
		if (n < 0)
			r = -errno;
		else
			len += (size_t)n;
	}
	if (fd >= 0)
		close(fd);
	if (r != 0) {
		free(text);
		return r;
	}
	text[len] = '\0';
	*ret = text;
	return 0;
}

/* NULL: not a kesfs mount's status. */
static cJSON *status_read(int dir, int *ret_r)
{
	__attribute__((cleanup(text_drop))) char *text = NULL;
	cJSON *json = NULL;

	*ret_r = text_read(dir, ".kesfs/status", &text);
	if (*ret_r == 0)
		json = cJSON_Parse(text);
	if (cJSON_IsNumber(cJSON_GetObjectItemCaseSensitive(json, "kesfs")))
		return json;
	cJSON_Delete(json);
	if (*ret_r == 0)
		*ret_r = -EPROTO;
	return NULL;
}

static int status_get(struct backend *b, cJSON **ret, struct error *err)
{
	int r;

	*ret = status_read(b->fd, &r);
	if (*ret != NULL)
		return 0;
	return r == -EPROTO || r == -ENOENT ?
		error_set(err, EPROTO, "mount %s: .kesfs/status is not what kesfs writes; it may have been unmounted", b->path) :
		mount_error(b, err, -r, "reading", ".kesfs/status");
}

static const char *member_text(const cJSON *json, const char *member)
{
	return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(json, member));
}

bool mounted_detect(const char *path)
{
	__attribute__((cleanup(json_drop))) cJSON *json = NULL;
	struct statfs fs;
	int r, fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return false;
	if (fstatfs(fd, &fs) == 0 && fs.f_type == FUSE_SUPER_MAGIC)
		json = status_read(fd, &r);
	close(fd);
	return json != NULL;
}

/* --- open, state ------------------------------------------------------------------------------------------------ */

static void mounted_close(struct backend *b)
{
	if (b == NULL)
		return;
	if (b->fd >= 0)
		close(b->fd);
	free(b->path);
	free(b);
}

/* The top of a mount of several stores has directories only. */
static int one_store(struct backend *b, struct error *err)
{
	__attribute__((cleanup(json_drop))) cJSON *json = NULL;
	int r = status_get(b, &json, err);

	return r != 0 || !cJSON_IsArray(cJSON_GetObjectItemCaseSensitive(json, "stores")) ? r :
		error_set(err, EINVAL, "mount %s: several stores are mounted here; name the directory of one", b->path);
}

static int mounted_open(const struct config_map *cfg, const struct backend_options *o, struct backend **ret,
			struct error *err)
{
	const char *path = config_text(cfg, "path");
	struct backend *b = calloc(1, sizeof *b);

	if (b == NULL || (b->path = strdup(path)) == NULL) {
		free(b);
		return error_set(err, ENOMEM, "no memory");
	}
	b->write = o->write;
	b->fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r = b->fd < 0 ? mount_error(b, err, errno, "opening", path) : one_store(b, err);
	if (r != 0) {
		mounted_close(b);
		return r;
	}
	*ret = b;
	return 0;
}

static unsigned mounted_caps(struct backend *b)
{
	__attribute__((cleanup(json_drop))) cJSON *json = NULL;
	unsigned caps = mounted_backend.caps;

	if (status_get(b, &json, NULL) == 0) {
		const char *replace = member_text(json, "replace");
		if (replace != NULL && strcmp(replace, "gap") == 0)
			caps &= ~(unsigned)BACKEND_REPLACE;
	}
	return caps;
}

static int mounted_status(struct backend *b, const struct call *c, struct error *err)
{
	__attribute__((cleanup(json_drop))) cJSON *json = NULL;
	int r = call_check(c, err, "mount: reading its status");

	if (r == 0)
		r = status_get(b, &json, err);
	if (r != 0 || !cJSON_IsFalse(cJSON_GetObjectItemCaseSensitive(json, "reachable")))
		return r;
	const char *reason = member_text(json, "reason");
	return error_set(err, EHOSTUNREACH, "mount %s: the store behind it does not answer%s%s", b->path,
			 reason != NULL ? ": " : "", reason != NULL ? reason : "");
}

static int mounted_identity(struct backend *b, const struct call *c, char **ret, struct error *err)
{
	__attribute__((cleanup(json_drop))) cJSON *json = NULL;
	struct stat st;
	int r = status_get(b, &json, err);

	if (r != 0)
		return r;
	const char *identity = member_text(json, "identity");
	if (identity != NULL)
		*ret = strdup(identity);
	else if (fstat(b->fd, &st) != 0 || asprintf(ret, "mount %llx", (unsigned long long)st.st_dev) < 0)
		*ret = NULL;
	return *ret != NULL ? 0 : error_set(err, ENOMEM, "no memory");
}

static void mounted_counts(struct backend *b, struct backend_counts *ret)
{
	*ret = (struct backend_counts){ .requests = b->requests };
}

/* --- list, stat, get -------------------------------------------------------------------------------------------- */

/* A mount answers from a listing of some age; a migration wants today's. */
static int names_refresh(struct backend *b, struct error *err)
{
	__attribute__((cleanup(text_drop))) char *text = NULL;
	__attribute__((cleanup(json_drop))) cJSON *json = NULL;
	int r = text_read(b->fd, ".kesfs/refresh", &text);

	if (r != 0 && r != -ENOENT && r != -EACCES)
		return mount_error(b, err, -r, "listing", b->path);
	r = status_get(b, &json, err);
	if (r != 0)
		return r;
	return cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(json, "stale")) ?
		error_set(err, EHOSTUNREACH, "mount %s: its listing is stale: the store behind it could not be listed", b->path) : 0;
}

static unsigned type_flags(unsigned char type)
{
	return type == DT_REG || type == DT_UNKNOWN ? 0 : type == DT_DIR ? ENTRY_FOLDER :
		type == DT_LNK ? ENTRY_SYMLINK : ENTRY_FOREIGN;
}

/* A leading dot is a temporary file of somebody who writes there now: it is on its way to a name, or to nothing. */
static int names_emit(struct backend *b, DIR *d, const struct call *c, const char *prefix, backend_emit *emit, void *arg,
		      struct error *err)
{
	const struct dirent *e;
	size_t count = 0;

	while ((errno = 0, e = readdir(d)) != NULL) {
		struct backend_entry entry = { e->d_name, -1, -1, -1, type_flags(e->d_type) };
		if (e->d_name[0] != '.' && (prefix == NULL || strncmp(e->d_name, prefix, strlen(prefix)) == 0) &&
		    !emit(&entry, arg))
			return 0;
		int r = ++count % CHECK_EVERY == 0 ? call_check(c, err, "mount: listing") : 0;
		if (r != 0)
			return r;
	}
	return errno == 0 ? 0 : mount_error(b, err, errno, "listing", b->path);
}

static int mounted_list(struct backend *b, const struct call *c, const char *prefix, char **cursor,
			backend_emit *emit, void *arg, struct error *err)
{
	int r = call_check(c, err, "mount: listing");

	b->requests++;
	if (r == 0)
		r = names_refresh(b, err);
	if (r != 0)
		return r;
	int fd = openat(b->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
	if (d == NULL) {
		r = mount_error(b, err, errno, "listing", b->path);
		if (fd >= 0)
			close(fd);
		return r;
	}
	r = names_emit(b, d, c, prefix, emit, arg, err);
	closedir(d);
	free(*cursor);
	*cursor = NULL;
	return r;
}

static int mounted_stat(struct backend *b, const struct call *c, const char *name, backend_emit *emit, void *arg,
			struct error *err)
{
	struct stat st;
	int r = call_check(c, err, "mount: stat");

	if (r != 0)
		return r;
	b->requests++;
	if (fstatat(b->fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return mount_error(b, err, errno, "looking up", name);
	struct backend_entry entry = {
		.name = name, .created = -1, .changed = st.st_mtime, .flags = type_flags(IFTODT(st.st_mode)),
		.size = st.st_size > 0 ? st.st_size : -1,      /* 0: not known before it is read */
	};
	emit(&entry, arg);
	return 0;
}

static int value_read(struct backend *b, int fd, const char *name, struct secret *out, struct error *err)
{
	for (;;) {
		int r = secret_reserve(out, out->len + READ_ONCE);
		if (r != 0)
			return error_set(err, -r, "mount %s: reading '%s': no locked memory left", b->path, name);
		size_t room = out->cap - out->len;
		ssize_t n = read(fd, out->bytes + out->len, room);
		if (n < 0)
			return mount_error(b, err, errno, "reading", name);
		out->len += (size_t)n;
		if (out->len > VALUE_MAX)
			return error_set(err, EFBIG, "mount %s: reading '%s': more than 1 MiB", b->path, name);
		if ((size_t)n < room)         /* kesfs answers from memory: a short answer is the end */
			return 0;
	}
}

/* A key that somebody writes through the same mount is busy until the close; that is soon.  A descriptor, or -errno. */
static int key_open(struct backend *b, const struct call *c, const char *name, int flags)
{
	int64_t busy_until = call_now() + BUSY_NS;

	for (;;) {
		int fd = openat(b->fd, name, flags | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
		b->requests++;
		if (fd >= 0)
			return fd;
		if (errno != EBUSY || call_now() > busy_until || call_sleep(c, BUSY_PAUSE_NS, true) != 0)
			return -errno;
	}
}

static int value_get(struct backend *b, const struct call *c, const char *name, struct secret *out, struct error *err)
{
	int fd = key_open(b, c, name, O_RDONLY);

	if (fd < 0)
		return mount_error(b, err, -fd, "reading", name);
	int r = value_read(b, fd, name, out, err);
	close(fd);
	if (r != 0)
		secret_wipe(out);
	return r;
}

static int mounted_get(struct backend *b, const struct call *c, const char *name, struct secret *out, struct error *err)
{
	int r = call_check(c, err, "mount: reading");

	return r != 0 ? r : value_get(b, c, name, out, err);
}

/* --- create, replace, remove ------------------------------------------------------------------------------------ */

static int change_allowed(struct backend *b, const struct call *c, const char *name, const struct secret *val,
			  struct error *err)
{
	int r = call_check(c, err, "mount: writing");

	if (r == 0 && !b->write)
		r = error_set(err, EPERM, "mount %s: changing '%s': it was opened for reading only", b->path, name);
	if (r == 0 && val != NULL && val->len > VALUE_MAX)
		r = mount_error(b, err, EFBIG, "writing", name);
	return r;
}

/* Write it all and close.  What could not be written whole must not be committed by the close: the mount drops what it
 * refused, and what was cut to nothing. */
static int value_write(int fd, const struct secret *val)
{
	int r = 0;

	for (size_t done = 0; r == 0 && done < val->len;) {
		ssize_t n = write(fd, val->bytes + done, val->len - done);
		if (n > 0)
			done += (size_t)n;
		else if (n == 0 || errno != EINTR)
			r = n == 0 ? -EIO : -errno;
	}
	if (r != 0 && ftruncate(fd, 0) != 0)
		errno = -r;
	return close(fd) != 0 && r == 0 ? -errno : r;
}

/* Was the change made after an answer that leaves it open?  EEXIST, EACCES and the like leave nothing open. */
static int settle(struct backend *b, const struct call *c, int r, const char *name, const struct secret *val, bool creating,
		  struct error *err)
{
	SECRET(now);
	struct error seen = ERROR_INIT;

	if (r != -EIO && r != -ETIMEDOUT && r != -EINTR && r != -ECONNABORTED)
		return mount_error(b, err, -r, creating ? "creating" : "replacing", name);
	int got = value_get(b, c, name, &now, &seen);
	if (got == 0 && secret_equal(&now, val))
		return 0;
	if (got == 0 && creating)
		return mount_error(b, err, EEXIST, "creating", name);
	if (got == 0 || got == -ENOENT)
		return mount_error(b, err, -r, creating ? "creating" : "replacing", name);
	return error_set(err, EINPROGRESS, "mount %s: '%s' may or may not have been stored, and cannot be read back: %s", b->path,
			 name, seen.text);
}

static int mounted_create(struct backend *b, const struct call *c, const char *name, const struct secret *val,
			  struct error *err)
{
	int r = change_allowed(b, c, name, val, err);

	if (r != 0)
		return r;
	b->requests++;
	int fd = openat(b->fd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return mount_error(b, err, errno, "creating", name);
	r = value_write(fd, val);
	return r == 0 ? 0 : settle(b, c, r, name, val, true, err);
}

/* All who have a file open for writing share its bytes, so two replaces of one key at once would mix: the lock, which
 * the kernel keeps for all programs on this mount, lets one after the other. */
static int key_lock(struct backend *b, const struct call *c, const char *name, int *ret, struct error *err)
{
	int fd = key_open(b, c, name, O_RDONLY);

	if (fd < 0)
		return mount_error(b, err, fd == -ENOENT ? ESTALE : -fd, "replacing", name);
	while (flock(fd, LOCK_EX | LOCK_NB) != 0) {
		int r = errno == EWOULDBLOCK || errno == EINTR ? call_sleep(c, BUSY_PAUSE_NS, true) : -errno;
		if (r == 0)
			continue;
		close(fd);
		return mount_error(b, err, -r, "locking", name);
	}
	*ret = fd;
	return 0;
}

static int replace_locked(struct backend *b, const struct call *c, const char *name, const struct secret *old,
			  const struct secret *val, struct error *err)
{
	SECRET(now);
	int r = value_get(b, c, name, &now, err);

	if (r == -ENOENT)
		return mount_error(b, err, ESTALE, "replacing", name);
	if (r != 0 || secret_equal(&now, val))
		return r;
	if (!secret_equal(&now, old))
		return mount_error(b, err, ESTALE, "replacing", name);
	int fd = key_open(b, c, name, O_WRONLY | O_TRUNC);
	if (fd < 0)
		return mount_error(b, err, fd == -ENOENT ? ESTALE : -fd, "replacing", name);
	r = value_write(fd, val);
	return r == 0 ? 0 : settle(b, c, r, name, val, false, err);
}

static int mounted_replace(struct backend *b, const struct call *c, const char *name, const struct secret *old,
			   const struct secret *val, struct error *err)
{
	int lock = -1, r = change_allowed(b, c, name, val, err);

	if (r == 0)
		r = key_lock(b, c, name, &lock, err);
	if (r != 0)
		return r;
	r = replace_locked(b, c, name, old, val, err);
	close(lock);
	return r;
}

static int mounted_remove(struct backend *b, const struct call *c, const char *name, struct error *err)
{
	int r = change_allowed(b, c, name, NULL, err);

	if (r != 0)
		return r;
	b->requests++;
	return unlinkat(b->fd, name, 0) == 0 ? 0 : mount_error(b, err, errno, "removing", name);
}

const struct backend_ops mounted_backend = {
	.name = "mount",
	.summary = "a directory that is a kesfs mount",
	.caps = BACKEND_READ | BACKEND_WRITE | BACKEND_REPLACE,
	.name_max = 255,
	.value_max = VALUE_MAX,
	.open = mounted_open,
	.close = mounted_close,
	.caps_now = mounted_caps,
	.status = mounted_status,
	.identity = mounted_identity,
	.list = mounted_list,
	.stat = mounted_stat,
	.get = mounted_get,
	.create = mounted_create,
	.replace = mounted_replace,
	.remove = mounted_remove,
	.counts = mounted_counts,
};
