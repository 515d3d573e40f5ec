/* SPDX-License-Identifier: Apache-2.0
 *
 * Answers in JSON: cJSON behind typed getters, on an allocator that wipes, with bounds.  What does not have the
 * expected shape is EPROTO with the name of the member, never the content. */
#ifndef KESFS_BACKENDS_JSON_H
#define KESFS_BACKENDS_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "backends/error.h"
#include "backends/secret.h"

enum { JSON_DEPTH_MAX = 32, JSON_SIZE_MAX = 8 * 1024 * 1024 };

struct json;                                  /* a value of a parsed document; the root owns all */

/* One whole document.  -EPROTO: empty, truncated, not JSON, too deep, too large, a string with a zero byte in it. */
int json_parse(const struct secret *text, struct json **ret, struct error *err);
void json_free(struct json *root);            /* wipes; accepts NULL */
void json_freep(struct json **root);
#define AUTO_JSON(name) __attribute__((cleanup(json_freep))) struct json *name = NULL

/* Looking.  Each accepts NULL and answers NULL, so that steps can be chained.  Names are compared exactly. */
const struct json *json_at(const struct json *j, const char *path);        /* "data.metadata": members joined by '.' */
const struct json *json_member(const struct json *j, const char *name);    /* one member, whatever its name holds */
size_t json_count(const struct json *j);                                   /* of items or members; else 0 */
/* Every item or member in order: for (i = json_first(j); i != NULL; i = json_next(i)) */
const struct json *json_first(const struct json *j);
const struct json *json_next(const struct json *j);
const char *json_name(const struct json *j);                               /* of a member; NULL for an item */
bool json_is_object(const struct json *j);
bool json_is_array(const struct json *j);
bool json_is_null(const struct json *j);                                   /* null is there; not: absent */

/* Lent values, or the other one if path (NULL: j itself) is absent or of another type. */
const char *json_text(const struct json *j, const char *path);             /* NULL */
/* A whole number up to 2^53, or a text of digits. */
int64_t json_number(const struct json *j, const char *path, int64_t otherwise);
/* A number of seconds, its fraction dropped (AWS's times). */
int64_t json_seconds(const struct json *j, const char *path, int64_t otherwise);
bool json_bool(const struct json *j, const char *path, bool otherwise);

/* Copies into *out (wiped first).  -EPROTO: absent or not a string; base64: -EBADMSG if it is none. */
int json_take_text(const struct json *j, const char *path, struct secret *out, struct error *err);
int json_take_base64(const struct json *j, const char *path, struct secret *out, struct error *err);

/* Writing a request: append a quoted, escaped string.  -EINVAL: not UTF-8, which JSON cannot carry; -ENOMEM, -EFBIG. */
int json_append_string(struct secret *out, const void *bytes, size_t len);
int json_append_text(struct secret *out, const char *text);
/* Append what fmt says: its characters as they are, but %s (const char *) and %S (const struct secret *) as quoted
 * strings, %B (const struct secret *) as a quoted base64 string, %d (int) as a number: json_format(&body, "{%s:%S}",
 * name, val). */
int json_format(struct secret *out, const char *fmt, ...);

#endif
