/* SPDX-License-Identifier: Apache-2.0
 *
 * A call of the engine on a thread of its own, so that a test can look at it while it waits. */
#ifndef KESFS_TESTS_SUPPORT_CALLER_H
#define KESFS_TESTS_SUPPORT_CALLER_H

#include <pthread.h>

#include "backends/http.h"

struct caller {
	struct http *http;
	struct http_request request;
	struct call call;
	struct cancel cancel;
	struct http_reply reply;
	struct error err;
	int result;
	pthread_t thread;
};

/* request's url is copied. */
void caller_start(struct caller *c, struct http *h, const struct http_request *request, double seconds);
int caller_join(struct caller *c);            /* the result; reply and err stay until caller_wipe() */
void caller_wipe(struct caller *c);

#endif
