/* SPDX-License-Identifier: Apache-2.0
 *
 * A key that was removed, or that a failed replace has lost, and that may come back. */
#ifndef KESFS_TESTS_FUZZ_OPERATIONS_MODEL_HELD_H
#define KESFS_TESTS_FUZZ_OPERATIONS_MODEL_HELD_H

#include "tests/fuzz/operations/world.h"

struct held {
	struct held *next;
	int name;
	unsigned pid;
	struct bytes value;
	bool lost;                    /* must come back; else it may be taken, or runs out */
	bool busy;                    /* a job is about to try */
};

struct held *model_held_new(int name, unsigned pid, const struct bytes *value);
/* After the removal, in the place of an older one of that name; takes h over. */
void model_held_keep(struct held *h);
/* The one that this process has removed, out of the list and the caller's; NULL: none. */
struct held *model_held_take(int name, unsigned pid);

/* It comes back in the background, by an OP_RESTORE; takes h over, accepts NULL. */
void model_held_restore(struct held *h);
void model_restore_run(struct op *op);
void model_restore_finish(struct op *op);
/* The operation that failed has tried to put op->held back itself.  If that failed too, it is tried again later. */
void model_held_returned(struct op *op, int code);

void model_held_tick(void);                   /* those that nobody took go; of the lost ones one is tried */
void model_held_end(void);                    /* frees all */

#endif
