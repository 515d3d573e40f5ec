/* SPDX-License-Identifier: Apache-2.0
 *
 * Which names there are: looked up, asked for their attributes, listed. */
#ifndef KESFS_TESTS_FUZZ_OPERATIONS_MODEL_NAMES_H
#define KESFS_TESTS_FUZZ_OPERATIONS_MODEL_NAMES_H

#include "tests/fuzz/operations/world.h"

void model_lookup_begin(struct op *op);
void model_getattr_begin(struct op *op);

/* The store has contradicted us: list it, unless a listing is under way. */
void model_listing_need(void);
void model_listing_finish(struct op *op);     /* op->flags: a bit for each key that was listed */

#endif
