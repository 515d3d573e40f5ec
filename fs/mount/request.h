/* SPDX-License-Identifier: Apache-2.0
 *
 * One request of the kernel that waits for a store: queued, running in the pool, or waiting for a listing.  Whoever
 * asked can be interrupted at any time and is answered exactly once. */
#ifndef KESFS_FS_MOUNT_REQUEST_H
#define KESFS_FS_MOUNT_REQUEST_H

#include <pthread.h>

#include "fs/mount/fuse.h"
#include "fs/mount/volume_inside.h"

struct handle;

struct request {
	fuse_req_t req;               /* NULL: nobody waits for an answer */
	struct volume *volume;
	struct request *next, *prev;  /* volume->active */
	struct request *next_waiting; /* volume->waiting, or the commits of one file */
	struct pool_job job;
	struct cancel cancel;
	struct call call;
	pthread_mutex_t lock;         /* guards the next four */
	bool answered;
	bool registering, interrupted;        /* see request_watch() */
	bool queued;                  /* see request_queue() */
	bool waits, change;

	/* work() runs in the pool and may take its time; finish() runs exactly once, whatever became of the request,
	 * brings the state up to date and then answers by request_claim().  Both without a lock. */
	int (*work)(struct request *r, struct error *err);
	void (*finish)(struct request *r, int result, struct error *err);

	/* What it is about, for work() and finish(). */
	uid_t uid;
	pid_t pid;
	struct node *node, *other;    /* counted by node->opens */
	struct handle *handle;
	struct staged *staged;
	struct held *held;
	char *name, *new_name;
	char *spare_name;             /* a copy of new_name for whoever needs one when nothing may fail */
	unsigned flags;
	uint64_t owner;
	struct fuse_file_info fi;
	struct secret value;
	struct backend_entry entry;   /* without its name */
	bool found, stored, refused, refresh, open;
};

/* req and name may be NULL; name is copied.  Without memory the answer is given and NULL is returned. */
struct request *request_new(fuse_req_t req, struct volume *v, const char *name, int (*work)(struct request *r, struct error *err),
                            void (*finish)(struct request *r, int result, struct error *err));
void request_start(struct request *r);        /* into the pool; from here on r belongs to the pool */
/* The same in two steps, for one that has to wait for another of its kind in between: whoever asked can be interrupted
 * from the first on.  The second comes all the same; work() then finds the call cancelled. */
void request_queue(struct request *r);
void request_resume(struct request *r);
/* In this thread: for a store that waits for nobody. */
void request_here(struct request *r);
/* Wait for the listing under way; finish() then looks at the names anew.  At once if there is nothing to wait for. */
void request_wait(struct request *r);
/* The listing is over, or (over false) the patience of those who can do with older names.  No lock held. */
void request_wake_waiting(struct volume *v, bool over);
/* For finish(): true if the answer is ours to give; then it must be given.  Never with the volume's lock held. */
bool request_claim(struct request *r);
void request_answer(struct request *r, int result);        /* claim and answer an errno (a code of backend.h) or 0 */

/* A name that the kernel may still believe in, because the one who changed it was interrupted: it forgets it. */
void request_name_changed(struct request *r, const char *name);

#endif
