/* SPDX-License-Identifier: Apache-2.0
 *
 * Starts a little below what is known, grows by a hundredth a second while nothing is refused, and learns from refusals: a
 * quota is a bucket that fills at a steady rate, and it is empty whenever a request is refused.  So what went through
 * between two refusals, over the time between them, is the quota itself, however large the bucket and however wrong
 * the document. */
#include "backends/pace.h"

#include "backends/retry.h"

#define SECOND 1e9
#define CREDIT_NS INT64_C(50000000)   /* a start that came late is made up for: the I/O thread counts in milliseconds */
#define USED_NS INT64_C(1000000000)

static const double BELOW = 0.97;     /* of a quota that is known, or was learned: the growth finds the rest */
static const double STEP = 0.01;      /* growth in a second */
static const double CUT = 0.95, CUT_FAR = 0.75;
static const double LEAST = 0.5;      /* a second */
enum { LEARNED = 8 };                 /* good answers between two refusals that make an estimate */

static void rate_set(struct pace *p, double rate)
{
	p->rate = rate > LEAST ? rate : LEAST;
}

void pace_init(struct pace *p, double known, bool at_once)
{
	*p = (struct pace){ .known = known, .rate = at_once ? BELOW * known : 0, .cut_at = INT64_MIN, .short_at = INT64_MIN };
}

int64_t pace_when(struct pace *p, int64_t now)
{
	int64_t when = p->next > p->paused_until ? p->next : p->paused_until;

	if (p->rate <= 0 || now >= when)
		return 0;
	p->short_at = now;
	return when;
}

void pace_begin(struct pace *p, int64_t now)
{
	if (p->rate <= 0)
		return;
	if (p->next < now - CREDIT_NS)
		p->next = now - CREDIT_NS;
	p->next += (int64_t)(SECOND / p->rate);
}

void pace_good(struct pace *p, int64_t now)
{
	p->good++;
	p->pauses = 0;
	if (p->rate > 0 && p->short_at != INT64_MIN && now - p->short_at < USED_NS)
		p->rate += STEP;              /* so many answers come in a second: a hundredth of the rate in all */
}

/* The bucket was empty at the cut before, and is empty now.  What it took in during the pause after that cut may have run
 * over. */
static double learned(const struct pace *p, int64_t now)
{
	return p->cut_at != INT64_MIN && p->good >= LEARNED && now > p->paused_until
	       ? (double)p->good * SECOND / (double)(now - p->paused_until) : 0;
}

void pace_throttled(struct pace *p, int64_t begun, int64_t now, int64_t after, uint64_t random)
{
	if (p->known <= 0)
		return;
	if (begun >= p->cut_at) {             /* not one more of the burst that was refused before */
		double quota = learned(p, now);
		if (p->rate <= 0)
			rate_set(p, BELOW * p->known);
		else if (quota > 0)
			rate_set(p, quota < p->rate ? BELOW * quota : CUT * p->rate);
		else if (p->cut_at == INT64_MIN)
			rate_set(p, CUT * p->rate);
		else if (p->good > 0)
			rate_set(p, CUT_FAR * p->rate);
		/* Else nothing went through since the cut: the burst before it is not over yet, and the pause gets longer. */
		p->cut_at = now;
		p->good = 0;
		if (after == 0)
			after = retry_delay(p->pauses, random);
		p->pauses++;
	}
	if (now + after > p->paused_until)
		p->paused_until = now + after;
	if (p->paused_until > p->next)
		p->next = p->paused_until;    /* nothing of a pause is made up for */
}
