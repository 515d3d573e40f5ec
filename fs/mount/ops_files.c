/* SPDX-License-Identifier: Apache-2.0
 *
 * Open files.  Opening a key fetches its value once; what is written is staged and committed by the close. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "fs/mount/handle.h"
#include "fs/mount/held.h"
#include "fs/mount/ops.h"
#include "fs/mount/request.h"
#include "fs/mount/staged.h"
#include "fs/name.h"

/* Nothing of a key may stay in the page cache; a file that is only read needs no FLUSH (fuse-facts 7 and 8). */
static void open_flags(struct fuse_file_info *fi, bool reads_only)
{
	fi->direct_io = 1;
	fi->keep_cache = 0;
	fi->noflush = reads_only;
}

static bool wants_write(int flags)
{
	return (flags & O_ACCMODE) != O_RDONLY || (flags & O_TRUNC);
}

static void open_answer(fuse_req_t req, struct handle *h, struct fuse_file_info *fi)
{
	open_flags(fi, !h->writes);
	fi->fh = (uint64_t)(uintptr_t)h;
	if (fuse_reply_open(req, fi) != 0)
		handle_release(h);
}

/* --- what is in the store ---------------------------------------------------------------------------------------- */

/* Where a KES key file is meant, but the mount cannot read: said once here. */
static int value_get(struct volume *v, const struct call *c, const char *name, struct secret *out, struct error *err)
{
	if (!(v->caps & BACKEND_READ))
		return error_set(err, EACCES, "%s never hands out a key", v->store.label);
	int64_t began = volume_call_begin(v);
	int r = call_check(c, err, name);
	if (r == 0)
		r = v->store.ops->get(v->store.handle, c, name, out, err);
	volume_call_end(v, began, r, err);
	return r;
}

static int open_work(struct request *r, struct error *err)
{
	return value_get(r->volume, &r->call, r->name, &r->value, err);
}

/* What the kernel believes of the size is wrong: it must ask again before anybody reads by it. */
static void size_learn(struct volume *v, struct node *n, size_t size)
{
	pthread_mutex_lock(&v->lock);
	bool differs = !n->size_known || n->size != (int64_t)size;
	n->size = (int64_t)size;
	n->size_known = true;
	pthread_mutex_unlock(&v->lock);
	if (differs)
		fuse_lowlevel_notify_inval_inode(v->fuse, (fuse_ino_t)(uintptr_t)n, -1, 0);
}

/* A staging that continues from, or replaces, the value just read.  Lock held. */
static struct staged *staged_begin(struct volume *v, struct request *r)
{
	struct node *n = r->node;

	if (staged_live(n->staged)) {
		staged_ref(n->staged);
		return n->staged;
	}
	struct staged *s = staged_new(v, n, r->uid, r->pid);
	if (s == NULL)
		return NULL;
	s->exists = true;
	secret_move(&s->old, &r->value);
	s->size = s->old.len;
	return s;
}

static int staged_fill(struct staged *s, bool truncate)
{
	pthread_mutex_lock(&s->lock);
	int r = s->bytes.cap == 0 && !s->data ? secret_copy(&s->bytes, &s->old) : 0;
	pthread_mutex_unlock(&s->lock);
	return r == 0 && truncate ? staged_resize(s, 0, 0) : r;
}

/* The handle of an open for writing, its value being in r.  0 or a code of backend.h. */
static int open_stage(struct request *r, struct handle *h)
{
	struct volume *v = r->volume;

	pthread_mutex_lock(&v->lock);
	struct staged *s = staged_begin(v, r);
	if (s != NULL)
		handle_stage(h, s, r->fi.flags);
	pthread_mutex_unlock(&v->lock);
	return s == NULL ? ENOMEM : -staged_fill(s, r->fi.flags & O_TRUNC);
}

static void open_finish(struct request *r, int result, struct error *err)
{
	struct volume *v = r->volume;
	struct handle *h = r->handle;

	pthread_mutex_lock(&v->lock);
	v->counts.gets++;
	v->counts.interrupted += result == -ECANCELED;
	int64_t asked = r->call.deadline - (int64_t)(v->options->timeout * SECOND_NS);
	if (result == -ENOENT && r->node->linked && r->node->stored && r->node->touched < asked) {
		volume_names_changed(v);
		volume_forget(v, r->node);
	}
	pthread_mutex_unlock(&v->lock);
	if (result != 0 && result != -ENOENT && result != -ECANCELED)
		volume_log(v, "read", r->name, r->uid, r->pid, result, err->text);
	if (result == 0 && !wants_write(r->fi.flags)) {
		size_learn(v, r->node, r->value.len);
		secret_move(&h->value, &r->value);
	} else if (result == 0) {
		size_learn(v, r->node, r->value.len);
		result = -open_stage(r, h);
	}
	bool ours = request_claim(r);
	if (ours && result == 0) {
		open_answer(r->req, h, &r->fi);
		return;
	}
	handle_release(h);
	if (ours)
		fuse_reply_err(r->req, error_errno(-result));
}

/* --- open -------------------------------------------------------------------------------------------------------- */

/* Read in the pool, or right here where that waits for nobody.  The lock is held on entry and released. */
static void open_stored(fuse_req_t req, struct node *n, struct fuse_file_info *fi)
{
	struct volume *v = n->volume;
	struct handle *h = handle_new(n);
	struct request *r = h != NULL ? request_new(req, v, n->name, open_work, open_finish) : NULL;

	pthread_mutex_unlock(&v->lock);
	if (r == NULL) {
		if (h == NULL)
			fuse_reply_err(req, ENOMEM);
		handle_free(h);
		return;
	}
	r->handle = h;
	r->node = n;
	r->fi = *fi;
	if (v->local)
		request_here(r);
	else
		request_start(r);
}

/* The lock is held on entry and released. */
static void open_staged(fuse_req_t req, struct node *n, struct fuse_file_info *fi)
{
	struct volume *v = n->volume;
	struct handle *h = handle_new(n);
	int r = 0;

	if (h != NULL) {
		staged_ref(n->staged);
		handle_stage(h, n->staged, fi->flags);
	}
	pthread_mutex_unlock(&v->lock);
	if (h == NULL) {
		fuse_reply_err(req, ENOMEM);
		return;
	}
	if (fi->flags & O_TRUNC)
		r = staged_resize(h->staged, 0, 0);
	if (r == 0) {
		open_answer(req, h, fi);
		return;
	}
	handle_release(h);
	fuse_reply_err(req, error_errno(-r));
}

/* 0, or a code and why a key may not be opened for writing.  Lock held. */
static int open_refusal(const struct node *n, const char **ret_reason)
{
	const struct volume *v = n->volume;
	int code = ops_writable(v, ret_reason);

	if (code != 0)
		return code;
	/* What is being made now may be written by more than one. */
	if (staged_live(n->staged) && (n->staged->fresh || n->kind == NODE_TEMPORARY))
		return 0;
	if (!v->options->overwrite) {
		*ret_reason = "the key exists, and replacing keys needs -o overwrite";
		return EPERM;
	}
	return 0;
}

static void open_key(fuse_req_t req, struct node *n, struct fuse_file_info *fi)
{
	struct volume *v = n->volume;
	bool writes = wants_write(fi->flags);
	const char *reason = NULL;
	int code = writes ? open_refusal(n, &reason) : 0;

	if (code != 0) {
		char *name = strdup(n->name);
		pthread_mutex_unlock(&v->lock);
		ops_refuse(req, v, "open", name != NULL ? name : "?", code, reason);
		free(name);
	} else if (staged_live(n->staged) && (writes || n->kind == NODE_TEMPORARY)) {
		open_staged(req, n, fi);
	} else if (staged_undecided(n)) {
		pthread_mutex_unlock(&v->lock);
		fuse_reply_err(req, EBUSY);
	} else if (n->kind == NODE_TEMPORARY || !n->linked) {
		pthread_mutex_unlock(&v->lock);
		fuse_reply_err(req, ENOENT);
	} else {
		open_stored(req, n, fi);
	}
}

void ops_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct session *s = ops_session(req);
	struct node *n = ops_node(s, ino);

	if (!n->file) {
		if (wants_write(fi->flags))
			fuse_reply_err(req, EACCES);
		else
			control_open(s, req, n, fi);
		return;
	}
	pthread_mutex_lock(&n->volume->lock);
	n->volume->used = call_now();
	open_key(req, n, fi);
}

/* --- create ------------------------------------------------------------------------------------------------------ */

/* sed -i makes its temporary file under a name that a key could have; nobody else opens a new key like that. */
static bool name_of_sed(const char *name, int flags)
{
	return strlen(name) == 9 && strncmp(name, "sed", 3) == 0 && (flags & O_ACCMODE) == O_RDWR && (flags & O_EXCL);
}

/* 0, or a code with its sentence. */
static int create_check(const struct volume *v, const char *name, int flags, struct error *err)
{
	const char *reason;
	int code = ops_writable(v, &reason);

	if (code != 0)
		return error_set(err, code, "%s", reason);
	if (strcmp(name, CONTROL_NAME) == 0)
		return error_set(err, EEXIST, "this name is the mount's own");
	if (name[0] == '.')
		return 0;
	if (name_of_sed(name, flags))
		return error_set(err, EINVAL, "this is a temporary file of sed -i, and a key cannot be edited in place");
	int r = name_check_store(name, v->store.ops, err);
	if (r == 0 && !volume_shows(v, name))
		return error_set(err, EINVAL, "this name is left out by include= and exclude=");
	return r;
}

struct creation {
	struct handle *handle;
	struct node *node;
	struct held *refused;         /* the key that the same process removed, to be put back */
	int code;
	const char *reason;
	struct fuse_entry_param entry;
};

/* Lock held. */
static void creation_begin(struct session *s, struct volume *v, const char *name, const struct fuse_ctx *who, int flags,
                           struct creation *ret)
{
	struct node *n = tree_find(&v->tree, name, false);
	bool taken = n != NULL && (n->stored || staged_live(n->staged));
	struct held *held = taken ? NULL : held_take(v, name, who->uid, who->pid);

	if (taken) {
		/* Somebody was faster between LOOKUP and this: the kernel looks again. */
		ret->code = flags & O_EXCL ? EEXIST : ESTALE;
		return;
	}
	if (held != NULL && !v->options->overwrite) {
		ret->code = EPERM;
		ret->reason = HELD_REASON;
		ret->refused = held;
		return;
	}
	if (n == NULL)
		n = tree_add(&v->tree, v, name[0] == '.' ? NODE_TEMPORARY : NODE_KEY, name);
	struct handle *h = n != NULL ? handle_new(n) : NULL;
	struct staged *staged = h != NULL ? staged_new(v, n, who->uid, who->pid) : NULL;
	if (staged == NULL) {
		ret->code = ENOMEM;
		ret->refused = held;
		ret->handle = h;
		return;
	}
	staged->fresh = true;
	staged->held = held;
	handle_stage(h, staged, flags);
	ret->handle = h;
	ret->node = n;
	ops_entry(s, n, &ret->entry);
}

void ops_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, struct fuse_file_info *fi)
{
	struct session *s = ops_session(req);
	struct node *dir = ops_node(s, parent);
	struct volume *v = dir->volume;
	struct creation c = { .code = 0 };
	struct error err = ERROR_INIT;

	if (dir->kind != NODE_STORE) {
		fuse_reply_err(req, dir->kind == NODE_ROOT ? EPERM : EACCES);
		return;
	}
	int r = create_check(v, name, fi->flags, &err);
	if (r != 0) {
		ops_refuse(req, v, "create", name, -r, err.text);
		return;
	}
	pthread_mutex_lock(&v->lock);
	v->used = call_now();
	creation_begin(s, v, name, fuse_req_ctx(req), fi->flags, &c);
	pthread_mutex_unlock(&v->lock);
	held_restore(v, c.refused);
	if (c.code != 0) {
		handle_free(c.handle);
		if (c.reason != NULL)
			ops_refuse(req, v, "create", name, c.code, c.reason);
		else
			fuse_reply_err(req, c.code);
		return;
	}
	open_flags(fi, false);
	fi->fh = (uint64_t)(uintptr_t)c.handle;
	if (fuse_reply_create(req, &c.entry, fi) != 0) {
		handle_release(c.handle);
		ops_entry_undo(c.node);
	}
}

/* --- bytes ------------------------------------------------------------------------------------------------------- */

static void bytes_answer(fuse_req_t req, const struct secret *bytes, size_t size, off_t off)
{
	size_t from = (uint64_t)off < bytes->len ? (size_t)off : bytes->len;
	size_t length = size < bytes->len - from ? size : bytes->len - from;

	fuse_reply_buf(req, length > 0 ? (const char *)bytes->bytes + from : NULL, length);
}

void ops_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi)
{
	struct handle *h = handle_of(fi);

	if (h->staged == NULL) {
		bytes_answer(req, &h->value, size, off);
		return;
	}
	/* As soon as the answer is there, another thread may serve the reader's close and free the handle. */
	struct volume *v = h->node->volume;
	struct staged *s = h->staged;
	pthread_mutex_lock(&v->lock);
	staged_ref(s);
	pthread_mutex_unlock(&v->lock);
	/* Under the lock, since a copy would need memory: the answer is one write that waits for nobody. */
	pthread_mutex_lock(&s->lock);
	bytes_answer(req, &s->bytes, size, off);
	pthread_mutex_unlock(&s->lock);
	staged_unref(s);
}

void ops_write(fuse_req_t req, fuse_ino_t ino, const char *bytes, size_t size, off_t off, struct fuse_file_info *fi)
{
	struct handle *h = handle_of(fi);

	if (h->staged == NULL || !h->writes) {
		fuse_reply_err(req, EBADF);
		return;
	}
	int r = staged_write(h->staged, bytes, size, (uint64_t)off, h->append, fi->lock_owner);
	if (r != 0)
		fuse_reply_err(req, error_errno(-r));
	else
		fuse_reply_write(req, size);
}

void ops_flush(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	handle_flush(req, handle_of(fi), fi->lock_owner);
}

void ops_fsync(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi)
{
	handle_fsync(req, handle_of(fi));
}

void ops_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	handle_release(handle_of(fi));
	fuse_reply_err(req, 0);
}
