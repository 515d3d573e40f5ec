/* SPDX-License-Identifier: Apache-2.0
 *
 * Which part of the model an operation, a job or an answer of the store belongs to.  What the store holds is not modelled
 * but known: the model says which call must come next, and store.c what became of it. */
#include "tests/fuzz/operations/model.h"

#include <errno.h>

#include "tests/fuzz/operations/model/commit.h"
#include "tests/fuzz/operations/model/file.h"
#include "tests/fuzz/operations/model/handle.h"
#include "tests/fuzz/operations/model/held.h"
#include "tests/fuzz/operations/model/names.h"
#include "tests/fuzz/operations/model/node.h"
#include "tests/fuzz/operations/model/op.h"
#include "tests/fuzz/operations/model/rename.h"
#include "tests/fuzz/operations/model/unlink.h"
#include "tests/fuzz/operations/model/value.h"

void model_begin(struct op *op)
{
	switch (op->kind) {
	case OP_LOOKUP: model_lookup_begin(op); break;
	case OP_CREATE: model_create_begin(op); break;
	case OP_OPEN: model_open_begin(op); break;
	case OP_READ: case OP_WRITE: case OP_RESIZE: model_bytes_begin(op); break;
	case OP_GETATTR: model_getattr_begin(op); break;
	case OP_FLUSH: case OP_FSYNC: model_flush_begin(op); break;
	case OP_RELEASE: model_release(op->handle); model_answer(op, 0); break;
	case OP_UNLINK: model_unlink_begin(op); break;
	case OP_RENAME: model_rename_begin(op); break;
	default: CHECK(!"an operation of the kernel");
	}
}

struct op *model_run(unsigned index)
{
	struct op *op = model_queue_at(index);

	model_dequeue(op);
	op->state = RUNNING;
	if (op->commits)
		model_commit_run(op);
	else if (op->empties)
		model_empty_run(op);
	else if (op->kind == OP_OPEN || op->kind == OP_UNLINK)
		model_want(op, CALL_GET, op->name, NULL, NULL);
	else if (op->kind == OP_RENAME)
		model_rename_run(op);
	else if (op->kind == OP_RESTORE)
		model_restore_run(op);
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
		model_want(op, CALL_REMOVE, op->name, NULL, NULL);
	}
}

void model_called(struct op *op, enum store_call call, int result, const struct bytes *value)
{
	int code = -result;

	if (op->kind == OP_RESTORE)
		op->failed = code == EEXIST ? 0 : code;
	else if (op->failed != 0)
		model_held_returned(op, code);
	else if (op->kind == OP_RENAME && call == CALL_GET)
		model_rename_got(op, code, value);
	else if (call == CALL_GET)
		got(op, code, value);
	else if (call == CALL_REMOVE)
		op->failed = code;
	else
		model_value_sent(op, code);
}

static void finish(struct op *op, int code)
{
	op->state = AT_REST;
	if (op->commits)
		model_commit_finish(op, code);
	else if (op->empties)
		model_empty_finish(op, code);
	else if (op->kind == OP_OPEN)
		model_open_finish(op, code);
	else if (op->kind == OP_UNLINK)
		model_unlink_finish(op, code);
	else if (op->kind == OP_RENAME)
		model_rename_finish(op, code);
	else if (op->kind == OP_RESTORE)
		model_restore_finish(op);
	else
		model_listing_finish(op);
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
		model_dequeue(op);
		finish(op, ECANCELED);
	}
}

void model_tick(void)
{
	model_files_tick();
	model_held_tick();
}

void model_start(void)
{
	model_nodes_start();
}

void model_end(bool quiet)
{
	CHECK(model_queued() == 0);
	model_nodes_end(quiet);
	model_files_end(quiet);
	model_held_end();
}
