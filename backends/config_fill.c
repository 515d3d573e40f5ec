/* SPDX-License-Identifier: Apache-2.0
 *
 * One section against the schema: every field that is there has its kind, none is unknown, none that is needed is
 * missing. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/config_env.h"
#include "backends/config_parts.h"
#include "backends/config_value.h"

enum { PATH_TEXT_MAX = 160, ITEMS_MAX = 1000 };

struct fill {
	struct config_map *map;
	struct config_warn *warn;
	struct error *err;
};

static int fault(struct fill *f, const struct tree_node *at, const char *path, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

static int fault(struct fill *f, const struct tree_node *at, const char *path, const char *fmt, ...)
{
	struct error e = ERROR_INIT;
	va_list ap;

	va_start(ap, fmt);
	error_setv(&e, EINVAL, fmt, ap);
	va_end(ap);
	return tree_error(at, f->map->file, f->err, "%s: %s", config_name(f->map->store, path), e.text);
}

static int no_memory(struct fill *f)
{
	return error_set(f->err, ENOMEM, "no memory for the configuration");
}

static int unknown(struct fill *f, const struct tree_node *key, const char *parent, const char *path)
{
	const struct schema_store *store = f->map->store;
	struct guess g = { .word = key->text };
	char all[400] = "";
	size_t used = 0;

	for (size_t i = 0; i < store->count; i++) {
		const struct schema_field *field = &store->fields[i];
		if (!schema_child(field, parent) || field->type == SCHEMA_IGNORED || field->type == SCHEMA_RENAMED)
			continue;
		guess_try(&g, schema_leaf(field->path));
		used += (size_t)snprintf(all + used, sizeof all - used, "%s%s", used > 0 ? ", " : "",
		                         schema_leaf(field->path));
	}
	if (g.best != NULL)
		return fault(f, key, path, "unknown, did you mean '%s'?", g.best);
	return fault(f, key, path, "unknown, expected %s%s", strchr(all, ',') != NULL ? "one of " : "", all);
}

/* The text of a node with a reference to the environment replaced; *ret_name is the variable's, for messages. */
static int text_resolve(struct fill *f, const struct tree_node *n, const char *path, struct secret *ret,
                        char ret_name[static 64])
{
	const char *name;
	int length, r;

	*ret_name = '\0';
	if (memchr(n->text, '\0', n->length) != NULL)
		return fault(f, n, path, "has a zero byte in it");
	if (!config_env_reference(n->text, &name, &length)) {
		r = secret_append(ret, n->text, n->length);
		return r != 0 ? no_memory(f) : 0;
	}
	char *copy = strndup(name, (size_t)length);
	if (copy == NULL)
		return no_memory(f);
	r = config_env(copy, ret);
	snprintf(ret_name, 64, "%s", copy);
	if (r == -ENOENT)
		r = fault(f, n, path, "the environment variable '%s' is not set", copy);
	else if (r != 0)
		r = fault(f, n, path, "the environment variable '%s' cannot be held in locked memory", copy);
	free(copy);
	return r;
}

static int address_check(struct fill *f, const struct tree_node *n, const struct schema_field *field, const char *text)
{
	const char *host, *wrong = value_url(text, field->type == SCHEMA_URL);
	int length;

	if (wrong != NULL)
		return fault(f, n, field->path, "%s, expected %s", wrong, field->expected);
	if (value_plain(text, &host, &length) && f->warn->say != NULL && !f->warn->said) {
		struct error e = ERROR_INIT;
		error_set(&e, EINVAL,
		          "%s:%d:%d: %s: keys and passwords cross the network to %.*s unencrypted, use https://",
		          f->map->file, n->line, n->column, config_name(f->map->store, field->path), length, host);
		f->warn->say(e.text, f->warn->arg);
		f->warn->said = true;
	}
	return 0;
}

static int value_check(struct fill *f, const struct tree_node *n, const struct schema_field *field,
                       struct config_entry *e)
{
	switch (field->type) {
	case SCHEMA_URL:
	case SCHEMA_HOST:
		return address_check(f, n, field, e->text);
	case SCHEMA_VERSION:
		if (strcmp(e->text, "v1") != 0 && strcmp(e->text, "v2") != 0)
			return fault(f, n, field->path, "found '%s', expected %s", e->text, field->expected);
		return 0;
	case SCHEMA_DURATION:
		if (!value_duration(e->text, &e->duration))
			return fault(f, n, field->path, "found '%s', expected %s", e->text, field->expected);
		return 0;
	default:
		return 0;
	}
}

static int empty(struct fill *f, const struct tree_node *n, const struct schema_field *field, const char *variable)
{
	if (*variable != '\0')
		return fault(f, n, field->path, "the environment variable '%s' is empty, expected %s", variable,
		             field->expected);
	return fault(f, n, field->path, "empty, expected %s", field->expected);
}

static int text_take(struct fill *f, const struct schema_field *field, const struct tree_node *n)
{
	struct config_entry *e = config_entry(f->map, field->path);
	char variable[64];
	SECRET(text);

	if (n->kind != TREE_TEXT)
		return fault(f, n, field->path, "found %s, expected %s", tree_kind_name(n), field->expected);
	int r = text_resolve(f, n, field->path, &text, variable);
	if (r != 0)
		return r;
	if (text.len == 0 && (field->flags & SCHEMA_REQUIRED))
		return empty(f, n, field, variable);
	if (field->flags & SCHEMA_SECRET) {
		secret_move(&e->secret, &text);
		return 0;
	}
	const char *plain = secret_text(&text);
	e->text = plain != NULL ? strdup(plain) : NULL;
	if (e->text == NULL)
		return no_memory(f);
	return *e->text != '\0' ? value_check(f, n, field, e) : 0;
}

static int item_take(struct fill *f, const struct schema_field *field, const struct tree_node *n)
{
	struct config_entry *e = config_entry(f->map, field->path);
	char variable[64];
	SECRET(text);

	if (n->kind != TREE_TEXT)
		return fault(f, n, field->path, "found %s in the list, expected %s", tree_kind_name(n),
		             field->expected);
	int r = text_resolve(f, n, field->path, &text, variable);
	if (r != 0 || text.len == 0)          /* KES's own example has a list of one empty text */
		return r;
	const char *plain = secret_text(&text);
	e->items[e->count] = plain != NULL ? strdup(plain) : NULL;
	if (e->items[e->count] == NULL)
		return no_memory(f);
	return field->type == SCHEMA_URLS ? address_check(f, n, field, e->items[e->count++]) : (e->count++, 0);
}

static int list_take(struct fill *f, const struct schema_field *field, const struct tree_node *n)
{
	struct config_entry *e = config_entry(f->map, field->path);
	size_t count = n->kind == TREE_LIST ? n->count : 1;
	int r = 0;

	if (n->kind == TREE_MAP)
		return fault(f, n, field->path, "found a mapping, expected %s", field->expected);
	if (count > ITEMS_MAX)
		return fault(f, n, field->path, "more than %d items", ITEMS_MAX);
	e->items = calloc(count + 1, sizeof *e->items);
	if (e->items == NULL)
		return no_memory(f);
	if (n->kind == TREE_TEXT)
		r = item_take(f, field, n);
	for (size_t i = 0; n->kind == TREE_LIST && i < count && r == 0; i++)
		r = item_take(f, field, n->items[i]);
	if (r == 0 && e->count == 0 && (field->flags & SCHEMA_REQUIRED))
		return empty(f, n, field, "");
	return r;
}

static int map_take(struct fill *f, const char *path, const struct tree_node *n);

static int field_take(struct fill *f, const struct schema_field *field, const struct tree_pair *p)
{
	const struct tree_node *n = p->value;
	struct config_entry *e = config_entry(f->map, field->path);

	if (field->type == SCHEMA_IGNORED)
		return 0;
	if (field->type == SCHEMA_RENAMED)
		return fault(f, p->key, field->path, "an old name that KES no longer reads, rename it to '%s'",
		             field->expected);
	if (n->kind == TREE_TEXT && n->null)
		return (field->flags & SCHEMA_REQUIRED) && field->type != SCHEMA_MAP ? empty(f, n, field, "") : 0;
	e->there = true;
	e->line = n->line;
	e->column = n->column;
	if (field->type == SCHEMA_LIST || field->type == SCHEMA_URLS)
		return list_take(f, field, n);
	if (field->type != SCHEMA_MAP)
		return text_take(f, field, n);
	if (n->kind != TREE_MAP)
		return fault(f, n, field->path, "found %s, expected %s", tree_kind_name(n), field->expected);
	return map_take(f, field->path, n);
}

/* The first field that is needed inside a mapping that is missing says more than the mapping. */
static const struct schema_field *missing_name(const struct schema_store *store, const struct schema_field *field)
{
	for (size_t i = 0; field->type == SCHEMA_MAP && i < store->count; i++)
		if (schema_child(&store->fields[i], field->path) && (store->fields[i].flags & SCHEMA_REQUIRED))
			return &store->fields[i];
	return field;
}

static int missing_check(struct fill *f, const char *path, const struct tree_node *n)
{
	const struct schema_store *store = f->map->store;

	for (size_t i = 0; i < store->count; i++) {
		const struct schema_field *field = &store->fields[i];
		if (!schema_child(field, path) || !(field->flags & SCHEMA_REQUIRED) || f->map->entries[i].there)
			continue;
		field = missing_name(store, field);
		return fault(f, n, field->path, "missing, expected %s", field->expected);
	}
	return 0;
}

static int map_take(struct fill *f, const char *path, const struct tree_node *n)
{
	struct tree_pairs pairs;
	int r = tree_pairs(n, f->map->file, &pairs, f->err);

	for (size_t i = 0; i < pairs.count && r == 0; i++) {
		char name[PATH_TEXT_MAX];
		snprintf(name, sizeof name, "%s%s%s", path, *path != '\0' ? "." : "", pairs.pairs[i].key->text);
		const struct schema_field *field = schema_field_find(f->map->store, name);
		if (field == NULL || !schema_child(field, path))
			r = unknown(f, pairs.pairs[i].key, path, name);
		else
			r = field_take(f, field, &pairs.pairs[i]);
	}
	free(pairs.pairs);
	return r == 0 ? missing_check(f, path, n) : r;
}

int config_fill(const struct tree_node *section, struct config_warn *warn, struct config_map *map, struct error *err)
{
	struct fill f = { map, warn, err };

	map->line = section->line;
	map->column = section->column;
	map->entries = calloc(map->store->count, sizeof *map->entries);
	if (map->entries == NULL)
		return no_memory(&f);
	return map_take(&f, "", section);
}
