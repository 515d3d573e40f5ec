/* SPDX-License-Identifier: Apache-2.0
 *
 * HashiCorp Vault and OpenBao: keys in a KV engine, version 1 or 2, exactly where a KES server keeps them. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "backends/config.h"
#include "backends/vault_parts.h"

enum {
	NAME_MAX_ = 512,              /* there is no fixed limit; KES's own is 80 */
};

/* Append the segments of path to out the way Go's path.Join does: single slashes, "." dropped, ".." goes up. */
static void path_append(char *out, const char *path)
{
	while (*path != '\0') {
		size_t n = strcspn(path, "/");
		if (n == 2 && memcmp(path, "..", 2) == 0) {
			char *slash = strrchr(out, '/');
			*(slash != NULL ? slash : out) = '\0';
		} else if (n > 0 && !(n == 1 && *path == '.')) {
			if (*out != '\0')
				strcat(out, "/");
			strncat(out, path, n);
		}
		path += n + (path[n] == '/');
	}
}

/* NULL for an empty path, malloc'd. */
static int path_join(const char *a, const char *b, const char *c, char **ret, struct error *err)
{
	const char *parts[] = { a, b, c };
	size_t size = 1;

	for (size_t i = 0; i < 3; i++)
		size += parts[i] != NULL ? strlen(parts[i]) + 1 : 0;
	char *out = calloc(1, size);
	if (out == NULL)
		return error_set(err, ENOMEM, "vault: no memory");
	for (size_t i = 0; i < 3; i++)
		if (parts[i] != NULL)
			path_append(out, parts[i]);
	if (*out == '\0') {
		free(out);
		out = NULL;
	}
	*ret = out;
	return 0;
}

char *vault_path(const char *folder, const char *name)
{
	return text_format("%s/%s", folder, name);
}

/* ---- the section of the configuration file ---- */

static int text_take(const struct config_map *cfg, const char *field, const char *otherwise, char **ret,
                     struct error *err)
{
	const char *text = config_text(cfg, field);

	return path_join(text != NULL ? text : otherwise, NULL, NULL, ret, err);
}

/* A field may count as a secret or as plain text: what matters is that it ends in a struct secret. */
static int secret_take(const struct config_map *cfg, const char *field, struct secret *ret, struct error *err)
{
	const struct secret *secret = config_secret(cfg, field);
	const char *text = config_text(cfg, field);
	int r = secret != NULL ? secret_copy(ret, secret) : text != NULL ? secret_append_text(ret, text) : 0;

	if (r != 0)
		return error_set(err, -r, "vault: no memory for keystore.vault.%s", field);
	if (ret->len == 0)
		return config_complain(cfg, field, err, EINVAL, "missing");
	return 0;
}

/* Text with a '/' names a file. */
static int secret_or_file(struct vault_login *l, const struct config_map *cfg, const char *field, struct error *err)
{
	int r = secret_take(cfg, field, &l->secret, err);

	if (r != 0 || memchr(l->secret.bytes, '/', l->secret.len) == NULL)
		return r;
	const char *path = secret_text(&l->secret);
	l->file = path != NULL ? strdup(path) : NULL;
	secret_wipe(&l->secret);
	return l->file != NULL ? 0 : error_set(err, ENOMEM, "vault: no memory");
}

static int login_namespace(struct backend *b, const struct config_map *cfg, const char *field, struct error *err)
{
	const char *text = config_text(cfg, field);

	/* "/" is the root, which path_join() makes NULL; absent means the store's own. */
	return path_join(text != NULL ? text : b->namespace, NULL, NULL, &b->login.namespace, err);
}

static int login_approle(struct backend *b, const struct config_map *cfg, struct error *err)
{
	struct vault_login *l = &b->login;

	l->kind = VAULT_LOGIN_APPROLE;
	int r = text_take(cfg, "approle.engine", "approle", &l->engine, err);
	if (r == 0)
		r = login_namespace(b, cfg, "approle.namespace", err);
	if (r == 0)
		r = secret_take(cfg, "approle.id", &l->id, err);
	return r != 0 ? r : secret_take(cfg, "approle.secret", &l->secret, err);
}

static int login_kubernetes(struct backend *b, const struct config_map *cfg, struct error *err)
{
	struct vault_login *l = &b->login;
	const char *role = config_text(cfg, "kubernetes.role");

	l->kind = VAULT_LOGIN_KUBERNETES;
	int r = text_take(cfg, "kubernetes.engine", "kubernetes", &l->engine, err);
	if (r == 0)
		r = login_namespace(b, cfg, "kubernetes.namespace", err);
	if (r == 0 && role != NULL && (l->role = strdup(role)) == NULL)
		r = error_set(err, ENOMEM, "vault: no memory");
	return r != 0 ? r : secret_or_file(l, cfg, "kubernetes.jwt", err);
}

static int login_cert(struct backend *b, const struct config_map *cfg, struct error *err)
{
	struct vault_login *l = &b->login;
	const char *role = config_text(cfg, "cert.role");

	l->kind = VAULT_LOGIN_CERT;
	if (config_text(cfg, "tls.cert") == NULL)
		return config_complain(cfg, "cert", err, EINVAL, "a login by certificate needs tls.cert and tls.key");
	int r = text_take(cfg, "cert.engine", "cert", &l->engine, err);
	if (r == 0)
		r = login_namespace(b, cfg, "cert.namespace", err);
	if (r == 0 && role != NULL && (l->role = strdup(role)) == NULL)
		r = error_set(err, ENOMEM, "vault: no memory");
	return r;
}

/* config_rules.c has seen to it that there is exactly one; a client certificate alone is one too. */
static int login_open(struct backend *b, const struct config_map *cfg, struct error *err)
{
	if (config_has(cfg, "approle"))
		return login_approle(b, cfg, err);
	if (config_has(cfg, "kubernetes"))
		return login_kubernetes(b, cfg, err);
	if (config_secret(cfg, "token") == NULL)
		return login_cert(b, cfg, err);
	b->login.kind = VAULT_LOGIN_TOKEN;
	return secret_or_file(&b->login, cfg, "token", err);
}

static int endpoint_open(struct backend *b, const struct config_map *cfg, struct error *err)
{
	const char *url = config_text(cfg, "endpoint");

	if (url == NULL)
		return config_complain(cfg, "endpoint", err, EINVAL, "missing");
	if (strncmp(url, "https://", 8) != 0 && strncmp(url, "http://", 7) != 0)
		return config_complain(cfg, "endpoint", err, EINVAL, "'%s' is no URL such as https://vault.example.com:8200", url);
	b->base = strdup(url);
	if (b->base == NULL)
		return error_set(err, ENOMEM, "vault: no memory");
	for (size_t n = strlen(b->base); n > 0 && b->base[n - 1] == '/'; n--)
		b->base[n - 1] = '\0';
	return 0;
}

static int places_open(struct backend *b, const struct config_map *cfg, struct error *err)
{
	const char *version = config_text(cfg, "version"), *prefix = config_text(cfg, "prefix");

	b->v2 = version != NULL && strcmp(version, "v2") == 0;
	if (version != NULL && !b->v2 && strcmp(version, "v1") != 0)
		return config_complain(cfg, "version", err, EINVAL, "'%s' is neither v1 nor v2", version);
	int r = text_take(cfg, "engine", "kv", &b->engine, err);
	if (r == 0 && b->engine == NULL)
		return config_complain(cfg, "engine", err, EINVAL, "no path of a KV engine");
	if (r == 0)
		r = path_join(b->engine, b->v2 ? "data" : NULL, prefix, &b->data, err);
	if (r == 0)
		r = path_join(b->engine, b->v2 ? "metadata" : NULL, prefix, &b->metadata, err);
	if (r == 0 && (b->data == NULL || b->metadata == NULL))
		return config_complain(cfg, "prefix", err, EINVAL, "it leads out of the engine");
	if (r == 0)
		r = text_take(cfg, "namespace", NULL, &b->namespace, err);
	if (r != 0 || !config_has(cfg, "transit"))
		return r;
	r = text_take(cfg, "transit.engine", "transit", &b->transit, err);
	if (r == 0)
		r = text_take(cfg, "transit.key", NULL, &b->transit_key, err);
	if (r == 0 && b->transit_key == NULL)
		return config_complain(cfg, "transit.key", err, EINVAL, "missing");
	return r;
}

/* ---- the handle ---- */

static void vault_close(struct backend *b)
{
	if (b == NULL)
		return;
	token_free(b->token);
	http_close(b->http);
	secret_wipe(&b->login.id);
	secret_wipe(&b->login.secret);
	char *texts[] = { b->login.engine, b->login.namespace, b->login.role, b->login.file, b->base, b->data, b->metadata,
	                  b->engine, b->namespace, b->transit, b->transit_key, b->leader, b->cluster };
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		free(texts[i]);
	pthread_mutex_destroy(&b->lock);
	once_destroy(&b->engine_known);
	once_destroy(&b->transit_known);
	pthread_mutex_destroy(&b->doubt.lock);
	pthread_cond_destroy(&b->doubt.cond);
	free(b);
}

static int vault_open(const struct config_map *cfg, const struct backend_options *o, struct backend **ret,
                      struct error *err)
{
	const struct http_options options = {
		.label = "vault", .ca = config_text(cfg, "tls.ca"), .cert = config_text(cfg, "tls.cert"),
		.key = config_text(cfg, "tls.key"), .in_flight = o->in_flight, .per_second = o->per_second,
	};
	struct backend *b = calloc(1, sizeof *b);

	if (b == NULL)
		return error_set(err, ENOMEM, "vault: no memory");
	b->write = o->write;
	pthread_mutex_init(&b->lock, NULL);
	once_init(&b->engine_known);
	once_init(&b->transit_known);
	pthread_mutex_init(&b->doubt.lock, NULL);
	pthread_cond_init(&b->doubt.cond, NULL);
	int r = endpoint_open(b, cfg, err);
	if (r == 0)
		r = places_open(b, cfg, err);
	if (r == 0)
		r = login_open(b, cfg, err);
	if (r == 0)
		r = http_open(&options, &b->http, err);
	if (r == 0 && (b->token = token_new(&vault_token_ops, b)) == NULL)
		r = error_set(err, ENOMEM, "vault: no memory");
	if (r != 0) {
		vault_close(b);
		return r;
	}
	*ret = b;
	return 0;
}

/* KES's client library obeys these, so a configuration may rely on them. */
static void vault_notice(struct backend *b, void (*warn)(const char *sentence, void *arg), void *arg)
{
	static const char *const variables[] = {
		"VAULT_NAMESPACE", "VAULT_SKIP_VERIFY", "VAULT_CACERT", "VAULT_CAPATH", "VAULT_CACERT_BYTES", "VAULT_CLIENT_CERT",
		"VAULT_CLIENT_KEY", "VAULT_TLS_SERVER_NAME", "VAULT_CLIENT_TIMEOUT", "VAULT_MAX_RETRIES", "VAULT_RATE_LIMIT",
		"VAULT_PROXY_ADDR", "VAULT_HTTP_PROXY", "VAULT_AGENT_ADDR", "VAULT_SRV_LOOKUP", "VAULT_DISABLE_REDIRECTS",
	};
	char sentence[600];
	size_t n = 0;

	for (size_t i = 0; i < sizeof variables / sizeof *variables; i++)
		if (getenv(variables[i]) != NULL)
			n += (size_t)snprintf(sentence + n, sizeof sentence - n, "%s%s", n > 0 ? ", " : "", variables[i]);
	if (n > 0) {
		snprintf(sentence + n, sizeof sentence - n, " in the environment: a KES server obeys that, kesfs does not: set in "
		         "the configuration file what is needed of it");
		warn(sentence, arg);
	}
}

static unsigned vault_caps_now(struct backend *b)
{
	return BACKEND_READ | BACKEND_WRITE | (b->v2 ? 0 : BACKEND_REPLACE | BACKEND_RACY);
}

static void vault_describe(struct backend *b, char *buf, size_t size)
{
	int n = snprintf(buf, size, "\"sealed\":%s", atomic_load(&b->sealed) ? "true" : "false");
	long long expires = atomic_load(&b->token_expires);

	if (expires > 0 && n > 0 && (size_t)n < size)
		snprintf(buf + n, size - (size_t)n, ",\"token_expires\":%lld", expires);
}

static void vault_counts(struct backend *b, struct backend_counts *ret)
{
	http_counts(b->http, ret);
}

const struct backend_ops vault_backend = {
	.name = "vault",
	.summary = "HashiCorp Vault or OpenBao, KV engine version 1 or 2",
	.caps = BACKEND_READ | BACKEND_WRITE,
	.name_max = NAME_MAX_,
	.value_max = VAULT_VALUE_MAX,
	.open = vault_open,
	.close = vault_close,
	.notice = vault_notice,
	.caps_now = vault_caps_now,
	.status = vault_status,
	.identity = vault_identity,
	.list = vault_list,
	.stat = vault_stat,
	.get = vault_get,
	.create = vault_create,
	.replace = vault_replace,
	.remove = vault_remove,
	.probe = vault_probe,
	.describe = vault_describe,
	.counts = vault_counts,
};
