/* SPDX-License-Identifier: Apache-2.0
 *
 * Entries in one block, since there may be a million of them.  The position of an entry is the offset that the kernel
 * comes back with after the one before it. */
#include "fs/mount/snapshot.h"

#include <dirent.h>
#include <linux/fuse.h>
#include <stdlib.h>
#include <string.h>

struct filling {
	struct snapshot *snapshot;
	size_t used, count;
};

static bool node_counts(const struct node *n)
{
	return n->stored && n->kind == NODE_KEY;
}

static size_t entry_size(const char *name)
{
	return FUSE_DIRENT_ALIGN(FUSE_NAME_OFFSET + strlen(name));
}

static void entry_measure(struct tree *t, struct node *n, void *arg)
{
	struct filling *f = arg;

	if (node_counts(n)) {
		f->used += entry_size(n->name);
		f->count++;
	}
}

static void entry_put(struct filling *f, uint64_t ino, unsigned type, const char *name)
{
	struct fuse_dirent *entry = (struct fuse_dirent *)(f->snapshot->bytes + f->used);
	size_t length = strlen(name), size = entry_size(name);

	*entry = (struct fuse_dirent){ .ino = ino, .off = f->count + 1, .namelen = (uint32_t)length, .type = type };
	memcpy(entry->name, name, length);
	memset(entry->name + length, 0, size - FUSE_NAME_OFFSET - length);
	f->used += size;
	f->snapshot->offsets[++f->count] = (uint32_t)f->used;
}

static void entry_fill(struct tree *t, struct node *n, void *arg)
{
	if (node_counts(n))
		entry_put(arg, n->ino, DT_REG, n->name);
}

struct snapshot *snapshot_new(struct tree *t, uint64_t dir)
{
	struct filling f = { .used = entry_size(".") + entry_size(".."), .count = 2 };
	struct snapshot *s = calloc(1, sizeof *s);

	if (s == NULL)
		return NULL;
	tree_each(t, entry_measure, &f);
	s->refs = 1;
	s->count = f.count;
	s->offsets = malloc((f.count + 1) * sizeof *s->offsets);
	s->bytes = malloc(f.used);
	if (s->offsets == NULL || s->bytes == NULL || f.used > UINT32_MAX) {
		snapshot_unref(s);
		return NULL;
	}
	f = (struct filling){ .snapshot = s };
	s->offsets[0] = 0;
	entry_put(&f, dir, DT_DIR, ".");
	entry_put(&f, dir, DT_DIR, "..");
	tree_each(t, entry_fill, &f);
	return s;
}

void snapshot_unref(struct snapshot *s)
{
	if (s == NULL || --s->refs > 0)
		return;
	free(s->offsets);
	free(s->bytes);
	free(s);
}

size_t snapshot_piece(const struct snapshot *s, size_t from, size_t size, const char **ret)
{
	if (from >= s->count)
		return 0;
	/* The last entry whose end fits lies between these two. */
	size_t low = from, high = s->count;
	while (low < high) {
		size_t middle = low + (high - low + 1) / 2;
		if (s->offsets[middle] - s->offsets[from] <= size)
			low = middle;
		else
			high = middle - 1;
	}
	*ret = s->bytes + s->offsets[from];
	return s->offsets[low] - s->offsets[from];
}

void snapshot_name(const struct snapshot *s, size_t i, char ret[static SNAPSHOT_NAME_SIZE])
{
	const struct fuse_dirent *entry = (const struct fuse_dirent *)(s->bytes + s->offsets[i]);

	memcpy(ret, entry->name, entry->namelen);
	ret[entry->namelen] = '\0';
}
