/* SPDX-License-Identifier: Apache-2.0
 *
 * Reads a key on both sides and decides what has to be done: the table of modes. */
#ifndef KESFS_FS_MIGRATE_COMPARE_H
#define KESFS_FS_MIGRATE_COMPARE_H

#include "fs/migrate/run.h"

/* Is the value a key that may pass?  If not, settle the item: foreign, damaged, or too large for the target. */
bool compare_passes(const struct run *run, struct item *item, const struct secret *value);
/* Reading the source failed with err: settle the item. */
void compare_source_failed(const struct run *run, struct item *item, const struct error *err);
/* Settle the item, or leave it pending: to be created, or with ITEM_REPLACE. */
void compare_item(struct run *run, struct item *item, struct cancel *cancel);

#endif
