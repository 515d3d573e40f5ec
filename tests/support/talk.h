/* SPDX-License-Identifier: Apache-2.0
 *
 * The engine and the server that it talks to: what nearly every test of the engine begins and ends with. */
#ifndef KESFS_TESTS_SUPPORT_TALK_H
#define KESFS_TESTS_SUPPORT_TALK_H

#include "backends/http.h"
#include "tests/support/server.h"

extern struct server *server;
extern struct http *http;
extern SSL_CTX *server_tls;                   /* the server's, if it speaks TLS */
extern struct gate gate;                      /* closed at the start of each talk */

/* The engine's label is "store" unless options name another. */
void talk_start(server_handler *handler, const struct http_options *options);
/* A teardown of cmocka: opens the gate, ends both, whatever was started. */
int talk_stop(void **state);

#endif
