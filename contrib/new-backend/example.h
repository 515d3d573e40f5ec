/* SPDX-License-Identifier: Apache-2.0
 *
 * A store to start from when adding one: it keeps its keys in memory and forgets them. */
#ifndef KESFS_CONTRIB_EXAMPLE_H
#define KESFS_CONTRIB_EXAMPLE_H

#include "backends/backend.h"

extern const struct backend_ops example_backend;

#endif
