/* SPDX-License-Identifier: Apache-2.0
 *
 * Durations as Go writes them, addresses, misspelt words. */
#include "backends/config_value.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { WORD_MAX = 40 };

static bool digit(char c)
{
	return c >= '0' && c <= '9';
}

/* A unit at *p; the longer one of two that begin alike is named first. */
static int64_t unit_take(const char **p)
{
	static const struct {
		const char *name;
		int64_t ns;
	} units[] = {
		{ "ns", 1 }, { "us", 1000 }, { "\xc2\xb5s", 1000 }, { "\xce\xbcs", 1000 }, { "ms", 1000000 },
		{ "s", 1000000000 }, { "m", INT64_C(60000000000) }, { "h", INT64_C(3600000000000) },
	};

	for (size_t i = 0; i < sizeof units / sizeof *units; i++)
		if (strncmp(*p, units[i].name, strlen(units[i].name)) == 0) {
			*p += strlen(units[i].name);
			return units[i].ns;
		}
	return 0;
}

/* "1.5h" at *p, added to *ns. */
static bool term_take(const char **p, int64_t *ns)
{
	int64_t whole = 0, part = 0, scale = 1, product;
	bool any = false;

	for (; digit(**p); (*p)++, any = true)
		if (__builtin_mul_overflow(whole, 10, &whole) || __builtin_add_overflow(whole, **p - '0', &whole))
			return false;
	if (**p == '.')
		for ((*p)++; digit(**p); (*p)++, any = true)
			if (scale < INT64_C(1000000000000000)) {      /* beyond: below a nanosecond of an hour */
				part = part * 10 + (**p - '0');
				scale *= 10;
			}
	int64_t unit = any ? unit_take(p) : 0;
	if (unit == 0 || __builtin_mul_overflow(whole, unit, &product))
		return false;
	int64_t fraction = (int64_t)((__int128)part * unit / scale);
	return !__builtin_add_overflow(product, fraction, &product) && !__builtin_add_overflow(*ns, product, ns);
}

bool value_duration(const char *text, int64_t *ret_ns)
{
	int64_t ns = 0;

	if (*text == '+')
		text++;
	if (strcmp(text, "0") == 0) {
		*ret_ns = 0;
		return true;
	}
	if (*text == '\0')
		return false;
	while (*text != '\0')
		if (!term_take(&text, &ns))
			return false;
	*ret_ns = ns;
	return true;
}

/* The host of an address, without brackets; NULL: another scheme than http and https, or none where one is needed. */
static const char *host_of(const char *text, bool scheme_needed, int *ret_length)
{
	const char *scheme = strstr(text, "://");

	if (scheme == NULL && scheme_needed)
		return NULL;
	if (scheme != NULL && strncasecmp(text, "http://", 7) != 0 && strncasecmp(text, "https://", 8) != 0)
		return NULL;
	if (scheme != NULL)
		text = scheme + 3;
	if (*text == '[') {
		const char *end = strchr(++text, ']');
		*ret_length = end != NULL ? (int)(end - text) : 0;
	} else {
		*ret_length = (int)strcspn(text, ":/?#");
	}
	return text;
}

static bool port_ok(const char *text)
{
	long port = strtol(text, NULL, 10);
	size_t digits = strspn(text, "0123456789");

	return digits >= 1 && digits <= 5 && port >= 1 && port <= 65535 &&
	       (text[digits] == '\0' || text[digits] == '/');
}

const char *value_url(const char *text, bool scheme_needed)
{
	int length;

	for (const char *p = text; *p != '\0'; p++)
		if ((unsigned char)*p <= ' ' || *p == 0x7f)
			return "has a blank or control character in it";
	if (strchr(text, '@') != NULL)
		return "has a user name or password in it, which belong into fields of their own";
	if (strpbrk(text, "?#") != NULL)
		return "has a '?' or '#' in it";
	const char *host = host_of(text, scheme_needed, &length);
	if (host == NULL)
		return "does not begin with https:// or http://";
	if (length == 0)
		return "has no host";
	const char *rest = host + length;
	if (*rest == ']')
		rest++;
	if (*rest == ':' && !port_ok(rest + 1))
		return "has no port between 1 and 65535 behind its ':'";
	return NULL;
}

bool value_plain(const char *text, const char **ret_host, int *ret_length)
{
	if (strncasecmp(text, "http://", 7) != 0)
		return false;
	const char *host = host_of(text, true, ret_length);
	size_t n = (size_t)*ret_length;
	*ret_host = host;
	bool here = (n == 9 && strncasecmp(host, "localhost", 9) == 0) || (n == 3 && strncmp(host, "::1", 3) == 0) ||
	            (n >= 7 && strncmp(host, "127.", 4) == 0 && strspn(host, "0123456789.") == n);
	return !here;
}

static size_t least(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* Edits between two words: a letter more, less, another, or two neighbours swapped. */
static size_t distance(const char *a, const char *b)
{
	size_t n = strlen(a), m = strlen(b), rows[3][WORD_MAX + 1];

	for (size_t j = 0; j <= m; j++)
		rows[0][j] = j;
	for (size_t i = 1; i <= n; i++) {
		size_t *now = rows[i % 3], *before = rows[(i - 1) % 3], *earlier = rows[(i + 1) % 3];
		now[0] = i;
		for (size_t j = 1; j <= m; j++) {
			now[j] = least(least(before[j], now[j - 1]) + 1, before[j - 1] + (a[i - 1] != b[j - 1]));
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				now[j] = least(now[j], earlier[j - 2] + 1);
		}
	}
	return rows[n % 3][m];
}

void guess_try(struct guess *g, const char *candidate)
{
	size_t length = strlen(g->word);

	if (length == 0 || length > WORD_MAX || strlen(candidate) > WORD_MAX)
		return;
	size_t d = distance(g->word, candidate);
	if (d <= (length + 2) / 3 && (g->best == NULL || d < g->distance)) {
		g->best = candidate;
		g->distance = d;
	}
}
