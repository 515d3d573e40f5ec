/* SPDX-License-Identifier: Apache-2.0
 *
 * Which names a run is about: patterns and literal names, narrowed by --include and --exclude.  A literal name needs
 * no listing of the store. */
#ifndef KESFS_FS_MIGRATE_SELECTION_H
#define KESFS_FS_MIGRATE_SELECTION_H

#include <stdbool.h>
#include <stddef.h>

#include "backends/error.h"
#include "fs/migrate/options.h"

struct selection;

/* -EINVAL for a malformed pattern; -ENOENT and its like for a file of --files-from. */
int selection_new(const struct migrate_options *o, struct selection **ret, struct error *err);
void selection_free(struct selection *s);             /* accepts NULL */

/* All names are literal: these, sorted, without doubles and without what --include and --exclude take away.  NULL if
 * a listing is needed. */
const char *const *selection_literals(const struct selection *s, size_t *ret_count);
/* Is the name of a listing selected?  *ret_literal: it was named itself.  Notes which patterns found something. */
bool selection_match(struct selection *s, const char *name, bool *ret_literal);
/* After a listing: the first patterns and names that found nothing, as "'a', 'b' and 3 more"; false: none. */
bool selection_unmatched(const struct selection *s, char *buf, size_t size);
/* A hint for list(): what all selected names begin with; "" if nothing. */
const char *selection_prefix(const struct selection *s);

#endif
