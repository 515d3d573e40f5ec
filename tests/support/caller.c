/* SPDX-License-Identifier: Apache-2.0
 *
 * http_call() on a thread. */
#include "tests/support/caller.h"

#include <stdlib.h>
#include <string.h>

static void *caller_main(void *arg)
{
	struct caller *c = arg;

	c->result = http_call(c->http, &c->call, &c->request, &c->reply, &c->err);
	return NULL;
}

void caller_start(struct caller *c, struct http *h, const struct http_request *request, double seconds)
{
	*c = (struct caller){ .http = h, .request = *request };
	c->request.url = strdup(request->url);
	cancel_init(&c->cancel);
	c->call = call_in(seconds, &c->cancel);
	if (c->request.url == NULL || pthread_create(&c->thread, NULL, caller_main, c) != 0)
		abort();
}

int caller_join(struct caller *c)
{
	pthread_join(c->thread, NULL);
	return c->result;
}

void caller_wipe(struct caller *c)
{
	http_reply_wipe(&c->reply);
	cancel_destroy(&c->cancel);
	free((char *)c->request.url);
}
