/* SPDX-License-Identifier: Apache-2.0
 *
 * --force: give a key of the target another value without ever losing the old one (keystores.md 18). */
#ifndef KESFS_FS_MIGRATE_REPLACING_H
#define KESFS_FS_MIGRATE_REPLACING_H

#include "fs/migrate/run.h"

/* Replace and verify one key, and settle it. */
void replacing_item(struct run *run, struct item *item, const struct secret *value, struct cancel *cancel);

/* A key that was replaced is absent later in the run: a delete of another run, or one of ours that came late.  Store the
 * new value again; settle it if that is not possible. */
void replacing_vanished(struct run *run, struct item *item, const struct secret *value, struct cancel *cancel);

#endif
