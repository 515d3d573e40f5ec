/* SPDX-License-Identifier: Apache-2.0
 *
 * Names come from stores and may hold any byte, so none is printed as it is. */
#include "fs/migrate/text.h"

#include <inttypes.h>
#include <stdbool.h>
#include <string.h>
#include <time.h>

const char *text_count(char *buf, uint64_t n)
{
	char digits[24];
	int length = snprintf(digits, sizeof digits, "%" PRIu64, n);
	char *to = buf;

	for (int i = 0; i < length; i++) {
		if (i > 0 && (length - i) % 3 == 0)
			*to++ = ',';
		*to++ = digits[i];
	}
	*to = '\0';
	return buf;
}

const char *text_keys(char *buf, uint64_t n)
{
	text_count(buf, n);
	return strcat(buf, n == 1 ? " key" : " keys");
}

const char *text_seconds(char *buf, int64_t ns)
{
	double s = (double)ns / 1e9;
	int64_t whole = ns / 1000000000;

	if (s < 1)
		snprintf(buf, TEXT_MAX, "%.2f s", s);
	else if (s < 60)
		snprintf(buf, TEXT_MAX, "%.1f s", s);
	else if (whole < 3600)
		snprintf(buf, TEXT_MAX, "%" PRId64 ":%02" PRId64 " min", whole / 60, whole % 60);
	else
		snprintf(buf, TEXT_MAX, "%" PRId64 ":%02" PRId64 ":%02" PRId64 " h", whole / 3600, whole / 60 % 60, whole % 60);
	return buf;
}

const char *text_time(char *buf, int64_t seconds)
{
	time_t t = (time_t)seconds;
	struct tm tm;

	if (seconds < 0 || gmtime_r(&t, &tm) == NULL || strftime(buf, TEXT_MAX, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
		strcpy(buf, "-");
	return buf;
}

void text_name(FILE *file, const char *name)
{
	for (const unsigned char *p = (const unsigned char *)name; *p != '\0'; p++)
		putc_unlocked(*p < 0x20 || *p == 0x7f ? '?' : *p, file);
}

/* The length of the UTF-8 character that begins at p; 0: none does. */
static size_t utf8_length(const unsigned char *p)
{
	static const struct { unsigned char low, high, second_low, second_high; size_t length; } forms[] = {
		{ 0xc2, 0xdf, 0x80, 0xbf, 2 }, { 0xe0, 0xe0, 0xa0, 0xbf, 3 }, { 0xe1, 0xec, 0x80, 0xbf, 3 },
		{ 0xed, 0xed, 0x80, 0x9f, 3 }, { 0xee, 0xef, 0x80, 0xbf, 3 }, { 0xf0, 0xf0, 0x90, 0xbf, 4 },
		{ 0xf1, 0xf3, 0x80, 0xbf, 4 }, { 0xf4, 0xf4, 0x80, 0x8f, 4 },
	};

	if (*p < 0x80)
		return 1;
	for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
		if (*p < forms[i].low || *p > forms[i].high || p[1] < forms[i].second_low || p[1] > forms[i].second_high)
			continue;
		for (size_t k = 2; k < forms[i].length; k++)
			if (p[k] < 0x80 || p[k] > 0xbf)
				return 0;
		return forms[i].length;
	}
	return 0;
}

void text_json(FILE *file, const char *text)
{
	const unsigned char *p = (const unsigned char *)text;

	putc_unlocked('"', file);
	while (*p != '\0') {
		size_t n = utf8_length(p);
		if (n == 0)
			fputs("\\ufffd", file);
		else if (*p == '"' || *p == '\\')
			fprintf(file, "\\%c", *p);
		else if (*p < 0x20 || *p == 0x7f)
			fprintf(file, "\\u%04x", *p);
		else
			fwrite_unlocked(p, 1, n, file);
		p += n > 0 ? n : 1;
	}
	putc_unlocked('"', file);
}
