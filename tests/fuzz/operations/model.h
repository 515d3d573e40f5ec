/* SPDX-License-Identifier: Apache-2.0
 *
 * What a mount should do, by the rules of kesfs(1): a second opinion, without a line of fs/mount. */
#ifndef KESFS_TESTS_FUZZ_OPERATIONS_MODEL_H
#define KESFS_TESTS_FUZZ_OPERATIONS_MODEL_H

#include "tests/fuzz/operations/world.h"

void model_start(void);               /* the mount has listed the store */
void model_end(bool quiet);           /* quiet: nothing is open or queued, so that nothing may be left; frees all */

/* An operation before it is sent.  It is done, waits in the queue, or runs at once (AT_REST, QUEUED, RUNNING). */
void model_begin(struct op *op);
/* The job at this place of the queue is about to run, a call of the store has this result, the job has run. */
struct op *model_run(unsigned index);
void model_called(struct op *op, enum store_call call, int result, const struct bytes *got);
void model_ran(struct op *op);
unsigned model_queued(void);

void model_interrupted(struct op *op);
void model_refresh(void);             /* list anew */
void model_tick(void);                /* a minute has passed */
unsigned model_held(void);            /* keys that were removed for a file that is still open */
unsigned model_names(void);           /* of the keys that the mount shows: a bit for each */

/* What the kernel calls a node. */
void model_learn(struct node *n, uint64_t id);
uint64_t model_id(const struct node *n);
uint64_t model_size(const struct node *n, bool *ret_known);
bool model_open(const struct node *n);
/* Nodes that the kernel knows, neither open nor in its cache: each is forgotten. */
void model_forget(void (*forget)(uint64_t id, uint64_t count));

#endif
