/* SPDX-License-Identifier: Apache-2.0
 *
 * A temporary file goes at once, a key with two calls: its value is read first, for it may have to come back. */
#include "tests/fuzz/operations/model/unlink.h"

#include <errno.h>

#include "tests/fuzz/operations/model/file.h"
#include "tests/fuzz/operations/model/held.h"
#include "tests/fuzz/operations/model/node.h"
#include "tests/fuzz/operations/model/op.h"

void model_unlink_begin(struct op *op)
{
	struct node *n = model_node_at(op->name);

	if (n == NULL || (!n->stored && n->file == NULL)) {
		model_answer(op, ENOENT);
	} else if (!n->stored && !n->file->committing) {
		struct file *f = n->file;
		model_held_restore(f->held);
		f->held = NULL;
		model_file_detach(f, 0);
		f->bytes.len = 0;
		model_answer(op, 0);
	} else if (!model_node_is_key(n)) {
		model_answer(op, EBUSY);
	} else if (world.read_only || !world.options.remove) {
		model_answer(op, world.read_only ? EROFS : EPERM);
	} else {
		model_enqueue(op);
	}
}

void model_unlink_finish(struct op *op, int code)
{
	struct node *n = model_node_at(op->name);

	if (code == 0 || code == ENOENT) {
		if (n != NULL && n->file != NULL) {
			n->stored = false;
		} else {
			if (n != NULL)
				model_node_unlink(n);
			n = model_node_new(op->name);
		}
		model_node_touch(n);
	}
	if (code == 0 && op->loaded && op->value.len > 0)
		model_held_keep(model_held_new(op->name, op->pid, &op->value));
	model_answer(op, model_errno(code));
}
