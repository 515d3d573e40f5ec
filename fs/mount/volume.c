/* SPDX-License-Identifier: Apache-2.0
 *
 * Opening and closing a store for a mount, and what every part of the mount asks of it. */
#include "fs/mount/volume.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "fs/mount/held.h"
#include "fs/mount/request.h"
#include "fs/mount/staged.h"
#include "fs/name.h"

static void warn(const char *sentence, void *arg)
{
	log_line(LOG_LEVEL_WARNING, "%s", sentence);
}

/* A store that cannot say who it is gets an identity from its label: two mounts of it may then not be recognized. */
static int identity_ask(struct volume *v, struct error *err)
{
	struct call call = volume_call(v, NULL);
	int r = v->store.ops->identity != NULL ? v->store.ops->identity(v->store.handle, &call, &v->identity, err) : -ENOENT;

	if (r != 0) {
		log_line(LOG_LEVEL_DEBUG, "%s: no identity", v->store.label);
		v->identity = strdup(v->store.label);
	}
	return v->identity != NULL ? 0 : error_set(err, ENOMEM, "no memory");
}

static int volume_start(struct volume *v, struct error *err)
{
	struct call call = volume_call(v, NULL);
	int64_t began = volume_call_begin(v);
	int r = v->store.ops->status(v->store.handle, &call, err);

	volume_call_end(v, began, r, err);
	if (r != 0)
		return r;
	v->caps = store_caps(&v->store);
	v->local = (v->caps & BACKEND_LOCAL) != 0;
	r = identity_ask(v, err);
	if (r != 0)
		return r;
	control_init(&v->control, v);
	v->dir = (struct node){ .volume = v, .kind = NODE_STORE, .fixed = true, .created = -1, .changed = -1,
				.ino = node_number(v, NODE_STORE, "") };
	return volume_list_first(v, err);
}

static struct volume *volume_new(const struct mount_options *o, const struct mount_source *source)
{
	struct volume *v = calloc(1, sizeof *v);

	if (v == NULL)
		return NULL;
	v->options = o;
	v->read_only = source->read_only;
	v->latency = -1;
	pthread_mutex_init(&v->lock, NULL);
	pthread_cond_init(&v->quiet, NULL);
	cancel_init(&v->listing.cancel);
	clock_gettime(CLOCK_REALTIME, &v->changed);
	v->pool = pool_new(o->requests);
	v->lister = pool_new(1);
	if (o->several && source->name != NULL)
		v->name = strdup(source->name);
	if (tree_init(&v->tree) != 0 || v->pool == NULL || v->lister == NULL || (o->several && v->name == NULL)) {
		volume_close(v);
		return NULL;
	}
	return v;
}

int volume_open(const struct mount_options *o, const struct mount_source *source, struct volume **ret, struct error *err)
{
	struct backend_options options = { .in_flight = o->requests, .write = !source->read_only,
	                                   .recovery_days = o->recovery_days };
	struct volume *v = volume_new(o, source);

	if (v == NULL)
		return error_set(err, ENOMEM, "no memory for the mount of %s", source->where);
	int r = store_open(source->where, &options, warn, NULL, &v->store, err);
	if (r == 0)
		r = volume_start(v, err);
	if (r != 0) {
		volume_close(v);
		return r;
	}
	*ret = v;
	return 0;
}

void volume_close(struct volume *v)
{
	if (v == NULL)
		return;
	cancel_request(&v->listing.cancel);
	pool_free(v->lister);
	pool_free(v->pool);
	held_free_all(v);
	staged_free_all(v);
	snapshot_unref(v->snapshot);
	tree_clear(&v->tree);
	store_close(&v->store);
	cancel_destroy(&v->listing.cancel);
	pthread_cond_destroy(&v->quiet);
	pthread_mutex_destroy(&v->lock);
	free(v->identity);
	free(v->name);
	free(v);
}

struct store *volume_store(struct volume *v)
{
	return &v->store;
}

void volume_refresh(struct volume *v)
{
	pthread_mutex_lock(&v->lock);
	if (v->listing.running)
		v->listing.again = true;
	else
		listing_start(v);
	pthread_mutex_unlock(&v->lock);
}

struct call volume_call(const struct volume *v, struct cancel *cancel)
{
	struct call c = call_in(v->options->timeout, cancel);
	int64_t stop_by = atomic_load(&v->stop_by);

	if (stop_by != 0 && c.deadline > stop_by)
		c.deadline = stop_by;
	return c;
}

int64_t volume_call_begin(struct volume *v)
{
	pthread_mutex_lock(&v->lock);
	if (++v->counts.in_flight > v->counts.in_flight_max)
		v->counts.in_flight_max = v->counts.in_flight;
	pthread_mutex_unlock(&v->lock);
	return call_now();
}

/* Did the store itself fail to answer, whatever it was asked? */
static bool code_unreachable(int code)
{
	return code == EHOSTUNREACH || code == ETIMEDOUT || code == ENOKEY || code == EIO || code == EPROTO;
}

void volume_call_end(struct volume *v, int64_t began, int result, const struct error *err)
{
	pthread_mutex_lock(&v->lock);
	v->counts.in_flight--;
	if (result != 0 && result != -ENOENT && result != -EEXIST && result != -ECANCELED)
		v->counts.failures++;
	if (result != 0 && code_unreachable(-result)) {
		v->trouble = *err;
		v->trouble.code = -result;
	} else if (result != -ECANCELED && result != -ENOMEM) {
		v->trouble = (struct error)ERROR_INIT;
		v->latency = call_now() - began;
	}
	pthread_mutex_unlock(&v->lock);
}

void volume_check(struct volume *v)
{
	struct error err = ERROR_INIT;
	struct call call = volume_call(v, NULL);

	if (!v->local)
		return;
	int r = v->store.ops->status(v->store.handle, &call, &err);
	pthread_mutex_lock(&v->lock);
	int before = v->displaced.code;
	v->displaced = r == 0 ? (struct error)ERROR_INIT : err;
	if (r == 0 && before != 0)
		v->trouble = (struct error)ERROR_INIT;        /* of a write that was refused meanwhile */
	pthread_mutex_unlock(&v->lock);
	if (r != 0 && before == 0)
		log_line(LOG_LEVEL_WARNING, "%s", err.text);
	else if (r == 0 && before != 0)
		log_line(LOG_LEVEL_INFO, "%s: the directory is at its path again", v->store.label);
}

struct seen_entry {
	struct backend_entry entry;
	bool seen, no_key;
};

static bool entry_seen(const struct backend_entry *e, void *arg)
{
	struct seen_entry *s = arg;

	s->seen = true;
	s->no_key = (e->flags & ~(unsigned)ENTRY_SYMLINK) != 0;
	s->entry = *e;
	return true;
}

int volume_stat(struct volume *v, const struct call *c, const char *name, struct backend_entry *ret, struct error *err)
{
	struct seen_entry s = { .seen = false };

	if (!volume_shows(v, name))
		return error_set(err, ENOENT, "'%s' is not shown by this mount", name);
	int r = v->store.ops->stat(v->store.handle, c, name, entry_seen, &s, err);
	if (r != 0)
		return r;
	if (!s.seen || s.no_key)
		return error_set(err, ENOENT, "%s: '%s' is not a key", v->store.label, name);
	*ret = s.entry;
	ret->name = name;
	return 0;
}

/* Another time of change means another value: its size and what utimens said of the old one no longer hold. */
static void node_value_changed(struct node *n, const struct backend_entry *e)
{
	if (n->changed >= 0)
		n->size_known = false;
	n->changed = e->changed;
	if (n->local == NULL || !n->local->mtime_set)
		return;
	if (n->local->changed < 0)
		n->local->changed = e->changed;
	else if (n->local->changed != e->changed)
		n->local->mtime_set = false;
}

struct node *volume_learn(struct volume *v, const struct backend_entry *e)
{
	struct node *n = tree_find(&v->tree, e->name, false);

	if (n == NULL)
		n = tree_add(&v->tree, v, NODE_KEY, e->name);
	if (n == NULL)
		return NULL;
	tree_stored(&v->tree, n, true);
	if (e->created >= 0)
		n->created = e->created;
	if (e->changed >= 0 && e->changed != n->changed)
		node_value_changed(n, e);
	if (e->size >= 0) {
		n->size = e->size;
		n->size_known = true;
	}
	return n;
}

void volume_forget(struct volume *v, struct node *n)
{
	if (n->lookups > 0)
		notifier_entry(v->notifier, volume_dir_ino(v), n->name);
	if (n->staged != NULL)
		tree_stored(&v->tree, n, false);
	else
		tree_unlink(&v->tree, n);
	node_settle(&v->tree, n);
}

uint64_t volume_dir_ino(const struct volume *v)
{
	return v->name == NULL ? FUSE_ROOT_ID : (uint64_t)(uintptr_t)&v->dir;
}

void volume_tick(struct volume *v)
{
	int64_t now = call_now();

	pthread_mutex_lock(&v->lock);
	struct listing_state *l = &v->listing;
	bool in_use = v->used > l->began;
	bool due = listing_age(v) >= v->options->ttl && now - l->ended >= SECOND_NS;
	if (in_use && due && !l->running)
		listing_start(v);
	if (l->refused)
		names_forget(v, now - (int64_t)(v->options->ttl * SECOND_NS));
	bool impatient = l->running && now - l->began >= LISTING_GRACE && v->waiting != NULL;
	pthread_mutex_unlock(&v->lock);
	if (impatient)
		request_wake_waiting(v, false);
	staged_expire(v, now);
	held_tick(v, now);
}

void volume_log(struct volume *v, const char *operation, const char *name, uid_t uid, pid_t pid, int result,
		const char *reason)
{
	const char *before = v->name != NULL ? v->name : "", *slash = v->name != NULL ? "/" : "";

	if (result == 0)
		log_line(LOG_LEVEL_INFO, "%s %s%s%s: %s (uid %u, pid %d)", operation, before, slash, name, reason,
			 (unsigned)uid, (int)pid);
	else
		log_line(LOG_LEVEL_WARNING, "%s %s%s%s: %s: %s (uid %u, pid %d)", operation, before, slash, name,
			 error_symbol(-result), reason, (unsigned)uid, (int)pid);
}

/* Until all changes have settled: each ends by its deadline, so this is only a net. */
static void changes_await(struct volume *v)
{
	struct timespec until;
	int r = 0;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += (time_t)(2 * v->options->timeout) + 1;
	while (v->changing > 0 && r == 0)
		r = pthread_cond_timedwait(&v->quiet, &v->lock, &until);
}

void volume_stop_begin(struct volume *v)
{
	pthread_mutex_lock(&v->lock);
	if (!v->stopping)
		atomic_store(&v->stop_by, volume_call(v, NULL).deadline);
	v->stopping = true;
	cancel_request(&v->listing.cancel);
	for (struct request *r = v->active; r != NULL; r = r->next)
		if (!r->change)
			cancel_request(&r->cancel);
	pthread_mutex_unlock(&v->lock);
}

void volume_stop(struct volume *v)
{
	volume_stop_begin(v);
	pthread_mutex_lock(&v->lock);
	changes_await(v);
	pthread_mutex_unlock(&v->lock);
	request_wake_waiting(v, true);
}
