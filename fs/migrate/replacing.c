/* SPDX-License-Identifier: Apache-2.0
 *
 * The store's replace() knows its own safe order.  Here is what surrounds it: the backup looked at before and after,
 * and a key that the store could not put back, which is tried again until it is there or the user stops it. */
#include "fs/migrate/replacing.h"

#include <errno.h>

#include "fs/migrate/backup.h"
#include "fs/migrate/report.h"
#include "fs/migrate/verify.h"

static const int64_t RESCUE_FIRST = 500000000, RESCUE_MAX = INT64_C(30000000000);

/* Put the old value back, once.  0: it, or the new one, is there. */
static int rescue_try(struct run *run, const char *name, const struct secret *old, const struct secret *value,
		      struct error *err)
{
	SECRET(there);
	int r = side_create(&run->target, NULL, name, old, err);

	if (r != -EEXIST)
		return r;
	r = side_get(&run->target, NULL, name, &there, err);
	if (r == 0 && !secret_equal(&there, old) && !secret_equal(&there, value))
		r = error_set(err, ESTALE, "somebody else stored another value meanwhile");
	return r;
}

/* The store removed the old value and could put neither value there.  Both are still in our memory, so we go on until
 * it takes one or we are told to stop.  No cancel of the lane: the second signal must not end the last try. */
static void rescue(struct run *run, struct item *item, const struct secret *old, const struct secret *value,
		   const struct error *cause)
{
	struct call forever = { .deadline = INT64_MAX, .cancel = &run->stop };
	struct error err = *cause;
	int64_t pause = RESCUE_FIRST;
	bool last;
	int r;

	atomic_store(&run->no_replace, true);
	report_note(run->report, "'%s' was removed for a replace, and neither its new nor its old value could be put there "
		    "(%s).  Trying to put it back until it works; an interrupt gives up", item->name, cause->text);
	do {
		last = call_sleep(&forever, pause, true) != 0;
		r = rescue_try(run, item->name, old, value, &err);
		pause = pause * 2 < RESCUE_MAX ? pause * 2 : RESCUE_MAX;
	} while (r != 0 && r != -ESTALE && !last);
	if (r == 0)
		item_settle_as(item, OUTCOME_FAILED, EIO, "the replace failed (%.300s); the key was put back", cause->text);
	else if (r == -ESTALE)
		item_settle(item, OUTCOME_CONFLICT, &err);
	else
		item_settle_as(item, OUTCOME_LOST, ENOTRECOVERABLE, "LOST at the target: removed, and could not be put back: "
			       "%.500s", err.text);
	report_note(run->report, r == 0 ? "'%s' was put back" : "'%s' is lost at the target", item->name);
}

/* The new value stands, but the backup no longer holds the old one: is it the target by another name? */
static void backup_vanished(struct run *run, struct item *item, const struct secret *old, const struct secret *value,
			    const struct error *cause)
{
	struct error err = ERROR_INIT;
	int r = side_replace(&run->target, NULL, item->name, value, old, &err);

	atomic_store(&run->no_replace, true);
	if (r == 0)
		item_settle_as(item, OUTCOME_FAILED, EPROTO, "after the replace its backup was gone (%.300s); the old value was put "
			       "back: is the backup the target by another name?", cause->text);
	else
		item_settle_as(item, OUTCOME_LOST, ENOTRECOVERABLE, "the old value is LOST: replaced, then its backup was gone "
			       "(%.200s), and it could not be put back: %.300s", cause->text, err.text);
}

static void replaced(struct run *run, struct item *item, const struct secret *old, const struct secret *value,
		     struct cancel *cancel)
{
	SECRET(there);
	struct error err = ERROR_INIT;
	int r = run->options.no_verify ? 0 : verify_key(&run->target, item->name, value, old, cancel, &err);

	if (r == -EPROTO && side_get(&run->target, NULL, item->name, &there, NULL) == -ENOENT) {
		rescue(run, item, old, value, &err);   /* it said yes, and the key is gone */
		return;
	}
	if (r == -ECANCELED) {
		verify_interrupted(item, OUTCOME_REPLACED);
		return;
	}
	if (r != 0) {
		item_settle(item, OUTCOME_FAILED, &err);
		return;
	}
	if (run->backup.open && backup_holds(run, item->name, old, NULL, &err) != 0) {
		backup_vanished(run, item, old, value, &err);
		return;
	}
	item_settle(item, OUTCOME_REPLACED, NULL);
	if (!run->options.no_verify)
		item->flags |= ITEM_VERIFIED;
}

/* --raw: what is there cannot even be read, so there is no old value to keep and no safe order.  The user was asked. */
static void replace_unreadable(struct run *run, struct item *item, const struct secret *value, struct cancel *cancel)
{
	struct error err = ERROR_INIT;
	int r = side_remove(&run->target, cancel, item->name, &err);

	if (r == -ECANCELED)
		return;
	if (r == 0 || r == -ENOENT)
		r = side_create(&run->target, NULL, item->name, value, &err);
	/* Begun, so it is finished, whatever signal comes. */
	if (r == 0 && !run->options.no_verify)
		r = verify_key(&run->target, item->name, value, NULL, NULL, &err);
	item_settle(item, r == 0 ? OUTCOME_REPLACED : r == -EINPROGRESS ? OUTCOME_UNKNOWN : OUTCOME_FAILED,
		    r == 0 ? NULL : &err);
	if (r == 0 && !run->options.no_verify)
		item->flags |= ITEM_VERIFIED;
}

static void replace_readable(struct run *run, struct item *item, const struct secret *old, const struct secret *value,
			     struct cancel *cancel)
{
	struct error err = ERROR_INIT;
	int r = run->backup.open ? backup_holds(run, item->name, old, cancel, &err) : 0;

	if (r == 0)
		r = side_replace(&run->target, cancel, item->name, old, value, &err);
	if (r == 0)
		replaced(run, item, old, value, cancel);
	else if (r == -ENOTRECOVERABLE)
		rescue(run, item, old, value, &err);
	else if (r == -EINPROGRESS)
		item_settle(item, OUTCOME_UNKNOWN, &err);
	else if (r == -ESTALE)
		item_settle_as(item, OUTCOME_CONFLICT, ESTALE, "somebody changed it meanwhile, left alone: %.600s", err.text);
	else if (r != -ECANCELED)
		item_settle(item, OUTCOME_FAILED, &err);
}

void replacing_item(struct run *run, struct item *item, const struct secret *value, struct cancel *cancel)
{
	SECRET(old);
	struct error err = ERROR_INIT;

	if (atomic_load(&run->no_replace)) {
		item_settle_as(item, OUTCOME_FAILED, EAGAIN, "not replaced: another replace of this run went wrong");
		return;
	}
	int r = side_get(&run->target, cancel, item->name, &old, &err);
	if (r == 0 && secret_equal(&old, value))
		item_settle(item, OUTCOME_IDENTICAL, NULL);
	else if (r == 0)
		replace_readable(run, item, &old, value, cancel);
	else if ((r == -EBADMSG || r == -ENOMSG || r == -EFBIG) && run->options.raw && !run->backup.open)
		replace_unreadable(run, item, value, cancel);
	else if (r != -ECANCELED)
		item_settle(item, OUTCOME_FAILED, &err);
}
