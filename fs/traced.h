/* SPDX-License-Identifier: Apache-2.0
 *
 * A layer around a store that logs each call of it, for debug=store: what, which key, how long, with what result. */
#ifndef KESFS_FS_TRACED_H
#define KESFS_FS_TRACED_H

#include "fs/store.h"

int traced_wrap(struct store *s, struct error *err);

#endif
