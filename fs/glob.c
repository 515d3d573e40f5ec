/* SPDX-License-Identifier: Apache-2.0
 *
 * A matcher of its own, since fnmatch(3) differs in classes, escapes and what it takes for malformed
 * (keystores.md 3.4).  As in Go, a star moves by bytes while '?' and classes take whole characters, and a byte that is
 * no UTF-8 counts as one U+FFFD. */
#include "fs/glob.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "backends/utf8.h"

enum { REPLACEMENT = 0xfffd };

static int bad(const char *pattern, const char *at, const char *why, struct error *err)
{
	return error_set(err, EINVAL, "malformed pattern '%s': '%c' at position %zu %s", pattern, *at,
	                 (size_t)(at - pattern) + 1, why);
}

/* One end of a range: a character, perhaps escaped. */
static const char *end_check(const char *pattern, const char *p, const char *if_closed, struct error *err)
{
	uint32_t c;

	if (*p == '\\')
		p++;
	else if (*p == '-')
		return bad(pattern, p, "stands for no range; the character itself is '\\-'", err), NULL;
	else if (*p == ']')
		return bad(pattern, p, if_closed, err), NULL;
	if (*p == '\0')
		return p;
	size_t n = utf8_decode(p, strlen(p), &c);
	if (n == 0) {
		error_set(err, EINVAL,
		          "malformed pattern '%s': the byte 0x%02x at position %zu, in a class, is no UTF-8",
		          pattern, (unsigned char)*p, (size_t)(p - pattern) + 1);
		return NULL;
	}
	return p + n;
}

/* p is behind the '['; the place behind the ']'. */
static const char *class_check(const char *pattern, const char *p, struct error *err)
{
	const char *open = p - 1;
	bool first = true;

	if (*p == '^')
		p++;
	for (; *p != ']' || first; first = false) {
		p = end_check(pattern, p, "closes an empty class; the character itself is '\\]'", err);
		if (p != NULL && *p == '-')
			p = end_check(pattern, p + 1, "closes a class after '-'; the character itself is '\\-'", err);
		if (p == NULL)
			return NULL;
		if (*p == '\0')
			return bad(pattern, open, "opens a class that no ']' closes", err), NULL;
	}
	return p + 1;
}

int glob_check(const char *pattern, struct error *err)
{
	for (const char *p = pattern; *p != '\0';) {
		switch (*p++) {
		case '\\':
			if (*p++ == '\0')
				return bad(pattern, p - 2, "has nothing behind it that it could escape", err);
			break;
		case '[':
			p = class_check(pattern, p, err);
			if (p == NULL)
				return -EINVAL;
		}
	}
	return 0;
}

/* The next character of a name; never 0 bytes. */
static uint32_t name_char(const char **name)
{
	uint32_t c;
	size_t n = utf8_decode(*name, strlen(*name), &c);

	*name += n > 0 ? n : 1;
	return n > 0 ? c : REPLACEMENT;
}

static uint32_t class_char(const char **p)
{
	if (**p == '\\')
		(*p)++;
	return name_char(p);
}

/* *p is behind the '[' and is moved behind the ']'. */
static bool class_match(const char **p, uint32_t c)
{
	bool negated = **p == '^', found = false;

	if (negated)
		(*p)++;
	do {
		uint32_t low = class_char(p), high = low;
		if (**p == '-') {
			(*p)++;
			high = class_char(p);
		}
		if (low <= c && c <= high)
			found = true;
	} while (**p != ']');
	(*p)++;
	return found != negated;
}

/* One element of the pattern other than '*' against the begin of a name; both are moved on. */
static bool element_match(const char **p, const char **name)
{
	if (**name == '\0')
		return false;
	switch (**p) {
	case '?':
		(*p)++;
		return name_char(name) != '/';
	case '[':
		(*p)++;
		return class_match(p, name_char(name));
	case '\\':
		(*p)++;
	}
	return *(*p)++ == *(*name)++;
}

bool glob_match(const char *pattern, const char *name)
{
	const char *star = NULL, *from = NULL;        /* behind the last star; where the name was taken up there */

	for (;;) {
		if (*pattern == '*') {
			star = ++pattern;
			from = name;
			continue;
		}
		if (*pattern == '\0' && *name == '\0')
			return true;
		if (*pattern != '\0' && element_match(&pattern, &name))
			continue;
		/* The last star takes one byte more; an earlier one would gain nothing by that. */
		if (star == NULL || *from == '\0' || *from == '/')
			return false;
		pattern = star;
		name = ++from;
	}
}

/* The literal text at the begin of a pattern, unescaped; *ret_end is where it ends. */
static char *literal(const char *pattern, const char **ret_end)
{
	char *text = malloc(strlen(pattern) + 1), *to = text;

	if (text == NULL)
		return NULL;
	while (*pattern != '\0' && strchr("*?[", *pattern) == NULL) {
		if (*pattern == '\\')
			pattern++;
		*to++ = *pattern++;
	}
	*to = '\0';
	*ret_end = pattern;
	return text;
}

bool glob_literal(const char *pattern, char **ret)
{
	const char *end = pattern;
	char *text = literal(pattern, &end);

	*ret = NULL;
	if (text == NULL || *end != '\0') {
		free(text);
		return false;
	}
	*ret = text;
	return true;
}

char *glob_prefix(const char *pattern)
{
	const char *end;

	return literal(pattern, &end);
}
