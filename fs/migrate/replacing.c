/* SPDX-License-Identifier: Apache-2.0
 *
 * The store's replace() knows its own safe order.  Here is what surrounds it: the backup looked at before and after,
 * and a key that the store could not put back, which is tried again until it is there or the user stops it. */
#include "fs/migrate/replacing.h"

#include <errno.h>

#include "fs/migrate/backup.h"
#include "fs/migrate/gaps.h"
#include "fs/migrate/report.h"
#include "fs/migrate/verify.h"

static const int64_t RESCUE_FIRST = 500000000, RESCUE_MAX = INT64_C(30000000000),
		     LOOK_PAUSE = 250000000;
static const double LAST_SECONDS = 5;

struct replacing {
	struct run *run;
	struct item *item;
	const struct secret *old;             /* NULL: it could not be read */
	const struct secret *value;
	struct cancel *cancel;
	struct watch watch;
};

/* Put the old value back, once; where none is known, the new one.  0: so it is; 1: the new one is there after all. */
static int rescue_try(struct replacing *g, struct error *err)
{
	SECRET(there);
	struct side *target = &g->run->target;
	bool last = watch_given_up(&g->watch);
	struct call call = call_in(last ? LAST_SECONDS : target->timeout, last ? NULL : &g->watch.gap.give_up);
	int r = side_create_once(target, &call, g->item->name, g->old != NULL ? g->old : g->value, err);

	if (r != -EEXIST)
		return r;
	r = side_get_once(target, &call, g->item->name, &there, err);
	if (r != 0)
		return r;
	if (secret_equal(&there, g->value))
		return 1;
	return g->old != NULL && secret_equal(&there, g->old) ? 0 :
		error_set(err, ESTALE, "somebody else stored another value meanwhile");
}

/* The target removed the old value and could put neither value there.  They are still in our memory, so we go on until
 * it takes one, or the user, who knows it, says stop; then once more.  Returns what rescue_try() does. */
static int rescue(struct replacing *g, const struct error *cause, struct error *err)
{
	struct call forever = { .deadline = INT64_MAX, .cancel = &g->watch.gap.give_up };
	int64_t pause = RESCUE_FIRST;
	bool last;
	int r;

	atomic_store(&g->run->no_replace, true);
	*err = *cause;
	watch_rescue(&g->watch, g->old != NULL, cause);
	do {
		last = call_sleep(&forever, pause, true) != 0;
		r = rescue_try(g, err);
		pause = pause * 2 < RESCUE_MAX ? pause * 2 : RESCUE_MAX;
	} while (r < 0 && r != -ESTALE && !last);
	report_note(g->run->report, r >= 0 ? "'%s' is there again" : r == -ESTALE ? "'%s' is there again, by somebody else" :
		    "'%s' is absent at the target", g->item->name);
	return r;
}

static void rescue_settle(struct replacing *g, const struct error *cause)
{
	struct error err = ERROR_INIT;
	int r = rescue(g, cause, &err);
	bool verify = !g->run->options.no_verify;

	if (r == 1 || (r == 0 && g->old == NULL)) {
		item_settle(g->item, OUTCOME_REPLACED, NULL);
		if (verify && verify_key(&g->run->target, g->item->name, g->value, NULL, g->cancel, &err) == 0)
			g->item->flags |= ITEM_VERIFIED;
	} else if (r == 0) {
		item_settle_as(g->item, OUTCOME_FAILED, EIO, "the replace failed (%.300s); the key was put back", cause->text);
	} else if (r == -ESTALE) {
		item_settle(g->item, OUTCOME_CONFLICT, &err);
	} else {
		item_settle_as(g->item, OUTCOME_LOST, ENOTRECOVERABLE, "LOST at the target: removed, and could not be %s: %.500s",
			       g->old != NULL ? "put back" : "stored anew", err.text);
	}
}

/* The new value stands, but the backup no longer holds the old one: is it the target by another name? */
static void backup_vanished(struct replacing *g, const struct error *cause)
{
	struct error err = ERROR_INIT;
	int r = side_replace(&g->run->target, NULL, &g->watch.gap, g->item->name, g->value, g->old, &err);

	atomic_store(&g->run->no_replace, true);
	if (r == 0)
		item_settle_as(g->item, OUTCOME_FAILED, EPROTO, "after the replace its backup was gone (%.300s); the old value was "
			       "put back: is the backup the target by another name?", cause->text);
	else
		item_settle_as(g->item, OUTCOME_LOST, ENOTRECOVERABLE, "the old value is LOST: replaced, then its backup was gone "
			       "(%.200s), and it could not be put back: %.300s", cause->text, err.text);
}

static void replaced(struct replacing *g)
{
	SECRET(there);
	struct run *run = g->run;
	struct item *item = g->item;
	struct error err = ERROR_INIT;
	int r = run->options.no_verify ? 0 : verify_key(&run->target, item->name, g->value, g->old, g->cancel, &err);

	if (r == -EPROTO && side_get(&run->target, NULL, item->name, &there, NULL) == -ENOENT)
		rescue_settle(g, &err);               /* it said yes, and the key is gone */
	else if (r == -ECANCELED)
		verify_interrupted(item, OUTCOME_REPLACED);
	else if (r != 0)
		item_settle(item, r == -ESTALE ? OUTCOME_CONFLICT : OUTCOME_FAILED, &err);
	else if (run->backup.open && backup_holds(run, item->name, g->old, NULL, &err) != 0)
		backup_vanished(g, &err);
	else
		item_settle(item, OUTCOME_REPLACED, NULL);
	if (item->outcome == OUTCOME_REPLACED && r == 0 && !run->options.no_verify)
		item->flags |= ITEM_VERIFIED;
}

/* --raw: what is there cannot even be read, so there is no old value to keep and no safe order.  The user was asked. */
static void replace_unreadable(struct replacing *g)
{
	struct run *run = g->run;
	struct item *item = g->item;
	struct error err = ERROR_INIT;
	int r = side_remove(&run->target, g->cancel, item->name, &err);

	if (r == -ECANCELED)
		return;
	if (r != 0 && r != -ENOENT) {
		item_settle(item, r == -EINPROGRESS ? OUTCOME_UNKNOWN : OUTCOME_FAILED, &err);
		return;
	}
	/* Begun, so it is finished, whatever signal comes. */
	r = side_create(&run->target, NULL, item->name, g->value, &err);
	if (r == 0)
		replaced(g);
	else if (r == -EEXIST)
		item_settle_as(item, OUTCOME_CONFLICT, ESTALE, "somebody changed it meanwhile, left alone: %.600s", err.text);
	else
		rescue_settle(g, &err);
}

/* The old value is there, but the target may still delete it, since its answer was lost.  So long as the target might
 * work on a request we look, and put it back. */
static void doubtful(struct replacing *g, const struct error *cause)
{
	struct side *target = &g->run->target;
	struct call patience = call_in(target->timeout, &g->run->stop);
	int64_t pause = RESCUE_FIRST;
	struct error err = ERROR_INIT;
	int r = 0;

	report_note(g->run->report, "'%s': %s.  Looking at it for %.0f s", g->item->name, cause->text, target->timeout);
	while (r == 0 && call_sleep(&patience, pause, true) == 0) {
		SECRET(there);
		r = side_get(target, &g->run->stop, g->item->name, &there, &err);
		if (r == 0)
			r = secret_equal(&there, g->old) ? 0 : -ESTALE;
		else if (r != -ENOENT)
			r = 0;                        /* it cannot be looked at now */
	}
	if (r == 0)
		item_settle(g->item, OUTCOME_UNKNOWN, cause);
	else if (r == -ESTALE)
		item_settle_as(g->item, OUTCOME_CONFLICT, ESTALE, "somebody changed it meanwhile, left alone");
	else if (rescue_try(g, &err) == 0)
		item_settle_as(g->item, OUTCOME_FAILED, EIO, "the replace failed (%.300s); the key was put back", cause->text);
	else
		rescue_settle(g, &err);
}

static void replace_readable(struct replacing *g)
{
	struct run *run = g->run;
	struct item *item = g->item;
	struct error err = ERROR_INIT;
	int r = run->backup.open ? backup_holds(run, item->name, g->old, g->cancel, &err) : 0;

	if (r == 0)
		r = side_replace(&run->target, g->cancel, &g->watch.gap, item->name, g->old, g->value, &err);
	if (r == 0)
		replaced(g);
	else if (r == -ENOTRECOVERABLE)
		rescue_settle(g, &err);
	else if (r == -EINPROGRESS && !(run->target.caps & BACKEND_REPLACE))
		doubtful(g, &err);
	else if (r == -EINPROGRESS)
		item_settle(item, OUTCOME_UNKNOWN, &err);
	else if (r == -ESTALE)
		item_settle_as(item, OUTCOME_CONFLICT, ESTALE, "somebody changed it meanwhile, left alone: %.600s", err.text);
	else if (r != -ECANCELED)
		item_settle(item, OUTCOME_FAILED, &err);
}

static bool unreadable(int r)
{
	return r == -EBADMSG || r == -ENOMSG || r == -EFBIG;
}

/* What cannot be read is looked at three times: while somebody else writes it, a store may show half of what he does. */
static int old_get(struct replacing *g, struct secret *old, struct error *err)
{
	struct call pausing = { .deadline = INT64_MAX, .cancel = g->cancel };
	int r = 0;

	for (int looks = 0; looks < 3; looks++) {
		r = side_get(&g->run->target, g->cancel, g->item->name, old, err);
		if (!unreadable(r) || (looks < 2 && call_sleep(&pausing, LOOK_PAUSE << looks, true) != 0))
			break;
	}
	return r;
}

void replacing_item(struct run *run, struct item *item, const struct secret *value, struct cancel *cancel)
{
	SECRET(old);
	struct replacing g = { .run = run, .item = item, .value = value, .cancel = cancel };
	struct error err = ERROR_INIT;

	if (atomic_load(&run->no_replace)) {
		item_settle_as(item, OUTCOME_FAILED, EAGAIN, "not replaced: another replace of this run went wrong");
		return;
	}
	int r = old_get(&g, &old, &err);
	if (r == 0 && secret_equal(&old, value)) {
		item_settle(item, OUTCOME_IDENTICAL, NULL);
	} else if (r == 0 || (unreadable(r) && run->options.raw && !run->backup.open)) {
		g.old = r == 0 ? &old : NULL;
		watch_begin(&g.watch, run, item->name);
		if (r == 0)
			replace_readable(&g);
		else
			replace_unreadable(&g);
		watch_end(&g.watch);
	} else if (r == -ENOENT) {
		item_settle_as(item, OUTCOME_CONFLICT, ESTALE, "somebody removed it meanwhile: the next run creates it");
	} else if (r != -ECANCELED) {
		item_settle(item, OUTCOME_FAILED, &err);
	}
}

void replacing_vanished(struct run *run, struct item *item, const struct secret *value, struct cancel *cancel)
{
	struct replacing g = { .run = run, .item = item, .value = value, .cancel = cancel };
	struct error err = ERROR_INIT;

	item->flags &= (uint8_t)~ITEM_VERIFIED;
	error_set(&err, ENOENT, "it was replaced and read back, and then removed by somebody else");
	watch_begin(&g.watch, run, item->name);
	rescue_settle(&g, &err);
	watch_end(&g.watch);
}
