/* SPDX-License-Identifier: Apache-2.0
 *
 * One fsync() of a directory serves every thread whose change was there before it began: with n writers a disk is
 * asked twice, not n times. */
#ifndef KESFS_BACKENDS_DIRSYNC_H
#define KESFS_BACKENDS_DIRSYNC_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "backends/call.h"

struct dirsync {
	pthread_mutex_t lock;
	pthread_cond_t done;
	int fd;                       /* lent */
	int (*sync)(int fd);          /* fsync(), except in its own test */
	/* The rest is guarded by lock. */
	uint64_t started, finished;   /* number of the newest sync begun, ended */
	uint64_t failed;              /* number of the newest one that failed, 0: none */
	int failure;                  /* its errno */
	bool running;
};

void dirsync_init(struct dirsync *d, int fd);
void dirsync_destroy(struct dirsync *d);

/* Return 0 once what was changed in the directory before this call is on the disk.  -EIO or what else fsync() said;
 * -ETIMEDOUT if the deadline passed while another thread's sync hung.  The calling thread may be the one that syncs. */
int dirsync_wait(struct dirsync *d, const struct call *c);

#endif
