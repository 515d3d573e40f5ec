/* SPDX-License-Identifier: Apache-2.0
 *
 * The keys of a run: from the listings of both sides, or from literal names alone. */
#ifndef KESFS_FS_MIGRATE_GATHER_H
#define KESFS_FS_MIGRATE_GATHER_H

#include "fs/migrate/run.h"

/* Fill run->items, sorted by name; settle what is no key for certain.  -ENOENT: nothing is selected. */
int gather(struct run *run, struct error *err);
/* Drop the target's names, which only the plan needs. */
void gather_forget(struct run *run);

#endif
