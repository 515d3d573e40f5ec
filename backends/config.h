/* SPDX-License-Identifier: Apache-2.0
 *
 * A KES server's configuration file, read for its keystore section (keystores.md 5): design.md section 2 is the
 * contract.  The whole schema is known and checked here, so a module only fetches what it needs.  Every complaint
 * carries "file:line:column: ". */
#ifndef KESFS_BACKENDS_CONFIG_H
#define KESFS_BACKENDS_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "backends/error.h"
#include "backends/secret.h"

struct config;                                /* one file, checked */
struct config_map;                            /* the section of the one store in it */

/* Parse, resolve ${NAME} (and overwrite the variable in the environment block), check the schema, choose the store.
 * -EINVAL with file:line:column for anything wrong; -ENOENT, -EACCES, ... of the file itself.  Warnings ("unknown
 * but harmless", plain http off loopback) go to warn(), which may be NULL. */
int config_load(const char *path, void (*warn)(const char *sentence, void *arg), void *arg,
                struct config **ret, struct error *err);
void config_free(struct config *cfg);         /* wipes; accepts NULL */

/* "fs", "vault", "aws", "gcp", "azure", "fortanix", "gemalto", "entrust", "kes". */
const char *config_store(const struct config *cfg);
const struct config_map *config_section(const struct config *cfg);  /* lent; lives as long as cfg */

/* Fields by dotted path below the store's own section: "endpoint", "approle.id", "tls.ca"; for the two-level stores
 * below the inner section ("region", not "secretsmanager.region").  Lent strings. */
const char *config_text(const struct config_map *map, const char *field);       /* NULL: absent, null or empty */
bool config_has(const struct config_map *map, const char *field);    /* a scalar or mapping is there, even if empty */
/* A field that the schema calls secret: lent, NULL if absent.  config_text() gives NULL for those. */
const struct secret *config_secret(const struct config_map *map, const char *field);
int64_t config_duration(const struct config_map *map, const char *field, int64_t otherwise);   /* ns */
size_t config_list(const struct config_map *map, const char *field, const char *const **ret);  /* number of items */
/* An error at the place of a field (or of the section if it is absent): "file:line:col: keystore.vault.FIELD: ...". */
int config_complain(const struct config_map *map, const char *field, struct error *err, int code, const char *fmt, ...)
	__attribute__((format(printf, 5, 6)));

/* For a store without a file (a directory on the command line, tests): a section "fs" with path. */
int config_for_directory(const char *path, struct config **ret, struct error *err);

#endif
