/* SPDX-License-Identifier: Apache-2.0
 *
 * kesfs --probe: everything but the mount, and what this login may do, to standard output. */
#ifndef KESFS_FS_MOUNT_PROBE_H
#define KESFS_FS_MOUNT_PROBE_H

#include "fs/mount/options.h"

/* The exit status: of the first store that cannot be used, else 0. */
int probe_run(const struct mount_options *o);

#endif
