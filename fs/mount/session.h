/* SPDX-License-Identifier: Apache-2.0
 *
 * The mount itself: libfuse's session and loop over the volumes. */
#ifndef KESFS_FS_MOUNT_SESSION_H
#define KESFS_FS_MOUNT_SESSION_H

#include "fs/mount/options.h"
#include "fs/mount/volume.h"

struct session;

/* Mount; volumes stay the caller's.  After success requests are queued by the kernel until session_start(). */
int session_mount(const struct mount_options *o, struct volume **volumes, size_t count, struct session **ret, struct error *err);
/* Start the threads that serve: before whoever waits for the mount is told that it stands. */
int session_start(struct session *s, struct error *err);
/* Wait until unmounted or session_stop().  0: unmounted from outside or stopped; -errno. */
int session_loop(struct session *s, struct error *err);
/* From any thread, not from a signal handler: what was closed is finished within the timeout, bytes whose close has not
 * come are dropped and logged by name, then the loop ends. */
void session_stop(struct session *s);
void session_refresh(struct session *s);      /* every volume lists again (SIGHUP) */
void session_free(struct session *s);         /* unmounts if still mounted */

#endif
