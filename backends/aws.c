/* SPDX-License-Identifier: Apache-2.0
 *
 * AWS Secrets Manager: one secret a key, exactly where a KES server keeps them. */
#include "backends/aws.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "backends/aws_parts.h"
#include "backends/config.h"

enum {
	VALUE_MAX = 65536, NAME_MAX_AWS = 512, RECOVERY_DEFAULT = 30,
	/* What overloads AWS is not what is in flight, but more than its quotas a second. */
	IN_FLIGHT = 256, START = 128,
};
#define METADATA_CONNECT_NS INT64_C(1000000000)

/* ---- the section of the configuration file ---- */

static int copy(const struct config_map *cfg, const char *field, char **ret, struct error *err)
{
	const char *text = config_text(cfg, field);

	*ret = text != NULL ? strdup(text) : NULL;
	return text == NULL || *ret != NULL ? 0 : error_set(err, ENOMEM, "aws: no memory");
}

static int secret_take(const struct config_map *cfg, const char *field, struct secret *ret, struct error *err)
{
	const struct secret *s = config_secret(cfg, field);
	int r = s != NULL ? secret_copy(ret, s) : 0;

	return r != 0 ? error_set(err, -r, "aws: no locked memory for %s", field) : 0;
}

static int login_open(struct backend *b, const struct config_map *cfg, struct error *err)
{
	struct aws_login *l = &b->login;
	int r = copy(cfg, "credentials.accesskey", &l->id, err);

	if (r == 0)
		r = secret_take(cfg, "credentials.secretkey", &l->secret, err);
	if (r == 0)
		r = secret_take(cfg, "credentials.token", &l->token, err);
	if (r == 0)
		r = copy(cfg, "profile", &l->profile, err);
	if (r == 0)
		r = copy(cfg, "role_arn", &l->role_arn, err);
	if (r == 0)
		r = copy(cfg, "external_id", &l->external_id, err);
	return r == 0 ? copy(cfg, "region", &l->region, err) : r;
}

/* A host or a URL, as KES takes it; what is signed is the host with its port, unless that is the scheme's own. */
static int endpoint_open(struct backend *b, const struct config_map *cfg, struct error *err)
{
	const char *text = config_text(cfg, "endpoint");
	bool http = text != NULL && strncasecmp(text, "http://", 7) == 0;

	if (text == NULL)
		return config_complain(cfg, "endpoint", err, EINVAL, "missing");
	const char *host = strstr(text, "://");
	host = host != NULL ? host + 3 : text;
	size_t n = strcspn(host, "/");
	if (n == 0 || (host[n] == '/' && host[n + 1] != '\0'))
		return config_complain(cfg, "endpoint", err, EINVAL, "'%s' is neither a host nor the URL of one", text);
	const char *own = http ? ":80" : ":443";
	size_t port = strlen(own);
	if (n > port && memcmp(host + n - port, own, port) == 0)
		n -= port;
	b->host = strndup(host, n);
	b->url = b->host != NULL ? text_format("%s://%s/", http ? "http" : "https", b->host) : NULL;
	return b->url != NULL ? 0 : error_set(err, ENOMEM, "aws: no memory");
}

/* AWS itself, and nothing that only speaks like it? */
static bool is_real(const struct backend *b)
{
	return strstr(b->host, ".amazonaws.com") != NULL || strstr(b->host, ".api.aws") != NULL;
}

static int engines_open(struct backend *b, const struct config_map *cfg, const struct backend_options *o, struct error *err)
{
	/* What is not AWS may have other quotas or none: it is asked as fast as it answers until it says "slow down". */
	const struct http_options service = { .label = "aws", .ca = config_text(cfg, "tls.ca"), .per_second = o->per_second,
	                                      .in_flight = o->in_flight != 0 ? o->in_flight : IN_FLIGHT, .start = START,
	                                      .paces = aws_paces, .pace_count = AWS_PACES, .paced_at_once = is_real(b) };
	const struct http_options sts = { .label = "aws" };
	const struct http_options metadata = { .label = "aws", .direct = true, .connect_ns = METADATA_CONNECT_NS };
	int r = http_open(&service, &b->http, err);

	if (r == 0)
		r = http_open(&sts, &b->login.services, err);
	return r == 0 ? http_open(&metadata, &b->login.metadata, err) : r;
}

/* ---- the handle ---- */

static void aws_close(struct backend *b)
{
	if (b == NULL)
		return;
	struct aws_login *l = &b->login;
	token_free(b->token);
	http_close(b->http);
	http_close(l->services);
	http_close(l->metadata);
	secret_wipe(&l->secret);
	secret_wipe(&l->token);
	pthread_mutex_destroy(&b->lock);
	once_destroy(&b->looked);
	char *texts[] = { l->id, l->profile, l->role_arn, l->external_id, l->region, b->url, b->host, b->region, b->kmskey };
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		free(texts[i]);
	free(b);
}

static int aws_open(const struct config_map *cfg, const struct backend_options *o, struct backend **ret, struct error *err)
{
	struct backend *b = calloc(1, sizeof *b);

	if (b == NULL)
		return error_set(err, ENOMEM, "aws: no memory");
	pthread_mutex_init(&b->lock, NULL);
	once_init(&b->looked);
	b->warn = o->warn;
	b->warn_arg = o->warn_arg;
	b->recovery_days = o->recovery_days == 0 ? RECOVERY_DEFAULT : o->recovery_days < 0 ? 0 : o->recovery_days;
	int r = endpoint_open(b, cfg, err);
	if (r == 0)
		r = copy(cfg, "region", &b->region, err);
	if (r == 0)
		r = copy(cfg, "kmskey", &b->kmskey, err);
	if (r == 0)
		r = login_open(b, cfg, err);
	if (r == 0)
		r = engines_open(b, cfg, o, err);
	if (r == 0 && (b->token = token_new(&aws_token_ops, b)) == NULL)
		r = error_set(err, ENOMEM, "aws: no memory");
	if (r != 0) {
		aws_close(b);
		return r;
	}
	*ret = b;
	return 0;
}

/* A listing of one secret: proves who we are, and the ARN of any secret names the account:
 * arn:aws:secretsmanager:REGION:ACCOUNT:secret:NAME. */
static int look(struct backend *b, const struct call *c, struct error *err)
{
	SECRET(body);
	HTTP_REPLY(reply);
	AUTO_JSON(json);
	const struct aws_ask ask = { .operation = "ListSecrets", .body = &body, .doing = "listing the secrets" };
	int r = secret_append_text(&body, "{\"MaxResults\":1}");

	if (r != 0)
		return error_set(err, -r, "aws: no memory to look who we are");
	r = aws_ask(b, c, &ask, &reply, err);
	if (r == 0)
		r = aws_json(b, &ask, &reply, &json, err);
	if (r != 0)
		return r;
	const char *arn = json_text(json_first(json_at(json, "SecretList")), "ARN");
	for (int colons = 0; arn != NULL && *arn != '\0' && colons < 4; arn++)
		colons += *arn == ':';
	pthread_mutex_lock(&b->lock);
	if (arn != NULL)
		snprintf(b->account, sizeof b->account, "%.*s", (int)strcspn(arn, ":"), arn);
	pthread_mutex_unlock(&b->lock);
	return 0;
}

/* 0: it has been allowed, now or before. */
static int look_once(struct backend *b, const struct call *c, struct error *err)
{
	bool ask;
	int r = once_begin(&b->looked, c, &ask, err);

	if (r != 0 || !ask)
		return r != 0 ? error_prefix(err, "aws") : 0;
	r = look(b, c, err);
	once_end(&b->looked, r == 0);
	return r;
}

/* Goes to the service each time.  Where listing is not allowed, reading a name that cannot exist proves who we are, too. */
static int aws_status(struct backend *b, const struct call *c, struct error *err)
{
	SECRET(nothing);
	struct error reading = ERROR_INIT;
	int r = atomic_load(&b->looked.known) ? look(b, c, err) : look_once(b, c, err);

	if (r != -EACCES)
		return r;
	int second = aws_get(b, c, "kesfs-status-does-not-exist", &nothing, &reading);
	return second == -ENOENT || second == -EACCES || second == 0 ? 0 : r;
}

static int account_listed(struct backend *b, const struct call *c, char account[static 32], struct error *err)
{
	int r = look_once(b, c, err);

	pthread_mutex_lock(&b->lock);
	memcpy(account, b->account, sizeof b->account);
	pthread_mutex_unlock(&b->lock);
	return r == -EACCES ? 0 : r;
}

static int account_asked(struct backend *b, const struct call *c, char *buf, size_t size, struct error *err)
{
	AWS_CREDENTIALS(who);
	SECRET(packed);
	uint64_t generation;
	int r = token_get(b->token, c, &packed, &generation, err);

	if (r == 0 && (r = aws_credentials_unpack(&packed, &who)) != 0)
		r = error_set(err, -r, "aws: no locked memory for the credentials");
	return r != 0 ? r : aws_sts_account(&b->login, c, &who, buf, size, err);
}

/* Names are unique in an account and region.  AWS has several hosts for one region, so there the host does not count;
 * elsewhere the account may be made up. */
static int aws_identity(struct backend *b, const struct call *c, char **ret, struct error *err)
{
	char account[32] = "";
	bool real = is_real(b);
	int r = real ? account_asked(b, c, account, sizeof account, err) : account_listed(b, c, account, err);

	if (r != 0)
		return r;
	*ret = text_format("aws//%s/%s/%s", real ? "" : b->host, b->region, account);
	return *ret != NULL ? 0 : error_set(err, ENOMEM, "aws: no memory");
}

static int aws_probe(struct backend *b, const struct call *c, void (*say)(bool may, const char *what, const char *sentence, void *arg),
                     void *arg, struct error *err)
{
	struct error listing = ERROR_INIT, reading = ERROR_INIT;
	SECRET(nothing);

	/* Reading first: status() may be listing at this moment, and its answer is ours. */
	int get = aws_get(b, c, "kesfs-probe-does-not-exist", &nothing, &reading), list = look_once(b, c, &listing);
	if (list != 0 && list != -EACCES)
		return error_set(err, listing.code, "%s", listing.text);
	if (get != 0 && get != -EACCES && get != -ENOENT)
		return error_set(err, reading.code, "%s", reading.text);
	say(list == 0, "list", list == 0 ? "secretsmanager:ListSecrets is allowed" : listing.text, arg);
	say(get != -EACCES, "read", get != -EACCES ? "secretsmanager:GetSecretValue is allowed" : reading.text, arg);
	return 0;
}

static void aws_describe(struct backend *b, char *buf, size_t size)
{
	const char *from = atomic_load(&b->from);
	int n = snprintf(buf, size, "\"credentials_from\":\"%s\"", from != NULL ? from : "");
	long long expires = atomic_load(&b->expires);
	int64_t skew = atomic_load(&b->skew);

	if (expires > 0 && n > 0 && (size_t)n < size)
		n += snprintf(buf + n, size - (size_t)n, ",\"token_expires\":%lld", expires);
	if (skew != 0 && n > 0 && (size_t)n < size)
		snprintf(buf + n, size - (size_t)n, ",\"clock_off_seconds\":%lld", (long long)-skew);
}

static void aws_counts(struct backend *b, struct backend_counts *ret)
{
	http_counts(b->http, ret);
}

/* ASCII letters, digits, /_+=.@- as AWS says; what else is checked is KES's rule. */
static bool aws_name_ok(const char *name)
{
	return name[strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/_+=.@-")] == '\0';
}

const struct backend_ops aws_backend = {
	.name = "aws",
	.summary = "AWS Secrets Manager",
	.caps = BACKEND_READ | BACKEND_WRITE | BACKEND_REPLACE | BACKEND_TOMBSTONE | BACKEND_LAGGING,
	.name_max = NAME_MAX_AWS,
	.value_max = VALUE_MAX,
	.name_ok = aws_name_ok,
	.open = aws_open,
	.close = aws_close,
	.status = aws_status,
	.identity = aws_identity,
	.list = aws_list,
	.stat = aws_stat,
	.get = aws_get,
	.create = aws_create,
	.replace = aws_replace,
	.remove = aws_remove,
	.probe = aws_probe,
	.describe = aws_describe,
	.counts = aws_counts,
};
