/* SPDX-License-Identifier: Apache-2.0
 *
 * Reading keys from a KV engine by KES's own rule: version 1 on KV v2, and the member that is named like the key. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "backends/vault_parts.h"

/* What is at the name, if Vault answers 404 to reading its version 1: often nothing. */
static int explain_absent(struct backend *b, const struct call *c, const char *name, const struct http_reply *reply,
                          struct error *err)
{
	HTTP_REPLY(meta);
	AUTO_JSON(json);
	AUTO_TEXT(path);

	if (!b->v2)
		return -ENOENT;
	if (reply->body.len > 0 && json_parse(&reply->body, &json, NULL) == 0 && json_at(json, "data.metadata") != NULL) {
		bool destroyed = json_bool(json, "data.metadata.destroyed", false);
		return error_set(err, ENOENT, "vault: key '%s' is %s but still listed: %s", name, destroyed ? "destroyed" : "deleted",
		                 destroyed ? "delete its metadata to free the name" :
		                 "'vault kv undelete -versions=1' brings it back, deleting its metadata frees the name");
	}
	/* No version 1.  Is there another? */
	path = vault_path(b->metadata, name);
	if (path == NULL)
		return error_set(err, ENOMEM, "vault: no memory");
	const struct vault_ask ask = { .method = "GET", .path = path, .plain = true, .doing = "looking at", .name = name,
	                               .needs = "read" };
	if (vault_ask(b, c, &ask, &meta, NULL) != 0)
		return -ENOENT;
	return error_set(err, ENOENT, "vault: key '%s' has lost its version 1, the only one that a KES server reads: was it "
	                 "written again and again with max_versions set?", name);
}

int vault_get(struct backend *b, const struct call *c, const char *name, struct secret *out, struct error *err)
{
	HTTP_REPLY(reply);
	AUTO_JSON(json);
	AUTO_TEXT(path);
	SECRET(text);

	path = vault_path(b->data, name);
	if (path == NULL)
		return error_set(err, ENOMEM, "vault: no memory");
	const struct vault_ask ask = { .method = "GET", .path = path, .query = b->v2 ? "version=1" : NULL, .doing = "reading",
	                               .name = name, .needs = "read" };
	int r = vault_ask(b, c, &ask, &reply, err);
	if (r == -ENOENT)
		return explain_absent(b, c, name, &reply, err);
	if (r == 0)
		r = vault_json(b, &ask, &reply, &json, err);
	if (r != 0)
		return r;
	const struct json *data = json_at(json, b->v2 ? "data.data" : "data");
	if (!json_is_object(data))
		return error_set(err, EPROTO, "vault: reading key '%s': the answer has no data: is keystore.vault.version right?",
		                 name);
	if (json_text(json_member(data, name), NULL) == NULL)
		return error_set(err, ENOMSG, "vault: %s was not written by a KES server: it has no text named '%s'", path, name);
	r = json_take_text(json_member(data, name), NULL, &text, err);
	return r != 0 ? r : vault_unwrap(b, c, name, &text, out, err);
}

/* ---- stat ---- */

/* "2026-11-24T11:59:57.288973486Z"; -1: none. */
static int64_t time_parse(const char *text)
{
	struct tm tm = { .tm_isdst = 0 };
	const char *end = text != NULL ? strptime(text, "%Y-%m-%dT%H:%M:%S", &tm) : NULL;

	return end != NULL && (*end == 'Z' || *end == '.') ? (int64_t)timegm(&tm) : -1;
}

/* KV v1 keeps no times: all that can be told is whether the key is there. */
static int stat_v1(struct backend *b, const struct call *c, const char *name, backend_emit *emit, void *arg,
                   struct error *err)
{
	HTTP_REPLY(reply);
	AUTO_TEXT(path);

	path = vault_path(b->data, name);
	if (path == NULL)
		return error_set(err, ENOMEM, "vault: no memory");
	const struct vault_ask ask = { .method = "GET", .path = path, .doing = "reading", .name = name, .needs = "read" };
	int r = vault_ask(b, c, &ask, &reply, err);
	if (r == 0)
		emit(&(struct backend_entry){ .name = name, .created = -1, .changed = -1, .size = -1 }, arg);
	return r;
}

static int stat_metadata(struct backend *b, const struct call *c, const char *name, struct backend_entry *e,
                         struct error *err)
{
	HTTP_REPLY(reply);
	AUTO_JSON(json);
	AUTO_TEXT(path);

	path = vault_path(b->metadata, name);
	if (path == NULL)
		return error_set(err, ENOMEM, "vault: no memory");
	const struct vault_ask ask = { .method = "GET", .path = path, .doing = "looking at", .name = name, .needs = "read" };
	int r = vault_ask(b, c, &ask, &reply, err);
	if (r == 0)
		r = vault_json(b, &ask, &reply, &json, err);
	if (r != 0)
		return r;
	const struct json *first = json_member(json_at(json, "data.versions"), "1");
	const char *deletion = json_text(first, "deletion_time");
	e->created = e->changed = time_parse(json_text(first, "created_time"));
	if (first == NULL || json_bool(first, "destroyed", false) || (deletion != NULL && *deletion != '\0'))
		e->flags = ENTRY_DELETED;
	return 0;
}

/* Who may not read the metadata reads the key. */
static int stat_data(struct backend *b, const struct call *c, const char *name, struct backend_entry *e,
                     struct error *err)
{
	HTTP_REPLY(reply);
	AUTO_JSON(json);
	AUTO_TEXT(path);

	path = vault_path(b->data, name);
	if (path == NULL)
		return error_set(err, ENOMEM, "vault: no memory");
	const struct vault_ask ask = { .method = "GET", .path = path, .query = "version=1", .doing = "reading", .name = name,
	                               .needs = "read" };
	int r = vault_ask(b, c, &ask, &reply, err);
	if (r != 0 && (r != -ENOENT || json_parse(&reply.body, &json, NULL) != 0 || json_at(json, "data.metadata") == NULL))
		return r;
	if (r == 0)
		r = vault_json(b, &ask, &reply, &json, err);
	else
		e->flags = ENTRY_DELETED;
	e->created = e->changed = time_parse(json_text(json, "data.metadata.created_time"));
	return r == -ENOENT ? 0 : r;
}

int vault_stat(struct backend *b, const struct call *c, const char *name, backend_emit *emit, void *arg,
               struct error *err)
{
	struct backend_entry e = { .name = name, .created = -1, .changed = -1, .size = -1 };

	if (!b->v2)
		return stat_v1(b, c, name, emit, arg, err);
	int r = stat_metadata(b, c, name, &e, err);
	if (r == -EACCES)
		r = stat_data(b, c, name, &e, err);
	if (r == 0)
		emit(&e, arg);
	return r;
}
