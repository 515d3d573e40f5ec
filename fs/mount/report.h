/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of .kesfs say, as JSON.  backends/mounted.h reads some of it. */
#ifndef KESFS_FS_MOUNT_REPORT_H
#define KESFS_FS_MOUNT_REPORT_H

#include "fs/mount/request.h"
#include "fs/mount/session_inside.h"

/* Of one store; v NULL: of all in a list.  0 or -ENOMEM. */
int report_status(struct session *s, struct volume *v, struct secret *out);
/* After a listing: 0, or the code with which it failed; -ETIMEDOUT while it still runs. */
int report_refresh(struct volume *v, struct secret *out);
/* Of the key whose value and entry are in r; no byte of the key. */
int report_key(const struct request *r, struct secret *out);

#endif
