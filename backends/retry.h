/* SPDX-License-Identifier: Apache-2.0
 *
 * What may be repeated, and when (keystores.md 2.3).  Pure: randomness is passed in. */
#ifndef KESFS_BACKENDS_RETRY_H
#define KESFS_BACKENDS_RETRY_H

#include <stdint.h>

enum {
	RETRY_TRIES = 4,              /* the first one included */
	RETRY_AFTER_MAX = 60,         /* seconds: a service may not ask us to wait longer */
};
#define RETRY_BASE_NS INT64_C(200000000)
#define RETRY_CAP_NS INT64_C(8000000000)

enum retry_verdict {
	RETRY_FINAL,                  /* this is the answer */
	RETRY_AGAIN,                  /* trouble that may pass: counts against the number of tries */
	RETRY_THROTTLED,              /* "slow down": the whole store pauses, the request waits until its deadline */
};

/* By status alone: 408, 500, 502, 504 again; 429 and 503 throttled; all else is final. */
enum retry_verdict retry_status(int status);

/* Full jitter: evenly between 0 and min(8 s, 200 ms * 2^n); n counts from 0. */
int64_t retry_delay(unsigned n, uint64_t random);

/* Seconds of a Retry-After (0 or less: none was sent) as ns, capped. */
int64_t retry_after(int64_t seconds);

/* For a module's own loop, such as settling a change:
 *	struct retry again = retry_start(0);
 *	while ((r = attempt()) is passing && (wait = retry_next(&again, retry_random())) >= 0)
 *		call_sleep(c, wait, ...); */
struct retry {
	unsigned left, n;
};
struct retry retry_start(unsigned tries);             /* 0: RETRY_TRIES */
int64_t retry_next(struct retry *r, uint64_t random); /* ns until the next try; -1: the tries are used up */

uint64_t retry_random(void);                          /* good enough for jitter, never for secrets */

#endif
