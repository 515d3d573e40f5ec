/* SPDX-License-Identifier: Apache-2.0
 *
 * The verdict over names that only the target can hold, and the comparison of what both hold. */
#include "fs/migrate/plan.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fs/migrate/backup.h"
#include "fs/migrate/caseless.h"
#include "fs/migrate/compare.h"
#include "fs/migrate/gather.h"
#include "fs/migrate/lanes.h"
#include "fs/migrate/report.h"
#include "fs/name.h"

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
		r = backup_plan(run, err);
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
