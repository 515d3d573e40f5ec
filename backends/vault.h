/* SPDX-License-Identifier: Apache-2.0
 *
 * The module for HashiCorp Vault and OpenBao. */
#ifndef KESFS_BACKENDS_VAULT_H
#define KESFS_BACKENDS_VAULT_H

#include "backends/backend.h"

extern const struct backend_ops vault_backend;

#endif
