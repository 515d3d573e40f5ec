/* SPDX-License-Identifier: Apache-2.0
 *
 * The names of a store and their age: listed when somebody looks and they are older than ttl, in a thread of its own.
 * A listing that fails changes no name. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fs/glob.h"
#include "fs/mount/request.h"
#include "fs/name.h"

#define LAG_NS INT64_C(300000000000)
/* A listing may take many calls: it gets this many times what one call may take. */
enum { LISTING_CALLS = 10 };

const char *const left_out_names[LEFT_COUNT] = {
	[LEFT_FOLDER] = "folder", [LEFT_DELETED] = "deleted", [LEFT_FOREIGN] = "foreign",
	[LEFT_NAME] = "name", [LEFT_FILTER] = "filter",
};

static bool matches_any(char *const *patterns, const char *name)
{
	for (; patterns != NULL && *patterns != NULL; patterns++)
		if (glob_match(*patterns, name))
			return true;
	return false;
}

static bool passes_filter(const struct volume *v, const char *name)
{
	const struct mount_options *o = v->options;
	bool included = o->include == NULL || o->include[0] == NULL || matches_any(o->include, name);

	return included && !matches_any(o->exclude, name);
}

bool volume_shows(const struct volume *v, const char *name)
{
	return name_shown(name) && passes_filter(v, name);
}

void volume_names_changed(struct volume *v)
{
	clock_gettime(CLOCK_REALTIME, &v->changed);
	snapshot_unref(v->snapshot);
	v->snapshot = NULL;
}

/* LEFT_COUNT: it is shown. */
static enum left_out entry_left_out(const struct volume *v, const struct listing_entry *e)
{
	if (e->flags & ENTRY_FOLDER)
		return LEFT_FOLDER;
	if (e->flags & ENTRY_DELETED)
		return LEFT_DELETED;
	/* A symbolic link cannot be read here, but to KES it is a key: left out, it would be missed by no one. */
	if (e->flags & ENTRY_FOREIGN)
		return LEFT_FOREIGN;
	if (!name_shown(e->name))
		return LEFT_NAME;
	return passes_filter(v, e->name) ? LEFT_COUNT : LEFT_FILTER;
}

/* Older than what we did ourselves meanwhile: ours counts.  A listing may lag behind (AWS: up to five minutes). */
static bool is_ours(const struct volume *v, const struct node *n)
{
	int64_t lag = store_caps(&v->store) & BACKEND_LAGGING ? LAG_NS : 0;

	return n->touched != 0 && n->touched >= v->listing.began - lag;
}

/* One entry of the store that is shown. */
static int entry_take(struct volume *v, const struct listing_entry *e)
{
	struct backend_entry entry = { .name = e->name, .created = e->created, .changed = e->changed, .size = e->size };
	struct node *n = tree_find(&v->tree, e->name, false);

	if (n != NULL && is_ours(v, n)) {
		n->mark = v->listing.mark;
		return 0;
	}
	if (n == NULL || !n->stored)
		volume_names_changed(v);
	n = volume_learn(v, &entry);
	if (n == NULL)
		return -ENOMEM;
	n->mark = v->listing.mark;
	return 0;
}

static void node_sweep(struct tree *t, struct node *n, void *arg)
{
	struct volume *v = arg;

	if (n->kind != NODE_KEY || is_ours(v, n))
		return;
	n->touched = n->asked = 0;
	if (n->stored && n->mark != v->listing.mark) {
		volume_names_changed(v);
		volume_forget(v, n);
	} else if (!n->stored) {
		node_settle(t, n);
	}
}

/* What was left out is said once, and again when the numbers change. */
static void left_out_log(struct volume *v, const size_t *now)
{
	char text[256] = "";
	size_t used = 0;

	for (int i = 0; i < LEFT_FILTER; i++)
		if (now[i] > 0 && used < sizeof text)
			used += (size_t)snprintf(text + used, sizeof text - used, "%s%zu %s", used > 0 ? ", " : "", now[i],
						 left_out_names[i]);
	if (text[0] != '\0')
		log_line(LOG_LEVEL_INFO, "list %s: left out, as no key or under no usable name: %s", v->store.label, text);
}

static int listing_take(struct volume *v, const struct listing *l, struct error *err)
{
	size_t left_out[LEFT_COUNT] = { 0 };
	int r = 0;

	pthread_mutex_lock(&v->lock);
	v->listing.mark++;
	for (size_t i = 0; i < l->count && r == 0; i++) {
		enum left_out why = entry_left_out(v, &l->entries[i]);
		if (why != LEFT_COUNT)
			left_out[why]++;
		else
			r = entry_take(v, &l->entries[i]);
	}
	if (r == 0)
		tree_each(&v->tree, node_sweep, v);
	bool differs = memcmp(left_out, v->listing.left_out, sizeof left_out) != 0;
	memcpy(v->listing.left_out, left_out, sizeof left_out);
	pthread_mutex_unlock(&v->lock);
	if (differs)
		left_out_log(v, left_out);
	return r == 0 ? 0 : error_set(err, -r, "no memory for the names of %s", v->store.label);
}

/* Ask and take over.  No lock held. */
static int listing_run(struct volume *v, double seconds, struct error *err)
{
	struct call call = call_in(seconds, &v->listing.cancel);
	struct listing l = { 0 };
	int64_t began = volume_call_begin(v);
	int r = store_list(&v->store, &call, "", &l, err);

	volume_call_end(v, began, r, err);
	log_area("cache", "%s: listed %zu entries in %.1f ms%s%s", v->store.label, l.count, (double)(call_now() - began) / 1e6,
		 r == 0 ? "" : ": ", r == 0 ? "" : error_symbol(-r));
	pthread_mutex_lock(&v->lock);
	v->counts.lists++;
	pthread_mutex_unlock(&v->lock);
	if (r == 0)
		r = listing_take(v, &l, err);
	listing_free(&l);
	volume_check(v);
	return r;
}

static bool code_refuses(int code)
{
	return code == EACCES || code == EKEYREJECTED;
}

/* The state after a try; says what changed.  No lock held. */
static void listing_finish(struct volume *v, int result, struct error *err)
{
	struct listing_state *l = &v->listing;

	pthread_mutex_lock(&v->lock);
	int before = l->failure.code;
	l->running = false;
	l->ended = call_now();
	l->failure = result == 0 ? (struct error)ERROR_INIT : *err;
	l->refused = result != 0 && code_refuses(err->code);
	if (result == 0) {
		l->good = l->began;
		l->ever = true;
	}
	if (l->refused)
		names_forget(v, l->began);
	const char *names = l->refused || v->tree.stored == 0 ? "" : "; the names known so far stay";
	bool again = l->again && !v->stopping;
	l->again = false;
	if (again)
		listing_start(v);
	pthread_mutex_unlock(&v->lock);
	if (result != 0 && before != err->code && err->code != ECANCELED)
		log_line(LOG_LEVEL_WARNING, "list %s: %s: %s%s", v->store.label, error_symbol(err->code), err->text, names);
	else if (result == 0 && before != 0)
		log_line(LOG_LEVEL_INFO, "list %s: answers again", v->store.label);
	if (!again)
		request_wake_waiting(v, true);
}

static void listing_job(struct pool_job *job)
{
	struct volume *v = (struct volume *)((char *)job - offsetof(struct volume, listing.job));
	struct error err = ERROR_INIT;
	int r = listing_run(v, v->options->timeout * LISTING_CALLS, &err);

	listing_finish(v, r, &err);
}

void listing_start(struct volume *v)
{
	struct listing_state *l = &v->listing;

	if (l->running || v->stopping)
		return;
	l->running = true;
	l->began = call_now();
	l->job.run = listing_job;
	if (!pool_submit(v->lister, &l->job)) {
		l->running = false;
		l->ended = call_now();
		error_set(&l->failure, ENOMEM, "no thread could be started to list the names");
	}
}

int volume_list_first(struct volume *v, struct error *err)
{
	v->listing.began = call_now();
	int r = listing_run(v, v->options->timeout * LISTING_CALLS, err);

	listing_finish(v, r, err);
	return code_refuses(-r) ? 0 : r;
}

/* --- where listing is refused ------------------------------------------------------------------------------------- */

bool name_known(const struct volume *v, const struct node *n)
{
	int64_t since = n->asked > n->touched ? n->asked : n->touched;

	return since != 0 && (double)(call_now() - since) / SECOND_NS < v->options->ttl;
}

static void name_forget(struct tree *t, struct node *n, void *arg)
{
	const int64_t *before = arg;

	if (n->asked == 0 || n->asked >= *before)
		return;
	n->asked = 0;
	node_settle(t, n);
}

void names_forget(struct volume *v, int64_t before)
{
	tree_each(&v->tree, name_forget, &before);
}

/* --- how old are they? -------------------------------------------------------------------------------------------- */

double listing_age(const struct volume *v)
{
	return v->listing.ever ? (double)(call_now() - v->listing.good) / SECOND_NS : -1;
}

static bool listing_young(const struct volume *v)
{
	return v->listing.ever && listing_age(v) < v->options->ttl;
}

bool listing_stale(const struct volume *v)
{
	const struct listing_state *l = &v->listing;

	return l->failure.code != 0 ||
	       (l->running && !listing_young(v) && call_now() - l->began > LISTING_GRACE);
}

enum names_state volume_names(struct volume *v)
{
	struct listing_state *l = &v->listing;
	int64_t now = call_now(), pause = SECOND_NS;

	v->used = now;
	if (listing_young(v) && l->failure.code == 0)
		return NAMES_GOOD;
	/* After a failure not at once again: somebody may be looking in a loop. */
	if (!l->running && (l->failure.code == 0 || now - l->ended >= pause))
		listing_start(v);
	return l->running && now - l->began < LISTING_GRACE ? NAMES_AWAITED : NAMES_OLD;
}
