/* SPDX-License-Identifier: Apache-2.0
 *
 * Temporary files, and the steps in which the kernel gives them a name.
 *
 * O_TMPFILE, write, fsync, linkat, fsync of the file again was the fastest safe way that was measured (ext4, 16
 * threads: two to four times a single writer's create and fsync; a named file with rename and a shared fsync of the
 * directory: one to two times, since writers queue for the directory's lock).  The second fsync is no luxury: without
 * it ext4 without a journal loses the link count. */
#include "backends/draft.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LEFTOVER_PREFIX ".kesfs-"

int draft_open_unnamed(struct draft *d, int dir)
{
	*d = (struct draft){ .dir = dir, .fd = openat(dir, ".", O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600) };
	if (d->fd >= 0)
		return 0;
	/* Kernels and file systems without it see an attempt to open a directory for writing. */
	return errno == EISDIR || errno == EINVAL ? -EOPNOTSUPP : -errno;
}

int draft_open_named(struct draft *d, int dir)
{
	static _Atomic uint64_t count;
	struct timespec now;

	*d = (struct draft){ .dir = dir, .fd = -1 };
	do {
		clock_gettime(CLOCK_REALTIME, &now);
		snprintf(d->name, sizeof d->name, LEFTOVER_PREFIX "%x-%llx-%llx", (unsigned)getpid(),
			 (unsigned long long)now.tv_sec * 1000000000 + (unsigned long long)now.tv_nsec,
			 (unsigned long long)atomic_fetch_add(&count, 1));
		d->fd = openat(dir, d->name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	} while (d->fd < 0 && errno == EEXIST);
	if (d->fd < 0) {
		d->name[0] = '\0';
		return -errno;
	}
	return 0;
}

int draft_write(struct draft *d, const struct secret *value)
{
	for (size_t done = 0; done < value->len;) {
		ssize_t n = write(d->fd, value->bytes + done, value->len - done);
		if (n < 0 && errno != EINTR)
			return -errno;
		if (n == 0)
			return -EIO;
		if (n > 0)
			done += (size_t)n;
	}
	return 0;
}

/* Naming a descriptor needs CAP_DAC_READ_SEARCH on older kernels; its link in /proc needs /proc. */
static int unnamed_publish(struct draft *d, const char *name)
{
	static _Atomic bool by_proc;
	char path[40];

	if (!by_proc) {
		if (linkat(d->fd, "", d->dir, name, AT_EMPTY_PATH) == 0)
			return 0;
		if (errno != ENOENT)
			return -errno;
	}
	snprintf(path, sizeof path, "/proc/self/fd/%d", d->fd);
	if (linkat(AT_FDCWD, path, d->dir, name, AT_SYMLINK_FOLLOW) != 0)
		return errno == ENOENT && access("/proc/self/fd", F_OK) != 0 ? -EOPNOTSUPP : -errno;
	by_proc = true;
	return 0;
}

/* For file systems that cannot rename without replacing. */
static int named_link(struct draft *d, const char *name)
{
	struct stat st;

	if (linkat(d->dir, d->name, d->dir, name, 0) == 0)
		return 0;
	int code = errno;
	/* NFS sends a request again when the answer was lost, and the second one finds the name taken: by us. */
	if (code == EEXIST && fstatat(d->dir, d->name, &st, AT_SYMLINK_NOFOLLOW) == 0 && st.st_nlink == 2)
		return 0;
	return -code;
}

int draft_publish(struct draft *d, const char *name)
{
	if (d->name[0] == '\0')
		return unnamed_publish(d, name);
	if (renameat2(d->dir, d->name, d->dir, name, RENAME_NOREPLACE) == 0) {
		d->name[0] = '\0';
		return 0;
	}
	/* The draft keeps its own name after a link; draft_drop() removes it. */
	return errno == EINVAL || errno == ENOSYS || errno == EOPNOTSUPP ? named_link(d, name) : -errno;
}

int draft_exchange(struct draft *d, const char *name, bool *ret_swapped)
{
	bool swapped = renameat2(d->dir, d->name, d->dir, name, RENAME_EXCHANGE) == 0;

	if (!swapped && errno != EINVAL && errno != ENOSYS && errno != EOPNOTSUPP)
		return -errno;
	if (!swapped && renameat(d->dir, d->name, d->dir, name) != 0)
		return -errno;
	if (!swapped)
		d->name[0] = '\0';
	*ret_swapped = swapped;
	return 0;
}

void draft_drop(struct draft *d)
{
	if (d->name[0] != '\0')
		unlinkat(d->dir, d->name, 0);
	if (d->fd >= 0)
		close(d->fd);
	*d = (struct draft){ .fd = -1 };
}

/* Only what draft_open_named() makes: a file of somebody else must not be removed for how its name begins. */
bool draft_is_leftover(const char *name)
{
	const char *digits = "0123456789abcdef", *p = name + strlen(LEFTOVER_PREFIX);

	if (strncmp(name, LEFTOVER_PREFIX, strlen(LEFTOVER_PREFIX)) != 0)
		return false;
	for (int part = 0; part < 3; part++) {
		size_t n = strspn(p, digits);
		if (n == 0 || p[n] != (part < 2 ? '-' : '\0'))
			return false;
		p += n + 1;
	}
	return true;
}
