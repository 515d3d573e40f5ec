/* SPDX-License-Identifier: Apache-2.0
 *
 * Roles: AWS's Security Token Service, its Query protocol with answers in XML, of which four elements matter. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "backends/aws_parts.h"
#include "backends/sigv4.h"

enum { IDENTITY_MAX = 64 * 1024 };
static const char form[] = "application/x-www-form-urlencoded; charset=utf-8";

/* The text of the first element of that name; none of those that we read holds a character reference. */
static bool element(const struct secret *xml, const char *name, const char **ret, size_t *ret_len)
{
	char open[64], close[64];

	snprintf(open, sizeof open, "<%s>", name);
	snprintf(close, sizeof close, "</%s>", name);
	const char *at = xml->len > 0 ? memmem(xml->bytes, xml->len, open, strlen(open)) : NULL;
	if (at == NULL)
		return false;
	at += strlen(open);
	const char *end = memmem(at, (size_t)((const char *)xml->bytes + xml->len - at), close, strlen(close));
	if (end == NULL)
		return false;
	*ret = at;
	*ret_len = (size_t)(end - at);
	return true;
}

static void element_copy(const struct secret *xml, const char *name, char *buf, size_t size)
{
	const char *at;
	size_t len;

	*buf = '\0';
	if (element(xml, name, &at, &len))
		snprintf(buf, size, "%.*s", (int)len, at);
}

static int element_take(const struct secret *xml, const char *name, struct secret *out)
{
	const char *at;
	size_t len;

	return element(xml, name, &at, &len) ? secret_append(out, at, len) : -EPROTO;
}

static int form_append(struct secret *body, const char *name, const char *value)
{
	AUTO_TEXT(escaped);
	int r = body->len > 0 ? secret_append_text(body, "&") : 0;

	escaped = http_escape(value);
	if (escaped == NULL)
		return -ENOMEM;
	if (r == 0)
		r = secret_append_text(body, name);
	if (r == 0)
		r = secret_append_text(body, "=");
	return r != 0 ? r : secret_append_text(body, escaped);
}

/* AWS_ENDPOINT_URL_STS is what AWS's own clients obey, too. */
static char *endpoint(const struct aws_login *l)
{
	const char *own = getenv("AWS_ENDPOINT_URL_STS");

	if (own != NULL && *own != '\0')
		return text_format("%.*s", (int)strcspn(own + 8, "/") + 8, own);
	return text_format("https://sts.%s.amazonaws.com%s", l->region, strncmp(l->region, "cn-", 3) == 0 ? ".cn" : "");
}

static int answer_take(const struct http_reply *reply, const char *role, struct aws_credentials *ret, struct error *err)
{
	char code[80], message[240], expires[40];

	if (reply->status != 200) {
		element_copy(&reply->body, "Code", code, sizeof code);
		element_copy(&reply->body, "Message", message, sizeof message);
		return error_set(err, reply->status >= 500 ? EHOSTUNREACH : EKEYREJECTED, "assuming role %s was refused (%d %s): %s",
		                 role, reply->status, *code != '\0' ? code : "without a code", message);
	}
	element_copy(&reply->body, "AccessKeyId", ret->id, sizeof ret->id);
	element_copy(&reply->body, "Expiration", expires, sizeof expires);
	ret->expires = aws_time(expires);
	int r = element_take(&reply->body, "SecretAccessKey", &ret->secret);
	if (r == 0)
		r = element_take(&reply->body, "SessionToken", &ret->token);
	if (r == -EPROTO || (r == 0 && *ret->id == '\0'))
		return error_set(err, EPROTO, "assuming role %s: the answer of STS has no credentials", role);
	return r;
}

/* base NULL: unsigned. */
static int ask(struct aws_login *l, const struct call *c, const struct aws_credentials *base, const struct secret *body,
               struct http_reply *reply, struct error *err)
{
	SECRET(authorization);
	AUTO_TEXT(url);
	struct http_header headers[3];
	size_t count = 0;
	char date[SIGV4_DATE_SIZE];

	url = endpoint(l);
	if (url == NULL)
		return -ENOMEM;
	const char *host = strstr(url, "://");
	if (host == NULL)
		return error_set(err, EINVAL, "AWS_ENDPOINT_URL_STS is '%s', which is no URL", url);
	if (base != NULL) {
		const struct sigv4_key key = { .id = base->id, .secret = &base->secret, .token = &base->token };
		const struct sigv4_request request = { .host = host + 3, .region = l->region, .service = "sts", .content_type = form,
		                                       .body = body };
		int r = sigv4_sign(&key, &request, (int64_t)time(NULL), date, &authorization);
		if (r != 0)
			return r;
		headers[count++] = (struct http_header){ .name = "X-Amz-Date", .text = date };
		headers[count++] = (struct http_header){ .name = "Authorization", .secret = &authorization };
		if (base->token.len > 0)
			headers[count++] = (struct http_header){ .name = "X-Amz-Security-Token", .secret = &base->token };
	}
	const struct http_request request = {
		.method = "POST", .url = url, .headers = headers, .header_count = count, .body = body, .content_type = form,
	};
	return http_call(l->services, c, &request, reply, err);
}

static int session_name(struct secret *body)
{
	const char *name = getenv("AWS_ROLE_SESSION_NAME");

	return form_append(body, "RoleSessionName", name != NULL && *name != '\0' ? name : "kesfs");
}

int aws_sts_web_identity(struct aws_login *l, const struct call *c, const char *role, const char *file,
                         struct aws_credentials *ret, struct error *err)
{
	SECRET(body);
	SECRET(identity);
	HTTP_REPLY(reply);
	int r = secret_read_file(&identity, file, IDENTITY_MAX, err);

	if (r != 0)
		return error_set(err, EKEYREJECTED, "AWS_WEB_IDENTITY_TOKEN_FILE cannot be read: %s", err->text);
	secret_trim(&identity);
	r = secret_append_text(&body, "Action=AssumeRoleWithWebIdentity&Version=2011-06-15");
	if (r == 0)
		r = form_append(&body, "RoleArn", role);
	if (r == 0)
		r = session_name(&body);
	/* A JWT has no character that a form would escape. */
	if (r == 0)
		r = secret_append_text(&body, "&WebIdentityToken=");
	if (r == 0)
		r = secret_append(&body, identity.bytes, identity.len);
	if (r == 0)
		r = ask(l, c, NULL, &body, &reply, err);
	return r != 0 ? r : answer_take(&reply, role, ret, err);
}

int aws_sts_assume(struct aws_login *l, const struct call *c, const struct aws_credentials *base, const char *role,
                   const char *external_id, struct aws_credentials *ret, struct error *err)
{
	SECRET(body);
	HTTP_REPLY(reply);
	int r = secret_append_text(&body, "Action=AssumeRole&Version=2011-06-15");

	if (r == 0)
		r = form_append(&body, "RoleArn", role);
	if (r == 0)
		r = session_name(&body);
	if (r == 0 && external_id != NULL)
		r = form_append(&body, "ExternalId", external_id);
	if (r == 0)
		r = ask(l, c, base, &body, &reply, err);
	return r != 0 ? r : answer_take(&reply, role, ret, err);
}

int aws_sts_account(struct aws_login *l, const struct call *c, const struct aws_credentials *who, char *buf, size_t size,
                    struct error *err)
{
	SECRET(body);
	HTTP_REPLY(reply);
	int r = secret_append_text(&body, "Action=GetCallerIdentity&Version=2011-06-15");

	if (r == 0)
		r = ask(l, c, who, &body, &reply, err);
	if (r != 0)
		return r;
	element_copy(&reply.body, "Account", buf, size);
	return reply.status == 200 && *buf != '\0' ? 0 :
	       error_set(err, EPROTO, "aws: STS does not say which account this is (%d)", reply.status);
}
