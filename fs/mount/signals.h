/* SPDX-License-Identifier: Apache-2.0
 *
 * SIGINT and SIGTERM stop the mount in order, SIGHUP lists every store again and opens the log file anew. */
#ifndef KESFS_FS_MOUNT_SIGNALS_H
#define KESFS_FS_MOUNT_SIGNALS_H

#include <signal.h>

#include "backends/error.h"
#include "fs/mount/session.h"

/* The signals that are waited for, not handled. */
void signals_set(sigset_t *ret);

/* First thing in the program, so that every thread and child inherits it.  A SIGINT that was ignored when the program
 * was started (by nohup or a shell's '&') stays ignored. */
void signals_block(void);

/* Start the thread that waits for them.  Until signals_hold() SIGINT and SIGTERM end the process at once. */
int signals_start(struct error *err);

/* From here on a signal is kept: a mount is being made or taken down. */
void signals_hold(void);

/* Hand signals to the session, those that were kept first; NULL: keep them again. */
void signals_serve(struct session *s);

#endif
