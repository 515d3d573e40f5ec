/* SPDX-License-Identifier: Apache-2.0
 *
 * Multiplicative cut as TCP does it, but fast growth from a high beginning: most runs are short.  How high depends on how
 * far away the store is.  Next door 16 in flight keep it busy, and each more costs a connection and a thread; at 20 ms
 * it takes hundreds.  The answers tell: as long as more in flight does not make them slower, it is the way that is long. */
#include "backends/limit.h"

#include "backends/retry.h"

void limit_init(struct limit *l, unsigned max, double per_second)
{
	*l = (struct limit){ .max = max != 0 ? max : LIMIT_MAX, .quickest = INT64_MAX };
	l->window = l->max < LIMIT_START ? l->max : LIMIT_START;
	if (per_second > 0)
		l->gap = (int64_t)(1e9 / per_second);
}

int64_t limit_admit(struct limit *l, int64_t now)
{
	if (l->in_flight >= (unsigned)l->window)
		return INT64_MAX;
	if (now < l->paused_until)
		return l->paused_until;
	if (l->gap > 0) {
		if (now < l->next)
			return l->next;
		l->next = now + l->gap;
	}
	if (++l->in_flight > l->peak)
		l->peak = l->in_flight;
	return 0;
}

bool limit_held(const struct limit *l, int64_t now)
{
	return l->cut_once && l->in_flight < l->max && (now < l->paused_until || l->in_flight >= (unsigned)l->window);
}

void limit_done(struct limit *l)
{
	l->in_flight--;
}

struct limit_mark limit_mark(const struct limit *l)
{
	return (struct limit_mark){ .in_flight = l->in_flight, .full = 2 * l->in_flight >= (unsigned)l->window };
}

void limit_good(struct limit *l, struct limit_mark at, int64_t took)
{
	unsigned most = l->cut_once ? l->peak + 1 : LIMIT_GROWTH * l->peak;

	l->pauses = 0;
	if (at.in_flight >= LIMIT_CROWD && took < l->quickest)
		l->quickest = took;
	if (!at.full)
		return;
	l->usual += l->usual != 0 ? (took - l->usual) / LIMIT_MEMORY : took;
	if (l->window >= most || l->usual / LIMIT_SLOWED > l->quickest)
		return;
	/* About half of them are marked full, and a whole window of answers is to make "most". */
	l->window += l->cut_once ? 1 / l->window : 2 * (LIMIT_GROWTH - 1);
	if (l->window > most)
		l->window = most;
	if (l->window > l->max)
		l->window = l->max;
}

void limit_throttled(struct limit *l, int64_t begun, int64_t now, int64_t after, uint64_t random)
{
	l->throttled++;
	/* The others of the same burst tell nothing new: one cut and one longer pause for all of them. */
	if (!l->cut_once || begun >= l->cut_at) {
		l->window = l->window > 2 ? l->window / 2 : 1;
		l->cut_once = true;
		l->cut_at = now;
		l->peak = 0;
		if (after == 0)
			after = retry_delay(l->pauses, random);
		l->pauses++;
	}
	if (now + after > l->paused_until)
		l->paused_until = now + after;
}
