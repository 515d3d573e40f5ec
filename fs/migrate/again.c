/* SPDX-License-Identifier: Apache-2.0
 *
 * The value is read from the source once more: keeping those of all replaced keys would need locked memory for each. */
#include "fs/migrate/again.h"

#include <errno.h>

#include "fs/migrate/lanes.h"
#include "fs/migrate/replacing.h"

bool again_due(const struct run *run, const struct item *item)
{
	return item->outcome == OUTCOME_REPLACED && item->flags & ITEM_VERIFIED && !(run->target.caps & BACKEND_REPLACE);
}

static void again_item(struct run *run, struct item *item, struct cancel *cancel)
{
	SECRET(value);
	SECRET(there);

	/* What cannot be read now was read back before. */
	int r = side_get(&run->source, cancel, item->name, &value, NULL);
	if (r == 0)
		r = side_get(&run->target, cancel, item->name, &there, NULL);
	else
		r = -ECANCELED;
	if (r == -ENOENT) {
		replacing_vanished(run, item, &value, cancel);
	} else if (r == -EBADMSG || r == -ENOMSG || r == -EFBIG || (r == 0 && !secret_equal(&value, &there))) {
		item->flags &= (uint8_t)~ITEM_VERIFIED;
		item_settle_as(item, OUTCOME_CONFLICT, ESTALE, "replaced and read back, but somebody changed it meanwhile: the target "
			       "holds another value now");
	}
	item->again = false;
	run_settled(run, item);
}

static bool again_wanted(const struct run *run, const struct item *item)
{
	(void)run;
	return item->again;
}

int again_run(struct run *run, struct error *err)
{
	static const struct phase phase = { .verb = "looking again", .wants = again_wanted, .work = again_item };
	int r = lanes_run(run, &phase, err);

	for (size_t i = 0; i < run->count; i++)
		if (run->items[i].again) {
			run->items[i].again = false;
			run_settled(run, &run->items[i]);
		}
	return r;
}
