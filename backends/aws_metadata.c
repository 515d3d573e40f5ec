/* SPDX-License-Identifier: Apache-2.0
 *
 * Credentials that a container or an EC2 instance gets from the service beside it: always directly, never through a
 * proxy, and given up after a few seconds, since most machines have none. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/aws_parts.h"

enum { TOKEN_MAX = 64 * 1024 };
#define PATIENCE_NS INT64_C(2000000000)
#define STEP_NS INT64_C(6000000000)

static struct call short_call(const struct call *c)
{
	int64_t left = call_left(c);

	return (struct call){ .deadline = call_now() + (left < STEP_NS ? left : STEP_NS), .cancel = c->cancel };
}

static int fetch(struct aws_login *l, const struct call *c, const char *method, const char *url,
                 const struct http_header *headers, size_t count, struct http_reply *reply, struct error *err)
{
	const struct http_request request = {
		.method = method, .url = url, .headers = headers, .header_count = count, .tries = 3, .patience = PATIENCE_NS,
		.body_max = TOKEN_MAX,
	};
	const struct call few = short_call(c);

	http_reply_wipe(reply);
	return http_call(l->metadata, &few, &request, reply, err);
}

/* EC2 may answer 200 with an error in it: only the fields count. */
static int take(struct aws_login *l, const char *url, const struct http_reply *reply, struct aws_credentials *ret,
                struct error *err)
{
	const struct http_request request = { .method = "GET", .url = url };
	AUTO_JSON(json);
	char said[240];

	if (reply->status != 200) {
		http_reply_say(reply, said, sizeof said);
		return error_set(err, EKEYREJECTED, "%s answered %s", url, said);
	}
	int r = http_reply_json(l->metadata, &request, reply, &json, err);
	if (r != 0)
		return r;
	const char *id = json_text(json, "AccessKeyId"), *code = json_text(json, "Code");
	if (id == NULL || json_text(json, "SecretAccessKey") == NULL || (code != NULL && strcmp(code, "Success") != 0))
		return error_set(err, EKEYREJECTED, "%s gave no credentials: %s", url, code != NULL ? code : "fields are missing");
	snprintf(ret->id, sizeof ret->id, "%s", id);
	ret->expires = aws_time(json_text(json, "Expiration"));
	r = json_take_text(json, "SecretAccessKey", &ret->secret, err);
	if (r == 0 && json_text(json, "Token") != NULL)
		r = json_take_text(json, "Token", &ret->token, err);
	return r;
}

/* ---- ECS, EKS pod identity ---- */

static bool is_host(const char *url, const char *host)
{
	size_t n = strlen(host);

	return strncmp(url, host, n) == 0 && strchr(":/?", url[n]) != NULL;
}

/* A token may go over plain http only to this machine and to the fixed addresses of these services. */
static bool url_allowed(const char *url)
{
	static const char *const hosts[] = { "127.0.0.1", "localhost", "[::1]", "169.254.170.2", "169.254.170.23",
	                                     "[fd00:ec2::23]" };

	if (strncmp(url, "https://", 8) == 0)
		return true;
	if (strncmp(url, "http://", 7) != 0)
		return false;
	for (size_t i = 0; i < sizeof hosts / sizeof *hosts; i++)
		if (is_host(url + 7, hosts[i]))
			return true;
	return false;
}

static int container_token(struct secret *out, struct error *err)
{
	const char *file = getenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"), *token = getenv("AWS_CONTAINER_AUTHORIZATION_TOKEN");
	int r = 0;

	if (file != NULL && *file != '\0') {
		r = secret_read_file(out, file, TOKEN_MAX, err);
		secret_trim(out);
	} else if (token != NULL) {
		r = secret_append_text(out, token);
	}
	if (r == 0 && out->len > 0 && (memchr(out->bytes, '\r', out->len) != NULL || memchr(out->bytes, '\n', out->len) != NULL))
		return error_set(err, EKEYREJECTED, "the authorization token of the container holds a line break");
	return r;
}

int aws_metadata_container(struct aws_login *l, const struct call *c, struct aws_credentials *ret, struct error *err)
{
	const char *full = getenv("AWS_CONTAINER_CREDENTIALS_FULL_URI"), *relative = getenv("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
	SECRET(token);
	HTTP_REPLY(reply);
	AUTO_TEXT(url);

	if (full != NULL && *full != '\0')
		url = strdup(full);
	else if (relative != NULL && *relative != '\0')
		url = text_format("http://169.254.170.2%s%s", *relative == '/' ? "" : "/", relative);
	else
		return 1;
	if (url == NULL)
		return -ENOMEM;
	if (!url_allowed(url))
		return error_set(err, EKEYREJECTED, "AWS_CONTAINER_CREDENTIALS_FULL_URI is %s: plain http is allowed to this machine "
		                 "and to the container service's own addresses only", url);
	int r = container_token(&token, err);
	if (r != 0)
		return r;
	const struct http_header header = { .name = "Authorization", .secret = &token };
	r = fetch(l, c, "GET", url, &header, token.len > 0 ? 1 : 0, &reply, err);
	return r != 0 ? r : take(l, url, &reply, ret, err);
}

/* ---- EC2 ---- */

static int instance_get(struct aws_login *l, const struct call *c, const struct secret *session, const char *url,
                        struct http_reply *reply, struct error *err)
{
	const struct http_header header = { .name = "X-aws-ec2-metadata-token", .secret = session };

	return fetch(l, c, "GET", url, &header, 1, reply, err);
}

/* 1: this is no EC2 instance, or one without a role. */
static int instance_role(struct aws_login *l, const struct call *c, const char *base, const struct secret *session, char **ret,
                         struct error *err)
{
	HTTP_REPLY(reply);
	AUTO_TEXT(url);

	url = text_format("%s/latest/meta-data/iam/security-credentials/", base);
	if (url == NULL)
		return -ENOMEM;
	int r = instance_get(l, c, session, url, &reply, err);
	if (r != 0 || reply.status != 200 || reply.body.len == 0)
		return r == -ECANCELED ? r : 1;
	const char *text = secret_text(&reply.body);
	*ret = text != NULL ? strndup(text, strcspn(text, " \r\n")) : NULL;
	return *ret != NULL ? 0 : -ENOMEM;
}

int aws_metadata_instance(struct aws_login *l, const struct call *c, struct aws_credentials *ret, struct error *err)
{
	const char *off = getenv("AWS_EC2_METADATA_DISABLED"), *base = getenv("AWS_EC2_METADATA_SERVICE_ENDPOINT");
	const struct http_header ttl = { .name = "X-aws-ec2-metadata-token-ttl-seconds", .text = "21600" };
	HTTP_REPLY(session);
	HTTP_REPLY(reply);
	AUTO_TEXT(url);
	AUTO_TEXT(role);

	if (off != NULL && strcmp(off, "true") == 0)
		return 1;
	if (base == NULL || *base == '\0')
		base = "http://169.254.169.254";
	url = text_format("%s/latest/api/token", base);
	if (url == NULL)
		return -ENOMEM;
	int r = fetch(l, c, "PUT", url, &ttl, 1, &session, err);
	if (r != 0)
		return r == -ECANCELED ? r : 1;
	if (session.status != 200)
		return error_set(err, EKEYREJECTED, "%s answered %d: only version 2 of the instance metadata service is used", url,
		                 session.status);
	r = instance_role(l, c, base, &session.body, &role, err);
	if (r != 0)
		return r;
	free(url);
	url = text_format("%s/latest/meta-data/iam/security-credentials/%s", base, role);
	if (url == NULL)
		return -ENOMEM;
	r = instance_get(l, c, &session.body, url, &reply, err);
	return r != 0 ? r : take(l, url, &reply, ret, err);
}
