/* SPDX-License-Identifier: Apache-2.0
 *
 * From the words of the command line to checked options.  Operands stand where mount(8) puts them: what is mounted,
 * then where; options may stand before, between and after. */
#include "fs/mount/options.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fs/log.h"
#include "fs/mount/option_help.h"
#include "fs/mount/option_table.h"
#include "fs/name.h"

static int no_memory(struct error *err)
{
	return error_set(err, ENOMEM, "out of memory");
}

/* Options between commas; "\," is a comma that belongs to a value. */
static int group_apply(struct option_parse *p, const char *group, struct error *err)
{
	char *text = malloc(strlen(group) + 1);
	int r = 0;

	if (text == NULL)
		return no_memory(err);
	for (const char *from = group; r == 0;) {
		char *to = text;
		while (*from != '\0' && *from != ',') {
			if (from[0] == '\\' && from[1] == ',')
				from++;
			*to++ = *from++;
		}
		*to = '\0';
		if (*text != '\0')            /* ",," is harmless in fstab */
			r = option_apply(p, text, err);
		if (*from == '\0')
			break;
		from++;
	}
	free(text);
	return r;
}

static const struct option long_options[] = {
	{ "debug", no_argument, NULL, 'd' },
	{ "foreground", no_argument, NULL, 'f' },
	{ "help", no_argument, NULL, 'h' },
	{ "options", required_argument, NULL, 'o' },
	{ "probe", no_argument, NULL, 'p' },
	{ "version", no_argument, NULL, 'V' },
	{ NULL, 0, NULL, 0 },
};

/* word is what getopt could not take. */
static int word_refused(const char *word, int letter, struct error *err)
{
	size_t len = strcspn(word, "=");

	if (strncmp(word, "--", 2) != 0)
		return error_set(err, EINVAL, "unknown option '-%c': kesfs --help lists them all", letter);
	for (const struct option_row *row = option_table; row->name != NULL; row++)
		if (strlen(row->name) == len - 2 && memcmp(row->name, word + 2, len - 2) == 0)
			return error_set(err, EINVAL, "unknown option '%.*s': mount options follow -o, as in -o %s", (int)len, word,
			                 row->name);
	return error_set(err, EINVAL, "unknown option '%.*s': kesfs --help lists them all", (int)len, word);
}

static int words_parse(int argc, char **argv, struct option_parse *p, struct error *err)
{
	int c, r = 0;

	optind = 0;                           /* glibc: start over, whatever was parsed before */
	opterr = 0;
	while (r == 0 && (c = getopt_long(argc, argv, ":dfhVo:", long_options, NULL)) != -1)
		switch (c) {
		case 'o':
			r = group_apply(p, optarg, err);
			break;
		case 'd':
			p->o->debug_fuse = p->o->foreground = true;
			r = log_debug("all", err);
			break;
		case 'f':
			p->o->foreground = true;
			break;
		case 'p':
			p->o->probe = true;
			break;
		case 'h':
			option_help_print();
			exit(0);
		case 'V':
			option_version_print();
			exit(0);
		case ':':
			r = error_set(err, EINVAL, "the option '%s' needs a value: -o OPTION[,OPTION...]", argv[optind - 1]);
			break;
		default:
			r = word_refused(argv[optind - 1], optopt, err);
		}
	return r;
}

/* The file's name without directory and ".yml" or ".yaml", malloc'd. */
static char *name_of_file(const char *where)
{
	size_t end = strlen(where);

	while (end > 1 && where[end - 1] == '/')
		end--;
	size_t start = end;
	while (start > 0 && where[start - 1] != '/')
		start--;
	char *name = strndup(where + start, end - start);
	char *dot = name != NULL ? strrchr(name, '.') : NULL;
	if (dot != NULL && dot != name && (strcmp(dot, ".yml") == 0 || strcmp(dot, ".yaml") == 0))
		*dot = '\0';
	return name;
}

/* [NAME=]CONFIG; whatever has a slash before its first '=' is a path with an '=' in it. */
static int source_parse(const char *word, struct mount_source *ret, bool *several, struct error *err)
{
	size_t len = strcspn(word, "=/");

	if (word[len] == '=') {
		ret->name = strndup(word, len);
		ret->where = strdup(word + len + 1);
		*several = true;
	} else {
		ret->where = strdup(word);
	}
	if (ret->where == NULL || (word[len] == '=' && ret->name == NULL))
		return no_memory(err);
	if (*ret->where == '\0')
		return error_set(err, EINVAL, "'%s' names no configuration file: write [NAME=]CONFIG", word);
	if (ret->name != NULL && !name_shown(ret->name))
		return error_set(err, EINVAL, "'%s' cannot be the name of a directory for %s: it must not be empty, begin with a dot "
		                 "or hold control characters", ret->name, ret->where);
	return 0;
}

static int names_complete(struct mount_options *o, struct error *err)
{
	for (size_t i = 0; i < o->source_count; i++) {
		struct mount_source *s = &o->sources[i];
		if (s->name == NULL && (s->name = name_of_file(s->where)) == NULL)
			return no_memory(err);
		if (!name_shown(s->name))
			return error_set(err, EINVAL, "%s gives no name for a directory: write NAME=%s", s->where, s->where);
		for (size_t j = 0; j < i; j++)
			if (strcmp(o->sources[j].name, s->name) == 0)
				return error_set(err, EINVAL, "two stores would be called '%s': give one another name, such as %s2=%s", s->name,
				                 s->name, s->where);
	}
	return 0;
}

static int operands_parse(int count, char **words, struct mount_options *o, struct error *err)
{
	int sources = o->probe ? count : count - 1, r = 0;

	if (sources < 1 && (o->probe || count == 0))
		return error_set(err, EINVAL, "a configuration file is missing: kesfs %s",
		                 o->probe ? "--probe CONFIG (kesfs --help says more)" : "CONFIG MOUNTPOINT (kesfs --help says more)");
	if (sources < 1)
		return error_set(err, EINVAL, "after '%s' a mount point is missing: kesfs CONFIG MOUNTPOINT", words[0]);
	o->sources = calloc((size_t)sources, sizeof *o->sources);
	if (o->sources == NULL)
		return no_memory(err);
	o->several = sources > 1;
	for (; r == 0 && o->source_count < (size_t)sources; o->source_count++)
		r = source_parse(words[o->source_count], &o->sources[o->source_count], &o->several, err);
	if (r == 0 && o->several)
		r = names_complete(o, err);
	if (r != 0 || o->probe)
		return r;
	if (*words[sources] == '\0')
		return error_set(err, EINVAL, "the mount point is an empty word: kesfs CONFIG MOUNTPOINT");
	o->mountpoint = strdup(words[sources]);
	return o->mountpoint != NULL ? 0 : no_memory(err);
}

static int read_only_name(struct mount_options *o, const char *name, struct error *err)
{
	char known[256] = "";
	size_t used = 0;

	for (size_t i = 0; i < o->source_count; i++) {
		if (o->sources[i].name == NULL)
			return error_set(err, EINVAL, "ro=%s names one of several stores, but there is only one: write ro", name);
		if (strcmp(o->sources[i].name, name) == 0) {
			o->sources[i].read_only = true;
			return 0;
		}
		if (used < sizeof known)
			used += (size_t)snprintf(known + used, sizeof known - used, "%s%s", i == 0 ? "" : ", ", o->sources[i].name);
	}
	return error_set(err, EINVAL, "ro=%s: there is no store of that name, only %s", name, known);
}

/* What the words mean together. */
static int options_settle(struct option_parse *p, struct error *err)
{
	struct mount_options *o = p->o;
	const char *change = o->overwrite ? "overwrite" : o->remove ? "delete" : o->raw ? "raw" : NULL;
	bool writable = false;

	for (size_t i = 0; i < o->source_count; i++)
		o->sources[i].read_only = p->read_only;
	for (char **name = p->read_only_names; name != NULL && *name != NULL; name++)
		if (read_only_name(o, *name, err) != 0)
			return -err->code;
	for (size_t i = 0; i < o->source_count; i++)
		writable |= !o->sources[i].read_only;
	if (change != NULL && !writable)
		return error_set(err, EINVAL, "'ro' and '%s' contradict each other: leave one out", change);
	if (o->allow_other && o->allow_root)
		return error_set(err, EINVAL, "'allow_other' and 'allow_root' contradict each other: leave one out");
	if (o->fsname == NULL)
		o->fsname = strdup(o->several ? "kesfs" : o->sources[0].where);
	return o->fsname != NULL ? 0 : no_memory(err);
}

int mount_options_parse(int argc, char **argv, struct mount_options *ret, struct error *err)
{
	struct mount_options o = { .ttl = 10, .timeout = 30, .requests = 128, .uid = geteuid(), .gid = getegid() };
	struct option_parse p = { .o = &o };
	int r = words_parse(argc, argv, &p, err);

	if (r == 0)
		r = operands_parse(argc - optind, argv + optind, &o, err);
	if (r == 0)
		r = options_settle(&p, err);
	option_list_free(p.read_only_names);
	if (r != 0)
		mount_options_free(&o);
	else
		*ret = o;
	return r;
}

void mount_options_free(struct mount_options *o)
{
	for (size_t i = 0; o->sources != NULL && i < o->source_count; i++) {
		free(o->sources[i].name);
		free(o->sources[i].where);
	}
	free(o->sources);
	free(o->mountpoint);
	option_list_free(o->include);
	option_list_free(o->exclude);
	free(o->log_file);
	free(o->debug_areas);
	free(o->fsname);
	*o = (struct mount_options){ 0 };
}
