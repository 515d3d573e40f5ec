/* SPDX-License-Identifier: Apache-2.0
 *
 * The names of a directory as one opendir saw them: shared while the table is unchanged, counted, never changed. */
#ifndef KESFS_FS_MOUNT_SNAPSHOT_H
#define KESFS_FS_MOUNT_SNAPSHOT_H

#include <stddef.h>
#include <stdint.h>

#include "fs/mount/tree.h"

struct snapshot {
	unsigned refs;                /* guarded by the volume's lock */
	size_t count;
	uint32_t *offsets;            /* of each name in text */
	char *text;
};

/* The keys that are in the store.  NULL: no memory. */
struct snapshot *snapshot_new(struct tree *t);
void snapshot_unref(struct snapshot *s);      /* accepts NULL */
const char *snapshot_name(const struct snapshot *s, size_t i);

#endif
