/* SPDX-License-Identifier: Apache-2.0
 *
 * Names alone cost one listing and no value; they are printed as --files-from takes them. */
#include "fs/migrate/list.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fs/migrate/compare.h"
#include "fs/migrate/gather.h"
#include "fs/migrate/lanes.h"
#include "fs/migrate/report.h"

enum { WIDTH_MIN = 4, WIDTH_MAX = 80 };

/* Read in parallel for --long; what is learned waits here until it can be printed in order. */
struct detail {
	struct key_info info;
	int64_t size;
};

static void detail_read(struct run *run, struct item *item, struct cancel *cancel)
{
	SECRET(value);
	struct error err = ERROR_INIT;
	struct detail *detail = &run->details[item - run->items];

	if (side_get(&run->source, cancel, item->name, &value, &err) != 0)
		compare_source_failed(run, item, &err);
	else if (compare_passes(run, item, &value) && key_parse(&value, &detail->info, &err) == KEY_VALID)
		item_settle(item, OUTCOME_LISTED, NULL);
	else if (item->outcome == OUTCOME_PENDING)
		item_settle(item, OUTCOME_FOREIGN, &err);   /* --raw lets it pass, but there is nothing to tell */
	detail->size = (int64_t)value.len;
}

static bool detail_wanted(const struct run *run, const struct item *item)
{
	return item->outcome == OUTCOME_PENDING;
}

static int details_read(struct run *run, struct error *err)
{
	static const struct phase phase = {
		.verb = "reading", .wants = detail_wanted, .work = detail_read, .reads_only = true,
	};

	run->details = calloc(run->count, sizeof *run->details);
	if (run->details == NULL)
		return error_set(err, ENOMEM, "no memory");
	return lanes_run(run, &phase, err);
}

static int name_width(const struct run *run)
{
	size_t width = WIDTH_MIN;

	for (size_t i = 0; i < run->count; i++) {
		size_t n = strlen(run->items[i].name);
		if (run->items[i].outcome == OUTCOME_LISTED && n > width)
			width = n < WIDTH_MAX ? n : WIDTH_MAX;
	}
	return (int)width;
}

static void items_print(struct run *run)
{
	int width = name_width(run);

	if (run->options.long_list)
		report_list_header(run->report, width);
	for (size_t i = 0; i < run->count; i++) {
		struct item *item = &run->items[i];
		const struct detail *d = run->options.long_list ? &run->details[i] : NULL;
		if (item->outcome == OUTCOME_PENDING && run->details == NULL)
			item_settle(item, OUTCOME_LISTED, NULL);
		if (item->outcome == OUTCOME_PENDING)
			continue;
		tally_add(&run->tally, item);
		if (item->outcome == OUTCOME_LISTED)
			report_listed(run->report, item, d != NULL ? &d->info : NULL, d != NULL ? d->size : -1, width);
		else
			report_left_out(run->report, item);
	}
}

int list_run(struct run *run, struct error *err)
{
	int r = gather(run, err);
	size_t literals;

	/* A listing has not told whether literal names exist, so their values have to. */
	if (r == 0 && (run->options.long_list || selection_literals(run->selection, &literals) != NULL))
		r = details_read(run, err);
	if (r == 0)
		items_print(run);
	size_t foreign = tally_count(&run->tally, OUTCOME_FOREIGN);
	if (foreign > 0 && !run->options.verbose)
		report_remark(run->report, foreign == 1 ? "%zu entry is no KES key (-v names it)" :
			      "%zu entries are no KES keys (-v names them)", foreign);
	free(run->details);
	run->details = NULL;
	return r;
}
