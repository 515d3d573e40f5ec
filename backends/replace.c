/* SPDX-License-Identifier: Apache-2.0
 *
 * Replacing a key where the store cannot: each step first asks what is really there. */
#include "backends/replace.h"

#include <errno.h>

#define PAUSE_FIRST_NS INT64_C(50000000)
#define PAUSE_MAX_NS INT64_C(8000000000)
#define TIME_NEEDED_NS INT64_C(200000000)     /* with less a gap is not opened */
#define TRY_LEAST_NS INT64_C(1000000000)      /* a try gets half of what is left, so that a hanging one leaves room */
#define TRY_MOST_NS INT64_C(20000000000)      /* what was sent cannot be called back: so long giving up may take */
#define TRY_LAST_NS INT64_C(5000000000)       /* a try after giving up */

struct replacement {
	const struct replace_steps *steps;
	struct backend *b;
	const char *name;
	const struct secret *old, *val;
	struct gap *gap;                      /* may be NULL */
	bool removal_doubtful;                /* the delete's answer was lost, and reading did not help */
	bool removal_late;                    /* and it may still be under way */
};

enum found { FOUND_NONE, FOUND_OLD, FOUND_NEW, FOUND_OTHER, FOUND_UNKNOWN };

/* What cannot be decoded is somebody's value all the same. */
static bool undecodable(int r)
{
	return r == -EBADMSG || r == -ENOMSG || r == -EFBIG;
}

static enum found look(const struct replacement *p, const struct call *c)
{
	SECRET(now);
	int r = p->steps->get(p->b, c, p->name, &now, NULL);

	if (r == 0)
		return secret_equal(&now, p->val) ? FOUND_NEW : secret_equal(&now, p->old) ? FOUND_OLD : FOUND_OTHER;
	return r == -ENOENT ? FOUND_NONE : undecodable(r) ? FOUND_OTHER : FOUND_UNKNOWN;
}

static int stale(const struct replacement *p, const char *what, struct error *err)
{
	return error_set(err, ESTALE, "replacing '%s': it was %s by somebody else meanwhile", p->name, what);
}

/* The failure says nothing of whether the change was made. */
static bool doubtful(int r)
{
	return r == -ETIMEDOUT || r == -EHOSTUNREACH || r == -EINPROGRESS || r == -EIO || r == -EPROTO;
}

/* The removal failed, and the old key is there.  Without an answer that means only that it is there now. */
static int not_removed(const struct replacement *p, int r, struct error *err)
{
	if (!p->removal_late)
		return r;
	return error_set(err, EINPROGRESS, "replacing '%s': the store did not answer whether it removes the old key: it is still "
			 "there, and may be removed yet", p->name);
}

static struct call one_try(const struct call *phase)
{
	int64_t left = call_left(phase), part = left / 2 > TRY_LEAST_NS ? left / 2 : left;

	return (struct call){ .deadline = call_now() + part, .cancel = phase->cancel };
}

static bool given_up(const struct replacement *p)
{
	return p->gap != NULL && cancel_requested(&p->gap->give_up);
}

/* A try while the key is absent. */
static struct call one_try_in_gap(const struct replacement *p, const struct call *phase)
{
	struct call attempt = one_try(phase);
	bool last = given_up(p);
	int64_t most = call_now() + (last ? TRY_LAST_NS : TRY_MOST_NS);

	if (attempt.deadline > most)
		attempt.deadline = most;
	/* What was not sent yet may be called back, but for the last try of all. */
	attempt.cancel = p->gap != NULL && !last ? &p->gap->give_up : NULL;
	return attempt;
}

/* --- the steps -------------------------------------------------------------------------------------------------- */

static int compare(const struct replacement *p, const struct call *c, bool *ret_done, struct error *err)
{
	SECRET(now);
	int r = p->steps->get(p->b, c, p->name, &now, err);

	if (r == -ENOENT)
		return stale(p, "removed", err);
	if (undecodable(r))
		return stale(p, "changed", err);
	if (r != 0)
		return r;
	*ret_done = secret_equal(&now, p->val);
	return *ret_done || secret_equal(&now, p->old) ? 0 : stale(p, "changed", err);
}

/* 0: it is gone, or may be. */
static int removal(struct replacement *p, const struct call *c, struct error *err)
{
	struct call attempt = one_try(c);
	int r = p->steps->remove(p->b, &attempt, p->name, err);

	if (r == 0)
		return 0;
	if (r == -ENOENT)
		return stale(p, "removed", err);
	if (!doubtful(r))
		return r;
	p->removal_late = r == -ETIMEDOUT || r == -EINPROGRESS;
	attempt = one_try_in_gap(p, c);
	switch (look(p, &attempt)) {
	case FOUND_NONE:
		return 0;
	case FOUND_OLD:
		return not_removed(p, r, err);
	case FOUND_UNKNOWN:
		p->removal_doubtful = true;
		return 0;
	default:
		return stale(p, "changed", err);
	}
}

/* The store says that the name is taken.  0: by what was to be put there.  *ret_settled: nothing more is to be done. */
static int taken(const struct replacement *p, const struct call *c, bool putting_back, bool *ret_settled,
		 struct error *err)
{
	enum found found = look(p, c);

	*ret_settled = found != FOUND_UNKNOWN && found != FOUND_NONE;
	switch (found) {
	case FOUND_NEW:
		return 0;
	case FOUND_OLD:
		if (putting_back)
			return 0;
		if (!p->removal_doubtful)
			return stale(p, "put back", err);
		return not_removed(p, error_set(err, EIO, "replacing '%s': the store did not remove the old key, which is still "
						"there", p->name), err);
	case FOUND_OTHER:
		return stale(p, "created", err);
	default:
		return error_set(err, EBUSY, "replacing '%s': the store holds the name back", p->name);
	}
}

/* 0 unless the store shows that the value is not there although it said so. */
static int confirm(const struct replacement *p, const struct call *c, const struct secret *val, bool *ret_settled,
		   struct error *err)
{
	enum found found = look(p, c), expected = val == p->val ? FOUND_NEW : FOUND_OLD;

	*ret_settled = found != FOUND_NONE;
	if (found == FOUND_NONE)
		return error_set(err, EIO, "replacing '%s': the store said that it was stored, but it is not there", p->name);
	return found == expected || found == FOUND_UNKNOWN ? 0 : stale(p, "changed", err);
}

/* Put a value under the free name, again and again until the phase ends; *ret_settled: who asks no more will not be
 * told otherwise, whether by 0 or by -ESTALE and the like. */
static int put(const struct replacement *p, const struct call *phase, const struct secret *val, bool *ret_settled,
	       struct error *err)
{
	const struct call pausing = { .deadline = phase->deadline, .cancel = p->gap != NULL ? &p->gap->give_up : NULL };
	bool putting_back = val == p->old;
	int64_t pause = PAUSE_FIRST_NS;

	for (;;) {
		struct call attempt = one_try_in_gap(p, phase);
		int r = p->steps->create(p->b, &attempt, p->name, val, err);
		attempt = one_try_in_gap(p, phase);
		*ret_settled = false;
		if (r == 0)
			r = confirm(p, &attempt, val, ret_settled, err);
		else if (r == -EEXIST)
			r = taken(p, &attempt, putting_back, ret_settled, err);
		if (r == -ECANCELED)
			r = error_set(err, ETIMEDOUT, "replacing '%s': given up before the store had answered", p->name);
		if (*ret_settled || (!putting_back && !error_passing(-r)))
			return r;
		if (p->gap != NULL)
			p->gap->waits(p->gap, putting_back, err);
		if (call_sleep(&pausing, pause, true) != 0)
			return r;
		pause = 2 * pause < PAUSE_MAX_NS ? 2 * pause : PAUSE_MAX_NS;
	}
}

/* err holds why the new value is not there; returned is that, or what became of it. */
static int put_back(const struct replacement *p, const struct call *c, struct error *err)
{
	struct call phase = { .deadline = c->deadline };
	struct error cause = ERROR_INIT;
	bool settled;

	int r = put(p, &phase, p->old, &settled, &cause);
	if (r == 0) {
		struct call attempt = one_try_in_gap(p, &phase);
		if (look(p, &attempt) == FOUND_NEW)
			return 0;             /* an earlier try came through after all */
		return error_prefix(err, "replacing '%s' failed, the old key was put back", p->name);
	}
	if (settled)
		return error_set(err, cause.code, "%s", cause.text);
	return error_set(err, ENOTRECOVERABLE, "replacing '%s': the old key was removed, and neither the new nor the old one "
			 "could be stored: %s", p->name, cause.text);
}

int replace_run(const struct replace_steps *steps, struct backend *b, const struct call *c, const char *name,
		const struct secret *old, const struct secret *val, struct error *err)
{
	struct replacement p = { steps, b, name, old, val, c->gap, false };
	struct error ignored = ERROR_INIT;
	bool done = false, settled;

	if (err == NULL)
		err = &ignored;
	int r = compare(&p, c, &done, err);
	if (r != 0 || done)
		return r;
	r = call_check(c, err, "replacing");
	if (r == 0 && call_left(c) < TIME_NEEDED_NS)
		r = error_set(err, ETIMEDOUT, "replacing '%s': too little time was left to do it safely; nothing was changed", name);
	if (r != 0)
		return r;

	/* From here on the key may be absent: nothing stops us but the deadline, and who gives up knowing that. */
	struct call rest = { .deadline = c->deadline };
	r = removal(&p, c, err);
	if (r != 0)
		return r;
	struct call half = { .deadline = call_now() + call_left(c) / 2 };
	r = put(&p, &half, val, &settled, err);
	return r == 0 || settled ? r : put_back(&p, &rest, err);
}
