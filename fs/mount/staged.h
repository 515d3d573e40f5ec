/* SPDX-License-Identifier: Apache-2.0
 *
 * The bytes of a file that is being written, shared by all who have it open for writing.  They reach the store whole,
 * by a commit, or not at all. */
#ifndef KESFS_FS_MOUNT_STAGED_H
#define KESFS_FS_MOUNT_STAGED_H

#include <pthread.h>
#include <time.h>

#include "fs/mount/volume_inside.h"

/* How long a temporary file outlives its last close. */
#define TEMPORARY_NS (INT64_C(60) * SECOND_NS)

struct staged {
	struct volume *volume;
	pthread_mutex_t lock;         /* guards bytes; taken before the volume's.  Waiting for memory happens under it. */
	struct secret bytes;

	/* Guarded by the volume's lock. */
	struct staged *next, *prev;   /* volume->staged */
	struct node *node;            /* NULL: refused or dropped, only handles still hold it */
	unsigned refs;                /* handles and commits; the node's hold is node != NULL */
	unsigned handles;             /* open files */
	size_t size;
	uint64_t generation, committed;       /* they differ: there are bytes that the store does not have */
	bool data;                    /* something was written or cut, not only opened */
	int refused;                  /* errno: a commit failed, and the bytes are gone */
	bool fresh;                   /* made by this open file: writing again needs no overwrite */
	bool exists;                  /* the store has old */
	bool committing;
	struct request *commits, **commits_end;       /* those that wait for the one under way */
	uint64_t opener;              /* lock owner of whoever opened it and still writes through a copy; 0: nobody known */
	uint64_t writer;              /* lock owner of the last write */
	uid_t uid;                    /* of who made it */
	pid_t pid;
	struct timespec written;
	int64_t closed;               /* monotonic, of the last close; 0: open */
	struct held *held;            /* the key of that name that the same process removed just before */

	/* Of the one commit that runs, or of the open that made it. */
	struct secret old;
};

/* A new staging of node, which has none; the caller becomes its first reference.  Lock held.  NULL: no memory. */
struct staged *staged_new(struct volume *v, struct node *n, uid_t uid, pid_t pid);
void staged_ref(struct staged *s);            /* lock held */
void staged_unref(struct staged *s);          /* no lock held */
/* Bytes that count: neither refused nor dropped.  s may be NULL.  Lock held. */
bool staged_live(const struct staged *s);
bool staged_dirty(const struct staged *s);    /* lock held */
/* Readers of the name must wait: what it will be is not decided.  Lock held. */
bool staged_undecided(const struct node *n);
/* Part from the node, with errno for those who still write.  Lock held; then staged_wipe() without it. */
void staged_part(struct staged *s, int refused);
void staged_wipe(struct staged *s);           /* no lock held */

/* All return 0 or a negative code.  No lock held. */
int staged_write(struct staged *s, const void *bytes, size_t size, uint64_t offset, bool append, uint64_t owner);
int staged_resize(struct staged *s, uint64_t size, uint64_t owner);
int staged_copy(struct staged *s, struct secret *to, uint64_t *ret_generation);
size_t staged_limit(const struct volume *v);

void staged_expire(struct volume *v, int64_t now);    /* temporary files nobody came back for */
/* The mount ends: what was not closed is dropped, and said; a key that was removed for it is put back. */
void staged_drop_all(struct volume *v);
void staged_free_all(struct volume *v);

#endif
