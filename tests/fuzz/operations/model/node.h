/* SPDX-License-Identifier: Apache-2.0
 *
 * A key or temporary file has a node, from when the mount first knows of it. */
#ifndef KESFS_TESTS_FUZZ_OPERATIONS_MODEL_NODE_H
#define KESFS_TESTS_FUZZ_OPERATIONS_MODEL_NODE_H

#include "tests/fuzz/operations/world.h"

struct node {
	struct node *all;
	int name;
	uint64_t id, lookups;         /* id: as long as lookups > 0 */
	bool linked, stored;          /* stored: as the mount believes */
	unsigned touched;             /* when we changed it ourselves; 0: long ago */
	unsigned opens;               /* open files and requests on their way */
	struct file *file;            /* NULL: nobody writes it */
};

void model_nodes_start(void);                 /* one for each key in the store */
void model_nodes_end(bool quiet);             /* as model_end() */

struct node *model_node_at(int name);         /* NULL: none has that name */
struct node *model_node_new(int name);        /* the name leads to it from now on */
bool model_node_is_key(const struct node *n); /* or else a temporary file */

/* The store has a key of that name: its node, a new one if there was none. */
struct node *model_node_stored(int name);
/* Somebody else has removed it. */
void model_node_forgotten(struct node *n);
/* The store has it no more, and its name does not lead to it. */
void model_node_unlink(struct node *n);
/* The name leads to this one, whatever it has led to before. */
void model_node_rename(struct node *n, int name);
/* We have changed it ourselves just now: a listing that began before says nothing about it. */
void model_node_touch(struct node *n);
/* The time of now, later than each before. */
unsigned model_clock_next(void);

#endif
