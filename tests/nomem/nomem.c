/* SPDX-License-Identifier: Apache-2.0
 *
 * Preloaded into a program, it lets one allocation fail.  $KESFS_NOMEM names a file of eight bytes, shared with the
 * test: a number that counts down to 0 with each allocation, and the one that meets 0 fails.  After that, and while it is
 * negative, nothing fails.  The program's own realloc() (fs/harden.c) ends up in malloc() here. */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *p, size_t size);

static _Atomic int64_t *left;

__attribute__((constructor)) static void nomem_start(void)
{
	const char *path = getenv("KESFS_NOMEM");
	int fd = path != NULL ? open(path, O_RDWR | O_CLOEXEC) : -1;

	if (fd < 0)
		return;
	void *p = mmap(NULL, sizeof *left, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (p != MAP_FAILED)
		left = p;
}

static int fails(void)
{
	if (left == NULL || atomic_load(left) < 0 || atomic_fetch_sub(left, 1) != 0)
		return 0;
	errno = ENOMEM;
	return 1;
}

void *malloc(size_t size)
{
	return fails() ? NULL : __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
	return fails() ? NULL : __libc_calloc(count, size);
}

void *realloc(void *p, size_t size)
{
	return fails() ? NULL : __libc_realloc(p, size);
}
