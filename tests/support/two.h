/* SPDX-License-Identifier: Apache-2.0
 *
 * Just enough of RFC 9113 for a test's server: it answers each request by the one byte that HPACK needs for
 * ":status: 200", or as the test likes. */
#ifndef KESFS_TESTS_SUPPORT_TWO_H
#define KESFS_TESTS_SUPPORT_TWO_H

#include <stdint.h>

#include "tests/support/server.h"

enum { TWO_DATA, TWO_HEADERS, TWO_RST_STREAM = 3, TWO_SETTINGS, TWO_PING = 6, TWO_GOAWAY };
enum { TWO_END_STREAM = 1, TWO_ACK = 1, TWO_END_HEADERS = 4 };
enum { TWO_REFUSED_STREAM = 7 };

void two_offer(SSL_CTX *tls);                 /* "h2" is what the server chooses, or nothing */

/* Serve the connection to its end; for a server_handler.  answer() is called once a request is complete. */
typedef void two_answer(struct server_request *r, uint32_t stream, void *arg);
void two_speak(struct server_request *r, two_answer *answer, void *arg);

void two_write(struct server_request *r, unsigned type, unsigned flags, uint32_t stream, const void *bytes, size_t len);
void two_ok(struct server_request *r, uint32_t stream, const char *body);     /* 200; body may be NULL, at most 200 bytes */

#endif
