/* SPDX-License-Identifier: Apache-2.0
 *
 * When each connection was last heard of.  Private to the engine's I/O thread. */
#ifndef KESFS_BACKENDS_HTTP_HEARD_H
#define KESFS_BACKENDS_HTTP_HEARD_H

#include <stddef.h>
#include <stdint.h>

struct http_heard {
	int64_t *at;                          /* by descriptor: monotonic ns, 0: never */
	size_t count;
};

void http_heard_note(struct http_heard *h, int fd, int64_t now);
/* Cut the connection of that local port if nothing came since then.  An HTTP/2 connection that is silent as a whole
 * would swallow the next try as well; libcurl only resets the stream. */
void http_heard_cut(struct http_heard *h, int local_port, int64_t since);
void http_heard_free(struct http_heard *h);

#endif
