/* SPDX-License-Identifier: Apache-2.0
 *
 * What Vault's answers mean (keystores.md 7.7): one table, by status first and text second. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "backends/vault_parts.h"

enum { SAY_MAX = 240 };

bool vault_reply_says(const struct http_reply *reply, const char *text)
{
	return reply->body.len > 0 && memmem(reply->body.bytes, reply->body.len, text, strlen(text)) != NULL;
}

enum retry_verdict vault_judge(const struct http_reply *reply, void *arg)
{
	switch (reply->status) {
	case 400:
		return vault_reply_says(reply, "Upgrading from non-versioned") ? RETRY_AGAIN : RETRY_FINAL;
	case 412:
		return RETRY_AGAIN;                   /* this server has not heard of it yet */
	case 503:
		/* Sealed, which takes a person to change; or between two leaders, which is over in seconds. */
		return vault_reply_says(reply, "sealed") || vault_reply_says(reply, "locked") ? RETRY_FINAL : RETRY_AGAIN;
	default:
		return retry_status(reply->status);
	}
}

void vault_say(const struct http_reply *reply, char *buf, size_t size)
{
	AUTO_JSON(json);
	size_t n = 0;

	*buf = '\0';
	if (reply->body.len > 0 && json_parse(&reply->body, &json, NULL) == 0) {
		static const char *const members[] = { "errors", "warnings" };
		for (size_t i = 0; i < 2; i++)
			for (const struct json *e = json_first(json_at(json, members[i])); e != NULL; e = json_next(e)) {
				const char *text = json_text(e, NULL);
				if (text != NULL && n < size)
					n += (size_t)snprintf(buf + n, size - n, "%s%s", n > 0 ? "; " : "", text);
			}
		/* Go's multi-errors come with newlines and bullets. */
		for (char *p = buf; *p != '\0'; p++)
			if (*p == '\n' || *p == '\t')
				*p = ' ';
	}
	if (*buf == '\0' && json == NULL)
		http_reply_say(reply, buf, size);
}

enum form {
	PLAIN,                        /* "reading key 'x': SENTENCE" */
	TELLS,                        /* the same, with what Vault said */
	NEEDS,                        /* "... was refused: the policy needs ..." */
	TAKEN, ABSENT,
};

static const struct answer {
	int status;
	const char *text;             /* somewhere in the body; NULL: any */
	int code;
	enum form form;
	const char *sentence;
} answers[] = {
	{ 400, "check-and-set parameter did not match", EEXIST, TAKEN, NULL },
	{ 400, "Upgrading from non-versioned", EAGAIN, PLAIN, "the engine is being upgraded to KV v2: wait a moment" },
	{ 400, "relative path", EINVAL, TELLS, "Vault refuses the name" },
	{ 400, NULL, EPROTO, TELLS, "Vault does not accept the request" },
	{ 403, NULL, EACCES, NEEDS, NULL },
	{ 404, "versioned K/V secrets engine", EPROTO, PLAIN,
	  "this is a KV v2 engine, and the configuration says v1: set keystore.vault.version to v2" },
	{ 404, "no handler for route", EPROTO, PLAIN,
	  "no engine is mounted there: check keystore.vault.engine and namespace" },
	{ 404, "unsupported path", EPROTO, PLAIN, "the engine there is none for keys: check keystore.vault.engine" },
	{ 404, NULL, ENOENT, ABSENT, NULL },
	{ 405, NULL, EPROTO, PLAIN, "the engine there does not do this: is it a KV engine, and of the configured version?" },
	{ 412, NULL, EHOSTUNREACH, PLAIN, "this Vault server is behind the others: try again" },
	{ 413, NULL, EFBIG, PLAIN, "the value is larger than Vault takes" },
	{ 429, NULL, EAGAIN, PLAIN, "Vault's rate limit quota is used up" },
	{ 472, NULL, EHOSTUNREACH, PLAIN, "this Vault is a disaster recovery secondary, which serves no keys" },
	{ 500, "too large", EFBIG, TELLS, "the value is larger than Vault's storage takes" },
	{ 501, "not initialized", ENOKEY, PLAIN, "Vault is not initialised" },
	{ 501, NULL, EPROTO, PLAIN, "501, which a Vault does not say to this: check keystore.vault.endpoint" },
	{ 503, "sealed", ENOKEY, PLAIN, "Vault is sealed: unseal it" },
	{ 503, "locked", ENOKEY, PLAIN, "the namespace is locked: unlock it" },
};

/* Vault's own 404 is JSON with "errors", often an empty list, or with "data" of a deleted version.  Any other comes
 * from a proxy or another server, and says nothing about keys. */
static bool absent_by_vault(const struct vault_ask *a, const struct http_reply *reply)
{
	AUTO_JSON(json);

	return strncmp(a->path, "auth/", 5) != 0 && reply->body.len > 0 && json_parse(&reply->body, &json, NULL) == 0 &&
	       (json_at(json, "errors") != NULL || json_at(json, "data") != NULL);
}

static const struct answer *answer_find(const struct vault_ask *a, const struct http_reply *reply)
{
	static const struct answer elsewhere = { 404, NULL, EPROTO, PLAIN,
		"404, but not as Vault says that of a key: check keystore.vault.endpoint and namespace" };
	static const struct answer trouble = { 500, NULL, EHOSTUNREACH, TELLS, "Vault is in trouble" };
	static const struct answer unknown = { 0, NULL, EPROTO, TELLS, "an answer that no Vault gives" };

	for (size_t i = 0; i < sizeof answers / sizeof *answers; i++)
		if (answers[i].status == reply->status && (answers[i].text == NULL || vault_reply_says(reply, answers[i].text)))
			return answers[i].form != ABSENT || absent_by_vault(a, reply) ? &answers[i] : &elsewhere;
	return reply->status >= 500 ? &trouble : &unknown;
}

static void about(const struct vault_ask *a, char *buf, size_t size)
{
	if (a->name != NULL)
		snprintf(buf, size, "%s key '%s'", a->doing, a->name);
	else
		snprintf(buf, size, "%s", a->doing);
}

int vault_classify(struct backend *b, const struct vault_ask *a, const struct http_reply *reply, struct error *err)
{
	char what[400], said[SAY_MAX];

	if (reply->status >= 200 && reply->status < 300) {
		atomic_store(&b->sealed, false);
		atomic_store(&b->leaderless, false);
		return 0;
	}
	const struct answer *found = answer_find(a, reply);
	if (found->code == ENOKEY)
		atomic_store(&b->sealed, true);
	about(a, what, sizeof what);
	switch (found->form) {
	case NEEDS:
		return error_set(err, found->code, "vault: %s was refused: the policy needs '%s' on %s%s", what, a->needs, a->path,
		                 atomic_load(&b->unproved) ? ", or the token is expired or revoked" : "");
	case TAKEN:
		return error_set(err, found->code, "vault: %s: there is a key of that name already", what);
	case ABSENT:
		return error_set(err, found->code, "vault: %s: there is no such key in %s", what, b->data);
	case PLAIN:
		return error_set(err, found->code, "vault: %s: %s", what, found->sentence);
	default:
		vault_say(reply, said, sizeof said);
		return error_set(err, found->code, "vault: %s: %s: %d %s", what, found->sentence, reply->status, said);
	}
}
