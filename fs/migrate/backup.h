/* SPDX-License-Identifier: Apache-2.0
 *
 * --backup-to: every value that will be replaced is kept in a third store first. */
#ifndef KESFS_FS_MIGRATE_BACKUP_H
#define KESFS_FS_MIGRATE_BACKUP_H

#include "fs/migrate/run.h"

/* For the plan: a key whose name the backup holds with another value is settled as a conflict.  Writes nothing. */
int backup_plan(struct run *run, struct error *err);
/* Before anything is replaced: store the old value of each key that will be, and read it back.  A key whose backup
 * fails is settled as failed and will not be replaced. */
int backup_run(struct run *run, struct error *err);
/* Does the backup hold this old value?  Asked right before a replace and once more after it. */
int backup_holds(struct run *run, const char *name, const struct secret *old, struct cancel *cancel, struct error *err);

#endif
