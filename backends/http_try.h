/* SPDX-License-Identifier: Apache-2.0
 *
 * One try of a request: a libcurl easy handle while it runs, and what came of it.  Private to the engine. */
#ifndef KESFS_BACKENDS_HTTP_TRY_H
#define KESFS_BACKENDS_HTTP_TRY_H

#include <curl/curl.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "backends/http.h"
#include "backends/http_tls.h"
#include "backends/limit.h"

/* Bytes on their way to a secret or a sink: grown by copy and wipe.  They are not in locked memory, so that the I/O
 * thread never waits for room in it; the caller's thread moves them there at once. */
struct http_bytes {
	char *p;
	size_t len, cap;
};
bool http_bytes_append(struct http_bytes *b, const char *p, size_t len);
void http_bytes_wipe(struct http_bytes *b);

struct http_chunk {                           /* for a sink */
	struct http_chunk *next;
	size_t len;
	char bytes[];
};
void http_chunks_free(struct http_chunk *c);

enum http_end {
	HTTP_END_CURL,                        /* libcurl says: try.result */
	HTTP_END_CANCELLED,
	HTTP_END_DEADLINE,
	HTTP_END_SILENT,                      /* connected, but no byte for the time of patience */
	HTTP_END_TOO_LONG,                    /* the body is longer than body_max, or the head than 16 KiB */
	HTTP_END_ENOUGH,                      /* the sink has seen enough or gave up */
	HTTP_END_NO_MEMORY,
};

struct http_io;

struct http_try {
	/* Set by the caller before the start. */
	const struct http_request *req;
	const char *proxy;
	struct http_tls *tls;
	struct curl_slist *headers;
	int64_t deadline, patience, connect;  /* ns: until, for, for */
	struct http_io *io;

	/* From any thread. */
	atomic_bool cancelled, enough, resume;

	sem_t news;                           /* it is over, or a chunk has come */

	/* Guarded by the lock of io; of a sink's only. */
	bool done, paused;
	struct http_chunk *first, **last;
	size_t pending;                       /* bytes in the chunks */

	/* The I/O thread's while it runs, the caller's once done. */
	struct http_try *prev, *next;
	CURL *easy;
	bool sent;                            /* the request may have left */
	bool held;                            /* it had to wait in the queue because of throttling */
	bool admitted;                        /* by the limiter, which counts it */
	struct limit_mark mark;               /* of its start */
	int local_port;                       /* of the connection it left on */
	long connects;                        /* connections that were opened for it */
	int64_t begun, heard;                 /* when it started; when a byte went or came last */
	int64_t left;                         /* when it was sent: the connection stands */
	enum http_end end;
	CURLcode result;
	long status;
	int64_t retry_after, took, answered;  /* took: since begun; answered: since it left */
	struct http_bytes head, body;
	char text[CURL_ERROR_SIZE];           /* libcurl's own words */
};

/* In the caller's thread: the lists and texts that the handle borrows.  -EINVAL, -ENOMEM. */
int http_try_prepare(struct http_try *t, struct error *err);
void http_try_wipe(struct http_try *t);
/* In the I/O thread.  false: no memory. */
bool http_try_setup(struct http_try *t, CURL *easy);
void http_try_collect(struct http_try *t, CURLcode result);   /* read what the handle knows */
bool http_try_answered(const struct http_try *t);             /* a complete answer with a status */

/* What http_call() returns for a try without an answer, with its sentence; *ret_again: it may be repeated. */
int http_try_error(const struct http_try *t, const char *label, bool *ret_again, struct error *err);

/* "PUT https://host/path" without user and query, as all sentences name it. */
void http_request_say(const struct http_request *req, char *buf, size_t size);

#endif
