/* SPDX-License-Identifier: Apache-2.0 */
#include "backends/sigv4.h"

#include <errno.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { SHA256_SIZE = 32, HEX_SIZE = 2 * SHA256_SIZE + 1 };

static void hex(const unsigned char *bytes, char out[static HEX_SIZE])
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < SHA256_SIZE; i++) {
		out[2 * i] = digits[bytes[i] >> 4];
		out[2 * i + 1] = digits[bytes[i] & 15];
	}
	out[HEX_SIZE - 1] = '\0';
}

static int hash_hex(const void *bytes, size_t len, char out[static HEX_SIZE])
{
	unsigned char digest[SHA256_SIZE];

	if (EVP_Digest(bytes, len, digest, NULL, EVP_sha256(), NULL) != 1)
		return -ENOMEM;
	hex(digest, out);
	return 0;
}

/* *key becomes HMAC(*key, text): no derived key stays behind. */
static int key_derive(struct secret *key, const char *text)
{
	SECRET(next);
	unsigned size = SHA256_SIZE;
	int r = secret_resize(&next, SHA256_SIZE);

	if (r == 0 && HMAC(EVP_sha256(), key->bytes, (int)key->len, (const unsigned char *)text, strlen(text), next.bytes,
	                   &size) == NULL)
		r = -ENOMEM;
	if (r == 0)
		secret_move(key, &next);
	return r;
}

/* Texts up to the NULL. */
static int append_all(struct secret *out, ...)
{
	const char *text;
	va_list ap;
	int r = 0;

	va_start(ap, out);
	while (r == 0 && (text = va_arg(ap, const char *)) != NULL)
		r = secret_append_text(out, text);
	va_end(ap);
	return r;
}

static bool has_token(const struct sigv4_key *key)
{
	return key->token != NULL && key->token->len > 0;
}

static void names_write(const struct sigv4_key *key, const struct sigv4_request *r, char *out, size_t size)
{
	snprintf(out, size, "content-type;host;x-amz-date%s%s", has_token(key) ? ";x-amz-security-token" : "",
	         r->target != NULL ? ";x-amz-target" : "");
}

/* Hash of the canonical request; it holds the session's token, so it is built where secrets live. */
static int canonical_hash(const struct sigv4_key *key, const struct sigv4_request *r, const char *date, const char *names,
                          char out[static HEX_SIZE])
{
	SECRET(text);
	char body[HEX_SIZE];
	int x = hash_hex(r->body->len > 0 ? r->body->bytes : (const unsigned char *)"", r->body->len, body);

	if (x == 0)
		x = append_all(&text, "POST\n/\n\ncontent-type:", r->content_type, "\nhost:", r->host, "\nx-amz-date:", date, "\n",
		               NULL);
	if (x == 0 && has_token(key)) {
		x = append_all(&text, "x-amz-security-token:", NULL);
		if (x == 0)
			x = secret_append(&text, key->token->bytes, key->token->len);
		if (x == 0)
			x = append_all(&text, "\n", NULL);
	}
	if (x == 0 && r->target != NULL)
		x = append_all(&text, "x-amz-target:", r->target, "\n", NULL);
	if (x == 0)
		x = append_all(&text, "\n", names, "\n", body, NULL);
	return x != 0 ? x : hash_hex(text.bytes, text.len, out);
}

static int signing_key(const struct sigv4_key *key, const struct sigv4_request *r, const char *day, struct secret *out)
{
	int x = append_all(out, "AWS4", NULL);

	if (x == 0)
		x = secret_append(out, key->secret->bytes, key->secret->len);
	if (x == 0)
		x = key_derive(out, day);
	if (x == 0)
		x = key_derive(out, r->region);
	if (x == 0)
		x = key_derive(out, r->service);
	return x != 0 ? x : key_derive(out, "aws4_request");
}

int sigv4_sign(const struct sigv4_key *key, const struct sigv4_request *r, int64_t when, char date[static SIGV4_DATE_SIZE],
               struct secret *ret)
{
	SECRET(signature);
	SECRET(text);
	char names[128], day[9], hash[HEX_SIZE];
	time_t seconds = (time_t)when;
	struct tm tm;

	if (gmtime_r(&seconds, &tm) == NULL || strftime(date, SIGV4_DATE_SIZE, "%Y%m%dT%H%M%SZ", &tm) != SIGV4_DATE_SIZE - 1)
		return -EINVAL;
	memcpy(day, date, 8);
	day[8] = '\0';
	names_write(key, r, names, sizeof names);
	int x = canonical_hash(key, r, date, names, hash);
	if (x == 0)
		x = append_all(&text, "AWS4-HMAC-SHA256\n", date, "\n", day, "/", r->region, "/", r->service, "/aws4_request\n", hash,
		               NULL);
	if (x == 0)
		x = signing_key(key, r, day, &signature);
	if (x == 0 && secret_text(&text) == NULL)
		x = -ENOMEM;
	if (x == 0)
		x = key_derive(&signature, (const char *)text.bytes);
	if (x != 0)
		return x;
	hex(signature.bytes, hash);
	secret_wipe(ret);
	return append_all(ret, "AWS4-HMAC-SHA256 Credential=", key->id, "/", day, "/", r->region, "/", r->service,
	                  "/aws4_request, SignedHeaders=", names, ", Signature=", hash, NULL);
}
