/* SPDX-License-Identifier: Apache-2.0
 *
 * Opening the sides, the verdict over names that only the target can hold, and the comparison of what both hold. */
#include "fs/migrate/plan.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fs/migrate/caseless.h"
#include "fs/migrate/compare.h"
#include "fs/migrate/gather.h"
#include "fs/migrate/lanes.h"
#include "fs/migrate/report.h"
#include "fs/name.h"

/* --- the sides ---------------------------------------------------------------------------------------------------- */

static void warn(const char *sentence, void *arg)
{
	struct run *run = arg;

	report_note(run->report, "warning: %s", sentence);
}

static int same_store(const struct side *a, const struct side *b, struct error *err)
{
	if (!a->open || !b->open || a->identity == NULL || b->identity == NULL || strcmp(a->identity, b->identity) != 0)
		return 0;
	return error_set(err, EINVAL, "%s and %s are the same store: '%s' and '%s' hold the same keys", a->word, b->word,
			 a->store.where, b->store.where);
}

struct refusal {
	const struct side *side;
	bool list;
	struct error *err;
};

static bool refusal_counts(const struct refusal *q, const char *what)
{
	static const struct { const char *what; bool read, write; } needs[] = {
		{ "read", true, true }, { "unwrap", true, true }, { "write", false, true }, { "create", false, true },
		{ "wrap", false, true },
	};

	if (q->list && strcmp(what, "list") == 0)
		return true;
	for (size_t i = 0; i < sizeof needs / sizeof *needs; i++)
		if (strcmp(what, needs[i].what) == 0)
			return q->side->role == ROLE_SOURCE ? needs[i].read : needs[i].write;
	return false;
}

static void refusal_note(bool may, const char *what, const char *sentence, void *arg)
{
	struct refusal *q = arg;

	if (!may && q->err->code == 0 && refusal_counts(q, what))
		error_set(q->err, EACCES, "%s %s: %s", q->side->word, side_label(q->side), sentence);
}

/* What can be found out without writing about what the login may do. */
static int side_probe(struct run *run, struct side *side, struct error *err)
{
	struct call call = call_in(side->timeout, &run->stop);
	struct error refused = ERROR_INIT;
	size_t literals;
	struct refusal q = { .side = side, .err = &refused };

	q.list = side->role != ROLE_BACKUP && selection_literals(run->selection, &literals) == NULL;
	if (!side->open || side->absent || side->store.ops->probe == NULL)
		return 0;
	int r = side->store.ops->probe(side->store.handle, &call, refusal_note, &q, err);
	if (r == 0 && refused.code != 0) {
		*err = refused;
		return -refused.code;
	}
	return r;
}

int plan_open(struct run *run, struct error *err)
{
	const struct migrate_options *o = &run->options;
	bool writes = o->action == ACTION_COPY && !o->dry_run;
	int r = side_open(&run->source, ROLE_SOURCE, o->from, o, false, &run->stop, warn, run, err);

	if (r == 0 && o->to != NULL)
		r = side_open(&run->target, ROLE_TARGET, o->to, o, writes, &run->stop, warn, run, err);
	if (r == 0)
		r = same_store(&run->source, &run->target, err);
	if (r == 0 && o->backup_to != NULL)
		r = side_open(&run->backup, ROLE_BACKUP, o->backup_to, o, writes, &run->stop, warn, run, err);
	if (r == 0)
		r = same_store(&run->source, &run->backup, err);
	if (r == 0)
		r = same_store(&run->target, &run->backup, err);
	if (r == 0 && run->target.open && o->action == ACTION_COPY && !(run->target.caps & BACKEND_WRITE))
		r = error_set(err, EACCES, "target %s: nothing can be written to a store of this kind", side_label(&run->target));
	if (r == 0)
		r = side_probe(run, &run->source, err);
	if (r == 0 && o->action == ACTION_COPY)
		r = side_probe(run, &run->target, err);
	return r == 0 ? side_probe(run, &run->backup, err) : r;
}

/* --- names -------------------------------------------------------------------------------------------------------- */

static void unfit_names(struct run *run)
{
	const struct backend_ops *ops = run->target.absent ? NULL : run->target.store.ops;

	for (size_t i = 0; i < run->count; i++) {
		struct item *item = &run->items[i];
		struct error err = ERROR_INIT;
		if (item->outcome != OUTCOME_PENDING || item->flags & ITEM_UNFIT)
			continue;
		if ((ops != NULL ? name_check_store(item->name, ops, &err) : name_check(item->name, &err)) == 0)
			continue;
		item->flags |= ITEM_UNFIT;
		item->reason = strdup(err.text);
		item->code = (int16_t)err.code;
	}
}

/* --- the plan ----------------------------------------------------------------------------------------------------- */

/* Which keys have to be read now?  Those that the target may hold; all for a dry run or a comparison, which must know
 * what is damaged; and unfit names, since only a key is worth stopping for. */
static bool compare_wanted(const struct run *run, const struct item *item)
{
	const struct migrate_options *o = &run->options;

	return item->outcome == OUTCOME_PENDING &&
	       (o->dry_run || o->action == ACTION_CHECK || item->flags & (ITEM_AT_TARGET | ITEM_UNFIT));
}

static int names_missing(const struct run *run, struct error *err)
{
	size_t n = tally_count(&run->tally, OUTCOME_MISSING), shown = 0;
	char names[400] = "";

	for (size_t i = 0; i < run->count && shown < 5 && n > 0; i++)
		if (run->items[i].outcome == OUTCOME_MISSING) {
			size_t used = strlen(names);
			snprintf(names + used, sizeof names - used, "%s'%.60s'", shown++ > 0 ? ", " : "", run->items[i].name);
		}
	if (n == 0)
		return 0;
	return error_set(err, ENOENT, "nothing was %s: the source has no key %s%s", run->options.action == ACTION_COPY ?
			 "written" : "compared", names, n > shown ? " and others" : "");
}

/* In default mode one obstacle is enough to write nothing at all. */
static bool plan_blocked(const struct run *run)
{
	if (run->options.action != ACTION_COPY || run->options.mode != MODE_DEFAULT)
		return false;
	for (size_t i = 0; i < run->count; i++) {
		const struct item *item = &run->items[i];
		if (item->outcome == OUTCOME_CONFLICT || item->outcome == OUTCOME_UNFIT || item->flags & ITEM_BLOCKS)
			return true;
	}
	return false;
}

/* What the user should know about this target before it is written to. */
static void plan_remarks(struct run *run)
{
	unsigned caps = run->target.caps;
	size_t create = 0, replace = 0;

	for (size_t i = 0; i < run->count; i++)
		if (run->items[i].outcome == OUTCOME_PENDING)
			*(run->items[i].flags & ITEM_REPLACE ? &replace : &create) += 1;
	if (run->blocked || create + replace == 0)
		return;
	if (create > 0 && caps & BACKEND_RACY)
		report_remark(run->report, "%s cannot create a key only if it is absent: let nobody else write there meanwhile",
			      side_label(&run->target));
	if (replace > 0 && !(caps & BACKEND_REPLACE))
		report_remark(run->report, "%s has to delete a key before it can hold another value: a power cut in between leaves "
			      "it absent until the next run%s", side_label(&run->target),
			      run->backup.open ? "; the backup keeps it" : "; --backup-to keeps the old value");
	if (!(caps & BACKEND_READ))
		report_remark(run->report, "%s never hands out a key: what is written cannot be verified",
			      side_label(&run->target));
}

int plan_make(struct run *run, struct error *err)
{
	static const struct phase phase = {
		.verb = "comparing", .wants = compare_wanted, .work = compare_item, .reads_only = true,
	};
	int r = gather(run, err);

	if (r == 0 && run->options.action == ACTION_COPY) {
		if (run->target.caps & BACKEND_CASELESS)
			r = caseless_mark(run->items, run->count, run->target_names, run->target_name_count, err);
		unfit_names(run);
	}
	gather_forget(run);
	/* What the listing alone has settled. */
	for (size_t i = 0; i < run->count; i++)
		if (run->items[i].outcome != OUTCOME_PENDING)
			run_settled(run, &run->items[i]);
	if (r == 0)
		r = lanes_run(run, &phase, err);
	if (r == 0)
		r = names_missing(run, err);
	if (r != 0)
		return r;
	run->blocked = plan_blocked(run);
	plan_remarks(run);
	report_plan(run->report, run);
	run->planned = true;
	if (run->options.action == ACTION_COPY && !run->options.dry_run)
		run_show(run, false);
	return 0;
}
