/* SPDX-License-Identifier: Apache-2.0
 *
 * libfuse at the version of its interface that the mount is written for. */
#ifndef KESFS_FS_MOUNT_FUSE_H
#define KESFS_FS_MOUNT_FUSE_H

#define FUSE_USE_VERSION FUSE_MAKE_VERSION(3, 14)
#include <fuse_lowlevel.h>

#endif
