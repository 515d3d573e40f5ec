/* SPDX-License-Identifier: Apache-2.0
 *
 * What kesfs --help and --version print, to standard output. */
#ifndef KESFS_FS_MOUNT_OPTION_HELP_H
#define KESFS_FS_MOUNT_OPTION_HELP_H

void option_help_print(void);
void option_version_print(void);

#endif
