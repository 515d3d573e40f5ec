/* SPDX-License-Identifier: Apache-2.0
 *
 * Back-off with full jitter: callers that failed together do not come back together. */
#include "backends/retry.h"

#include <sys/random.h>

#include "backends/call.h"

enum retry_verdict retry_status(int status)
{
	switch (status) {
	case 429:
	case 503:
		return RETRY_THROTTLED;
	case 408:
	case 500:
	case 502:
	case 504:
		return RETRY_AGAIN;
	default:
		return RETRY_FINAL;
	}
}

int64_t retry_delay(unsigned n, uint64_t random)
{
	int64_t most = RETRY_BASE_NS;

	while (n-- > 0 && most < RETRY_CAP_NS)
		most *= 2;
	if (most > RETRY_CAP_NS)
		most = RETRY_CAP_NS;
	return (int64_t)(random % (uint64_t)(most + 1));
}

int64_t retry_after(int64_t seconds)
{
	if (seconds <= 0)
		return 0;
	return (seconds < RETRY_AFTER_MAX ? seconds : RETRY_AFTER_MAX) * INT64_C(1000000000);
}

struct retry retry_start(unsigned tries)
{
	return (struct retry){ .left = (tries != 0 ? tries : RETRY_TRIES) - 1, .n = 0 };
}

int64_t retry_next(struct retry *r, uint64_t random)
{
	if (r->left == 0)
		return -1;
	r->left--;
	return retry_delay(r->n++, random);
}

uint64_t retry_random(void)
{
	uint64_t n;

	if (getrandom(&n, sizeof n, GRND_NONBLOCK) != sizeof n)
		n = (uint64_t)call_now() * UINT64_C(0x9e3779b97f4a7c15);
	return n;
}
