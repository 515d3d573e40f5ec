/* SPDX-License-Identifier: Apache-2.0
 *
 * Reads back what was written, the way a KES server will read it. */
#ifndef KESFS_FS_MIGRATE_VERIFY_H
#define KESFS_FS_MIGRATE_VERIFY_H

#include "fs/migrate/outcome.h"
#include "fs/migrate/side.h"

/* 0: the side holds exactly this value.  old is what a replace took away, which an eventually consistent store may
 * show for a while; NULL: nothing.  -ESTALE: it holds neither of the two; -EPROTO: it
 * said yes and holds something else; else why it could not be read. */
int verify_key(struct side *side, const char *name, const struct secret *value, const struct secret *old,
	       struct cancel *cancel, struct error *err);
/* -ECANCELED: a signal ended the reading back.  The key was written all the same: settle it so, and as unverified. */
void verify_interrupted(struct item *item, enum outcome written);

#endif
