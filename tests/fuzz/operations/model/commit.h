/* SPDX-License-Identifier: Apache-2.0
 *
 * Close and fsync: the bytes of a file reach the store, and the writer hears whether they did. */
#ifndef KESFS_TESTS_FUZZ_OPERATIONS_MODEL_COMMIT_H
#define KESFS_TESTS_FUZZ_OPERATIONS_MODEL_COMMIT_H

#include "tests/fuzz/operations/world.h"

void model_flush_begin(struct op *op);        /* OP_FLUSH, OP_FSYNC */

/* op->commits */
void model_commit_run(struct op *op);
void model_commit_finish(struct op *op, int code);

/* op->empties.  If nobody else has the file open, nothing is to be stored: an error, and what was there before stays. */
void model_empty_run(struct op *op);
void model_empty_finish(struct op *op, int code);

/* If nobody has it open any more: what was not stored yet is, or nothing if there is nothing. */
void model_settle(struct file *f);

#endif
