/* SPDX-License-Identifier: Apache-2.0
 *
 * A listing of any length, read as it streams in: the strings of one array in a JSON document, such as Vault's
 * data.keys, without a tree (a million names are up to 83 MB).  The rest of the document is checked and passed over. */
#ifndef KESFS_BACKENDS_JSON_KEYS_H
#define KESFS_BACKENDS_JSON_KEYS_H

#include <stdbool.h>
#include <stddef.h>

#include "backends/error.h"

enum { JSON_KEYS_NAME_MAX = 4096 };           /* a longer name is -EPROTO */

struct json_keys;

/* path: members joined by '.', at most 8 deep.  name is lent, terminated; one that holds a zero byte is given with
 * its true len.  emit() returns false for "enough": the rest is then passed over unread.  NULL: no memory. */
struct json_keys *json_keys_new(const char *path, bool (*emit)(const char *name, size_t len, void *arg), void *arg);
void json_keys_free(struct json_keys *k);     /* accepts NULL */
void json_keys_begin(struct json_keys *k);    /* a new document: also what http_sink.begin wants */
/* 0, or -EPROTO with a sentence fragment ("not JSON at byte 17").  After a failure only begin() and free(). */
int json_keys_feed(struct json_keys *k, const char *bytes, size_t len, struct error *err);
/* The document is over.  -EPROTO: truncated, or without that array. */
int json_keys_end(struct json_keys *k, struct error *err);
/* The document is whole, and has the object in which the array would be, but no such array. */
bool json_keys_none(const struct json_keys *k);
bool json_keys_enough(const struct json_keys *k);     /* emit() has returned false */

#endif
