/* SPDX-License-Identifier: Apache-2.0
 *
 * The one question: --force on a terminal. */
#ifndef KESFS_FS_MIGRATE_ASK_H
#define KESFS_FS_MIGRATE_ASK_H

#include "fs/migrate/run.h"

/* Ask if there is somebody to ask.  0: go on; -ECANCELED: the answer was not "y" or "yes"; -EINTR: a signal came. */
int ask_replace(struct run *run, struct error *err);

#endif
