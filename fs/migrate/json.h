/* SPDX-License-Identifier: Apache-2.0
 *
 * The objects of --json, one a line; kesfs-migrate(1) documents them. */
#ifndef KESFS_FS_MIGRATE_JSON_H
#define KESFS_FS_MIGRATE_JSON_H

#include <stdio.h>

#include "backends/key.h"
#include "fs/migrate/run.h"

void json_plan(FILE *file, const struct run *run);
void json_item(FILE *file, const struct item *item);
void json_listed(FILE *file, const struct item *item, const struct key_info *info, int64_t size);
void json_progress(FILE *file, const struct run *run, const char *phase, size_t done, size_t total, double rate);
void json_summary(FILE *file, struct run *run, int status, const struct error *failure);

#endif
