/* SPDX-License-Identifier: Apache-2.0
 *
 * One commit of a file is under way at a time; the others wait in the file. */
#include "tests/fuzz/operations/model/commit.h"

#include <errno.h>
#include <stdlib.h>

#include "backends/error.h"
#include "tests/fuzz/operations/model/file.h"
#include "tests/fuzz/operations/model/node.h"
#include "tests/fuzz/operations/model/op.h"
#include "tests/fuzz/operations/model/value.h"

static void commit_begin(struct op *op, struct file *f)
{
	op->commits = true;
	op->empties = false;
	op->file = f;
	f->refs++;
	op->new_name = f->node != NULL ? f->node->name : -1;
	if (!f->committing) {
		f->committing = true;
		model_enqueue(op);
		return;
	}
	struct op **end = &f->waiting;
	while (*end != NULL)
		end = &(*end)->next;
	*end = op;
	op->next = NULL;
	op->state = WAITING;
}

void model_settle(struct file *f)
{
	if (f->handles > 0 || f->node == NULL)
		return;
	f->closed = true;
	if (!model_node_is_key(f->node) || f->committing)
		return;
	if (f->bytes.len > 0 && model_file_dirty(f))
		commit_begin(model_op_own(OP_FLUSH), f);
	else
		model_file_detach(f, 0);
}

void model_commit_run(struct op *op)
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
	if (!model_value_loadable(&op->value))
		model_value_failed(op, EINVAL);
	else
		model_value_send(op);
}

void model_commit_finish(struct op *op, int code)
{
	struct file *f = op->file;
	struct node *n = f->node;

	if (code == 0 && op->sent) {
		f->old = op->value;
		if (n != NULL) {
			f->committed = op->generation;
			f->exists = true;
			model_node_touch(model_node_stored(op->new_name));
		}
	}
	bool kept = code == ECANCELED && op->kind == OP_FSYNC;
	if (code != 0 && n != NULL && !kept) {
		if (code == EEXIST && !n->stored) {
			n->stored = true;
			model_node_touch(n);
		}
		model_file_detach(f, code == ECANCELED ? EIO : error_errno(code));
	}
	if (code == 0) {
		free(f->held);
		f->held = NULL;
	}
	if (code != 0 && !kept)
		f->bytes.len = 0;
	model_answer(op, model_errno(code));
	struct op *next = f->waiting;
	f->committing = next != NULL;
	if (next != NULL) {
		f->waiting = next->next;
		model_enqueue(next);
	}
	model_settle(f);
	model_file_unref(f);
}

void model_flush_begin(struct op *op)
{
	struct file *f = op->handle->file;
	bool fsync = op->kind == OP_FSYNC;

	if (f == NULL || !op->handle->writes || f->refused != 0 || f->node == NULL || !model_node_is_key(f->node)) {
		model_answer(op, f != NULL && op->handle->writes ? f->refused : 0);
	} else if (!fsync && f->bytes.len == 0 && (!f->exists || model_file_dirty(f))) {
		op->empties = true;
		op->file = f;
		f->refs++;
		model_enqueue(op);
	} else if (!model_file_dirty(f) || (fsync && !f->data)) {
		model_answer(op, 0);
	} else if (!fsync && (f->opener != 0 ? op->owner != f->opener : f->writer != 0 && op->owner != f->writer)) {
		model_answer(op, 0);
	} else {
		if (!fsync)
			f->opener = 0;
		commit_begin(op, f);
	}
}

void model_empty_run(struct op *op)
{
	struct file *f = op->file;

	if (op->openers == OPENERS_CALLER)
		f->opener = op->owner;
	if (op->openers != OPENERS_NONE || f->handles != 1 || f->node == NULL || f->bytes.len != 0)
		return;
	model_value_failed(op, EINVAL);
	model_file_detach(f, EINVAL);
}

void model_empty_finish(struct op *op, int code)
{
	model_answer(op, model_errno(code));
	model_file_unref(op->file);
}
