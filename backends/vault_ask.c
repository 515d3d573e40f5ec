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
		.sink = a->sink, .judge = vault_judge,
	};
	http_reply_wipe(ret);
	return http_call(b->http, c, &request, ret, err);
}

int vault_send(struct backend *b, const struct call *c, const struct vault_ask *a, const struct secret *token,
               struct http_reply *ret, struct error *err)
{
	bool leader;
	AUTO_TEXT(base);
	AUTO_TEXT(escaped);

	base = base_copy(b, &leader);
	escaped = path_escape(a->path);
	if (base == NULL || escaped == NULL)
		return error_set(err, ENOMEM, "vault: no memory");
	for (int hops = 0;; hops++) {
		int r = exchange(b, c, a, base, escaped, token, ret, err);
		if (r == -EHOSTUNREACH && leader) {
			/* The leader is gone; the endpoint knows the next one.  Nothing was sent. */
			leader_set(b, NULL);
			leader = false;
			free(base);
			base = strdup(b->base);
			r = base == NULL ? error_set(err, ENOMEM, "vault: no memory") :
			    exchange(b, c, a, base, escaped, token, ret, err);
		}
		if (r != 0 || (ret->status != 307 && ret->status != 308))
			return r;
		if (hops == HOPS_MAX)
			return error_set(err, EPROTO, "vault: %s sends us around: the standby servers do not agree on a leader", base);
		r = leader_follow(b, escaped, ret, &base, err);
		if (r != 0)
			return r;
	}
}

int vault_ask(struct backend *b, const struct call *c, const struct vault_ask *a, struct http_reply *ret,
              struct error *err)
{
	for (bool fresh = false;; fresh = true) {
		SECRET(token);
		uint64_t generation = 0;

		http_reply_wipe(ret);
		int r = token_get(b->token, c, &token, &generation, err);
		if (r != 0)
			return r;
		r = vault_send(b, c, a, &token, ret, err);
		if (r != 0)
			return r;
		if (ret->status == 403 && !a->plain)
			r = vault_doubt_token(b, c, &token, generation, fresh, err);
		if (r != -EKEYREJECTED || fresh)
			return r != 0 ? r : vault_classify(b, a, ret, err);
		token_refused(b->token, generation);
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
