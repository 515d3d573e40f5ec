/* SPDX-License-Identifier: Apache-2.0
 *
 * Nothing is written here.  Values are compared in constant time and forgotten; the copy reads them again, since a
 * million of them would not fit into locked memory. */
#include "fs/migrate/compare.h"

#include <errno.h>

#include "backends/key.h"

bool compare_passes(const struct run *run, struct item *item, const struct secret *value)
{
	const struct backend_ops *target = run->target.open ? run->target.store.ops : NULL;
	struct error why = ERROR_INIT;
	struct key_info info;
	enum key_kind kind = key_parse(value, &info, &why);

	if (kind == KEY_UNCHECKED)
		item_settle(item, OUTCOME_FAILED, &why);
	else if (kind == KEY_DAMAGED && (!run->options.raw || value->len == 0))
		item_settle_as(item, OUTCOME_DAMAGED, EBADMSG, "damaged: %s", why.text);
	else if (kind == KEY_FOREIGN && !run->options.raw && item->flags & ITEM_LITERAL)
		item_settle_as(item, OUTCOME_DAMAGED, EBADMSG, "no KES key: %s", why.text);
	else if (kind == KEY_FOREIGN && !run->options.raw)
		item_settle_as(item, OUTCOME_FOREIGN, 0, "no KES key: %s", why.text);
	else if (target != NULL && target->value_max > 0 && value->len > target->value_max)
		item_settle_as(item, OUTCOME_UNFIT, EFBIG, "%zu bytes, and the target takes at most %zu", value->len,
			       target->value_max);
	else
		return true;
	return false;
}

void compare_source_failed(const struct run *run, struct item *item, const struct error *err)
{
	if (err->code == ECANCELED)
		return;
	if ((err->code == ENOENT || err->code == ENAMETOOLONG) && item->flags & ITEM_LITERAL)
		item_settle_as(item, OUTCOME_MISSING, ENOENT, "the source has no such key");
	else if (err->code == ENOENT)
		item_settle_as(item, OUTCOME_DELETED, ENOENT, "the source lists it, but it is deleted");
	else if (err->code == ENOMSG && !(item->flags & ITEM_LITERAL))
		item_settle_as(item, OUTCOME_FOREIGN, 0, "%s", err->text);
	else
		item_settle(item, err->code == EBADMSG || err->code == ENOMSG || err->code == EFBIG ? OUTCOME_DAMAGED :
			    OUTCOME_FAILED, err);
}

/* What stands at the target could not be read. */
static void target_unreadable(const struct run *run, struct item *item, const struct error *err)
{
	bool replaceable = err->code == EBADMSG || err->code == ENOMSG || err->code == EFBIG;

	if (err->code == ECANCELED)
		return;
	if (error_passing(err->code)) {
		item->flags |= ITEM_BLOCKS;
		item_settle(item, OUTCOME_FAILED, err);
	} else if (run->options.action == ACTION_CHECK) {
		item_settle(item, OUTCOME_FAILED, err);
	} else if (run->options.mode == MODE_FORCE && run->options.raw && replaceable && run->target.caps & BACKEND_READ) {
		item->flags |= ITEM_REPLACE;
	} else {
		item_settle(item, OUTCOME_CONFLICT, err);
	}
}

/* Both values are known, and differ. */
static void decide(const struct run *run, struct item *item, const struct secret *there)
{
	const struct migrate_options *o = &run->options;
	struct error why = ERROR_INIT;
	struct key_info info;
	enum key_kind kind = key_parse(there, &info, &why);
	bool key = kind == KEY_VALID;

	if (kind == KEY_UNCHECKED)
		target_unreadable(run, item, &why);
	else if (o->action == ACTION_CHECK)
		item_settle_as(item, OUTCOME_CONFLICT, 0, key ? "the values differ" : "the target holds no KES key: %s", why.text);
	else if (o->mode == MODE_FORCE && (key || o->raw))
		item->flags |= ITEM_REPLACE;
	else if (key)
		item_settle_as(item, OUTCOME_CONFLICT, EEXIST, "the target holds another value");
	else
		item_settle_as(item, OUTCOME_CONFLICT, EEXIST, "the target holds no KES key there (%s)%s", why.text,
			       o->mode == MODE_FORCE ? ": only --raw replaces it" : "");
}

static void compare_target(struct run *run, struct item *item, const struct secret *value, struct cancel *cancel)
{
	SECRET(there);
	struct error err = ERROR_INIT;
	int r = side_get(&run->target, cancel, item->name, &there, &err);

	if (r == -ENOENT && run->options.action == ACTION_CHECK)
		item_settle(item, OUTCOME_ABSENT, NULL);
	else if (r == -ENOENT)
		item->flags &= (uint8_t)~ITEM_AT_TARGET;
	else if (r != 0)
		target_unreadable(run, item, &err);
	else if (secret_equal(value, &there))
		item_settle(item, OUTCOME_IDENTICAL, NULL);
	else
		decide(run, item, &there);
}

/* --check of a literal name that the source does not have: the target may. */
static void check_extra(struct run *run, struct item *item, struct cancel *cancel)
{
	SECRET(there);

	if (side_get(&run->target, cancel, item->name, &there, NULL) == 0)
		item_settle(item, OUTCOME_EXTRA, NULL);
}

/* A listing that lags proves no absence.  When copying, the create finds out by itself. */
static bool must_ask(const struct run *run)
{
	return run->options.action == ACTION_CHECK && !run->target.absent && run->target.caps & BACKEND_LAGGING;
}

void compare_item(struct run *run, struct item *item, struct cancel *cancel)
{
	SECRET(value);
	struct error err = ERROR_INIT;

	if (side_get(&run->source, cancel, item->name, &value, &err) != 0)
		compare_source_failed(run, item, &err);
	else if (!compare_passes(run, item, &value))
		;
	else if (item->flags & ITEM_UNFIT)
		item->outcome = OUTCOME_UNFIT;        /* the plan left the reason */
	else if (item->flags & ITEM_AT_TARGET || must_ask(run))
		compare_target(run, item, &value, cancel);
	else if (run->options.action == ACTION_CHECK)
		item_settle(item, OUTCOME_ABSENT, NULL);
	if (item->outcome == OUTCOME_MISSING && run->options.action == ACTION_CHECK)
		check_extra(run, item, cancel);
	if (item->outcome != OUTCOME_PENDING)
		run_settled(run, item);
}
