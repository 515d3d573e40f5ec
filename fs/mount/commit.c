/* SPDX-License-Identifier: Apache-2.0
 *
 * One commit of a file at a time, in the pool.  Whoever closes the file waits for it unless a signal takes him away;
 * then it settles without him. */
#include "fs/mount/commit.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/key.h"
#include "fs/mount/handle.h"
#include "fs/mount/held.h"

int commit_check(const struct volume *v, const char *name, const struct secret *value, struct error *err)
{
	struct key_info info;
	struct error why = ERROR_INIT;
	size_t limit = staged_limit(v);

	if (value->len > limit)
		return error_set(err, EFBIG, "%zu bytes are more than %s takes (%zu)", value->len, v->store.label, limit);
	if (v->options->raw && value->len > 0)
		return 0;
	enum key_kind kind = key_parse(value, &info, &why);
	if (kind == KEY_VALID)
		return 0;
	if (kind == KEY_UNCHECKED)
		return error_set(err, ENOMEM, "%s; nothing was stored", why.text);
	return error_set(err, EINVAL, "what was written is not a key that a KES server can load: %s; nothing was stored",
	                 why.text);
}

static int store_create(struct volume *v, const struct call *c, const char *name, const struct secret *value,
                        struct error *err)
{
	int64_t began = volume_call_begin(v);
	int r = v->store.ops->create(v->store.handle, c, name, value, err);

	volume_call_end(v, began, r, err);
	return r;
}

static int store_replace(struct volume *v, const struct call *c, const char *name, const struct secret *old,
                         const struct secret *value, struct error *err)
{
	int64_t began = volume_call_begin(v);
	int r = v->store.ops->replace(v->store.handle, c, name, old, value, err);

	volume_call_end(v, began, r, err);
	return r;
}

int commit_value(struct volume *v, const struct call *c, const char *name, bool exists, struct secret *old,
                 const struct secret *value, struct error *err)
{
	struct held *h = NULL;
	int r;

	if (exists && secret_equal(old, value))
		return 0;
	r = call_check(c, err, name);
	if (r != 0)
		return r;
	if (exists && (r = held_check(v, name, err)) != 0)
		return r;
	if (exists && (h = held_new(v, name, 0, 0)) == NULL)
		return error_set(err, ENOMEM, "no memory to replace '%s'", name);
	r = exists ? store_replace(v, c, name, old, value, err) : store_create(v, c, name, value, err);
	pthread_mutex_lock(&v->lock);
	v->counts.creates += r == 0 && !exists;
	v->counts.replaces += r == 0 && exists;
	pthread_mutex_unlock(&v->lock);
	/* Neither the new nor the old value is there: we still have the old one.  A copy might find no locked memory. */
	if (r == -ENOTRECOVERABLE && h != NULL)
		held_restore_value(v, h, old);
	else if (r == -EINPROGRESS && h != NULL && !(v->caps & BACKEND_REPLACE))
		held_doubt(v, h, old);
	else
		held_free(h);
	return r;
}

/* --- one commit -------------------------------------------------------------------------------------------------- */

/* What is to be committed, as it is now; 1: nothing any more. */
static int commit_take(struct request *r, bool *ret_exists, struct error *err)
{
	struct staged *s = r->staged;
	int result = 0;

	pthread_mutex_lock(&r->volume->lock);
	if (s->refused != 0)
		result = error_set(err, s->refused, "an earlier close of the same file was refused already");
	else if (s->node == NULL)
		result = 1;
	*ret_exists = s->exists;
	pthread_mutex_unlock(&r->volume->lock);
	return result;
}

static struct held *staged_take_held(struct staged *s)
{
	pthread_mutex_lock(&s->volume->lock);
	struct held *h = s->held;
	s->held = NULL;
	pthread_mutex_unlock(&s->volume->lock);
	return h;
}

/* An fsync that was interrupted before anything was sent: programs try again, and the bytes are still there. */
static bool commit_again(const struct request *r, int result)
{
	return r->open && result == -ECANCELED;
}

static int commit_work(struct request *r, struct error *err)
{
	struct staged *s = r->staged;
	bool exists;
	int result = commit_take(r, &exists, err);

	/* The bytes stay: the end of the mount names them as dropped. */
	if (result == 0 && r->refused)
		return error_set(err, EIO, "the mount is ending");
	if (result != 0)
		return result > 0 ? 0 : result;
	r->found = exists;
	result = staged_copy(s, &r->value, &r->owner);
	if (result != 0)
		error_set(err, -result, "no locked memory to store '%s' from", r->name);
	if (result == 0)
		result = commit_check(r->volume, r->name, &r->value, err);
	if (result == 0)
		result = commit_value(r->volume, &r->call, r->name, exists, &s->old, &r->value, err);
	r->entry.size = (int64_t)r->value.len;
	r->stored = result == 0;
	if (result == 0)
		secret_move(&s->old, &r->value);
	else if (!commit_again(r, result))
		held_restore_now(r->volume, staged_take_held(s));
	return result;
}

void commit_stored(struct volume *v, struct node *n, const char *name, int64_t size)
{
	/* A file that lost its name meanwhile, or failed, is not what the name stands for. */
	if (!n->linked)
		n = tree_find(&v->tree, name, false);
	if (n == NULL && (n = tree_add(&v->tree, v, NODE_KEY, name)) == NULL)
		return;
	if (!n->stored)
		volume_names_changed(v);
	tree_stored(&v->tree, n, true);
	n->touched = call_now();
	n->changed = -1;
	n->created = time(NULL);
	n->size = size;
	n->size_known = true;
	if (n->local != NULL)
		n->local->changed = -1;
}

/* Lock held.  What the store said of the name, though not to our liking. */
static void commit_refused(struct volume *v, struct staged *s, int code)
{
	struct node *n = s->node;

	if (n == NULL)
		return;
	if (code == EEXIST && !n->stored) {
		volume_names_changed(v);
		tree_stored(&v->tree, n, true);
		n->touched = call_now();
	}
	n->size_known = false;
	/* EINTR once is enough: whoever hears it tries again, for ever if he hears nothing else. */
	staged_part(s, code == ECANCELED ? EIO : error_errno(code));
}

static void commit_log(struct request *r, int result, const struct error *err)
{
	char text[64];

	if (r->refused || (result == 0 && !r->stored))
		return;
	snprintf(text, sizeof text, "stored, %" PRId64 " bytes", r->entry.size);
	volume_log(r->volume, r->found ? "replace" : "create", r->name, r->uid, r->pid, result,
	           result == 0 ? text : err->text);
}

/* The next commit of the same file, if one waits.  Lock held. */
static struct request *commit_next(struct staged *s)
{
	struct request *next = s->commits;

	if (next != NULL && (s->commits = next->next_waiting) == NULL)
		s->commits_end = &s->commits;
	s->committing = next != NULL;
	return next;
}

static void commit_finish(struct request *r, int result, struct error *err)
{
	struct volume *v = r->volume;
	struct staged *s = r->staged;
	uint64_t ino = 0;

	pthread_mutex_lock(&v->lock);
	if (r->stored && s->node != NULL) {
		s->committed = r->owner;
		s->exists = true;
		commit_stored(v, s->node, r->name, r->entry.size);
		ino = s->node->lookups > 0 ? (uint64_t)(uintptr_t)s->node : 0;
	} else if (result != 0 && !r->refused && !commit_again(r, result)) {
		commit_refused(v, s, -result);
	}
	struct held *held = result == 0 ? s->held : NULL;
	if (result == 0)
		s->held = NULL;
	struct request *next = commit_next(s);
	pthread_mutex_unlock(&v->lock);

	held_free(held);
	commit_log(r, result, err);
	if (result != 0 && !r->refused && !commit_again(r, result))
		staged_wipe(s);
	if (ino != 0)
		fuse_lowlevel_notify_inval_inode(v->fuse, ino, -1, 0);
	request_answer(r, result);
	if (next != NULL)
		request_resume(next);
	else if (!r->refused)
		handle_settle(v, s);          /* written and closed meanwhile */
	staged_unref(s);
}

/* Its turn, or a place behind the commit of the same file that is under way. */
static void commit_enqueue(struct request *r)
{
	struct staged *s = r->staged;

	pthread_mutex_lock(&s->volume->lock);
	r->refused = s->volume->stopping;
	bool now = !s->committing;
	if (now) {
		s->committing = true;
	} else {
		*s->commits_end = r;
		s->commits_end = &r->next_waiting;
	}
	pthread_mutex_unlock(&s->volume->lock);
	if (now)
		request_resume(r);
}

/* No memory, which whoever asked was told: then nothing may be stored later either.  Lock held on entry, and released. */
static void commit_impossible(struct volume *v, struct staged *s)
{
	struct held *held = s->held;

	s->held = NULL;
	if (s->node != NULL)
		volume_log(v, s->exists ? "replace" : "create", s->node->name, s->uid, s->pid, -ENOMEM, "no memory to store it");
	staged_ref(s);
	staged_part(s, ENOMEM);
	pthread_mutex_unlock(&v->lock);
	held_restore(v, held);
	staged_wipe(s);
	staged_unref(s);
}

void commit_start(fuse_req_t req, struct staged *s, bool open)
{
	struct volume *v = s->volume;

	pthread_mutex_lock(&v->lock);
	struct request *r = request_new(req, v, s->node != NULL ? s->node->name : "", commit_work, commit_finish);
	if (r == NULL) {
		commit_impossible(v, s);
		return;
	}
	r->staged = s;
	r->change = true;
	r->open = open;
	if (req == NULL) {
		r->uid = s->uid;
		r->pid = s->pid;
	}
	staged_ref(s);
	pthread_mutex_unlock(&v->lock);
	request_queue(r);
	commit_enqueue(r);
}
