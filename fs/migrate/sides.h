/* SPDX-License-Identifier: Apache-2.0
 *
 * The first words with all sides of a run, and what rules a run out before a name was looked at. */
#ifndef KESFS_FS_MIGRATE_SIDES_H
#define KESFS_FS_MIGRATE_SIDES_H

#include "fs/migrate/run.h"

/* Open the sides and refuse what cannot work: two times the same store, a side that does not let us.  Stores on the
 * network are asked everything at once, their listing included, which side_list() hands out later: a short run far
 * away would spend half of its time in one question after the other. */
int sides_open(struct run *run, struct error *err);

#endif
