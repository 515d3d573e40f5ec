/* SPDX-License-Identifier: Apache-2.0
 *
 * Every mount option in one table, its help text beside it. */
#ifndef KESFS_FS_MOUNT_OPTION_TABLE_H
#define KESFS_FS_MOUNT_OPTION_TABLE_H

#include "fs/mount/options.h"

struct option_parse {                 /* what is known before the operands are */
	struct mount_options *o;
	bool read_only;               /* ro or rw, the last one counts */
	char **read_only_names;       /* ro=NAME, NULL-terminated, may be NULL */
};

enum option_group {
	GROUP_CHANGE, GROUP_SHOW, GROUP_ACCESS, GROUP_STORE, GROUP_LOG, GROUP_MOUNT,
	GROUP_QUIET,                  /* accepted since mount(8) and fstab have them; no line each in --help */
	GROUP_REFUSED,                /* known, and refused with the reason in help */
};

struct option_row {
	const char *name;             /* a trailing '*' means: whatever begins like this */
	const char *arg;              /* what its value is called; NULL: it takes none */
	bool arg_optional;
	enum option_group group;
	int (*set)(struct option_parse *p, const struct option_row *row, const char *value, struct error *err);
	size_t offset;                /* in struct mount_options, for set() */
	double min, max;              /* of numbers */
	const char *help;             /* lines, separated by '\n' */
};

extern const struct option_row option_table[];        /* ends with a NULL name */

/* One option as it stands between two commas: "ttl=5".  -EINVAL with a sentence. */
int option_apply(struct option_parse *p, const char *text, struct error *err);

/* Append a copy of text to a NULL-terminated array that may be NULL.  0 or -ENOMEM. */
int option_list_append(char ***list, const char *text);
void option_list_free(char **list);

#endif
