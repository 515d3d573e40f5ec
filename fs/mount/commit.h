/* SPDX-License-Identifier: Apache-2.0
 *
 * Staged bytes become the value of a key: created if absent, or replaced, as the store decides.  And the value of a
 * key that was removed is kept until it is clear that its removal was no botched replacement. */
#ifndef KESFS_FS_MOUNT_COMMIT_H
#define KESFS_FS_MOUNT_COMMIT_H

#include "fs/mount/request.h"
#include "fs/mount/staged.h"

/* Would a store take this value, and a KES server load it?  0, -EINVAL, -EFBIG with a sentence. */
int commit_check(const struct volume *v, const char *name, const struct secret *value, struct error *err);
/* Store value under name: create, or replace old if exists.  Blocks.  Takes old over if the store has lost the key. */
int commit_value(struct volume *v, const struct call *c, const char *name, bool exists, struct secret *old,
                 const struct secret *value, struct error *err);
/* Commit what is staged and answer req (NULL: nobody is told, it was the last close).  Commits of one file follow one
 * another.  open: the file stays open, and whoever is interrupted may ask again, so that its bytes are kept then.  No
 * lock held. */
void commit_start(fuse_req_t req, struct staged *s, bool open);
/* We have just stored a key, out of what n stands or stood for.  Lock held. */
void commit_stored(struct volume *v, struct node *n, const char *name, int64_t size);

#endif
