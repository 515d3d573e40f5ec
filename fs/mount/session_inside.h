/* SPDX-License-Identifier: Apache-2.0
 *
 * The body of a session, for the files of the mount. */
#ifndef KESFS_FS_MOUNT_SESSION_INSIDE_H
#define KESFS_FS_MOUNT_SESSION_INSIDE_H

#include <pthread.h>
#include <stdatomic.h>

#include "fs/mount/fuse.h"
#include "fs/mount/session.h"
#include "fs/mount/volume_inside.h"

struct session {
	const struct mount_options *options;
	struct fuse_session *fuse;
	struct volume **volumes;
	size_t count;
	struct node root;             /* of a mount of several stores */
	struct control control;
	struct notifier *notifier;
	struct timespec began;
	_Atomic uint64_t init_unique; /* of the INIT request, while its answer is awaited */
	_Atomic uint32_t init_flags;  /* what the kernel offered in it */
	atomic_bool stopping, ended;
	atomic_bool parallel;         /* the kernel was told that directories may be looked at in parallel */

	pthread_mutex_t lock;         /* guards the rest */
	pthread_cond_t stopped;
	pthread_t *workers;
	size_t worker_count, workers_live;
	bool clock_started, stop_begun;
	bool init_answered, init_refused;
	pthread_t clock;
	pthread_cond_t tick;
};

/* init.c */
int init_session(struct session *s, struct error *err);        /* make and mount the fuse session */
/* Read requests and answer them until the session ends. */
void init_serve(struct session *s);
void init_wake_signal(void);                  /* the signal that init_serve() can be woken with is harmless afterwards */
int init_signal(void);

/* ops.c */
extern const struct fuse_lowlevel_ops session_ops;

#endif
