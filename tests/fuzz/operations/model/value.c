/* SPDX-License-Identifier: Apache-2.0
 *
 * Shared by commits and renames. */
#include "tests/fuzz/operations/model/value.h"

#include <errno.h>

#include "backends/key.h"
#include "tests/fuzz/operations/model/file.h"
#include "tests/fuzz/operations/model/held.h"
#include "tests/fuzz/operations/model/op.h"

bool model_value_loadable(const struct bytes *b)
{
	SECRET(value);
	struct key_info info;
	struct error why = ERROR_INIT;

	if (world.options.raw && b->len > 0)
		return true;
	CHECK(secret_append(&value, b->at, b->len) == 0);
	return key_parse(&value, &info, &why) == KEY_VALID;
}

void model_value_failed(struct op *op, int code)
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
		model_want(op, CALL_CREATE, op->held->name, &op->held->value, NULL);
}

/* Without -o overwrite only what this very file has created may be stored anew. */
void model_value_send(struct op *op)
{
	CHECK(!op->found || world.options.overwrite || (op->commits && op->file->fresh));
	if (op->found && bytes_same(&op->old, &op->value))
		op->sent = true;
	else if (op->interrupted)             /* before anything was sent */
		model_value_failed(op, ECANCELED);
	else
		model_want(op, op->found ? CALL_REPLACE : CALL_CREATE, op->new_name, &op->value, op->found ? &op->old : NULL);
}

void model_value_sent(struct op *op, int code)
{
	op->sent = code == 0;
	op->failed = code;
	if (code == ENOTRECOVERABLE)
		model_held_restore(model_held_new(op->new_name, 0, &op->old));
	if (code != 0)
		model_value_failed(op, code);
}
