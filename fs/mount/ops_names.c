/* SPDX-License-Identifier: Apache-2.0
 *
 * Names and attributes: answered from memory.  LOOKUP holds the directory against every create, so it never waits for a
 * store; only where a store refuses to list is there no other way than to ask it for the one name. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fs/mount/handle.h"
#include "fs/mount/ops.h"
#include "fs/mount/request.h"
#include "fs/mount/staged.h"

enum { NAME_BYTES_MAX = 255 };

/* Answer LOOKUP with a node; the volume's lock is held on entry and released. */
static void entry_answer(fuse_req_t req, struct node *n)
{
	struct volume *v = n->volume;
	struct fuse_entry_param e;

	ops_entry(ops_session(req), n, &e);
	if (v != NULL)
		pthread_mutex_unlock(&v->lock);
	if (fuse_reply_entry(req, &e) != 0)
		ops_entry_undo(n);
}

/* --- where the store does not list: ask for the one name --------------------------------------------------------- */

static int ask_work(struct request *r, struct error *err)
{
	struct volume *v = r->volume;
	int64_t began = volume_call_begin(v);
	int result;

	if (v->store.ops->stat != NULL) {
		result = volume_stat(v, &r->call, r->name, &r->entry, err);
	} else {
		result = v->store.ops->get(v->store.handle, &r->call, r->name, &r->value, err);
		r->entry = (struct backend_entry){ .created = -1, .changed = -1, .size = (int64_t)r->value.len };
	}
	volume_call_end(v, began, result, err);
	return result;
}

/* Take over what the store said, unless we changed the key ourselves meanwhile.  Returns what there is now, with its node,
 * or a code.  Lock held. */
static int ask_learn(struct request *r, int result, struct node **ret)
{
	struct volume *v = r->volume;
	struct node *n = tree_find(&v->tree, r->name, false);
	int64_t began = r->call.deadline - (int64_t)(v->options->timeout * SECOND_NS);

	if (n == NULL || n->touched < began) {
		r->entry.name = r->name;
		if (result == 0)
			n = volume_learn(v, &r->entry);
		else if (n != NULL && n->stored)
			volume_forget(v, n);
		if (result != 0 && (n = tree_find(&v->tree, r->name, false)) == NULL)
			n = tree_add(&v->tree, v, NODE_KEY, r->name);
		if (n == NULL)
			return -ENOMEM;
		n->asked = call_now();
	}
	*ret = n;
	return n->stored || staged_live(n->staged) ? 0 : -ENOENT;
}

static void ask_finish(struct request *r, int result, struct error *err)
{
	struct volume *v = r->volume;
	bool ours = request_claim(r);
	struct node *n = NULL;

	pthread_mutex_lock(&v->lock);
	v->counts.stats++;
	if (result == 0 || result == -ENOENT)
		result = ask_learn(r, result, &n);
	if (result == 0 && ours) {
		entry_answer(r->req, n);
		return;
	}
	pthread_mutex_unlock(&v->lock);
	if (ours)
		fuse_reply_err(r->req, error_errno(-result));
}

static void lookup_ask(fuse_req_t req, struct volume *v, const char *name)
{
	struct request *r = request_new(req, v, name, ask_work, ask_finish);

	if (r != NULL)
		request_start(r);
}

/* --- names of keys ----------------------------------------------------------------------------------------------- */

/* What a name is that an old listing does not have: absent, or do we not know?  Lock held. */
static int absent_code(const struct volume *v)
{
	const struct listing_state *l = &v->listing;

	if (l->failure.code != 0)
		return error_errno(l->failure.code);
	/* A slow listing under way: the one before is as good as the mount's ttl allows, unless it is from long ago. */
	double slack = (double)(LISTING_GRACE + (l->running ? call_now() - l->began : 0)) / SECOND_NS;
	return listing_age(v) < 2 * v->options->ttl + slack ? ENOENT : ETIMEDOUT;
}

static void lookup_again(struct request *r, int result, struct error *err)
{
	struct volume *v = r->volume;

	if (!request_claim(r))
		return;
	pthread_mutex_lock(&v->lock);
	struct node *n = tree_find(&v->tree, r->name, false);
	if (n != NULL && (n->stored || staged_live(n->staged))) {
		entry_answer(r->req, n);
		return;
	}
	int code = v->listing.failure.code == 0 && !v->listing.running ? ENOENT : absent_code(v);
	pthread_mutex_unlock(&v->lock);
	fuse_reply_err(r->req, code);
}

static void lookup_await(fuse_req_t req, struct volume *v, const char *name)
{
	struct request *r = request_new(req, v, name, NULL, lookup_again);

	if (r != NULL)
		request_wait(r);
}

/* A local store is asked at once: that waits for nobody. */
static void lookup_local(fuse_req_t req, struct volume *v, const char *name)
{
	struct backend_entry e = { 0 };
	struct call call = volume_call(v, NULL);
	struct error err = ERROR_INIT;
	int64_t began = call_now();
	int r = volume_stat(v, &call, name, &e, &err);

	pthread_mutex_lock(&v->lock);
	struct node *n = tree_find(&v->tree, name, false);
	if (r == 0) {
		if (n == NULL || !n->stored)
			volume_names_changed(v);
		n = volume_learn(v, &e);
		r = n == NULL ? -ENOMEM : 0;
	} else if (r == -ENOENT && n != NULL && (staged_live(n->staged) || (n->stored && n->touched >= began))) {
		r = 0;
	} else if (r == -ENOENT && n != NULL && n->stored) {
		volume_names_changed(v);
		volume_forget(v, n);
	}
	if (r == 0) {
		entry_answer(req, n);
		return;
	}
	pthread_mutex_unlock(&v->lock);
	fuse_reply_err(req, error_errno(-r));
}

/* The store does not list: what was asked or done a moment ago holds, so that a tool which looks before it creates does
 * not wait for the store while it has the directory to itself.  Lock held on entry, released by what it calls. */
static void lookup_refused(fuse_req_t req, struct volume *v, struct node *n, const char *name)
{
	bool known = n != NULL && name_known(v, n);

	v->used = call_now();
	if (known && n->stored) {
		entry_answer(req, n);
		return;
	}
	pthread_mutex_unlock(&v->lock);
	if (known)
		fuse_reply_err(req, ENOENT);
	else
		lookup_ask(req, v, name);
}

/* Lock held on entry, released by what it calls. */
static void lookup_listed(fuse_req_t req, struct volume *v, struct node *n, const char *name)
{
	v->used = call_now();
	if (n != NULL && n->stored) {
		entry_answer(req, n);
		return;
	}
	enum names_state names = volume_names(v);
	int code = names == NAMES_GOOD ? ENOENT : absent_code(v);
	pthread_mutex_unlock(&v->lock);
	if (names == NAMES_AWAITED)
		lookup_await(req, v, name);
	else
		fuse_reply_err(req, code);
}

static void lookup_key(fuse_req_t req, struct volume *v, const char *name)
{
	if (strcmp(name, CONTROL_NAME) == 0) {
		pthread_mutex_lock(&v->lock);
		entry_answer(req, &v->control.dir);
		return;
	}
	pthread_mutex_lock(&v->lock);
	struct node *n = tree_find(&v->tree, name, false);
	if (n != NULL && staged_live(n->staged)) {
		entry_answer(req, n);
		return;
	}
	if (!volume_shows(v, name)) {
		pthread_mutex_unlock(&v->lock);
		fuse_reply_err(req, ENOENT);
	} else if (v->local && v->store.ops->stat != NULL) {
		v->used = call_now();
		pthread_mutex_unlock(&v->lock);
		lookup_local(req, v, name);
	} else if (v->listing.refused) {
		lookup_refused(req, v, n, name);
	} else {
		lookup_listed(req, v, n, name);
	}
}

static void lookup_root(fuse_req_t req, struct session *s, const char *name)
{
	if (strcmp(name, CONTROL_NAME) == 0) {
		entry_answer(req, &s->control.dir);
		return;
	}
	for (size_t i = 0; i < s->count; i++)
		if (strcmp(s->volumes[i]->name, name) == 0) {
			pthread_mutex_lock(&s->volumes[i]->lock);
			entry_answer(req, &s->volumes[i]->dir);
			return;
		}
	fuse_reply_err(req, ENOENT);
}

static void lookup_control(fuse_req_t req, struct session *s, struct node *dir, const char *name)
{
	struct volume *v = dir->volume;

	if (v != NULL)
		pthread_mutex_lock(&v->lock);
	int code = ENOENT;
	struct node *n = dir->kind == NODE_KEYS ? control_key(v, name, &code) : control_find(s, dir, name);
	if (n != NULL) {
		entry_answer(req, n);
		return;
	}
	if (v != NULL)
		pthread_mutex_unlock(&v->lock);
	fuse_reply_err(req, code);
}

void ops_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct session *s = ops_session(req);
	struct node *dir = ops_node(s, parent);

	if (strlen(name) > NAME_BYTES_MAX)
		fuse_reply_err(req, ENAMETOOLONG);
	else if (dir->kind == NODE_ROOT)
		lookup_root(req, s, name);
	else if (dir->kind == NODE_STORE)
		lookup_key(req, dir->volume, name);
	else
		lookup_control(req, s, dir, name);
}

static void node_forget(struct session *s, fuse_ino_t ino, uint64_t count)
{
	struct node *n = ops_node(s, ino);

	if (n->fixed)
		return;
	struct volume *v = n->volume;
	pthread_mutex_lock(&v->lock);
	n->lookups -= count < n->lookups ? count : n->lookups;
	node_settle(&v->tree, n);
	pthread_mutex_unlock(&v->lock);
}

void ops_forget(fuse_req_t req, fuse_ino_t ino, uint64_t count)
{
	node_forget(ops_session(req), ino, count);
	fuse_reply_none(req);
}

void ops_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *forgets)
{
	for (size_t i = 0; i < count; i++)
		node_forget(ops_session(req), forgets[i].ino, forgets[i].nlookup);
	fuse_reply_none(req);
}

/* --- attributes -------------------------------------------------------------------------------------------------- */

/* The volume's lock is held on entry and released. */
static void attributes_answer(fuse_req_t req, struct node *n)
{
	struct stat st;

	ops_attributes(ops_session(req), n, &st);
	double timeout = ops_attributes_timeout(n);
	if (n->volume != NULL)
		pthread_mutex_unlock(&n->volume->lock);
	fuse_reply_attr(req, &st, timeout);
}

static int size_work(struct request *r, struct error *err)
{
	struct volume *v = r->volume;
	int64_t began = volume_call_begin(v);
	int result = v->store.ops->get(v->store.handle, &r->call, r->name, &r->value, err);

	volume_call_end(v, began, result, err);
	return result;
}

static void size_finish(struct request *r, int result, struct error *err)
{
	struct volume *v = r->volume;
	bool ours = request_claim(r);
	struct node *n = r->node;

	pthread_mutex_lock(&v->lock);
	v->counts.gets++;
	if (result == 0) {
		n->size = (int64_t)r->value.len;
		n->size_known = true;
	}
	n->opens--;
	if (result == 0 && ours) {
		attributes_answer(r->req, n);
		return;
	}
	node_settle(&v->tree, n);
	pthread_mutex_unlock(&v->lock);
	if (ours)
		fuse_reply_err(r->req, error_errno(-result));
}

/* The lock is held on entry and released. */
static void getattr_fetch(fuse_req_t req, struct node *n)
{
	struct volume *v = n->volume;
	struct request *r = request_new(req, v, n->name, size_work, size_finish);

	if (r != NULL) {
		r->node = n;
		n->opens++;
	}
	pthread_mutex_unlock(&v->lock);
	if (r != NULL)
		request_start(r);
}

/* The lock is held on entry and released. */
static void getattr_local(fuse_req_t req, struct node *n)
{
	struct volume *v = n->volume;
	struct backend_entry e = { 0 };
	struct call call = volume_call(v, NULL);
	struct error err = ERROR_INIT;
	char *name = strdup(n->name);

	pthread_mutex_unlock(&v->lock);
	int r = name == NULL ? -ENOMEM : volume_stat(v, &call, name, &e, &err);
	pthread_mutex_lock(&v->lock);
	if (r == 0 && n->linked)
		volume_learn(v, &e);
	bool gone = r == -ENOENT && n->opens == 0 && n->staged == NULL && n->touched == 0;
	if (r == 0 || !gone) {
		attributes_answer(req, n);
	} else {
		pthread_mutex_unlock(&v->lock);
		fuse_reply_err(req, ENOENT);
	}
	free(name);
}

void ops_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct node *n = ops_node(ops_session(req), ino);
	struct volume *v = n->volume;

	if (v == NULL) {
		attributes_answer(req, n);
		return;
	}
	pthread_mutex_lock(&v->lock);
	if (n->kind != NODE_KEY || !n->linked || staged_undecided(n))
		attributes_answer(req, n);
	else if (v->local && v->store.ops->stat != NULL)
		getattr_local(req, n);
	else if (v->options->size_exact && !n->size_known && (v->caps & BACKEND_READ))
		getattr_fetch(req, n);
	else
		attributes_answer(req, n);
}

/* Cutting a file, by its handle or by its name.  Returns a positive errno for the user, or 0. */
static int size_set(fuse_req_t req, struct node *n, uint64_t size, struct handle *h)
{
	struct volume *v = n->volume;
	struct staged *s = NULL;
	const char *reason;

	pthread_mutex_lock(&v->lock);
	if (h != NULL && h->staged != NULL)
		s = h->staged;
	else if (staged_live(n->staged))
		s = n->staged;
	bool same = s == NULL && n->size_known && (uint64_t)n->size == size;
	if (s != NULL)
		staged_ref(s);
	pthread_mutex_unlock(&v->lock);
	if (s != NULL) {
		int r = staged_resize(s, size, 0);
		staged_unref(s);
		return -r;
	}
	if (same)
		return 0;
	int code = ops_writable(v, &reason);
	if (code == 0 && !v->options->overwrite) {
		code = EPERM;
		reason = "cutting a key would replace it, which needs -o overwrite";
	} else if (code == 0) {
		code = EINVAL;
		reason = "a key that is cut is no key any more";
	}
	volume_log(v, "truncate", n->name, fuse_req_ctx(req)->uid, fuse_req_ctx(req)->pid, -code, reason);
	return code;
}

static void times_set(struct node_attributes *l, const struct node *n, const struct stat *attr, int to_set)
{
	if (to_set & FUSE_SET_ATTR_MTIME_NOW)
		clock_gettime(CLOCK_REALTIME, &l->mtime);
	else
		l->mtime = attr->st_mtim;
	l->mtime_set = true;
	l->changed = n->changed;
}

/* Kept here, never sent: rsync, tar and install fail where they cannot set these (fuse-facts 4).  Lock held. */
static int attributes_keep(struct node *n, const struct stat *attr, int to_set)
{
	if (n->local == NULL)
		n->local = calloc(1, sizeof *n->local);
	struct node_attributes *l = n->local;
	if (l == NULL)
		return ENOMEM;
	if (to_set & FUSE_SET_ATTR_MODE) {
		l->mode_set = true;
		l->mode = attr->st_mode;
	}
	if (to_set & FUSE_SET_ATTR_UID) {
		l->uid_set = true;
		l->uid = attr->st_uid;
	}
	if (to_set & FUSE_SET_ATTR_GID) {
		l->gid_set = true;
		l->gid = attr->st_gid;
	}
	if (to_set & (FUSE_SET_ATTR_MTIME | FUSE_SET_ATTR_MTIME_NOW))
		times_set(l, n, attr, to_set);
	return 0;
}

void ops_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *attr, int to_set, struct fuse_file_info *fi)
{
	struct node *n = ops_node(ops_session(req), ino);
	struct volume *v = n->volume;
	int kept = FUSE_SET_ATTR_MODE | FUSE_SET_ATTR_UID | FUSE_SET_ATTR_GID | FUSE_SET_ATTR_MTIME |
	           FUSE_SET_ATTR_MTIME_NOW;
	int code = 0;

	if (!n->file) {
		/* rsync -a sets the times of the directory it writes to. */
		ops_getattr(req, ino, fi);
		return;
	}
	if (v->read_only)
		code = EROFS;
	else if (to_set & FUSE_SET_ATTR_SIZE)
		code = size_set(req, n, (uint64_t)attr->st_size, fi != NULL ? handle_of(fi) : NULL);
	pthread_mutex_lock(&v->lock);
	if (code == 0 && (to_set & kept))
		code = attributes_keep(n, attr, to_set);
	if (code == 0) {
		attributes_answer(req, n);
		return;
	}
	pthread_mutex_unlock(&v->lock);
	fuse_reply_err(req, code);
}

void ops_statfs(fuse_req_t req, fuse_ino_t ino)
{
	struct session *s = ops_session(req);
	/* How much room a store has is not known.  Programs that look before they write see plenty. */
	struct statvfs st = { .f_bsize = 4096, .f_frsize = 4096, .f_blocks = 1 << 30, .f_bfree = 1 << 30, .f_bavail = 1 << 30,
	                      .f_files = 1 << 30, .f_ffree = 1 << 30, .f_namemax = NAME_BYTES_MAX };

	for (size_t i = 0; i < s->count; i++) {
		pthread_mutex_lock(&s->volumes[i]->lock);
		st.f_files += s->volumes[i]->tree.stored;
		pthread_mutex_unlock(&s->volumes[i]->lock);
	}
	fuse_reply_statfs(req, &st);
}
