/* SPDX-License-Identifier: Apache-2.0
 *
 * Is a file that is being closed still open elsewhere?  The kernel sends a FLUSH for every close of a copy of a
 * descriptor, so a shell's "cmd > file" sends one before anything was written.  Only /proc tells that from a program
 * that writes nothing at all. */
#ifndef KESFS_FS_MOUNT_OPENERS_H
#define KESFS_FS_MOUNT_OPENERS_H

#include <stdint.h>
#include <sys/types.h>

enum openers {
	OPENERS_UNKNOWN,              /* /proc does not let us see the caller */
	OPENERS_NONE,                 /* nobody that we can see has it open any more */
	OPENERS_CALLER,               /* the caller itself has another descriptor of it */
	OPENERS_OTHER,                /* another process has */
};

/* ino: as stat shows it, which is unique enough.  Reads many small files: not for a FUSE worker. */
enum openers openers_find(pid_t caller, uint64_t ino);

#endif
