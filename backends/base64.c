/* SPDX-License-Identifier: Apache-2.0
 *
 * RFC 4648 in arithmetic only: which cache line is touched does not depend on the secret. */
#include "backends/base64.h"

#include <errno.h>
#include <stdint.h>
#include <sys/types.h>

/* All ones if a <= x <= b, else zero. */
static unsigned between(unsigned x, unsigned a, unsigned b)
{
	return ((a - 1 - x) & (x - b - 1)) >> 8 & 0xffffff;
}

static unsigned digit_char(unsigned d, enum base64_kind kind)
{
	unsigned c62 = kind == BASE64_URL ? '-' : '+', c63 = kind == BASE64_URL ? '_' : '/';

	return (between(d, 0, 25) & (d + 'A')) | (between(d, 26, 51) & (d - 26 + 'a')) |
	       (between(d, 52, 61) & (d - 52 + '0')) | (between(d, 62, 62) & c62) | (between(d, 63, 63) & c63);
}

/* 0 ... 63, or 64 for a character that is no digit. */
static unsigned char_digit(unsigned c, enum base64_kind kind)
{
	unsigned c62 = kind == BASE64_URL ? '-' : '+', c63 = kind == BASE64_URL ? '_' : '/';
	unsigned d = (between(c, 'A', 'Z') & (c - 'A' + 1)) | (between(c, 'a', 'z') & (c - 'a' + 27)) |
	             (between(c, '0', '9') & (c - '0' + 53)) | (between(c, c62, c62) & 63) |
	             (between(c, c63, c63) & 64);

	return (d - 1) & 0x7f;                /* none: 127 */
}

int base64_encode(struct secret *out, const void *bytes, size_t len, enum base64_kind kind)
{
	const unsigned char *in = bytes;
	size_t digits = len / 3 * 4 + (len % 3 != 0 ? (kind == BASE64_STD ? 4 : len % 3 + 1) : 0);
	int r = secret_reserve(out, out->len + digits);

	if (r != 0)
		return r;
	unsigned char *to = out->bytes + out->len;
	for (size_t i = 0; i < len; i += 3) {
		size_t left = len - i;
		uint32_t v = (uint32_t)in[i] << 16 | (left > 1 ? (uint32_t)in[i + 1] << 8 : 0) |
		             (left > 2 ? in[i + 2] : 0);

		for (unsigned k = 0; k < 4; k++) {
			if (k <= left)
				*to++ = (unsigned char)digit_char(v >> (18 - 6 * k) & 63, kind);
			else if (kind == BASE64_STD)
				*to++ = '=';
		}
	}
	out->len += digits;
	return 0;
}

/* The number of digits before the padding; -1: the padding or the length is wrong. */
static ssize_t digits_of(const char *text, size_t len, enum base64_kind kind)
{
	size_t digits = len;

	if (kind == BASE64_STD) {
		if (len % 4 != 0)
			return -1;
		if (digits > 0 && text[digits - 1] == '=')
			digits--;
		if (digits > 0 && digits < len && text[digits - 1] == '=')
			digits--;
	}
	return digits % 4 == 1 ? -1 : (ssize_t)digits;
}

int base64_decode(struct secret *out, const char *text, size_t len, enum base64_kind kind)
{
	ssize_t digits = digits_of(text, len, kind);
	size_t before = out->len;
	unsigned bad = 0;
	uint32_t v = 0;

	if (digits < 0)
		return -EBADMSG;
	int r = secret_reserve(out, before + (size_t)digits / 4 * 3 + 2);
	if (r != 0)
		return r;
	for (ssize_t i = 0; i < digits; i++) {
		unsigned d = char_digit((unsigned char)text[i], kind);

		bad |= d & 64;
		v = v << 6 | (d & 63);
		if (i % 4 != 0)
			out->bytes[out->len++] = (unsigned char)(v >> (6 - 2 * (i % 4)));
	}
	/* Bits left over must be zero, else two texts would mean the same value. */
	if (digits % 4 != 0)
		bad |= v & (digits % 4 == 2 ? 15 : 3);
	if (bad == 0)
		return 0;
	secret_resize(out, before);
	return -EBADMSG;
}
