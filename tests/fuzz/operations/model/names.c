/* SPDX-License-Identifier: Apache-2.0
 *
 * A listing says what was there some time while it ran; a change of our own since it began counts more. */
#include "tests/fuzz/operations/model/names.h"

#include <errno.h>

#include "tests/fuzz/operations/model.h"
#include "tests/fuzz/operations/model/file.h"
#include "tests/fuzz/operations/model/node.h"
#include "tests/fuzz/operations/model/op.h"

static struct {
	bool running, again;          /* false at the end of each input: then no job is left */
	unsigned began;
} listing;

void model_lookup_begin(struct op *op)
{
	struct node *n = model_node_at(op->name);

	if (n == NULL || n->file == NULL) {
		if (op->name < KEYS && world.local && store_has(op->name) != NULL)
			n = model_node_stored(op->name);
		else if (op->name < KEYS && world.local && n != NULL && n->stored)
			model_node_forgotten(n);
		n = model_node_at(op->name);
	}
	op->node = n != NULL && (n->file != NULL || n->stored) ? n : NULL;
	model_answer(op, op->node != NULL ? 0 : ENOENT);
}

void model_getattr_begin(struct op *op)
{
	struct node *n = op->node;
	int code = 0;

	if (model_node_is_key(n) && n->linked && !model_undecided(n) && world.local) {
		if (store_has(n->name) != NULL)
			n->stored = true;
		else if (n->opens == 0 && n->file == NULL && n->touched == 0)
			code = ENOENT;
	}
	model_answer(op, code);
}

unsigned model_names(void)
{
	unsigned found = 0;

	for (int i = 0; i < KEYS; i++)
		if (model_node_at(i) != NULL && model_node_at(i)->stored)
			found |= 1u << i;
	return found;
}

static void listing_start(void)
{
	listing.running = true;
	listing.began = model_clock_next();
	model_enqueue(model_op_own(OP_LISTING));
}

void model_listing_need(void)
{
	if (!listing.running)
		listing_start();
}

void model_refresh(void)
{
	if (listing.running)
		listing.again = true;
	else
		listing_start();
}

void model_listing_finish(struct op *op)
{
	for (int i = 0; i < KEYS; i++) {
		struct node *n = model_node_at(i);
		bool listed = op->flags & 1u << i;
		if (n != NULL && n->touched != 0 && n->touched >= listing.began)
			continue;             /* what we did meanwhile counts more */
		if (listed)
			n = model_node_stored(i);
		else if (n != NULL && n->stored)
			model_node_forgotten(n);
		if (n != NULL)
			n->touched = 0;
	}
	listing.running = false;
	if (listing.again)
		listing_start();
	listing.again = false;
}
