/* SPDX-License-Identifier: Apache-2.0
 *
 * The one thread that talks to the network, and the queue before it.  Private to the engine. */
#ifndef KESFS_BACKENDS_HTTP_IO_H
#define KESFS_BACKENDS_HTTP_IO_H

#include "backends/http_try.h"

struct http_io *http_io_new(const struct http_options *o);    /* NULL: no memory; starts no thread */
void http_io_free(struct http_io *io);                /* no try may be inside; accepts NULL */

/* Queue the try, wait until it is over, feed its sink meanwhile.  0: it ran or was taken back, see t->end; -errno with
 * err: it could not start, or what the sink returned. */
int http_io_run(struct http_io *io, struct http_try *t, struct cancel *cancel, struct error *err);

/* What the caller made of the answer, for the limiter and the counters. */
void http_io_good(struct http_io *io, const struct http_try *t);
void http_io_throttled(struct http_io *io, const struct http_try *t);
void http_io_repeated(struct http_io *io);
void http_io_state(struct http_io *io, struct http_state *ret);
void http_io_counts(struct http_io *io, struct backend_counts *ret);

/* For the callbacks of a try: hand a chunk of the body to the caller's thread.  false: pause until it took some. */
bool http_io_chunk(struct http_io *io, struct http_try *t, struct http_chunk *c);

#endif
