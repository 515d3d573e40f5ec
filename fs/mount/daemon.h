/* SPDX-License-Identifier: Apache-2.0
 *
 * Going to the background.  The fork comes first, since locks on memory and threads do not survive one; whoever
 * started the program gets its prompt back when the mount stands, or the sentence and the exit status if it does not. */
#ifndef KESFS_FS_MOUNT_DAEMON_H
#define KESFS_FS_MOUNT_DAEMON_H

#include <stdbool.h>

#include "backends/error.h"

struct daemon {
	int ready;                    /* the parent waits for a byte here; -1 in the foreground */
};

/* Descriptors 0 to 2 exist afterwards: else a store's socket could become standard error. */
int daemon_descriptors(struct error *err);

/* Returns in the child, or at once in the foreground.  The parent never returns: it hands signals on to the child and
 * exits with 0 as soon as that is ready, or with its exit status. */
int daemon_fork(bool foreground, struct daemon *ret, struct error *err);

/* The mount stands: leave the session and the terminal of whoever started us, and let the parent go.  Not the directory:
 * relative paths of the configuration file (certificates, token files) are read again later. */
void daemon_ready(struct daemon *d);

#endif
