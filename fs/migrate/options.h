/* SPDX-License-Identifier: Apache-2.0
 *
 * The command line of kesfs-migrate, checked.  One table holds each option with its help text. */
#ifndef KESFS_FS_MIGRATE_OPTIONS_H
#define KESFS_FS_MIGRATE_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

#include "backends/error.h"

enum mode { MODE_DEFAULT, MODE_MERGE, MODE_FORCE };
enum action { ACTION_COPY, ACTION_CHECK, ACTION_LIST };

struct texts {                        /* in the order given; lent from argv */
	const char **items;
	size_t count;
};

struct migrate_options {
	const char *from, *to, *backup_to;
	enum mode mode;
	enum action action;
	struct texts patterns, include, exclude, files_from;
	bool merge, force, check, list;       /* as given; mode and action are made of them */
	bool long_list, dry_run, yes, raw, create, no_verify, progress, quiet, verbose;
	bool json;
	const char *json_file;                /* NULL: stdout */
	size_t transfers, max_errors;         /* 0: adapts; no limit */
	double tpslimit, timeout;             /* 0: no limit; seconds */
};

/* 0; 1 after -h or -V, whose text is on stdout; -EINVAL with a sentence: exit status 2. */
int options_parse(int argc, char **argv, struct migrate_options *ret, struct error *err);
void options_free(struct migrate_options *o);

#endif
