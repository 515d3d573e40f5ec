/* SPDX-License-Identifier: Apache-2.0
 *
 * The only home of secret bytes: values, tokens, passwords and keys derived from them.  Bounded, grown by copy and
 * wipe, compared in constant time, wiped by known length.  Nothing prints one: a log says name and length.
 *
 * Up to SECRET_HEAP_MAX the bytes live in OpenSSL's secure heap; larger ones in a locked, undumped mapping of their
 * own.  The heap never runs full, since OpenSSL keeps its random generators there: one eighth stays free, and an
 * allocation that would take it waits up to SECRET_WAIT_NS, then fails with ENOMEM.  Under sanitizers, which cannot
 * see into the arena, it is plain malloc. */
#ifndef KESFS_BACKENDS_SECRET_H
#define KESFS_BACKENDS_SECRET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "backends/error.h"

enum {
	SECRET_HEAP_MAX = 64 * 1024,
	SECRET_MAX = 32 * 1024 * 1024,    /* more is refused with EFBIG */
};
#define SECRET_WAIT_NS INT64_C(5000000000)

struct secret {
	unsigned char *bytes;             /* NULL while cap is 0; not terminated */
	size_t len, cap;
};

#define SECRET_INIT { NULL, 0, 0 }
#define SECRET(name) __attribute__((cleanup(secret_wipe))) struct secret name = SECRET_INIT

/* Once per process, after the last fork (locks do not survive it) and before the first secret.  The arena is the
 * largest power of two up to half of RLIMIT_MEMLOCK, at most 8 MiB, at least 64 KiB.  *ret_locked says whether it is
 * locked: if not, the caller warns once.  Also sets PR_SET_DUMPABLE 0 and RLIMIT_CORE 0.  0 or -ENOMEM. */
int secret_setup(bool *ret_locked, struct error *err);

/* How much the arena holds when it is empty; also where it is not used, so that bounds are the same. */
size_t secret_room(void);

void secret_wipe(struct secret *s);                   /* cleanse, free, empty; accepts NULL and the empty one */
/* The rest: 0, or -ENOMEM or -EFBIG; *s is unchanged on failure. */
int secret_reserve(struct secret *s, size_t cap);     /* room for cap bytes, len unchanged */
int secret_resize(struct secret *s, size_t len);      /* shrunk bytes are wiped, grown ones are zero */
int secret_append(struct secret *s, const void *bytes, size_t len);
int secret_append_text(struct secret *s, const char *text);
int secret_copy(struct secret *to, const struct secret *from);   /* to is wiped first */
void secret_move(struct secret *to, struct secret *from);        /* to is wiped first; from is left empty */
bool secret_equal(const struct secret *a, const struct secret *b);   /* constant time for equal lengths */

/* A zero byte after the end (not counted in len), for libraries that want a C string.  Valid until the next change;
 * NULL if there is no memory. */
const char *secret_text(struct secret *s);
/* Drop white space at the end: files with tokens end in a newline. */
void secret_trim(struct secret *s);

/* Append what can be read from fd, at most max bytes more: -EFBIG if there is more, -errno of read().  err says
 * nothing of the content. */
int secret_read_fd(struct secret *s, int fd, size_t max, struct error *err);
/* The whole file at path, up to max bytes. */
int secret_read_file(struct secret *s, const char *path, size_t max, struct error *err);

#endif
