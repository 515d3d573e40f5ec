/* SPDX-License-Identifier: Apache-2.0
 *
 * The last thing a user reads: first the verdict, then the numbers, then what is left to do. */
#include "fs/migrate/summary.h"

#include <inttypes.h>
#include <string.h>

#include "fs/migrate/signals.h"
#include "fs/migrate/text.h"

void summary_line(FILE *file, const struct item *item)
{
	putc_unlocked(outcome_symbol(item), file);
	putc_unlocked(' ', file);
	text_name(file, item->name);
	if (item->reason != NULL) {
		fputs_unlocked(": ", file);
		fputs_unlocked(item->reason, file);
	}
	putc_unlocked('\n', file);
}

/* An indented line of label, number and remark; nothing for 0. */
static void row(FILE *file, const char *label, size_t n, const char *remark)
{
	char number[TEXT_MAX];

	if (n > 0)
		fprintf(file, "  %-13s %10s%s%s\n", label, text_count(number, n), *remark != '\0' ? "  " : "", remark);
}

static const char *headline(struct run *run, int status, const struct error *failure)
{
	const struct migrate_options *o = &run->options;

	if (failure != NULL)
		return "stopped";
	if (status >= STATUS_SIGNAL)
		return "interrupted";
	if (o->action == ACTION_CHECK)
		return status == STATUS_DONE ? "the same" : "not the same";
	if (o->action == ACTION_LIST)
		return status == STATUS_DONE ? "listed" : "not listed completely";
	if (run->blocked)
		return o->dry_run ? "nothing would be written" : "nothing was written";
	if (o->dry_run)
		return status == STATUS_DONE ? "a dry run" : "a dry run, keys would remain";
	return status == STATUS_DONE ? "done" : "not complete";
}

static void print_head(FILE *file, struct run *run, int status, const struct error *failure)
{
	if (run->source.open) {
		text_name(file, side_label(&run->source));
		if (run->target.open) {
			fputs(" -> ", file);
			text_name(file, side_label(&run->target));
		}
		fputs(": ", file);
	}
	fprintf(file, "%s\n\n", headline(run, status, failure));
}

/* "verified" or "unverified" beside what was written. */
static void print_written(FILE *file, const struct run *run)
{
	const struct migrate_options *o = &run->options;
	size_t created = tally_count(&run->tally, OUTCOME_CREATED), replaced = tally_count(&run->tally, OUTCOME_REPLACED);
	size_t pending = 0, replace = 0, verified = atomic_load(&run->tally.verified);
	size_t unverified = created + replaced - verified;
	char mixed[TEXT_MAX + 24], number[TEXT_MAX];

	for (size_t i = 0; i < run->count; i++)
		if (run->items[i].outcome == OUTCOME_PENDING) {
			pending++;
			replace += (run->items[i].flags & ITEM_REPLACE) != 0;
		}
	snprintf(mixed, sizeof mixed, "%s of all written are unverified", text_count(number, unverified));
	const char *proof = unverified == 0 ? "verified" : verified == 0 ? "unverified" : mixed;
	row(file, "created", created, proof);
	row(file, "replaced", replaced, proof);
	if (run->blocked) {
		row(file, "held back", pending, run->declined ? "as you said" : "until the rest is settled");
	} else if (o->dry_run && !atomic_load(&run->stopping)) {
		row(file, "would create", pending - replace, "");
		row(file, "would replace", replace, run->backup.open ? "after a backup" : "");
	} else {
		row(file, "not started", pending, "");
	}
}

static void print_counts(FILE *file, const struct run *run)
{
	static const struct { const char *one, *label; enum outcome outcome; const char *remark; } rows[] = {
		{ "identical", "identical", OUTCOME_IDENTICAL, "" },
		{ "absent", "absent", OUTCOME_ABSENT, "at the target" },
		{ "extra", "extra", OUTCOME_EXTRA, "only at the target" },
		{ "conflict", "conflicts", OUTCOME_CONFLICT, "" },
		{ "foreign", "foreign", OUTCOME_FOREIGN, "no KES keys, skipped" },
		{ "deleted", "deleted", OUTCOME_DELETED, "at the source, still listed" },
		{ "damaged", "damaged", OUTCOME_DAMAGED, "" },
		{ "unfit", "unfit", OUTCOME_UNFIT, "cannot exist at the target" },
		{ "missing", "missing", OUTCOME_MISSING, "" },
		{ "failed", "failed", OUTCOME_FAILED, "" },
		{ "unknown", "unknown", OUTCOME_UNKNOWN, "may or may not be at the target" },
		{ "LOST", "LOST", OUTCOME_LOST, "neither the new nor the old value is at the target" },
	};
	bool check = run->options.action == ACTION_CHECK;

	row(file, "selected", run->count - tally_count(&run->tally, OUTCOME_EXTRA), "");
	if (run->options.action == ACTION_LIST)
		row(file, "listed", tally_count(&run->tally, OUTCOME_LISTED), "");
	else if (!check)
		print_written(file, run);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		size_t n = tally_count(&run->tally, rows[i].outcome);
		const char *label = n == 1 ? rows[i].one : rows[i].label;
		row(file, check && rows[i].outcome == OUTCOME_CONFLICT ? "different" : label, n, rows[i].remark);
	}
}

static void print_side(FILE *file, const struct side *side)
{
	struct backend_counts c;
	char a[TEXT_MAX];

	side_counts(side, &c);
	if (c.requests == 0)
		return;
	fprintf(file, "  %-13s %10s  %s", side->word, text_count(a, c.requests), c.requests == 1 ? "request" : "requests");
	if (c.retries > 0)
		fprintf(file, ", %s repeated", text_count(a, c.retries));
	if (c.throttled > 0)
		fprintf(file, ", throttled %s %s", text_count(a, c.throttled), c.throttled == 1 ? "time" : "times");
	fputc('\n', file);
}

/* Less than that is what starting and stopping take. */
#define HELD_SHOWN_NS INT64_C(50000000)

/* The clock on the wall, not the sum over workers: so much sooner would the run have been over, at most. */
static void print_throttled(FILE *file, const struct side *side)
{
	struct backend_counts c;
	char a[TEXT_MAX];

	side_counts(side, &c);
	if (c.throttled_ns >= HELD_SHOWN_NS)
		fprintf(file, "  %-13s %10s  held back by the %s\n", "throttled", text_seconds(a, c.throttled_ns), side->word);
}

static void print_time(FILE *file, const struct run *run)
{
	int64_t elapsed = call_now() - run->started;
	size_t written = tally_count(&run->tally, OUTCOME_CREATED) + tally_count(&run->tally, OUTCOME_REPLACED);
	char a[TEXT_MAX], b[TEXT_MAX];

	fprintf(file, "  %-13s %10s", "elapsed", text_seconds(a, elapsed));
	if (written > 0 && elapsed > 0)
		fprintf(file, "  %s/s", text_keys(b, (uint64_t)((double)written * 1e9 / (double)elapsed)));
	fputc('\n', file);
}

static void print_bad(FILE *file, const struct run *run)
{
	bool first = true;

	for (size_t i = 0; i < run->count; i++) {
		const struct item *item = &run->items[i];
		bool written = item->outcome == OUTCOME_CREATED || item->outcome == OUTCOME_REPLACED;
		/* Of what was written only that has a reason which is not proved. */
		if (!outcome_bad(item->outcome) && !(written && item->reason != NULL))
			continue;
		fputs(first ? "\n  " : "  ", file);
		first = false;
		summary_line(file, item);
	}
}

/* What to do next: never a push towards losing a key. */
static void print_advice(FILE *file, const struct run *run, int status)
{
	const struct migrate_options *o = &run->options;
	size_t conflicts = tally_count(&run->tally, OUTCOME_CONFLICT);
	const char *advice = NULL;

	if (o->action == ACTION_COPY && conflicts > 0 && o->mode == MODE_DEFAULT)
		advice = "--merge leaves what the target holds alone and copies the rest.\n"
			 "  --force replaces it: give it --backup-to, too, so that nothing is lost";
	else if (tally_count(&run->tally, OUTCOME_LOST) > 0)
		advice = run->backup.open ? "The old value is in the backup: copy it back with kesfs-migrate"
					  : "Do not restart a KES server that has a 'keys' section: it would make a new key of that name";
	else if (o->action == ACTION_COPY && (status == STATUS_PASSING || status >= STATUS_SIGNAL))
		advice = "The same command continues: what is there already counts as done";
	if (advice != NULL)
		fprintf(file, "\n  %s.\n", advice);
}

void summary_print(FILE *file, struct run *run, int status, const struct error *failure, bool list_bad)
{
	bool list = run->options.action == ACTION_LIST && !run->options.verbose;

	if (!list && (failure == NULL || run->count > 0)) {
		print_head(file, run, status, failure);
		print_counts(file, run);
		print_side(file, &run->source);
		print_side(file, &run->target);
		print_side(file, &run->backup);
		print_throttled(file, &run->source);
		print_throttled(file, &run->target);
		print_throttled(file, &run->backup);
		print_time(file, run);
		if (list_bad)
			print_bad(file, run);
		print_advice(file, run, status);
	}
	if (failure != NULL && failure->text[0] != '\0')
		fprintf(file, "%skesfs-migrate: %s\n", run->count > 0 && !list ? "\n" : "", failure->text);
}
