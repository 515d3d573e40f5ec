/* SPDX-License-Identifier: Apache-2.0
 *
 * Listing: one answer whatever its size, read as it streams in; on OpenBao's KV v2 page by page. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/json_keys.h"
#include "backends/vault_parts.h"

/* Vault ignores the limit and sends all.  An OpenBao policy may set a pagination_limit and refuse more than that. */
static const unsigned page_sizes[] = { 10000, 1000, 100 };
enum { PAGE_SIZES = sizeof page_sizes / sizeof *page_sizes };

struct page {
	struct json_keys *keys;
	backend_emit *emit;
	void *arg;
	const char *after;            /* NULL: the first page */
	size_t count;
	bool whole;                   /* names that are not behind after: the server does not page */
	bool enough;
	bool no_memory;
	char *last;
};

static bool take(const char *name, size_t len, void *arg)
{
	struct page *p = arg;
	struct backend_entry e = { .name = name, .created = -1, .changed = -1, .size = -1 };

	if (strlen(name) != len)
		e.flags |= ENTRY_FOREIGN;             /* a zero byte inside */
	if (len > 0 && name[len - 1] == '/')
		e.flags |= ENTRY_FOLDER;
	if (p->after != NULL && strcmp(name, p->after) <= 0)
		p->whole = true;
	p->count++;
	if (p->last == NULL || strcmp(p->last, name) < 0) {
		free(p->last);
		p->last = strdup(name);
		p->no_memory |= p->last == NULL;
	}
	p->enough = !p->emit(&e, p->arg);
	return !p->enough;
}

static void page_begin(void *arg)
{
	struct page *p = arg;

	json_keys_begin(p->keys);
	p->count = 0;
	p->whole = false;
	free(p->last);
	p->last = NULL;
}

static int page_bytes(void *arg, const char *bytes, size_t len, struct error *err)
{
	struct page *p = arg;
	int r = json_keys_feed(p->keys, bytes, len, err);

	if (r != 0)
		return error_prefix(err, "vault: the listing");
	return p->enough ? 1 : 0;
}

/* 0: *ret_status is 200 or 404 (nothing there). */
static int page_ask(struct backend *b, const struct call *c, unsigned size, struct page *p, struct error *err)
{
	const struct http_sink sink = { .begin = page_begin, .bytes = page_bytes, .arg = p };
	HTTP_REPLY(reply);
	AUTO_TEXT(path);
	AUTO_TEXT(query);
	AUTO_TEXT(doing);
	AUTO_TEXT(after);

	after = http_escape(p->after != NULL ? p->after : "");
	path = vault_path(b->metadata, "");
	doing = path != NULL ? text_format("listing %s", path) : NULL;
	query = !b->v2 ? strdup("list=true") :
	        p->after == NULL ? text_format("list=true&limit=%u", size) :
	        after != NULL ? text_format("list=true&limit=%u&after=%s", size, after) : NULL;
	if (doing == NULL || query == NULL)
		return error_set(err, ENOMEM, "vault: no memory");
	const struct vault_ask ask = { .method = "GET", .path = path, .query = query, .sink = &sink, .doing = doing,
	                               .needs = "list" };
	int r = vault_ask(b, c, &ask, &reply, err);
	if (r == -ENOENT) {
		page_begin(p);
		return 0;
	}
	/* An empty folder is a 404, or data without keys where Vault has something to say about the limit. */
	if (r == 0 && !p->enough && !json_keys_none(p->keys))
		r = json_keys_end(p->keys, err) != 0 ? error_prefix(err, "vault: the listing") : 0;
	return r == 0 && p->no_memory ? error_set(err, ENOMEM, "vault: no memory for the listing") : r;
}

/* The cursor: which page size this server allows, and the last name so far. */
static int cursor_read(const char *cursor, unsigned *ret_index, const char **ret_after)
{
	*ret_index = 0;
	*ret_after = NULL;
	if (cursor == NULL)
		return 0;
	if (*cursor < '0' || *cursor >= '0' + PAGE_SIZES || cursor[1] != ':')
		return -EINVAL;
	*ret_index = (unsigned)(*cursor - '0');
	*ret_after = cursor + 2;
	return 0;
}

int vault_list(struct backend *b, const struct call *c, const char *prefix, char **cursor, backend_emit *emit,
               void *arg, struct error *err)
{
	struct page p = { .emit = emit, .arg = arg };
	unsigned index;
	char *next = NULL;

	if (cursor_read(*cursor, &index, &p.after) != 0)
		return error_set(err, EINVAL, "vault: a mark in a listing that is not ours");
	p.keys = json_keys_new("data.keys", take, &p);
	if (p.keys == NULL)
		return error_set(err, ENOMEM, "vault: no memory for the listing");
	int r = page_ask(b, c, page_sizes[index], &p, err);
	while (r == -EACCES && b->v2 && index + 1 < PAGE_SIZES)
		r = page_ask(b, c, page_sizes[++index], &p, err);
	/* More than was asked for, or what is not behind the mark, comes from a server that does not page. */
	if (r == 0 && b->v2 && !p.whole && !p.enough && p.count == page_sizes[index]) {
		next = text_format("%u:%s", index, p.last);
		r = next != NULL ? 0 : error_set(err, ENOMEM, "vault: no memory for the listing");
	}
	json_keys_free(p.keys);
	free(p.last);
	if (r != 0)
		return r;
	free(*cursor);
	*cursor = next;
	return 0;
}
