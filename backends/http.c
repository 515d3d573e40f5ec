/* SPDX-License-Identifier: Apache-2.0
 *
 * The blocking call: try, judge, wait, try again.  All of it runs in the caller's thread but the network itself. */
#include "backends/http.h"

#include <ctype.h>
#include <curl/curl.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "backends/http_io.h"
#include "backends/http_proxy.h"
#include "backends/trace.h"

#define SECOND INT64_C(1000000000)

struct http {
	char *label;
	struct http_tls *tls;
	struct http_proxy *proxy;             /* NULL: never one */
	struct http_io *io;
	int64_t connect;
};

static CURLcode library_result;

static void library_init(void)
{
	library_result = curl_global_init(CURL_GLOBAL_DEFAULT);
}

/* Wiping what went through TLS, and certificates from memory, need OpenSSL under libcurl. */
static int library_check(struct error *err)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, library_init);
	const char *tls = curl_version_info(CURLVERSION_NOW)->ssl_version;
	if (library_result != CURLE_OK || tls == NULL || strncmp(tls, "OpenSSL/", 8) != 0)
		return error_set(err, EINVAL, "libcurl uses %s here: install the libcurl that is built with OpenSSL",
		                 tls != NULL ? tls : "no TLS library");
	return 0;
}

int http_open(const struct http_options *o, struct http **ret, struct error *err)
{
	int r = library_check(err);
	struct http *h = r == 0 ? calloc(1, sizeof *h) : NULL;

	if (r != 0)
		return r;
	if (h == NULL)
		return error_set(err, ENOMEM, "no memory");
	h->label = strdup(o->label);
	h->connect = o->connect_ns > 0 ? o->connect_ns : 10 * SECOND;
	h->proxy = o->direct ? NULL : http_proxy_new();
	h->io = http_io_new(o);
	if (h->label == NULL || h->io == NULL || (h->proxy == NULL && !o->direct))
		r = error_set(err, ENOMEM, "no memory");
	if (r == 0 && (r = http_tls_load(o, &h->tls, err)) != 0)
		error_prefix(err, "%s", h->label);
	if (r != 0) {
		http_close(h);
		return r;
	}
	*ret = h;
	return 0;
}

void http_close(struct http *h)
{
	if (h == NULL)
		return;
	http_io_free(h->io);
	http_tls_free(h->tls);
	http_proxy_free(h->proxy);
	free(h->label);
	free(h);
}

const char *http_label(const struct http *h)
{
	return h->label;
}

void http_state(struct http *h, struct http_state *ret)
{
	http_io_state(h->io, ret);
}

void http_counts(struct http *h, struct backend_counts *ret)
{
	http_io_counts(h->io, ret);
}

/* "Application/JSON; charset=utf-8" is "application/json". */
static void reply_content_type(struct http_reply *r)
{
	if (!http_reply_header(r, "Content-Type", r->content_type, sizeof r->content_type))
		r->content_type[0] = '\0';
	r->content_type[strcspn(r->content_type, "; \t")] = '\0';
	for (char *p = r->content_type; *p != '\0'; p++)
		*p = (char)tolower((unsigned char)*p);
}

/* Bring an answer home to locked memory. */
static int reply_fill(struct http_reply *r, struct http_try *t)
{
	unsigned tries = r->tries;

	http_reply_wipe(r);
	r->tries = tries;
	r->status = (int)t->status;
	r->retry_after = t->retry_after;
	if (!http_bytes_append(&t->head, "", 1))
		return -ENOMEM;
	r->head = t->head.p;
	t->head = (struct http_bytes){ NULL, 0, 0 };
	reply_content_type(r);
	return secret_append(&r->body, t->body.p, t->body.len);
}

static bool is_https(const char *url)
{
	return strncasecmp(url, "https:", 6) == 0;
}

/* Once over the wire.  0: answered, and *r is filled. */
static int call_try(struct http *h, const struct call *c, const struct http_request *req, struct http_try *t,
                    struct http_reply *r, bool *ret_again, struct error *err)
{
	if (req->sink != NULL && req->sink->begin != NULL)
		req->sink->begin(req->sink->arg);
	t->req = req;
	t->proxy = h->proxy != NULL ? http_proxy_for(h->proxy, req->url) : "";
	t->tls = h->tls;
	t->deadline = c->deadline;
	t->connect = h->connect;
	t->patience = req->patience > 0 ? req->patience : (req->change ? 20 : 10) * SECOND;
	*ret_again = false;
	int result = is_https(req->url) || is_https(t->proxy) ? http_tls_need(h->tls, err) : 0;
	if (result == 0)
		result = http_try_prepare(t, err);
	if (result == 0)
		result = http_io_run(h->io, t, c->cancel, err);
	r->tries += t->sent;
	if (result != 0)
		return result;
	if (!http_try_answered(t) && t->end != HTTP_END_ENOUGH)
		return http_try_error(t, h->label, ret_again, err);
	result = reply_fill(r, t);
	if (result == 0)
		return 0;
	t->end = HTTP_END_NO_MEMORY;
	return http_try_error(t, h->label, ret_again, err);
}

static enum retry_verdict reply_judge(const struct http_request *req, const struct http_reply *r)
{
	enum retry_verdict v = req->judge != NULL ? req->judge(r, req->judge_arg) : retry_status(r->status);

	/* Only "too many requests" says for certain that a change was not done. */
	if (req->change && (v == RETRY_AGAIN || (v == RETRY_THROTTLED && r->status != 429)))
		return RETRY_FINAL;
	return v;
}

/* The limiter learns of a 503 to a change as well, though the answer goes back to the module. */
static void limiter_tell(struct http *h, const struct http_request *req, const struct http_try *t,
                         const struct http_reply *r, enum retry_verdict v)
{
	bool throttled = v == RETRY_THROTTLED ||
	                 (v == RETRY_FINAL && req->judge == NULL && retry_status(r->status) == RETRY_THROTTLED);

	if (throttled)
		http_io_throttled(h->io, t);
	else if (v == RETRY_FINAL)
		http_io_good(h->io, t);
}

static int call_given_up(struct http *h, const struct http_request *req, int r, bool throttled, struct error *err)
{
	char request[ERROR_TEXT_MAX / 2];

	http_request_say(req, request, sizeof request);
	if (r == -ECANCELED)
		return error_set(err, ECANCELED, "%s: %s: cancelled", h->label, request);
	if (throttled)
		return error_set(err, EAGAIN, "%s: %s: the service asked to slow down until the time allowed was over",
		                 h->label, request);
	return error_set(err, ETIMEDOUT, "%s: %s: no answer within the time allowed", h->label, request);
}

static void try_trace(const struct http *h, const struct http_request *req, const struct http_reply *reply,
                      int64_t began, int r, const struct error *err)
{
	char request[ERROR_TEXT_MAX / 2];

	if (!trace_open("http"))
		return;
	http_request_say(req, request, sizeof request);
	double ms = (double)(call_now() - began) / 1e6;
	if (r == 0)
		trace("http", "%s: %s: %ld in %.1f ms", h->label, request, (long)reply->status, ms);
	else
		trace("http", "%s in %.1f ms", err != NULL ? err->text : request, ms);
}

int http_call(struct http *h, const struct call *c, const struct http_request *req, struct http_reply *ret,
              struct error *err)
{
	struct retry again = retry_start(req->tries);
	bool throttled = false;

	http_reply_wipe(ret);
	for (;;) {
		struct http_try t = { .req = req };
		bool may;
		int r = cancel_requested(c->cancel) ? -ECANCELED : call_left(c) == 0 ? -ETIMEDOUT : 0;

		if (r != 0)
			return call_given_up(h, req, r, throttled, err);
		int64_t began = call_now();
		r = call_try(h, c, req, &t, ret, &may, err);
		enum retry_verdict v = r == 0 ? reply_judge(req, ret) : may ? RETRY_AGAIN : RETRY_FINAL;
		try_trace(h, req, ret, began, r, err);
		if (r == 0)
			limiter_tell(h, req, &t, ret, v);
		bool queued_out = r == -ETIMEDOUT && !t.sent && (throttled || t.held);
		http_try_wipe(&t);
		if (queued_out)
			return call_given_up(h, req, r, true, err);
		if (v == RETRY_FINAL)
			return r;
		/* "Too many requests", by whatever code, costs no try: the pause of the whole store is the wait. */
		throttled = v == RETRY_THROTTLED;
		bool free = throttled && ret->status < 500 && req->tries != 1;
		int64_t wait = free ? 0 : retry_next(&again, retry_random());
		if (wait < 0)
			return r;
		http_io_repeated(h->io);
		if (!throttled && (r = call_sleep(c, wait, true)) != 0)
			return call_given_up(h, req, r, false, err);
	}
}
