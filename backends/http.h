/* SPDX-License-Identifier: Apache-2.0
 *
 * The HTTP engine of a store: one I/O thread on a libcurl multi handle, and one blocking call on top of it that any
 * number of threads may make at once.  docs/engine.md is its essay.
 *
 * Reads are repeated as retry.h says.  A change is sent at most once for each http_call(): it is repeated only while
 * surely nothing was sent, or after a 429, by which the service says that it did nothing.  The answer lost after that
 * is -EINPROGRESS: the module reads back and decides.
 *
 * Where a service counts classes of requests apart, each has a pace and pauses of its own. */
#ifndef KESFS_BACKENDS_HTTP_H
#define KESFS_BACKENDS_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "backends/backend.h"
#include "backends/call.h"
#include "backends/error.h"
#include "backends/retry.h"
#include "backends/secret.h"

struct http;
struct http_reply;
struct json;

struct http_options {                         /* texts are copied */
	const char *label;                    /* "vault": begins each sentence */
	const char *ca;                       /* file, or directory of files with any names; NULL: the system's roots */
	bool ca_adds;                         /* ca is added to the system's roots instead of replacing them */
	const char *cert, *key;               /* client certificate (with its chain) and key, PEM; both or neither */
	bool direct;                          /* never through a proxy (metadata services); else as Go does */
	unsigned in_flight;                   /* 0: LIMIT_MAX */
	unsigned start;                       /* in flight at first, where the service is known to bear it; 0: LIMIT_START */
	double per_second;                    /* 0: no limit */
	int64_t connect_ns;                   /* for one connection attempt, TLS included; 0: 10 s */
	const double *paces;                  /* known quotas of classes of requests, a second: pace.h; they are copied */
	size_t pace_count;                    /* at most HTTP_PACES */
	bool paced_at_once;                   /* else from the first "slow down" to a request of the class on */
};
enum { HTTP_PACES = 8 };

/* Reads certificates (-EINVAL, -ENOENT, ... naming the file), sends nothing and starts no thread: that comes with the
 * first call.  After the last fork. */
int http_open(const struct http_options *o, struct http **ret, struct error *err);
void http_close(struct http *h);              /* no call may be inside; accepts NULL */
const char *http_label(const struct http *h);

struct http_header {
	const char *name;                     /* "Authorization" */
	const char *text;                     /* "Bearer ", or NULL */
	const struct secret *secret;          /* follows the text; NULL: nothing more */
};

/* Takes the body of a 2xx answer as it comes, on the caller's own thread; other answers go to reply.body.  The engine
 * holds at most some 1 MiB that were not taken yet.  Repeated tries begin() anew. */
struct http_sink {
	void (*begin)(void *arg);             /* before the first byte of each try; may be NULL */
	/* 0: go on; 1: enough; -errno: give up */
	int (*bytes)(void *arg, const char *bytes, size_t len, struct error *err);
	void *arg;
};

struct http_request {                         /* all lent until http_call() returns */
	const char *method, *url;             /* "PUT", "https://host:8200/v1/kv/a": names in it by http_escape() */
	const struct http_header *headers;
	size_t header_count;
	const struct secret *body;            /* NULL: none */
	const char *content_type;             /* NULL: application/json, if there is a body */
	bool change;                          /* creates, replaces or removes: see above */
	unsigned tries;                       /* 0: RETRY_TRIES; 1: never repeated */
	unsigned pace;                        /* paces[pace - 1] is its class; 0: none, and "slow down" is for all */
	size_t body_max;                      /* of the answer; 0: 1 MiB; for a sink without bound */
	int64_t patience;                     /* ns without a byte: the peer counts as dead; 0: 10 s, a change 20 s */
	const struct http_sink *sink;         /* NULL: the body goes to reply.body */
	/* What an answer means for a repetition; NULL: retry_status().  For a change RETRY_AGAIN is not obeyed (it is
	 * the answer then), RETRY_THROTTLED only for a 429. */
	enum retry_verdict (*judge)(const struct http_reply *reply, void *arg);
	void *judge_arg;
};

struct http_reply {
	int status;                           /* 100 ... 599 */
	struct secret body;
	char content_type[64];                /* lower case, without parameters; "" if there was none */
	char *head;                           /* the final answer's header lines, at most 16 KiB: http_reply_header() */
	int64_t retry_after;                  /* ns, capped; 0: none */
	unsigned tries;                       /* how often it was sent */
};
#define HTTP_REPLY_INIT { .status = 0, .body = SECRET_INIT }
#define HTTP_REPLY(name) __attribute__((cleanup(http_reply_wipe))) struct http_reply name = HTTP_REPLY_INIT
void http_reply_wipe(struct http_reply *r);

/* 0: the service answered, with whatever status, 5xx included once the tries are used up.  Otherwise:
 *   -ETIMEDOUT     the deadline passed, and no change was sent
 *   -ECANCELED     c->cancel, and no change was sent
 *   -EINPROGRESS   a change was sent and its answer was lost (reset, silence, deadline): it may have been done
 *   -EAGAIN        throttled until the deadline
 *   -EHOSTUNREACH  no connection, or lost ones until the tries were used up
 *   -EACCES        the server wants a (different) client certificate
 *   -EPROTO        its certificate is not trusted, or what it says is not HTTP, or longer than body_max
 * -ENOMEM, and what a sink returned. The sentence has label, scheme, host and path (no query), and what to do.
 * Redirects are not followed: 3xx is the answer. The caller's own struct call decides how much time is left to settle
 * a change: http_call() may use all of it. */
int http_call(struct http *h, const struct call *c, const struct http_request *req, struct http_reply *ret,
              struct error *err);

/* The first header of that name, without regard to case, into buf (cut); false: there is none. */
bool http_reply_header(const struct http_reply *r, const char *name, char *buf, size_t size);

/* The body as JSON; -EPROTO in a sentence that tells a proxy's HTML page from truncated JSON, and names url and
 * status.  Nothing of a body is shown unless the answer was refused (status >= 300) or is HTML. */
int http_reply_json(const struct http *h, const struct http_request *req, const struct http_reply *r, struct json **ret,
                    struct error *err);

/* "503 Service Unavailable: <what the body says, at most 200 printable bytes, without tags>", for a module's sentences. */
void http_reply_say(const struct http_reply *r, char *buf, size_t size);

char *http_escape(const char *name);          /* for a path or query, malloc'd; '/' is escaped too; NULL: no memory */

struct http_state {                           /* for .kesfs/status */
	unsigned in_flight, window;           /* requests now; how many the limiter would allow */
	int64_t latency_ns;                   /* of the last answer, -1: none yet */
	int64_t paused_ns;                    /* still to wait because of throttling */
	uint64_t connections;                 /* opened so far */
};
void http_state(struct http *h, struct http_state *ret);
void http_counts(struct http *h, struct backend_counts *ret);

#endif
