/* SPDX-License-Identifier: Apache-2.0
 *
 * One event, one line.  To stderr, to a file, or to syslog once a daemon has no terminal.  Thread safe. */
#ifndef KESFS_FS_LOG_H
#define KESFS_FS_LOG_H

#include <stdbool.h>

#include "backends/error.h"

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/* name stands before every line on stderr ("kesfs: ..."); it is also the syslog identity. */
void log_setup(const char *name);
int log_to_file(const char *path, struct error *err);     /* appended, 0600; log_reopen() for rotation */
void log_to_syslog(void);
void log_to_stderr(void);                                 /* where it begins */
void log_reopen(void);
/* Comma separated areas ("http,cache"); -EINVAL names an area that does not exist and those that do. */
int log_debug(const char *areas, struct error *err);
bool log_debugging(const char *area);
void log_line(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void log_area(const char *area, const char *fmt, ...) __attribute__((format(printf, 2, 3)));   /* only if open */

#endif
