/* SPDX-License-Identifier: Apache-2.0
 *
 * A directory as a key store (keystores.md 6): one regular file a key.  The reference module, and the half that
 * reads; dir_write.c changes.
 *
 * One descriptor, opened once, is the store: renaming or replacing the directory does not move us to another one.
 * Nothing in it is followed: a symbolic link is named as such and never opened. */
#include "backends/dir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include "backends/config.h"
#include "backends/draft.h"
#include "backends/key.h"

#define HALF_WRITTEN_NS INT64_C(50000000)     /* KES writes under the final name: look again after so long */
enum {
	HALF_WRITTEN_AGE = 2,         /* seconds that a writer may need */
	CHECK_EVERY = 1024,           /* names between two looks at the clock */
};

/* What the system says, and what it means here.  NULL: strerror() says it well enough. */
static const struct meaning {
	int said, code;
	const char *sentence;
} meanings[] = {
	{ ENOENT, ENOENT, "no such key" },
	{ EEXIST, EEXIST, "a file of this name exists" },
	{ EACCES, EACCES, "permission denied; check owners and modes" },
	{ EPERM, EACCES, "not permitted; the file or its directory may be immutable" },
	{ EROFS, EROFS, "the file system is read-only" },
	{ ENOSPC, ENOSPC, "no space is left" },
	{ EDQUOT, ENOSPC, "the disk quota is used up" },
	{ EMFILE, EMFILE, "too many open files; raise the limit (ulimit -n)" },
	{ ENFILE, EMFILE, "the system has too many open files" },
	{ ENOMEM, ENOMEM, NULL },
	{ ENAMETOOLONG, ENAMETOOLONG, "the name is too long for this file system" },
	{ EINVAL, EINVAL, "the file system does not accept this name" },
	{ EILSEQ, EINVAL, "the file system does not accept this name" },
	{ EFBIG, EFBIG, NULL },
	{ ELOOP, EBADMSG, "it is a symbolic link, which is not followed; put the file itself there" },
	{ EISDIR, EBADMSG, "it is a directory, not a key" },
	{ ENXIO, EBADMSG, "it is not a regular file" },
	{ EOPNOTSUPP, EPERM, "the file system cannot create a file in one step (no link, no rename without replacing)" },
	{ ETIMEDOUT, ETIMEDOUT, "the disk did not answer in time" },
};

/* A name may be missing because its directory is. */
static bool dir_gone(const struct backend *s)
{
	struct stat st;

	return fstat(s->fd, &st) == 0 && st.st_nlink == 0;
}

int dir_error(const struct backend *s, struct error *err, int code, const char *doing, const char *name)
{
	/* ext4 says EPERM to O_TMPFILE there. */
	if ((code == ENOENT || code == EPERM) && dir_gone(s))
		return error_set(err, EIO, "fs %s: %s '%s': the directory was removed; make it again and start "
				 "kesfs again", s->path, doing, name);
	for (size_t i = 0; i < sizeof meanings / sizeof *meanings; i++)
		if (meanings[i].said == code)
			return error_set(err, meanings[i].code, "fs %s: %s '%s': %s", s->path, doing, name,
					 meanings[i].sentence != NULL ? meanings[i].sentence : strerror(code));
	return error_set(err, EIO, "fs %s: %s '%s': %s", s->path, doing, name, strerror(code));
}

/* A name with a slash leads out of the directory, where no key of this store can be. */
static bool is_elsewhere(const char *name)
{
	return strchr(name, '/') != NULL;
}

static bool dir_name_ok(const char *name)
{
	return name[0] != '\0' && strpbrk(name, "/\\.") == NULL;
}

/* --- open, close ------------------------------------------------------------------------------------------------ */

/* Only the last component: a mistyped path makes no tree. */
static int dir_make(struct backend *s, struct error *err)
{
	s->made = mkdir(s->path, 0700) == 0;
	if (s->made || errno == EEXIST)
		return 0;
	return errno == ENOENT ?
		error_set(err, ENOENT, "fs %s: its parent directory does not exist", s->path) :
		error_set(err, errno, "fs %s: cannot be made: %s", s->path, strerror(errno));
}

static int dir_open_fd(struct backend *s, struct error *err)
{
	s->listable = true;
	s->fd = open(s->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (s->fd < 0 && errno == EACCES) {
		/* Without the right to list, keys still open by name. */
		s->listable = false;
		s->fd = open(s->path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	}
	if (s->fd >= 0)
		return 0;
	switch (errno) {
	case ENOENT:
		return error_set(err, ENOENT, "fs %s: no such directory", s->path);
	case ENOTDIR:
		return error_set(err, EINVAL, "fs %s: not a directory", s->path);
	case EMFILE: case ENFILE:
		return error_set(err, EMFILE, "fs %s: too many open files", s->path);
	case EACCES: case EPERM:
		return error_set(err, EACCES, "fs %s: permission denied", s->path);
	default:
		return error_set(err, EIO, "fs %s: cannot be opened: %s", s->path, strerror(errno));
	}
}

static int dir_learn(struct backend *s, struct error *err)
{
	struct statfs fs;
	struct stat st;

	if (fstat(s->fd, &st) != 0 || fstatfs(s->fd, &fs) != 0)
		return error_set(err, EIO, "fs %s: %s", s->path, strerror(errno));
	s->dev = st.st_dev;
	s->ino = st.st_ino;
	s->uid = st.st_uid;
	s->gid = st.st_gid;
	s->give = geteuid() == 0 && st.st_uid != 0;
	s->in_memory = fs.f_type == TMPFS_MAGIC || fs.f_type == RAMFS_MAGIC;
	s->network = fs.f_type == NFS_SUPER_MAGIC || fs.f_type == SMB_SUPER_MAGIC || fs.f_type == SMB2_SUPER_MAGIC ||
		fs.f_type == CIFS_SUPER_MAGIC || fs.f_type == CEPH_SUPER_MAGIC || fs.f_type == FUSE_SUPER_MAGIC;
	return 0;
}

static void dir_close(struct backend *s)
{
	if (s == NULL)
		return;
	if (s->made && dir_in_place(s, NULL) == 0)
		rmdir(s->path);               /* fails, as it should, if anything was stored there */
	if (s->fd >= 0)
		close(s->fd);
	crowd_destroy(&s->crowd);
	dirsync_destroy(&s->sync);
	pthread_cond_destroy(&s->changed);
	pthread_mutex_destroy(&s->lock);
	free(s->path);
	free(s);
}

static int dir_open(const struct config_map *cfg, const struct backend_options *o, struct backend **ret,
		    struct error *err)
{
	const char *path = config_text(cfg, "path");
	pthread_condattr_t monotonic;
	struct backend *s;
	int r = 0;

	if (path == NULL)
		return config_complain(cfg, "path", err, EINVAL, "missing");
	s = calloc(1, sizeof *s);
	if (s == NULL)
		return error_set(err, ENOMEM, "no memory");
	s->fd = -1;
	pthread_mutex_init(&s->lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&s->changed, &monotonic);
	pthread_condattr_destroy(&monotonic);
	s->path = strdup(path);
	if (s->path == NULL)
		r = error_set(err, ENOMEM, "no memory");
	if (r == 0 && o->create_store)
		r = dir_make(s, err);
	if (r == 0)
		r = dir_open_fd(s, err);
	if (r == 0)
		r = dir_learn(s, err);
	else if (s->made && s->fd < 0)
		rmdir(s->path);               /* made a moment ago, and not opened: dir_close() does not know it */
	dirsync_init(&s->sync, s->fd);
	crowd_init(&s->crowd, s->listable && !s->in_memory ? s->fd : -1);
	if (r != 0) {
		dir_close(s);
		return r;
	}
	s->write = o->write;
	*ret = s;
	return 0;
}

/* --- what is known of the store --------------------------------------------------------------------------------- */

static unsigned dir_caps_now(struct backend *s)
{
	unsigned caps = dir_backend.caps;

	if (s->network)
		caps &= ~(unsigned)BACKEND_LOCAL;
	if (s->in_memory)
		caps &= ~(unsigned)BACKEND_SYNCS;
	return caps;
}

int dir_in_place(const struct backend *s, struct error *err)
{
	struct stat st;
	int there = stat(s->path, &st);

	if (there == 0 && st.st_dev == s->dev && st.st_ino == s->ino)
		return 0;
	if (dir_gone(s))
		return error_set(err, EIO, "fs %s: the directory was removed; make it again and start kesfs again", s->path);
	if (there == 0)
		return error_set(err, EIO, "fs %s: another directory has taken this path; start kesfs again", s->path);
	if (errno == ENOENT || errno == ENOTDIR)
		return error_set(err, EIO, "fs %s: the directory was moved away from this path; put it back, or start kesfs again",
				 s->path);
	return 0;
}

static int dir_status(struct backend *s, const struct call *c, struct error *err)
{
	int r = call_check(c, err, "fs: reading the directory");
	if (r == 0)
		r = dir_in_place(s, err);
	if (r != 0)
		return r;
	if (faccessat(s->fd, ".", X_OK, AT_EACCESS) != 0)
		return dir_error(s, err, errno, "entering", s->path);
	return 0;
}

static int dir_identity(struct backend *s, const struct call *c, char **ret, struct error *err)
{
	if (asprintf(ret, "directory %llx:%llx", (unsigned long long)s->dev, (unsigned long long)s->ino) < 0)
		return error_set(err, ENOMEM, "no memory");
	return 0;
}

static int dir_probe(struct backend *s, const struct call *c,
		     void (*say)(bool may, const char *what, const char *sentence, void *arg), void *arg, struct error *err)
{
	say(s->listable, "list", s->listable ? "may list the directory" : "may not list: the directory is not readable", arg);
	if (faccessat(s->fd, ".", X_OK, AT_EACCESS) == 0)
		say(true, "read", "may open keys by name, if the mode of each file allows it", arg);
	else
		say(false, "read", "may not read: the directory may not be entered", arg);
	if (faccessat(s->fd, ".", W_OK | X_OK, AT_EACCESS) == 0)
		say(true, "write", "may create, replace and remove keys", arg);
	else
		say(false, "write", errno == EROFS ? "may not write: the file system is read-only" :
		    "may not write: the directory's mode does not allow it", arg);
	return 0;
}

static void dir_describe(struct backend *s, char *buf, size_t size)
{
	snprintf(buf, size, "\"in_memory\":%s,\"network\":%s,\"listable\":%s", s->in_memory ? "true" : "false",
		 s->network ? "true" : "false", s->listable ? "true" : "false");
}

static void dir_counts(struct backend *s, struct backend_counts *ret)
{
	*ret = (struct backend_counts){ .requests = s->requests };
}

/* --- list, stat ------------------------------------------------------------------------------------------------- */

static unsigned entry_flags(const char *name, unsigned char type)
{
	switch (type) {
	case DT_REG:
		return dir_name_ok(name) ? 0 : ENTRY_FOREIGN;
	case DT_DIR:
		return ENTRY_FOLDER;
	case DT_LNK:
		return ENTRY_SYMLINK;
	default:
		return ENTRY_FOREIGN;
	}
}

/* A leftover holds a key: it must not lie about for ever. */
static void leftover_clean(struct backend *s, const char *name)
{
	struct stat st;

	if (s->write && fstatat(s->fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode) &&
	    st.st_ctime + DRAFT_LEFTOVER_AGE < time(NULL))
		unlinkat(s->fd, name, 0);
}

/* false: emit() wants no more. */
static bool name_emit(struct backend *s, const struct dirent *e, backend_emit *emit, void *arg)
{
	unsigned char type = e->d_type;
	struct stat st;

	if (draft_is_leftover(e->d_name)) {
		leftover_clean(s, e->d_name);
		return true;
	}
	if (type == DT_UNKNOWN) {
		if (fstatat(s->fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0)
			return true;          /* gone meanwhile */
		type = IFTODT(st.st_mode);
	}
	struct backend_entry entry = { e->d_name, -1, -1, -1, entry_flags(e->d_name, type) };
	return emit(&entry, arg);
}

static int dir_list(struct backend *s, const struct call *c, const char *prefix, char **cursor,
		    backend_emit *emit, void *arg, struct error *err)
{
	size_t count = 0, prefix_len = prefix != NULL ? strlen(prefix) : 0;
	const struct dirent *e;
	int r = call_check(c, err, "fs: listing");

	if (r != 0)
		return r;
	s->requests++;
	if (!s->listable)
		return error_set(err, EACCES, "fs %s: listing was refused: the directory is not readable", s->path);
	int fd = openat(s->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
	if (d == NULL) {
		r = dir_error(s, err, errno, "listing", s->path);
		if (fd >= 0)
			close(fd);
		return r;
	}
	while (r == 0 && (errno = 0, e = readdir(d)) != NULL) {
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		if (strncmp(e->d_name, prefix != NULL ? prefix : "", prefix_len) == 0 && !name_emit(s, e, emit, arg))
			break;
		if (++count % CHECK_EVERY == 0)
			r = call_check(c, err, "fs: listing");
	}
	if (r == 0 && e == NULL && errno != 0)
		r = dir_error(s, err, errno, "listing", s->path);
	if (r == 0 && dir_gone(s))            /* glibc shows it as an empty one */
		r = dir_error(s, err, ENOENT, "listing", s->path);
	closedir(d);
	free(*cursor);
	*cursor = NULL;
	return r;
}

static int dir_stat(struct backend *s, const struct call *c, const char *name, backend_emit *emit, void *arg,
		    struct error *err)
{
	struct statx sx;
	int r = call_check(c, err, "fs: stat");

	if (r != 0)
		return r;
	s->requests++;
	if (is_elsewhere(name))
		return dir_error(s, err, ENOENT, "looking up", name);
	if (statx(s->fd, name, AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS | STATX_BTIME, &sx) != 0)
		return dir_error(s, err, errno, "looking up", name);
	struct backend_entry entry = {
		.name = name,
		.created = sx.stx_mask & STATX_BTIME ? sx.stx_btime.tv_sec : -1,
		.changed = sx.stx_mtime.tv_sec,
		.size = S_ISREG(sx.stx_mode) ? (int64_t)sx.stx_size : -1,
		.flags = entry_flags(name, IFTODT(sx.stx_mode)),
	};
	emit(&entry, arg);
	return 0;
}

/* --- get -------------------------------------------------------------------------------------------------------- */

/* As long as fstat() told the truth, one read() is enough: it asks for one byte more and does not get it. */
static int file_take(struct backend *s, int fd, const char *name, size_t expected, struct secret *out,
		     struct error *err)
{
	size_t want = expected + 1;

	for (;;) {
		int r = secret_reserve(out, want);
		if (r != 0)
			return error_set(err, -r, "fs %s: reading '%s': no locked memory left", s->path, name);
		size_t room = out->cap - out->len;
		ssize_t n = read(fd, out->bytes + out->len, room);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return dir_error(s, err, errno, "reading", name);
		out->len += (size_t)n;
		if (out->len > DIR_VALUE_MAX)
			return error_set(err, EFBIG, "fs %s: reading '%s': more than 1 MiB, which no KES server reads whole",
					 s->path, name);
		if (n == 0 || ((size_t)n < room && out->len == expected))
			return 0;
		want = out->len + 1;
	}
}

int dir_read(struct backend *s, const char *name, struct secret *out, struct stat *ret_st, struct error *err)
{
	struct stat st;
	int r;

	if (is_elsewhere(name))
		return dir_error(s, err, ENOENT, "reading", name);
	/* O_NONBLOCK: opening a fifo must not hang. */
	int fd = openat(s->fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0)
		return dir_error(s, err, errno, "reading", name);
	if (fstat(fd, &st) != 0)
		r = dir_error(s, err, errno, "reading", name);
	else if (!S_ISREG(st.st_mode))
		r = dir_error(s, err, S_ISDIR(st.st_mode) ? EISDIR : ENXIO, "reading", name);
	else if (st.st_size > DIR_VALUE_MAX)
		r = error_set(err, EFBIG, "fs %s: reading '%s': %lld bytes, more than the 1 MiB that a KES server reads",
			      s->path, name, (long long)st.st_size);
	else
		r = file_take(s, fd, name, (size_t)st.st_size, out, err);
	close(fd);
	if (r != 0)
		secret_wipe(out);
	else if (ret_st != NULL)
		*ret_st = st;
	return r;
}

/* A file that changed just now and is nearly a key, or empty, may be half of one. */
static bool half_written(const struct secret *value, const struct stat *st)
{
	struct key_info info;
	time_t now = time(NULL);

	return st->st_mtime >= now - HALF_WRITTEN_AGE && st->st_mtime <= now + HALF_WRITTEN_AGE &&
		key_parse(value, &info, NULL) == KEY_DAMAGED;
}

static int dir_get(struct backend *s, const struct call *c, const char *name, struct secret *out, struct error *err)
{
	struct stat st;

	int r = call_check(c, err, "fs: reading");
	if (r != 0)
		return r;
	s->requests++;
	r = dir_read(s, name, out, &st, err);
	if (r != 0 || !half_written(out, &st))
		return r;
	r = call_sleep(c, HALF_WRITTEN_NS, true);
	secret_wipe(out);
	return r == 0 ? dir_read(s, name, out, NULL, err) :
		error_set(err, -r, "fs %s: reading '%s': stopped while it was being written", s->path, name);
}

const struct backend_ops dir_backend = {
	.name = "fs",
	.summary = "a directory with one file per key",
	.caps = BACKEND_READ | BACKEND_WRITE | BACKEND_REPLACE | BACKEND_LOCAL | BACKEND_SIZES | BACKEND_SYNCS,
	.name_max = 255,
	.value_max = DIR_VALUE_MAX,
	.name_ok = dir_name_ok,
	.open = dir_open,
	.close = dir_close,
	.caps_now = dir_caps_now,
	.status = dir_status,
	.identity = dir_identity,
	.list = dir_list,
	.stat = dir_stat,
	.get = dir_get,
	.create = dir_create,
	.replace = dir_replace,
	.remove = dir_remove,
	.probe = dir_probe,
	.describe = dir_describe,
	.counts = dir_counts,
};
