/* SPDX-License-Identifier: Apache-2.0
 *
 * Carries out the plan. */
#ifndef KESFS_FS_MIGRATE_COPY_H
#define KESFS_FS_MIGRATE_COPY_H

#include "fs/migrate/run.h"

/* Create and replace what the plan left pending, and read it back. */
int copy_run(struct run *run, struct error *err);

#endif
