/* SPDX-License-Identifier: Apache-2.0
 *
 * Creating, replacing and removing keys.  A change is sent once; when its answer is lost, what is there now decides. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/replace.h"
#include "backends/vault_parts.h"

/* A change may use so much of the time that is left; the rest is for finding out what became of it. */
static struct call for_change(const struct call *c)
{
	return (struct call){ .deadline = call_now() + call_left(c) / 3 * 2, .cancel = c->cancel };
}

static int no_memory(const char *name, struct error *err)
{
	return error_set(err, ENOMEM, "vault: no memory for key '%s'", name);
}

/* May this be written at all?  val may be NULL. */
static int writable(const struct backend *b, const char *name, const struct secret *val, struct error *err)
{
	if (!b->write)
		return error_set(err, EROFS, "vault: key '%s' is not changed: the store was opened for reading only", name);
	if (val != NULL && val->len > VAULT_VALUE_MAX)
		return error_set(err, EFBIG, "vault: key '%s' has %zu bytes, and at most %d are stored", name, val->len,
		                 VAULT_VALUE_MAX);
	return 0;
}

/* Something is there, and it is nothing that we wrote. */
static bool is_other(int r)
{
	return r == -EBADMSG || r == -ENOMSG;
}

/* ---- create ---- */

struct creation {
	struct backend *b;
	const char *name;
	const struct secret *val;
	struct secret body;
	bool doubt;                   /* an answer was lost: our value may be there */
	bool unseen;                  /* KV v1: the look that must come before the next try has failed */
};

static int body_make(struct backend *b, const char *name, const struct secret *text, struct secret *body,
                     struct error *err)
{
	int r = b->v2 ? json_format(body, "{%s:{%s:%d},%s:{%s:%S}}", "options", "cas", 0, "data", name, text) :
	                json_format(body, "{%s:%S}", name, text);

	if (r == -EINVAL)
		return error_set(err, EINVAL, "vault: key '%s' is not text, and Vault stores only text", name);
	return r == 0 ? 0 : no_memory(name, err);
}

/* -EINPROGRESS: it may have been done.  *ret_between: that was said by a server between two leaders, which will pass. */
static int put(struct backend *b, const struct call *c, const char *doing, const char *name, const char *needs,
               const struct secret *body, bool *ret_between, struct error *err)
{
	HTTP_REPLY(reply);
	AUTO_TEXT(path);
	AUTO_JSON(json);

	path = vault_path(b->data, name);
	if (path == NULL)
		return no_memory(name, err);
	const struct vault_ask ask = { .method = "PUT", .path = path, .body = body, .change = true, .doing = doing,
	                               .name = name, .needs = needs };
	int r = vault_ask(b, c, &ask, &reply, err);
	*ret_between = r == -EINPROGRESS && reply.status != 0;
	if (r == -ENOENT)
		return error_set(err, EPROTO, "vault: %s key '%s': Vault has no such path: check keystore.vault.engine and version",
		                 doing, name);
	/* A server in trouble may have stored it all the same. */
	if (r == -EHOSTUNREACH && reply.status >= 500)
		return error_set(err, EINPROGRESS, "vault: %s key '%s': Vault is in trouble: %d", doing, name, reply.status);
	if (r == 0 && b->v2 && reply.status == 200) {
		r = vault_json(b, &ask, &reply, &json, err);
		if (r == 0 && json_number(json, "data.version", 1) != 1)
			r = error_set(err, EPROTO, "vault: creating key '%s' made a version that no KES server reads", name);
	}
	return r;
}

/* The name is taken; by what? */
static int explain_taken(struct backend *b, const struct call *c, const char *name, struct error *err)
{
	SECRET(there);
	struct error why = ERROR_INIT;

	if (vault_get(b, c, name, &there, &why) != -ENOENT)
		return error_set(err, EEXIST, "vault: there is a key '%s' already", name);
	return error_set(err, EBUSY, "vault: the name '%s' is not free: %s", name, why.text);
}

/* 0: ours is there; -EEXIST: another is; -ENOENT: nothing is. */
static int compare(struct creation *n, const struct call *c, struct error *err)
{
	SECRET(there);
	int r = vault_get(n->b, c, n->name, &there, err);

	if (is_other(r) || (r == 0 && !secret_equal(&there, n->val)))
		return error_set(err, EEXIST, "vault: another host stored a key '%s' first", n->name);
	return r;
}

/* After a try that ended in r: 0 and -errno are the outcome, 1 means that it should be tried again. */
static int settle(struct creation *n, const struct call *c, int r, struct error *err)
{
	struct error why = ERROR_INIT;

	n->doubt |= r == -EINPROGRESS;
	if (r == 0)
		return 0;
	if (r == -EEXIST && !n->doubt)
		return explain_taken(n->b, c, n->name, err);
	if (!n->doubt)
		return r == -EAGAIN ? 1 : r;
	int found = compare(n, c, &why);
	if (found == 0)
		return 0;
	if (found == -EEXIST)
		return error_set(err, EEXIST, "%s", why.text);
	n->unseen = !n->b->v2 && found != -ENOENT;
	return 1;
}

/* On KV v2 the condition makes it safe to send it again; on KV v1 it is the same value, after a look that found none:
 * while looking fails, nothing is sent. */
static int create_settled(struct creation *n, const struct call *c, struct error *err)
{
	const struct call settling = { .deadline = c->deadline };
	struct call change = for_change(c);
	struct retry again = retry_start(0);

	for (;;) {
		bool between = false;
		int64_t wait;
		int r = n->unseen ? -EINPROGRESS : put(n->b, &change, "creating", n->name, "create", &n->body, &between, err);
		r = settle(n, &settling, r, err);
		if (r <= 0)
			return r;
		wait = between ? retry_delay(1, retry_random()) : retry_next(&again, retry_random());
		if (wait < 0 || call_sleep(&settling, wait, false) != 0)
			break;
		change = for_change(&settling);
	}
	if (n->doubt)
		return error_set(err, EINPROGRESS, "vault: whether key '%s' was created is not known: Vault did not answer", n->name);
	return error_set(err, EAGAIN, "vault: creating key '%s': Vault asks to wait, and the time is over", n->name);
}

/* KV v1 has no condition.  Only a policy that grants "create" without "update" closes the gap behind this look. */
static int look_first(struct backend *b, const struct call *c, const char *name, struct error *err)
{
	SECRET(there);
	int r = vault_get(b, c, name, &there, err);

	if (r == -ENOENT)
		return 0;
	return r == 0 || is_other(r) ? error_set(err, EEXIST, "vault: there is a key '%s' already", name) : r;
}

int vault_create(struct backend *b, const struct call *c, const char *name, const struct secret *val, struct error *err)
{
	SECRET(text);
	struct creation n = { .b = b, .name = name, .val = val, .body = SECRET_INIT };
	int r = writable(b, name, val, err);

	if (r == 0)
		r = vault_wrap(b, c, name, val, &text, err);
	if (r == 0)
		r = body_make(b, name, &text, &n.body, err);
	if (r == 0 && !b->v2)
		r = look_first(b, c, name, err);
	if (r == 0)
		r = create_settled(&n, c, err);
	/* Refused on KV v1: since somebody was quicker, and the policy does not allow to overwrite his? */
	if (r == -EACCES && !b->v2 && look_first(b, c, name, NULL) == -EEXIST)
		r = error_set(err, EEXIST, "vault: another host stored a key '%s' first", name);
	secret_wipe(&n.body);
	return r;
}

/* ---- remove ---- */

/* Vault says 204 whether or not there was anything, so it is asked first.  *entry tells this entry from a newer one
 * of the name: when it was made, or its value where there is no such time or it may not be read. */
static int entry_look(struct backend *b, const struct call *c, const char *name, struct secret *entry,
                      struct error *err)
{
	HTTP_REPLY(reply);
	AUTO_JSON(json);
	AUTO_TEXT(path);
	int r = -EACCES;

	path = vault_path(b->metadata, name);
	if (path == NULL)
		return no_memory(name, err);
	const struct vault_ask ask = { .method = "GET", .path = path, .doing = "looking at", .name = name, .needs = "read" };
	if (b->v2)
		r = vault_ask(b, c, &ask, &reply, err);
	if (r == 0)
		r = vault_json(b, &ask, &reply, &json, err);
	if (r == 0)
		return json_take_text(json, "data.created_time", entry, err);
	if (r == -EACCES)
		r = vault_get(b, c, name, entry, err);
	return is_other(r) ? 0 : r;
}

static int removal(struct backend *b, const struct call *c, const char *name, struct error *err)
{
	HTTP_REPLY(reply);
	AUTO_TEXT(path);

	path = vault_path(b->metadata, name);
	if (path == NULL)
		return no_memory(name, err);
	/* Sent again by itself it might hit a newer key: so it is a change. */
	const struct vault_ask ask = { .method = "DELETE", .path = path, .change = true, .doing = "removing", .name = name,
	                               .needs = "delete" };
	int r = vault_ask(b, c, &ask, &reply, err);
	if (r == -EHOSTUNREACH && reply.status >= 500)
		return error_set(err, EINPROGRESS, "vault: removing key '%s': Vault is in trouble: %d", name, reply.status);
	return r == -ENOENT ? 0 : r;
}

/* After a lost answer: 0 gone, or another one is there now, which is not ours to delete; -EINPROGRESS not known; 1 it
 * is still there. */
static int removal_check(struct backend *b, const struct call *c, const char *name, const struct secret *entry)
{
	SECRET(now);
	int r = entry_look(b, c, name, &now, NULL);

	if (r == -ENOENT || (r == 0 && !secret_equal(entry, &now)))
		return 0;
	return r == 0 ? 1 : -EINPROGRESS;
}

int vault_remove(struct backend *b, const struct call *c, const char *name, struct error *err)
{
	const struct call settling = { .deadline = c->deadline };
	struct call change = for_change(c);
	struct retry again = retry_start(0);
	SECRET(entry);
	int r = writable(b, name, NULL, err);

	if (r == 0)
		r = entry_look(b, c, name, &entry, err);
	if (r == 0)
		r = removal(b, &change, name, err);
	while (r == -EINPROGRESS || r == 1) {
		r = removal_check(b, &settling, name, &entry);
		if (r == 0)
			return 0;
		int64_t wait = retry_next(&again, retry_random());
		if (wait < 0 || call_sleep(&settling, wait, false) != 0)
			return error_set(err, EINPROGRESS, "vault: whether key '%s' was removed is not known: Vault did not answer", name);
		change = for_change(&settling);
		if (r == 1)
			r = removal(b, &change, name, err);
	}
	return r;
}

/* ---- replace ---- */

/* KV v1: one PUT.  What is there afterwards decides when the answer is lost. */
static int replace_v1(struct backend *b, const struct call *c, const char *name, const struct secret *old,
                      const struct secret *val, struct error *err)
{
	const struct call settling = { .deadline = c->deadline };
	struct retry again = retry_start(0);
	SECRET(text);
	SECRET(body);
	int r = vault_wrap(b, c, name, val, &text, err);

	if (r == 0)
		r = body_make(b, name, &text, &body, err);
	for (bool sent = false; r == 0; sent = true) {
		SECRET(there);
		struct call change = for_change(sent ? &settling : c);
		bool between = false;
		r = vault_get(b, sent ? &settling : c, name, &there, err);
		if (r == 0 && secret_equal(&there, val))
			return 0;
		if (r == -ENOENT || (r == 0 && !secret_equal(&there, old)))
			return error_set(err, ESTALE, "vault: key '%s' was %s by somebody else meanwhile", name,
			                 r == 0 ? "changed" : "removed");
		if (r == 0)
			r = put(b, &change, "replacing", name, "update", &body, &between, err);
		if (r == 0)
			return 0;
		int64_t wait = between ? retry_delay(1, retry_random()) :
		               r == -EINPROGRESS || sent ? retry_next(&again, retry_random()) : -1;
		if (wait < 0 || call_sleep(&settling, wait, false) != 0)
			return r;
		r = 0;
	}
	return r;
}

/* Deleting what can then not be created would lose the key.  capabilities-self tells; where it may not be asked, a
 * create with a condition that never holds is refused by the policy or by the condition, and writes nothing. */
static int may_create(struct backend *b, const struct call *c, const char *name, struct error *err)
{
	HTTP_REPLY(reply);
	SECRET(body);
	AUTO_TEXT(path);
	AUTO_TEXT(other);
	bool may = false;

	path = vault_path(b->data, name);
	if (path == NULL)
		return no_memory(name, err);
	int r = vault_may(b, c, path, "create", &may, err);
	if (r == 0 && !may)
		return error_set(err, EACCES, "vault: replacing key '%s' was refused: the policy needs 'create' on %s", name, path);
	if (r != -EACCES)
		return r;
	other = vault_path(b->data, "kesfs-probe");
	if (other == NULL || json_format(&body, "{%s:{%s:%d},%s:{}}", "options", "cas", 1000000, "data") != 0)
		return no_memory(name, err);
	const struct vault_ask ask = { .method = "PUT", .path = other, .body = &body, .change = true, .harmless = true,
	                               .doing = "replacing", .name = name, .needs = "create" };
	r = vault_ask(b, c, &ask, &reply, err);
	return r == -EEXIST ? 0 : r == 0 ? error_set(err, EPROTO, "vault: replacing key '%s': conditions are not obeyed",
	                                             name) : r;
}

int vault_replace(struct backend *b, const struct call *c, const char *name, const struct secret *old,
                  const struct secret *val, struct error *err)
{
	static const struct replace_steps steps = { .get = vault_get, .remove = vault_remove, .create = vault_create };

	int r = writable(b, name, val, err);

	if (r != 0)
		return r;
	if (!b->v2)
		return replace_v1(b, c, name, old, val, err);
	r = may_create(b, c, name, err);
	return r != 0 ? r : replace_run(&steps, b, c, name, old, val, err);
}
