/* SPDX-License-Identifier: Apache-2.0
 *
 * What one open file of the kernel stands for. */
#ifndef KESFS_FS_MOUNT_HANDLE_H
#define KESFS_FS_MOUNT_HANDLE_H

#include "fs/mount/staged.h"

struct handle {
	struct node *node;            /* counted by node->opens */
	struct staged *staged;        /* a reference; NULL: for reading a key */
	struct secret value;          /* what is read, if there is no staged; never changes */
	struct snapshot *snapshot;    /* of an open directory */
	bool append, writes;
	int readdir;                  /* errno that readdir answers, or 0 */
	struct handle *next, *prev;   /* of all that are open */
};

/* node->opens is counted here, unless it is fixed; lock held (volume NULL, node fixed: none).  NULL: no memory. */
struct handle *handle_new(struct node *n);
void handle_free(struct handle *h);           /* no lock held; accepts NULL */
void handle_free_all(void);                   /* the kernel releases nothing once the mount is gone */
/* Bind a handle to the bytes being written, one more open file of them.  Lock held. */
void handle_stage(struct handle *h, struct staged *s, int flags);
struct handle *handle_of(const struct fuse_file_info *fi);

/* close, fsync: the parts of ops_files.c that need more than a line. */
void handle_flush(fuse_req_t req, struct handle *h, uint64_t owner);
void handle_fsync(fuse_req_t req, struct handle *h);
void handle_release(struct handle *h);        /* frees it */
/* What remains to be done with the bytes of a file that nobody has open any more: after the last close, and after what
 * was still under way then.  Nothing while it is open.  No lock held. */
void handle_settle(struct volume *v, struct staged *s);

#endif
