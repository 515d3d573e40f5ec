/* SPDX-License-Identifier: Apache-2.0
 *
 * A name is removed, and the key kept for a moment, as its process may be about to write it anew. */
#ifndef KESFS_TESTS_FUZZ_OPERATIONS_MODEL_UNLINK_H
#define KESFS_TESTS_FUZZ_OPERATIONS_MODEL_UNLINK_H

#include "tests/fuzz/operations/world.h"

void model_unlink_begin(struct op *op);
void model_unlink_finish(struct op *op, int code);

#endif
