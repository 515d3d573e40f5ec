/* SPDX-License-Identifier: Apache-2.0
 *
 * What mounted.c and mounted_write.c share. */
#ifndef KESFS_BACKENDS_MOUNTED_INSIDE_H
#define KESFS_BACKENDS_MOUNTED_INSIDE_H

#include <stdatomic.h>

#include "backends/interrupt.h"
#include "backends/mounted.h"

enum { MOUNTED_VALUE_MAX = 1024 * 1024 };
#define MOUNTED_PAUSE_NS INT64_C(2000000)     /* between two looks at what is busy */

struct backend {                              /* of this module */
	char *path;
	int fd;
	bool write;
	_Atomic uint64_t requests;
};

/* The code of backend.h and a sentence for what the mount said. */
int mounted_error(const struct backend *b, struct error *err, int code, const char *doing, const char *name);
/* A descriptor, or -errno; -ECANCELED and -ETIMEDOUT where i says so (NULL: nothing waits for the store). */
int mounted_openat(int dir, const char *name, int flags, const struct interrupt *i);
/* The same for a key.  One that somebody writes through the same mount is busy until the close: that is waited for. */
int mounted_key_open(struct backend *b, const struct interrupt *i, const char *name, int flags);
/* The value behind an open key. */
int mounted_value_read(struct backend *b, int fd, const struct interrupt *i, const char *name, struct secret *out,
		       struct error *err);
int mounted_read(struct backend *b, const struct interrupt *i, const char *name, struct secret *out, struct error *err);

int mounted_create(struct backend *b, const struct call *c, const char *name, const struct secret *val,
		   struct error *err);
int mounted_replace(struct backend *b, const struct call *c, const char *name, const struct secret *old,
		    const struct secret *val, struct error *err);
int mounted_remove(struct backend *b, const struct call *c, const char *name, struct error *err);

#endif
