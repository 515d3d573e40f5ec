/* SPDX-License-Identifier: Apache-2.0
 *
 * Literal names are kept sorted, so that a file of a million names selects in linear time. */
#include "fs/migrate/selection.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fs/glob.h"

struct literal {
	char *name;
	bool found, taken_away;
};

struct glob {
	const char *pattern;
	bool found;
};

struct selection {
	const struct migrate_options *options;
	struct glob *globs;
	size_t glob_count;
	struct literal *literals;
	size_t literal_count, literal_room;
	const char **names;                   /* selection_literals(), lent from literals */
	size_t name_count;
	char *prefix;
	bool all;                             /* neither patterns nor files were given */
};

static int no_memory(struct error *err)
{
	return error_set(err, ENOMEM, "no memory");
}

static int literal_add(struct selection *s, char *name, struct error *err)
{
	if (name == NULL)
		return no_memory(err);
	if (s->literal_count == s->literal_room) {
		size_t room = s->literal_room * 2 + 16;
		struct literal *more = reallocarray(s->literals, room, sizeof *more);
		if (more == NULL) {
			free(name);
			return no_memory(err);
		}
		s->literals = more;
		s->literal_room = room;
	}
	s->literals[s->literal_count++] = (struct literal){ .name = name };
	return 0;
}

/* One name a line.  Empty lines and lines that begin with '#' say nothing; the end may be CR LF. */
static int lines_read(struct selection *s, FILE *file, const char *path, struct error *err)
{
	char *line = NULL;
	size_t size = 0;
	ssize_t n;
	int r = 0;

	while (r == 0 && (n = getline(&line, &size, file)) > 0) {
		while (n > 0 && (line[n - 1] == '\n' || line[n - 1] == '\r'))
			line[--n] = '\0';
		if (strlen(line) != (size_t)n)
			r = error_set(err, EINVAL, "--files-from %s: a name holds a zero byte", path);
		else if (n > 0 && line[0] != '#')
			r = literal_add(s, strdup(line), err);
	}
	if (r == 0 && ferror(file))
		r = error_set(err, errno, "--files-from %s: %s", path, strerror(errno));
	free(line);
	return r;
}

static int file_read(struct selection *s, const char *path, struct error *err)
{
	if (strcmp(path, "-") == 0)
		return lines_read(s, stdin, "-", err);
	FILE *file = fopen(path, "re");
	if (file == NULL)
		return error_set(err, errno, "--files-from %s: %s", path, strerror(errno));
	int r = lines_read(s, file, path, err);
	fclose(file);
	return r;
}

static int pattern_add(struct selection *s, const char *pattern, struct error *err)
{
	char *literal;
	int r = glob_check(pattern, err);

	if (r != 0)
		return r;
	if (glob_literal(pattern, &literal))
		return literal_add(s, literal, err);
	s->globs[s->glob_count++] = (struct glob){ .pattern = pattern };
	return 0;
}

static bool list_matches(const struct texts *patterns, const char *name)
{
	for (size_t i = 0; i < patterns->count; i++)
		if (glob_match(patterns->items[i], name))
			return true;
	return false;
}

static bool filter_passes(const struct selection *s, const char *name)
{
	const struct migrate_options *o = s->options;

	return (o->include.count == 0 || list_matches(&o->include, name)) && !list_matches(&o->exclude, name);
}

static int literal_order(const void *a, const void *b)
{
	return strcmp(((const struct literal *)a)->name, ((const struct literal *)b)->name);
}

static int literals_settle(struct selection *s, struct error *err)
{
	size_t kept = 0;

	if (s->literal_count == 0)
		return 0;
	qsort(s->literals, s->literal_count, sizeof *s->literals, literal_order);
	s->names = calloc(s->literal_count, sizeof *s->names);
	if (s->names == NULL)
		return no_memory(err);
	for (size_t i = 0; i < s->literal_count; i++) {
		struct literal l = s->literals[i];
		if (kept > 0 && strcmp(s->literals[kept - 1].name, l.name) == 0) {
			free(l.name);
			continue;
		}
		l.taken_away = !filter_passes(s, l.name);
		s->literals[kept++] = l;
		if (!l.taken_away)
			s->names[s->name_count++] = l.name;
	}
	s->literal_count = kept;
	return 0;
}

static int selection_fill(struct selection *s, struct error *err)
{
	const struct migrate_options *o = s->options;
	int r = 0;

	for (size_t i = 0; r == 0 && i < o->include.count; i++)
		r = glob_check(o->include.items[i], err);
	for (size_t i = 0; r == 0 && i < o->exclude.count; i++)
		r = glob_check(o->exclude.items[i], err);
	for (size_t i = 0; r == 0 && i < o->patterns.count; i++)
		r = pattern_add(s, o->patterns.items[i], err);
	for (size_t i = 0; r == 0 && i < o->files_from.count; i++)
		r = file_read(s, o->files_from.items[i], err);
	if (r == 0)
		r = literals_settle(s, err);
	s->all = o->patterns.count == 0 && o->files_from.count == 0;
	if (r == 0 && !s->all && s->glob_count == 0 && s->literal_count == 0)
		r = error_set(err, ENOENT, "--files-from %s: no name is in there", o->files_from.items[0]);
	if (r == 0 && s->glob_count == 1 && s->literal_count == 0) {
		s->prefix = glob_prefix(s->globs[0].pattern);
		if (s->prefix == NULL)
			r = no_memory(err);
	}
	return r;
}

int selection_new(const struct migrate_options *o, struct selection **ret, struct error *err)
{
	struct selection *s = calloc(1, sizeof *s);

	if (s == NULL)
		return no_memory(err);
	s->options = o;
	s->globs = calloc(o->patterns.count + 1, sizeof *s->globs);
	int r = s->globs != NULL ? selection_fill(s, err) : no_memory(err);
	if (r != 0) {
		selection_free(s);
		return r;
	}
	*ret = s;
	return 0;
}

void selection_free(struct selection *s)
{
	if (s == NULL)
		return;
	for (size_t i = 0; i < s->literal_count; i++)
		free(s->literals[i].name);
	free(s->literals);
	free(s->names);
	free(s->globs);
	free(s->prefix);
	free(s);
}

const char *const *selection_literals(const struct selection *s, size_t *ret_count)
{
	*ret_count = s->name_count;
	return s->all || s->glob_count > 0 ? NULL : s->names;
}

bool selection_match(struct selection *s, const char *name, bool *ret_literal)
{
	struct literal wanted = { .name = (char *)name }, *literal = NULL;
	bool found = s->all;

	if (s->literal_count > 0)
		literal = bsearch(&wanted, s->literals, s->literal_count, sizeof wanted, literal_order);
	if (literal != NULL)
		found = literal->found = true;
	for (size_t i = 0; i < s->glob_count; i++)
		if (glob_match(s->globs[i].pattern, name))
			found = s->globs[i].found = true;
	*ret_literal = literal != NULL;
	return found && filter_passes(s, name);
}

bool selection_unmatched(const struct selection *s, char *buf, size_t size)
{
	size_t more = 0, shown = 0, used = 0;

	for (size_t i = 0; i < s->glob_count + s->literal_count; i++) {
		bool glob = i < s->glob_count;
		const struct literal *l = glob ? NULL : &s->literals[i - s->glob_count];
		if (glob ? s->globs[i].found : l->found || l->taken_away)
			continue;
		if (shown == 5 || used + 100 > size) {
			more++;
			continue;
		}
		int n = snprintf(buf + used, size - used, "%s'%.80s'", shown++ > 0 ? ", " : "",
				 glob ? s->globs[i].pattern : l->name);
		used += (size_t)n;
	}
	if (more > 0)
		snprintf(buf + used, size - used, " and %zu more", more);
	return shown > 0;
}

const char *selection_prefix(const struct selection *s)
{
	return s->prefix != NULL ? s->prefix : "";
}
