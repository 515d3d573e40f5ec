/* SPDX-License-Identifier: Apache-2.0
 *
 * From a request to an easy handle and back. */
#include "backends/http_try.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "backends/http_io.h"

enum {
	BODY_MAX = 1024 * 1024,
	HEAD_MAX = 16 * 1024,
	IDLE_REUSE_S = 50,            /* load balancers drop idle connections after 60 s */
	PEER_DEAD_MS = 8000,          /* unacknowledged bytes for so long: the peer is gone */
};

bool http_bytes_append(struct http_bytes *b, const char *p, size_t len)
{
	if (len > b->cap - b->len) {
		size_t cap = b->cap != 0 ? b->cap : 512;
		while (cap < b->len + len)
			cap *= 2;
		char *grown = malloc(cap);
		if (grown == NULL)
			return false;
		if (b->len > 0)
			memcpy(grown, b->p, b->len);
		if (b->p != NULL)
			OPENSSL_cleanse(b->p, b->len);
		free(b->p);
		b->p = grown;
		b->cap = cap;
	}
	memcpy(b->p + b->len, p, len);
	b->len += len;
	return true;
}

void http_bytes_wipe(struct http_bytes *b)
{
	if (b->p != NULL)
		OPENSSL_cleanse(b->p, b->len);
	free(b->p);
	*b = (struct http_bytes){ NULL, 0, 0 };
}

void http_chunks_free(struct http_chunk *c)
{
	while (c != NULL) {
		struct http_chunk *next = c->next;
		OPENSSL_cleanse(c->bytes, c->len);
		free(c);
		c = next;
	}
}

/* libcurl's own list would copy a token with strdup() and free it unwiped. */
static bool header_add(struct http_try *t, const char *name, const char *text, const struct secret *secret)
{
	size_t name_len = strlen(name), text_len = text != NULL ? strlen(text) : 0;
	size_t secret_len = secret != NULL ? secret->len : 0;
	struct curl_slist *h = malloc(sizeof *h);
	char *p = malloc(name_len + 2 + text_len + secret_len + 1);

	if (h == NULL || p == NULL) {
		free(h);
		free(p);
		return false;
	}
	h->data = p;
	p = mempcpy(mempcpy(p, name, name_len), ": ", 2);
	if (text_len > 0)
		p = mempcpy(p, text, text_len);
	if (secret_len > 0)
		p = mempcpy(p, secret->bytes, secret_len);
	*p = '\0';
	h->next = t->headers;
	t->headers = h;
	return true;
}

static void headers_free(struct curl_slist *h)
{
	while (h != NULL) {
		struct curl_slist *next = h->next;
		OPENSSL_cleanse(h->data, strlen(h->data));
		free(h->data);
		free(h);
		h = next;
	}
}

static bool has_body(const struct http_request *req)
{
	return req->body != NULL || strcmp(req->method, "PUT") == 0 || strcmp(req->method, "POST") == 0;
}

/* A line break in a value would begin another header. */
static bool header_clean(const struct http_header *h)
{
	for (const char *p = h->text != NULL ? h->text : ""; *p != '\0'; p++)
		if ((unsigned char)*p < 0x20)
			return false;
	for (size_t i = 0; h->secret != NULL && i < h->secret->len; i++)
		if (h->secret->bytes[i] < 0x20)
			return false;
	return true;
}

int http_try_prepare(struct http_try *t, struct error *err)
{
	const struct http_request *req = t->req;
	bool ok = true;

	for (size_t i = 0; i < req->header_count && ok; i++) {
		const struct http_header *h = &req->headers[i];

		if (!header_clean(h))
			return error_set(err, EINVAL, "the value for the header %s holds a line break or control "
			                 "character", h->name);
		ok = header_add(t, h->name, h->text, h->secret);
	}
	const char *type = req->content_type != NULL ? req->content_type : "application/json";
	if (ok && has_body(req))
		ok = header_add(t, "Content-Type", type, NULL);
	return ok ? 0 : error_set(err, ENOMEM, "no memory for a request");
}

void http_try_wipe(struct http_try *t)
{
	headers_free(t->headers);
	t->headers = NULL;
	http_chunks_free(t->first);
	t->first = NULL;
	http_bytes_wipe(&t->head);
	http_bytes_wipe(&t->body);
}

/* Called when the connection stands and the request is about to leave.  libcurl would send it again, by itself, on a
 * new connection if a kept-alive one closes without an answer: for a change that is forbidden. */
static int before_request(void *arg, char *ip, char *local_ip, int port, int local_port)
{
	struct http_try *t = arg;

	if (t->sent && t->req->change)
		return CURL_PREREQFUNC_ABORT;
	t->sent = true;
	t->local_port = local_port;
	t->heard = t->left = call_now();
	return CURL_PREREQFUNC_OK;
}

static size_t head_line(char *p, size_t size, size_t count, void *arg)
{
	struct http_try *t = arg;
	size_t len = size * count;

	t->heard = call_now();
	/* After "100 Continue", or a proxy's answer to CONNECT, the real head begins. */
	if (len > 5 && memcmp(p, "HTTP/", 5) == 0)
		http_bytes_wipe(&t->head);
	if (t->head.len + len > HEAD_MAX)
		t->end = HTTP_END_TOO_LONG;
	else if (!http_bytes_append(&t->head, p, len))
		t->end = HTTP_END_NO_MEMORY;
	return t->end == HTTP_END_CURL ? len : 0;
}

static size_t sink_bytes(struct http_try *t, const char *p, size_t len)
{
	struct http_chunk *c = malloc(sizeof *c + len);

	if (c == NULL) {
		t->end = HTTP_END_NO_MEMORY;
		return 0;
	}
	c->next = NULL;
	c->len = len;
	memcpy(c->bytes, p, len);
	if (http_io_chunk(t->io, t, c))
		return len;
	http_chunks_free(c);
	return CURL_WRITEFUNC_PAUSE;
}

static size_t body_bytes(char *p, size_t size, size_t count, void *arg)
{
	struct http_try *t = arg;
	size_t len = size * count, most = t->req->body_max != 0 ? t->req->body_max : BODY_MAX;
	long status = 0;

	t->heard = call_now();
	curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
	if (t->req->sink != NULL && status / 100 == 2)
		return sink_bytes(t, p, len);
	if (len > most || t->body.len > most - len)
		t->end = HTTP_END_TOO_LONG;
	else if (!http_bytes_append(&t->body, p, len))
		t->end = HTTP_END_NO_MEMORY;
	return t->end == HTTP_END_CURL ? len : 0;
}

/* A peer that vanished without a word is found out by the kernel, whether we are sending or waiting. */
static int socket_setup(void *arg, curl_socket_t fd, curlsocktype purpose)
{
	unsigned dead = PEER_DEAD_MS;
	int count = 2;

	setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &dead, sizeof dead);
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof count);
	return CURL_SOCKOPT_OK;
}

static void setup_connection(struct http_try *t, CURL *easy)
{
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
#if LIBCURL_VERSION_NUM >= 0x075700
	curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);       /* never wait for a resolver that hangs */
#endif
	curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(easy, CURLOPT_PROXY, t->proxy);      /* "" is none, whatever the environment says */
	curl_easy_setopt(easy, CURLOPT_NOPROXY, "");
	curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS);
	/* Wait for a TLS handshake that may end in HTTP/2.  Without TLS the wait would last until the first answer. */
	curl_easy_setopt(easy, CURLOPT_PIPEWAIT, strncasecmp(t->req->url, "https:", 6) == 0 ? 1L : 0L);
	curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
	curl_easy_setopt(easy, CURLOPT_TCP_KEEPIDLE, 4L);
	curl_easy_setopt(easy, CURLOPT_TCP_KEEPINTVL, 2L);
	curl_easy_setopt(easy, CURLOPT_SOCKOPTFUNCTION, socket_setup);
	curl_easy_setopt(easy, CURLOPT_MAXAGE_CONN, (long)IDLE_REUSE_S);
	curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)(t->connect / 1000000));
	http_tls_setup(t->tls, easy);
}

bool http_try_setup(struct http_try *t, CURL *easy)
{
	const struct http_request *req = t->req;
	bool ok = curl_easy_setopt(easy, CURLOPT_URL, req->url) == CURLE_OK &&
	          curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, req->method) == CURLE_OK &&
	          curl_easy_setopt(easy, CURLOPT_USERAGENT, "kesfs/" KESFS_VERSION) == CURLE_OK;

	t->easy = easy;
	t->begun = t->heard = call_now();
	setup_connection(t, easy);
	curl_easy_setopt(easy, CURLOPT_PRIVATE, t);
	curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, t->text);
	curl_easy_setopt(easy, CURLOPT_HTTPHEADER, t->headers);
	if (has_body(req)) {
		size_t len = req->body != NULL ? req->body->len : 0;
		curl_easy_setopt(easy, CURLOPT_POSTFIELDS, len > 0 ? (const char *)req->body->bytes : "");
		curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)len);
	}
	if (strcmp(req->method, "HEAD") == 0)
		curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
	curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, before_request);
	curl_easy_setopt(easy, CURLOPT_PREREQDATA, t);
	curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, head_line);
	curl_easy_setopt(easy, CURLOPT_HEADERDATA, t);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, body_bytes);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, t);
	return ok;
}

void http_try_collect(struct http_try *t, CURLcode result)
{
	curl_off_t after = 0;
	int64_t now = call_now();

	t->result = result;
	t->took = now - t->begun;
	t->answered = now - t->left;
	curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &t->status);
	curl_easy_getinfo(t->easy, CURLINFO_RETRY_AFTER, &after);
	t->retry_after = retry_after(after);
}

bool http_try_answered(const struct http_try *t)
{
	return t->end == HTTP_END_CURL && t->result == CURLE_OK && t->status >= 100;
}
