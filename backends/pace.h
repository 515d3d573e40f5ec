/* SPDX-License-Identifier: Apache-2.0
 *
 * The rate of one class of requests, for a service that counts classes apart and lets so many a second through, such as
 * AWS.  A window in flight (limit.h) cannot keep to a rate: one request at a time is more than 50 a second where answers
 * take 10 ms.  Pure and without a lock, like limit.h. */
#ifndef KESFS_BACKENDS_PACE_H
#define KESFS_BACKENDS_PACE_H

#include <stdbool.h>
#include <stdint.h>

struct pace {
	double known;                 /* a second: what the service documents; 0: there is no pace */
	double rate;                  /* a second, now; 0: as fast as it goes, until the service says "slow down" */
	int64_t next;                 /* when the next request may start */
	int64_t paused_until;
	int64_t cut_at;               /* answers to requests begun before it do not cut again */
	uint64_t good;                /* answers since the cut */
	int64_t short_at;             /* when a request had to wait last: a pace that is not used does not grow */
	unsigned pauses;              /* in a row, without a good answer in between */
};

/* at_once: keep to the known rate from the beginning; else from the first "slow down" on. */
void pace_init(struct pace *p, double known, bool at_once);

/* 0: a request may start; then call pace_begin().  Else the monotonic ns when to ask again. */
int64_t pace_when(struct pace *p, int64_t now);
void pace_begin(struct pace *p, int64_t now);
void pace_good(struct pace *p, int64_t now);          /* answered, and not by "slow down" */
/* As limit_throttled(). */
void pace_throttled(struct pace *p, int64_t begun, int64_t now, int64_t after, uint64_t random);

#endif
