/* SPDX-License-Identifier: Apache-2.0
 *
 * How many requests may be in flight, and when the next may start: a window that grows while the store answers well
 * and without delay, and is cut when it says "slow down", one pause for the whole store, and the user's own caps.  Pure and without a
 * lock: clock and randomness are passed in, and the owner guards it. */
#ifndef KESFS_BACKENDS_LIMIT_H
#define KESFS_BACKENDS_LIMIT_H

#include <stdbool.h>
#include <stdint.h>

enum {
	LIMIT_START = 32, LIMIT_MAX = 256,    /* more only if the user says so */
	LIMIT_GROWTH = 3,             /* times what is proved; once the store has said "slow down" it is one more */
	LIMIT_SLOWED = 3,             /* times the quickest answer: if they usually take longer, there is a queue at the store */
	LIMIT_MEMORY = 8,            /* answers that make "usually" */
	LIMIT_CROWD = 4,              /* in flight with others, at least: what was asked alone is no measure */
};

struct limit {
	unsigned max, in_flight;
	double window;                /* 1 ... max */
	unsigned peak;                /* most in flight since the last cut: only what was used is proved */
	int64_t quickest, usual;      /* answer in company of others, ns */
	bool cut_once;
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
/* How it is at the start of a request: only what starts when the window is at least half full tells how a full one
 * fares. */
struct limit_mark {
	unsigned in_flight;           /* this one included */
	bool full;
};
struct limit_mark limit_mark(const struct limit *l);
/* It was answered, and not by "slow down", took ns after it had left; at is the mark of its start. */
void limit_good(struct limit *l, struct limit_mark at, int64_t took);
/* The store said "slow down" to a request begun at begun.  after is its Retry-After in ns, 0 if it named none. */
void limit_throttled(struct limit *l, int64_t begun, int64_t now, int64_t after, uint64_t random);

#endif
