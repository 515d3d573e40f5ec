/* SPDX-License-Identifier: Apache-2.0
 *
 * What a value is: the checks of keystores.md 4.3 in their order, and the difference between a broken key, which must
 * never be passed over, and something that was never one. */
#include "backends/key.h"

#include <errno.h>
#include <string.h>

#include "backends/key_forms.h"

enum { VALUE_MAX = 4096 };            /* keystores.md 4.3; a real one has 208 bytes */

void key_created_by(struct key_info *info, const unsigned char *text, size_t len)
{
	size_t n = len < sizeof info->created_by - 1 ? len : sizeof info->created_by - 1;

	for (size_t i = 0; i < n; i++)
		info->created_by[i] = text[i] >= 0x20 && text[i] < 0x7f ? (char)text[i] : '?';
	info->created_by[n] = '\0';
}

static int base64_digit(unsigned char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

int key_base64(const unsigned char *text, size_t len, struct secret *out, struct error *why)
{
	unsigned bits = 0, digits = 0, padding = 0;

	if (secret_reserve(out, out->len + len / 4 * 3 + 3) != 0)
		return error_set(why, ENOMEM, "no locked memory to check it");
	for (size_t i = 0; i < len; i++) {
		unsigned char c = text[i];
		int digit = base64_digit(c);

		if (c == '\r' || c == '\n')
			continue;
		if (c == '=' && digits % 4 >= 2 && padding < 4 - digits % 4) {
			padding++;
			continue;
		}
		if (digit < 0 || padding > 0)
			return error_set(why, EBADMSG, "it is not base64 (wrong character at position %zu)", i + 1);
		bits = bits << 6 | (unsigned)digit;
		if (++digits % 4 == 0)
			for (int shift = 16; shift >= 0; shift -= 8)
				out->bytes[out->len++] = (unsigned char)(bits >> shift);
	}
	if (digits % 4 != 0 && padding != 4 - digits % 4)
		return error_set(why, EBADMSG, "it is not base64 (cut short or without its padding)");
	if (digits % 4 >= 2)
		out->bytes[out->len++] = (unsigned char)(bits >> (digits % 4 == 2 ? 4 : 10));
	if (digits % 4 == 3)
		out->bytes[out->len++] = (unsigned char)(bits >> 2);
	return 0;
}

static bool starts(const unsigned char *text, size_t len, const char *with)
{
	size_t n = strlen(with);

	return len >= n && memcmp(text, with, n) == 0;
}

/* "vault:v1:", any version. */
static bool wrapped(const unsigned char *text, size_t len)
{
	size_t i = strlen("vault:v");

	if (!starts(text, len, "vault:v"))
		return false;
	while (i < len && text[i] >= '0' && text[i] <= '9')
		i++;
	return i > strlen("vault:v") && i < len && text[i] == ':';
}

static bool zeros(const unsigned char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (text[i] != 0)
			return false;
	return true;
}

/* Damage that can be named by the first bytes; NULL: none of these.  text is the value without leading white space. */
static const char *damage_known(const struct secret *value, const unsigned char *text, size_t len)
{
	/* Field 1 of 36 bytes, its field 1 of 32: line ends and a blank, as text. */
	if (starts(value->bytes, value->len, "\x0a\x24\x0a\x20"))
		return "it is a key without its base64 layer";
	if (len == 0)
		return "it is empty";
	if (zeros(text, len))
		return "it holds zero bytes only";
	if (wrapped(text, len))
		return "it is still encrypted by a Vault transit key (vault.transit is missing in the configuration)";
	if (starts(text, len, "Q2lRS0"))
		return "it is a key in base64 twice";
	return NULL;
}

static int form_a(const unsigned char *text, size_t len, struct key_info *ret, bool *ret_similar, struct error *why)
{
	SECRET(message);

	/* Field 1 of 36 bytes, which every KES writes first: enough to know a cut or misspelt key by. */
	*ret_similar = starts(text, len, "CiQ");
	int r = key_base64(text, len, &message, why);
	return r != 0 ? r : key_protobuf(&message, ret, ret_similar, why);
}

enum key_kind key_parse(const struct secret *value, struct key_info *ret_info, struct error *why)
{
	const unsigned char *text = value->bytes, *end = text + value->len;
	struct key_info info = { .algorithm = NULL };
	bool similar;
	int r;

	while (text < end && memchr(" \t\r\n", *text, 4) != NULL)
		text++;
	size_t len = (size_t)(end - text);
	const char *damage = damage_known(value, text, len);
	if (damage != NULL) {
		error_set(why, EBADMSG, "%s", damage);
		return KEY_DAMAGED;
	}
	if (value->len > VALUE_MAX) {
		error_set(why, EBADMSG, "it has %zu bytes; a KES key has at most %d", value->len, VALUE_MAX);
		return starts(text, len, "CiQ") || starts(text, len, "{\"bytes\"") ? KEY_DAMAGED : KEY_FOREIGN;
	}
	info.json = *text == '{';
	if (info.json)
		r = key_json(text, len, &info, &similar, why);
	else
		r = form_a(text, len, &info, &similar, why);
	/* Unlike line ends, blanks before the text are no base64. */
	if (r == 0 && !info.json && memchr(value->bytes, ' ', value->len) != NULL)
		r = error_set(why, EBADMSG, "it begins with a blank");
	if (r == -ENOMEM)
		return KEY_UNCHECKED;
	if (r != 0)
		return similar ? KEY_DAMAGED : KEY_FOREIGN;
	*ret_info = info;
	return KEY_VALID;
}
