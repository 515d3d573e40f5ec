/* SPDX-License-Identifier: Apache-2.0
 *
 * What a handle for writing needs of the store it has at once: the file is there, or is made from the answer of a get. */
#include "tests/fuzz/operations/model/handle.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "tests/fuzz/operations/model/commit.h"
#include "tests/fuzz/operations/model/file.h"
#include "tests/fuzz/operations/model/held.h"
#include "tests/fuzz/operations/model/node.h"
#include "tests/fuzz/operations/model/op.h"

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

void model_create_begin(struct op *op)
{
	struct node *n = model_node_at(op->name);
	struct held *held;

	if (world.read_only) {
		model_answer(op, EROFS);
		return;
	}
	if (n != NULL && (n->stored || n->file != NULL)) {
		model_answer(op, op->flags & O_EXCL ? EEXIST : ESTALE);
		return;
	}
	held = model_held_take(op->name, op->pid);
	if (held != NULL && !world.options.overwrite) {
		model_held_restore(held);
		model_answer(op, EPERM);
		return;
	}
	if (n == NULL)
		n = model_node_new(op->name);
	struct file *f = model_file_new(n);
	f->fresh = true;
	f->held = held;
	handle_bind(op->handle, f, op->flags);
	n->opens++;
	op->node = op->handle->node = n;
	op->handle->open = true;
	model_answer(op, 0);
}

static int open_refusal(const struct node *n)
{
	if (world.read_only)
		return EROFS;
	if (n->file != NULL && (n->file->fresh || !model_node_is_key(n)))
		return 0;
	return world.options.overwrite ? 0 : EPERM;
}

void model_open_begin(struct op *op)
{
	struct node *n = op->node;
	bool writes = wants_write(op->flags);
	int code = writes ? open_refusal(n) : 0;

	op->handle->node = n;
	if (code != 0) {
		model_answer(op, code);
	} else if (n->file != NULL && (writes || !model_node_is_key(n))) {
		handle_bind(op->handle, n->file, op->flags);
		n->opens++;
		op->handle->open = true;
		model_answer(op, op->flags & O_TRUNC ? model_file_resize(n->file, 0) : 0);
	} else if (model_undecided(n)) {
		model_answer(op, EBUSY);
	} else if (!model_node_is_key(n) || !n->linked) {
		model_answer(op, ENOENT);
	} else {
		n->opens++;
		op->name = n->name;
		op->asked = model_clock_next();
		if (world.local) {
			op->state = RUNNING;
			model_want(op, CALL_GET, op->name, NULL, NULL);
		} else {
			model_enqueue(op);
		}
	}
}

void model_open_finish(struct op *op, int code)
{
	struct node *n = op->node;
	struct handle_ *h = op->handle;

	if (code == ENOENT && n->linked && n->stored && n->touched < op->asked)
		model_node_forgotten(n);
	if (code == 0 && !wants_write(op->flags)) {
		h->value = op->value;
	} else if (code == 0) {
		struct file *f = n->file;
		if (f == NULL) {
			f = model_file_new(n);
			f->exists = true;
			f->old = f->bytes = op->value;
		}
		handle_bind(h, f, op->flags);
		if (op->flags & O_TRUNC)
			model_file_resize(f, 0);
	}
	h->open = code == 0 && !op->done;
	model_answer(op, model_errno(code));
	if (!h->open)
		model_release(h);
}

void model_bytes_begin(struct op *op)
{
	struct handle_ *h = op->handle;
	struct file *f = h != NULL ? h->file : NULL;

	if (op->kind == OP_READ) {
		const struct bytes *b = f != NULL ? &f->bytes : &h->value;
		size_t from = op->offset < b->len ? op->offset : b->len;
		op->data.len = op->size < b->len - from ? op->size : b->len - from;
		memcpy(op->data.at, b->at + from, op->data.len);
		model_answer(op, 0);
	} else if (op->kind == OP_WRITE) {
		model_answer(op, f != NULL && h->writes ? model_file_write(f, op) : EBADF);
	} else if (world.read_only) {
		model_answer(op, EROFS);
	} else if (f != NULL || op->node->file != NULL) {
		model_answer(op, model_file_resize(f != NULL ? f : op->node->file, op->size));
	} else {
		op->other = world.options.overwrite ? EINVAL : EPERM; /* or it has that size already */
		model_answer(op, 0);
	}
}

void model_release(struct handle_ *h)
{
	struct node *n = h->node;
	struct file *f = h->file;

	h->open = false;
	n->opens--;
	if (f == NULL)
		return;
	h->file = NULL;
	f->handles--;
	model_settle(f);
	model_file_unref(f);
}
