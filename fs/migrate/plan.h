/* SPDX-License-Identifier: Apache-2.0
 *
 * What is where, and what is to be done with each key, before anything is written. */
#ifndef KESFS_FS_MIGRATE_PLAN_H
#define KESFS_FS_MIGRATE_PLAN_H

#include "fs/migrate/run.h"

/* Fill run->items, sorted, and settle what can be settled: after this, pending means "to be written", and
 * run->blocked that nothing may be.  -ENOENT: source or selection is empty. */
int plan_make(struct run *run, struct error *err);

#endif
