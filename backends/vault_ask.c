/* SPDX-License-Identifier: Apache-2.0
 *
 * One question to Vault: address, headers, the token and its renewal, a standby that sends us to the leader. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "backends/vault_parts.h"

enum { HOPS_MAX = 2 };
#define LEADER_NS INT64_C(30000000000)

/* Each segment escaped, the slashes between them kept. */
static char *path_escape(const char *path)
{
	char *out = calloc(1, strlen(path) * 3 + 1), *end = out;

	while (out != NULL && *path != '\0') {
		size_t n = strcspn(path, "/");
		AUTO_TEXT(segment);
		AUTO_TEXT(escaped);
		segment = strndup(path, n);
		escaped = segment != NULL ? http_escape(segment) : NULL;
		if (escaped == NULL) {
			free(out);
			return NULL;
		}
		end = stpcpy(end, escaped);
		path += n;
		if (*path == '/')
			*end++ = *path++;
	}
	return out;
}

/* ---- standby and leader ---- */

/* Where to go: the leader if we were sent there of late, else the endpoint. */
static char *base_copy(struct backend *b, bool *ret_leader)
{
	pthread_mutex_lock(&b->lock);
	*ret_leader = b->leader != NULL && call_now() < b->leader_until;
	char *base = strdup(*ret_leader ? b->leader : b->base);
	pthread_mutex_unlock(&b->lock);
	return base;
}

static void leader_set(struct backend *b, const char *base)
{
	char *copy = base != NULL ? strdup(base) : NULL;

	pthread_mutex_lock(&b->lock);
	free(b->leader);
	b->leader = copy;
	b->leader_until = call_now() + LEADER_NS;
	pthread_mutex_unlock(&b->lock);
}

/* A standby's Location is the leader's address and our own path.  Anything else is some proxy's idea, and the token
 * must not go there. */
static int leader_follow(struct backend *b, const char *escaped, const struct http_reply *reply, char **base,
                         struct error *err)
{
	char location[1024];

	if (!http_reply_header(reply, "Location", location, sizeof location))
		return error_set(err, EPROTO, "vault: %s answered %d without saying where to go", *base, reply->status);
	char *path = strstr(location, "/v1/");
	size_t n = strlen(escaped);
	bool https = strncasecmp(location, "https://", 8) == 0, http = strncasecmp(location, "http://", 7) == 0;
	if (path == NULL || !(https || http) || strncmp(path + 4, escaped, n) != 0 ||
	    (path[4 + n] != '\0' && path[4 + n] != '?'))
		return error_set(err, EPROTO, "vault: %s sends us to %s, which is no Vault server's redirection", *base, location);
	if (!https && strncmp(*base, "https://", 8) == 0)
		return error_set(err, EPROTO, "vault: %s sends us to %s, which is not encrypted: the leader's api_addr must be https",
		                 *base, location);
	*path = '\0';
	free(*base);
	*base = strdup(location);
	if (*base == NULL)
		return error_set(err, ENOMEM, "vault: no memory");
	leader_set(b, *base);
	return 0;
}

/* Some proxy's idea, such as http to https: nothing that is followed with a token. */
static int redirected(const char *base, const struct http_reply *reply, struct error *err)
{
	char location[1024];

	if (!http_reply_header(reply, "Location", location, sizeof location))
		return error_set(err, EPROTO, "vault: %s answered %d, which no Vault does", base, reply->status);
	char *path = strstr(location, "/v1/");
	if (path != NULL)
		*path = '\0';
	return error_set(err, EPROTO, "vault: %s sends us to %s: if your Vault is there, set keystore.vault.endpoint to it", base,
	                 location);
}

/* ---- one exchange ---- */

static int exchange(struct backend *b, const struct call *c, const struct vault_ask *a, const char *base,
                    const char *escaped, const struct secret *token, struct http_reply *ret, struct error *err)
{
	const char *ns = a->ns == VAULT_NS_STORE ? b->namespace : a->ns == VAULT_NS_LOGIN ? b->login.namespace : NULL;
	struct http_header headers[3] = { { .name = "X-Vault-Request", .text = "true" } };
	size_t n = 1;
	AUTO_TEXT(url);

	url = text_format("%s/v1/%s%s%s", base, escaped, a->query != NULL ? "?" : "", a->query != NULL ? a->query : "");
	if (url == NULL)
		return error_set(err, ENOMEM, "vault: no memory");
	if (ns != NULL)
		headers[n++] = (struct http_header){ .name = "X-Vault-Namespace", .text = ns };
	if (token != NULL)
		headers[n++] = (struct http_header){ .name = "Authorization", .text = "Bearer ", .secret = token };
	const struct http_request request = {
		.method = a->method, .url = url, .headers = headers, .header_count = n, .body = a->body, .change = a->change,
		.sink = a->sink, .judge = a->judge != NULL ? a->judge : vault_judge,
	};
	http_reply_wipe(ret);
	return http_call(b->http, c, &request, ret, err);
}

enum passing {
	PASSING_NOT,
	PASSING_UNDONE,               /* the server refused before it did anything */
	PASSING_DOUBT,                /* a standby says so, too, after it has forwarded a request and heard no answer */
};

/* What a standby says between two leaders, and a server that has to catch up with the others first. */
static enum passing reply_passing(const struct http_reply *reply)
{
	static const struct {
		int status;
		const char *text;
		enum passing passing;
	} known[] = {
		{ 307, NULL, PASSING_DOUBT },
		{ 308, NULL, PASSING_DOUBT },
		{ 412, NULL, PASSING_UNDONE },
		{ 500, "active cluster node not found", PASSING_UNDONE },
		{ 503, "no active Vault instance found", PASSING_DOUBT },
		{ 503, "node is not active", PASSING_DOUBT },
	};

	for (size_t i = 0; i < sizeof known / sizeof *known; i++)
		if (reply->status == known[i].status &&
		    (known[i].text == NULL || vault_reply_says(reply, known[i].text)))
			return known[i].passing;
	return PASSING_NOT;
}

/* Where an exchange went, and where the next one goes. */
struct route {
	char *base;
	bool leader;                  /* base is where a standby sent us */
	int hops;
	unsigned pauses;
};

/* Back to the endpoint, which will know the next leader, after a while.  False: the time is over. */
static bool route_again(struct backend *b, const struct call *c, struct route *way)
{
	char *base = strdup(b->base);

	if (base == NULL || call_sleep(c, retry_delay(way->pauses++, retry_random()), true) != 0) {
		free(base);
		return false;
	}
	free(way->base);
	*way = (struct route){ .base = base, .pauses = way->pauses };
	return true;
}

static int in_doubt(const struct vault_ask *a, const char *base, struct error *err)
{
	return error_set(err, EINPROGRESS, "vault: %s: the leader has changed, and %s does not know whether it was done",
	                 a->doing, base);
}

/* 0: *ret is the answer; 1: go on with way. */
static int route_step(struct backend *b, const struct call *c, const struct vault_ask *a, struct route *way,
                      const char *escaped, int r, struct http_reply *ret, struct error *err)
{
	bool lost = way->leader && (r == -EHOSTUNREACH || r == -ETIMEDOUT);   /* nothing was sent, or it was a read */
	enum passing passing = r == 0 ? reply_passing(ret) : PASSING_NOT;
	bool redirect = passing != PASSING_NOT && ret->status < 400;

	if (r == 0 && ret->status >= 300 && ret->status < 400 && passing == PASSING_NOT)
		return redirected(way->base, ret, err);
	if (!lost && passing == PASSING_NOT)
		return r;
	if (lost)
		leader_set(b, NULL);
	if (lost || ret->status >= 500)
		atomic_store(&b->leaderless, true);
	if (redirect) {
		if (way->hops++ == HOPS_MAX)
			return error_set(err, EPROTO, "vault: %s sends us around: the standby servers do not agree on a leader", way->base);
		r = leader_follow(b, escaped, ret, &way->base, err);
		way->leader = true;
	}
	if (r == 0 && passing == PASSING_DOUBT && a->change && !a->harmless)
		return in_doubt(a, way->base, err);
	if (redirect)
		return r != 0 ? r : 1;
	/* The servers need some seconds to agree on the next leader. */
	return route_again(b, c, way) ? 1 : r;
}

int vault_send(struct backend *b, const struct call *c, const struct vault_ask *a, const struct secret *token,
               struct http_reply *ret, struct error *err)
{
	struct route way = { .base = NULL };
	AUTO_TEXT(escaped);
	int r = 1;

	way.base = base_copy(b, &way.leader);
	escaped = path_escape(a->path);
	if (way.base == NULL || escaped == NULL)
		r = error_set(err, ENOMEM, "vault: no memory");
	while (r == 1) {
		r = exchange(b, c, a, way.base, escaped, token, ret, err);
		r = route_step(b, c, a, &way, escaped, r, ret, err);
	}
	free(way.base);
	return r;
}

int vault_ask(struct backend *b, const struct call *c, const struct vault_ask *a, struct http_reply *ret,
              struct error *err)
{
	bool fresh = false;           /* the token was made because the one before was refused */
	bool known = false;           /* the server knows the token by now */

	for (;;) {
		SECRET(token);
		uint64_t generation = 0;

		http_reply_wipe(ret);
		int r = vault_token(b, c, &token, &generation, err);
		if (r != 0)
			return r;
		bool young = !known && (!a->plain || a->patient) && vault_token_young(b, generation);
		r = vault_send(b, c, a, &token, ret, err);
		if (r != 0)
			return r;
		if (ret->status == 403 && (young || !a->plain))
			r = vault_doubt_token(b, c, &token, generation, fresh, err);
		if (r == 0 && ret->status == 403 && young) {
			known = true;
			continue;
		}
		if (r == -EKEYREJECTED && a->plain)
			r = 0;
		if (r != -EKEYREJECTED || fresh)
			return r != 0 ? r : vault_classify(b, a, ret, err);
		token_refused(b->token, generation);
		fresh = true;
	}
}

int vault_json(struct backend *b, const struct vault_ask *a, const struct http_reply *reply, struct json **ret,
               struct error *err)
{
	AUTO_TEXT(url);

	url = text_format("%s/v1/%s", b->base, a->path);
	if (url == NULL)
		return error_set(err, ENOMEM, "vault: no memory");
	const struct http_request request = { .method = a->method, .url = url };
	return http_reply_json(b->http, &request, reply, ret, err);
}
