/* SPDX-License-Identifier: Apache-2.0
 *
 * free() and realloc() that wipe.  libyaml, nghttp2, libfuse and libcurl hand buffers with answers back to the heap as
 * they are and have no hook for it; this file, linked into an executable, is found before the C library's own, by the
 * libraries too (-z now binds them once).  Not under sanitizers, which bring their own, nor for valgrind, which
 * replaces malloc() in the C library only: build with -Db_sanitize=address for it.
 *
 * A block of which the allocator's own notes were overwritten dies in the C library as it always did: the size comes
 * from the same notes. */
#include "fs/harden.h"

#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

enum { STACK_WIPED = 64 * 1024 };

/* A wipe that the compiler cannot take for dead. */
static void bytes_wipe(void *p, size_t n)
{
	memset(p, 0, n);
	__asm__ __volatile__("" : : "r"(p) : "memory");
}

__attribute__((noinline)) void harden_wipe_stack(void)
{
	unsigned char below[STACK_WIPED];

	bytes_wipe(below, sizeof below);
}

#if defined(__GLIBC__) && !defined(KESFS_SANITIZED)

void __libc_free(void *p);

void free(void *p)
{
	int saved = errno;                    /* as POSIX 2024 wants it: cleanup attributes run on error paths */

	if (p == NULL)
		return;
	bytes_wipe(p, malloc_usable_size(p));
	__libc_free(p);
	errno = saved;
}

/* The C library would move a block and leave the old one unwiped; growing is therefore always a new block. */
void *realloc(void *old, size_t size)
{
	if (old == NULL)
		return malloc(size);
	if (size == 0) {
		free(old);
		return NULL;
	}
	size_t had = malloc_usable_size(old);
	if (size <= had && size > had / 2) {
		bytes_wipe((char *)old + size, had - size);
		return old;
	}
	void *moved = malloc(size);
	if (moved == NULL)
		return NULL;
	memcpy(moved, old, size < had ? size : had);
	free(old);
	return moved;
}

/* The C library's own goes to its own realloc(), not to ours. */
void *reallocarray(void *old, size_t count, size_t size)
{
	size_t bytes;

	if (__builtin_mul_overflow(count, size, &bytes)) {
		errno = ENOMEM;
		return NULL;
	}
	return realloc(old, bytes);
}

#endif
