/* SPDX-License-Identifier: Apache-2.0
 *
 * Only temporary files are renamed: to another temporary name at once, to a key by a job that stores the bytes. */
#include "tests/fuzz/operations/model/rename.h"

#include <errno.h>
#include <stdlib.h>

#include "tests/fuzz/operations/model/commit.h"
#include "tests/fuzz/operations/model/file.h"
#include "tests/fuzz/operations/model/held.h"
#include "tests/fuzz/operations/model/names.h"
#include "tests/fuzz/operations/model/node.h"
#include "tests/fuzz/operations/model/op.h"
#include "tests/fuzz/operations/model/value.h"

static int rename_temporary(struct node *n, int name, bool noreplace)
{
	struct node *old = model_node_at(name);

	if (old != NULL && noreplace)
		return EEXIST;
	if (old != NULL && old->file != NULL && old->file->committing)
		return EBUSY;
	if (old != NULL && old->file != NULL) {
		struct file *f = old->file;
		f->refs++;
		model_file_detach(f, 0);
		f->bytes.len = 0;
		model_file_unref(f);
	}
	model_node_rename(n, name);
	return 0;
}

static int rename_refusal(const struct node *target, bool noreplace)
{
	if (world.read_only)
		return EROFS;
	if (target == NULL)
		return 0;
	if (model_undecided(target))
		return EBUSY;
	if (!target->stored)
		return 0;
	return noreplace ? EEXIST : world.options.overwrite ? 0 : EPERM;
}

void model_rename_begin(struct op *op)
{
	struct node *n = model_node_at(op->name), *target = model_node_at(op->new_name);
	bool noreplace = op->flags & 1;
	int code = 0;

	if (n == NULL || (!n->stored && n->file == NULL))
		code = ENOENT;
	else if (model_node_is_key(n))
		code = EXDEV;
	else if (n->file->committing)
		code = EBUSY;
	else if (op->new_name >= KEYS) {
		model_answer(op, rename_temporary(n, op->new_name, noreplace));
		return;
	} else {
		code = rename_refusal(target, noreplace);
	}
	op->found = target != NULL && target->stored;
	struct held *held = code == 0 && !op->found ? model_held_take(op->new_name, op->pid) : NULL;
	if (held != NULL && !world.options.overwrite) {
		model_held_restore(held);
		code = EPERM;
	}
	if (code != 0) {
		model_answer(op, code);
		return;
	}
	op->held = held;
	op->node = n;
	n->opens++;
	op->file = n->file;
	op->file->committing = true;
	op->file->refs++;
	model_enqueue(op);
}

void model_rename_run(struct op *op)
{
	op->value = op->file->bytes;
	op->generation = op->file->generation;
	if (!model_value_loadable(&op->value))
		model_value_failed(op, EINVAL);
	else if (op->found)
		model_want(op, CALL_GET, op->new_name, NULL, NULL);
	else
		model_value_send(op);
}

void model_rename_got(struct op *op, int code, const struct bytes *value)
{
	if (code == 0)
		op->old = *value;
	if (code == 0 || code == ENOENT) {
		op->found = code == 0;
		model_value_send(op);
	} else {
		model_value_failed(op, code);
	}
}

static void node_renamed(struct op *op)
{
	struct node *n = op->node, *old = model_node_at(op->new_name);
	struct file *f = op->file;

	if (old != NULL && old->file != NULL)
		model_file_detach(old->file, ESTALE);
	if (old != NULL)
		model_node_unlink(old);
	if (!n->linked || f->node == NULL) {
		/* Its writer failed meanwhile; the key is there all the same. */
		model_node_touch(model_node_stored(op->new_name));
		return;
	}
	model_node_rename(n, op->new_name);
	n->stored = true;
	model_node_touch(n);
	f->exists = true;
	f->committed = op->generation;
	f->old = op->value;
}

void model_rename_finish(struct op *op, int code)
{
	struct file *f = op->file;

	if (code != 0)
		model_held_restore(op->held);
	else
		free(op->held);
	op->held = NULL;
	f->committing = false;
	if (code == 0)
		node_renamed(op);
	if (code == EEXIST && !op->found)
		model_listing_need();
	op->node->opens--;
	model_answer(op, model_errno(code));
	model_settle(f);
	model_file_unref(f);
}
