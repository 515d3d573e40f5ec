/* SPDX-License-Identifier: Apache-2.0
 *
 * How many requests may be in flight, and when the next may start: a window that grows while the store answers well
 * and is cut when it says "slow down", one pause for the whole store, and the user's own caps.  Pure and without a
 * lock: clock and randomness are passed in, and the owner guards it. */
#ifndef KESFS_BACKENDS_LIMIT_H
#define KESFS_BACKENDS_LIMIT_H

#include <stdbool.h>
#include <stdint.h>

enum { LIMIT_START = 64, LIMIT_MAX = 128 };   /* a short run must fly; more only if the user says so */

struct limit {
	unsigned max, in_flight;
	double window;                /* 1 ... max */
	unsigned peak;                /* most in flight since the last cut: only what was used is proved */
	bool cut_once;                /* before it the window grows by one for each good answer, then slower */
	int64_t cut_at;               /* answers to requests begun before it do not cut again */
	unsigned pauses;              /* in a row, without a good answer in between */
	int64_t paused_until;
	int64_t gap, next;            /* per_second as ns between two starts; 0: none */
	uint64_t throttled;           /* how often the store said it */
};

void limit_init(struct limit *l, unsigned max, double per_second);    /* 0: LIMIT_MAX; 0: no rate */

/* 0: a request may start, and is counted.  Else the monotonic ns when to ask again; INT64_MAX: after limit_done(). */
int64_t limit_admit(struct limit *l, int64_t now);
/* Would a request that limit_admit() did not let through start now, had the store never said "slow down"? */
bool limit_held(const struct limit *l, int64_t now);
void limit_done(struct limit *l);             /* an admitted request is over, however it ended */
void limit_good(struct limit *l);             /* it was answered, and not by "slow down" */
/* The store said "slow down" to a request begun at begun.  after is its Retry-After in ns, 0 if it named none. */
void limit_throttled(struct limit *l, int64_t begun, int64_t now, int64_t after, uint64_t random);

#endif
