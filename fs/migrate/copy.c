/* SPDX-License-Identifier: Apache-2.0
 *
 * One key at a time: read it at the source, let the target decide about the create, read it back. */
#include "fs/migrate/copy.h"

#include <errno.h>

#include "fs/migrate/again.h"
#include "fs/migrate/compare.h"
#include "fs/migrate/lanes.h"
#include "fs/migrate/replacing.h"
#include "fs/migrate/verify.h"

/* The target has a key of that name, although the plan saw none.  It was neither counted in the question that --force
 * asks nor backed up, so it stays in every mode. */
static void appeared(struct run *run, struct item *item, const struct secret *value, struct cancel *cancel)
{
	SECRET(there);
	struct error err = ERROR_INIT;
	int r = side_get(&run->target, cancel, item->name, &there, &err);

	if (r == 0 && secret_equal(value, &there))
		item_settle(item, OUTCOME_IDENTICAL, NULL);
	else if (r == 0)
		item_settle_as(item, OUTCOME_CONFLICT, EEXIST, "somebody stored another value after the plan was made");
	else
		item_settle_as(item, OUTCOME_CONFLICT, EEXIST, "the target says that the name is taken, and cannot show it: "
			       "%.600s", err.text);
}

static void create(struct run *run, struct item *item, const struct secret *value, struct cancel *cancel)
{
	struct error err = ERROR_INIT;
	int r = side_create(&run->target, cancel, item->name, value, &err);
	bool verify = !run->options.no_verify && run->target.caps & BACKEND_READ;

	if (r == -EEXIST) {
		appeared(run, item, value, cancel);
		return;
	}
	if (r == -ECANCELED)
		return;
	if (r == 0 && verify)
		r = verify_key(&run->target, item->name, value, NULL, cancel, &err);
	if (r == -ECANCELED) {
		verify_interrupted(item, OUTCOME_CREATED);
		return;
	}
	if (r == 0 && verify)
		item->flags |= ITEM_VERIFIED;
	if (r == 0)
		item_settle(item, OUTCOME_CREATED, NULL);
	else
		item_settle(item, r == -EINPROGRESS ? OUTCOME_UNKNOWN : OUTCOME_FAILED, &err);
}

static void copy_item(struct run *run, struct item *item, struct cancel *cancel)
{
	SECRET(value);
	struct error err = ERROR_INIT;

	if (side_get(&run->source, cancel, item->name, &value, &err) != 0)
		compare_source_failed(run, item, &err);
	else if (!compare_passes(run, item, &value))
		;
	else if (item->flags & ITEM_REPLACE)
		replacing_item(run, item, &value, cancel);
	else
		create(run, item, &value, cancel);
	if (again_due(run, item))
		item->again = true;
	else if (item->outcome != OUTCOME_PENDING)
		run_settled(run, item);
}

static bool copy_wanted(const struct run *run, const struct item *item)
{
	return item->outcome == OUTCOME_PENDING;
}

int copy_run(struct run *run, struct error *err)
{
	static const struct phase phase = { .verb = "copying", .wants = copy_wanted, .work = copy_item };

	int r = lanes_run(run, &phase, err), again = again_run(run, r == 0 ? err : NULL);

	return r == 0 ? again : r;
}
