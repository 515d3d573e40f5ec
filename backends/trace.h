/* SPDX-License-Identifier: Apache-2.0
 *
 * What a module tells somebody who looks for a fault.  Without a listener it costs a comparison.  Never a value, a token
 * or a password: requests are shown without their bodies and headers. */
#ifndef KESFS_BACKENDS_TRACE_H
#define KESFS_BACKENDS_TRACE_H

#include <stdbool.h>

/* is_open() says whether somebody wants to hear of an area ("http", "token"), line() takes one line of it.  Both are called
 * from any thread.  Set before the first module is opened. */
void trace_listen(bool (*is_open)(const char *area), void (*line)(const char *area, const char *text));

bool trace_open(const char *area);
void trace(const char *area, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
