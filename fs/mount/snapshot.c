/* SPDX-License-Identifier: Apache-2.0
 *
 * Names in one block, since there may be a million of them. */
#include "fs/mount/snapshot.h"

#include <stdlib.h>
#include <string.h>

struct filling {
	struct snapshot *snapshot;
	size_t used, count;
};

static void name_measure(struct tree *t, struct node *n, void *arg)
{
	struct filling *f = arg;

	if (n->stored && n->kind == NODE_KEY) {
		f->used += strlen(n->name) + 1;
		f->count++;
	}
}

static void name_fill(struct tree *t, struct node *n, void *arg)
{
	struct filling *f = arg;

	if (!n->stored || n->kind != NODE_KEY)
		return;
	size_t size = strlen(n->name) + 1;
	memcpy(f->snapshot->text + f->used, n->name, size);
	f->snapshot->offsets[f->count++] = (uint32_t)f->used;
	f->used += size;
}

struct snapshot *snapshot_new(struct tree *t)
{
	struct filling f = { 0 };
	struct snapshot *s = calloc(1, sizeof *s);

	if (s == NULL)
		return NULL;
	tree_each(t, name_measure, &f);
	s->refs = 1;
	s->count = f.count;
	s->offsets = malloc((f.count + 1) * sizeof *s->offsets);
	s->text = malloc(f.used + 1);
	if (s->offsets == NULL || s->text == NULL || f.used > UINT32_MAX) {
		snapshot_unref(s);
		return NULL;
	}
	f = (struct filling){ .snapshot = s };
	tree_each(t, name_fill, &f);
	return s;
}

void snapshot_unref(struct snapshot *s)
{
	if (s == NULL || --s->refs > 0)
		return;
	free(s->offsets);
	free(s->text);
	free(s);
}

const char *snapshot_name(const struct snapshot *s, size_t i)
{
	return s->text + s->offsets[i];
}
