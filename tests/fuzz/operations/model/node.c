/* SPDX-License-Identifier: Apache-2.0
 *
 * The nodes are never freed before the end: the kernel may know one long after its name has gone. */
#include "tests/fuzz/operations/model/node.h"

#include <stdlib.h>
#include <string.h>

#include "tests/fuzz/operations/model.h"
#include "tests/fuzz/operations/model/op.h"

static struct {
	struct node *all, *at[NAMES];
	unsigned clock;
} nodes;

struct node *model_node_at(int name)
{
	return nodes.at[name];
}

unsigned model_clock_next(void)
{
	return ++nodes.clock;
}

struct node *model_node_new(int name)
{
	struct node *n = model_alloc(sizeof *n);

	n->name = name;
	n->linked = true;
	n->all = nodes.all;
	nodes.all = n;
	return nodes.at[name] = n;
}

void model_node_unlink(struct node *n)
{
	n->stored = false;
	if (n->linked)
		nodes.at[n->name] = NULL;
	n->linked = false;
}

struct node *model_node_stored(int name)
{
	struct node *n = model_node_at(name) != NULL ? model_node_at(name) : model_node_new(name);

	n->stored = true;
	return n;
}

void model_node_forgotten(struct node *n)
{
	if (n->file != NULL)
		n->stored = false;
	else
		model_node_unlink(n);
}

void model_node_rename(struct node *n, int name)
{
	nodes.at[n->name] = NULL;
	n->name = name;
	nodes.at[name] = n;
}

void model_node_touch(struct node *n)
{
	n->touched = model_clock_next();
}

bool model_node_is_key(const struct node *n)
{
	return n->name < KEYS;
}

void model_learn(struct node *n, uint64_t id)
{
	for (struct node *o = nodes.all; o != NULL; o = o->all)
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

void model_forget(void (*forget)(uint64_t id, uint64_t count))
{
	for (struct node *n = nodes.all; n != NULL; n = n->all) {
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

void model_nodes_start(void)
{
	memset(&nodes, 0, sizeof nodes);
	for (int i = 0; i < KEYS; i++)
		if (store_has(i) != NULL)
			model_node_stored(i);
}

void model_nodes_end(bool quiet)
{
	for (struct node *n = nodes.all, *next; n != NULL; n = next) {
		next = n->all;
		CHECK(!quiet || n->opens == 0);
		free(n);
	}
}
