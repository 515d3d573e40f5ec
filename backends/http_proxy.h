/* SPDX-License-Identifier: Apache-2.0
 *
 * Which proxy a request goes through, by the rules of Go's clients, so that kesfs and KES agree on one machine:
 * HTTPS_PROXY, HTTP_PROXY and NO_PROXY in either case, never for localhost and loopback addresses. */
#ifndef KESFS_BACKENDS_HTTP_PROXY_H
#define KESFS_BACKENDS_HTTP_PROXY_H

#include <stdbool.h>

struct http_proxy;

/* The environment as it is now; it may hold passwords, and is wiped by free().  NULL: no memory. */
struct http_proxy *http_proxy_new(void);
void http_proxy_free(struct http_proxy *p);   /* accepts NULL */
/* The proxy's URL, lent; "": none. */
const char *http_proxy_for(const struct http_proxy *p, const char *url);

#endif
