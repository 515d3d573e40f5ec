/* SPDX-License-Identifier: Apache-2.0
 *
 * Which key names may pass, in both directions. */
#ifndef KESFS_FS_NAME_H
#define KESFS_FS_NAME_H

#include <stdbool.h>

#include "backends/backend.h"

enum { NAME_KES_MAX = 80 };           /* keystores.md 3.1 */

/* A name that a KES server accepts: 1 to 80 of [0-9A-Za-z_-], no '-' at either end, not "_" alone.  -EINVAL or
 * -ENAMETOOLONG with a sentence that names the first rule broken. */
int name_check(const char *name, struct error *err);
/* A stored name that can be shown as a file: not empty, ".", "..", no '/', no byte below 0x20 nor 0x7f, at most 255
 * bytes, no leading '.' (those are temporary names on a mount). */
bool name_shown(const char *name);
/* name_check(), and what the store itself says (ops->name_max, ops->name_ok). */
int name_check_store(const char *name, const struct backend_ops *ops, struct error *err);

#endif
