/* SPDX-License-Identifier: Apache-2.0
 *
 * The names of a directory as one opendir saw them: shared while the table is unchanged, counted, never changed.  They
 * are kept as READDIR answers them, "." and ".." first, so that an answer is a piece of what is there already. */
#ifndef KESFS_FS_MOUNT_SNAPSHOT_H
#define KESFS_FS_MOUNT_SNAPSHOT_H

#include <stddef.h>
#include <stdint.h>

#include "fs/mount/tree.h"

enum { SNAPSHOT_NAME_SIZE = 256 };

struct snapshot {
	unsigned refs;                /* guarded by the volume's lock */
	size_t count;
	uint32_t *offsets;            /* of each entry in bytes, and of the end */
	char *bytes;
};

/* The keys that are in the store; dir: the number that "." and ".." show.  NULL: no memory. */
struct snapshot *snapshot_new(struct tree *t, uint64_t dir);
void snapshot_unref(struct snapshot *s);      /* accepts NULL */
/* As many entries as fit into size, from the one at position from (0 is "."); returns their length, 0 at the end. */
size_t snapshot_piece(const struct snapshot *s, size_t from, size_t size, const char **ret);
/* The name at a position below count. */
void snapshot_name(const struct snapshot *s, size_t i, char ret[static SNAPSHOT_NAME_SIZE]);

#endif
