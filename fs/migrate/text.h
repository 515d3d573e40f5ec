/* SPDX-License-Identifier: Apache-2.0
 *
 * Numbers, times and names as a reader wants them. */
#ifndef KESFS_FS_MIGRATE_TEXT_H
#define KESFS_FS_MIGRATE_TEXT_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum { TEXT_MAX = 48 };

/* Each writes to buf (TEXT_MAX bytes) and returns it. */
const char *text_count(char *buf, uint64_t n);                        /* 1,234,567 */
const char *text_keys(char *buf, uint64_t n);                         /* "1 key", "1,234 keys" */
const char *text_seconds(char *buf, int64_t ns);                      /* 0.04 s, 12.3 s, 2:05 min, 1:02:03 h */
const char *text_time(char *buf, int64_t seconds);                    /* 2023-11-14T22:13:20Z; "-" if below 0 */

/* A name as one line: control characters are shown as '?'. */
void text_name(FILE *file, const char *name);
/* "text" as a JSON string; bytes that are no UTF-8 become U+FFFD. */
void text_json(FILE *file, const char *text);

#endif
