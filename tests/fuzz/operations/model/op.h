/* SPDX-License-Identifier: Apache-2.0
 *
 * What the model does with an operation: answers it, queues it as a job of the mount's, says which call of the store must
 * come next. */
#ifndef KESFS_TESTS_FUZZ_OPERATIONS_MODEL_OP_H
#define KESFS_TESTS_FUZZ_OPERATIONS_MODEL_OP_H

#include "tests/fuzz/operations/world.h"

/* Zeroed.  Aborts without memory. */
void *model_alloc(size_t size);

/* The answer that is due, an errno or 0.  None, if an interrupt has answered before. */
void model_answer(struct op *op, int code);
/* What a program is told of a code of backend.h; 0 stays 0. */
int model_errno(int code);

/* The jobs in the order in which the mount has queued its own. */
void model_enqueue(struct op *op);            /* as the last */
void model_dequeue(struct op *op);            /* from any place */
struct op *model_queue_at(unsigned index);    /* index < model_queued() */

/* An operation of the mount's own, for whose answer nobody waits. */
struct op *model_op_own(enum op_kind kind);
/* The next call of the store that this operation makes must be this one.  NULL: it takes no such value. */
void model_want(struct op *op, enum store_call call, int name, const struct bytes *value, const struct bytes *old);

#endif
