/* SPDX-License-Identifier: Apache-2.0
 *
 * The value of a key that was removed, kept for a moment: programs such as install, tar and mv replace a file by
 * removing it first, and must not lose a key because what they bring is none.  Also the value of a key that a failed
 * replace could not put back: there we try until it is.  And of one that the store may still delete. */
#ifndef KESFS_FS_MOUNT_HELD_H
#define KESFS_FS_MOUNT_HELD_H

#include "fs/mount/volume_inside.h"

/* How long after the removal its process may still begin to write the key anew. */
#define HELD_NS (INT64_C(10) * SECOND_NS)

/* Why such a process is refused without overwrite: it replaces the key. */
#define HELD_REASON "the same process removed the key just before, and replacing keys needs -o overwrite"

/* Without a value yet, so that nothing can fail once it is needed.  pid may be of a thread.  NULL: no memory. */
struct held *held_new(struct volume *v, const char *name, uid_t uid, pid_t pid);
/* Before the removal: take the value over as soon as there is room for it, which half of the locked memory is for all
 * of them.  -EBUSY: there is none by the deadline; -ECANCELED. */
int held_fill(struct held *h, const struct call *c, struct secret *value, struct error *err);
void held_free(struct held *h);               /* wipes; accepts NULL; no lock held */
/* After the removal: remember it.  No lock held. */
void held_keep(struct volume *v, struct held *h);
/* The one that this process removed just before, taken out of the list; NULL.  Lock held. */
struct held *held_take(struct volume *v, const char *name, uid_t uid, pid_t pid);
/* A replace has lost the key: as held_restore(), with a value that is taken over here.  h may not be NULL. */
void held_restore_value(struct volume *v, struct held *h, struct secret *value);
/* A replace ended with -EINPROGRESS and the old value there: look at it from time to time, and put it back if it goes.
 * Takes the value and h over. */
void held_doubt(struct volume *v, struct held *h, struct secret *value);
/* -EBUSY while that lasts: a change now would be undone by the delete, or could not be told from it. */
int held_check(struct volume *v, const char *name, struct error *err);
/* Put the key back in the background, again and again until it is there; takes h over; accepts NULL.  No lock held. */
void held_restore(struct volume *v, struct held *h);
/* The same, the first time in this thread, so that whoever hears of the failure finds the key again. */
void held_restore_now(struct volume *v, struct held *h);
/* The mount ends: in the background, try once more to put back each key that is lost, and look at the doubtful ones.
 * No lock held. */
void held_last_try(struct volume *v);
void held_tick(struct volume *v, int64_t now);
void held_free_all(struct volume *v);

#endif
