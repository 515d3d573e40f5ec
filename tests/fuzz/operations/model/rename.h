/* SPDX-License-Identifier: Apache-2.0
 *
 * A temporary file gets another name; if that is a key's, its bytes are stored. */
#ifndef KESFS_TESTS_FUZZ_OPERATIONS_MODEL_RENAME_H
#define KESFS_TESTS_FUZZ_OPERATIONS_MODEL_RENAME_H

#include "tests/fuzz/operations/world.h"

void model_rename_begin(struct op *op);
void model_rename_run(struct op *op);
void model_rename_got(struct op *op, int code, const struct bytes *value);    /* what the key was so far */
void model_rename_finish(struct op *op, int code);

#endif
