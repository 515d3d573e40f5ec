/* SPDX-License-Identifier: Apache-2.0
 *
 * The life of an open file.  When is a FLUSH the close that stores a key?  Not the one that a shell's redirection sends
 * before any data, and not the one of a forked child that merely had a copy of the descriptor. */
#include "fs/mount/handle.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "fs/mount/commit.h"
#include "fs/mount/held.h"
#include "fs/mount/openers.h"

static struct {                       /* one mount to a process */
	pthread_mutex_t lock;
	struct handle *first;         /* guarded by lock */
} opened = { PTHREAD_MUTEX_INITIALIZER, NULL };

static void handle_enlist(struct handle *h)
{
	pthread_mutex_lock(&opened.lock);
	h->next = opened.first;
	if (h->next != NULL)
		h->next->prev = h;
	opened.first = h;
	pthread_mutex_unlock(&opened.lock);
}

static void handle_delist(struct handle *h)
{
	pthread_mutex_lock(&opened.lock);
	*(h->prev != NULL ? &h->prev->next : &opened.first) = h->next;
	if (h->next != NULL)
		h->next->prev = h->prev;
	pthread_mutex_unlock(&opened.lock);
}

struct handle *handle_new(struct node *n)
{
	struct handle *h = calloc(1, sizeof *h);

	if (h == NULL)
		return NULL;
	h->node = n;
	if (!n->fixed)
		n->opens++;
	handle_enlist(h);
	return h;
}

void handle_free(struct handle *h)
{
	if (h == NULL)
		return;
	handle_delist(h);
	struct volume *v = h->node->volume;
	if (v != NULL) {
		pthread_mutex_lock(&v->lock);
		snapshot_unref(h->snapshot);
		if (!h->node->fixed)
			h->node->opens--;
		node_settle(&v->tree, h->node);
		pthread_mutex_unlock(&v->lock);
	}
	secret_wipe(&h->value);
	free(h);
}

void handle_free_all(void)
{
	while (opened.first != NULL)
		handle_free(opened.first);
}

void handle_stage(struct handle *h, struct staged *s, int flags)
{
	h->staged = s;
	h->writes = (flags & O_ACCMODE) != O_RDONLY || (flags & O_TRUNC);
	h->append = (flags & O_APPEND) != 0;
	s->handles++;
	s->closed = 0;
}

struct handle *handle_of(const struct fuse_file_info *fi)
{
	return (struct handle *)(uintptr_t)fi->fh;
}

/* --- a close without data ---------------------------------------------------------------------------------------- */

static int empty_work(struct request *r, struct error *err)
{
	r->flags = openers_find(r->pid, r->entry.changed != 0 ? (uint64_t)r->entry.changed : 0);
	return 0;
}

/* Nobody has it open any more, and there is nothing to store: the writer must hear of it.  Lock held. */
static bool empty_is_final(struct request *r)
{
	struct staged *s = r->staged;

	if (r->flags == OPENERS_CALLER)
		s->opener = r->owner;
	return r->flags == OPENERS_NONE && s->handles == 1 && s->node != NULL && s->size == 0;
}

static void empty_finish(struct request *r, int result, struct error *err)
{
	struct volume *v = r->volume;
	struct staged *s = r->staged;
	struct held *held = NULL;

	pthread_mutex_lock(&v->lock);
	bool final = result == 0 && empty_is_final(r), existed = s->exists;
	if (final) {
		held = s->held;
		s->held = NULL;
		staged_part(s, EINVAL);
	}
	pthread_mutex_unlock(&v->lock);
	if (final) {
		held_restore_now(v, held);
		result = error_set(err, EINVAL, "the file was closed without data: %s",
		                   existed || held != NULL ? "the key stays as it was" : "nothing was stored");
		volume_log(v, existed ? "replace" : "create", r->name, r->uid, r->pid, result, err->text);
	}
	request_answer(r, result);
	staged_unref(s);
}

static void flush_empty(fuse_req_t req, struct handle *h, uint64_t owner)
{
	struct volume *v = h->node->volume;
	struct staged *s = h->staged;

	pthread_mutex_lock(&v->lock);
	struct request *r = s->node != NULL ? request_new(req, v, s->node->name, empty_work, empty_finish) : NULL;
	bool parted = s->node == NULL;
	if (r != NULL) {
		staged_ref(s);
		r->staged = s;
		r->owner = owner;
		r->entry.changed = (int64_t)s->node->ino;
		r->change = true;
	}
	pthread_mutex_unlock(&v->lock);
	if (r != NULL)
		request_start(r);
	else if (parted)
		fuse_reply_err(req, 0);
}

/* --- close, fsync ------------------------------------------------------------------------------------------------ */

enum flush { FLUSH_NOTHING, FLUSH_REFUSED, FLUSH_EMPTY, FLUSH_COMMIT };

/* Lock held. */
static enum flush flush_kind(struct staged *s, uint64_t owner)
{
	if (s->refused != 0)
		return FLUSH_REFUSED;
	if (s->node == NULL || s->node->kind != NODE_KEY)
		return FLUSH_NOTHING;
	if (s->size == 0 && (!s->exists || staged_dirty(s)))
		return FLUSH_EMPTY;
	if (!staged_dirty(s))
		return FLUSH_NOTHING;
	if (s->opener != 0 ? owner != s->opener : s->writer != 0 && owner != s->writer)
		return FLUSH_NOTHING;
	s->opener = 0;
	return FLUSH_COMMIT;
}

void handle_flush(fuse_req_t req, struct handle *h, uint64_t owner)
{
	struct staged *s = h->staged;

	if (s == NULL || !h->writes) {
		fuse_reply_err(req, 0);
		return;
	}
	pthread_mutex_lock(&s->volume->lock);
	enum flush kind = flush_kind(s, owner);
	int refused = s->refused;
	pthread_mutex_unlock(&s->volume->lock);
	if (kind == FLUSH_COMMIT)
		commit_start(req, s, false);
	else if (kind == FLUSH_EMPTY)
		flush_empty(req, h, owner);
	else
		fuse_reply_err(req, refused);
}

void handle_fsync(fuse_req_t req, struct handle *h)
{
	struct staged *s = h->staged;

	if (s == NULL || !h->writes) {
		fuse_reply_err(req, 0);
		return;
	}
	pthread_mutex_lock(&s->volume->lock);
	int refused = s->refused;
	bool commit = refused == 0 && s->node != NULL && s->node->kind == NODE_KEY && staged_dirty(s) && s->data;
	pthread_mutex_unlock(&s->volume->lock);
	if (commit)
		commit_start(req, s, true);
	else
		fuse_reply_err(req, refused);
}

/* --- the last close ---------------------------------------------------------------------------------------------- */

enum last { LAST_NOTHING, LAST_COMMIT, LAST_EMPTY };

/* What remains to be done once nobody has the file open.  Lock held. */
static enum last release_kind(struct staged *s)
{
	if (s->handles > 0 || s->node == NULL)
		return LAST_NOTHING;
	s->closed = call_now();
	if (s->node->kind != NODE_KEY || s->committing)
		return LAST_NOTHING;
	if (s->size == 0 && (!s->exists || staged_dirty(s)))
		return LAST_EMPTY;
	if (staged_dirty(s))
		return LAST_COMMIT;
	staged_part(s, 0);
	return LAST_NOTHING;
}

/* Nobody can hear it any more, except in the log.  Lock held on entry, and released. */
static void release_empty(struct volume *v, struct staged *s)
{
	char *name = strdup(s->node->name);
	bool existed = s->exists;

	staged_part(s, 0);
	pthread_mutex_unlock(&v->lock);
	volume_log(v, existed ? "replace" : "create", name != NULL ? name : "?", s->uid, s->pid, -EINVAL,
	           existed ? "the file was closed without data: the key stays as it was" :
	           "the file was closed without data: nothing was stored");
	free(name);
}

void handle_settle(struct volume *v, struct staged *s)
{
	pthread_mutex_lock(&v->lock);
	enum last kind = release_kind(s);
	if (kind == LAST_EMPTY)
		release_empty(v, s);
	else
		pthread_mutex_unlock(&v->lock);
	if (kind == LAST_COMMIT)
		commit_start(NULL, s, false);
}

static void release_staged(struct volume *v, struct staged *s)
{
	pthread_mutex_lock(&v->lock);
	s->handles--;
	pthread_mutex_unlock(&v->lock);
	handle_settle(v, s);
	staged_unref(s);
}

void handle_release(struct handle *h)
{
	struct volume *v = h->node->volume;

	if (h->node->file)
		notifier_pages(v->notifier, (uint64_t)(uintptr_t)h->node);
	if (h->staged != NULL)
		release_staged(v, h->staged);
	handle_free(h);
}
