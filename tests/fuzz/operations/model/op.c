/* SPDX-License-Identifier: Apache-2.0
 *
 * An operation of which the model knows the answer, or that waits for its turn. */
#include "tests/fuzz/operations/model/op.h"

#include <stdlib.h>

#include "backends/error.h"
#include "tests/fuzz/operations/model.h"

static struct op *queue;

void *model_alloc(size_t size)
{
	void *p = calloc(1, size);

	CHECK(p != NULL);
	return p;
}

void model_answer(struct op *op, int code)
{
	if (op->done)                         /* interrupted */
		return;
	op->done = true;
	op->result = code;
}

int model_errno(int code)
{
	return code != 0 ? error_errno(code) : 0;
}

void model_enqueue(struct op *op)
{
	struct op **end = &queue;

	while (*end != NULL)
		end = &(*end)->next;
	*end = op;
	op->next = NULL;
	op->state = QUEUED;
}

struct op *model_queue_at(unsigned index)
{
	struct op *op = queue;

	while (index-- > 0)
		op = op->next;
	return op;
}

void model_dequeue(struct op *op)
{
	struct op **at = &queue;

	while (*at != op)
		at = &(*at)->next;
	*at = op->next;
	op->next = NULL;
}

unsigned model_queued(void)
{
	unsigned n = 0;

	for (struct op *op = queue; op != NULL; op = op->next)
		n++;
	return n;
}

struct op *model_op_own(enum op_kind kind)
{
	struct op *op = model_alloc(sizeof *op);

	op->kind = kind;
	op->done = op->answered = true;       /* nobody waits for it */
	op->all = world.ops;
	world.ops = op;
	return op;
}

void model_want(struct op *op, enum store_call call, int name, const struct bytes *value, const struct bytes *old)
{
	op->want.call = call;
	op->want.name = name;
	op->want.value.len = op->want.old.len = 0;
	if (value != NULL)
		op->want.value = *value;
	if (old != NULL)
		op->want.old = *old;
}
