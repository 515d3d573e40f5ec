/* SPDX-License-Identifier: Apache-2.0
 *
 * cJSON, entered by one door: what is too deep, too large or would lose bytes on the way is refused before. */
#include "backends/json.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <math.h>
#include <openssl/crypto.h>
#include <stdalign.h>
#include <stdlib.h>
#include <string.h>

#include "backends/base64.h"

/* An allocation knows its length, so that freeing can wipe it. */
struct block {
	alignas(max_align_t) size_t size;
};

static void *block_new(size_t size)
{
	struct block *b = malloc(sizeof *b + size);

	if (b == NULL)
		return NULL;
	b->size = size;
	return b + 1;
}

static void block_free(void *p)
{
	if (p == NULL)
		return;
	struct block *b = (struct block *)p - 1;
	OPENSSL_cleanse(p, b->size);
	free(b);
}

/* cJSON keeps its allocator for the whole process: it is set before any thread can have allocated with another. */
static __attribute__((constructor)) void hooks_set(void)
{
	cJSON_Hooks hooks = { .malloc_fn = block_new, .free_fn = block_free };

	cJSON_InitHooks(&hooks);
}

/* cJSON recurses and hands out C strings: depth is bounded here, and a zero byte in a string, which would cut it
 * silently, is refused. */
static int text_check(const struct secret *text, struct error *err)
{
	unsigned depth = 0;
	bool string = false;

	for (size_t i = 0; i < text->len; i++) {
		unsigned char c = text->bytes[i];

		if (c == '"') {
			string = !string;
		} else if (string && c == '\\') {
			if (text->len - i > 5 && memcmp(text->bytes + i, "\\u0000", 6) == 0)
				return error_set(err, EPROTO, "not readable: a zero byte in a text, at byte %zu", i);
			i++;
		} else if (string && c < 0x20) {
			return error_set(err, EPROTO, "not JSON: a control character in a text, at byte %zu", i);
		} else if (!string && (c == '{' || c == '[') && ++depth > JSON_DEPTH_MAX) {
			return error_set(err, EPROTO, "nested more than %d deep", JSON_DEPTH_MAX);
		} else if (!string && (c == '}' || c == ']') && depth-- == 0) {
			return error_set(err, EPROTO, "not JSON at byte %zu", i);
		}
	}
	return string || depth > 0 ? error_set(err, EPROTO, "truncated JSON: it ends after %zu bytes", text->len) : 0;
}

int json_parse(const struct secret *text, struct json **ret, struct error *err)
{
	const char *end = NULL;

	if (text->len == 0)
		return error_set(err, EPROTO, "an empty answer where JSON was expected");
	if (text->len > JSON_SIZE_MAX)
		return error_set(err, EPROTO, "more than %d bytes of JSON", JSON_SIZE_MAX);
	int r = text_check(text, err);
	if (r != 0)
		return r;
	cJSON *root = cJSON_ParseWithLengthOpts((const char *)text->bytes, text->len, &end, 0);
	if (root == NULL)
		return error_set(err, EPROTO, "not JSON at byte %zu",
		                 end != NULL ? (size_t)(end - (const char *)text->bytes) : 0);
	const char *stop = (const char *)text->bytes + text->len;
	while (end < stop && strchr(" \t\r\n", *end) != NULL && *end != '\0')
		end++;
	if (end != stop) {
		cJSON_Delete(root);
		return error_set(err, EPROTO, "something follows the JSON at byte %zu",
		                 text->len - (size_t)(stop - end));
	}
	*ret = (struct json *)root;
	return 0;
}

void json_free(struct json *root)
{
	cJSON_Delete((cJSON *)root);
}

void json_freep(struct json **root)
{
	json_free(*root);
	*root = NULL;
}

static const cJSON *node(const struct json *j)
{
	return (const cJSON *)j;
}

static const cJSON *member_find(const cJSON *object, const char *name, size_t len)
{
	if (!cJSON_IsObject(object))
		return NULL;
	for (const cJSON *m = object->child; m != NULL; m = m->next)
		if (m->string != NULL && strncmp(m->string, name, len) == 0 && m->string[len] == '\0')
			return m;
	return NULL;
}

const struct json *json_at(const struct json *j, const char *path)
{
	const cJSON *n = node(j);

	while (n != NULL && path != NULL && *path != '\0') {
		size_t len = strcspn(path, ".");
		n = member_find(n, path, len);
		path += len + (path[len] == '.');
	}
	return (const struct json *)n;
}

const struct json *json_member(const struct json *j, const char *name)
{
	return (const struct json *)member_find(node(j), name, strlen(name));
}

size_t json_count(const struct json *j)
{
	size_t n = 0;

	for (const struct json *i = json_first(j); i != NULL; i = json_next(i))
		n++;
	return n;
}

const struct json *json_first(const struct json *j)
{
	return json_is_object(j) || json_is_array(j) ? (const struct json *)node(j)->child : NULL;
}

const struct json *json_next(const struct json *j)
{
	return j != NULL ? (const struct json *)node(j)->next : NULL;
}

const char *json_name(const struct json *j)
{
	return j != NULL ? node(j)->string : NULL;
}

bool json_is_object(const struct json *j)
{
	return cJSON_IsObject(node(j));
}

bool json_is_array(const struct json *j)
{
	return cJSON_IsArray(node(j));
}

bool json_is_null(const struct json *j)
{
	return cJSON_IsNull(node(j));
}

const char *json_text(const struct json *j, const char *path)
{
	return cJSON_GetStringValue(node(json_at(j, path)));
}

/* Azure and Google write some numbers as text. */
static bool digits_number(const char *text, int64_t *ret)
{
	char *end;

	if (text == NULL || *text == '\0' || strspn(text, "-0123456789") != strlen(text))
		return false;
	errno = 0;
	*ret = strtoll(text, &end, 10);
	return errno == 0 && *end == '\0';
}

int64_t json_number(const struct json *j, const char *path, int64_t otherwise)
{
	const cJSON *n = node(json_at(j, path));
	int64_t value;

	if (cJSON_IsNumber(n) && fabs(n->valuedouble) <= 9007199254740992.0 && floor(n->valuedouble) == n->valuedouble)
		return (int64_t)n->valuedouble;
	return digits_number(cJSON_GetStringValue(n), &value) ? value : otherwise;
}

int64_t json_seconds(const struct json *j, const char *path, int64_t otherwise)
{
	const cJSON *n = node(json_at(j, path));

	return cJSON_IsNumber(n) && fabs(n->valuedouble) <= 9007199254740992.0 ? (int64_t)n->valuedouble : otherwise;
}

bool json_bool(const struct json *j, const char *path, bool otherwise)
{
	const cJSON *n = node(json_at(j, path));

	return cJSON_IsBool(n) ? cJSON_IsTrue(n) : otherwise;
}

int json_take_text(const struct json *j, const char *path, struct secret *out, struct error *err)
{
	const char *text = json_text(j, path);

	if (text == NULL)
		return error_set(err, EPROTO, "no text '%s' in the answer", path != NULL ? path : "value");
	secret_wipe(out);
	int r = secret_append_text(out, text);
	return r != 0 ? error_set(err, -r, "no locked memory for a value") : 0;
}

int json_take_base64(const struct json *j, const char *path, struct secret *out, struct error *err)
{
	const char *text = json_text(j, path);

	if (text == NULL)
		return error_set(err, EPROTO, "no text '%s' in the answer", path != NULL ? path : "value");
	secret_wipe(out);
	int r = base64_decode(out, text, strlen(text), BASE64_STD);
	if (r == -EBADMSG)
		return error_set(err, EBADMSG, "'%s' in the answer is not base64", path != NULL ? path : "value");
	return r != 0 ? error_set(err, -r, "no locked memory for a value") : 0;
}
