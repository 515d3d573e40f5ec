/* SPDX-License-Identifier: Apache-2.0
 *
 * What a try without an answer means, and in which words. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "backends/http_try.h"

void http_request_say(const struct http_request *req, char *buf, size_t size)
{
	const char *url = req->url, *host = strstr(url, "://");

	if (host == NULL) {
		snprintf(buf, size, "%s", req->method);
		return;
	}
	host += 3;
	size_t len = strcspn(host, "?#"), name = strcspn(host, "/?#");
	const char *at = memrchr(host, '@', name);
	size_t user = at != NULL ? (size_t)(at + 1 - host) : 0;
	snprintf(buf, size, "%s %.*s%.*s", req->method, (int)(host - url), url, (int)(len - user), host + user);
}

static bool says(const struct http_try *t, const char *words)
{
	return strcasestr(t->text, words) != NULL;
}

/* TLS alerts by which a server tells that our certificate, or its absence, does not please it. */
static bool wants_other_certificate(const struct http_try *t)
{
	static const char *const alerts[] = {
		"alert certificate required", "alert bad certificate", "alert unknown ca", "alert certificate unknown",
		"alert certificate expired", "alert certificate revoked", "alert unsupported certificate",
		"alert access denied",
	};

	for (size_t i = 0; i < sizeof alerts / sizeof *alerts; i++)
		if (says(t, alerts[i]))
			return true;
	return false;
}

/* What libcurl's code means.  The sentence's end is printf-like with libcurl's own words as its only argument. */
static const struct cause {
	CURLcode result;
	int code;
	bool again;
	const char *sentence;
} causes[] = {
	{ CURLE_COULDNT_RESOLVE_HOST,  EHOSTUNREACH, true,  "the host name cannot be resolved (%s)" },
	{ CURLE_COULDNT_RESOLVE_PROXY, EHOSTUNREACH, true,  "the proxy's name cannot be resolved (%s)" },
	{ CURLE_COULDNT_CONNECT,       EHOSTUNREACH, true,  "no connection (%s)" },
	{ CURLE_GOT_NOTHING,           EHOSTUNREACH, true,  "the connection was closed without an answer (%s)" },
	{ CURLE_SEND_ERROR,            EHOSTUNREACH, true,  "the connection broke while sending (%s)" },
	{ CURLE_RECV_ERROR,            EHOSTUNREACH, true,  "the connection broke before the answer was whole (%s)" },
	{ CURLE_PARTIAL_FILE,          EHOSTUNREACH, true,  "the answer was cut short (%s)" },
	{ CURLE_HTTP2,                 EHOSTUNREACH, true,  "the HTTP/2 connection failed (%s)" },
	{ CURLE_HTTP2_STREAM,          EHOSTUNREACH, true,  "the HTTP/2 stream was reset (%s)" },
	{ CURLE_OPERATION_TIMEDOUT,    EHOSTUNREACH, true,  "no connection in time (%s)" },
	{ CURLE_ABORTED_BY_CALLBACK,   EHOSTUNREACH, true,  "the connection was closed without an answer (%s)" },
	{ CURLE_PEER_FAILED_VERIFICATION, EPROTO,    false,
	  "the server's certificate is not trusted (%s): set tls.ca to the authority that issued it, or use the name it "
	  "was issued for" },
	{ CURLE_SSL_CONNECT_ERROR,     EPROTO,       false,
	  "TLS failed (%s): does the server speak https with TLS 1.2 or later, and does it want a client certificate?" },
	{ CURLE_SSL_CERTPROBLEM,       EINVAL,       false, "the client certificate cannot be used (%s)" },
	{ CURLE_URL_MALFORMAT,         EINVAL,       false, "this is no valid address (%s)" },
	{ CURLE_UNSUPPORTED_PROTOCOL,  EPROTO,       false,
	  "the answer is not HTTP, or the address begins with neither http nor https (%s)" },
	{ CURLE_PROXY,                 EHOSTUNREACH, true,  "the proxy failed (%s)" },
	{ CURLE_OUT_OF_MEMORY,         ENOMEM,       false, "no memory (%s)" },
};
static const struct cause unknown = { CURLE_OK, EPROTO, false, "the answer cannot be read (%s)" };

static const struct cause *cause_find(const struct http_try *t)
{
	static const struct cause certificate = { CURLE_OK, EACCES, false,
		"the server wants another client certificate (%s): set tls.cert and tls.key" };
	static const struct cause broken = { CURLE_OK, EHOSTUNREACH, true,
		"the connection broke during the TLS handshake (%s)" };

	static const struct cause proxy_no = { CURLE_OK, EACCES, false, "the proxy refused to connect (%s)" };
	static const struct cause proxy_down = { CURLE_OK, EHOSTUNREACH, true, "the proxy could not connect (%s)" };

	if (wants_other_certificate(t))
		return &certificate;
	if (says(t, "CONNECT tunnel failed") || says(t, "from proxy after CONNECT"))
		return says(t, "response 4") || says(t, "code 4") ? &proxy_no : &proxy_down;
	if (t->result == CURLE_SSL_CONNECT_ERROR && (says(t, "SSL_ERROR_SYSCALL") || says(t, "reset by peer")))
		return &broken;
	for (size_t i = 0; i < sizeof causes / sizeof *causes; i++)
		if (causes[i].result == t->result)
			return &causes[i];
	return &unknown;
}

/* libcurl's words without the full stop some of them end in. */
static void words_say(const struct http_try *t, char *buf, size_t size)
{
	snprintf(buf, size, "%s", t->text[0] != '\0' ? t->text : curl_easy_strerror(t->result));
	for (size_t n = strlen(buf); n > 0 && (buf[n - 1] == '.' || buf[n - 1] == '\n'); n--)
		buf[n - 1] = '\0';
}

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
static int curl_reason(const struct http_try *t, char *buf, size_t size, bool *ret_again)
{
	const struct cause *cause = cause_find(t);
	char words[CURL_ERROR_SIZE];

	words_say(t, words, sizeof words);
	snprintf(buf, size, cause->sentence, words);
	*ret_again = cause->again;
	return cause->code;
}
#pragma GCC diagnostic pop

static int end_reason(const struct http_try *t, char *buf, size_t size, bool *ret_again)
{
	*ret_again = false;
	switch (t->end) {
	case HTTP_END_CANCELLED:
		snprintf(buf, size, "cancelled before a change was sent");
		return ECANCELED;
	case HTTP_END_DEADLINE:
		snprintf(buf, size, "no answer within the time allowed");
		return ETIMEDOUT;
	case HTTP_END_SILENT:
		snprintf(buf, size, "connected, but nothing came for %lld s", (long long)(t->patience / 1000000000));
		*ret_again = true;
		return EHOSTUNREACH;
	case HTTP_END_TOO_LONG:
		snprintf(buf, size, "the answer (status %ld) is longer than anything expected here", t->status);
		return EPROTO;
	case HTTP_END_NO_MEMORY:
		snprintf(buf, size, "no memory");
		return ENOMEM;
	default:
		return curl_reason(t, buf, size, ret_again);
	}
}

int http_try_error(const struct http_try *t, const char *label, bool *ret_again, struct error *err)
{
	char request[ERROR_TEXT_MAX / 2], reason[ERROR_TEXT_MAX / 2];
	int code = end_reason(t, reason, sizeof reason, ret_again);

	http_request_say(t->req, request, sizeof request);
	if (!t->req->change || !t->sent)
		return error_set(err, code, "%s: %s: %s", label, request, reason);
	*ret_again = false;
	return error_set(err, EINPROGRESS, "%s: %s: %s; it was sent, and may or may not have been done", label, request,
	                 reason);
}
