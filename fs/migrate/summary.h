/* SPDX-License-Identifier: Apache-2.0
 *
 * The line of a key, and what a run ends with. */
#ifndef KESFS_FS_MIGRATE_SUMMARY_H
#define KESFS_FS_MIGRATE_SUMMARY_H

#include <stdio.h>

#include "fs/migrate/run.h"

void summary_line(FILE *file, const struct item *item);              /* SYMBOL NAME[: reason] */
void summary_print(FILE *file, struct run *run, int status, const struct error *failure, bool list_bad);

#endif
