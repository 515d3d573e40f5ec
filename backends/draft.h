/* SPDX-License-Identifier: Apache-2.0
 *
 * A file on its way to its name: written and synced while nobody can see it as a key, then published in one step.
 *
 * Unnamed drafts (O_TMPFILE) leave nothing behind, whatever kills us.  Named ones are `.kesfs-*` files, which a kill
 * can leave behind; draft_is_leftover() tells them, and the listing of a store that was opened for writing removes
 * those older than an hour.  No call lasts that long, so none is in use; and if one were, its publishing would fail
 * and change nothing. */
#ifndef KESFS_BACKENDS_DRAFT_H
#define KESFS_BACKENDS_DRAFT_H

#include <stdbool.h>
#include <sys/stat.h>

#include "backends/secret.h"

enum { DRAFT_LEFTOVER_AGE = 3600 };           /* seconds */

struct draft {
	int dir;                      /* lent */
	int fd;
	char name[56];                /* empty: unnamed */
};

#define AUTO_DRAFT __attribute__((cleanup(draft_drop))) struct draft

/* All return 0 or -errno as the system said it. */
int draft_open_unnamed(struct draft *d, int dir);     /* -EOPNOTSUPP where the file system has none */
int draft_open_named(struct draft *d, int dir);
int draft_write(struct draft *d, const struct secret *value);
/* Publish under a free name: -EEXIST if it is taken, decided by the file system. */
int draft_publish(struct draft *d, const char *name);
/* Take the place of an existing file.  *ret_swapped: the old file now bears the draft's name, and a second call
 * would undo it; else it is gone already.  -ENOENT: there was none (only where the file system can swap). */
int draft_exchange(struct draft *d, const char *name, bool *ret_swapped);
void draft_drop(struct draft *d);                     /* closes, and removes the name it still has; twice is fine */

bool draft_is_leftover(const char *name);

#endif
