/* SPDX-License-Identifier: Apache-2.0
 *
 * Looking at an answer. */
#include <errno.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/http_try.h"
#include "backends/json.h"

enum { SAID_MAX = 200 };              /* so much of an error's body may reach a log, never more */

void http_reply_wipe(struct http_reply *r)
{
	secret_wipe(&r->body);
	if (r->head != NULL)
		OPENSSL_cleanse(r->head, strlen(r->head));
	free(r->head);
	*r = (struct http_reply)HTTP_REPLY_INIT;
}

bool http_reply_header(const struct http_reply *r, const char *name, char *buf, size_t size)
{
	size_t len = strlen(name);

	for (const char *line = r->head; line != NULL && *line != '\0';) {
		size_t n = strcspn(line, "\r\n");

		if (n > len && line[len] == ':' && strncasecmp(line, name, len) == 0) {
			const char *value = line + len + 1;
			value += strspn(value, " \t");
			snprintf(buf, size, "%.*s", (int)(n - (size_t)(value - line)), value);
			return true;
		}
		line += n;
		line += strspn(line, "\r\n");
	}
	return false;
}

static bool is_html(const struct http_reply *r)
{
	size_t i = 0;

	if (strstr(r->content_type, "html") != NULL)
		return true;
	while (i < r->body.len && strchr(" \t\r\n", r->body.bytes[i]) != NULL && r->body.bytes[i] != '\0')
		i++;
	return i < r->body.len && r->body.bytes[i] == '<';
}

/* What can be printed of a body, white space joined, tags of HTML dropped. */
static void body_say(const struct http_reply *r, char *buf, size_t size)
{
	bool html = is_html(r), tag = false;
	size_t n = 0;

	if (size > SAID_MAX + 1)
		size = SAID_MAX + 1;
	for (size_t i = 0; i < r->body.len && n + 1 < size; i++) {
		unsigned char c = r->body.bytes[i];

		if (html && c == '<')
			tag = true;
		if (!tag && c > 0x20 && c < 0x7f)
			buf[n++] = (char)c;
		else if (n > 0 && buf[n - 1] != ' ')
			buf[n++] = ' ';
		if (html && c == '>')
			tag = false;
	}
	while (n > 0 && buf[n - 1] == ' ')
		n--;
	buf[n] = '\0';
}

static const char *reason_of(int status)
{
	static const struct {
		int status;
		const char *reason;
	} reasons[] = {
		{ 200, "OK" }, { 201, "Created" }, { 204, "No Content" }, { 301, "Moved Permanently" },
		{ 302, "Found" }, { 307, "Temporary Redirect" }, { 308, "Permanent Redirect" }, { 400, "Bad Request" },
		{ 401, "Unauthorized" }, { 403, "Forbidden" }, { 404, "Not Found" }, { 405, "Method Not Allowed" },
		{ 407, "Proxy Authentication Required" }, { 408, "Request Timeout" }, { 409, "Conflict" },
		{ 412, "Precondition Failed" }, { 413, "Content Too Large" }, { 429, "Too Many Requests" },
		{ 500, "Internal Server Error" }, { 501, "Not Implemented" }, { 502, "Bad Gateway" },
		{ 503, "Service Unavailable" }, { 504, "Gateway Timeout" },
	};

	for (size_t i = 0; i < sizeof reasons / sizeof *reasons; i++)
		if (reasons[i].status == status)
			return reasons[i].reason;
	return "";
}

void http_reply_say(const struct http_reply *r, char *buf, size_t size)
{
	const char *reason = reason_of(r->status);
	char body[SAID_MAX + 1] = "";

	/* The body of a good answer may be a key. */
	if (r->status / 100 != 2 || is_html(r))
		body_say(r, body, sizeof body);
	snprintf(buf, size, "%d%s%s%s%s", r->status, *reason != '\0' ? " " : "", reason,
	         body[0] != '\0' ? ": " : "", body);
}

int http_reply_json(const struct http *h, const struct http_request *req, const struct http_reply *r, struct json **ret,
                    struct error *err)
{
	char request[ERROR_TEXT_MAX / 2], said[ERROR_TEXT_MAX / 2];
	struct error why = ERROR_INIT;

	if (!is_html(r) && json_parse(&r->body, ret, &why) == 0)
		return 0;
	http_request_say(req, request, sizeof request);
	http_reply_say(r, said, sizeof said);
	if (is_html(r))
		return error_set(err, EPROTO, "%s: %s was answered by a web page instead of JSON, perhaps from a proxy in "
		                 "between (%s)", http_label(h), request, said);
	return error_set(err, EPROTO, "%s: %s was answered by something else than JSON: %s (%s)", http_label(h),
	                 request, why.text, said);
}

char *http_escape(const char *name)
{
	static const char hex[] = "0123456789ABCDEF";
	char *text = malloc(strlen(name) * 3 + 1), *p = text;

	if (text == NULL)
		return NULL;
	for (; *name != '\0'; name++) {
		unsigned char c = (unsigned char)*name;

		if ((c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || strchr("-._~", c) != NULL) {
			*p++ = (char)c;
		} else {
			*p++ = '%';
			*p++ = hex[c >> 4];
			*p++ = hex[c & 15];
		}
	}
	*p = '\0';
	return text;
}
