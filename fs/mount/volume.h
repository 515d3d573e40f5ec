/* SPDX-License-Identifier: Apache-2.0
 *
 * One store as it is mounted: its names and their ages, its pool, its options. */
#ifndef KESFS_FS_MOUNT_VOLUME_H
#define KESFS_FS_MOUNT_VOLUME_H

#include "fs/mount/options.h"
#include "fs/store.h"

struct volume;

/* Open the store, prove that it answers (status), take the first listing.  A refused listing is no failure: keys open
 * by name.  The errno decides the exit status of the program. */
int volume_open(const struct mount_options *o, const struct mount_source *source, struct volume **ret, struct error *err);
void volume_close(struct volume *v);          /* accepts NULL */
struct store *volume_store(struct volume *v);
void volume_refresh(struct volume *v);        /* list again now, in the background (SIGHUP) */

#endif
