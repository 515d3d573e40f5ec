/* SPDX-License-Identifier: Apache-2.0
 *
 * Directories: opendir takes a snapshot of the names, waiting for a listing where they are too old; readdir reads the
 * snapshot, so that no change makes it miss or repeat a name. */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fs/mount/handle.h"
#include "fs/mount/ops.h"
#include "fs/mount/request.h"

/* Lock held.  NULL: no memory. */
static struct snapshot *snapshot_take(struct volume *v)
{
	if (v->snapshot == NULL)
		v->snapshot = snapshot_new(&v->tree, v->dir.ino);
	if (v->snapshot != NULL)
		v->snapshot->refs++;
	return v->snapshot;
}

static struct handle *directory_handle(struct node *n)
{
	struct volume *v = n->volume;

	if (n->kind != NODE_STORE)
		return handle_new(n);
	pthread_mutex_lock(&v->lock);
	struct handle *h = handle_new(n);
	if (h != NULL && v->listing.refused)
		h->readdir = EACCES;
	else if (h != NULL && (h->snapshot = snapshot_take(v)) == NULL)
		h->readdir = ENOMEM;
	pthread_mutex_unlock(&v->lock);
	return h;
}

static void directory_open(fuse_req_t req, struct node *n, struct fuse_file_info *fi)
{
	struct handle *h = directory_handle(n);

	if (h == NULL) {
		fuse_reply_err(req, ENOMEM);
		return;
	}
	fi->fh = (uint64_t)(uintptr_t)h;
	if (fuse_reply_open(req, fi) != 0)
		handle_free(h);
}

static void opendir_again(struct request *r, int result, struct error *err)
{
	if (request_claim(r))
		directory_open(r->req, &r->volume->dir, &r->fi);
}

void ops_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct node *n = ops_node(ops_session(req), ino);
	struct volume *v = n->volume;
	bool wait = false;

	if (n->kind == NODE_STORE) {
		pthread_mutex_lock(&v->lock);
		wait = volume_names(v) == NAMES_AWAITED;
		pthread_mutex_unlock(&v->lock);
	}
	if (!wait) {
		directory_open(req, n, fi);
		return;
	}
	struct request *r = request_new(req, v, NULL, NULL, opendir_again);
	if (r == NULL)
		return;
	r->fi = *fi;
	request_wait(r);
}

void ops_releasedir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	handle_free(handle_of(fi));
	fuse_reply_err(req, 0);
}

/* --- one page ---------------------------------------------------------------------------------------------------- */

struct page {
	fuse_req_t req;
	struct session *session;
	char *bytes;
	size_t size, used;
	bool plus;
};

static bool page_room(struct page *p, size_t needed)
{
	if (needed > p->size - p->used)
		return false;
	p->used += needed;
	return true;
}

/* An entry of which only kind and number are told; false: the page is full. */
static bool page_name(struct page *p, const char *name, uint64_t ino, mode_t kind, off_t next)
{
	struct fuse_entry_param e = { .attr = { .st_ino = ino, .st_mode = kind } };
	char *at = p->bytes + p->used;
	size_t room = p->size - p->used;

	return page_room(p, p->plus ? fuse_add_direntry_plus(p->req, at, room, name, &e, next) :
	                    fuse_add_direntry(p->req, at, room, name, &e.attr, next));
}

/* With attributes, which counts as a lookup.  Volume's lock held. */
static bool page_node(struct page *p, struct node *n, off_t next)
{
	struct fuse_entry_param e;

	ops_entry(p->session, n, &e);
	if (page_room(p, fuse_add_direntry_plus(p->req, p->bytes + p->used, p->size - p->used, n->name, &e, next)))
		return true;
	n->lookups--;
	return false;
}

/* The size and time of a local key cost next to nothing; false: it is gone. */
static bool key_refresh(struct volume *v, const char *name)
{
	struct backend_entry e = { 0 };
	struct call call = volume_call(v, NULL);
	struct error err = ERROR_INIT;

	if (!v->local || v->store.ops->stat == NULL)
		return true;
	int r = volume_stat(v, &call, name, &e, &err);
	if (r != 0)
		return r != -ENOENT;
	pthread_mutex_lock(&v->lock);
	struct node *n = tree_find(&v->tree, name, false);
	if (n != NULL && n->stored)
		volume_learn(v, &e);
	pthread_mutex_unlock(&v->lock);
	return true;
}

static bool page_key(struct page *p, struct volume *v, const char *name, off_t next)
{
	if (!key_refresh(v, name))
		return page_name(p, name, node_number(v, NODE_KEY, name), S_IFREG, next);
	pthread_mutex_lock(&v->lock);
	struct node *n = tree_find(&v->tree, name, false);
	bool known = n != NULL && n->stored;
	bool fits = known && page_node(p, n, next);
	pthread_mutex_unlock(&v->lock);
	return known ? fits : page_name(p, name, node_number(v, NODE_KEY, name), S_IFREG, next);
}

static void page_keys(struct page *p, struct volume *v, const struct snapshot *s, size_t from)
{
	char name[SNAPSHOT_NAME_SIZE];

	for (size_t i = from; i < s->count; i++) {
		snapshot_name(s, i, name);
		if (!page_key(p, v, name, (off_t)i + 1))
			return;
	}
}

static void page_fixed(struct page *p, struct node *dir, size_t from)
{
	enum node_kind kind;
	const char *name;

	for (size_t i = from; (name = control_entry(p->session, dir, i, &kind)) != NULL; i++) {
		mode_t mode = kind == NODE_STORE || kind == NODE_KEYS ? S_IFDIR : S_IFREG;
		if (!page_name(p, name, node_number(dir->volume, kind, name), mode, (off_t)i + 3))
			return;
	}
}

/* Offsets: 1 is after ".", 2 after "..", then one more for each name. */
static void page_fill(struct page *p, struct node *dir, struct handle *h, size_t off)
{
	if (off < 1 && !page_name(p, ".", dir->ino, S_IFDIR, 1))
		return;
	if (off < 2 && !page_name(p, "..", dir->ino, S_IFDIR, 2))
		return;
	if (dir->kind == NODE_STORE)
		page_keys(p, dir->volume, h->snapshot, off < 2 ? 2 : off);
	else
		page_fixed(p, dir, off < 2 ? 0 : off - 2);
}

/* rewinddir(3) shows the names anew. */
static void directory_rewind(struct node *n, struct handle *h)
{
	struct volume *v = n->volume;

	pthread_mutex_lock(&v->lock);
	if (h->snapshot != NULL && h->snapshot != v->snapshot) {
		struct snapshot *old = h->snapshot, *new = snapshot_take(v);
		if (new != NULL) {
			h->snapshot = new;
			snapshot_unref(old);
		}
	}
	pthread_mutex_unlock(&v->lock);
}

/* The answer is made here. */
static void page_answer(fuse_req_t req, struct node *n, struct handle *h, size_t size, off_t off, bool plus)
{
	struct page p = { .req = req, .session = ops_session(req), .bytes = malloc(size), .size = size, .plus = plus };

	if (p.bytes == NULL) {
		fuse_reply_err(req, ENOMEM);
		return;
	}
	page_fill(&p, n, h, (size_t)off);
	fuse_reply_buf(req, p.bytes, p.used);
	free(p.bytes);
}

static void directory_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi, bool plus)
{
	struct node *n = ops_node(ops_session(req), ino);
	struct handle *h = handle_of(fi);
	const char *piece = NULL;

	if (h->readdir != 0) {
		fuse_reply_err(req, h->readdir);
		return;
	}
	if (n->kind == NODE_STORE && off == 0)
		directory_rewind(n, h);
	if (n->kind != NODE_STORE || plus) {
		page_answer(req, n, h, size, off, plus);
		return;
	}
	size = snapshot_piece(h->snapshot, (size_t)off, size, &piece);
	fuse_reply_buf(req, piece, size);
}

void ops_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi)
{
	directory_read(req, ino, size, off, fi, false);
}

void ops_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi)
{
	directory_read(req, ino, size, off, fi, true);
}
