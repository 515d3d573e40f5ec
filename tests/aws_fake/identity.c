/* SPDX-License-Identifier: Apache-2.0
 *
 * Who asks, and whether the signature is theirs: Signature Version 4, computed from what was received. */
#include "fake.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { SKEW_MAX = 300 };

struct identity {
	struct identity *next;
	char id[128], secret[256], token[2048];
	double expires;
	char scope[128];              /* of the derived key that is kept */
	unsigned char key[32];
};
static struct identity *known;

void identity_know(const char *id, const char *secret, const char *token, double expires)
{
	struct identity *i = calloc(1, sizeof *i);

	if (i == NULL)
		abort();
	snprintf(i->id, sizeof i->id, "%s", id);
	snprintf(i->secret, sizeof i->secret, "%s", secret != NULL ? secret : "");
	snprintf(i->token, sizeof i->token, "%s", token != NULL ? token : "");
	i->expires = expires;
	i->next = known;
	known = i;
}

void identity_forget_all(void)
{
	while (known != NULL) {
		struct identity *next = known->next;
		free(known);
		known = next;
	}
}

static void hmac(const unsigned char *key, size_t key_len, const char *text, size_t len, unsigned char out[32])
{
	unsigned n = 32;

	HMAC(EVP_sha256(), key, (int)key_len, (const unsigned char *)text, len, out, &n);
}

static void hex(const unsigned char in[32], char out[65])
{
	for (size_t i = 0; i < 32; i++)
		snprintf(out + 2 * i, 3, "%02x", in[i]);
}

static void sha256_hex(const char *text, size_t len, char out[65])
{
	unsigned char digest[32];

	EVP_Digest(text, len, digest, NULL, EVP_sha256(), NULL);
	hex(digest, out);
}

/* scope: YYYYMMDD/REGION/SERVICE/aws4_request */
static void key_derive(struct identity *i, const char *scope)
{
	char first[300];

	if (strcmp(i->scope, scope) == 0)
		return;
	int n = snprintf(first, sizeof first, "AWS4%s", i->secret);
	const unsigned char *key = (const unsigned char *)first;
	size_t key_len = (size_t)n;
	for (const char *p = scope; *p != '\0'; p += strspn(p, "/")) {
		size_t part = strcspn(p, "/");
		hmac(key, key_len, p, part, i->key);
		key = i->key;
		key_len = 32;
		p += part;
	}
	snprintf(i->scope, sizeof i->scope, "%s", scope);
}

static bool headers_canonical(const struct request *r, char *signed_headers, struct text *out)
{
	char *rest;

	for (char *name = strtok_r(signed_headers, ";", &rest); name != NULL; name = strtok_r(NULL, ";", &rest)) {
		const char *value = request_header(r, name);
		if (value == NULL)
			return false;
		text_put(out, name);
		text_put(out, ":");
		text_put(out, value);
		text_put(out, "\n");
	}
	return true;
}

static bool signature_good(struct identity *i, const struct request *r, const char *scope, const char *signed_headers,
                           const char *signature)
{
	struct text canonical = { .p = NULL }, sign = { .p = NULL };
	char digest[65], names[512];
	unsigned char mac[32];

	snprintf(names, sizeof names, "%s", signed_headers);
	text_put(&canonical, r->method);
	text_put(&canonical, "\n/\n\n");
	bool good = headers_canonical(r, names, &canonical) && strstr(signed_headers, "host") != NULL &&
	            strstr(signed_headers, "x-amz-date") != NULL;
	sha256_hex(r->body, r->body_len, digest);
	text_put(&canonical, "\n");
	text_put(&canonical, signed_headers);
	text_put(&canonical, "\n");
	text_put(&canonical, digest);
	sha256_hex(canonical.p, canonical.len, digest);
	text_printf(&sign, "AWS4-HMAC-SHA256\n%.32s\n%.200s\n%s", request_header(r, "x-amz-date"), scope, digest);
	key_derive(i, scope);
	hmac(i->key, 32, sign.p, sign.len, mac);
	hex(mac, digest);
	text_free(&canonical);
	text_free(&sign);
	return good && strlen(signature) == 64 && CRYPTO_memcmp(digest, signature, 64) == 0;
}

static double signed_at(const struct request *r)
{
	struct tm tm = { .tm_isdst = 0 };
	const char *date = request_header(r, "x-amz-date");

	return date != NULL && strptime(date, "%Y%m%dT%H%M%SZ", &tm) != NULL ? (double)timegm(&tm) : 0;
}

const char *identity_check(const struct request *r, double now, const char **ret_message)
{
	char id[128], scope[128], names[512], signature[80];
	const char *authorization = request_header(r, "authorization"), *token = request_header(r, "x-amz-security-token");
	struct identity *i = known;

	*ret_message = "Missing Authentication Token";
	if (authorization == NULL)
		return "MissingAuthenticationTokenException";
	*ret_message = "Authorization header is not as it must be";
	if (sscanf(authorization, "AWS4-HMAC-SHA256 Credential=%127[^/]/%127[^,], SignedHeaders=%511[^,], Signature=%79s", id,
	           scope, names, signature) != 4 || strstr(scope, "/secretsmanager/aws4_request") == NULL)
		return "IncompleteSignatureException";
	while (i != NULL && strcmp(i->id, id) != 0)
		i = i->next;
	*ret_message = "The security token included in the request is invalid.";
	if (i == NULL || strcmp(i->token, token != NULL ? token : "") != 0)
		return "UnrecognizedClientException";
	*ret_message = "The security token included in the request is expired";
	if (i->expires != 0 && now >= i->expires)
		return "ExpiredTokenException";
	double off = signed_at(r) - now;
	*ret_message = "Signature expired, or is not yet current: the clocks are more than 5 min apart";
	if (off > SKEW_MAX || off < -SKEW_MAX)
		return "InvalidSignatureException";
	*ret_message = "The request signature we calculated does not match the signature you provided.";
	return signature_good(i, r, scope, names, signature) ? NULL : "InvalidSignatureException";
}
