/* SPDX-License-Identifier: Apache-2.0
 *
 * KES's patterns: exactly Go's filepath.Match on Unix (keystores.md 3.4). */
#ifndef KESFS_FS_GLOB_H
#define KESFS_FS_GLOB_H

#include <stdbool.h>

#include "backends/error.h"

/* 0, or -EINVAL with a sentence naming pattern and place.  The whole pattern is checked, whatever it is matched with. */
int glob_check(const char *pattern, struct error *err);
/* pattern has passed glob_check(). */
bool glob_match(const char *pattern, const char *name);
/* No magic: the pattern matches exactly one name, which unescaped is written to a malloc'd *ret; else NULL there. */
bool glob_literal(const char *pattern, char **ret);
/* The literal beginning of the pattern, unescaped, malloc'd: a prefix hint for list(). */
char *glob_prefix(const char *pattern);

#endif
