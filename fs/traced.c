/* SPDX-License-Identifier: Apache-2.0
 *
 * The decorator passes every call on and says how it went.  It never sees into a value. */
#include "fs/traced.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fs/log.h"

struct backend {
	struct backend_ops ops;               /* as the store's, with ours in them */
	const struct backend_ops *inner;
	struct backend *handle;
	char *label;
};

static int told(struct backend *b, const char *what, const char *name, int64_t began, int r)
{
	log_area("store", "%s: %s%s%s: %s in %.1f ms", b->label, what, *name != '\0' ? " " : "", name,
		 r == 0 ? "done" : error_symbol(-r), (double)(call_now() - began) / 1e6);
	return r;
}

static void traced_close(struct backend *b)
{
	if (b == NULL)
		return;
	b->inner->close(b->handle);
	free(b->label);
	free(b);
}

static unsigned traced_caps(struct backend *b)
{
	return b->inner->caps_now != NULL ? b->inner->caps_now(b->handle) : b->inner->caps;
}

static int traced_status(struct backend *b, const struct call *c, struct error *err)
{
	int64_t began = call_now();

	return told(b, "status", "", began, b->inner->status(b->handle, c, err));
}

static int traced_identity(struct backend *b, const struct call *c, char **ret, struct error *err)
{
	int64_t began = call_now();

	return told(b, "identity", "", began, b->inner->identity(b->handle, c, ret, err));
}

static int traced_list(struct backend *b, const struct call *c, const char *prefix, char **cursor, backend_emit *emit,
		       void *arg, struct error *err)
{
	int64_t began = call_now();

	return told(b, *cursor == NULL ? "list" : "list, next page", prefix, began,
		    b->inner->list(b->handle, c, prefix, cursor, emit, arg, err));
}

static int traced_stat(struct backend *b, const struct call *c, const char *name, backend_emit *emit, void *arg,
		       struct error *err)
{
	int64_t began = call_now();

	return told(b, "stat", name, began, b->inner->stat(b->handle, c, name, emit, arg, err));
}

static int traced_get(struct backend *b, const struct call *c, const char *name, struct secret *out, struct error *err)
{
	int64_t began = call_now();

	return told(b, "get", name, began, b->inner->get(b->handle, c, name, out, err));
}

static int traced_create(struct backend *b, const struct call *c, const char *name, const struct secret *val,
			 struct error *err)
{
	int64_t began = call_now();

	return told(b, "create", name, began, b->inner->create(b->handle, c, name, val, err));
}

static int traced_replace(struct backend *b, const struct call *c, const char *name, const struct secret *old,
			  const struct secret *val, struct error *err)
{
	int64_t began = call_now();

	return told(b, "replace", name, began, b->inner->replace(b->handle, c, name, old, val, err));
}

static int traced_remove(struct backend *b, const struct call *c, const char *name, struct error *err)
{
	int64_t began = call_now();

	return told(b, "remove", name, began, b->inner->remove(b->handle, c, name, err));
}

static int traced_probe(struct backend *b, const struct call *c,
			void (*say)(bool may, const char *what, const char *sentence, void *arg), void *arg, struct error *err)
{
	int64_t began = call_now();

	return told(b, "probe", "", began, b->inner->probe(b->handle, c, say, arg, err));
}

static void traced_describe(struct backend *b, char *buf, size_t size)
{
	b->inner->describe(b->handle, buf, size);
}

static void traced_counts(struct backend *b, struct backend_counts *ret)
{
	b->inner->counts(b->handle, ret);
}

/* Where the store has no such call there is none here either. */
static struct backend_ops traced_ops(const struct backend_ops *inner)
{
	struct backend_ops ops = *inner;

	ops.close = traced_close;
	ops.caps_now = traced_caps;
	ops.status = traced_status;
	ops.list = traced_list;
	ops.identity = inner->identity != NULL ? traced_identity : NULL;
	ops.stat = inner->stat != NULL ? traced_stat : NULL;
	ops.get = inner->get != NULL ? traced_get : NULL;
	ops.create = inner->create != NULL ? traced_create : NULL;
	ops.replace = inner->replace != NULL ? traced_replace : NULL;
	ops.remove = inner->remove != NULL ? traced_remove : NULL;
	ops.probe = inner->probe != NULL ? traced_probe : NULL;
	ops.describe = inner->describe != NULL ? traced_describe : NULL;
	ops.counts = inner->counts != NULL ? traced_counts : NULL;
	return ops;
}

int traced_wrap(struct store *s, struct error *err)
{
	struct backend *b = calloc(1, sizeof *b);

	if (b != NULL)
		b->label = strdup(s->label);
	if (b == NULL || b->label == NULL) {
		free(b);
		return error_set(err, ENOMEM, "no memory");
	}
	b->inner = s->ops;
	b->handle = s->handle;
	b->ops = traced_ops(s->ops);
	s->ops = &b->ops;
	s->handle = b;
	return 0;
}
