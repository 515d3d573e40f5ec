/* SPDX-License-Identifier: Apache-2.0
 *
 * A file down to the section of its one store. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "backends/config_parts.h"
#include "backends/config_value.h"

static const struct tree_pair *pair_find(const struct tree_pairs *p, const char *key)
{
	for (size_t i = 0; i < p->count; i++)
		if (strcmp(p->pairs[i].key->text, key) == 0)
			return &p->pairs[i];
	return NULL;
}

static int version_check(const struct tree_pairs *top, const char *file, struct error *err)
{
	const struct tree_pair *p = pair_find(top, "version");

	if (p == NULL || (p->value->kind == TREE_TEXT && (p->value->null || *p->value->text == '\0')))
		return 0;
	if (p->value->kind != TREE_TEXT)
		return tree_error(p->value, file, err, "version: found %s, expected v1", tree_kind_name(p->value));
	if (strcmp(p->value->text, "v1") != 0)
		return tree_error(p->value, file, err, "version: found '%s', expected v1", p->value->text);
	return 0;
}

/* Why there is no section "keystore": misspelt, or of a KES before v0.18, which called it "keys". */
static int keystore_missing(const struct tree_pairs *top, const struct tree_node *root, const char *file,
                            struct error *err)
{
	const struct tree_pair *keys = pair_find(top, "keys");

	if (keys != NULL && keys->value->kind == TREE_MAP)
		return tree_error(keys->key, file, err, "keys: the section of the store has been called 'keystore' "
		                  "since KES v0.18: rename it");
	for (size_t i = 0; i < top->count; i++) {
		struct guess g = { .word = top->pairs[i].key->text };
		guess_try(&g, "keystore");
		if (g.best != NULL)
			return tree_error(top->pairs[i].key, file, err, "%s: unknown, did you mean 'keystore'?",
			                  g.word);
	}
	return tree_error(root, file, err,
	                  "keystore: missing, expected a mapping that names one store, such as fs or vault");
}

static int store_unknown(const struct tree_node *key, const char *file, struct error *err)
{
	struct guess g = { .word = key->text };

	for (size_t i = 0; i < schema_store_count; i++)
		guess_try(&g, schema_stores[i].name);
	if (g.best != NULL)
		return tree_error(key, file, err, "keystore.%s: unknown, did you mean '%s'?", key->text, g.best);
	return tree_error(key, file, err, "keystore.%s: unknown, expected one of fs, vault, aws, gcp, azure, fortanix, "
	                  "gemalto, entrust, kes", key->text);
}

static bool nothing(const struct tree_node *n)
{
	return n->kind == TREE_TEXT && (n->null || *n->text == '\0');
}

/* The section of a store of two levels; *ret stays NULL if it is not there. */
static int inner_find(const struct schema_store *store, const struct tree_node *outer, const char *file,
                      const struct tree_node **ret, struct error *err)
{
	struct tree_pairs pairs;
	int r = tree_pairs(outer, file, &pairs, err);

	for (size_t i = 0; i < pairs.count && r == 0; i++) {
		const struct tree_node *key = pairs.pairs[i].key, *value = pairs.pairs[i].value;
		struct guess g = { .word = key->text };

		guess_try(&g, store->inner);
		if (strcmp(key->text, store->inner) != 0 && g.best != NULL)
			r = tree_error(key, file, err, "keystore.%s.%s: unknown, did you mean '%s'?", store->name,
			               key->text, g.best);
		else if (strcmp(key->text, store->inner) != 0)
			r = tree_error(key, file, err, "keystore.%s.%s: unknown, expected '%s'", store->name,
			               key->text, store->inner);
		else if (!nothing(value))
			*ret = value;
	}
	free(pairs.pairs);
	return r;
}

struct choice {
	const struct schema_store *store;
	const struct tree_node *key, *section, *hollow;       /* hollow: a store that is named, with nothing in it */
};

static int store_look(const struct tree_pair *p, const char *file, struct choice *c, struct error *err)
{
	const struct schema_store *store = schema_store_find(p->key->text);
	const struct tree_node *section = p->value;
	int r = 0;

	if (store == NULL)
		return store_unknown(p->key, file, err);
	if (!nothing(section) && section->kind != TREE_MAP)
		return tree_error(section, file, err, "keystore.%s: found %s, expected a mapping", store->name,
		                  tree_kind_name(section));
	if (!nothing(section) && store->inner != NULL) {
		const struct tree_node *outer = section;
		section = NULL;
		r = inner_find(store, outer, file, &section, err);
	}
	if (r != 0)
		return r;
	if (section == NULL || nothing(section)) {
		c->hollow = p->key;
		return 0;
	}
	if (section->kind != TREE_MAP)
		return tree_error(section, file, err, "%s: found %s, expected a mapping", config_name(store, ""),
		                  tree_kind_name(section));
	if (c->store != NULL)
		return tree_error(p->key, file, err, "keystore: found two stores, '%s' in line %d and '%s' in line %d, "
		                  "expected exactly one", c->store->name, c->key->line, store->name, p->key->line);
	*c = (struct choice){ store, p->key, section, c->hollow };
	return 0;
}

static int store_choose(const struct tree_pair *keystore, const char *file, struct choice *c, struct error *err)
{
	struct tree_pairs pairs;

	if (nothing(keystore->value))
		return tree_error(keystore->value, file, err,
		                  "keystore: empty, expected one store, such as fs or vault");
	if (keystore->value->kind != TREE_MAP)
		return tree_error(keystore->value, file, err,
		                  "keystore: found %s, expected a mapping that names one store, "
		                  "such as fs or vault", tree_kind_name(keystore->value));
	int r = tree_pairs(keystore->value, file, &pairs, err);
	for (size_t i = 0; i < pairs.count && r == 0; i++)
		r = store_look(&pairs.pairs[i], file, c, err);
	free(pairs.pairs);
	if (r != 0 || c->store != NULL)
		return r;
	if (c->hollow != NULL)
		return tree_error(c->hollow, file, err, "keystore.%s: empty, expected the fields of the store",
		                  c->hollow->text);
	return tree_error(keystore->value, file, err, "keystore: empty, expected one store, such as fs or vault");
}

static int top_check(const struct tree_pairs *top, const struct tree_node *root, struct config_warn *warn,
                     struct config_map *map, struct error *err)
{
	const struct tree_pair *keystore = pair_find(top, "keystore");
	struct choice c = { .store = NULL };

	int r = version_check(top, map->file, err);
	if (r == 0 && keystore == NULL)
		r = keystore_missing(top, root, map->file, err);
	if (r == 0)
		r = store_choose(keystore, map->file, &c, err);
	if (r != 0)
		return r;
	map->store = c.store;
	r = config_fill(c.section, warn, map, err);
	return r == 0 ? config_rules(map, err) : r;
}

int config_check(const struct tree_node *root, struct config_warn *warn, struct config_map *map, struct error *err)
{
	struct tree_pairs top;

	if (nothing(root))
		return error_set(err, EINVAL, "%s: empty, expected a KES configuration with a section 'keystore'",
		                 map->file);
	if (root->kind != TREE_MAP)
		return tree_error(root, map->file, err,
		                  "found %s, expected a KES configuration with a section 'keystore'",
		                  tree_kind_name(root));
	int r = tree_pairs(root, map->file, &top, err);
	if (r == 0)
		r = top_check(&top, root, warn, map, err);
	free(top.pairs);
	return r;
}
