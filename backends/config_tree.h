/* SPDX-License-Identifier: Apache-2.0
 *
 * YAML text as a tree whose nodes know their place.  Read once, checked, wiped. */
#ifndef KESFS_BACKENDS_CONFIG_TREE_H
#define KESFS_BACKENDS_CONFIG_TREE_H

#include <stdbool.h>
#include <stddef.h>

#include "backends/error.h"
#include "backends/secret.h"

enum tree_kind { TREE_TEXT, TREE_LIST, TREE_MAP };

struct tree_node {
	enum tree_kind kind;
	bool null;                    /* of a text: nothing, ~ or null, unquoted */
	bool merge;                   /* of a text: "<<", unquoted */
	bool open;                    /* while it is being read: an alias to it would be a circle */
	int line, column;             /* from 1 */
	char *text;
	size_t length;
	struct tree_node **items;     /* of a map: key, value, key, value */
	size_t count, room;
};

struct tree_anchor {
	char *name;
	struct tree_node *node;
};

struct tree {
	struct tree_node **nodes;     /* all of them: an alias is one more pointer to a node, never a copy */
	size_t count, room;
	struct tree_anchor *anchors;
	size_t anchor_count, anchor_room;
	struct tree_node *root;       /* NULL: no document */
};

/* The first document of a text.  file is for messages.  -EINVAL or -ENOMEM; *ret is to be freed in any case. */
int tree_read(const struct secret *text, const char *file, struct tree *ret, struct error *err);
void tree_free(struct tree *t);       /* wipes; accepts the zeroed one */

struct tree_pair {
	const struct tree_node *key, *value;
};
struct tree_pairs {
	struct tree_pair *pairs;      /* free() it */
	size_t count, room;
};

/* The members of a map, merge keys (<<) resolved: what a map says itself comes before what it merges, and of several
 * merged ones the first.  Refuses what is no text as a key, and a key that comes twice. */
int tree_pairs(const struct tree_node *map, const char *file, struct tree_pairs *ret, struct error *err);

/* "file:line:column: ..." */
int tree_error(const struct tree_node *at, const char *file, struct error *err, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
/* "a list", "a mapping", "a text", "nothing". */
const char *tree_kind_name(const struct tree_node *node);

#endif
