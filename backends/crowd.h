/* SPDX-License-Identifier: Apache-2.0
 *
 * Many writers of one directory at once: what they have written is synced, published and synced again for all of them
 * in one go.  Two syncfs() serve dozens of keys, where each would need two fsync() of its own.
 *
 * syncfs() also writes what others have written to that file system, and takes their time.  So only a crowd uses it, on
 * file systems and kernels where it is known to be as safe as fsync(), while little is unwritten on the whole machine,
 * and not for a while after one was slow.  A few writers at a time never use it. */
#ifndef KESFS_BACKENDS_CROWD_H
#define KESFS_BACKENDS_CROWD_H

#include <pthread.h>
#include <stdatomic.h>

#include "backends/call.h"
#include "backends/draft.h"

struct crowd_member;
struct crowd {
	int fd;                       /* lent */
	int (*sync)(int fd);          /* syncfs(), except in tests */
	unsigned long (*unwritten)(void);     /* KiB on the whole machine; likewise */
	int64_t slow;                 /* ns: after a sync that took longer everybody rests */
	bool able;                    /* here it is as good as fsync() */
	_Atomic bool failed;          /* a sync has failed: it does not say whose bytes were lost, so no other is made */
	_Atomic unsigned inside;      /* writers at work */
	_Atomic int64_t seen;         /* when there last were enough of them */
	_Atomic int64_t rests;        /* until then everybody goes alone */
	pthread_mutex_t lock;
	pthread_cond_t full;
	/* The rest is guarded by lock. */
	struct crowd_member *first, **end;    /* who waits for the next round */
	size_t waiting, expected;             /* how many; as many as a round has had of late */
	bool led, gathering;                  /* somebody runs a round, or gathers members for one */
	int64_t took;                         /* ns, the last round */
};

/* fd is a directory, open since before the first write.  -1: never a crowd. */
void crowd_init(struct crowd *w, int fd);
void crowd_destroy(struct crowd *w);

/* A writer begins and ends.  true: there is a crowd, and the writer may use crowd_publish(). */
bool crowd_enter(struct crowd *w);
void crowd_leave(struct crowd *w);

/* Publish an unnamed draft that was written, but not synced.  0: it is on the disk under this name.  *ret_published: it
 * has the name, and if the answer is not 0 it may lose it in a power cut.  Else nothing was changed: -EAGAIN: go alone,
 * with a new file, since a sync of this one might not tell any more that its bytes were lost; -ETIMEDOUT,
 * -ECANCELED; what draft_publish() said. */
int crowd_publish(struct crowd *w, struct draft *d, const char *name, const struct call *c, bool *ret_published);

#endif
