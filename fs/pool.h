/* SPDX-License-Identifier: Apache-2.0
 *
 * Threads that wait for stores, for mount and helper alike: a queue of jobs and at most so many threads of small
 * stacks, started as they are needed, ended when idle for a while.  A thread wipes its used stack before it idles. */
#ifndef KESFS_FS_POOL_H
#define KESFS_FS_POOL_H

#include <stdbool.h>
#include <stddef.h>

struct pool;
struct pool_job {                     /* part of the caller's own struct; zeroed before the first use */
	void (*run)(struct pool_job *job);
	struct pool_job *next, *prev; /* the pool's, while queued */
	bool queued;                  /* the pool's */
};

struct pool *pool_new(unsigned threads_max);          /* NULL: no memory */
/* Queue a job; it runs once.  false if no thread runs and none could be started (EAGAIN): then it was not queued. */
bool pool_submit(struct pool *p, struct pool_job *job);
/* Take a job back that has not started.  true: it will not run. */
bool pool_withdraw(struct pool *p, struct pool_job *job);
void pool_threads_max(struct pool *p, unsigned n);    /* may be changed while running */
void pool_drain(struct pool *p);                      /* wait until no job is queued or running */
void pool_free(struct pool *p);                       /* drains, ends all threads; accepts NULL */

#endif
