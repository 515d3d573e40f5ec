/* SPDX-License-Identifier: Apache-2.0
 *
 * The exit statuses of kesfs(1): the list of design.md section 4, as far as a mount can meet them. */
#ifndef KESFS_FS_MOUNT_EXIT_H
#define KESFS_FS_MOUNT_EXIT_H

enum exit_code {
	EXIT_OTHER   = 1,
	EXIT_USAGE   = 2,             /* usage or configuration; nothing was done */
	EXIT_ABSENT  = 3,             /* configuration file, store or mount point not found */
	EXIT_PASSING = 5,             /* unreachable, throttled, out of memory: the same command may succeed later */
	EXIT_REFUSED = 7,             /* login, permission, sealed */
	EXIT_LOST    = 8,             /* a key could not be put back after a failed replace */
	EXIT_SIGNAL  = 128,           /* plus the number of the signal that came before the mount was made */
};

int exit_status(int code);            /* of a code of backend.h; 0: 0 */

#endif
