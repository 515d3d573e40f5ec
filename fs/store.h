/* SPDX-License-Identifier: Apache-2.0
 *
 * One side as the user named it, a directory or a configuration file, opened: the module, its handle, and what to
 * call it in sentences.  Mount and helper reach a backend through here only. */
#ifndef KESFS_FS_STORE_H
#define KESFS_FS_STORE_H

#include "backends/backend.h"

struct config;

struct store {
	const struct backend_ops *ops;
	struct backend *handle;
	char *where;                  /* as the user wrote it: for sentences */
	char *label;                  /* "fs /var/keys", "vault https://host:8200 kv/kes": for status and plan; no secret */
	struct config *config;        /* NULL for a directory */
	bool mount;                   /* a directory that is a kesfs mount (backends/mounted.c) */
};

/* where is a directory (a kesfs mount by FUSE type and a valid .kesfs/status, or any directory) or a configuration
 * file.  Opens the module, sends nothing.  What does not exist is -ENOENT, unless o->create_store and it is to be a
 * directory (only its last component is made, mode 0700).  A store of the schema without a module is -EINVAL in a
 * sentence.  Warnings as in config_load(). */
int store_open(const char *where, const struct backend_options *o, void (*warn)(const char *sentence, void *arg), void *arg,
               struct store *ret, struct error *err);
/* Would create_store make this directory?  Nothing is made. */
int store_makeable(const char *where, struct error *err);
void store_close(struct store *s);            /* accepts the zeroed one */
unsigned store_caps(const struct store *s);

/* Every entry of the store, page after page, duplicates removed, sorted bytewise; restarts on -ESTALE. */
struct listing_entry {
	char *name;
	int64_t created, changed, size;
	unsigned flags;
};
struct listing {
	struct listing_entry *entries;
	size_t count;
};
int store_list(struct store *s, const struct call *c, const char *prefix, struct listing *ret, struct error *err);
void listing_free(struct listing *l);

/* What a fault decorator or a test needs: a layer put around every store that is opened.  NULL in the programs. */
extern int (*store_wrap)(struct store *s, struct error *err);

#endif
