/* SPDX-License-Identifier: Apache-2.0
 *
 * What a checked configuration consists of, for config*.c only. */
#ifndef KESFS_BACKENDS_CONFIG_PARTS_H
#define KESFS_BACKENDS_CONFIG_PARTS_H

#include "backends/config.h"
#include "backends/config_schema.h"
#include "backends/config_tree.h"

struct config_entry {
	bool there;                   /* a text, list or mapping, even if empty */
	int line, column;
	char *text;                   /* of a field that is not secret */
	struct secret secret;
	int64_t duration;
	char **items;
	size_t count;
};

struct config_map {
	char *file;
	int line, column;             /* of the section */
	const struct schema_store *store;
	struct config_entry *entries; /* one for each field of the store, in the order of the schema */
};

struct config_warn {
	void (*say)(const char *sentence, void *arg);     /* may be NULL */
	void *arg;
	bool said;                    /* about plain http: once is enough */
};

/* "keystore.vault.approle.id"; path NULL or "": of the section.  Lent from a buffer of the thread's own. */
const char *config_name(const struct schema_store *store, const char *path);
struct config_entry *config_entry(const struct config_map *map, const char *field);    /* NULL: not in the schema */

/* Choose the store, check everything below it, and fill map->store, entries and place; map->file is set. */
int config_check(const struct tree_node *root, struct config_warn *warn, struct config_map *map, struct error *err);
/* One section against the schema. */
int config_fill(const struct tree_node *section, struct config_warn *warn, struct config_map *map, struct error *err);
/* What a single field cannot say: logins that exclude each other, fields that belong together. */
int config_rules(const struct config_map *map, struct error *err);

#endif
