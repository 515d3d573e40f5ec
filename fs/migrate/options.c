/* SPDX-License-Identifier: Apache-2.0
 *
 * The option table is the one source of parser and --help; a test holds the manual to it. */
#include "fs/migrate/options.h"

#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum kind { FLAG, TEXT, LIST, COUNT, NUMBER, JSON, HELP, VERSION };

#define FIELD(name) offsetof(struct migrate_options, name)
static const struct row {
	char letter;                  /* 0: none */
	const char *name, *value, *help;
	enum kind kind;
	size_t field;
} rows[] = {
	{ 0, "from", "STORE", "the source: a directory, a kesfs mount or a configuration file", TEXT, FIELD(from) },
	{ 0, "to", "STORE", "the target, likewise", TEXT, FIELD(to) },
	{ 0, "target", "STORE", "the same as --to", TEXT, FIELD(to) },
	{ 0, "merge", NULL, "leave keys that the target holds with another value alone", FLAG, FIELD(merge) },
	{ 'f', "force", NULL, "replace keys that the target holds with another value", FLAG, FIELD(force) },
	{ 0, "backup-to", "STORE", "with --force: first store what will be replaced there", TEXT, FIELD(backup_to) },
	{ 'y', "yes", NULL, "with --force: do not ask", FLAG, FIELD(yes) },
	{ 'n', "dry-run", NULL, "say what would be done, write nothing", FLAG, FIELD(dry_run) },
	{ 0, "check", NULL, "compare both sides, write nothing", FLAG, FIELD(check) },
	{ 0, "list", NULL, "list the names of the keys of --from", FLAG, FIELD(list) },
	{ 0, "long", NULL, "with --list: also algorithm, time, creator and size", FLAG, FIELD(long_list) },
	{ 0, "include", "PATTERN", "only names that match (may be repeated)", LIST, FIELD(include) },
	{ 0, "exclude", "PATTERN", "no names that match (may be repeated)", LIST, FIELD(exclude) },
	{ 0, "files-from", "FILE", "take names from a file, one a line; - is stdin", LIST, FIELD(files_from) },
	{ 0, "raw", NULL, "also copy values that no KES server could load", FLAG, FIELD(raw) },
	{ 0, "create", NULL, "make the directory of the target if it is missing", FLAG, FIELD(create) },
	{ 0, "no-verify", NULL, "do not read back what was written", FLAG, FIELD(no_verify) },
	{ 'j', "transfers", "N", "keys at once (default: adapts)", COUNT, FIELD(transfers) },
	{ 0, "tpslimit", "N", "at most N requests a second to each side", NUMBER, FIELD(tpslimit) },
	{ 0, "timeout", "SECONDS", "for one request, its retries included (default: 60)", NUMBER, FIELD(timeout) },
	{ 0, "max-errors", "N", "start no new key after N failures", COUNT, FIELD(max_errors) },
	{ 0, "json", "FILE", "one JSON object a line, to stdout or to FILE", JSON, 0 },
	{ 'P', "progress", NULL, "show progress where stderr is no terminal, too", FLAG, FIELD(progress) },
	{ 'q', "quiet", NULL, "no progress; a summary only of what went wrong", FLAG, FIELD(quiet) },
	{ 'v', "verbose", NULL, "one line for each key", FLAG, FIELD(verbose) },
	{ 'h', "help", NULL, "this text", HELP, 0 },
	{ 'V', "version", NULL, "the version", VERSION, 0 },
};
enum { ROWS = sizeof rows / sizeof *rows, LONG_BASE = 256 };

static void help_print(void)
{
	printf("Usage: kesfs-migrate [options] --from SOURCE --to TARGET [PATTERN...]\n"
	       "       kesfs-migrate [options] --check --from SOURCE --to TARGET [PATTERN...]\n"
	       "       kesfs-migrate [options] --list --from SOURCE [PATTERN...]\n\n"
	       "Copy the master keys of a MinIO KES key store to another one, and prove that they arrived.\n\n");
	for (size_t i = 0; i < ROWS; i++) {
		const struct row *row = &rows[i];
		char left[40];
		snprintf(left, sizeof left, row->kind == JSON ? "%s[=%s]" : row->value != NULL ? "%s %s" : "%s",
			 row->name, row->value);
		if (row->letter != 0)
			printf("  -%c, --%-20s %s\n", row->letter, left, row->help);
		else
			printf("      --%-20s %s\n", left, row->help);
	}
	printf("\nPATTERN is what 'kes migrate' takes, such as 'my-key*'; none means all keys.\n"
	       "The manual, kesfs-migrate(1), has the exit statuses and the JSON form.\n");
}

static int count_parse(const char *text, const struct row *row, size_t *ret, struct error *err)
{
	char *end;

	errno = 0;
	unsigned long n = strtoul(text, &end, 10);
	if (!isdigit((unsigned char)*text) || *end != '\0' || errno != 0 || n == 0 || n > 1000000000)
		return error_set(err, EINVAL, "--%s %s: a whole number from 1 on is expected", row->name, text);
	*ret = n;
	return 0;
}

static int number_parse(const char *text, const struct row *row, double *ret, struct error *err)
{
	char *end;
	double n = strtod(text, &end);

	if (end == text || *end != '\0' || !isfinite(n) || n <= 0 || n > 1e9)
		return error_set(err, EINVAL, "--%s %s: a number above 0 is expected", row->name, text);
	*ret = n;
	return 0;
}

static int text_take(const char *text, const struct row *row, const char **ret, struct error *err)
{
	if (*text == '\0')
		return error_set(err, EINVAL, "--%s: the value is empty", row->name);
	if (*ret != NULL)
		return error_set(err, EINVAL, "--%s was given twice%s: '%s' and '%s'", row->name,
				 row->field == FIELD(to) ? " (--target is the same as --to)" : "", *ret, text);
	*ret = text;
	return 0;
}

static int texts_add(struct texts *texts, const char *text, struct error *err)
{
	const char **items = reallocarray(texts->items, texts->count + 1, sizeof *items);

	if (items == NULL)
		return error_set(err, ENOMEM, "no memory");
	items[texts->count++] = text;
	texts->items = items;
	return 0;
}

static int row_apply(const struct row *row, struct migrate_options *o, struct error *err)
{
	void *field = (char *)o + row->field;

	switch (row->kind) {
	case FLAG:
		*(bool *)field = true;
		return 0;
	case TEXT:
		return text_take(optarg, row, field, err);
	case LIST:
		return texts_add(field, optarg, err);
	case COUNT:
		return count_parse(optarg, row, field, err);
	case NUMBER:
		return number_parse(optarg, row, field, err);
	case JSON:
		o->json = true;
		return optarg != NULL ? text_take(optarg, row, &o->json_file, err) : 0;
	case HELP:
		help_print();
		return 1;
	case VERSION:
		printf("kesfs-migrate %s\n", KESFS_VERSION);
		return 1;
	}
	return 0;
}

/* getopt_long() said '?' or ':'; c is what it put into optopt. */
static int complain(int c, bool missing, const char *word, struct error *err)
{
	if (missing && c >= LONG_BASE)
		return error_set(err, EINVAL, "--%s needs a value (%s)", rows[c - LONG_BASE].name,
				 rows[c - LONG_BASE].value);
	if (missing)
		return error_set(err, EINVAL, "-%c needs a value", c);
	if (c >= LONG_BASE)
		return error_set(err, EINVAL, "--%s takes no value", rows[c - LONG_BASE].name);
	if (c != 0 && strchr("seak", c) != NULL)
		return error_set(err, EINVAL, "-%c belongs to 'kes migrate' to a MinIO KMS server, which kesfs-migrate does "
				 "not do: give the target as a configuration file with --to", c);
	if (c != 0)
		return error_set(err, EINVAL, "unknown option -%c; see --help", c);
	return error_set(err, EINVAL, "unknown or ambiguous option %s; see --help", word);
}

static const struct row *row_find(int c)
{
	for (size_t i = 0; i < ROWS; i++)
		if (c == LONG_BASE + (int)i || (rows[i].letter != 0 && c == rows[i].letter))
			return &rows[i];
	return NULL;
}

static int words_parse(int argc, char **argv, struct migrate_options *o, struct error *err)
{
	struct option longs[ROWS + 1] = { { 0 } };
	char shorts[2 * ROWS + 2] = ":", *s = shorts + 1;
	int c, r = 0;

	for (size_t i = 0; i < ROWS; i++) {
		int has = rows[i].kind == JSON ? optional_argument : rows[i].value != NULL;
		longs[i] = (struct option){ rows[i].name, has, NULL, LONG_BASE + (int)i };
		if (rows[i].letter != 0) {
			*s++ = rows[i].letter;
			if (has == required_argument)
				*s++ = ':';
		}
	}
	opterr = 0;
	optind = 0;                   /* 0, not 1: also forget what an earlier parse permuted (unit tests) */
	while (r == 0 && (c = getopt_long(argc, argv, shorts, longs, NULL)) != -1)
		r = c == '?' || c == ':' ? complain(optopt, c == ':', argv[optind - 1], err)
					 : row_apply(row_find(c), o, err);
	for (int i = optind; r == 0 && i < argc; i++)
		r = texts_add(&o->patterns, argv[i], err);
	return r;
}

/* What does not go together, the first that applies. */
static int options_check(const struct migrate_options *o, struct error *err)
{
	bool copies = !o->check && !o->list;
	const struct { bool wrong; const char *sentence; } rules[] = {
		{ o->from == NULL, "--from is missing: a directory or a configuration file" },
		{ o->check && o->list, "--check and --list do not go together" },
		{ o->list && o->to != NULL, "--list shows one store, --from: leave --to out" },
		{ !o->list && o->to == NULL, "--to is missing: a directory or a configuration file" },
		{ o->merge && o->force, "--force and --merge do not go together: --merge keeps what the target holds, "
		  "--force replaces it" },
		{ o->long_list && !o->list, "--long goes with --list" },
		{ o->backup_to != NULL && !o->force, "--backup-to goes with --force: nothing else is ever replaced" },
		{ !copies && (o->merge || o->force), "--merge and --force do not go with --check or --list, which write nothing" },
		{ !copies && (o->dry_run || o->create), "--dry-run and --create do not go with --check or --list, which "
		  "write nothing" },
		{ o->quiet && (o->verbose || o->progress), "--quiet does not go with --verbose or --progress" },
	};

	for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
		if (rules[i].wrong)
			return error_set(err, EINVAL, "%s", rules[i].sentence);
	return 0;
}

int options_parse(int argc, char **argv, struct migrate_options *ret, struct error *err)
{
	struct migrate_options o = { .timeout = 0 };
	int r = words_parse(argc, argv, &o, err);

	if (r == 0)
		r = options_check(&o, err);
	if (r != 0) {
		options_free(&o);
		return r;
	}
	o.mode = o.force ? MODE_FORCE : o.merge ? MODE_MERGE : MODE_DEFAULT;
	o.action = o.list ? ACTION_LIST : o.check ? ACTION_CHECK : ACTION_COPY;
	if (o.timeout == 0)
		o.timeout = 60;
	*ret = o;
	return 0;
}

void options_free(struct migrate_options *o)
{
	free(o->patterns.items);
	free(o->include.items);
	free(o->exclude.items);
	free(o->files_from.items);
	*o = (struct migrate_options){ .timeout = 0 };
}
