/* SPDX-License-Identifier: Apache-2.0
 *
 * Base64 between secrets, without a table lookup per byte that depends on the secret. */
#ifndef KESFS_BACKENDS_BASE64_H
#define KESFS_BACKENDS_BASE64_H

#include <stdbool.h>

#include "backends/secret.h"

enum base64_kind { BASE64_STD, BASE64_URL };  /* "+/" with padding; "-_" without (JWT) */

/* Append to *out; in and out differ.  0, -ENOMEM, -EFBIG. */
int base64_encode(struct secret *out, const void *bytes, size_t len, enum base64_kind kind);
/* Append to *out.  -EBADMSG: a foreign character, wrong length or padding, bits left over; *out is unchanged then. */
int base64_decode(struct secret *out, const char *text, size_t len, enum base64_kind kind);

#endif
