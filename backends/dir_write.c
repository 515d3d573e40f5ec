/* SPDX-License-Identifier: Apache-2.0
 *
 * The half of the directory store that changes it: all or nothing, and on the disk before it is reported.
 *
 * A create is decided by the file system (link, or rename that does not replace).  A replace compares, then swaps the
 * new file with the old one; the comparison is guarded against our own threads by a turn and against other
 * processes of ours by flock() on the directory, and against everybody else by the swap, which shows what it took
 * away.  Neither covers an fsync. */
#include "backends/dir.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "backends/draft.h"

#define LOCK_AGAIN_NS INT64_C(1000000)

static int change_allowed(const struct backend *s, const struct call *c, const char *name, struct error *err)
{
	int r = call_check(c, err, "fs: writing");

	if (r != 0)
		return r;
	if (!s->write)
		return error_set(err, EPERM, "fs %s: changing '%s': the store was opened for reading only", s->path, name);
	if (!dir_backend.name_ok(name))
		return error_set(err, EINVAL, "fs %s: '%s' cannot be a key: a name is not empty and has no '/', '\\' or '.'",
				 s->path, name);
	return dir_in_place(s, err);
}

/* --- drafts ----------------------------------------------------------------------------------------------------- */

static int draft_open(struct backend *s, struct draft *d, bool named)
{
	if (!named && !s->named) {
		int r = draft_open_unnamed(d, s->fd);
		if (r != -EOPNOTSUPP)
			return r;
		s->named = true;
	}
	return draft_open_named(d, s->fd);
}

/* A file that root makes in the directory of a KES server's user must be readable to that server.  Where the owner
 * cannot be changed (a user namespace, a squashing NFS server) the file is as good as any other way of writing it. */
static void draft_give(const struct backend *s, const struct draft *d)
{
	if (s->give && fchown(d->fd, s->uid, s->gid) != 0)
		return;
}

/* Write the value; a refusal leaves nothing behind. */
static int draft_fill(struct backend *s, struct draft *d, bool named, const struct secret *val)
{
	int r = draft_open(s, d, named);

	if (r != 0)
		return r;
	draft_give(s, d);
	return draft_write(d, val);
}

/* And sync it. */
static int draft_make(struct backend *s, struct draft *d, bool named, const struct secret *val)
{
	int r = draft_fill(s, d, named, val);

	if (r == 0 && !s->in_memory && fsync(d->fd) != 0)
		r = -errno;
	return r;
}

/* After a name was given: by the file itself (see draft.c), or by the directory, once for many. */
static int persist(struct backend *s, const struct call *c, int fd, bool by_file)
{
	if (s->in_memory)
		return 0;
	if (!by_file && s->listable)
		return dirsync_wait(&s->sync, c);
	return fd < 0 || fsync(fd) == 0 ? 0 : -errno;
}

static int persist_report(struct backend *s, struct error *err, int r, const char *name)
{
	if (r == 0)
		return 0;
	if (r == -ETIMEDOUT)
		return dir_error(s, err, ETIMEDOUT, "syncing", name);
	return error_set(err, EIO, "fs %s: '%s' was changed, but may not survive a power cut: the disk says %s",
			 s->path, name, strerror(-r));
}

/* --- create ----------------------------------------------------------------------------------------------------- */

static int create_alone(struct backend *s, const struct call *c, const char *name, const struct secret *val,
		       struct error *err)
{
	AUTO_DRAFT d = { .fd = -1 };
	int r = draft_make(s, &d, false, val);

	if (r != 0)
		return dir_error(s, err, -r, "creating", name);
	r = call_check(c, err, "fs: creating");
	if (r != 0)
		return r;
	bool unnamed = d.name[0] == '\0';
	r = draft_publish(&d, name);
	if (r == -EOPNOTSUPP && unnamed)
		s->named = true;              /* the caller tries again */
	if (r != 0)
		return dir_error(s, err, -r, "creating", name);
	return persist_report(s, err, persist(s, c, d.fd, unnamed), name);
}

/* -EAGAIN: nothing was changed; it has to go alone. */
static int create_crowded(struct backend *s, const struct call *c, const char *name, const struct secret *val,
			  struct error *err)
{
	AUTO_DRAFT d = { .fd = -1 };
	bool published = false;
	int r = draft_fill(s, &d, false, val);

	if (r == 0)
		r = d.name[0] == '\0' ? crowd_publish(&s->crowd, &d, name, c, &published) : -EAGAIN;
	if (r == -EOPNOTSUPP) {
		s->named = true;
		r = -EAGAIN;
	}
	if (r == -EAGAIN)
		return r;
	if (published)
		return persist_report(s, err, r, name);
	return r == -ECANCELED ? call_check(c, err, "fs: creating") : dir_error(s, err, -r, "creating", name);
}

int dir_create(struct backend *s, const struct call *c, const char *name, const struct secret *val, struct error *err)
{
	int r = change_allowed(s, c, name, err);

	if (r != 0)
		return r;
	if (val->len > DIR_VALUE_MAX)
		return error_set(err, EFBIG, "fs %s: creating '%s': %zu bytes, more than the 1 MiB that a KES server reads",
				 s->path, name, val->len);
	s->requests++;
	bool crowded = crowd_enter(&s->crowd) && !s->named, named = s->named;
	r = crowded ? create_crowded(s, c, name, val, err) : -EAGAIN;
	if (r == -EAGAIN)
		r = create_alone(s, c, name, val, err);
	if (r != 0 && r != -EEXIST && s->named && !named)
		r = create_alone(s, c, name, val, err);
	crowd_leave(&s->crowd);
	return r;
}

/* --- replace, remove -------------------------------------------------------------------------------------------- */

static int thread_turn(struct backend *s, const struct call *c)
{
	struct timespec until = { c->deadline / 1000000000, c->deadline % 1000000000 };
	int r = 0;

	pthread_mutex_lock(&s->lock);
	while (s->changing && r == 0)
		r = pthread_cond_timedwait(&s->changed, &s->lock, &until);
	if (!s->changing)
		r = 0;
	if (r == 0)
		s->changing = true;
	pthread_mutex_unlock(&s->lock);
	return -r;
}

static void thread_done(struct backend *s)
{
	pthread_mutex_lock(&s->lock);
	s->changing = false;
	pthread_cond_signal(&s->changed);
	pthread_mutex_unlock(&s->lock);
}

/* Ours alone until change_end().  A file system without flock() leaves us the turn among our threads. */
static int change_begin(struct backend *s, const struct call *c, const char *name, struct error *err)
{
	if (thread_turn(s, c) != 0)
		return dir_error(s, err, ETIMEDOUT, "changing", name);
	while (flock(s->fd, LOCK_EX | LOCK_NB) != 0) {
		if (errno != EWOULDBLOCK && errno != EINTR)
			return 0;
		int r = call_sleep(c, LOCK_AGAIN_NS, true);
		if (r == 0)
			continue;
		thread_done(s);
		return error_set(err, -r, "fs %s: changing '%s': another process holds the directory's lock", s->path, name);
	}
	return 0;
}

static void change_end(struct backend *s)
{
	flock(s->fd, LOCK_UN);
	thread_done(s);
}

static int stale(const struct backend *s, const char *name, const char *what, struct error *err)
{
	return error_set(err, ESTALE, "fs %s: replacing '%s': it was %s by somebody else meanwhile", s->path, name, what);
}

/* The new file belongs to whom the old one did, and whoever could read it still can. */
static void draft_match(const struct draft *d, const struct stat *old)
{
	struct stat st;

	if (fstat(d->fd, &st) != 0)
		return;
	if ((st.st_uid != old->st_uid || st.st_gid != old->st_gid) && fchown(d->fd, old->st_uid, old->st_gid) != 0)
		return;
	if ((st.st_mode & 0777) != (old->st_mode & 0777) && fchmod(d->fd, old->st_mode & 0777) != 0)
		return;
}

/* *ret_done: the new value is there already, from a try whose answer was lost. */
static int replace_check(struct backend *s, const char *name, const struct secret *old, const struct secret *val,
			 struct stat *ret_st, bool *ret_done, struct error *err)
{
	SECRET(now);
	int r = dir_read(s, name, &now, ret_st, err);

	if (r == -ENOENT)
		return stale(s, name, "removed", err);
	if (r != 0)
		return r;
	*ret_done = secret_equal(&now, val);
	return *ret_done || secret_equal(&now, old) ? 0 : stale(s, name, "changed", err);
}

static int replace_swap(struct backend *s, struct draft *d, const char *name, const struct stat *old, struct error *err)
{
	bool swapped;
	struct stat st;

	draft_match(d, old);
	int r = draft_exchange(d, name, &swapped);
	if (r == -ENOENT)
		return stale(s, name, "removed", err);
	if (r != 0)
		return dir_error(s, err, -r, "replacing", name);
	if (!swapped || fstatat(s->fd, d->name, &st, AT_SYMLINK_NOFOLLOW) != 0 ||
	    (st.st_ino == old->st_ino && st.st_dev == old->st_dev))
		return 0;
	/* Somebody without our lock put another file there after it was compared: give it back. */
	r = draft_exchange(d, name, &swapped);
	if (r == 0)
		return stale(s, name, "changed", err);
	error_set(err, EIO, "fs %s: replacing '%s': a file that came in between is now '%s': %s", s->path, name,
		  d->name, strerror(-r));
	d->name[0] = '\0';                    /* not ours to remove */
	return -EIO;
}

int dir_replace(struct backend *s, const struct call *c, const char *name, const struct secret *old,
		const struct secret *val, struct error *err)
{
	AUTO_DRAFT d = { .fd = -1 };
	struct stat st;
	bool done = false;
	int r = change_allowed(s, c, name, err);

	if (r != 0)
		return r;
	if (val->len > DIR_VALUE_MAX)
		return error_set(err, EFBIG, "fs %s: replacing '%s': %zu bytes, more than the 1 MiB that a KES server reads",
				 s->path, name, val->len);
	s->requests++;
	r = draft_make(s, &d, true, val);
	if (r != 0)
		return dir_error(s, err, -r, "replacing", name);
	r = change_begin(s, c, name, err);
	if (r != 0)
		return r;
	r = replace_check(s, name, old, val, &st, &done, err);
	if (r == 0 && !done)
		r = replace_swap(s, &d, name, &st, err);
	change_end(s);
	return r != 0 ? r : persist_report(s, err, persist(s, c, d.fd, false), name);
}

int dir_remove(struct backend *s, const struct call *c, const char *name, struct error *err)
{
	struct stat st;
	int r = change_allowed(s, c, name, err);

	if (r != 0)
		return r;
	s->requests++;
	r = change_begin(s, c, name, err);
	if (r != 0)
		return r;
	if (fstatat(s->fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
		r = dir_error(s, err, errno, "removing", name);
	else if (!S_ISREG(st.st_mode))
		r = dir_error(s, err, S_ISDIR(st.st_mode) ? EISDIR : S_ISLNK(st.st_mode) ? ELOOP : ENXIO, "removing", name);
	else if (unlinkat(s->fd, name, 0) != 0)
		r = dir_error(s, err, errno, "removing", name);
	change_end(s);
	return r != 0 ? r : persist_report(s, err, persist(s, c, -1, false), name);
}
