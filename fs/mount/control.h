/* SPDX-License-Identifier: Apache-2.0
 *
 * The hidden directory .kesfs: what the mount says of itself, of its keys, and the wish for a new listing. */
#ifndef KESFS_FS_MOUNT_CONTROL_H
#define KESFS_FS_MOUNT_CONTROL_H

#include "fs/mount/fuse.h"
#include "fs/mount/tree.h"

#define CONTROL_NAME ".kesfs"

struct session;
struct volume;

struct control {
	struct node dir, status, refresh, keys;
};

void control_init(struct control *c, struct volume *v);       /* v NULL: of the mount as a whole */
/* The node of a name in a control directory; NULL: there is none of that name.  For .kesfs/keys see control_key(). */
struct node *control_find(struct session *s, struct node *dir, const char *name);
/* LOOKUP in .kesfs/keys: the node of a key that is stored; NULL with ENOENT or ENOMEM.  Volume's lock held. */
struct node *control_key(struct volume *v, const char *name, int *ret_code);
void control_open(struct session *s, fuse_req_t req, struct node *n, struct fuse_file_info *fi);
/* The names below a control directory, one by one; NULL after the last. */
const char *control_entry(struct session *s, struct node *dir, size_t i, enum node_kind *ret_kind);

#endif
