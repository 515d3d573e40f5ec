/* SPDX-License-Identifier: Apache-2.0
 *
 * A push-down scanner that sees each byte once.  Only the open containers and one text are remembered. */
#include "backends/json_keys.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "backends/json.h"

enum { PATH_MAX_DEPTH = 8, TOKEN_MAX = 64 };

enum state {
	VALUE,                /* a value must follow */
	ARRAY_FIRST,          /* a value or ']' */
	OBJECT_FIRST,         /* a name or '}' */
	NAME,                 /* a name must follow */
	COLON,
	AFTER,                /* ',' or the end of the container */
	STRING, ESCAPE, HEX,
	TOKEN,                /* a number, true, false, null */
	OVER,                 /* only white space may follow */
};

struct json_keys {
	bool (*emit)(const char *name, size_t len, void *arg);
	void *arg;
	char *path;                           /* its dots are zero bytes */
	const char *parts[PATH_MAX_DEPTH];
	unsigned part_count;
	/* This document. */
	enum state state;
	size_t at;                            /* bytes seen, for sentences */
	char open[JSON_DEPTH_MAX];            /* '{' or '[' */
	unsigned depth;
	unsigned on_path;                     /* so many containers from the root are on the path */
	unsigned target;                      /* depth of the array looked for while it is open, else 0 */
	bool wanted;                          /* the value that follows is on the path */
	bool found, enough;
	bool parent;                          /* the object in which the array belongs was there */
	/* This text or token. */
	bool is_name, keep, too_long;
	size_t len;
	unsigned hex, hex_left, high;         /* \uXXXX; a first surrogate that waits for its second */
	char text[JSON_KEYS_NAME_MAX + 1];
};

struct json_keys *json_keys_new(const char *path, bool (*emit)(const char *name, size_t len, void *arg), void *arg)
{
	struct json_keys *k = calloc(1, sizeof *k);
	char *p, *save = NULL;

	if (k == NULL)
		return NULL;
	k->emit = emit;
	k->arg = arg;
	k->path = strdup(path);
	if (k->path == NULL) {
		free(k);
		return NULL;
	}
	p = strtok_r(k->path, ".", &save);
	for (; p != NULL && k->part_count < PATH_MAX_DEPTH; p = strtok_r(NULL, ".", &save))
		k->parts[k->part_count++] = p;
	json_keys_begin(k);
	return k;
}

void json_keys_free(struct json_keys *k)
{
	if (k == NULL)
		return;
	free(k->path);
	free(k);
}

void json_keys_begin(struct json_keys *k)
{
	k->state = VALUE;
	k->at = 0;
	k->depth = k->on_path = k->target = 0;
	k->wanted = true;                     /* the root itself */
	k->found = k->enough = k->parent = false;
}

bool json_keys_enough(const struct json_keys *k)
{
	return k->enough;
}

static int bad(struct json_keys *k, struct error *err)
{
	return error_set(err, EPROTO, "not JSON at byte %zu", k->at);
}

/* A value is complete: what may follow depends on where it stood. */
static void value_over(struct json_keys *k)
{
	k->wanted = false;
	k->state = k->depth == 0 ? OVER : AFTER;
}

static int container_open(struct json_keys *k, char c, struct error *err)
{
	if (k->depth == JSON_DEPTH_MAX)
		return error_set(err, EPROTO, "nested more than %d deep", JSON_DEPTH_MAX);
	if (k->target != 0 && k->depth == k->target)
		return error_set(err, EPROTO, "an entry of the listing is no text, at byte %zu", k->at);
	if (k->wanted && k->depth == k->part_count && c == '[') {
		k->target = k->depth + 1;
		k->found = true;
	} else if (k->wanted && k->depth < k->part_count && c == '{') {
		k->on_path = k->depth + 1;
		k->parent |= k->on_path == k->part_count;
	}
	k->wanted = false;
	k->open[k->depth++] = c;
	k->state = c == '{' ? OBJECT_FIRST : ARRAY_FIRST;
	return 0;
}

static int container_close(struct json_keys *k, char c, struct error *err)
{
	if (k->depth == 0 || k->open[k->depth - 1] != (c == '}' ? '{' : '['))
		return bad(k, err);
	if (k->target == k->depth)
		k->target = 0;
	if (k->on_path == k->depth)
		k->on_path--;
	k->depth--;
	value_over(k);
	return 0;
}

static void text_begin(struct json_keys *k, bool is_name)
{
	k->is_name = is_name;
	k->keep = is_name ? k->on_path == k->depth : k->target != 0 && k->target == k->depth;
	k->too_long = false;
	k->len = 0;
	k->high = 0;
	k->state = STRING;
}

static void text_add(struct json_keys *k, const char *bytes, size_t n)
{
	if (!k->keep)
		return;
	if (n > JSON_KEYS_NAME_MAX - k->len) {
		k->too_long = true;
		return;
	}
	memcpy(k->text + k->len, bytes, n);
	k->len += n;
}

static void text_add_point(struct json_keys *k, unsigned c)
{
	char utf8[4];
	size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;

	for (size_t i = n - 1; i > 0; i--) {
		utf8[i] = (char)(0x80 | (c & 0x3f));
		c >>= 6;
	}
	utf8[0] = (char)(n == 1 ? c : (0xf00u >> n & 0xf0) | c);
	text_add(k, utf8, n);
}

static int text_over(struct json_keys *k, struct error *err)
{
	k->text[k->len] = '\0';
	if (k->high != 0)
		return bad(k, err);
	if (k->is_name) {
		k->wanted = k->keep && !k->too_long && k->on_path <= k->part_count &&
		            k->len == strlen(k->parts[k->on_path - 1]) &&
		            memcmp(k->text, k->parts[k->on_path - 1], k->len) == 0;
		k->state = COLON;
		return 0;
	}
	if (k->keep && k->too_long)
		return error_set(err, EPROTO, "a name longer than %d bytes, at byte %zu", JSON_KEYS_NAME_MAX, k->at);
	if (k->keep && !k->enough)
		k->enough = !k->emit(k->text, k->len, k->arg);
	value_over(k);
	return 0;
}

static int escape_step(struct json_keys *k, char c, struct error *err)
{
	static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
	const char *p = c != '\0' ? strchr(from, c) : NULL;

	if (c == 'u') {
		k->hex = 0;
		k->hex_left = 4;
		k->state = HEX;
		return 0;
	}
	if (p == NULL || k->high != 0)
		return bad(k, err);
	text_add(k, &to[p - from], 1);
	k->state = STRING;
	return 0;
}

static int hex_step(struct json_keys *k, char c, struct error *err)
{
	unsigned digit = c >= '0' && c <= '9' ? (unsigned)(c - '0')
	               : c >= 'a' && c <= 'f' ? (unsigned)(c - 'a' + 10)
	               : c >= 'A' && c <= 'F' ? (unsigned)(c - 'A' + 10) : 16;

	if (digit == 16)
		return bad(k, err);
	k->hex = k->hex << 4 | digit;
	if (--k->hex_left > 0)
		return 0;
	k->state = STRING;
	bool low = k->hex >= 0xdc00 && k->hex <= 0xdfff;
	if (low != (k->high != 0))
		return bad(k, err);           /* half a pair */
	if (k->hex >= 0xd800 && k->hex <= 0xdbff) {
		k->high = k->hex;
	} else if (low) {
		text_add_point(k, 0x10000 + ((k->high - 0xd800) << 10) + (k->hex - 0xdc00));
		k->high = 0;
	} else {
		text_add_point(k, k->hex);
	}
	return 0;
}

/* As much of a text as needs no thought; returns how many bytes were taken. */
static size_t text_run(struct json_keys *k, const char *p, size_t left)
{
	size_t n = 0;

	while (n < left && p[n] != '"' && p[n] != '\\' && (unsigned char)p[n] >= 0x20)
		n++;
	if (n > 0 && k->high == 0)
		text_add(k, p, n);
	return n;
}

static int string_step(struct json_keys *k, char c, struct error *err)
{
	if (c == '"')
		return text_over(k, err);
	if (c != '\\')
		return bad(k, err);
	k->state = ESCAPE;
	return 0;
}

static bool token_valid(const char *t)
{
	static const char digits[] = "0123456789";

	if (strcmp(t, "true") == 0 || strcmp(t, "false") == 0 || strcmp(t, "null") == 0)
		return true;
	t += *t == '-';
	size_t whole = strspn(t, digits);
	if (whole == 0 || (whole > 1 && *t == '0'))
		return false;
	t += whole;
	if (*t == '.') {
		size_t fraction = strspn(++t, digits);
		if (fraction == 0)
			return false;
		t += fraction;
	}
	if (*t == 'e' || *t == 'E') {
		t++;
		t += *t == '+' || *t == '-';
		if (*t == '\0')
			return false;
		t += strspn(t, digits);
	}
	return *t == '\0';
}

static int token_over(struct json_keys *k, struct error *err)
{
	k->text[k->len] = '\0';
	if (!token_valid(k->text))
		return bad(k, err);
	if (k->target != 0 && k->target == k->depth)
		return error_set(err, EPROTO, "an entry of the listing is no text, at byte %zu", k->at);
	/* A list without entries is null to some servers. */
	if (k->wanted && k->depth == k->part_count && strcmp(k->text, "null") == 0)
		k->found = true;
	value_over(k);
	return 0;
}

/* The first byte of a value. */
static int value_step(struct json_keys *k, char c, struct error *err)
{
	if (c == '{' || c == '[')
		return container_open(k, c, err);
	if (c == '"') {
		text_begin(k, false);
		return 0;
	}
	k->state = TOKEN;
	k->text[0] = c;
	k->len = 1;
	return strchr("-0123456789tfn", c) != NULL && c != '\0' ? 0 : bad(k, err);
}

static int plain_step(struct json_keys *k, char c, struct error *err)
{
	if (c == ' ' || c == '\t' || c == '\r' || c == '\n')
		return 0;
	switch (k->state) {
	case ARRAY_FIRST:
		return c == ']' ? container_close(k, c, err) : value_step(k, c, err);
	case VALUE:
		return value_step(k, c, err);
	case OBJECT_FIRST:
		if (c == '}')
			return container_close(k, c, err);
		__attribute__((fallthrough));
	case NAME:
		if (c != '"')
			return bad(k, err);
		text_begin(k, true);
		return 0;
	case COLON:
		k->state = VALUE;
		return c == ':' ? 0 : bad(k, err);
	case AFTER:
		if (c == '}' || c == ']')
			return container_close(k, c, err);
		k->state = k->open[k->depth - 1] == '{' ? NAME : VALUE;
		return c == ',' ? 0 : bad(k, err);
	default:
		return bad(k, err);
	}
}

static int token_step(struct json_keys *k, char c, struct error *err)
{
	if (c != '\0' && strchr(" \t\r\n,]}", c) != NULL) {
		int r = token_over(k, err);
		return r != 0 ? r : plain_step(k, c, err);
	}
	if (c == '\0' || k->len >= TOKEN_MAX)
		return bad(k, err);
	k->text[k->len++] = c;
	return 0;
}

int json_keys_feed(struct json_keys *k, const char *bytes, size_t len, struct error *err)
{
	int r = 0;

	for (size_t i = 0; i < len && r == 0; i++, k->at++) {
		size_t run;

		switch (k->state) {
		case STRING:
			run = text_run(k, bytes + i, len - i);
			if (run > 0 && k->high != 0)
				return bad(k, err);
			i += run;
			k->at += run;
			if (i == len)
				return 0;
			r = string_step(k, bytes[i], err);
			break;
		case ESCAPE:
			r = escape_step(k, bytes[i], err);
			break;
		case HEX:
			r = hex_step(k, bytes[i], err);
			break;
		case TOKEN:
			r = token_step(k, bytes[i], err);
			break;
		default:
			r = plain_step(k, bytes[i], err);
			break;
		}
	}
	return r;
}

int json_keys_end(struct json_keys *k, struct error *err)
{
	if (k->state != OVER)
		return error_set(err, EPROTO, "truncated JSON: it ends after %zu bytes", k->at);
	if (!k->found)
		return error_set(err, EPROTO, "JSON without the list of names that was expected");
	return 0;
}

bool json_keys_none(const struct json_keys *k)
{
	return k->state == OVER && !k->found && k->parent;
}
