/* SPDX-License-Identifier: Apache-2.0
 *
 * A configuration file from opening to closing, and what modules ask of it. */
#include "backends/config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/config_parts.h"

enum { FILE_MAX = 1024 * 1024, SHOWN_MAX = 256 };

struct config {
	struct config_map map;
};

const char *config_name(const struct schema_store *store, const char *path)
{
	static _Thread_local char name[160];
	bool inner = store->inner != NULL, field = path != NULL && *path != '\0';

	snprintf(name, sizeof name, "keystore.%s%s%s%s%s", store->name, inner ? "." : "", inner ? store->inner : "",
	         field ? "." : "", field ? path : "");
	return name;
}

struct config_entry *config_entry(const struct config_map *map, const char *field)
{
	const struct schema_field *f = schema_field_find(map->store, field);

	return f != NULL ? &map->entries[f - map->store->fields] : NULL;
}

/* The end of a long path: the sentence behind it must not be cut off. */
static void path_show(const char *path, char ret[static SHOWN_MAX])
{
	size_t len = strlen(path);

	if (len < SHOWN_MAX)
		strcpy(ret, path);
	else
		snprintf(ret, SHOWN_MAX, "...%s", path + len - (SHOWN_MAX - 4));
}

static int file_read(const char *path, const char *shown, struct secret *text, struct error *err)
{
	int r = secret_read_file(text, path, FILE_MAX, err);

	if (r == -EISDIR)
		return error_set(err, EINVAL, "%s: a directory, expected a KES configuration file", shown);
	if (r == -EFBIG)
		return error_set(err, EINVAL, "%s: larger than 1 MiB, expected a KES configuration file", shown);
	if (r != 0 && strcmp(path, shown) != 0)
		return error_set(err, -r, "%s: %s", shown, strerror(-r));
	return r;
}

static int config_new(const char *file, struct config **ret, struct error *err)
{
	struct config *cfg = calloc(1, sizeof *cfg);

	if (cfg != NULL && (cfg->map.file = strdup(file)) == NULL) {
		free(cfg);
		cfg = NULL;
	}
	if (cfg == NULL)
		return error_set(err, ENOMEM, "no memory for the configuration");
	*ret = cfg;
	return 0;
}

int config_load(const char *path, void (*say)(const char *sentence, void *arg), void *arg,
                struct config **ret, struct error *err)
{
	struct config_warn warn = { say, arg, false };
	struct config *cfg = NULL;
	struct tree tree = { .root = NULL };
	char shown[SHOWN_MAX];
	SECRET(text);

	path_show(path, shown);
	int r = file_read(path, shown, &text, err);
	if (r == 0)
		r = tree_read(&text, shown, &tree, err);
	if (r == 0 && tree.root == NULL)
		r = error_set(err, EINVAL, "%s: empty, expected a KES configuration with a section 'keystore'", shown);
	if (r == 0)
		r = config_new(shown, &cfg, err);
	if (r == 0)
		r = config_check(tree.root, &warn, &cfg->map, err);
	tree_free(&tree);
	if (r != 0)
		config_free(cfg);
	else
		*ret = cfg;
	return r;
}

int config_for_directory(const char *path, struct config **ret, struct error *err)
{
	struct config *cfg;
	int r = config_new(path, &cfg, err);

	if (r != 0)
		return r;
	cfg->map.store = schema_store_find("fs");
	cfg->map.entries = calloc(cfg->map.store->count, sizeof *cfg->map.entries);
	char *copy = strdup(path);
	if (cfg->map.entries == NULL || copy == NULL) {
		free(copy);
		config_free(cfg);
		return error_set(err, ENOMEM, "no memory for the configuration");
	}
	struct config_entry *e = config_entry(&cfg->map, "path");
	e->there = true;
	e->text = copy;
	*ret = cfg;
	return 0;
}

static void entry_free(struct config_entry *e)
{
	secret_wipe(&e->secret);
	free(e->text);
	for (size_t i = 0; i < e->count; i++)
		free(e->items[i]);
	free(e->items);
}

void config_free(struct config *cfg)
{
	if (cfg == NULL)
		return;
	for (size_t i = 0; cfg->map.entries != NULL && i < cfg->map.store->count; i++)
		entry_free(&cfg->map.entries[i]);
	free(cfg->map.entries);
	free(cfg->map.file);
	free(cfg);
}

const char *config_store(const struct config *cfg)
{
	return cfg->map.store->name;
}

const struct config_map *config_section(const struct config *cfg)
{
	return &cfg->map;
}

const char *config_text(const struct config_map *map, const char *field)
{
	const struct config_entry *e = config_entry(map, field);

	return e != NULL && e->text != NULL && *e->text != '\0' ? e->text : NULL;
}

bool config_has(const struct config_map *map, const char *field)
{
	const struct config_entry *e = config_entry(map, field);

	return e != NULL && e->there;
}

const struct secret *config_secret(const struct config_map *map, const char *field)
{
	const struct config_entry *e = config_entry(map, field);

	return e != NULL && e->secret.len > 0 ? &e->secret : NULL;
}

int64_t config_duration(const struct config_map *map, const char *field, int64_t otherwise)
{
	const struct config_entry *e = config_entry(map, field);

	return e != NULL && e->text != NULL && *e->text != '\0' ? e->duration : otherwise;
}

size_t config_list(const struct config_map *map, const char *field, const char *const **ret)
{
	const struct config_entry *e = config_entry(map, field);

	*ret = e != NULL ? (const char *const *)e->items : NULL;
	return e != NULL ? e->count : 0;
}

/* Where a field is, or the nearest mapping around it that is there; else the section. */
static void place_find(const struct config_map *map, const char *field, int *ret_line, int *ret_column)
{
	char *path = strdupa(field);

	for (;;) {
		const struct config_entry *e = config_entry(map, path);
		char *dot = strrchr(path, '.');

		if (e != NULL && e->there) {
			*ret_line = e->line;
			*ret_column = e->column;
			return;
		}
		if (dot == NULL)
			break;
		*dot = '\0';
	}
	*ret_line = map->line;
	*ret_column = map->column;
}

int config_complain(const struct config_map *map, const char *field, struct error *err, int code, const char *fmt, ...)
{
	struct error what = ERROR_INIT;
	int line, column;
	va_list ap;

	va_start(ap, fmt);
	error_setv(&what, code, fmt, ap);
	va_end(ap);
	place_find(map, field, &line, &column);
	if (line == 0)                        /* config_for_directory(): the user named no file but the directory */
		return error_set(err, code, "%s: %s", map->file, what.text);
	return error_set(err, code, "%s:%d:%d: %s: %s", map->file, line, column, config_name(map->store, field),
	                 what.text);
}
