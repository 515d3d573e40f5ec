/* SPDX-License-Identifier: Apache-2.0
 *
 * The modules that are built in, found by the name of their section in a KES configuration file. */
#ifndef KESFS_BACKENDS_REGISTRY_H
#define KESFS_BACKENDS_REGISTRY_H

#include "backends/backend.h"

/* "fs", "vault", ...; NULL: not built (yet). */
const struct backend_ops *registry_find(const char *name);
/* NULL-terminated, for --help and --version. */
const struct backend_ops *const *registry_all(void);

#endif
