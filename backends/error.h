/* SPDX-License-Identifier: Apache-2.0
 *
 * An error is a code from the list in backend.h and one sentence, made where the cause is known: which store, which
 * key, what was refused, what to do.  Never a secret. */
#ifndef KESFS_BACKENDS_ERROR_H
#define KESFS_BACKENDS_ERROR_H

#include <stdarg.h>
#include <stdbool.h>

enum { ERROR_TEXT_MAX = 768 };

struct error {
	int code;                     /* positive errno, 0: none was set */
	char text[ERROR_TEXT_MAX];    /* one sentence, no newline, no full stop; cut with "..." when too long */
};

#define ERROR_INIT { 0, "" }

/* Set code and sentence, and return -code.  err may be NULL: then only the code is returned.  Control characters of
 * what is printed are shown as '?', so that a name cannot forge a second line. */
int error_set(struct error *err, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
int error_setv(struct error *err, int code, const char *fmt, va_list ap) __attribute__((format(printf, 3, 0)));

/* Put "prefix: " before the sentence of an error; returns -err->code.  err must be set. */
int error_prefix(struct error *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* What a program on the mount sees for a code of backend.h (design.md section 3, errno): a positive errno.
 * Reading a damaged value is EBADMSG here; ENOENT only ever comes from ENOENT. */
int error_errno(int code);

/* The cause may pass by itself: the same run may succeed later (exit status 5). */
bool error_passing(int code);

/* The whole side refuses us: login, permission, sealed (exit status 7 when nothing else could be done there). */
bool error_refused(int code);

/* The symbol, "EACCES", or "errno 123" in a buffer of the thread's own. */
const char *error_symbol(int code);

#endif
