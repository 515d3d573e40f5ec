/* SPDX-License-Identifier: Apache-2.0
 *
 * Logging in to Vault, renewing the token, and telling a dead token from a policy that refuses: Vault says 403 to both
 * (keystores.md 7.3). */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "backends/vault_parts.h"

enum { TOKEN_FILE_MAX = 64 * 1024 };
#define SECOND_NS INT64_C(1000000000)
#define BLIND_NS (60 * SECOND_NS)
#define YOUNG_NS (5 * SECOND_NS)
#define YOUNG_PAUSE_NS (SECOND_NS / 20)
#define YOUNG_PAUSE_MAX_NS (SECOND_NS / 2)
#define LEASE_MAX_S INT64_C(3153600000)       /* a century: more would overflow as ns */

/* ---- login ---- */

static int file_read(const char *path, struct secret *out, struct error *err)
{
	int r = secret_read_file(out, path, TOKEN_FILE_MAX, err);

	if (r != 0)
		return error_prefix(err, "vault: %s", path);
	secret_trim(out);
	return out->len > 0 ? 0 : error_set(err, EKEYREJECTED, "vault: %s is empty, and should hold what we log in with",
	                                    path);
}

static int login_body(const struct vault_login *l, struct secret *body, struct error *err)
{
	SECRET(jwt);
	int r = 0;

	switch (l->kind) {
	case VAULT_LOGIN_APPROLE:
		r = json_format(body, "{%s:%S,%s:%S}", "role_id", &l->id, "secret_id", &l->secret);
		break;
	case VAULT_LOGIN_KUBERNETES:
		r = l->file != NULL ? file_read(l->file, &jwt, err) : secret_copy(&jwt, &l->secret);
		if (r != 0 && l->file != NULL)
			return r;
		secret_trim(&jwt);
		if (r == 0)
			r = json_format(body, "{%s:%s,%s:%S}", "role", l->role != NULL ? l->role : "", "jwt", &jwt);
		break;
	default:
		r = l->role != NULL ? json_format(body, "{%s:%s}", "name", l->role) : secret_append_text(body, "{}");
	}
	return r == 0 ? 0 : error_set(err, -r, "vault: the login cannot be written as JSON: %s", strerror(-r));
}

/* The times of a token, as the token's thread and .kesfs/status want them. */
static void lease_take(struct backend *b, int64_t seconds, bool renewable, struct token_grant *ret)
{
	if (seconds > LEASE_MAX_S)
		seconds = 0;
	atomic_store(&b->token_expires, seconds > 0 ? (long long)time(NULL) + seconds : 0);
	ret->lifetime = renewable || b->login.kind != VAULT_LOGIN_TOKEN ? seconds * SECOND_NS : 0;
}

static int grant_take(struct backend *b, const struct vault_ask *a, const struct http_reply *reply,
                      struct token_grant *ret, struct error *err)
{
	AUTO_JSON(json);
	int r = vault_json(b, a, reply, &json, err);

	if (r != 0)
		return r;
	if (json_text(json, "auth.client_token") == NULL)
		return error_set(err, EPROTO, "vault: %s: the answer has no token: is a second factor or response wrapping asked "
		                 "for?", a->doing);
	r = json_take_text(json, "auth.client_token", &ret->value, err);
	lease_take(b, json_number(json, "auth.lease_duration", 0), json_bool(json, "auth.renewable", false), ret);
	return r;
}

/* A login refused, in a sentence that says which of the things in the configuration to look at. */
static int login_refused(struct backend *b, const struct vault_ask *a, const struct http_reply *reply,
                         struct error *err)
{
	static const char *const checks[] = {
		[VAULT_LOGIN_APPROLE] = "check keystore.vault.approle: wrong role or secret id, or the secret id is used up or "
		                        "expired",
		[VAULT_LOGIN_KUBERNETES] = "check keystore.vault.kubernetes: role, jwt, and who may log in with them",
		[VAULT_LOGIN_CERT] = "check keystore.vault.tls.cert and cert.role",
	};
	char said[240];

	vault_say(reply, said, sizeof said);
	/* Some releases say 500 to an AppRole secret id that is unknown or used up. */
	if (reply->status == 400 || reply->status == 403 || (reply->status == 500 && strncmp(said, "invalid ", 8) == 0)) {
		return error_set(err, EKEYREJECTED, "vault: the login at %s/v1/%s was refused (%d %s): %s", b->base, a->path,
		                 reply->status, said, checks[b->login.kind]);
	}
	int r = vault_classify(b, a, reply, err);
	if (r != -ENOENT && r != -EPROTO)
		return r;
	return error_set(err, EPROTO, "vault: there is no login at %s/v1/%s: check the engine and the namespace of the "
	                 "login in the configuration", b->base, a->path);
}

static int engine_login(struct backend *b, const struct call *c, struct token_grant *ret, struct error *err)
{
	SECRET(body);
	HTTP_REPLY(reply);
	AUTO_TEXT(path);

	path = text_format("auth/%s/login", b->login.engine);
	if (path == NULL)
		return error_set(err, ENOMEM, "vault: no memory");
	const struct vault_ask ask = {
		.method = "POST", .path = path, .body = &body, .change = true, .harmless = true, .ns = VAULT_NS_LOGIN,
		.doing = "logging in", .needs = "update",
	};
	int r = login_body(&b->login, &body, err);
	if (r == 0)
		r = vault_send(b, c, &ask, NULL, &reply, err);
	/* A token that we never got does nobody harm: this may be done again. */
	if (r == -EINPROGRESS)
		return error_set(err, EHOSTUNREACH, "vault: the login at %s was not answered", b->base);
	if (r == 0 && reply.status != 200)
		r = login_refused(b, &ask, &reply, err);
	return r != 0 ? r : grant_take(b, &ask, &reply, ret, err);
}

static int self_send(struct backend *b, const struct call *c, bool renew, const struct secret *token,
                     struct http_reply *reply, struct vault_ask *ret_ask, struct error *err)
{
	SECRET(body);
	const struct vault_ask look = { .method = "GET", .path = "auth/token/lookup-self", .doing = "looking up the token",
	                                .needs = "read" };
	const struct vault_ask again = { .method = "POST", .path = "auth/token/renew-self", .doing = "renewing the token",
	                                 .needs = "update" };
	*ret_ask = renew ? again : look;
	if (renew) {
		int r = secret_append_text(&body, "{}");
		if (r != 0)
			return error_set(err, -r, "vault: no memory");
		ret_ask->body = &body;
	}
	int r = vault_send(b, c, ret_ask, token, reply, err);
	ret_ask->body = NULL;
	return r;
}

/* A token from the configuration or a file: nothing to log in with, but its lease may be known and renewed. */
static int token_login(struct backend *b, const struct call *c, struct token_grant *ret, struct error *err)
{
	const struct vault_login *l = &b->login;
	HTTP_REPLY(reply);
	AUTO_JSON(json);
	struct vault_ask ask;
	int r = l->file != NULL ? file_read(l->file, &ret->value, err) : secret_copy(&ret->value, &l->secret);

	if (r != 0)
		return l->file != NULL ? r : error_set(err, -r, "vault: no memory");
	r = self_send(b, c, false, &ret->value, &reply, &ask, err);
	if (r != 0)
		return r;
	if (reply.status == 403) {
		/* Dead, or its policy does not let it look at itself: the next request will tell. */
		lease_take(b, 0, false, ret);
		return 0;
	}
	r = vault_classify(b, &ask, &reply, err);
	if (r == 0)
		r = vault_json(b, &ask, &reply, &json, err);
	if (r == 0)
		lease_take(b, json_number(json, "data.ttl", 0), json_bool(json, "data.renewable", false), ret);
	return r;
}

static int login(void *arg, const struct call *c, struct token_grant *ret, struct error *err)
{
	struct backend *b = arg;
	int r = b->login.kind == VAULT_LOGIN_TOKEN ? token_login(b, c, ret, err) : engine_login(b, c, ret, err);

	if (r == 0)
		b->first_lease = ret->lifetime;
	if (r == 0 && b->login.kind != VAULT_LOGIN_TOKEN)
		atomic_store(&b->login_done, call_now());
	return r;
}

/* -EKEYREJECTED makes the token's thread log in anew. */
static int renew(void *arg, const struct call *c, const struct secret *current, struct token_grant *ret,
                 struct error *err)
{
	struct backend *b = arg;
	HTTP_REPLY(reply);
	AUTO_JSON(json);
	struct vault_ask ask;
	int r = self_send(b, c, true, current, &reply, &ask, err);

	if (r != 0)
		return r;
	if (reply.status == 400 || reply.status == 403)
		return error_set(err, EKEYREJECTED, "vault: the token cannot be renewed");
	r = vault_classify(b, &ask, &reply, err);
	if (r == 0)
		r = vault_json(b, &ask, &reply, &json, err);
	if (r != 0)
		return r;
	lease_take(b, json_number(json, "auth.lease_duration", 0), json_bool(json, "auth.renewable", true), ret);
	/* Close to its maximum lifetime a token is given less and less.  One from the file cannot be had anew. */
	if (b->login.kind != VAULT_LOGIN_TOKEN && ret->lifetime > 0 && ret->lifetime < b->first_lease / 3)
		return error_set(err, EKEYREJECTED, "vault: the token is near the end of its life");
	return 0;
}

const struct token_ops vault_token_ops = { .login = login, .renew = renew };

/* ---- 403: the token or the policy? ---- */

enum { LIFE_UNKNOWN, LIFE_ALIVE, LIFE_DEAD };
enum { ASK_EITHER, ASK_LOOK, ASK_RENEW };

/* A token may nearly always look at itself, or at least renew itself; 400 means a good one that cannot be renewed.
 * *works is the question that the policy allows, once one was answered: then its 403 is no matter of policy. */
static int life_ask(struct backend *b, const struct call *c, const struct secret *token, int *works, int *ret,
                    struct error *err)
{
	HTTP_REPLY(reply);
	struct vault_ask ask;
	bool renewing = *works == ASK_RENEW;
	int r = self_send(b, c, renewing, token, &reply, &ask, err);

	if (r == 0 && reply.status == 403 && *works == ASK_EITHER) {
		renewing = true;
		r = self_send(b, c, renewing, token, &reply, &ask, err);
	}
	if (r != 0)
		return r;
	if (reply.status == 403) {
		*ret = *works == ASK_EITHER ? LIFE_UNKNOWN : LIFE_DEAD;
		return 0;
	}
	if (reply.status != 200 && reply.status != 204 && reply.status != 400)
		return vault_classify(b, &ask, &reply, err);
	*ret = LIFE_ALIVE;
	*works = renewing ? ASK_RENEW : ASK_LOOK;
	return 0;
}

bool vault_token_young(struct backend *b, uint64_t generation)
{
	long long done = atomic_load(&b->login_done);
	struct token_state now;

	if (done == 0 || call_now() >= done + YOUNG_NS)
		return false;
	token_state(b->token, &now);
	return now.generation == generation;          /* and not the one before */
}

/* A token that was just made lives, even where it is not known yet: ask again until it is. */
static int life_ask_patiently(struct backend *b, const struct call *c, const struct secret *token, uint64_t generation,
                              int *works, int *ret, struct error *err)
{
	for (int64_t pause = YOUNG_PAUSE_NS;; pause = pause * 2 < YOUNG_PAUSE_MAX_NS ? pause * 2 : YOUNG_PAUSE_MAX_NS) {
		int r = life_ask(b, c, token, works, ret, err);
		if (r != 0 || *ret == LIFE_ALIVE || !vault_token_young(b, generation))
			return r;
		r = call_sleep(c, pause, true);
		if (r != 0)
			return error_set(err, -r, "vault: no time left to wait until the new token is known");
	}
}

static bool wait_until_asked(struct vault_doubt *d, const struct call *c)
{
	struct timespec until = { .tv_sec = c->deadline / SECOND_NS, .tv_nsec = c->deadline % SECOND_NS };

	return pthread_cond_clockwait(&d->cond, &d->lock, CLOCK_MONOTONIC, &until) == 0;
}

/* The answer to a question begun after now, ours or somebody's: one that began before our 403 proves nothing. */
static int life_share(struct backend *b, const struct call *c, const struct secret *token, uint64_t generation,
                      int *ret, struct error *err)
{
	struct vault_doubt *d = &b->doubt;
	int r = 0;

	pthread_mutex_lock(&d->lock);
	uint64_t mine = d->begun + 1;
	while (d->ended < mine && d->running)
		if (!wait_until_asked(d, c)) {
			pthread_mutex_unlock(&d->lock);
			return error_set(err, ETIMEDOUT, "vault: no time left to see whether the token is still good");
		}
	if (d->ended < mine) {
		int works = d->works;
		int answer = LIFE_UNKNOWN;
		struct error failure = ERROR_INIT;

		d->running = true;
		d->begun = mine;
		pthread_mutex_unlock(&d->lock);
		r = life_ask_patiently(b, c, token, generation, &works, &answer, &failure);
		pthread_mutex_lock(&d->lock);
		d->running = false;
		pthread_cond_broadcast(&d->cond);
		if (r == -ECANCELED || r == -ETIMEDOUT) {     /* ours alone: the next in line asks */
			pthread_mutex_unlock(&d->lock);
			return error_set(err, -r, "%s", failure.text);
		}
		d->ended = mine;
		d->generation = generation;
		d->works = works;
		d->answer = r < 0 ? r : answer;
		d->err = failure;
	}
	/* Somebody asked about another token: then ours is not the current one. */
	*ret = d->generation == generation ? d->answer : LIFE_DEAD;
	r = *ret < 0 ? error_set(err, d->err.code, "%s", d->err.text) : 0;
	pthread_mutex_unlock(&d->lock);
	return r;
}

static bool blind(struct backend *b, uint64_t generation, bool set)
{
	struct vault_doubt *d = &b->doubt;

	pthread_mutex_lock(&d->lock);
	if (set) {
		d->blind = generation;
		d->blind_until = call_now() + BLIND_NS;
	}
	bool is = d->blind == generation && call_now() < d->blind_until;
	pthread_mutex_unlock(&d->lock);
	return is;
}

int vault_doubt_token(struct backend *b, const struct call *c, const struct secret *token, uint64_t generation,
                      bool fresh, struct error *err)
{
	int life;

	if (blind(b, generation, false))
		return 0;
	int r = life_share(b, c, token, generation, &life, err);
	if (r != 0 || life == LIFE_ALIVE)
		return r;
	if (fresh && life == LIFE_UNKNOWN) {
		blind(b, generation, true);
		atomic_store(&b->unproved, b->login.kind == VAULT_LOGIN_TOKEN);
		return 0;
	}
	return error_set(err, EKEYREJECTED, "vault: the token was refused: it is expired or revoked");
}

int vault_token(struct backend *b, const struct call *c, struct secret *ret, uint64_t *ret_generation,
                struct error *err)
{
	int r = token_get(b->token, c, ret, ret_generation, err);

	if (r == -ETIMEDOUT && atomic_load(&b->leaderless))
		return error_set(err, ETIMEDOUT, "vault: logging in: the cluster at %s had no leader within the time allowed", b->base);
	return r;
}

/* ---- proof ---- */

/* Vault asks for the token before it looks for the key: 404 proves it as well as 200. */
static int read_refused(struct backend *b, const struct call *c, const struct secret *token, bool *ret,
                        struct error *err)
{
	HTTP_REPLY(reply);
	AUTO_TEXT(path);

	path = vault_path(b->data, "kesfs-probe");
	if (path == NULL)
		return error_set(err, ENOMEM, "vault: no memory");
	const struct vault_ask ask = { .method = "GET", .path = path, .plain = true, .doing = "reading", .needs = "read" };
	int r = vault_send(b, c, &ask, token, &reply, err);
	*ret = r == 0 && reply.status == 403;
	if (r == 0 && reply.status != 403 && reply.status != 404)
		r = vault_classify(b, &ask, &reply, err);
	return r;
}

int vault_prove(struct backend *b, const struct call *c, uint64_t since, struct error *err)
{
	for (bool fresh = false;; fresh = true) {
		SECRET(token);
		uint64_t generation = 0;
		int life;
		bool refused = false, fixed = b->login.kind == VAULT_LOGIN_TOKEN;

		int r = vault_token(b, c, &token, &generation, err);
		/* A login that has just worked is proof enough.  A token from the file was not shown to anybody yet, and what
		 * others could not find out about it proves nothing. */
		if (r != 0 || (!fixed && (generation != since || blind(b, generation, false))))
			return r;
		r = life_share(b, c, &token, generation, &life, err);
		if (r == 0 && life == LIFE_UNKNOWN)
			r = read_refused(b, c, &token, &refused, err);
		if (r != 0 || life == LIFE_ALIVE || (life == LIFE_UNKNOWN && !refused))
			return r;
		if (fresh && life == LIFE_UNKNOWN && !fixed) {
			blind(b, generation, true);       /* the login itself was the proof */
			return 0;
		}
		if (fresh)
			return error_set(err, EKEYREJECTED, "vault: the token was refused by %s: it is wrong, expired or revoked, or "
			                 "its policy does not allow to read in %s", b->base, b->data);
		token_refused(b->token, generation);
	}
}
