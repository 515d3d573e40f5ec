/* SPDX-License-Identifier: Apache-2.0
 *
 * The last look.  Where a replace is a delete and a create, the store decides nothing between two runs that replace one
 * key: the later delete hits the other's new value.  And a delete whose answer was lost may come late.  Both are seen
 * only afterwards, so what was replaced there is read once more at the end of the run. */
#ifndef KESFS_FS_MIGRATE_AGAIN_H
#define KESFS_FS_MIGRATE_AGAIN_H

#include "fs/migrate/run.h"

/* Is this key, replaced and verified, still to be looked at?  Until then it is not settled. */
bool again_due(const struct run *run, const struct item *item);
/* Look, and settle them all; also if the run was stopped, then as they were. */
int again_run(struct run *run, struct error *err);

#endif
