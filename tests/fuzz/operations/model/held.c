/* SPDX-License-Identifier: Apache-2.0
 *
 * Held first, then lost, then tried again until it is back. */
#include "tests/fuzz/operations/model/held.h"

#include <errno.h>
#include <stdlib.h>

#include "tests/fuzz/operations/model/node.h"
#include "tests/fuzz/operations/model/op.h"

static struct held *list;

struct held *model_held_new(int name, unsigned pid, const struct bytes *value)
{
	struct held *h = model_alloc(sizeof *h);

	h->name = name;
	h->pid = pid;
	h->value = *value;
	return h;
}

static void held_remove(struct held *h)
{
	struct held **p = &list;

	while (*p != h)
		p = &(*p)->next;
	*p = h->next;
}

static void held_add(struct held *h)
{
	h->next = list;
	list = h;
}

void model_held_keep(struct held *h)
{
	for (struct held *o = list; o != NULL; o = o->next)
		if (!o->lost && o->name == h->name) {
			held_remove(o);
			free(o);
			break;
		}
	held_add(h);
}

struct held *model_held_take(int name, unsigned pid)
{
	for (struct held *h = list; h != NULL; h = h->next)
		if (!h->lost && h->name == name && h->pid == pid) {
			held_remove(h);
			return h;
		}
	return NULL;
}

static void restore_start(struct held *h)
{
	struct op *op = model_op_own(OP_RESTORE);

	h->busy = true;
	op->held = h;
	model_enqueue(op);
}

void model_held_restore(struct held *h)
{
	if (h == NULL)
		return;
	h->lost = true;
	held_add(h);
	restore_start(h);
}

static void held_back(struct held *h)
{
	model_node_touch(model_node_stored(h->name));
	free(h);
}

void model_held_returned(struct op *op, int code)
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

void model_restore_run(struct op *op)
{
	model_want(op, CALL_CREATE, op->held->name, &op->held->value, NULL);
}

void model_restore_finish(struct op *op)
{
	op->held->busy = false;
	if (op->failed != 0)
		return;
	held_remove(op->held);
	held_back(op->held);
}

void model_held_tick(void)
{
	struct held *due = NULL;

	for (struct held *h = list, *next; h != NULL; h = next) {
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

void model_held_end(void)
{
	for (struct held *h = list, *next; h != NULL; h = next) {
		next = h->next;
		free(h);
	}
	list = NULL;
}
