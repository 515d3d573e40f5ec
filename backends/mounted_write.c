/* SPDX-License-Identifier: Apache-2.0
 *
 * Changing keys through a kesfs mount: open with O_EXCL and close to create; open, compare, cut and close to replace.
 * The close is where the mount commits and where it says what became of it. */
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include "backends/mounted_inside.h"

static int change_allowed(struct backend *b, const struct call *c, const char *name, const struct secret *val,
			  struct error *err)
{
	int r = call_check(c, err, "mount: writing");

	if (r == 0 && !b->write)
		r = error_set(err, EPERM, "mount %s: changing '%s': it was opened for reading only", b->path, name);
	if (r == 0 && val != NULL && val->len > MOUNTED_VALUE_MAX)
		r = mounted_error(b, err, EFBIG, "writing", name);
	return r;
}

/* Write it all and close.  What could not be written whole must not be committed by the close: the mount drops what it
 * refused, and what was cut to nothing. */
static int value_write(int fd, const struct interrupt *i, const struct secret *val)
{
	int r = 0;

	for (size_t done = 0; r == 0 && done < val->len;) {
		ssize_t n = write(fd, val->bytes + done, val->len - done);
		if (n > 0)
			done += (size_t)n;
		else if (n == 0)
			r = -EIO;
		else
			r = errno == EINTR ? interrupt_reason(i) : -errno;
	}
	if (r != 0 && ftruncate(fd, 0) != 0)
		errno = -r;
	return close(fd) != 0 && r == 0 ? -errno : r;
}

/* Was the change made after an answer that leaves it open?  EEXIST, EACCES and the like leave nothing open. */
static int settle(struct backend *b, struct interrupt *i, int r, const char *name, const struct secret *val,
		  bool creating, struct error *err)
{
	SECRET(now);
	struct error seen = ERROR_INIT;
	const char *doing = creating ? "creating" : "replacing";

	if (r != -EIO && r != -ETIMEDOUT && r != -EINTR && r != -ECONNABORTED)
		return mounted_error(b, err, -r, doing, name);
	int got = mounted_read(b, i, name, &now, &seen);
	if (got == 0 && secret_equal(&now, val))
		return 0;
	if (got == 0 && creating)
		return mounted_error(b, err, EEXIST, doing, name);
	/* The mount deleted it, could store neither value, and tries on; so must whoever has them, since a mount may end. */
	if (got == -ENOENT && !creating && r != -EINTR)
		return error_set(err, ENOTRECOVERABLE, "mount %s: '%s' was removed for its replace, and is not there", b->path, name);
	/* The mount settles what it has sent before it answers; what we interrupted may still come. */
	if ((got == 0 || got == -ENOENT) && r != -EINTR)
		return mounted_error(b, err, -r, doing, name);
	return error_set(err, EINPROGRESS, "mount %s: '%s' may or may not have been stored%s%s", b->path, name,
			 got != 0 && got != -ENOENT ? ", and cannot be read back: " : "", seen.text);
}

/* The descriptor, opened for writing, is given away. */
static int commit(struct backend *b, struct interrupt *i, int fd, const char *name, const struct secret *val,
		  bool creating, struct error *err)
{
	interrupt_ignore_cancel(i);
	int r = value_write(fd, i, val);
	return r == 0 ? 0 : settle(b, i, r, name, val, creating, err);
}

int mounted_create(struct backend *b, const struct call *c, const char *name, const struct secret *val,
		   struct error *err)
{
	int r = change_allowed(b, c, name, val, err);

	if (r != 0)
		return r;
	INTERRUPT(i, c);
	b->requests++;
	int fd = mounted_openat(b->fd, name, O_WRONLY | O_CREAT | O_EXCL, &i);
	return fd < 0 ? mounted_error(b, err, -fd, "creating", name) : commit(b, &i, fd, name, val, true, err);
}

/* All who have a file open for writing share its bytes, so two replaces of one key at once would mix: the lock, which
 * the kernel keeps for all programs on this mount, lets one after the other. */
static int key_lock(struct backend *b, struct interrupt *i, const char *name, int *ret, struct error *err)
{
	int fd = mounted_key_open(b, i, name, O_RDONLY);

	if (fd < 0)
		return mounted_error(b, err, fd == -ENOENT ? ESTALE : -fd, "replacing", name);
	while (flock(fd, LOCK_EX | LOCK_NB) != 0) {
		int r = errno == EWOULDBLOCK || errno == EINTR ? interrupt_sleep(i, MOUNTED_PAUSE_NS) : -errno;
		if (r == 0)
			continue;
		close(fd);
		return mounted_error(b, err, -r, "locking", name);
	}
	*ret = fd;
	return 0;
}

static int value_cut(struct backend *b, struct interrupt *i, int fd, const char *name, struct error *err)
{
	while (ftruncate(fd, 0) != 0) {
		int r = errno == EINTR ? interrupt_reason(i) : -errno;
		if (r != 0)
			return mounted_error(b, err, -r, "replacing", name);
	}
	return lseek(fd, 0, SEEK_SET) == 0 ? 0 : mounted_error(b, err, errno, "replacing", name);
}

/* What is compared is what the open brought, and that is also what the mount takes for the old value in its commit: had
 * it been opened anew to be cut, somebody else's change in between would be overwritten. */
static int replace_locked(struct backend *b, struct interrupt *i, const char *name, const struct secret *old,
			  const struct secret *val, struct error *err)
{
	SECRET(now);
	int fd = mounted_key_open(b, i, name, O_RDWR);

	if (fd < 0)
		return mounted_error(b, err, fd == -ENOENT ? ESTALE : -fd, "replacing", name);
	int r = mounted_value_read(b, fd, i, name, &now, err);
	bool done = r == 0 && secret_equal(&now, val);
	if (r == 0 && !done && !secret_equal(&now, old))
		r = mounted_error(b, err, ESTALE, "replacing", name);
	if (r == 0 && !done)
		r = value_cut(b, i, fd, name, err);
	if (r == 0 && !done)
		return commit(b, i, fd, name, val, false, err);
	close(fd);                            /* nothing was changed, or it was cut to nothing, which the mount drops */
	return r;
}

int mounted_replace(struct backend *b, const struct call *c, const char *name, const struct secret *old,
		    const struct secret *val, struct error *err)
{
	int lock = -1, r = change_allowed(b, c, name, val, err);

	if (r != 0)
		return r;
	INTERRUPT(i, c);
	r = key_lock(b, &i, name, &lock, err);
	if (r != 0)
		return r;
	r = replace_locked(b, &i, name, old, val, err);
	close(lock);
	return r;
}

int mounted_remove(struct backend *b, const struct call *c, const char *name, struct error *err)
{
	int r = change_allowed(b, c, name, NULL, err);

	if (r != 0)
		return r;
	INTERRUPT(i, c);
	interrupt_ignore_cancel(&i);
	b->requests++;
	while (unlinkat(b->fd, name, 0) != 0) {
		r = errno == EINTR ? interrupt_reason(&i) : -errno;
		if (r != 0)
			return mounted_error(b, err, -r, "removing", name);
	}
	return 0;
}
