/* SPDX-License-Identifier: Apache-2.0
 *
 * The value of a key that was removed, kept for a moment: programs such as install, tar and mv replace a file by
 * removing it first, and must not lose a key because what they bring is none.  Also the value of a key that a failed
 * replace could not put back: there we try until it is. */
#ifndef KESFS_FS_MOUNT_HELD_H
#define KESFS_FS_MOUNT_HELD_H

#include "fs/mount/volume_inside.h"

/* How long after the removal its process may still begin to write the key anew. */
#define HELD_NS (INT64_C(10) * SECOND_NS)

/* Takes the value over.  NULL: no memory. */
struct held *held_new(struct volume *v, const char *name, struct secret *value, uid_t uid, pid_t pid);
void held_free(struct held *h);               /* wipes; accepts NULL */
/* Remember it, instead of what the same process removed before.  Lock held; returns what is to be freed without it. */
struct held *held_keep(struct volume *v, struct held *h);
/* The one that this process removed just before, taken out of the list; NULL.  Lock held. */
struct held *held_take(struct volume *v, const char *name, uid_t uid, pid_t pid);
/* Put the key back in the background, again and again until it is there; takes h over; accepts NULL.  No lock held. */
void held_restore(struct volume *v, struct held *h);
/* The same, the first time in this thread, so that whoever hears of the failure finds the key again. */
void held_restore_now(struct volume *v, struct held *h);
/* The mount ends: try once more, in the background, to put back each key that is lost.  No lock held. */
void held_last_try(struct volume *v);
void held_tick(struct volume *v, int64_t now);
void held_free_all(struct volume *v);

#endif
