/* SPDX-License-Identifier: Apache-2.0
 *
 * The body of a volume, for the files of the mount. */
#ifndef KESFS_FS_MOUNT_VOLUME_INSIDE_H
#define KESFS_FS_MOUNT_VOLUME_INSIDE_H

#include <pthread.h>

#include "fs/log.h"
#include "fs/mount/control.h"
#include "fs/mount/notify.h"
#include "fs/mount/snapshot.h"
#include "fs/mount/tree.h"
#include "fs/mount/volume.h"
#include "fs/pool.h"

struct held;
struct request;

/* How long a caller waits for a listing that is under way before the names of the older one have to do. */
#define LISTING_GRACE INT64_C(2000000000)
#define SECOND_NS INT64_C(1000000000)

enum left_out { LEFT_FOLDER, LEFT_DELETED, LEFT_FOREIGN, LEFT_NAME, LEFT_FILTER, LEFT_COUNT };

struct listing_state {
	struct pool_job job;
	struct cancel cancel;
	bool running, ever;           /* ever: one has succeeded */
	bool refused;                 /* the store does not let us list: names are asked for one by one */
	bool again;                   /* asked for while one was running that may have begun too early */
	int64_t began, ended, good;   /* monotonic: of the last try, of the last success (when that one began) */
	uint32_t mark;
	struct error failure;         /* of the last try; code 0: it succeeded */
	size_t left_out[LEFT_COUNT];
};

struct volume_counts {
	uint64_t gets, stats, lists, creates, replaces, removes, failures, interrupted;
	unsigned in_flight, in_flight_max;
};

struct volume {
	struct store store;
	unsigned caps;
	char *name;                   /* of its directory; NULL: it is the root */
	char *identity;               /* never NULL once open */
	const struct mount_options *options;
	bool read_only, local;        /* local: calls may be made where waiting is forbidden */
	struct pool *pool, *lister;   /* lister: one thread, so that hung calls never keep a listing waiting */
	struct notifier *notifier;    /* NULL until mounted */
	struct fuse_session *fuse;

	pthread_mutex_t lock;         /* guards the rest; never held over a call of the store or a reply */
	pthread_cond_t quiet;         /* a change ended */
	struct tree tree;
	struct node dir;
	struct control control;
	struct snapshot *snapshot;    /* NULL: the table changed since */
	struct timespec changed;      /* the directory's mtime */
	int64_t used;                 /* monotonic: somebody looked */
	struct listing_state listing;
	struct request *waiting;      /* for the listing */
	struct request *active;       /* queued, running or waiting */
	unsigned changing;            /* of these, changes of the store */
	struct staged *staged;
	struct held *held;
	size_t held_bytes;            /* of removed keys that are kept for a moment */
	unsigned held_waiters;        /* who waits for room there */
	unsigned lost, doubtful;      /* keys that could not be put back yet; that the store may still delete */
	bool stopping;
	_Atomic int64_t stop_by;      /* monotonic: no call of a mount that ends lasts longer; 0: it does not end */
	struct volume_counts counts;
	int64_t latency;              /* ns, of the last call that was answered; -1: none yet */
	struct error trouble;         /* the last answer, if the store was not reachable; else code 0 */
	struct error displaced;       /* what volume_check() found; code 0: nothing */
};

/* listing.c */
enum names_state { NAMES_GOOD, NAMES_AWAITED, NAMES_OLD };
/* Are the names young enough?  Starts a listing where they are not.  Lock held. */
enum names_state volume_names(struct volume *v);
int volume_list_first(struct volume *v, struct error *err);
void listing_start(struct volume *v);         /* lock held */
bool listing_stale(const struct volume *v);   /* lock held */
double listing_age(const struct volume *v);   /* seconds; lock held */
/* Where listing is refused: is what we know of the name, also that it is none, young enough?  Lock held. */
bool name_known(const struct volume *v, const struct node *n);
void names_forget(struct volume *v, int64_t before);  /* ask anew for what was asked before then; lock held */
bool volume_shows(const struct volume *v, const char *name);      /* name rule, include, exclude */
void volume_names_changed(struct volume *v);  /* lock held */
extern const char *const left_out_names[LEFT_COUNT];

/* volume.c */
struct call volume_call(const struct volume *v, struct cancel *cancel);
/* Count a call of the store: at its beginning; at its end with its result.  They take the lock. */
int64_t volume_call_begin(struct volume *v);
void volume_call_end(struct volume *v, int64_t began, int result, const struct error *err);
/* Is a local store still what is at its path?  The log says what changed.  Of others nothing is asked.  No lock held. */
void volume_check(struct volume *v);
/* Asking a local store about one name, without a lock: fills *ret; 0, -ENOENT (also for what is no key), or worse. */
int volume_stat(struct volume *v, const struct call *c, const char *name, struct backend_entry *ret, struct error *err);
/* Take over what the store said of a key; NULL: no memory.  Lock held. */
struct node *volume_learn(struct volume *v, const struct backend_entry *e);
/* The key is gone from the store, as somebody else's doing.  Lock held. */
void volume_forget(struct volume *v, struct node *n);
uint64_t volume_dir_ino(const struct volume *v);
void volume_tick(struct volume *v);           /* now and then, by the session's clock */
/* The mount ends: nothing new begins, what only reads is cancelled, keys that are lost are tried once more. */
void volume_stop_begin(struct volume *v);
void volume_stop(struct volume *v);           /* the same, and wait until all changes have settled: within `timeout` */

/* One line of the log for a change or a failure; result 0: done. */
void volume_log(struct volume *v, const char *operation, const char *name, uid_t uid, pid_t pid, int result,
                const char *reason);

#endif
