/* SPDX-License-Identifier: Apache-2.0
 *
 * How long a call may take, and who may stop it. */
#ifndef KESFS_BACKENDS_CALL_H
#define KESFS_BACKENDS_CALL_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "backends/error.h"

/* A wish to stop, set from any thread. */
struct cancel {
	pthread_mutex_t lock;
	pthread_cond_t cond;              /* signalled once requested: call_sleep() waits on it */
	bool requested;
	void (*wake)(void *arg);          /* guarded by lock; runs under it, so it must not call back in here */
	void *wake_arg;
};

void cancel_init(struct cancel *c);
void cancel_destroy(struct cancel *c);
void cancel_request(struct cancel *c);
bool cancel_requested(struct cancel *c);     /* NULL: false */

/* Have wake(arg) called when a stop is requested; at once if it already was.  NULL takes it back: once this returned,
 * the old wake is not running and will not run.  One at a time. */
void cancel_wake(struct cancel *c, void (*wake)(void *arg), void *arg);

struct gap;

struct call {
	int64_t deadline;                     /* monotonic ns; covers queue, retries, renewal and settling */
	struct cancel *cancel;                /* NULL, or set from any thread.  Before anything was sent: -ECANCELED.
	                                       * After a change was sent it is ignored: the change settles. */
	struct gap *gap;                      /* NULL, or who watches a replace that has deleted the key: replace.h */
};

int64_t call_now(void);                              /* monotonic ns */
struct call call_in(double seconds, struct cancel *cancel);
int64_t call_left(const struct call *c);             /* ns, never negative */

/* 0, or -ETIMEDOUT or -ECANCELED with a sentence "what: ...". */
int call_check(const struct call *c, struct error *err, const char *what);

/* Sleep ns, but not beyond the deadline.  0 after the whole time; -ETIMEDOUT if the deadline cut it; -ECANCELED as
 * soon as a stop was requested (obey_cancel only). */
int call_sleep(const struct call *c, int64_t ns, bool obey_cancel);

#endif
