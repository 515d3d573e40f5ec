/* SPDX-License-Identifier: Apache-2.0
 *
 * What is being written has a file, shared by all who write it. */
#ifndef KESFS_TESTS_FUZZ_OPERATIONS_MODEL_FILE_H
#define KESFS_TESTS_FUZZ_OPERATIONS_MODEL_FILE_H

#include "tests/fuzz/operations/world.h"

struct file {
	struct file *all;
	struct node *node;            /* NULL: no name leads to it any more */
	struct bytes bytes, old;
	bool exists;                  /* the store has old */
	bool data;                    /* written or cut, not only opened */
	bool fresh;                   /* made by this open file: needs no overwrite */
	bool committing, closed;      /* closed: by all who had it open */
	unsigned generation, committed;       /* they differ: the store does not have bytes */
	unsigned handles, refs;       /* open files; these and jobs */
	int refused;                  /* errno; the bytes are gone */
	uint64_t opener, writer;      /* lock owners: of whoever still has a copy of the handle, of the last write */
	struct op *waiting;           /* commits, one after the other */
	struct held *held;
};

struct file *model_file_new(struct node *n);
/* No name leads to it any more; if refused is not 0, whoever still has it open hears that.  A node that the store does
 * not have goes with it.  The bytes stay. */
void model_file_detach(struct file *f, int refused);
/* One handle or job less.  With the last one of a detached file the key that was removed for it comes back. */
void model_file_unref(struct file *f);

/* 0, or an errno. */
int model_file_resize(struct file *f, size_t size);
int model_file_write(struct file *f, const struct op *op);

bool model_file_dirty(const struct file *f);          /* a name leads to bytes that the store does not have */
bool model_undecided(const struct node *n);           /* a key, of which readers do not know yet what it will be */

void model_files_tick(void);                  /* temporary files that nobody has open go */
void model_files_end(bool quiet);             /* as model_end() */

#endif
