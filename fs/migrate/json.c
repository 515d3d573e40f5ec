/* SPDX-License-Identifier: Apache-2.0
 *
 * Written member by member: nothing here nests deeper than a side's counts, and a million objects should cost no
 * allocation each. */
#include "fs/migrate/json.h"

#include <string.h>

#include "fs/migrate/report.h"
#include "fs/migrate/signals.h"
#include "fs/migrate/text.h"

static void begin(FILE *file, const char *type)
{
	fprintf(file, "{\"schema\":%d,\"type\":\"%s\"", REPORT_SCHEMA, type);
}

static void member_text(FILE *file, const char *name, const char *value)
{
	fprintf(file, ",\"%s\":", name);
	text_json(file, value);
}

static void member_count(FILE *file, const char *name, size_t value)
{
	fprintf(file, ",\"%s\":%zu", name, value);
}

static void member_bool(FILE *file, const char *name, bool value)
{
	fprintf(file, ",\"%s\":%s", name, value ? "true" : "false");
}

static void end(FILE *file)
{
	fputs("}\n", file);
}

static void side_names(FILE *file, const struct run *run)
{
	const struct { const char *name; const struct side *side; } sides[] = {
		{ "source", &run->source }, { "target", &run->target }, { "backup", &run->backup },
	};

	for (size_t i = 0; i < sizeof sides / sizeof *sides; i++)
		if (sides[i].side->open)
			member_text(file, sides[i].name, side_label(sides[i].side));
}

static const char *mode_word(const struct migrate_options *o)
{
	static const char *const modes[] = { "default", "merge", "force" };

	return o->action == ACTION_CHECK ? "check" : o->action == ACTION_LIST ? "list" : modes[o->mode];
}

void json_plan(FILE *file, const struct run *run)
{
	size_t replace = 0, pending = 0;

	for (size_t i = 0; i < run->count; i++)
		if (run->items[i].outcome == OUTCOME_PENDING) {
			pending++;
			replace += (run->items[i].flags & ITEM_REPLACE) != 0;
		}
	begin(file, "plan");
	member_text(file, "mode", mode_word(&run->options));
	member_bool(file, "dry_run", run->options.dry_run);
	side_names(file, run);
	member_count(file, "selected", run->count);
	member_count(file, "create", pending - replace);
	member_count(file, "replace", replace);
	member_count(file, "identical", tally_count(&run->tally, OUTCOME_IDENTICAL));
	member_count(file, "conflicts", tally_count(&run->tally, OUTCOME_CONFLICT));
	member_count(file, "unfit", tally_count(&run->tally, OUTCOME_UNFIT));
	member_bool(file, "blocked", run->blocked);
	end(file);
}

/* A name that is no UTF-8 is shown with U+FFFD in it; then its bytes follow in hex. */
static void name_bytes(FILE *file, const char *name)
{
	bool ascii = true;

	for (const char *p = name; *p != '\0'; p++)
		ascii = ascii && (unsigned char)*p < 0x80;
	if (ascii)
		return;
	fputs(",\"name_hex\":\"", file);
	for (const char *p = name; *p != '\0'; p++)
		fprintf(file, "%02x", (unsigned char)*p);
	fputc('"', file);
}

static void item_begin(FILE *file, const struct item *item)
{
	begin(file, "key");
	member_text(file, "name", item->name);
	name_bytes(file, item->name);
	member_text(file, "outcome", outcome_word(item->outcome));
	if (item->code != 0)
		member_text(file, "code", error_symbol(item->code));
	if (item->reason != NULL)
		member_text(file, "reason", item->reason);
}

void json_item(FILE *file, const struct item *item)
{
	item_begin(file, item);
	if (item->outcome == OUTCOME_PENDING)
		member_text(file, "action", item->flags & ITEM_REPLACE ? "replace" : "create");
	if (item->outcome == OUTCOME_CREATED || item->outcome == OUTCOME_REPLACED)
		member_bool(file, "verified", item->flags & ITEM_VERIFIED);
	end(file);
}

void json_listed(FILE *file, const struct item *item, const struct key_info *info, int64_t size)
{
	char time[TEXT_MAX];

	item_begin(file, item);
	if (info != NULL) {
		member_text(file, "algorithm", info->algorithm);
		if (info->has_created)
			member_text(file, "created", text_time(time, info->created));
		if (info->created_by[0] != '\0')
			member_text(file, "creator", info->created_by);
		member_count(file, "size", (size_t)size);
	}
	end(file);
}

void json_progress(FILE *file, const struct run *run, const char *phase, size_t done, size_t total, double rate)
{
	begin(file, "progress");
	member_text(file, "phase", phase);
	member_count(file, "done", done);
	member_count(file, "total", total);
	fprintf(file, ",\"keys_per_second\":%.1f", rate);
	member_count(file, "conflicts", tally_count(&run->tally, OUTCOME_CONFLICT));
	member_count(file, "failed", atomic_load(&run->tally.failures));
	end(file);
}

static void side_numbers(FILE *file, const char *name, const struct side *side)
{
	struct backend_counts c;

	if (!side->open)
		return;
	side_counts(side, &c);
	fprintf(file, ",\"%s_counts\":{\"requests\":%llu,\"retries\":%llu,\"throttled\":%llu,\"throttled_seconds\":%.3f}",
		name, (unsigned long long)c.requests, (unsigned long long)c.retries, (unsigned long long)c.throttled,
		(double)c.throttled_ns / 1e9);
}

void json_summary(FILE *file, struct run *run, int status, const struct error *failure)
{
	static const struct { const char *name; enum outcome outcome; } counts[] = {
		{ "created", OUTCOME_CREATED }, { "replaced", OUTCOME_REPLACED }, { "identical", OUTCOME_IDENTICAL },
		{ "conflicts", OUTCOME_CONFLICT }, { "foreign", OUTCOME_FOREIGN }, { "deleted", OUTCOME_DELETED },
		{ "damaged", OUTCOME_DAMAGED }, { "unfit", OUTCOME_UNFIT }, { "failed", OUTCOME_FAILED },
		{ "unknown", OUTCOME_UNKNOWN }, { "lost", OUTCOME_LOST }, { "missing", OUTCOME_MISSING },
		{ "absent", OUTCOME_ABSENT }, { "extra", OUTCOME_EXTRA }, { "listed", OUTCOME_LISTED },
	};
	const struct tally *t = &run->tally;
	double seconds = (double)(call_now() - run->started) / 1e9;
	size_t written = tally_count(t, OUTCOME_CREATED) + tally_count(t, OUTCOME_REPLACED);

	begin(file, "summary");
	fprintf(file, ",\"status\":%d", status);
	if (signals_first(run->signals) != 0)
		fprintf(file, ",\"signal\":%d", signals_first(run->signals));
	member_text(file, "mode", mode_word(&run->options));
	member_bool(file, "dry_run", run->options.dry_run);
	side_names(file, run);
	member_count(file, "selected", run->count);
	for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
		member_count(file, counts[i].name, tally_count(t, counts[i].outcome));
	member_count(file, "pending", run_pending(run));
	member_bool(file, "blocked", run->blocked);
	member_count(file, "verified", atomic_load(&t->verified));
	member_count(file, "unverified", written - atomic_load(&t->verified));
	fprintf(file, ",\"elapsed_seconds\":%.3f", seconds);
	if (written > 0)
		fprintf(file, ",\"keys_per_second\":%.1f", (double)written / seconds);
	side_numbers(file, "source", &run->source);
	side_numbers(file, "target", &run->target);
	side_numbers(file, "backup", &run->backup);
	if (failure != NULL && failure->text[0] != '\0')
		member_text(file, "error", failure->text);
	end(file);
}
