/* SPDX-License-Identifier: Apache-2.0
 *
 * Variables of the environment that a configuration file refers to. */
#ifndef KESFS_BACKENDS_CONFIG_ENV_H
#define KESFS_BACKENDS_CONFIG_ENV_H

#include "backends/secret.h"

/* The value of a variable.  It is overwritten in the environment block, where /proc would show it and every child
 * would inherit it, and kept here for a second file that refers to it.  0, -ENOENT (not set), -ENOMEM, -EFBIG. */
int config_env(const char *name, struct secret *ret);

/* The name inside "${NAME}" if the whole text, trimmed, is such a reference: *ret_name and its length. */
bool config_env_reference(const char *text, const char **ret_name, int *ret_length);

#endif
