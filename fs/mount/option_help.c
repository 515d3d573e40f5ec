/* SPDX-License-Identifier: Apache-2.0
 *
 * The help is made from the option table, so that neither knows an option that the other does not. */
#include "fs/mount/option_help.h"

#ifndef FUSE_USE_VERSION
#define FUSE_USE_VERSION 314
#endif
#include <curl/curl.h>
#include <fuse_lowlevel.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <string.h>

#include "backends/registry.h"
#include "fs/mount/option_table.h"

enum { COLUMN = 24 };                 /* where the explanations begin */

static const struct {
	enum option_group group;
	const char *title;
} groups[] = {
	{ GROUP_CHANGE, "What may change" },
	{ GROUP_SHOW,   "What is shown" },
	{ GROUP_ACCESS, "Who may enter" },
	{ GROUP_STORE,  "The store" },
	{ GROUP_LOG,    "The log" },
	{ GROUP_MOUNT,  "The mount" },
};

static void row_print(const struct option_row *row)
{
	char left[64];
	const char *line = row->help;
	const char *open = row->arg_optional ? "[=" : "=", *close = row->arg_optional ? "]" : "";

	if (row->arg != NULL)
		snprintf(left, sizeof left, "  %s%s%s%s", row->name, open, row->arg, close);
	else
		snprintf(left, sizeof left, "  %s", row->name);
	for (const char *before = left; line != NULL; before = "") {
		size_t len = strcspn(line, "\n");
		printf("%-*s%.*s\n", COLUMN, before, (int)len, line);
		line = line[len] == '\n' ? line + len + 1 : NULL;
	}
}

static void quiet_print(void)
{
	int column = 80;

	printf("\nTaken from mount(8) and fstab, without effect:");
	for (const struct option_row *row = option_table; row->name != NULL; row++) {
		if (row->group != GROUP_QUIET)
			continue;
		if (column + 1 + (int)strlen(row->name) > 78)
			column = printf("\n ") - 1;
		column += printf(" %s", row->name);
	}
	printf("\n");
}

static void stores_print(void)
{
	printf("\nStores:\n");
	for (const struct backend_ops *const *ops = registry_all(); *ops != NULL; ops++)
		printf("  %-*s%s\n", COLUMN - 2, (*ops)->name, (*ops)->summary);
}

void option_help_print(void)
{
	printf("Usage: kesfs [options] CONFIG MOUNTPOINT\n"
	       "       kesfs [options] [NAME=]CONFIG [NAME=]CONFIG... MOUNTPOINT\n"
	       "       kesfs [options] --probe [NAME=]CONFIG...\n"
	       "\n"
	       "Mount the key store of a KES server's configuration file CONFIG as a directory\n"
	       "with one file for each master key; several stores as one directory each, named\n"
	       "after the file or NAME. Unmount with: fusermount3 -u MOUNTPOINT\n"
	       "\n"
	       "  -o, --options OPTS    mount options, see below; may be given again\n"
	       "  -f, --foreground      stay in the foreground and log to standard error\n"
	       "  -d, --debug           as -f, and show every FUSE request and debug area\n"
	       "      --probe           mount nothing: say what may be read, listed, written\n"
	       "  -h, --help            this text\n"
	       "  -V, --version         version, libraries and stores\n");
	for (size_t i = 0; i < sizeof groups / sizeof *groups; i++) {
		printf("\n%s:\n", groups[i].title);
		for (const struct option_row *row = option_table; row->name != NULL; row++)
			if (row->group == groups[i].group)
				row_print(row);
	}
	quiet_print();
	stores_print();
	printf("\nThe mount is always nosuid, nodev and noexec. Details: kesfs(1), kesfs.yml(5)\n");
}

void option_version_print(void)
{
	printf("kesfs %s\nlibfuse %s\n%s\n%s\nstores:", KESFS_VERSION, fuse_pkgversion(), OpenSSL_version(OPENSSL_VERSION),
	       curl_version());
	for (const struct backend_ops *const *ops = registry_all(); *ops != NULL; ops++)
		printf(" %s", (*ops)->name);
	printf("\n");
}
