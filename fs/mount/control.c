/* SPDX-License-Identifier: Apache-2.0
 *
 * Files of .kesfs: each is written into its handle when it is opened, so that a reader sees one moment.  Status
 * waits for no store. */
#include "fs/mount/control.h"

#include <errno.h>
#include <string.h>

#include "backends/key.h"
#include "fs/mount/handle.h"
#include "fs/mount/ops.h"
#include "fs/mount/report.h"
#include "fs/mount/request.h"

static void control_node(struct node *n, struct volume *v, enum node_kind kind, const char *name)
{
	*n = (struct node){ .volume = v, .kind = kind, .fixed = true, .created = -1, .changed = -1,
	                    .ino = node_number(v, kind, name) };
}

void control_init(struct control *c, struct volume *v)
{
	control_node(&c->dir, v, NODE_CONTROL, CONTROL_NAME);
	control_node(&c->status, v, NODE_STATUS, "status");
	control_node(&c->refresh, v, NODE_REFRESH, "refresh");
	control_node(&c->keys, v, NODE_KEYS, "keys");
}

struct node *control_find(struct session *s, struct node *dir, const char *name)
{
	struct control *c = dir->volume != NULL ? &dir->volume->control : &s->control;

	if (dir->kind != NODE_CONTROL)
		return NULL;
	if (strcmp(name, "status") == 0)
		return &c->status;
	if (strcmp(name, "refresh") == 0)
		return &c->refresh;
	return strcmp(name, "keys") == 0 && dir->volume != NULL ? &c->keys : NULL;
}

struct node *control_key(struct volume *v, const char *name, int *ret_code)
{
	struct node *key = tree_find(&v->tree, name, false), *n = tree_find(&v->tree, name, true);

	if (n != NULL)
		return n;
	/* Where listing is refused, only opening the file can tell whether there is such a key. */
	*ret_code = ENOENT;
	if (!volume_shows(v, name) || !((key != NULL && key->stored) || v->listing.refused))
		return NULL;
	*ret_code = ENOMEM;
	return tree_add(&v->tree, v, NODE_INFO, name);
}

const char *control_entry(struct session *s, struct node *dir, size_t i, enum node_kind *ret_kind)
{
	static const struct { const char *name; enum node_kind kind; } entries[] = {
		{ "refresh", NODE_REFRESH }, { "status", NODE_STATUS }, { "keys", NODE_KEYS },
	};
	size_t count = dir->volume != NULL ? 3 : 2;

	if (dir->kind == NODE_ROOT) {
		*ret_kind = NODE_STORE;
		return i < s->count ? s->volumes[i]->name : NULL;
	}
	if (dir->kind != NODE_CONTROL || i >= count)
		return NULL;
	*ret_kind = entries[i].kind;
	return entries[i].name;
}

/* --- open -------------------------------------------------------------------------------------------------------- */

static void control_answer(fuse_req_t req, struct handle *h, struct fuse_file_info *fi)
{
	fi->direct_io = 1;
	fi->noflush = 1;
	fi->fh = (uint64_t)(uintptr_t)h;
	if (fuse_reply_open(req, fi) != 0)
		handle_free(h);
}

static void status_open(struct session *s, fuse_req_t req, struct node *n, struct fuse_file_info *fi)
{
	struct handle *h = handle_new(n);
	int r = h == NULL ? -ENOMEM : report_status(s, n->volume, &h->value);

	if (r == 0) {
		control_answer(req, h, fi);
		return;
	}
	handle_free(h);
	fuse_reply_err(req, error_errno(-r));
}

/* The listing is over, or takes too long: say which. */
static void refresh_again(struct request *r, int result, struct error *err)
{
	struct volume *v = r->volume;
	struct handle *h = r->handle;

	if (!request_claim(r)) {
		handle_free(h);
		return;
	}
	result = report_refresh(v, &h->value);
	if (result == 0) {
		control_answer(r->req, h, &r->fi);
		return;
	}
	handle_free(h);
	fuse_reply_err(r->req, error_errno(-result));
}

static void refresh_open(struct session *s, fuse_req_t req, struct node *n, struct fuse_file_info *fi)
{
	struct volume *v = n->volume;
	struct handle *h = handle_new(n);
	struct request *r = NULL;

	if (v == NULL) {
		session_refresh(s);
		int code = h != NULL ? -secret_append_text(&h->value, "listing all stores anew\n") : ENOMEM;
		if (code == 0) {
			control_answer(req, h, fi);
		} else {
			handle_free(h);
			fuse_reply_err(req, code);
		}
		return;
	}
	if (h != NULL)
		r = request_new(req, v, NULL, NULL, refresh_again);
	else
		fuse_reply_err(req, ENOMEM);
	if (r == NULL) {
		handle_free(h);
		return;
	}
	r->handle = h;
	r->fi = *fi;
	r->refresh = true;
	volume_refresh(v);
	request_wait(r);
}

static int info_work(struct request *r, struct error *err)
{
	struct volume *v = r->volume;
	int64_t began = volume_call_begin(v);
	int result = call_check(&r->call, err, r->name);

	if (result == 0 && v->store.ops->stat != NULL) {
		result = volume_stat(v, &r->call, r->name, &r->entry, err);
	} else {
		r->entry = (struct backend_entry){ .created = -1, .changed = -1, .size = -1 };
	}
	if (result == 0 && (v->caps & BACKEND_READ))
		result = v->store.ops->get(v->store.handle, &r->call, r->name, &r->value, err);
	volume_call_end(v, began, result, err);
	return result;
}

static void info_finish(struct request *r, int result, struct error *err)
{
	struct handle *h = r->handle;

	pthread_mutex_lock(&r->volume->lock);
	r->volume->counts.gets++;
	pthread_mutex_unlock(&r->volume->lock);
	if (result == 0)
		result = report_key(r, &h->value);
	secret_wipe(&r->value);
	bool ours = request_claim(r);
	if (ours && result == 0) {
		control_answer(r->req, h, &r->fi);
		return;
	}
	handle_free(h);
	if (ours)
		fuse_reply_err(r->req, error_errno(-result));
}

/* The lock of the volume is held while the node's name is read. */
static void info_open(fuse_req_t req, struct node *n, struct fuse_file_info *fi)
{
	struct volume *v = n->volume;

	pthread_mutex_lock(&v->lock);
	struct handle *h = handle_new(n);
	struct request *r = h != NULL ? request_new(req, v, n->name, info_work, info_finish) : NULL;
	pthread_mutex_unlock(&v->lock);
	if (r == NULL) {
		if (h == NULL)
			fuse_reply_err(req, ENOMEM);
		handle_free(h);
		return;
	}
	r->handle = h;
	r->fi = *fi;
	request_start(r);
}

void control_open(struct session *s, fuse_req_t req, struct node *n, struct fuse_file_info *fi)
{
	if (n->kind == NODE_STATUS)
		status_open(s, req, n, fi);
	else if (n->kind == NODE_REFRESH)
		refresh_open(s, req, n, fi);
	else if (n->kind == NODE_INFO)
		info_open(req, n, fi);
	else
		fuse_reply_err(req, EISDIR);
}
