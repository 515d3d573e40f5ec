/* SPDX-License-Identifier: Apache-2.0
 *
 * Every store and field that a configuration file may name, as one table: the reader checks by it, and a test holds
 * kesfs.yml(5) to it. */
#ifndef KESFS_BACKENDS_CONFIG_SCHEMA_H
#define KESFS_BACKENDS_CONFIG_SCHEMA_H

#include <stdbool.h>
#include <stddef.h>

enum schema_type {
	SCHEMA_MAP,           /* its fields follow in the table */
	SCHEMA_TEXT,
	SCHEMA_URL,           /* http:// or https:// and a host */
	SCHEMA_HOST,          /* a URL, or a host with or without port */
	SCHEMA_VERSION,       /* v1 or v2 */
	SCHEMA_DURATION,
	SCHEMA_LIST,          /* of texts; a single text is a list of one */
	SCHEMA_URLS,          /* a list of hosts and URLs */
	SCHEMA_IGNORED,       /* some KES release or its documentation had it */
	SCHEMA_RENAMED,       /* of old KES releases; ignoring it would open another place.  expected: its new name */
};
enum schema_flags {
	SCHEMA_REQUIRED = 1,  /* wherever the map around it is present */
	SCHEMA_SECRET = 2,
	SCHEMA_OURS = 4,      /* KES has no such field */
};

struct schema_field {
	const char *path;     /* dotted, below the section */
	enum schema_type type;
	unsigned flags;
	const char *expected; /* "expected ..." */
};

struct schema_store {
	const char *name;     /* of the section below keystore */
	const char *inner;    /* of the section inside that one; NULL: one level */
	const struct schema_field *fields;
	size_t count;
};

extern const struct schema_store schema_stores[];
extern const size_t schema_store_count;

const struct schema_store *schema_store_find(const char *name);
const struct schema_field *schema_field_find(const struct schema_store *store, const char *path);
/* The part of a path behind its last dot. */
const char *schema_leaf(const char *path);
/* Is the field directly in the map at that path ("" is the section)? */
bool schema_child(const struct schema_field *f, const char *parent);

#endif
