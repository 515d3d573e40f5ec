/* SPDX-License-Identifier: Apache-2.0
 *
 * Where AWS credentials come from: the chain of keystores.md 9.1 in its order, and one set of them for all callers,
 * kept as a token that is renewed before it expires. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "backends/aws_parts.h"

#define SECOND_NS INT64_C(1000000000)

void aws_credentials_wipe(struct aws_credentials *c)
{
	secret_wipe(&c->secret);
	secret_wipe(&c->token);
	*c = (struct aws_credentials){ .expires = 0 };
}

int64_t aws_time(const char *text)
{
	struct tm tm = { .tm_isdst = 0 };

	if (text == NULL || strptime(text, "%Y-%m-%dT%H:%M:%S", &tm) == NULL)
		return 0;
	return (int64_t)timegm(&tm);
}

/* ---- the steps that need nobody ---- */

static int from_configuration(struct aws_login *l, struct aws_credentials *ret)
{
	if (l->id == NULL)
		return 1;
	snprintf(ret->id, sizeof ret->id, "%s", l->id);
	int r = secret_copy(&ret->secret, &l->secret);
	return r != 0 ? r : secret_copy(&ret->token, &l->token);
}

static const char *environment(const char *name, const char *older)
{
	const char *text = getenv(name);

	if ((text == NULL || *text == '\0') && older != NULL)
		text = getenv(older);
	return text != NULL && *text != '\0' ? text : NULL;
}

static int from_environment(struct aws_credentials *ret)
{
	const char *id = environment("AWS_ACCESS_KEY_ID", "AWS_ACCESS_KEY");
	const char *secret = environment("AWS_SECRET_ACCESS_KEY", "AWS_SECRET_KEY");
	const char *token = environment("AWS_SESSION_TOKEN", NULL);

	if (id == NULL || secret == NULL)
		return 1;
	snprintf(ret->id, sizeof ret->id, "%s", id);
	int r = secret_append_text(&ret->secret, secret);
	return r == 0 && token != NULL ? secret_append_text(&ret->token, token) : r;
}

/* ---- the chain ---- */

static int step_configuration(struct aws_login *l, const struct call *c, struct aws_credentials *ret, struct error *err)
{
	return from_configuration(l, ret);
}

static int step_own_profile(struct aws_login *l, const struct call *c, struct aws_credentials *ret, struct error *err)
{
	int r = l->profile != NULL ? aws_profile_read(l, c, l->profile, 0, ret, err) : 1;

	return r == 1 && l->profile != NULL ?
	       error_set(err, EKEYREJECTED, "aws: there is no profile '%s' in the shared credentials file", l->profile) : r;
}

static int step_environment(struct aws_login *l, const struct call *c, struct aws_credentials *ret, struct error *err)
{
	return from_environment(ret);
}

static int step_web_identity(struct aws_login *l, const struct call *c, struct aws_credentials *ret, struct error *err)
{
	const char *file = environment("AWS_WEB_IDENTITY_TOKEN_FILE", NULL), *role = environment("AWS_ROLE_ARN", NULL);

	return file != NULL && role != NULL ? aws_sts_web_identity(l, c, role, file, ret, err) : 1;
}

static int step_profile(struct aws_login *l, const struct call *c, struct aws_credentials *ret, struct error *err)
{
	const char *named = environment("AWS_PROFILE", NULL);
	int r = aws_profile_read(l, c, named != NULL ? named : "default", 0, ret, err);

	return r == 1 && named != NULL ?
	       error_set(err, EKEYREJECTED, "aws: there is no profile '%s' (AWS_PROFILE) in the shared credentials file", named) :
	       r;
}

static const struct step {
	const char *from;
	int (*find)(struct aws_login *l, const struct call *c, struct aws_credentials *ret, struct error *err);
} steps[] = {
	{ "the configuration file", step_configuration },
	{ "the profile of the configuration file", step_own_profile },
	{ "the environment", step_environment },
	{ "a web identity", step_web_identity },
	{ "the shared credentials file", step_profile },
	{ "the container", aws_metadata_container },
	{ "the instance", aws_metadata_instance },
};

int aws_credentials_find(struct aws_login *l, const struct call *c, struct aws_credentials *ret, const char **from,
                         struct error *err)
{
	AWS_CREDENTIALS(found);

	for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
		aws_credentials_wipe(&found);
		int r = steps[i].find(l, c, &found, err);
		if (r == 1)
			continue;
		if (r == -ENOMEM)
			return error_set(err, ENOMEM, "aws: no locked memory for the credentials");
		if (r != 0)
			return error_prefix(err, "aws: credentials from %s", steps[i].from);
		*from = steps[i].from;
		if (l->role_arn != NULL)
			return aws_sts_assume(l, c, &found, l->role_arn, l->external_id, ret, err);
		memcpy(ret->id, found.id, sizeof ret->id);
		ret->expires = found.expires;
		secret_move(&ret->secret, &found.secret);
		secret_move(&ret->token, &found.token);
		return 0;
	}
	return error_set(err, EKEYREJECTED, "aws: no credentials were found: neither in the configuration file "
	                 "(credentials.accesskey and secretkey), nor in the environment (AWS_ACCESS_KEY_ID, "
	                 "AWS_WEB_IDENTITY_TOKEN_FILE), the shared credentials file, the container or the instance");
}

/* ---- as a token ---- */

/* "ID\nSECRET\nSESSION" */
static int credentials_pack(const struct aws_credentials *c, struct secret *out)
{
	int r = secret_append_text(out, c->id);

	if (r == 0)
		r = secret_append_text(out, "\n");
	if (r == 0)
		r = secret_append(out, c->secret.bytes, c->secret.len);
	if (r == 0)
		r = secret_append_text(out, "\n");
	return r != 0 ? r : secret_append(out, c->token.bytes, c->token.len);
}

/* The other way. */
int aws_credentials_unpack(const struct secret *packed, struct aws_credentials *ret)
{
	const unsigned char *id_end = memchr(packed->bytes, '\n', packed->len);
	size_t id_len = id_end != NULL ? (size_t)(id_end - packed->bytes) : 0;
	const unsigned char *secret = id_end != NULL ? id_end + 1 : NULL;
	size_t rest = packed->len - id_len - 1;
	const unsigned char *end = secret != NULL ? memchr(secret, '\n', rest) : NULL;

	if (end == NULL)
		return -EINVAL;
	snprintf(ret->id, sizeof ret->id, "%.*s", (int)id_len, (const char *)packed->bytes);
	int r = secret_append(&ret->secret, secret, (size_t)(end - secret));
	return r != 0 ? r : secret_append(&ret->token, end + 1, rest - (size_t)(end - secret) - 1);
}

static int login(void *arg, const struct call *c, struct token_grant *ret, struct error *err)
{
	struct backend *b = arg;
	const char *from = NULL;
	AWS_CREDENTIALS(found);
	int64_t now = (int64_t)time(NULL);

	int r = aws_credentials_find(&b->login, c, &found, &from, err);
	if (r != 0)
		return r;
	if (found.expires != 0 && found.expires <= now)
		return error_set(err, EKEYREJECTED, "aws: the credentials from %s are expired already", from);
	atomic_store(&b->from, from);
	atomic_store(&b->expires, found.expires);
	ret->lifetime = found.expires != 0 ? (found.expires - now) * SECOND_NS : 0;
	r = credentials_pack(&found, &ret->value);
	return r != 0 ? error_set(err, -r, "aws: no locked memory for the credentials") : 0;
}

const struct token_ops aws_token_ops = { .login = login };
