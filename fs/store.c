/* SPDX-License-Identifier: Apache-2.0
 *
 * From what the user named to an open module, and its listing as one sorted array. */
#include "fs/store.h"

#include <errno.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backends/config.h"
#include "backends/dir.h"
#include "backends/mounted.h"
#include "backends/registry.h"
#include "fs/log.h"
#include "fs/traced.h"

enum { LIST_AGAIN_MAX = 5 };

int (*store_wrap)(struct store *s, struct error *err);

/* --- open ------------------------------------------------------------------------------------------------------- */

/* What a configuration file is usually called: decides only what a missing one was meant to be. */
static bool looks_like_config(const char *where)
{
	const char *dot = strrchr(where, '.');

	return dot != NULL && (strcmp(dot, ".yml") == 0 || strcmp(dot, ".yaml") == 0 || strcmp(dot, ".json") == 0);
}

static int where_is_directory(const char *where, bool may_create, bool *ret, struct error *err)
{
	struct stat st;

	if (stat(where, &st) == 0) {
		*ret = S_ISDIR(st.st_mode);
		return 0;
	}
	if (errno == ENOENT && may_create && !looks_like_config(where)) {
		*ret = true;
		return 0;
	}
	switch (errno) {
	case ENOENT: case ENOTDIR:
		return error_set(err, ENOENT, "%s: no such %s", where,
				 looks_like_config(where) ? "file" : "directory or configuration file");
	case EACCES: case EPERM:
		return error_set(err, EACCES, "%s: permission denied", where);
	case ENOTCONN: case ECONNABORTED:
		return error_set(err, EHOSTUNREACH, "%s: a dead mount: the process behind it is gone; unmount it (umount %s) "
				 "and mount again", where, where);
	default:
		return error_set(err, errno, "%s: %s", where, strerror(errno));
	}
}

/* What tells one store from another in a sentence, in the order in which a reader wants it. */
static char *label_make(const char *store, const struct config_map *section)
{
	static const char *const fields[] = {
		"path", "endpoint", "region", "project_id", "namespace", "engine", "prefix", "vault_id", "box_id", "group_id",
	};
	char *label = strdup(store), *longer;

	for (size_t i = 0; i < sizeof fields / sizeof *fields && label != NULL; i++) {
		const char *text = config_text(section, fields[i]);
		if (text == NULL)
			continue;
		if (asprintf(&longer, "%s %s", label, text) < 0)
			longer = NULL;
		free(label);
		label = longer;
	}
	return label;
}

static int module_open(struct store *s, const char *name, const struct config_map *section,
		       const struct backend_options *o, struct error *err)
{
	const char *path = strcmp(name, "fs") == 0 ? config_text(section, "path") : NULL;

	s->mount = path != NULL && mounted_detect(path);
	s->ops = s->mount ? &mounted_backend : registry_find(name);
	if (s->ops == NULL)
		return error_set(err, EINVAL, "%s: this version of kesfs cannot use a store of kind '%s'", s->where, name);
	s->label = label_make(s->ops->name, section);
	if (s->label == NULL)
		return error_set(err, ENOMEM, "no memory");
	return s->ops->open(section, o, &s->handle, err);
}

static int directory_open(struct store *s, const struct backend_options *o, struct error *err)
{
	struct config *config;
	int r = config_for_directory(s->where, &config, err);

	if (r != 0)
		return r;
	r = module_open(s, "fs", config_section(config), o, err);
	config_free(config);
	return r;
}

int store_open(const char *where, const struct backend_options *o, void (*warn)(const char *sentence, void *arg),
	       void *arg, struct store *ret, struct error *err)
{
	struct store s = { .where = strdup(where) };
	struct backend_options told = *o;
	bool directory = false;

	told.warn = warn;
	told.warn_arg = arg;
	int r = s.where == NULL ? error_set(err, ENOMEM, "no memory") :
		where_is_directory(where, o->create_store, &directory, err);

	if (r == 0 && directory) {
		r = directory_open(&s, o, err);
	} else if (r == 0) {
		r = config_load(where, warn, arg, &s.config, err);
		if (r == 0)
			r = module_open(&s, config_store(s.config), config_section(s.config), &told, err);
		if (r == 0 && s.ops->notice != NULL && warn != NULL)
			s.ops->notice(s.handle, warn, arg);
	}
	if (r == 0 && log_debugging("store"))
		r = traced_wrap(&s, err);
	if (r == 0 && store_wrap != NULL)
		r = store_wrap(&s, err);
	if (r != 0) {
		store_close(&s);
		return r;
	}
	*ret = s;
	return 0;
}

int store_makeable(const char *where, struct error *err)
{
	bool directory;
	int r = where_is_directory(where, true, &directory, err);
	char *parent = r == 0 && directory ? strdup(where) : NULL;

	if (r == 0 && directory) {
		if (parent == NULL)
			r = error_set(err, ENOMEM, "no memory");
		else if (access(dirname(parent), W_OK | X_OK) != 0)
			r = errno == ENOENT ? error_set(err, ENOENT, "fs %s: its parent directory does not exist", where) :
				error_set(err, errno, "fs %s: cannot be made: %s", where, strerror(errno));
	}
	free(parent);
	return r;
}

void store_close(struct store *s)
{
	if (s->ops != NULL)
		s->ops->close(s->handle);
	config_free(s->config);
	free(s->label);
	free(s->where);
	*s = (struct store){ .ops = NULL };
}

unsigned store_caps(const struct store *s)
{
	return s->ops->caps_now != NULL ? s->ops->caps_now(s->handle) : s->ops->caps;
}

/* --- list ------------------------------------------------------------------------------------------------------- */

struct collector {
	struct listing listing;
	size_t room;
	bool out_of_memory;
};

static bool collect(const struct backend_entry *e, void *arg)
{
	struct collector *c = arg;

	if (c->listing.count == c->room) {
		size_t room = c->room != 0 ? 2 * c->room : 256;
		struct listing_entry *more = reallocarray(c->listing.entries, room, sizeof *more);
		if (more == NULL)
			return !(c->out_of_memory = true);
		c->listing.entries = more;
		c->room = room;
	}
	char *name = strdup(e->name);
	if (name == NULL)
		return !(c->out_of_memory = true);
	c->listing.entries[c->listing.count++] = (struct listing_entry){
		.name = name, .created = e->created, .changed = e->changed, .size = e->size, .flags = e->flags,
	};
	return true;
}

static int entry_order(const void *a, const void *b)
{
	return strcmp(((const struct listing_entry *)a)->name, ((const struct listing_entry *)b)->name);
}

static void listing_sort(struct listing *l)
{
	size_t kept = 0;

	if (l->count == 0)
		return;
	qsort(l->entries, l->count, sizeof *l->entries, entry_order);
	for (size_t i = 1; i < l->count; i++) {
		if (strcmp(l->entries[i].name, l->entries[kept].name) == 0)
			free(l->entries[i].name);
		else
			l->entries[++kept] = l->entries[i];
	}
	l->count = kept + 1;
}

static int list_pages(struct store *s, const struct call *c, const char *prefix, struct collector *to,
		      struct error *err)
{
	char *cursor = NULL;
	int r;

	do
		r = s->ops->list(s->handle, c, prefix, &cursor, collect, to, err);
	while (r == 0 && cursor != NULL && !to->out_of_memory);
	free(cursor);
	return r == 0 && to->out_of_memory ?
		error_set(err, ENOMEM, "%s: no memory for a listing of more than %zu names", s->label, to->listing.count) : r;
}

int store_list(struct store *s, const struct call *c, const char *prefix, struct listing *ret, struct error *err)
{
	for (int i = 1;; i++) {
		struct collector to = { .room = 0 };
		int r = list_pages(s, c, prefix, &to, err);
		if (r == 0) {
			listing_sort(&to.listing);
			*ret = to.listing;
			return 0;
		}
		listing_free(&to.listing);
		if (r != -ESTALE)
			return r;
		if (i == LIST_AGAIN_MAX)
			return error_set(err, EAGAIN, "%s: the listing changed under us %d times; run again", s->label, i);
	}
}

void listing_free(struct listing *l)
{
	for (size_t i = 0; i < l->count; i++)
		free(l->entries[i].name);
	free(l->entries);
	*l = (struct listing){ .count = 0 };
}
