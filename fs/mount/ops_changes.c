/* SPDX-License-Identifier: Apache-2.0
 *
 * Removing and renaming.  A key never changes its name; what is renamed is a temporary file that becomes a key. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fs/mount/commit.h"
#include "fs/mount/handle.h"
#include "fs/mount/held.h"
#include "fs/mount/ops.h"
#include "fs/mount/request.h"
#include "fs/mount/staged.h"
#include "fs/name.h"


static int value_get(struct volume *v, const struct call *c, const char *name, struct secret *out, struct error *err)
{
	int64_t began = volume_call_begin(v);
	int r = v->store.ops->get(v->store.handle, c, name, out, err);

	volume_call_end(v, began, r, err);
	return r;
}

/* --- unlink ------------------------------------------------------------------------------------------------------ */

/* The value is kept before the key goes.  0, or nothing may be removed. */
static int unlink_hold(struct request *r, struct error *err)
{
	if (r->value.len == 0)
		return 0;
	r->held = held_new(r->volume, r->name, r->uid, r->pid);
	if (r->held == NULL)
		return error_set(err, ENOMEM, "no memory to keep its value for a moment: nothing was removed");
	return held_fill(r->held, &r->call, &r->value, err);
}

/* The value is read first, for held.c.  One that cannot be read because it is damaged may be removed all the same. */
static int unlink_work(struct request *r, struct error *err)
{
	struct volume *v = r->volume;
	int result = held_check(v, r->name, err);

	if (result != 0)
		return result;
	result = v->caps & BACKEND_READ ? value_get(v, &r->call, r->name, &r->value, err) : 0;

	if (result == -EBADMSG || result == -EFBIG || result == -EACCES)
		result = 0;
	if (result == 0)
		result = unlink_hold(r, err);
	if (result != 0)
		return result;
	int64_t began = volume_call_begin(v);
	result = v->store.ops->remove(v->store.handle, &r->call, r->name, err);
	volume_call_end(v, began, result, err);
	return result;
}

/* The name is free.  A node without anything behind it stays, so that an older listing does not bring it back. */
static void node_removed(struct volume *v, const char *name)
{
	struct node *n = tree_find(&v->tree, name, false);

	volume_names_changed(v);
	if (n != NULL && staged_live(n->staged)) {
		tree_stored(&v->tree, n, false);
		n->touched = call_now();
		return;
	}
	if (n != NULL) {
		tree_unlink(&v->tree, n);
		node_settle(&v->tree, n);
	}
	n = tree_add(&v->tree, v, NODE_KEY, name);
	if (n != NULL)
		n->touched = call_now();
}

static void unlink_finish(struct request *r, int result, struct error *err)
{
	struct volume *v = r->volume;

	pthread_mutex_lock(&v->lock);
	if (result == 0 || result == -ENOENT)
		node_removed(v, r->name);
	v->counts.removes += result == 0;
	pthread_mutex_unlock(&v->lock);
	if (result == 0 && r->held != NULL)
		held_keep(v, r->held);
	else
		held_free(r->held);
	volume_log(v, "remove", r->name, r->uid, r->pid, result, result == 0 ? "removed" : err->text);
	if (result == 0)
		request_name_changed(r, r->name);
	request_answer(r, result);
}

/* What is only staged goes without a trace: the store never had it.  Lock held on entry, and released. */
static void unlink_staged(fuse_req_t req, struct staged *s)
{
	struct volume *v = s->volume;

	staged_ref(s);
	struct held *held = s->held;
	s->held = NULL;
	staged_part(s, 0);
	pthread_mutex_unlock(&v->lock);
	held_restore(v, held);
	staged_wipe(s);
	staged_unref(s);
	fuse_reply_err(req, 0);
}

static void unlink_stored(fuse_req_t req, struct volume *v, const char *name)
{
	const char *reason;
	int code = ops_writable(v, &reason);

	if (code == 0 && !v->options->remove) {
		code = EPERM;
		reason = "removing keys needs -o delete";
	}
	if (code != 0) {
		ops_refuse(req, v, "remove", name, code, reason);
		return;
	}
	struct request *r = request_new(req, v, name, unlink_work, unlink_finish);
	if (r == NULL)
		return;
	r->change = true;
	request_start(r);
}

void ops_unlink(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct node *dir = ops_node(ops_session(req), parent);
	struct volume *v = dir->volume;

	if (dir->kind != NODE_STORE || strcmp(name, CONTROL_NAME) == 0) {
		fuse_reply_err(req, EPERM);
		return;
	}
	pthread_mutex_lock(&v->lock);
	struct node *n = tree_find(&v->tree, name, false);
	if (n != NULL && !n->stored && staged_live(n->staged) && !n->staged->committing) {
		unlink_staged(req, n->staged);
		return;
	}
	bool known = n != NULL && (n->stored || staged_live(n->staged));
	bool busy = known && n->kind == NODE_TEMPORARY;       /* it is being renamed */
	pthread_mutex_unlock(&v->lock);
	if (busy)
		fuse_reply_err(req, EBUSY);
	else if (known)
		unlink_stored(req, v, name);
	else
		fuse_reply_err(req, ENOENT);
}

/* --- rename ------------------------------------------------------------------------------------------------------ */

/* Create, or replace what is there now if that is allowed. */
static int rename_work(struct request *r, struct error *err)
{
	struct volume *v = r->volume;
	SECRET(value);
	int result = staged_copy(r->staged, &value, &r->owner);

	if (result != 0)
		return error_set(err, -result, "no locked memory to store '%s' from", r->new_name);
	result = commit_check(v, r->new_name, &value, err);
	if (result == 0 && r->found)
		result = value_get(v, &r->call, r->new_name, &r->value, err);
	if (result == -ENOENT)
		r->found = false;
	if (result == 0 || result == -ENOENT)
		result = commit_value(v, &r->call, r->new_name, r->found, &r->value, &value, err);
	r->entry.size = (int64_t)value.len;
	if (result == 0) {
		secret_move(&r->value, &value);
	} else {
		held_restore_now(v, r->held);
		r->held = NULL;
	}
	return result;
}

/* The temporary file is the key now.  Who has it open goes on writing the key: what he wrote since it was read for the
 * store is still to be stored.  Lock held. */
static void node_renamed(struct volume *v, struct request *r)
{
	struct node *n = r->node, *old = tree_find(&v->tree, r->new_name, false);

	if (old != NULL) {
		if (old->staged != NULL)
			staged_part(old->staged, ESTALE);
		if (old->linked)
			tree_unlink(&v->tree, old);
		node_settle(&v->tree, old);
	}
	if (n->linked) {
		tree_rename(&v->tree, n, NODE_KEY, r->spare_name);
		r->spare_name = NULL;
	}
	commit_stored(v, n, r->new_name, r->entry.size);
	volume_names_changed(v);
	if (n->staged == r->staged) {
		r->staged->exists = true;
		r->staged->committed = r->owner;
		secret_move(&r->staged->old, &r->value);
	}
}

static void rename_finish(struct request *r, int result, struct error *err)
{
	struct volume *v = r->volume;
	char text[64];

	/* Not begun at all, or done. */
	if (result != 0)
		held_restore(v, r->held);
	else
		held_free(r->held);
	pthread_mutex_lock(&v->lock);
	r->staged->committing = false;
	if (result == 0)
		node_renamed(v, r);
	if (result == -EEXIST && !r->found)
		listing_start(v);
	r->node->opens--;
	node_settle(&v->tree, r->node);
	pthread_mutex_unlock(&v->lock);
	snprintf(text, sizeof text, "stored, %lld bytes", (long long)r->entry.size);
	volume_log(v, r->found ? "replace" : "create", r->new_name, r->uid, r->pid, result, result == 0 ? text : err->text);
	if (result == 0) {
		request_name_changed(r, r->name);
		request_name_changed(r, r->new_name);
	}
	request_answer(r, result);
	handle_settle(v, r->staged);          /* written and closed meanwhile */
	staged_unref(r->staged);
}

/* May this temporary file take that name?  0, or a code with its sentence.  Lock held. */
static int rename_check(struct volume *v, const struct node *target, const char *new_name, unsigned flags,
                        struct error *err)
{
	const char *reason;
	int code = ops_writable(v, &reason);

	if (code != 0)
		return error_set(err, code, "%s", reason);
	int r = name_check_store(new_name, v->store.ops, err);
	if (r == 0 && !volume_shows(v, new_name))
		r = error_set(err, EINVAL, "this name is left out by include= and exclude=");
	if (r != 0 || target == NULL)
		return r;
	if (staged_undecided(target))
		return error_set(err, EBUSY, "the key is being written by somebody else");
	if (!target->stored)
		return 0;
	if (flags & RENAME_NOREPLACE)
		return error_set(err, EEXIST, "the key exists");
	if (!v->options->overwrite)
		return error_set(err, EPERM, "the key exists, and replacing keys needs -o overwrite");
	return 0;
}

/* held: the key of that name that the same process removed just before; NULL. */
static void rename_commit(fuse_req_t req, struct volume *v, struct node *n, const char *new_name, bool exists,
                          struct held *held)
{
	char *copy = strdup(new_name), *spare = strdup(new_name);
	struct request *r = copy != NULL && spare != NULL ? request_new(req, v, n->name, rename_work, rename_finish) : NULL;

	if (r == NULL) {
		pthread_mutex_unlock(&v->lock);
		held_restore(v, held);
		if (copy == NULL || spare == NULL)
			fuse_reply_err(req, ENOMEM);
		free(copy);
		free(spare);
		return;
	}
	r->new_name = copy;
	r->spare_name = spare;
	r->held = held;
	r->node = n;
	n->opens++;
	r->staged = n->staged;
	r->staged->committing = true;
	staged_ref(r->staged);
	r->found = exists;
	r->change = true;
	pthread_mutex_unlock(&v->lock);
	request_start(r);
}

/* From one temporary name to another: nobody outside knows either.  Lock held on entry, and released. */
static void rename_temporary(fuse_req_t req, struct volume *v, struct node *n, const char *new_name, unsigned flags)
{
	struct node *target = tree_find(&v->tree, new_name, false);
	struct staged *old = NULL;
	char *copy = strdup(new_name);
	int code = 0;

	if (target != NULL && (flags & RENAME_NOREPLACE)) {
		code = EEXIST;
	} else if (target != NULL && target->staged != NULL && target->staged->committing) {
		code = EBUSY;                 /* it is on its way to a name of its own */
	} else if (copy == NULL) {
		code = ENOMEM;
	} else if (target != NULL && (old = target->staged) != NULL) {
		staged_ref(old);
		staged_part(old, 0);
	}
	if (code == 0)
		tree_rename(&v->tree, n, NODE_TEMPORARY, copy);
	else
		free(copy);
	pthread_mutex_unlock(&v->lock);
	if (old != NULL) {
		staged_wipe(old);
		staged_unref(old);
	}
	fuse_reply_err(req, code);
}

/* Lock held on entry, and released. */
static void rename_node(fuse_req_t req, struct volume *v, struct node *n, const char *new_name, unsigned flags)
{
	struct error err = ERROR_INIT;
	struct node *target = tree_find(&v->tree, new_name, false);
	int code = 0;

	if (n == NULL || (!n->stored && !staged_live(n->staged)))
		code = ENOENT;
	else if (n->kind != NODE_TEMPORARY)
		code = n == target ? -1 : EXDEV;       /* so that mv copies; key to the same key: nothing to do */
	else if (!staged_live(n->staged) || n->staged->committing)
		code = EBUSY;
	if (code != 0) {
		pthread_mutex_unlock(&v->lock);
		fuse_reply_err(req, code > 0 ? code : 0);
		return;
	}
	if (new_name[0] == '.') {
		rename_temporary(req, v, n, new_name, flags);
		return;
	}
	int r = rename_check(v, target, new_name, flags, &err);
	bool exists = target != NULL && target->stored;
	struct held *held = r == 0 && !exists ? held_take(v, new_name, fuse_req_ctx(req)->uid, fuse_req_ctx(req)->pid) : NULL;
	if (held != NULL && !v->options->overwrite)
		r = error_set(&err, EPERM, HELD_REASON);
	if (r == 0) {
		rename_commit(req, v, n, new_name, exists, held);
		return;
	}
	pthread_mutex_unlock(&v->lock);
	held_restore(v, held);
	ops_refuse(req, v, "rename", new_name, -r, err.text);
}

void ops_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t new_parent, const char *new_name,
                unsigned flags)
{
	struct session *s = ops_session(req);
	struct node *from = ops_node(s, parent), *to = ops_node(s, new_parent);

	if (flags & ~(unsigned)RENAME_NOREPLACE)
		fuse_reply_err(req, EINVAL);
	else if (from->kind != NODE_STORE || to->kind != NODE_STORE || strcmp(name, CONTROL_NAME) == 0 ||
	         strcmp(new_name, CONTROL_NAME) == 0)
		fuse_reply_err(req, EPERM);
	else if (from != to)
		fuse_reply_err(req, EXDEV);
	else {
		pthread_mutex_lock(&from->volume->lock);
		rename_node(req, from->volume, tree_find(&from->volume->tree, name, false), new_name, flags);
	}
}
