/* SPDX-License-Identifier: Apache-2.0
 *
 * A key or temporary file has a node; one that is being written has a file as well, shared by all who write it.  What
 * the store holds is not modelled but known: the model says which call must come next, and store.c what became of it. */
#include "tests/fuzz/operations/model.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/error.h"
#include "backends/key.h"

struct node {
	struct node *all;
	int name;
	uint64_t id, lookups;         /* id: as long as lookups > 0 */
	bool linked, stored;          /* stored: as the mount believes */
	unsigned touched;             /* when we changed it ourselves; 0: long ago */
	unsigned opens;               /* open files and requests on their way */
	struct file *file;
};

struct file {
	struct file *all;
	struct node *node;            /* NULL: no name leads to it any more */
	struct bytes bytes, old;
	bool exists;                  /* the store has old */
	bool data, fresh, committing, closed;
	unsigned generation, committed, handles, refs;
	int refused;
	uint64_t opener, writer;
	struct op *waiting;           /* commits, one after the other */
	struct held *held;
};

struct held {                         /* a key that was removed, or lost, and may come back */
	struct held *next;
	int name;
	unsigned pid;
	struct bytes value;
	bool lost, busy;
};

static struct {
	struct node *nodes, *at[NAMES];
	struct file *files;
	struct held *held;
	struct op *queue;
	unsigned clock, began;
	bool listing, again;
} model;

static void commit_begin(struct op *op, struct file *f);
static void finish(struct op *op, int code);

static void *made(size_t size)
{
	void *p = calloc(1, size);

	CHECK(p != NULL);
	return p;
}

/* --- answers and the queue --------------------------------------------------------------------------------------- */

static void answer(struct op *op, int code)
{
	if (op->done)                         /* interrupted */
		return;
	op->done = true;
	op->result = code;
}

/* What a program is told of a code of backend.h. */
static int seen(int code)
{
	return code != 0 ? error_errno(code) : 0;
}

static void enqueue(struct op *op)
{
	struct op **end = &model.queue;

	while (*end != NULL)
		end = &(*end)->next;
	*end = op;
	op->next = NULL;
	op->state = QUEUED;
}

static void dequeue(struct op *op)
{
	struct op **at = &model.queue;

	while (*at != op)
		at = &(*at)->next;
	*at = op->next;
	op->next = NULL;
}

unsigned model_queued(void)
{
	unsigned n = 0;

	for (struct op *op = model.queue; op != NULL; op = op->next)
		n++;
	return n;
}

static struct op *own_op(enum op_kind kind)
{
	struct op *op = made(sizeof *op);

	op->kind = kind;
	op->done = op->answered = true;       /* nobody waits for it */
	op->all = world.ops;
	world.ops = op;
	return op;
}

static void want(struct op *op, enum store_call call, int name, const struct bytes *value, const struct bytes *old)
{
	op->want.call = call;
	op->want.name = name;
	op->want.value.len = op->want.old.len = 0;
	if (value != NULL)
		op->want.value = *value;
	if (old != NULL)
		op->want.old = *old;
}

/* --- nodes ------------------------------------------------------------------------------------------------------- */

static struct node *node_new(int name)
{
	struct node *n = made(sizeof *n);

	n->name = name;
	n->linked = true;
	n->all = model.nodes;
	model.nodes = n;
	return model.at[name] = n;
}

static void node_unlink(struct node *n)
{
	n->stored = false;
	if (n->linked)
		model.at[n->name] = NULL;
	n->linked = false;
}

static struct node *node_stored(int name)
{
	struct node *n = model.at[name] != NULL ? model.at[name] : node_new(name);

	n->stored = true;
	return n;
}

/* Somebody else has removed it. */
static void node_forgotten(struct node *n)
{
	if (n->file != NULL)
		n->stored = false;
	else
		node_unlink(n);
}

static bool is_key(const struct node *n)
{
	return n->name < KEYS;
}

static bool dirty(const struct file *f)
{
	return f->node != NULL && f->generation != f->committed;
}

static bool undecided(const struct node *n)
{
	return is_key(n) && n->file != NULL && (!n->stored || dirty(n->file));
}

void model_learn(struct node *n, uint64_t id)
{
	for (struct node *o = model.nodes; o != NULL; o = o->all)
		CHECK(o == n || o->lookups == 0 || o->id != id);
	CHECK(n->lookups == 0 || n->id == id);
	n->id = id;
	n->lookups++;
}

uint64_t model_id(const struct node *n)
{
	CHECK(n->lookups > 0);
	return n->id;
}

bool model_open(const struct node *n)
{
	return n->opens > 0;
}

uint64_t model_size(const struct node *n, bool *ret_known)
{
	*ret_known = n->file != NULL && (!is_key(n) || undecided(n));
	return *ret_known ? n->file->bytes.len : 0;
}

unsigned model_names(void)
{
	unsigned found = 0;

	for (int i = 0; i < KEYS; i++)
		if (model.at[i] != NULL && model.at[i]->stored)
			found |= 1u << i;
	return found;
}

void model_forget(void (*forget)(uint64_t id, uint64_t count))
{
	for (struct node *n = model.nodes; n != NULL; n = n->all) {
		bool cached = false;
		for (int i = 0; i < NAMES; i++)
			cached |= world.dentries[i] == n;
		for (struct op *op = world.ops; op != NULL; op = op->all)
			cached |= op->node == n && !op->answered;
		if (cached || n->opens > 0 || n->lookups == 0)
			continue;
		forget(n->id, n->lookups);
		n->lookups = 0;
	}
}

/* --- keys that come back ----------------------------------------------------------------------------------------- */

static struct held *held_new(int name, unsigned pid, const struct bytes *value)
{
	struct held *h = made(sizeof *h);

	h->name = name;
	h->pid = pid;
	h->value = *value;
	return h;
}

static void held_remove(struct held *h)
{
	struct held **p = &model.held;

	while (*p != h)
		p = &(*p)->next;
	*p = h->next;
}

static void held_add(struct held *h)
{
	h->next = model.held;
	model.held = h;
}

static void held_keep(struct held *h)
{
	for (struct held *o = model.held; o != NULL; o = o->next)
		if (!o->lost && o->name == h->name) {
			held_remove(o);
			free(o);
			break;
		}
	held_add(h);
}

static struct held *held_take(int name, unsigned pid)
{
	for (struct held *h = model.held; h != NULL; h = h->next)
		if (!h->lost && h->name == name && h->pid == pid) {
			held_remove(h);
			return h;
		}
	return NULL;
}

static void restore_start(struct held *h)
{
	struct op *op = own_op(OP_RESTORE);

	h->busy = true;
	op->held = h;
	enqueue(op);
}

/* In the background. */
static void held_restore(struct held *h)
{
	if (h == NULL)
		return;
	h->lost = true;
	held_add(h);
	restore_start(h);
}

static void held_back(struct held *h)
{
	node_stored(h->name)->touched = ++model.clock;
	free(h);
}

/* --- files ------------------------------------------------------------------------------------------------------- */

static struct file *file_new(struct node *n)
{
	struct file *f = made(sizeof *f);

	f->node = n;
	n->file = f;
	f->all = model.files;
	model.files = f;
	return f;
}

static void part(struct file *f, int refused)
{
	struct node *n = f->node;

	if (n == NULL)
		return;
	f->refused = refused;
	f->node = NULL;
	n->file = NULL;
	if (!n->stored)
		node_unlink(n);
}

static void file_unref(struct file *f)
{
	if (--f->refs > 0 || f->node != NULL)
		return;
	held_restore(f->held);
	f->held = NULL;
}

static void changed(struct file *f, uint64_t owner)
{
	f->generation++;
	f->data = true;
	f->writer = owner;
}

static int file_resize(struct file *f, size_t size)
{
	if (f->refused != 0)
		return f->refused;
	if (size > LIMIT)
		return EFBIG;
	if (size == f->bytes.len)
		return 0;
	if (size > f->bytes.len)
		memset(f->bytes.at + f->bytes.len, 0, size - f->bytes.len);
	f->bytes.len = size;
	changed(f, 0);
	return 0;
}

static int file_write(struct file *f, const struct op *op)
{
	size_t offset = op->handle->append ? f->bytes.len : op->offset, end = offset + op->data.len;

	if (f->refused != 0)
		return f->refused;
	if (end > LIMIT) {
		part(f, EFBIG);
		f->bytes.len = 0;
		return EFBIG;
	}
	if (offset > f->bytes.len)
		memset(f->bytes.at + f->bytes.len, 0, offset - f->bytes.len);
	memcpy(f->bytes.at + offset, op->data.at, op->data.len);
	if (end > f->bytes.len)
		f->bytes.len = end;
	changed(f, op->owner);
	return 0;
}

static bool wants_write(unsigned flags)
{
	return (flags & O_ACCMODE) != O_RDONLY || (flags & O_TRUNC);
}

static void handle_bind(struct handle_ *h, struct file *f, unsigned flags)
{
	h->file = f;
	h->writes = wants_write(flags);
	h->append = flags & O_APPEND;
	f->handles++;
	f->refs++;
	f->closed = false;
}

/* --- names: looked up, made, opened ------------------------------------------------------------------------------- */

static void lookup_begin(struct op *op)
{
	struct node *n = model.at[op->name];

	if (n == NULL || n->file == NULL) {
		if (op->name < KEYS && world.local && store_has(op->name) != NULL)
			n = node_stored(op->name);
		else if (op->name < KEYS && world.local && n != NULL && n->stored)
			node_forgotten(n);
		n = model.at[op->name];
	}
	op->node = n != NULL && (n->file != NULL || n->stored) ? n : NULL;
	answer(op, op->node != NULL ? 0 : ENOENT);
}

static void create_begin(struct op *op)
{
	struct node *n = model.at[op->name];
	struct held *held;

	if (world.read_only) {
		answer(op, EROFS);
		return;
	}
	if (n != NULL && (n->stored || n->file != NULL)) {
		answer(op, op->flags & O_EXCL ? EEXIST : ESTALE);
		return;
	}
	held = held_take(op->name, op->pid);
	if (held != NULL && !world.options.overwrite) {
		held_restore(held);
		answer(op, EPERM);
		return;
	}
	if (n == NULL)
		n = node_new(op->name);
	struct file *f = file_new(n);
	f->fresh = true;
	f->held = held;
	handle_bind(op->handle, f, op->flags);
	n->opens++;
	op->node = op->handle->node = n;
	op->handle->open = true;
	answer(op, 0);
}

static int open_refusal(const struct node *n)
{
	if (world.read_only)
		return EROFS;
	if (n->file != NULL && (n->file->fresh || !is_key(n)))
		return 0;
	return world.options.overwrite ? 0 : EPERM;
}

static void open_begin(struct op *op)
{
	struct node *n = op->node;
	bool writes = wants_write(op->flags);
	int code = writes ? open_refusal(n) : 0;

	op->handle->node = n;
	if (code != 0) {
		answer(op, code);
	} else if (n->file != NULL && (writes || !is_key(n))) {
		handle_bind(op->handle, n->file, op->flags);
		n->opens++;
		op->handle->open = true;
		answer(op, op->flags & O_TRUNC ? file_resize(n->file, 0) : 0);
	} else if (undecided(n)) {
		answer(op, EBUSY);
	} else if (!is_key(n) || !n->linked) {
		answer(op, ENOENT);
	} else {
		n->opens++;
		op->name = n->name;
		op->asked = ++model.clock;
		if (world.local) {
			op->state = RUNNING;
			want(op, CALL_GET, op->name, NULL, NULL);
		} else {
			enqueue(op);
		}
	}
}

static void release(struct handle_ *h);

static void open_finish(struct op *op, int code)
{
	struct node *n = op->node;
	struct handle_ *h = op->handle;

	if (code == ENOENT && n->linked && n->stored && n->touched < op->asked)
		node_forgotten(n);
	if (code == 0 && !wants_write(op->flags)) {
		h->value = op->value;
	} else if (code == 0) {
		struct file *f = n->file;
		if (f == NULL) {
			f = file_new(n);
			f->exists = true;
			f->old = f->bytes = op->value;
		}
		handle_bind(h, f, op->flags);
		if (op->flags & O_TRUNC)
			file_resize(f, 0);
	}
	h->open = code == 0 && !op->done;
	answer(op, seen(code));
	if (!h->open)
		release(h);
}

/* Nobody has it open any more: what was not stored yet is, or nothing if there is nothing. */
static void settle(struct file *f)
{
	if (f->handles > 0 || f->node == NULL)
		return;
	f->closed = true;
	if (!is_key(f->node) || f->committing)
		return;
	if (f->bytes.len > 0 && dirty(f))
		commit_begin(own_op(OP_FLUSH), f);
	else
		part(f, 0);
}

/* --- close, fsync ------------------------------------------------------------------------------------------------ */

static void commit_finish(struct op *op, int code)
{
	struct file *f = op->file;
	struct node *n = f->node;

	if (code == 0 && op->sent) {
		f->old = op->value;
		if (n != NULL) {
			f->committed = op->generation;
			f->exists = true;
			node_stored(op->new_name)->touched = ++model.clock;
		}
	}
	bool kept = code == ECANCELED && op->kind == OP_FSYNC;
	if (code != 0 && n != NULL && !kept) {
		if (code == EEXIST && !n->stored) {
			n->stored = true;
			n->touched = ++model.clock;
		}
		part(f, code == ECANCELED ? EIO : error_errno(code));
	}
	if (code == 0) {
		free(f->held);
		f->held = NULL;
	}
	if (code != 0 && !kept)
		f->bytes.len = 0;
	answer(op, seen(code));
	struct op *next = f->waiting;
	f->committing = next != NULL;
	if (next != NULL) {
		f->waiting = next->next;
		enqueue(next);
	}
	settle(f);
	file_unref(f);
}

/* The old value of a key that was removed for this file comes back first. */
static void failed(struct op *op, int code)
{
	op->failed = code;
	/* The bytes of an fsync that was interrupted are still there for the next one. */
	if (code == ECANCELED && op->kind == OP_FSYNC)
		return;
	if (op->kind != OP_RENAME) {
		op->held = op->file->held;
		op->file->held = NULL;
	}
	if (op->held != NULL)
		want(op, CALL_CREATE, op->held->name, &op->held->value, NULL);
}

static bool loadable(const struct bytes *b)
{
	SECRET(value);
	struct key_info info;
	struct error why = ERROR_INIT;

	if (world.options.raw && b->len > 0)
		return true;
	CHECK(secret_append(&value, b->at, b->len) == 0);
	return key_parse(&value, &info, &why) == KEY_VALID;
}

/* Without -o overwrite only what this very file has created may be stored anew. */
static void value_send(struct op *op)
{
	CHECK(!op->found || world.options.overwrite || (op->commits && op->file->fresh));
	if (op->found && bytes_same(&op->old, &op->value))
		op->sent = true;
	else if (op->interrupted)             /* before anything was sent */
		failed(op, ECANCELED);
	else
		want(op, op->found ? CALL_REPLACE : CALL_CREATE, op->new_name, &op->value, op->found ? &op->old : NULL);
}

static void commit_run(struct op *op)
{
	struct file *f = op->file;

	if (f->refused != 0) {
		op->failed = f->refused;
		return;
	}
	if (f->node == NULL)
		return;
	op->found = f->exists;
	op->old = f->old;
	op->value = f->bytes;
	op->generation = f->generation;
	if (!loadable(&op->value))
		failed(op, EINVAL);
	else
		value_send(op);
}

static void commit_begin(struct op *op, struct file *f)
{
	op->commits = true;
	op->empties = false;
	op->file = f;
	f->refs++;
	op->new_name = f->node != NULL ? f->node->name : -1;
	if (!f->committing) {
		f->committing = true;
		enqueue(op);
		return;
	}
	struct op **end = &f->waiting;
	while (*end != NULL)
		end = &(*end)->next;
	*end = op;
	op->next = NULL;
	op->state = WAITING;
}

static void flush_begin(struct op *op)
{
	struct file *f = op->handle->file;
	bool fsync = op->kind == OP_FSYNC;

	if (f == NULL || !op->handle->writes || f->refused != 0 || f->node == NULL || !is_key(f->node)) {
		answer(op, f != NULL && op->handle->writes ? f->refused : 0);
	} else if (!fsync && f->bytes.len == 0 && (!f->exists || dirty(f))) {
		op->empties = true;
		op->file = f;
		f->refs++;
		enqueue(op);
	} else if (!dirty(f) || (fsync && !f->data)) {
		answer(op, 0);
	} else if (!fsync && (f->opener != 0 ? op->owner != f->opener : f->writer != 0 && op->owner != f->writer)) {
		answer(op, 0);
	} else {
		if (!fsync)
			f->opener = 0;
		commit_begin(op, f);
	}
}

/* Nobody has it open any more, and nothing is to be stored: an error, and what was there before stays. */
static void empty_run(struct op *op)
{
	struct file *f = op->file;

	if (op->openers == OPENERS_CALLER)
		f->opener = op->owner;
	if (op->openers != OPENERS_NONE || f->handles != 1 || f->node == NULL || f->bytes.len != 0)
		return;
	failed(op, EINVAL);
	part(f, EINVAL);
}

static void release(struct handle_ *h)
{
	struct node *n = h->node;
	struct file *f = h->file;

	h->open = false;
	n->opens--;
	if (f == NULL)
		return;
	h->file = NULL;
	f->handles--;
	settle(f);
	file_unref(f);
}

/* --- unlink ------------------------------------------------------------------------------------------------------ */

static void unlink_begin(struct op *op)
{
	struct node *n = model.at[op->name];

	if (n == NULL || (!n->stored && n->file == NULL)) {
		answer(op, ENOENT);
	} else if (!n->stored && !n->file->committing) {
		struct file *f = n->file;
		held_restore(f->held);
		f->held = NULL;
		part(f, 0);
		f->bytes.len = 0;
		answer(op, 0);
	} else if (!is_key(n)) {
		answer(op, EBUSY);
	} else if (world.read_only || !world.options.remove) {
		answer(op, world.read_only ? EROFS : EPERM);
	} else {
		enqueue(op);
	}
}

static void unlink_finish(struct op *op, int code)
{
	struct node *n = model.at[op->name];

	if (code == 0 || code == ENOENT) {
		if (n != NULL && n->file != NULL) {
			n->stored = false;
		} else {
			if (n != NULL)
				node_unlink(n);
			n = node_new(op->name);
		}
		n->touched = ++model.clock;
	}
	if (code == 0 && op->loaded && op->value.len > 0)
		held_keep(held_new(op->name, op->pid, &op->value));
	answer(op, seen(code));
}

/* --- rename ------------------------------------------------------------------------------------------------------ */

static int rename_temporary(struct node *n, int name, bool noreplace)
{
	struct node *old = model.at[name];

	if (old != NULL && noreplace)
		return EEXIST;
	if (old != NULL && old->file != NULL && old->file->committing)
		return EBUSY;
	if (old != NULL && old->file != NULL) {
		struct file *f = old->file;
		f->refs++;
		part(f, 0);
		f->bytes.len = 0;
		file_unref(f);
	}
	model.at[n->name] = NULL;
	n->name = name;
	model.at[name] = n;
	return 0;
}

static int rename_refusal(const struct node *target, bool noreplace)
{
	if (world.read_only)
		return EROFS;
	if (target == NULL)
		return 0;
	if (undecided(target))
		return EBUSY;
	if (!target->stored)
		return 0;
	return noreplace ? EEXIST : world.options.overwrite ? 0 : EPERM;
}

static void rename_begin(struct op *op)
{
	struct node *n = model.at[op->name], *target = model.at[op->new_name];
	bool noreplace = op->flags & 1;
	int code = 0;

	if (n == NULL || (!n->stored && n->file == NULL))
		code = ENOENT;
	else if (is_key(n))
		code = EXDEV;
	else if (n->file->committing)
		code = EBUSY;
	else if (op->new_name >= KEYS) {
		answer(op, rename_temporary(n, op->new_name, noreplace));
		return;
	} else {
		code = rename_refusal(target, noreplace);
	}
	op->found = target != NULL && target->stored;
	struct held *held = code == 0 && !op->found ? held_take(op->new_name, op->pid) : NULL;
	if (held != NULL && !world.options.overwrite) {
		held_restore(held);
		code = EPERM;
	}
	if (code != 0) {
		answer(op, code);
		return;
	}
	op->held = held;
	op->node = n;
	n->opens++;
	op->file = n->file;
	op->file->committing = true;
	op->file->refs++;
	enqueue(op);
}

static void rename_run(struct op *op)
{
	op->value = op->file->bytes;
	op->generation = op->file->generation;
	if (!loadable(&op->value))
		failed(op, EINVAL);
	else if (op->found)
		want(op, CALL_GET, op->new_name, NULL, NULL);
	else
		value_send(op);
}

static void node_renamed(struct op *op)
{
	struct node *n = op->node, *old = model.at[op->new_name];
	struct file *f = op->file;

	if (old != NULL && old->file != NULL)
		part(old->file, ESTALE);
	if (old != NULL)
		node_unlink(old);
	if (!n->linked || f->node == NULL) {
		/* Its writer failed meanwhile; the key is there all the same. */
		node_stored(op->new_name)->touched = ++model.clock;
		return;
	}
	model.at[n->name] = NULL;
	n->name = op->new_name;
	model.at[n->name] = n;
	n->stored = true;
	n->touched = ++model.clock;
	f->exists = true;
	f->committed = op->generation;
	f->old = op->value;
}

static void listing_start(void);

static void rename_finish(struct op *op, int code)
{
	struct file *f = op->file;

	if (code != 0)
		held_restore(op->held);
	else
		free(op->held);
	op->held = NULL;
	f->committing = false;
	if (code == 0)
		node_renamed(op);
	if (code == EEXIST && !op->found && !model.listing)
		listing_start();
	op->node->opens--;
	answer(op, seen(code));
	settle(f);
	file_unref(f);
}

/* --- the list of names ------------------------------------------------------------------------------------------- */

static void listing_start(void)
{
	model.listing = true;
	model.began = ++model.clock;
	enqueue(own_op(OP_LISTING));
}

void model_refresh(void)
{
	if (model.listing)
		model.again = true;
	else
		listing_start();
}

static void listing_finish(struct op *op)
{
	for (int i = 0; i < KEYS; i++) {
		struct node *n = model.at[i];
		bool listed = op->flags & 1u << i;
		if (n != NULL && n->touched != 0 && n->touched >= model.began)
			continue;             /* what we did meanwhile counts more */
		if (listed)
			n = node_stored(i);
		else if (n != NULL && n->stored)
			node_forgotten(n);
		if (n != NULL)
			n->touched = 0;
	}
	model.listing = false;
	if (model.again)
		listing_start();
	model.again = false;
}

/* --- what happens to an operation -------------------------------------------------------------------------------- */

static void bytes_begin(struct op *op)
{
	struct handle_ *h = op->handle;
	struct file *f = h != NULL ? h->file : NULL;

	if (op->kind == OP_READ) {
		const struct bytes *b = f != NULL ? &f->bytes : &h->value;
		size_t from = op->offset < b->len ? op->offset : b->len;
		op->data.len = op->size < b->len - from ? op->size : b->len - from;
		memcpy(op->data.at, b->at + from, op->data.len);
		answer(op, 0);
	} else if (op->kind == OP_WRITE) {
		answer(op, f != NULL && h->writes ? file_write(f, op) : EBADF);
	} else if (world.read_only) {
		answer(op, EROFS);
	} else if (f != NULL || op->node->file != NULL) {
		answer(op, file_resize(f != NULL ? f : op->node->file, op->size));
	} else {
		op->other = world.options.overwrite ? EINVAL : EPERM; /* or it has that size already */
		answer(op, 0);
	}
}

static void getattr_begin(struct op *op)
{
	struct node *n = op->node;
	int code = 0;

	if (is_key(n) && n->linked && !undecided(n) && world.local) {
		if (store_has(n->name) != NULL)
			n->stored = true;
		else if (n->opens == 0 && n->file == NULL && n->touched == 0)
			code = ENOENT;
	}
	answer(op, code);
}

void model_begin(struct op *op)
{
	switch (op->kind) {
	case OP_LOOKUP: lookup_begin(op); break;
	case OP_CREATE: create_begin(op); break;
	case OP_OPEN: open_begin(op); break;
	case OP_READ: case OP_WRITE: case OP_RESIZE: bytes_begin(op); break;
	case OP_GETATTR: getattr_begin(op); break;
	case OP_FLUSH: case OP_FSYNC: flush_begin(op); break;
	case OP_RELEASE: release(op->handle); answer(op, 0); break;
	case OP_UNLINK: unlink_begin(op); break;
	case OP_RENAME: rename_begin(op); break;
	default: CHECK(!"an operation of the kernel");
	}
}

struct op *model_run(unsigned index)
{
	struct op *op = model.queue;

	while (index-- > 0)
		op = op->next;
	dequeue(op);
	op->state = RUNNING;
	if (op->commits)
		commit_run(op);
	else if (op->empties)
		empty_run(op);
	else if (op->kind == OP_OPEN || op->kind == OP_UNLINK)
		want(op, CALL_GET, op->name, NULL, NULL);
	else if (op->kind == OP_RENAME)
		rename_run(op);
	else if (op->kind == OP_RESTORE)
		want(op, CALL_CREATE, op->held->name, &op->held->value, NULL);
	return op;
}

static void got(struct op *op, int code, const struct bytes *value)
{
	if (code == 0)
		op->value = *value;
	op->loaded = code == 0;
	op->failed = code;
	if (op->kind == OP_UNLINK && (code == 0 || code == EBADMSG || code == EFBIG || code == EACCES)) {
		op->failed = 0;
		want(op, CALL_REMOVE, op->name, NULL, NULL);
	}
}

static void rename_got(struct op *op, int code, const struct bytes *value)
{
	if (code == 0)
		op->old = *value;
	if (code == 0 || code == ENOENT) {
		op->found = code == 0;
		value_send(op);
	} else {
		failed(op, code);
	}
}

/* The old value was on its way back: now, or later again. */
static void restored(struct op *op, int code)
{
	struct held *h = op->held;

	op->held = NULL;
	if (code == 0 || code == EEXIST) {
		held_back(h);
		return;
	}
	h->lost = true;
	held_add(h);
}

static void sent(struct op *op, int code)
{
	op->sent = code == 0;
	op->failed = code;
	if (code == ENOTRECOVERABLE)
		held_restore(held_new(op->new_name, 0, &op->old));
	if (code != 0)
		failed(op, code);
}

void model_called(struct op *op, enum store_call call, int result, const struct bytes *value)
{
	int code = -result;

	if (op->kind == OP_RESTORE)
		op->failed = code == EEXIST ? 0 : code;
	else if (op->failed != 0)
		restored(op, code);
	else if (op->kind == OP_RENAME && call == CALL_GET)
		rename_got(op, code, value);
	else if (call == CALL_GET)
		got(op, code, value);
	else if (call == CALL_REMOVE)
		op->failed = code;
	else
		sent(op, code);
}

static void restore_finish(struct op *op)
{
	op->held->busy = false;
	if (op->failed != 0)
		return;
	held_remove(op->held);
	held_back(op->held);
}

static void finish(struct op *op, int code)
{
	op->state = AT_REST;
	if (op->commits) {
		commit_finish(op, code);
	} else if (op->empties) {
		answer(op, seen(code));
		file_unref(op->file);
	} else if (op->kind == OP_OPEN) {
		open_finish(op, code);
	} else if (op->kind == OP_UNLINK) {
		unlink_finish(op, code);
	} else if (op->kind == OP_RENAME) {
		rename_finish(op, code);
	} else if (op->kind == OP_RESTORE) {
		restore_finish(op);
	} else {
		listing_finish(op);
	}
}

void model_ran(struct op *op)
{
	CHECK(op->want.call == CALL_NONE);    /* each call that had to come has come */
	finish(op, op->failed);
}

void model_interrupted(struct op *op)
{
	op->interrupted = true;
	if (op->kind == OP_OPEN && world.local)
		return;                       /* does not wait for anything */
	op->done = true;
	op->result = EINTR;
	if (op->state == QUEUED) {
		dequeue(op);
		finish(op, ECANCELED);
	}
}

void model_tick(void)
{
	struct held *due = NULL;

	for (int i = KEYS; i < NAMES; i++) {
		struct file *f = model.at[i] != NULL ? model.at[i]->file : NULL;
		if (f != NULL && f->closed && !f->committing) {
			part(f, ENOENT);
			f->bytes.len = 0;
		}
	}
	for (struct held *h = model.held, *next; h != NULL; h = next) {
		next = h->next;
		if (h->lost && !h->busy && due == NULL)
			due = h;
		if (h->lost)
			continue;
		held_remove(h);
		free(h);
	}
	if (due != NULL)
		restore_start(due);
}

/* --- beginning and end ------------------------------------------------------------------------------------------- */

void model_start(void)
{
	memset(&model, 0, sizeof model);
	for (int i = 0; i < KEYS; i++)
		if (store_has(i) != NULL)
			node_stored(i);
}

unsigned model_held(void)
{
	unsigned found = 0;

	for (struct file *f = model.files; f != NULL; f = f->all)
		if (f->held != NULL)
			found |= 1u << f->held->name;
	return found;
}

void model_end(bool quiet)
{
	CHECK(model.queue == NULL);
	for (struct node *n = model.nodes, *next; n != NULL; n = next) {
		next = n->all;
		CHECK(!quiet || n->opens == 0);
		free(n);
	}
	for (struct file *f = model.files, *next; f != NULL; f = next) {
		next = f->all;
		CHECK(!quiet || (f->node == NULL && f->refs == 0 && f->held == NULL));
		free(f->held);
		free(f);
	}
	for (struct held *h = model.held, *next; h != NULL; h = next) {
		next = h->next;
		free(h);
	}
}
