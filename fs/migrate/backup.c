/* SPDX-License-Identifier: Apache-2.0
 *
 * A backup that another run made of the same value is as good as a new one; one of another value is never touched. */
#include "fs/migrate/backup.h"

#include <errno.h>

#include "fs/migrate/lanes.h"
#include "fs/migrate/verify.h"

static int backup_compare(const struct secret *kept, const struct secret *old, struct error *err)
{
	return secret_equal(kept, old) ? 0 :
		error_set(err, EEXIST, "the backup already holds another value of that name: use an empty one");
}

static void backup_failed(struct run *run, struct item *item, struct error *err)
{
	error_prefix(err, "not replaced, since it could not be backed up");
	item_settle(item, err->code == EEXIST ? OUTCOME_CONFLICT : OUTCOME_FAILED, err);
	run_settled(run, item);
}

static void backup_look(struct run *run, struct item *item, struct cancel *cancel)
{
	SECRET(kept);
	SECRET(old);
	struct error err = ERROR_INIT;
	int r = side_get(&run->backup, cancel, item->name, &kept, &err);

	if (r == 0)
		r = side_get(&run->target, cancel, item->name, &old, &err);
	if (r == 0)
		r = backup_compare(&kept, &old, &err);
	if (r != 0 && r != -ENOENT && r != -ECANCELED)
		backup_failed(run, item, &err);
}

static int backup_store(struct run *run, const char *name, const struct secret *old, struct cancel *cancel,
			struct error *err)
{
	SECRET(kept);
	int r = side_create(&run->backup, cancel, name, old, err);

	if (r == 0)
		return verify_key(&run->backup, name, old, NULL, cancel, err);
	if (r != -EEXIST)
		return r;
	r = side_get(&run->backup, cancel, name, &kept, err);
	return r == 0 ? backup_compare(&kept, old, err) : r;
}

static void backup_item(struct run *run, struct item *item, struct cancel *cancel)
{
	SECRET(old);
	struct error err = ERROR_INIT;
	int r = side_get(&run->target, cancel, item->name, &old, &err);

	if (r == 0)
		r = backup_store(run, item->name, &old, cancel, &err);
	if (r == 0)
		item->flags |= ITEM_BACKED_UP;
	else if (r != -ECANCELED)
		backup_failed(run, item, &err);
}

static bool backup_wanted(const struct run *run, const struct item *item)
{
	return item->outcome == OUTCOME_PENDING && item->flags & ITEM_REPLACE;
}

int backup_plan(struct run *run, struct error *err)
{
	static const struct phase phase = {
		.verb = "looking at the backup", .wants = backup_wanted, .work = backup_look, .reads_only = true,
	};

	return run->backup.open ? lanes_run(run, &phase, err) : 0;
}

int backup_run(struct run *run, struct error *err)
{
	static const struct phase phase = { .verb = "backing up", .wants = backup_wanted, .work = backup_item };

	return lanes_run(run, &phase, err);
}

int backup_holds(struct run *run, const char *name, const struct secret *old, struct cancel *cancel, struct error *err)
{
	SECRET(kept);
	int r = side_get(&run->backup, cancel, name, &kept, err);

	if (r == 0 && !secret_equal(&kept, old))
		r = error_set(err, ESTALE, "the backup does not hold the value that the target holds");
	return r;
}
