/* SPDX-License-Identifier: Apache-2.0
 *
 * The other half of json.h: requests, written straight into a secret. */
#include "backends/json.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "backends/base64.h"
#include "backends/utf8.h"

/* Control characters, quote and backslash take 6 bytes at most; the rest is copied. */
static int char_append(struct secret *out, const unsigned char *p, size_t length)
{
	char escape[8];

	if (length > 1 || (*p >= 0x20 && *p != '"' && *p != '\\' && *p != 0x7f))
		return secret_append(out, p, length);
	if (*p == '"' || *p == '\\')
		snprintf(escape, sizeof escape, "\\%c", *p);
	else
		snprintf(escape, sizeof escape, "\\u%04x", *p);
	return secret_append_text(out, escape);
}

int json_append_string(struct secret *out, const void *bytes, size_t len)
{
	const unsigned char *p = bytes;
	size_t before = out->len, n;
	uint32_t point;
	int r = secret_reserve(out, out->len + len + 2);

	if (r == 0)
		r = secret_append(out, "\"", 1);
	for (size_t i = 0; i < len && r == 0; i += n) {
		n = utf8_decode(p + i, len - i, &point);
		r = n == 0 ? -EINVAL : char_append(out, p + i, n);
	}
	if (r == 0)
		r = secret_append(out, "\"", 1);
	if (r != 0 && out->len > before)
		secret_resize(out, before);
	return r;
}

int json_append_text(struct secret *out, const char *text)
{
	return json_append_string(out, text, strlen(text));
}

static int base64_append(struct secret *out, const struct secret *value)
{
	int r = secret_append(out, "\"", 1);

	if (r == 0)
		r = base64_encode(out, value->bytes, value->len, BASE64_STD);
	return r == 0 ? secret_append(out, "\"", 1) : r;
}

static int number_append(struct secret *out, int number)
{
	char digits[16];

	snprintf(digits, sizeof digits, "%d", number);
	return secret_append_text(out, digits);
}

int json_format(struct secret *out, const char *fmt, ...)
{
	size_t before = out->len;
	const struct secret *value;
	va_list ap;
	int r = 0;

	va_start(ap, fmt);
	for (const char *p = fmt; *p != '\0' && r == 0; p++) {
		if (*p != '%') {
			r = secret_append(out, p, 1);
			continue;
		}
		switch (*++p) {
		case 's':
			r = json_append_text(out, va_arg(ap, const char *));
			break;
		case 'S':
			value = va_arg(ap, const struct secret *);
			r = json_append_string(out, value->bytes, value->len);
			break;
		case 'B':
			r = base64_append(out, va_arg(ap, const struct secret *));
			break;
		case 'd':
			r = number_append(out, va_arg(ap, int));
			break;
		default:
			r = -EINVAL;
			break;
		}
	}
	va_end(ap);
	if (r != 0 && out->len > before)
		secret_resize(out, before);
	return r;
}
