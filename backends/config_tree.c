/* SPDX-License-Identifier: Apache-2.0
 *
 * libyaml's events made a tree.  Depth, anchors and merges are bounded, so that no file, however malicious, costs
 * more than its own length. */
#include "backends/config_tree.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

enum { DEPTH_MAX = 64, ANCHORS_MAX = 1000, PAIRS_MAX = 1000 };

struct reader {
	yaml_parser_t parser;
	const char *file;
	struct tree *tree;
	struct error *err;
};

int tree_error(const struct tree_node *at, const char *file, struct error *err, const char *fmt, ...)
{
	struct error e = ERROR_INIT;
	va_list ap;

	va_start(ap, fmt);
	error_setv(&e, EINVAL, fmt, ap);
	va_end(ap);
	return error_set(err, EINVAL, "%s:%d:%d: %s", file, at->line, at->column, e.text);
}

const char *tree_kind_name(const struct tree_node *node)
{
	if (node->kind == TREE_LIST)
		return "a list";
	if (node->kind == TREE_MAP)
		return "a mapping";
	return node->null ? "nothing" : "a text";
}

static int no_memory(struct error *err)
{
	return error_set(err, ENOMEM, "no memory for the configuration");
}

/* Room for one element more in an array of elements of so many bytes. */
static bool grow(void **array, size_t count, size_t *room, size_t size)
{
	if (count < *room)
		return true;
	size_t more = *room == 0 ? 8 : *room * 2;
	void *p = reallocarray(*array, more, size);
	if (p == NULL)
		return false;
	*array = p;
	*room = more;
	return true;
}

void tree_free(struct tree *t)
{
	for (size_t i = 0; i < t->count; i++) {
		struct tree_node *n = t->nodes[i];
		if (n->text != NULL)
			explicit_bzero(n->text, n->length);
		free(n->text);
		free(n->items);
		free(n);
	}
	for (size_t i = 0; i < t->anchor_count; i++)
		free(t->anchors[i].name);
	free(t->anchors);
	free(t->nodes);
	*t = (struct tree){ .root = NULL };
}

/* What libyaml says of its trouble, with the place; its texts quote nothing of the file. */
static int yaml_complain(struct reader *r)
{
	const yaml_parser_t *p = &r->parser;
	const char *problem = p->problem != NULL ? p->problem : "it cannot be read";

	if (p->error == YAML_MEMORY_ERROR)
		return no_memory(r->err);
	if (p->error == YAML_READER_ERROR)
		return error_set(r->err, EINVAL, "%s: not a YAML text: %s (at byte %zu)", r->file, problem,
		                 p->problem_offset + 1);
	return error_set(r->err, EINVAL, "%s:%zu:%zu: not valid YAML: %s%s%s", r->file, p->problem_mark.line + 1,
	                 p->problem_mark.column + 1, problem, p->context != NULL ? " " : "",
	                 p->context != NULL ? p->context : "");
}

static int event_next(struct reader *r, yaml_event_t *ret)
{
	return yaml_parser_parse(&r->parser, ret) ? 0 : yaml_complain(r);
}

static struct tree_node *node_new(struct reader *r, enum tree_kind kind, const yaml_event_t *event)
{
	struct tree *t = r->tree;
	struct tree_node *n = NULL;

	if (grow((void **)&t->nodes, t->count, &t->room, sizeof *t->nodes))
		n = calloc(1, sizeof *n);
	if (n == NULL)
		return no_memory(r->err), NULL;
	n->kind = kind;
	n->line = (int)event->start_mark.line + 1;
	n->column = (int)event->start_mark.column + 1;
	n->open = true;
	t->nodes[t->count++] = n;
	return n;
}

static int anchor_add(struct reader *r, const yaml_char_t *name, struct tree_node *node)
{
	struct tree *t = r->tree;

	if (name == NULL)
		return 0;
	if (t->anchor_count == ANCHORS_MAX)
		return tree_error(node, r->file, r->err, "more than %d anchors", ANCHORS_MAX);
	if (!grow((void **)&t->anchors, t->anchor_count, &t->anchor_room, sizeof *t->anchors))
		return no_memory(r->err);
	char *copy = strdup((const char *)name);
	if (copy == NULL)
		return no_memory(r->err);
	t->anchors[t->anchor_count++] = (struct tree_anchor){ copy, node };
	return 0;
}

static int alias_find(struct reader *r, const yaml_event_t *event, struct tree_node **ret)
{
	const char *name = (const char *)event->data.alias.anchor;
	struct tree_node here = { .line = (int)event->start_mark.line + 1,
	                          .column = (int)event->start_mark.column + 1 };

	for (size_t i = r->tree->anchor_count; i-- > 0;)      /* a later anchor of the same name hides the earlier */
		if (strcmp(r->tree->anchors[i].name, name) == 0) {
			*ret = r->tree->anchors[i].node;
			if ((*ret)->open)
				return tree_error(&here, r->file, r->err, "the anchor '&%s' contains itself", name);
			return 0;
		}
	return tree_error(&here, r->file, r->err, "the alias '*%s' stands for no anchor above it", name);
}

static bool text_null(const yaml_event_t *event)
{
	static const char *const nulls[] = { "", "~", "null", "Null", "NULL" };
	const char *tag = (const char *)event->data.scalar.tag, *text = (const char *)event->data.scalar.value;

	if (tag != NULL)
		return strcmp(tag, YAML_NULL_TAG) == 0;
	if (event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE)
		return false;
	for (size_t i = 0; i < sizeof nulls / sizeof *nulls; i++)
		if (strcmp(text, nulls[i]) == 0)
			return true;
	return false;
}

static int text_read(struct reader *r, const yaml_event_t *event, struct tree_node **ret)
{
	struct tree_node *n = node_new(r, TREE_TEXT, event);
	const char *tag = (const char *)event->data.scalar.tag;

	if (n == NULL)
		return -ENOMEM;
	if (tag != NULL && strcmp(tag, "tag:yaml.org,2002:binary") == 0)
		return tree_error(n, r->file, r->err, "a value tagged !!binary, expected a text");
	n->null = text_null(event);
	n->merge = tag == NULL && event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
	           strcmp((const char *)event->data.scalar.value, "<<") == 0;
	n->length = event->data.scalar.length;
	n->text = malloc(n->length + 1);
	if (n->text == NULL) {
		n->length = 0;
		return no_memory(r->err);
	}
	memcpy(n->text, event->data.scalar.value, n->length);
	n->text[n->length] = '\0';
	n->open = false;
	*ret = n;
	return anchor_add(r, event->data.scalar.anchor, n);
}

static int node_read(struct reader *r, const yaml_event_t *event, int depth, struct tree_node **ret);

/* The items of a list or map up to its end. */
static int items_read(struct reader *r, struct tree_node *n, yaml_event_type_t end, int depth)
{
	for (;;) {
		yaml_event_t event;
		struct tree_node *item;
		int code = event_next(r, &event);

		if (code != 0)
			return code;
		bool ended = event.type == end;
		if (!ended)
			code = node_read(r, &event, depth, &item);
		yaml_event_delete(&event);
		if (code != 0)
			return code;
		if (ended)
			break;
		if (!grow((void **)&n->items, n->count, &n->room, sizeof *n->items))
			return no_memory(r->err);
		n->items[n->count++] = item;
	}
	n->open = false;
	return 0;
}

static int collection_read(struct reader *r, const yaml_event_t *event, int depth, struct tree_node **ret)
{
	bool map = event->type == YAML_MAPPING_START_EVENT;
	struct tree_node *n = node_new(r, map ? TREE_MAP : TREE_LIST, event);

	if (n == NULL)
		return -ENOMEM;
	*ret = n;
	if (depth == DEPTH_MAX)
		return tree_error(n, r->file, r->err, "nested deeper than %d levels", DEPTH_MAX);
	int code = anchor_add(r, map ? event->data.mapping_start.anchor : event->data.sequence_start.anchor, n);
	if (code != 0)
		return code;
	return items_read(r, n, map ? YAML_MAPPING_END_EVENT : YAML_SEQUENCE_END_EVENT, depth + 1);
}

static int node_read(struct reader *r, const yaml_event_t *event, int depth, struct tree_node **ret)
{
	if (event->type == YAML_ALIAS_EVENT)
		return alias_find(r, event, ret);
	if (event->type == YAML_SCALAR_EVENT)
		return text_read(r, event, ret);
	return collection_read(r, event, depth, ret);
}

/* Stream start, document start, root.  What follows the first document is not read, by KES neither. */
static int document_read(struct reader *r)
{
	yaml_event_t event;
	int code;

	for (;;) {
		code = event_next(r, &event);
		if (code != 0)
			return code;
		if (event.type == YAML_STREAM_END_EVENT)
			break;
		if (event.type != YAML_STREAM_START_EVENT && event.type != YAML_DOCUMENT_START_EVENT) {
			code = node_read(r, &event, 0, &r->tree->root);
			break;
		}
		yaml_event_delete(&event);
	}
	yaml_event_delete(&event);
	return code;
}

int tree_read(const struct secret *text, const char *file, struct tree *ret, struct error *err)
{
	struct reader r = { .file = file, .tree = ret, .err = err };

	*ret = (struct tree){ .root = NULL };
	if (!yaml_parser_initialize(&r.parser))
		return no_memory(err);
	yaml_parser_set_input_string(&r.parser, text->len > 0 ? text->bytes : (const unsigned char *)"", text->len);
	int code = document_read(&r);
	yaml_parser_delete(&r.parser);
	return code;
}

static const struct tree_pair *pair_find(const struct tree_pairs *p, const struct tree_node *key, size_t *ret_at)
{
	for (size_t i = 0; i < p->count; i++)
		if (p->pairs[i].key->length == key->length &&
		    memcmp(p->pairs[i].key->text, key->text, key->length) == 0) {
			*ret_at = i;
			return &p->pairs[i];
		}
	return NULL;
}

struct merge {
	struct tree_pairs *pairs;
	const char *file;
	struct error *err;
	int visited;                  /* pairs and maps looked at, whatever way they were reached */
};

static int visit(struct merge *m, const struct tree_node *at)
{
	if (++m->visited > PAIRS_MAX)
		return tree_error(at, m->file, m->err, "more than %d keys in one mapping", PAIRS_MAX);
	return 0;
}

/* A key of a map whose first own pair is number from. */
static int pair_add(struct merge *m, const struct tree_node *key, const struct tree_node *value, size_t from)
{
	struct tree_pairs *p = m->pairs;
	size_t at;

	if (key->kind != TREE_TEXT)
		return tree_error(key, m->file, m->err, "%s as a key, expected a text", tree_kind_name(key));
	if (strlen(key->text) != key->length)
		return tree_error(key, m->file, m->err, "the key '%s' has a zero byte in it", key->text);
	const struct tree_pair *old = pair_find(p, key, &at);
	if (old != NULL && at >= from)
		return tree_error(key, m->file, m->err, "the key '%s' is here for the second time (first in line %d)",
		                  key->text, old->key->line);
	if (old != NULL)
		return 0;
	if (!grow((void **)&p->pairs, p->count, &p->room, sizeof *p->pairs))
		return no_memory(m->err);
	p->pairs[p->count++] = (struct tree_pair){ key, value };
	return 0;
}

static int map_add(struct merge *m, const struct tree_node *map, int depth);

static int merged_add(struct merge *m, const struct tree_node *value, int depth)
{
	if (value->kind == TREE_MAP)
		return map_add(m, value, depth);
	int r = 0;
	for (size_t i = 0; value->kind == TREE_LIST && i < value->count && r == 0; i++) {
		if (value->items[i]->kind != TREE_MAP)
			return tree_error(value->items[i], m->file, m->err,
			                  "%s to be merged by '<<', expected a mapping",
			                  tree_kind_name(value->items[i]));
		r = map_add(m, value->items[i], depth);
	}
	if (value->kind == TREE_TEXT)
		return tree_error(value, m->file, m->err,
		                  "%s to be merged by '<<', expected a mapping or a list of mappings",
		                  tree_kind_name(value));
	return r;
}

static int map_add(struct merge *m, const struct tree_node *map, int depth)
{
	size_t from = m->pairs->count;
	int r = visit(m, map);

	if (depth == DEPTH_MAX)
		return tree_error(map, m->file, m->err, "merged deeper than %d levels", DEPTH_MAX);
	for (size_t i = 0; i < map->count && r == 0; i += 2) {
		r = visit(m, map->items[i]);
		if (r == 0 && !map->items[i]->merge)
			r = pair_add(m, map->items[i], map->items[i + 1], from);
	}
	for (size_t i = 0; i < map->count && r == 0; i += 2)
		if (map->items[i]->merge)
			r = merged_add(m, map->items[i + 1], depth + 1);
	return r;
}

int tree_pairs(const struct tree_node *map, const char *file, struct tree_pairs *ret, struct error *err)
{
	*ret = (struct tree_pairs){ .pairs = NULL };
	struct merge m = { .pairs = ret, .file = file, .err = err };
	int r = map_add(&m, map, 0);

	if (r != 0) {
		free(ret->pairs);
		*ret = (struct tree_pairs){ .pairs = NULL };
	}
	return r;
}
