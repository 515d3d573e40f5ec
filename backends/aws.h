/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KESFS_BACKENDS_AWS_H
#define KESFS_BACKENDS_AWS_H

#include "backends/backend.h"

extern const struct backend_ops aws_backend;  /* AWS Secrets Manager */

#endif
