/* SPDX-License-Identifier: Apache-2.0
 *
 * Is the place fit to be mounted on, and does this machine let us?  Everything here is asked before anything is
 * connected, so that each obstacle is one sentence that says what to do. */
#ifndef KESFS_FS_MOUNT_MOUNTPOINT_H
#define KESFS_FS_MOUNT_MOUNTPOINT_H

#include "backends/error.h"
#include "fs/mount/options.h"

/* /dev/fuse, fusermount3 and what /etc/fuse.conf allows. */
int mountpoint_machine(const struct mount_options *o, struct error *err);

/* Check o->mountpoint, clear a dead mount on it (with a line in the log), and make the path absolute. */
int mountpoint_prepare(struct mount_options *o, struct error *err);

/* -EINVAL if directory, where a store keeps its keys, is the mount point, or lies in it or around it. */
int mountpoint_apart(const char *mountpoint, const char *directory, struct error *err);

#endif
