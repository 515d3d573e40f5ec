/* SPDX-License-Identifier: Apache-2.0
 *
 * Values that Vault's transit engine wraps (keystores.md 7.6).  Every version of the transit key is read; what is
 * written uses version 1, since that is all that a KES server recognises. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "backends/vault_parts.h"

static bool is_wrapped(const struct secret *text)
{
	static const char begin[] = "vault:v";
	size_t n = sizeof begin - 1;

	if (text->len <= n || memcmp(text->bytes, begin, n) != 0)
		return false;
	size_t digits = n;
	while (digits < text->len && text->bytes[digits] >= '0' && text->bytes[digits] <= '9')
		digits++;
	return digits > n && digits < text->len && text->bytes[digits] == ':';
}

static char *transit_path(const struct backend *b, const char *operation)
{
	return text_format("%s/%s/%s", b->transit, operation, b->transit_key);
}

/* What a 400 of the transit engine means for this key. */
static int refused(struct backend *b, const struct vault_ask *a, const struct http_reply *reply, bool wrapping,
                   struct error *err)
{
	char said[240];

	vault_say(reply, said, sizeof said);
	if (strstr(said, "encryption key not found") != NULL)
		return error_set(err, EPROTO, "vault: %s key '%s': there is no transit key '%s' in %s", a->doing, a->name,
		                 b->transit_key, b->transit);
	if (wrapping && strstr(said, "minimum encryption key version") != NULL)
		return error_set(err, EPROTO, "vault: %s key '%s': the transit key '%s' no longer allows version 1 (its "
		                 "min_encryption_version), and a KES server reads no other", a->doing, a->name, b->transit_key);
	return error_set(err, wrapping ? EPROTO : EBADMSG, "vault: %s key '%s' with the transit key '%s': %s", a->doing,
	                 a->name, b->transit_key, said);
}

static int key_ask(struct backend *b, const struct call *c, const char *name, struct error *err)
{
	HTTP_REPLY(reply);
	AUTO_TEXT(path);

	path = transit_path(b, "keys");
	if (path == NULL)
		return error_set(err, ENOMEM, "vault: no memory");
	const struct vault_ask ask = {
		.method = "GET", .path = path, .plain = true, .doing = "wrapping", .name = name, .needs = "read",
	};
	int r = vault_ask(b, c, &ask, &reply, err);
	if (r == -ENOENT)
		return error_set(err, EPROTO, "vault: wrapping key '%s': there is no transit key '%s' in %s: make it, or correct "
		                 "keystore.vault.transit", name, b->transit_key, b->transit);
	return r != -EACCES ? r : 0;
}

/* Encrypting with a token that may create would make a missing transit key, and nobody would know why the KES server
 * cannot read.  Whether it is there can often be asked; once is enough. */
static int key_check(struct backend *b, const struct call *c, const char *name, struct error *err)
{
	bool ask;
	int r = once_begin(&b->transit_known, c, &ask, err);

	if (r != 0 || !ask)
		return r != 0 ? error_prefix(err, "vault") : 0;
	r = key_ask(b, c, name, err);
	once_end(&b->transit_known, r == 0);
	return r;
}

static int transit_ask(struct backend *b, const struct call *c, const char *operation, const char *doing,
                       const char *name, const struct secret *body, struct json **ret, struct error *err)
{
	HTTP_REPLY(reply);
	AUTO_TEXT(path);

	path = transit_path(b, operation);
	if (path == NULL)
		return error_set(err, ENOMEM, "vault: no memory");
	const struct vault_ask ask = {
		.method = "POST", .path = path, .body = body, .doing = doing, .name = name, .needs = "update",
	};
	int r = vault_ask(b, c, &ask, &reply, err);
	if (reply.status == 400)
		return refused(b, &ask, &reply, *operation == 'e', err);
	if (r == -ENOENT)
		return error_set(err, EPROTO, "vault: %s key '%s': there is no transit engine at %s", doing, name, b->transit);
	return r != 0 ? r : vault_json(b, &ask, &reply, ret, err);
}

int vault_wrap(struct backend *b, const struct call *c, const char *name, const struct secret *val, struct secret *out,
               struct error *err)
{
	SECRET(body);
	AUTO_JSON(json);
	static const char version_1[] = "vault:v1:";

	if (b->transit_key == NULL) {
		int r = secret_copy(out, val);
		return r == 0 ? 0 : error_set(err, -r, "vault: no memory for key '%s'", name);
	}
	int r = key_check(b, c, name, err);
	if (r != 0)
		return r;
	r = json_format(&body, "{%s:%B,%s:%d}", "plaintext", val, "key_version", 1);
	if (r != 0)
		return error_set(err, -r, "vault: no memory for key '%s'", name);
	r = transit_ask(b, c, "encrypt", "wrapping", name, &body, &json, err);
	if (r == 0)
		r = json_take_text(json, "data.ciphertext", out, err);
	if (r == 0 && (out->len < sizeof version_1 || memcmp(out->bytes, version_1, sizeof version_1 - 1) != 0))
		r = error_set(err, EPROTO, "vault: wrapping key '%s': Vault used another version of the transit key than 1, and a "
		              "KES server reads no other", name);
	return r;
}

int vault_unwrap(struct backend *b, const struct call *c, const char *name, struct secret *text, struct secret *out,
                 struct error *err)
{
	SECRET(body);
	AUTO_JSON(json);

	if (!is_wrapped(text)) {
		secret_move(out, text);
		return 0;
	}
	if (b->transit_key == NULL)
		return error_set(err, EBADMSG, "vault: key '%s' is wrapped by Vault's transit engine, and the configuration has no "
		                 "keystore.vault.transit", name);
	int r = json_format(&body, "{%s:%S}", "ciphertext", text);
	if (r != 0)
		return error_set(err, -r, "vault: no memory for key '%s'", name);
	r = transit_ask(b, c, "decrypt", "unwrapping", name, &body, &json, err);
	return r != 0 ? r : json_take_base64(json, "data.plaintext", out, err);
}
