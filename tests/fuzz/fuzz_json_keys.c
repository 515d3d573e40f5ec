/* SPDX-License-Identifier: Apache-2.0
 *
 * Listings: the same names and the same verdict whether the bytes come at once or in pieces, and what the scanner
 * accepts, a parser that builds a tree reads alike. */
#include <stdlib.h>
#include <string.h>

#include "backends/json.h"
#include "backends/json_keys.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct seen {
	size_t count;
	uint32_t sum;
};

static bool name_take(const char *name, size_t len, void *arg)
{
	struct seen *s = arg;

	if (len > JSON_KEYS_NAME_MAX || name[len] != '\0')
		abort();
	s->count++;
	for (size_t i = 0; i < len; i++)
		s->sum = s->sum * 31 + (unsigned char)name[i];
	return true;
}

static int scan(const char *text, size_t size, size_t piece, struct seen *s)
{
	struct json_keys *k = json_keys_new("data.keys", name_take, s);
	struct error err = ERROR_INIT;
	int r = 0;

	if (k == NULL)
		exit(1);
	*s = (struct seen){ 0, 0 };
	for (size_t i = 0; i < size && r == 0; i += piece)
		r = json_keys_feed(k, text + i, size - i < piece ? size - i : piece, &err);
	if (r == 0)
		r = json_keys_end(k, &err);
	if (r != 0 && err.text[0] == '\0')
		abort();
	json_keys_free(k);
	return r;
}

/* The tree keeps both of two members of one name, and each of them was scanned; so it is only compared if there is one. */
static void compare(const uint8_t *data, size_t size, const struct seen *s)
{
	SECRET(text);
	AUTO_JSON(root);

	if (secret_append(&text, data, size) != 0 || json_parse(&text, &root, NULL) != 0)
		return;                       /* the tree is stricter about zero bytes */
	size_t lists = 0;
	for (const struct json *d = json_first(root); d != NULL; d = json_next(d))
		for (const struct json *m = strcmp(json_name(d), "data") == 0 ? json_first(d) : NULL; m != NULL; m = json_next(m))
			lists += json_name(m) != NULL && strcmp(json_name(m), "keys") == 0;
	if (lists == 1 && json_at(root, "data.keys") != NULL && json_count(json_at(root, "data.keys")) != s->count)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct seen whole, pieces;
	size_t piece = size > 0 ? data[0] % 13 + 1 : 1;
	int r = scan((const char *)data, size, size + 1, &whole);

	if (scan((const char *)data, size, piece, &pieces) != r || whole.count != pieces.count || whole.sum != pieces.sum)
		abort();
	if (r == 0)
		compare(data, size, &whole);
	return 0;
}
