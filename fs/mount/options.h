/* SPDX-License-Identifier: Apache-2.0
 *
 * The command line of kesfs, checked. */
#ifndef KESFS_FS_MOUNT_OPTIONS_H
#define KESFS_FS_MOUNT_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "backends/error.h"

struct mount_source {
	char *name;                   /* of its directory, where several are mounted; else NULL */
	char *where;                  /* the configuration file */
	bool read_only;
};

struct mount_options {
	struct mount_source *sources;
	size_t source_count;
	bool several;                 /* one directory per store (NAME=CONFIG, or more than one) */
	char *mountpoint;             /* NULL with probe */
	bool probe;
	bool overwrite, remove, raw;
	char **include, **exclude;    /* NULL-terminated patterns, each may be NULL */
	double ttl, timeout;          /* seconds */
	bool size_exact;
	uid_t uid;
	gid_t gid;
	mode_t umask;
	bool umask_set;
	bool allow_other, allow_root, auto_unmount, nonempty;
	unsigned requests;
	int recovery_days;            /* as in struct backend_options */
	bool foreground, debug_fuse;
	char *log_file, *debug_areas;
	char *fsname;                 /* for the mount table; never a secret */
};

/* Exits with 0 after -h and -V.  -EINVAL with a sentence: exit status 2. */
int mount_options_parse(int argc, char **argv, struct mount_options *ret, struct error *err);
void mount_options_free(struct mount_options *o);

#endif
