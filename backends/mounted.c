/* SPDX-License-Identifier: Apache-2.0
 *
 * A kesfs mount as a store, and the half that reads.  Any call into a mount may wait for the store behind it, so each
 * is interrupted at its deadline. */
#include "backends/mounted.h"

#include <cjson/cJSON.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "backends/config.h"
#include "backends/mounted_inside.h"

enum {
	STATUS_MAX = 256 * 1024,              /* bytes of .kesfs/status */
	READ_ONCE = 4096,                     /* more than any key: one read() answers and tells the end */
	CHECK_EVERY = 1024,
};

#define BUSY_NS INT64_C(5000000000)           /* so long a key may be written by somebody else */

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
	{ ECANCELED, ECANCELED, "interrupted" },
	{ EISDIR, EBADMSG, "it is a directory, not a key" },
	{ ELOOP, EBADMSG, "it is a symbolic link, which is not followed" },
	{ ENOTCONN, EHOSTUNREACH, "the kesfs process behind the mount is gone; unmount and mount again" },
	{ ECONNABORTED, EHOSTUNREACH, "the kesfs process behind the mount is gone; unmount and mount again" },
};

int mounted_error(const struct backend *b, struct error *err, int code, const char *doing, const char *name)
{
	for (size_t i = 0; i < sizeof meanings / sizeof *meanings; i++)
		if (meanings[i].said == code)
			return error_set(err, meanings[i].code, "mount %s: %s '%s': %s", b->path, doing, name,
					 meanings[i].sentence);
	return error_set(err, EIO, "mount %s: %s '%s': %s; the mount's log and .kesfs/status say why", b->path, doing, name,
			 strerror(code));
}

/* --- .kesfs/status ---------------------------------------------------------------------------------------------- */

int mounted_openat(int dir, const char *name, int flags, const struct interrupt *i)
{
	for (;;) {
		int fd = openat(dir, name, flags | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
		if (fd >= 0 || errno != EINTR)
			return fd >= 0 ? fd : -errno;
		int r = i != NULL ? interrupt_reason(i) : 0;
		if (r != 0)
			return r;
	}
}

static void json_drop(cJSON **json)
{
	cJSON_Delete(*json);
}

static void text_drop(char **text)
{
	free(*text);
}

/* i: NULL where nothing waits for the store. */
static int text_read(int dir, const char *file, const struct interrupt *i, char **ret)
{
	size_t len = 0;
	char *text = malloc(STATUS_MAX);
	int fd = mounted_openat(dir, file, O_RDONLY, i), r = fd < 0 ? fd : 0;
	ssize_t n = 1;

	if (text == NULL && r == 0)
		r = -ENOMEM;
	while (r == 0 && n != 0 && len < STATUS_MAX - 1) {
		n = read(fd, text + len, STATUS_MAX - 1 - len);
		if (n < 0)
			r = errno != EINTR ? -errno : i != NULL ? interrupt_reason(i) : 0;
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

	*ret_r = text_read(dir, ".kesfs/status", NULL, &text);
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
		mounted_error(b, err, -r, "reading", ".kesfs/status");
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
	int r = b->fd < 0 ? mounted_error(b, err, errno, "opening", path) : one_store(b, err);
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

/* The mount knows how the last request ended.  If badly, a new listing tells whether that has passed. */
static int mounted_status(struct backend *b, const struct call *c, struct error *err)
{
	__attribute__((cleanup(json_drop))) cJSON *json = NULL;
	__attribute__((cleanup(text_drop))) char *text = NULL;
	int r = call_check(c, err, "mount: reading its status");

	if (r == 0)
		r = status_get(b, &json, err);
	if (r != 0 || !cJSON_IsFalse(cJSON_GetObjectItemCaseSensitive(json, "reachable")))
		return r;
	INTERRUPT(i, c);
	r = text_read(b->fd, ".kesfs/refresh", &i, &text);
	if (r == 0 || r == -EACCES)           /* it answers, if only that we may not list */
		return 0;
	if (r == -ECANCELED)
		return mounted_error(b, err, ECANCELED, "asking", b->path);
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
static int names_refresh(struct backend *b, const struct interrupt *i, struct error *err)
{
	__attribute__((cleanup(text_drop))) char *text = NULL;
	__attribute__((cleanup(json_drop))) cJSON *json = NULL;
	int r = text_read(b->fd, ".kesfs/refresh", i, &text);

	if (r != 0 && r != -ENOENT && r != -EACCES)
		return mounted_error(b, err, -r, "listing", b->path);
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
static int names_emit(struct backend *b, DIR *d, const struct interrupt *i, const char *prefix, backend_emit *emit,
		      void *arg, struct error *err)
{
	const struct dirent *e;
	size_t count = 0;
	int r = 0;

	while ((errno = 0, e = readdir(d)) != NULL || errno == EINTR) {
		if (e == NULL || ++count % CHECK_EVERY == 0)
			r = interrupt_reason(i);
		if (r != 0)
			return mounted_error(b, err, -r, "listing", b->path);
		if (e == NULL || e->d_name[0] == '.' || (prefix != NULL && strncmp(e->d_name, prefix, strlen(prefix)) != 0))
			continue;
		struct backend_entry entry = { e->d_name, -1, -1, -1, type_flags(e->d_type) };
		if (!emit(&entry, arg))
			return 0;
	}
	return errno == 0 ? 0 : mounted_error(b, err, errno, "listing", b->path);
}

static int mounted_list(struct backend *b, const struct call *c, const char *prefix, char **cursor,
			backend_emit *emit, void *arg, struct error *err)
{
	int r = call_check(c, err, "mount: listing");

	if (r != 0)
		return r;
	INTERRUPT(i, c);
	b->requests++;
	r = names_refresh(b, &i, err);
	if (r != 0)
		return r;
	int fd = mounted_openat(b->fd, ".", O_RDONLY | O_DIRECTORY, &i);
	DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
	if (d == NULL) {
		r = mounted_error(b, err, fd >= 0 ? errno : -fd, "listing", b->path);
		if (fd >= 0)
			close(fd);
		return r;
	}
	r = names_emit(b, d, &i, prefix, emit, arg, err);
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
	INTERRUPT(i, c);
	b->requests++;
	while (fstatat(b->fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0) {
		r = errno == EINTR ? interrupt_reason(&i) : -errno;
		if (r != 0)
			return mounted_error(b, err, -r, "looking up", name);
	}
	struct backend_entry entry = {
		.name = name, .created = -1, .changed = st.st_mtime, .flags = type_flags(IFTODT(st.st_mode)),
		.size = st.st_size > 0 ? st.st_size : -1,      /* 0: not known before it is read */
	};
	emit(&entry, arg);
	return 0;
}

int mounted_value_read(struct backend *b, int fd, const struct interrupt *i, const char *name, struct secret *out,
		       struct error *err)
{
	for (;;) {
		int r = secret_reserve(out, out->len + READ_ONCE);
		if (r != 0)
			return error_set(err, -r, "mount %s: reading '%s': no locked memory left", b->path, name);
		size_t room = out->cap - out->len;
		ssize_t n = read(fd, out->bytes + out->len, room);
		if (n < 0)
			r = errno == EINTR ? interrupt_reason(i) : -errno;
		if (r != 0)
			return mounted_error(b, err, -r, "reading", name);
		if (n < 0)
			continue;
		out->len += (size_t)n;
		if (out->len > MOUNTED_VALUE_MAX)
			return error_set(err, EFBIG, "mount %s: reading '%s': more than 1 MiB", b->path, name);
		if ((size_t)n < room)         /* kesfs answers from memory: a short answer is the end */
			return 0;
	}
}

int mounted_key_open(struct backend *b, const struct interrupt *i, const char *name, int flags)
{
	int64_t busy_until = call_now() + BUSY_NS;

	for (;;) {
		b->requests++;
		int fd = mounted_openat(b->fd, name, flags, i);
		if (fd != -EBUSY || call_now() > busy_until || interrupt_sleep(i, MOUNTED_PAUSE_NS) != 0)
			return fd;
	}
}

int mounted_read(struct backend *b, const struct interrupt *i, const char *name, struct secret *out, struct error *err)
{
	int fd = mounted_key_open(b, i, name, O_RDONLY);

	if (fd < 0)
		return mounted_error(b, err, -fd, "reading", name);
	int r = mounted_value_read(b, fd, i, name, out, err);
	close(fd);
	if (r != 0)
		secret_wipe(out);
	return r;
}

static int mounted_get(struct backend *b, const struct call *c, const char *name, struct secret *out, struct error *err)
{
	int r = call_check(c, err, "mount: reading");

	if (r != 0)
		return r;
	INTERRUPT(i, c);
	return mounted_read(b, &i, name, out, err);
}

const struct backend_ops mounted_backend = {
	.name = "mount",
	.summary = "a directory that is a kesfs mount",
	.caps = BACKEND_READ | BACKEND_WRITE | BACKEND_REPLACE,
	.name_max = 255,
	.value_max = MOUNTED_VALUE_MAX,
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
