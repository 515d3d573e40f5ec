/* SPDX-License-Identifier: Apache-2.0
 *
 * AWS Signature Version 4 for "POST /" with a body in memory (keystores.md 9.2), as a pure function of request, key and
 * time.  Ours, since libcurl 7.88's own leaves copies of the secret key in live handles and cannot correct a clock
 * (house-style.md). */
#ifndef KESFS_BACKENDS_SIGV4_H
#define KESFS_BACKENDS_SIGV4_H

#include <stdint.h>

#include "backends/secret.h"

struct sigv4_key {
	const char *id;
	const struct secret *secret;
	const struct secret *token;   /* of a session; NULL or empty: none */
};

struct sigv4_request {
	const char *host;             /* as it is sent: with the port if it is not the scheme's own */
	const char *region, *service;
	const char *content_type;
	const char *target;           /* X-Amz-Target; NULL: none is sent */
	const struct secret *body;
};

enum { SIGV4_DATE_SIZE = 17 };        /* "20250102T030405Z" */

/* date: what X-Amz-Date must say.  *ret: what Authorization must say.  0, -ENOMEM, -EINVAL (a time without a date). */
int sigv4_sign(const struct sigv4_key *key, const struct sigv4_request *r, int64_t when, char date[static SIGV4_DATE_SIZE],
               struct secret *ret);

#endif
