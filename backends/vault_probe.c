/* SPDX-License-Identifier: Apache-2.0
 *
 * Is Vault there and open, does the login work, which store is it, and what may we do there? */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/vault_parts.h"

/* ---- status ---- */

static void cluster_set(struct backend *b, const char *id)
{
	if (id == NULL || *id == '\0')
		return;
	pthread_mutex_lock(&b->lock);
	if (b->cluster == NULL)
		b->cluster = strdup(id);
	pthread_mutex_unlock(&b->lock);
}

/* Here a status tells what the server is: 429 is a standby's, and no wish that we slow down. */
static enum retry_verdict health_judge(const struct http_reply *reply, void *arg)
{
	(void)arg;
	switch (reply->status) {
	case 429: case 472: case 473: case 501: case 503:
		return RETRY_FINAL;
	default:
		return retry_status(reply->status);
	}
}

/* Without a token, and never below a namespace. */
static int health(struct backend *b, const struct call *c, struct error *err)
{
	static const struct vault_ask ask = { .method = "GET", .path = "sys/health", .ns = VAULT_NS_NONE,
	                                      .judge = health_judge, .doing = "asking for the health" };
	HTTP_REPLY(reply);
	AUTO_JSON(json);
	AUTO_JSON(answer);
	int r = vault_send(b, c, &ask, NULL, &reply, err);

	if (r != 0)
		return r;
	/* A 503 of a proxy is no sealed Vault, which says so in JSON. */
	if (reply.status >= 400 && reply.status != 429 && reply.status != 473 && json_parse(&reply.body, &json, NULL) != 0)
		return 0;
	switch (reply.status) {
	case 200: case 429: case 473:         /* active; standby, which forwards; performance standby */
		break;
	case 501:
		atomic_store(&b->sealed, true);
		return error_set(err, ENOKEY, "vault: the Vault at %s is not initialised", b->base);
	case 503:
		atomic_store(&b->sealed, true);
		return error_set(err, ENOKEY, "vault: the Vault at %s is sealed: unseal it", b->base);
	case 472:
		return error_set(err, EHOSTUNREACH, "vault: %s is a disaster recovery secondary, which serves no keys", b->base);
	default:
		return 0;                     /* some proxies hide it; the login will tell */
	}
	atomic_store(&b->sealed, false);
	r = vault_json(b, &ask, &reply, &answer, err);
	if (r == 0)
		cluster_set(b, json_text(answer, "cluster_id"));
	return r;
}

/* Which engine is at our path?  Vault's own client asks the same before it reads.  -EACCES: the login has no rights at
 * all there.  *ret stays NULL where the question is not understood. */
static int mount_ask(struct backend *b, const struct call *c, struct json **ret, struct error *err)
{
	HTTP_REPLY(reply);
	AUTO_TEXT(path);

	path = vault_path("sys/internal/ui/mounts", b->metadata);
	if (path == NULL)
		return error_set(err, ENOMEM, "vault: no memory");
	const struct vault_ask ask = { .method = "GET", .path = path, .plain = true, .patient = true,
	                               .doing = "asking for the engine", .needs = "read" };
	int r = vault_ask(b, c, &ask, &reply, err);
	if (r == -ENOENT || r == -EPROTO)
		return 0;
	return r != 0 ? r : vault_json(b, &ask, &reply, ret, err);
}

static int engine_ask(struct backend *b, const struct call *c, struct error *err)
{
	AUTO_JSON(json);
	int r = mount_ask(b, c, &json, err);
	atomic_store(&b->barred, r == -EACCES);
	if (r != 0)
		return r == -EACCES ? 0 : r;
	const char *type = json_text(json, "data.type"), *version = json_text(json, "data.options.version");
	if (type != NULL && strcmp(type, "kv") != 0 && strcmp(type, "generic") != 0)
		return error_set(err, EINVAL,
		                 "vault: the engine at %s/ is of type '%s', not a KV engine: check keystore.vault.engine",
		                 b->engine, type);
	bool v2 = version != NULL && strcmp(version, "2") == 0;
	if (type != NULL && v2 != b->v2)
		return error_set(err, EINVAL, "vault: the KV engine at %s/ is version %s, and the configuration says %s: set "
		                 "keystore.vault.version to v%s", b->engine, v2 ? "2" : "1",
		                 b->v2 ? "v2" : "v1, or nothing, which means v1", v2 ? "2" : "1");
	return 0;
}

/* status() and probe() may ask at once. */
static int engine_check(struct backend *b, const struct call *c, struct error *err)
{
	bool ask;
	int r = once_begin(&b->engine_known, c, &ask, err);

	if (r != 0 || !ask)
		return r != 0 ? error_prefix(err, "vault") : 0;
	r = engine_ask(b, c, err);
	once_end(&b->engine_known, r == 0 && !atomic_load(&b->barred));
	return r;
}

int vault_status(struct backend *b, const struct call *c, struct error *err)
{
	struct token_state before;

	token_state(b->token, &before);
	int r = health(b, c, err);
	if (r == 0)
		r = vault_prove(b, c, before.generation, err);
	return r != 0 ? r : engine_check(b, c, err);
}

/* ---- identity ---- */

static char *cluster_name(struct backend *b)
{
	pthread_mutex_lock(&b->lock);
	char *name = b->cluster != NULL ? text_format("vault:%s", b->cluster) : NULL;
	pthread_mutex_unlock(&b->lock);
	return name;
}

/* The cluster's id, whatever name or address it was reached by; where a proxy hides it, the engine's own accessor;
 * where that may not be asked either, the address, so that two names of one server go unnoticed. */
int vault_identity(struct backend *b, const struct call *c, char **ret, struct error *err)
{
	AUTO_TEXT(cluster);
	AUTO_JSON(json);
	int r = 0;

	cluster = cluster_name(b);
	if (cluster == NULL) {                /* status() was not asked yet */
		r = health(b, c, err);
		cluster = cluster_name(b);
	}
	if (r != 0)
		return r;
	if (cluster == NULL) {
		r = mount_ask(b, c, &json, err);
		if (r != 0 && r != -EACCES)
			return r;
		const char *accessor = json_text(json, "data.accessor");
		cluster = accessor != NULL ? text_format("vault-engine:%s", accessor) : text_format("vault-at:%s", b->base);
	}
	if (cluster != NULL)
		*ret = text_format("%s %s%s%s", cluster, b->namespace != NULL ? b->namespace : "",
		                    b->namespace != NULL ? "/" : "", b->data);
	return cluster == NULL || *ret == NULL ? error_set(err, ENOMEM, "vault: no memory") : 0;
}

/* ---- permissions ---- */

/* The answer of sys/capabilities-self for these paths; -EACCES: it may not be asked. */
static int capabilities(struct backend *b, const struct call *c, const char *const *paths, size_t count,
                        struct json **ret, struct error *err)
{
	HTTP_REPLY(reply);
	SECRET(body);
	int r = secret_append_text(&body, "{\"paths\":[");

	for (size_t i = 0; i < count && r == 0; i++) {
		r = i > 0 ? secret_append_text(&body, ",") : 0;
		if (r == 0)
			r = json_append_text(&body, paths[i]);
	}
	if (r == 0)
		r = secret_append_text(&body, "]}");
	if (r != 0)
		return error_set(err, -r, "vault: no memory");
	const struct vault_ask ask = { .method = "POST", .path = "sys/capabilities-self", .body = &body, .plain = true,
	                               .doing = "asking for permissions", .needs = "update" };
	r = vault_ask(b, c, &ask, &reply, err);
	return r != 0 ? r : vault_json(b, &ask, &reply, ret, err);
}

static bool granted(const struct json *reply, const char *path, const char *capability)
{
	for (const struct json *i = json_first(json_member(json_at(reply, "data"), path)); i != NULL; i = json_next(i)) {
		const char *text = json_text(i, NULL);
		if (text != NULL && (strcmp(text, capability) == 0 || strcmp(text, "root") == 0))
			return true;
	}
	return false;
}

int vault_may(struct backend *b, const struct call *c, const char *path, const char *capability, bool *ret,
              struct error *err)
{
	AUTO_JSON(json);
	int r = capabilities(b, c, &path, 1, &json, err);

	if (r == 0)
		*ret = granted(json, path, capability);
	return r;
}

struct permission {
	const char *what, *perhaps;   /* "read"; "read?" where single names may be granted all the same */
	const char *capability, *path;
};

struct saying {
	void (*say)(bool may, const char *what, const char *sentence, void *arg);
	void *arg;
};

/* A policy may grant single names, which cannot be seen from here: only a refused listing is certain. */
static void permission_say(const struct permission *p, bool may, const struct saying *s)
{
	char sentence[600];

	if (may)
		snprintf(sentence, sizeof sentence, "may %s", p->what);
	else if (p->perhaps == NULL)
		snprintf(sentence, sizeof sentence, "may not %s: the policy needs '%s' on %s", p->what, p->capability, p->path);
	else
		snprintf(sentence, sizeof sentence, "for single names at most: for all the policy needs '%s' on %s", p->capability,
		         p->path);
	s->say(may, may || p->perhaps == NULL ? p->what : p->perhaps, sentence, s->arg);
}

static void barred_say(struct backend *b, const struct saying *s)
{
	char sentence[600];

	snprintf(sentence, sizeof sentence, "there is no engine at %s/, or the login has no rights at all in it: the policy "
	         "needs 'read' on %s/*, and more to write", b->engine, b->data);
	s->say(false, "read", sentence, s->arg);
	s->say(false, "create", sentence, s->arg);
}

static int permissions_say(struct backend *b, const struct call *c, const struct saying *s, struct error *err)
{
	const char *engine = b->transit_key != NULL ? b->transit : "", *key = b->transit_key != NULL ? b->transit_key : "";
	AUTO_TEXT(folder);
	AUTO_TEXT(any);
	AUTO_TEXT(any_metadata);
	AUTO_TEXT(encrypt);
	AUTO_TEXT(decrypt);
	AUTO_JSON(json);
	struct error why = ERROR_INIT;

	folder = vault_path(b->metadata, "");
	any = vault_path(b->data, "*");
	any_metadata = vault_path(b->metadata, "*");
	encrypt = text_format("%s/encrypt/%s", engine, key);
	decrypt = text_format("%s/decrypt/%s", engine, key);
	if (folder == NULL || any == NULL || any_metadata == NULL || encrypt == NULL || decrypt == NULL)
		return error_set(err, ENOMEM, "vault: no memory");
	const char *const paths[] = { folder, any, any_metadata, encrypt, decrypt };
	const struct permission permissions[] = {
		{ "list", NULL, "list", folder },
		{ "read", "read?", "read", any },
		{ "create", "create?", "create", any },
		{ "replace", "replace?", b->v2 ? "delete" : "update", any_metadata },
		{ "remove", "remove?", "delete", any_metadata },
		{ "wrap", NULL, "update", encrypt },
		{ "unwrap", NULL, "update", decrypt },
	};
	size_t count = sizeof permissions / sizeof *permissions - (b->transit_key != NULL ? 0 : 2);
	int r = capabilities(b, c, paths, b->transit_key != NULL ? 5 : 3, &json, err);
	/* Of a wrong engine permissions tell nothing, but they are asked for first: status() may be asking for it. */
	if (engine_check(b, c, &why) != 0)
		return error_set(err, why.code, "%s", why.text);
	if (atomic_load(&b->barred))
		barred_say(b, s);
	if (atomic_load(&b->barred))
		return 0;
	if (r == -EACCES) {
		s->say(false, "rights?", "of this login cannot be told without trying: to ask for them, the policy needs 'update' on "
		       "sys/capabilities-self", s->arg);
		return 0;
	}
	for (size_t i = 0; r == 0 && i < count; i++)
		permission_say(&permissions[i], granted(json, permissions[i].path, permissions[i].capability), s);
	return r;
}

int vault_probe(struct backend *b, const struct call *c,
                void (*say)(bool may, const char *what, const char *sentence, void *arg), void *arg, struct error *err)
{
	const struct saying s = { say, arg };

	if (!atomic_load(&b->barred))
		return permissions_say(b, c, &s, err);
	barred_say(b, &s);
	return 0;
}
