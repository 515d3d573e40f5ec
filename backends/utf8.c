/* SPDX-License-Identifier: Apache-2.0
 *
 * UTF-8, by the table of RFC 3629. */
#include "backends/utf8.h"

size_t utf8_decode(const void *text, size_t len, uint32_t *ret)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	const unsigned char *p = text;
	size_t width;
	uint32_t c;

	if (len == 0)
		return 0;
	if (p[0] < 0x80) {
		*ret = p[0];
		return 1;
	}
	if (p[0] >= 0xc2 && p[0] <= 0xdf)
		width = 2, c = p[0] & 0x1f;
	else if (p[0] >= 0xe0 && p[0] <= 0xef)
		width = 3, c = p[0] & 0x0f;
	else if (p[0] >= 0xf0 && p[0] <= 0xf4)
		width = 4, c = p[0] & 0x07;
	else
		return 0;
	if (width > len)
		return 0;
	for (size_t i = 1; i < width; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (p[i] & 0x3f);
	}
	if (c < least[width] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
		return 0;
	*ret = c;
	return width;
}

bool utf8_valid(const void *text, size_t len)
{
	const unsigned char *p = text;
	uint32_t c;

	for (size_t n; len > 0; p += n, len -= n) {
		n = utf8_decode(p, len, &c);
		if (n == 0)
			return false;
	}
	return true;
}
