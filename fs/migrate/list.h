/* SPDX-License-Identifier: Apache-2.0
 *
 * --list: the names of one store, and with --long what their values say about themselves. */
#ifndef KESFS_FS_MIGRATE_LIST_H
#define KESFS_FS_MIGRATE_LIST_H

#include "fs/migrate/run.h"

int list_run(struct run *run, struct error *err);

#endif
