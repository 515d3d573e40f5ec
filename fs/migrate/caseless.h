/* SPDX-License-Identifier: Apache-2.0
 *
 * Stores that do not tell case apart: of two names that differ only in case the second cannot exist. */
#ifndef KESFS_FS_MIGRATE_CASELESS_H
#define KESFS_FS_MIGRATE_CASELESS_H

#include <stddef.h>

#include "backends/error.h"
#include "fs/migrate/outcome.h"

/* Mark as ITEM_UNFIT the pending items whose name differs only in case from a name at the target or from one that
 * comes before it. */
int caseless_mark(struct item *items, size_t count, char *const *target, size_t target_count, struct error *err);

#endif
