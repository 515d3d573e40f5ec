/* SPDX-License-Identifier: Apache-2.0
 *
 * Additive growth, multiplicative cut, as TCP does it, but beginning high: most runs are short. */
#include "backends/limit.h"

#include "backends/retry.h"

void limit_init(struct limit *l, unsigned max, double per_second)
{
	*l = (struct limit){ .max = max != 0 ? max : LIMIT_MAX };
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

void limit_good(struct limit *l)
{
	l->pauses = 0;
	/* At first twice of what was proved is tried, later one more. */
	if (l->window >= (l->cut_once ? l->peak + 1 : 2 * l->peak))
		return;
	l->window += l->cut_once ? 1 / l->window : 1;
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
