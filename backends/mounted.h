/* SPDX-License-Identifier: Apache-2.0
 *
 * A directory that is a kesfs mount, as a store: its file system decides each create, so keys are written in place
 * instead of by a temporary file.
 *
 * A mount is known by its type and by `.kesfs/status`, a JSON object with these members, of which the first is
 * required:
 *   "kesfs": 1              the version of this format
 *   "identity": TEXT        what the store behind it says of itself, so that a mount of X is known to be X
 *   "reachable": BOOL       false: the store did not answer the last request
 *   "reason": TEXT          why, in a sentence
 *   "replace": TEXT         "atomic", "gap", or "refused" by the mount's options
 *   "stale": BOOL           the last listing failed; names are those of an older one */
#ifndef KESFS_BACKENDS_MOUNTED_H
#define KESFS_BACKENDS_MOUNTED_H

#include <stdbool.h>

#include "backends/backend.h"

extern const struct backend_ops mounted_backend;      /* not in the registry: store.c picks it */

bool mounted_detect(const char *path);

#endif
