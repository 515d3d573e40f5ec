/* SPDX-License-Identifier: Apache-2.0
 *
 * What a settled key does to the run, and how the run ends. */
#include "fs/migrate/run.h"

#include <errno.h>
#include <string.h>

#include "fs/migrate/report.h"
#include "fs/migrate/signals.h"

static void side_judge(struct run *run, struct side *side)
{
	const char *why = side_hopeless(side);

	if (why == NULL || atomic_exchange(&run->stopping, true))
		return;
	report_note(run->report, "%s %s %s: no new key is started", side->word, side_label(side), why);
	if (side_silent(side))
		run->silent = side;
}

void run_silence(struct run *run)
{
	for (size_t i = 0; run->silent != NULL && i < run->count; i++) {
		struct item *item = &run->items[i];
		if (item->outcome != OUTCOME_PENDING)
			continue;
		item_settle_as(item, OUTCOME_FAILED, EHOSTUNREACH, "not started: the %s does not answer any more",
			       run->silent->word);
		run_settled(run, item);
	}
}

void run_settled(struct run *run, struct item *item)
{
	tally_add(&run->tally, item);
	if (run->planned) {
		item->shown = true;
		report_item(run->report, item);
	}
	if (!outcome_failure(item->outcome))
		return;
	if (run->options.max_errors > 0 && atomic_load(&run->tally.failures) >= run->options.max_errors)
		atomic_store(&run->stopping, true);
	side_judge(run, &run->source);
	side_judge(run, &run->target);
}

/* Why a key that could have been written was not. */
static const char *pending_reason(const struct run *run)
{
	return run->blocked ? "held back" : run->options.dry_run ? NULL : "not started";
}

void run_show(struct run *run, bool all)
{
	for (size_t i = 0; i < run->count; i++) {
		struct item *item = &run->items[i];
		if (item->shown || (item->outcome == OUTCOME_PENDING && !all))
			continue;
		if (item->outcome == OUTCOME_PENDING && item->reason == NULL && pending_reason(run) != NULL)
			item->reason = strdup(pending_reason(run));
		item->shown = true;
		report_item(run->report, item);
	}
}

size_t run_pending(const struct run *run)
{
	size_t n = 0;

	for (size_t i = 0; i < run->count; i++)
		n += run->items[i].outcome == OUTCOME_PENDING;
	return n;
}

/* Nothing worked, and every failure was a refusal: it is the side, not the keys. */
static bool all_refused(const struct tally *t)
{
	static const enum outcome works[] = {
		OUTCOME_CREATED, OUTCOME_REPLACED, OUTCOME_IDENTICAL, OUTCOME_LISTED, OUTCOME_ABSENT,
	};
	size_t worked = 0;

	for (size_t i = 0; i < sizeof works / sizeof *works; i++)
		worked += tally_count(t, works[i]);
	return worked == 0 && t->refused > 0 && t->refused == tally_count(t, OUTCOME_FAILED);
}

static bool no_key_at_all(const struct run *run)
{
	const struct tally *t = &run->tally;

	return run->count > 0 && tally_count(t, OUTCOME_FOREIGN) + tally_count(t, OUTCOME_DELETED) == run->count;
}

int run_status(struct run *run)
{
	const struct tally *t = &run->tally;
	int signal = signals_first(run->signals);
	/* What an ended run left undone because of failures will be done by the next one. */
	bool left = !run->options.dry_run && !run->blocked && run_pending(run) > 0;
	const struct { bool applies; int status; } rules[] = {
		{ no_key_at_all(run) || tally_count(t, OUTCOME_MISSING) > 0, STATUS_EMPTY },
		{ tally_count(t, OUTCOME_LOST) > 0, STATUS_LOST },
		{ signal != 0, STATUS_SIGNAL + signal },
		{ all_refused(t), STATUS_REFUSED },
		{ atomic_load(&t->other) > 0, STATUS_ERROR },
		{ atomic_load(&t->passing) > 0 || left, STATUS_PASSING },
		{ tally_count(t, OUTCOME_CONFLICT) + tally_count(t, OUTCOME_DAMAGED) + tally_count(t, OUTCOME_UNFIT) +
		  tally_count(t, OUTCOME_ABSENT) > 0, STATUS_REMAIN },
	};
	int status = STATUS_DONE;

	for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
		if (rules[i].applies)
			status = status_worse(status, rules[i].status);
	return status;
}
