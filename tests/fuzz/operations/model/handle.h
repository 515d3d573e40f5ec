/* SPDX-License-Identifier: Apache-2.0
 *
 * Open files: made, opened, read, written, cut, released. */
#ifndef KESFS_TESTS_FUZZ_OPERATIONS_MODEL_HANDLE_H
#define KESFS_TESTS_FUZZ_OPERATIONS_MODEL_HANDLE_H

#include "tests/fuzz/operations/world.h"

void model_create_begin(struct op *op);
void model_open_begin(struct op *op);
void model_open_finish(struct op *op, int code);
void model_bytes_begin(struct op *op);        /* OP_READ, OP_WRITE, OP_RESIZE */
void model_release(struct handle_ *h);

#endif
