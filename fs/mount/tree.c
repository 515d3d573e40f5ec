/* SPDX-License-Identifier: Apache-2.0
 *
 * A hash table of nodes by name, and a list of them in the order in which they became known.  A node that is taken from
 * its name, because the key was removed, stays alive for those who hold it; a new key of that name gets a new node. */
#include "fs/mount/tree.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "fs/mount/volume_inside.h"

enum { BUCKETS_FIRST = 64 };

static void list_put(struct node_list *l, struct node *n)
{
	n->older = l->newest;
	n->newer = NULL;
	*(l->newest != NULL ? &l->newest->newer : &l->oldest) = n;
	l->newest = n;
}

static void list_remove(struct node_list *l, struct node *n)
{
	*(n->older != NULL ? &n->older->newer : &l->oldest) = n->newer;
	*(n->newer != NULL ? &n->newer->older : &l->newest) = n->older;
}

static uint64_t hash_text(uint64_t h, const char *text)
{
	for (; *text != '\0'; text++)
		h = (h ^ (unsigned char)*text) * UINT64_C(0x100000001b3);
	return (h ^ 0xff) * UINT64_C(0x100000001b3);
}

static size_t bucket_of(const struct tree *t, const char *name)
{
	uint64_t h = hash_text(UINT64_C(0xcbf29ce484222325), name);

	return (size_t)(h ^ h >> 32) & (t->bucket_count - 1);
}

uint64_t node_number(const struct volume *v, enum node_kind kind, const char *name)
{
	uint64_t h = hash_text(UINT64_C(0xcbf29ce484222325), v != NULL ? v->identity : "");

	h = hash_text(h ^ (kind == NODE_INFO ? 0x5a : kind >= NODE_CONTROL ? kind : 0), name);
	return h < 16 ? h + 16 : h;
}

int tree_init(struct tree *t)
{
	*t = (struct tree){ .bucket_count = BUCKETS_FIRST };
	t->buckets = calloc(t->bucket_count, sizeof(struct node *));
	return t->buckets != NULL ? 0 : -ENOMEM;
}

static void node_free(struct node *n)
{
	free(n->local);
	free(n->name);
	free(n);
}

static void list_free(struct node_list *l)
{
	for (struct node *n = l->oldest, *newer; n != NULL; n = newer) {
		newer = n->newer;
		node_free(n);
	}
}

void tree_clear(struct tree *t)
{
	list_free(&t->names);
	list_free(&t->orphans);
	free(t->buckets);
	*t = (struct tree){ 0 };
}

struct node *tree_find(struct tree *t, const char *name, bool info)
{
	for (struct node *n = t->buckets[bucket_of(t, name)]; n != NULL; n = n->next)
		if ((n->kind == NODE_INFO) == info && strcmp(n->name, name) == 0)
			return n;
	return NULL;
}

static void bucket_put(struct tree *t, struct node *n)
{
	struct node **bucket = &t->buckets[bucket_of(t, n->name)];

	n->next = *bucket;
	*bucket = n;
}

/* Twice as many buckets; without memory the old ones do, only slower. */
static void tree_grow(struct tree *t)
{
	size_t count = 2 * t->bucket_count;
	struct node **buckets = calloc(count, sizeof(struct node *));

	if (buckets == NULL)
		return;
	free(t->buckets);
	t->buckets = buckets;
	t->bucket_count = count;
	for (struct node *n = t->names.oldest; n != NULL; n = n->newer)
		bucket_put(t, n);
}

static void node_link(struct tree *t, struct node *n)
{
	if (t->count >= t->bucket_count)
		tree_grow(t);
	bucket_put(t, n);
	list_put(&t->names, n);
	n->linked = true;
	t->count++;
}

struct node *tree_add(struct tree *t, struct volume *v, enum node_kind kind, const char *name)
{
	struct node *n = calloc(1, sizeof *n);

	if (n == NULL || (n->name = strdup(name)) == NULL) {
		free(n);
		return NULL;
	}
	n->volume = v;
	n->kind = kind;
	n->file = kind == NODE_KEY || kind == NODE_TEMPORARY;
	n->created = n->changed = -1;
	n->seen = time(NULL);
	n->ino = node_number(v, kind, name);
	node_link(t, n);
	return n;
}

static void node_unlink(struct tree *t, struct node *n)
{
	struct node **p = &t->buckets[bucket_of(t, n->name)];

	while (*p != n)
		p = &(*p)->next;
	*p = n->next;
	n->next = NULL;
	list_remove(&t->names, n);
	n->linked = false;
	t->count--;
}

void tree_unlink(struct tree *t, struct node *n)
{
	tree_stored(t, n, false);
	if (!n->linked)
		return;
	node_unlink(t, n);
	list_put(&t->orphans, n);
}

void tree_rename(struct tree *t, struct node *n, enum node_kind kind, char *name)
{
	node_unlink(t, n);
	free(n->name);
	n->name = name;
	n->kind = kind;
	n->ino = node_number(n->volume, kind, name);
	node_link(t, n);
}

void tree_stored(struct tree *t, struct node *n, bool stored)
{
	if (n->stored != stored) {
		n->stored = stored;
		t->stored += stored ? 1 : (size_t)-1;
	}
}

void node_settle(struct tree *t, struct node *n)
{
	if (n->fixed || n->opens > 0 || n->lookups > 0 || n->stored || n->staged != NULL)
		return;
	if (n->linked) {
		/* A key that we removed leaves its node behind for a while: a listing that began before must not
		 * bring the name back.  So does a name that the store was asked for in vain. */
		if (n->kind == NODE_KEY && (n->touched != 0 || n->asked != 0))
			return;
		node_unlink(t, n);
	} else {
		list_remove(&t->orphans, n);
	}
	node_free(n);
}

void tree_each(struct tree *t, void (*each)(struct tree *t, struct node *n, void *arg), void *arg)
{
	for (struct node *n = t->names.oldest, *newer; n != NULL; n = newer) {
		newer = n->newer;
		each(t, n, arg);
	}
}

int64_t node_mtime(const struct node *n)
{
	return n->changed >= 0 ? n->changed : n->created >= 0 ? n->created : n->seen;
}
