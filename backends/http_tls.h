/* SPDX-License-Identifier: Apache-2.0
 *
 * Whom the engine trusts and who it says it is, read once and shared by all its connections. */
#ifndef KESFS_BACKENDS_HTTP_TLS_H
#define KESFS_BACKENDS_HTTP_TLS_H

#include <curl/curl.h>

#include "backends/error.h"
#include "backends/http.h"

struct http_tls;

/* -EINVAL, -ENOENT, -EACCES, ... naming the file. */
int http_tls_load(const struct http_options *o, struct http_tls **ret, struct error *err);
/* Before the first try over TLS, in the caller's thread: the system's roots take a while to load. */
int http_tls_need(const struct http_tls *t, struct error *err);
void http_tls_free(struct http_tls *t);       /* accepts NULL */
void http_tls_setup(struct http_tls *t, CURL *easy);   /* t outlives every connection of easy */

#endif
