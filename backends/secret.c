/* SPDX-License-Identifier: Apache-2.0
 *
 * Locked memory under one type.  Waiting for room happens here, so that no caller has to know that the arena has an
 * end. */
#include "backends/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "backends/call.h"

enum { ARENA_MAX = 8 * 1024 * 1024, ARENA_MIN = 64 * 1024, CHUNK_MIN = 32 };

static struct {
	pthread_mutex_t lock;
	pthread_cond_t freed;
	size_t size, used;                    /* guarded by lock; size 0: no arena, plain malloc */
	size_t room;                          /* what size is, or would be */
} arena = { PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0, 0, ARENA_MAX };

#ifndef KESFS_SANITIZED
/* OpenSSL aborts the process where it gets no memory for the tables of its arena.  They are taken out of one block,
 * which was to be had before; nothing of them is ever given back. */
static struct {
	unsigned char *block;
	size_t size, used;
	bool building;
} tables;

static void *table_malloc(size_t size, const char *file, int line)
{
	size_t whole = (size + 15) & ~(size_t)15;

	if (!tables.building || whole > tables.size - tables.used)
		return malloc(size);
	tables.used += whole;
	return tables.block + tables.used - whole;
}

static void *table_realloc(void *p, size_t size, const char *file, int line)
{
	return realloc(p, size);
}

static void table_free(void *p, const char *file, int line)
{
	uintptr_t at = (uintptr_t)p, from = (uintptr_t)tables.block;

	if (at < from || at >= from + tables.used)
		free(p);
}

/* 0, 1 or 2, as CRYPTO_secure_malloc_init() says it. */
static int arena_make(size_t size)
{
	/* Two maps of two bits for each smallest chunk, a list for each size of chunk, and a lock. */
	tables.size = size / CHUNK_MIN / 2 + 4096;
	tables.block = calloc(1, tables.size);
	if (tables.block == NULL)
		return 0;
	tables.building = CRYPTO_set_mem_functions(table_malloc, table_realloc, table_free) == 1;
	int made = CRYPTO_secure_malloc_init(size, CHUNK_MIN);
	if (!tables.building)
		free(tables.block);           /* OpenSSL was used before: it has memory of its own by now */
	tables.building = false;
	return made;
}
#endif

int secret_setup(bool *ret_locked, struct error *err)
{
	struct rlimit limit, none = { 0, 0 };
	size_t size = ARENA_MAX;

	prctl(PR_SET_DUMPABLE, 0);
	setrlimit(RLIMIT_CORE, &none);
	*ret_locked = true;
	if (getrlimit(RLIMIT_MEMLOCK, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY)
		while (size > ARENA_MIN && size > limit.rlim_cur / 2)
			size /= 2;
	arena.room = size;
#ifndef KESFS_SANITIZED
	switch (arena_make(size)) {
	case 0:
		return error_set(err, ENOMEM, "no memory for the secure heap of %zu bytes", size);
	case 2:
		*ret_locked = false;
		break;
	}
	arena.size = size;
#else
	(void)err;
#endif
	return 0;
}

size_t secret_room(void)
{
	return arena.room;
}

/* What a request really takes: the heap is a buddy allocator. */
static size_t chunk_of(size_t cap)
{
	size_t chunk = CHUNK_MIN;

	while (chunk < cap)
		chunk *= 2;
	return chunk;
}

/* Wait until a chunk fits without touching the last eighth. */
static bool arena_take(size_t chunk)
{
	struct timespec until;
	bool fits;
	int r = 0;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += SECRET_WAIT_NS / 1000000000;
	pthread_mutex_lock(&arena.lock);
	while (!(fits = arena.used + chunk <= arena.size - arena.size / 8) && r == 0)
		r = pthread_cond_clockwait(&arena.freed, &arena.lock, CLOCK_MONOTONIC, &until);
	if (fits)
		arena.used += chunk;
	pthread_mutex_unlock(&arena.lock);
	return fits;
}

static void arena_give(size_t chunk)
{
	pthread_mutex_lock(&arena.lock);
	arena.used -= chunk;
	pthread_cond_broadcast(&arena.freed);
	pthread_mutex_unlock(&arena.lock);
}

static unsigned char *bytes_map(size_t cap)
{
	void *p = mmap(NULL, cap, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		return NULL;
	mlock(p, cap);                        /* best effort: the limit is small on many systems */
	madvise(p, cap, MADV_DONTDUMP);
	return p;
}

/* What lives in the heap: a small one (RLIMIT_MEMLOCK) must not wait in vain for what it can never hold. */
static size_t heap_max(void)
{
	return arena.size != 0 && arena.size / 8 < SECRET_HEAP_MAX ? arena.size / 8 : SECRET_HEAP_MAX;
}

static unsigned char *bytes_new(size_t *cap)
{
	if (*cap > heap_max()) {
		*cap = (*cap + 4095) & ~(size_t)4095;
		return bytes_map(*cap);
	}
	*cap = chunk_of(*cap);
	if (arena.size == 0)
		return OPENSSL_malloc(*cap);
	if (!arena_take(*cap))
		return NULL;
	unsigned char *p = OPENSSL_secure_malloc(*cap);
	if (p == NULL)
		arena_give(*cap);
	return p;
}

static void bytes_free(unsigned char *p, size_t cap)
{
	if (cap == 0)
		return;
	if (cap > heap_max()) {
		OPENSSL_cleanse(p, cap);
		munmap(p, cap);
	} else if (arena.size == 0) {
		OPENSSL_clear_free(p, cap);
	} else {
		OPENSSL_secure_clear_free(p, cap);
		arena_give(cap);
	}
}

void secret_wipe(struct secret *s)
{
	if (s == NULL)
		return;
	bytes_free(s->bytes, s->cap);
	*s = (struct secret)SECRET_INIT;
}

int secret_reserve(struct secret *s, size_t cap)
{
	if (cap <= s->cap)
		return 0;
	if (cap > SECRET_MAX)
		return -EFBIG;
	if (cap < 2 * s->cap && 2 * s->cap <= SECRET_MAX)
		cap = 2 * s->cap;
	unsigned char *p = bytes_new(&cap);
	if (p == NULL)
		return -ENOMEM;
	if (s->len > 0)
		memcpy(p, s->bytes, s->len);
	bytes_free(s->bytes, s->cap);
	s->bytes = p;
	s->cap = cap;
	return 0;
}

int secret_resize(struct secret *s, size_t len)
{
	int r = secret_reserve(s, len);

	if (r != 0)
		return r;
	if (len < s->len)
		OPENSSL_cleanse(s->bytes + len, s->len - len);
	else if (len > s->len)
		memset(s->bytes + s->len, 0, len - s->len);
	s->len = len;
	return 0;
}

int secret_append(struct secret *s, const void *bytes, size_t len)
{
	if (len == 0)
		return 0;
	int r = secret_reserve(s, s->len + len);
	if (r != 0)
		return r;
	memcpy(s->bytes + s->len, bytes, len);
	s->len += len;
	return 0;
}

int secret_append_text(struct secret *s, const char *text)
{
	return secret_append(s, text, strlen(text));
}

int secret_copy(struct secret *to, const struct secret *from)
{
	secret_wipe(to);
	return secret_append(to, from->bytes, from->len);
}

void secret_move(struct secret *to, struct secret *from)
{
	secret_wipe(to);
	*to = *from;
	*from = (struct secret)SECRET_INIT;
}

bool secret_equal(const struct secret *a, const struct secret *b)
{
	return a->len == b->len && (a->len == 0 || CRYPTO_memcmp(a->bytes, b->bytes, a->len) == 0);
}

const char *secret_text(struct secret *s)
{
	if (secret_reserve(s, s->len + 1) != 0)
		return NULL;
	s->bytes[s->len] = '\0';
	return (const char *)s->bytes;
}

void secret_trim(struct secret *s)
{
	while (s->len > 0 && memchr(" \t\r\n", s->bytes[s->len - 1], 4) != NULL)
		s->bytes[--s->len] = '\0';
}

int secret_read_fd(struct secret *s, int fd, size_t max, struct error *err)
{
	size_t end = s->len + max;

	for (;;) {
		/* One byte more than allowed, to tell "full" from "too much". */
		size_t room = end - s->len + 1;
		if (room > 4096)
			room = 4096;
		int r = secret_reserve(s, s->len + room);
		if (r != 0)
			return error_set(err, -r, "no locked memory for a value");
		ssize_t n = read(fd, s->bytes + s->len, room);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_set(err, errno, "reading failed: %s", strerror(errno));
		if (n == 0)
			return 0;
		s->len += (size_t)n;
		if (s->len > end)
			return error_set(err, EFBIG, "more than %zu bytes", max);
	}
}

int secret_read_file(struct secret *s, const char *path, size_t max, struct error *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);

	if (fd < 0)
		return error_set(err, errno, "%s: %s", path, strerror(errno));
	int r = secret_read_fd(s, fd, max, err);
	close(fd);
	return r != 0 ? error_prefix(err, "%s", path) : 0;
}
