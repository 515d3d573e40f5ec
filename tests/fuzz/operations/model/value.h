/* SPDX-License-Identifier: Apache-2.0
 *
 * A value on its way into the store, and what follows if it does not arrive. */
#ifndef KESFS_TESTS_FUZZ_OPERATIONS_MODEL_VALUE_H
#define KESFS_TESTS_FUZZ_OPERATIONS_MODEL_VALUE_H

#include "tests/fuzz/operations/world.h"

/* A KES server would load it as a key; with -o raw, anything but nothing. */
bool model_value_loadable(const struct bytes *b);
/* op->value in the place of op->old, or as a new key unless op->found.  The same once more is not sent. */
void model_value_send(struct op *op);
void model_value_sent(struct op *op, int code);
/* With this code.  The old value of a key that was removed for this file comes back first. */
void model_value_failed(struct op *op, int code);

#endif
