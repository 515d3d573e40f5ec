/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/support/talk.h"

struct server *server;
struct http *http;
SSL_CTX *server_tls;
struct gate gate = GATE_INIT;

void talk_start(server_handler *handler, const struct http_options *options)
{
	struct http_options o = options != NULL ? *options : (struct http_options){ .in_flight = 0 };

	if (o.label == NULL)
		o.label = "store";
	gate = (struct gate)GATE_INIT;
	server = server_start(handler, NULL, server_tls);
	assert_int_equal(http_open(&o, &http, NULL), 0);
}

int talk_stop(void **state)
{
	(void)state;
	gate_open(&gate);
	http_close(http);
	if (server != NULL)
		server_stop(server);
	SSL_CTX_free(server_tls);
	http = NULL;
	server = NULL;
	server_tls = NULL;
	return 0;
}
