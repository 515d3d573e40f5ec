/* SPDX-License-Identifier: Apache-2.0
 *
 * A layer around any store that lets its calls be slow, fail, hang, get lost or lie, as $KESFS_FAULT says (README.md).
 * It is in test programs only: it hooks into store_wrap before main() runs. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "backends/replace.h"
#include "fs/store.h"
#include "tests/fault/rules.h"

#define HOLD_PAUSE_NS INT64_C(3000000)

struct backend {
	struct backend_ops ops;               /* what the program sees */
	const struct backend_ops *inner;
	struct backend *handle;
	char *label, *where;
	unsigned caps_off;
	int log;
};

/* --- what happens ----------------------------------------------------------------------------------------------- */

static void note(struct backend *b, const char *event, const char *op, const char *name, int r)
{
	char line[512];
	int len;

	if (b->log < 0)
		return;
	len = snprintf(line, sizeof line, "%s %s %s %s\n", event, op, *name != '\0' ? name : "-",
		       r != 0 ? error_symbol(-r) : "0");
	if (len > 0 && write(b->log, line, (size_t)len) != len)
		abort();
}

/* 0, or what a call that was made to wait so long ends with.  A change that is under way is not cancelled. */
static int waits(const struct fault *f, const struct call *c, bool change)
{
	int r = f->delay_ms > 0 ? call_sleep(c, f->delay_ms * 1000000, !change) : 0;

	while (r == 0 && f->hold && access(f->hold_file, F_OK) == 0)
		r = call_sleep(c, HOLD_PAUSE_NS, !change);
	if (r == 0 && f->hang)
		do
			r = call_sleep(c, INT64_C(3600000000000), !change);
		while (r == 0);
	return r;
}

static int before(struct backend *b, const struct call *c, const char *op, const char *name, bool change,
		  struct fault *f, struct error *err)
{
	rules_match(b->label, b->where, op, name, f);
	note(b, "begin", op, name, 0);
	int r = waits(f, c, change);
	if (r != 0)
		return error_set(err, -r, "fault: %s '%s' was made to wait", op, name);
	return f->fail ? error_set(err, f->code, "fault: %s '%s' was made to fail", op, name) : 0;
}

static int after(struct backend *b, const struct call *c, const char *op, const char *name, const struct fault *f,
		 int r, struct error *err)
{
	if (r == 0 && f->lose) {
		call_sleep(c, INT64_C(3600000000000), false);
		r = error_set(err, ETIMEDOUT, "fault: the answer to %s '%s' was lost", op, name);
	} else if (r == 0 && f->late) {
		r = error_set(err, f->code, "fault: %s '%s' was done and is said to have failed", op, name);
	}
	note(b, "end", op, name, r);
	return r;
}

/* A call in three parts; CALL is what the store itself is asked. */
#define THROUGH(op, name, change, CALL) do {                                          \
	struct fault f;                                                               \
	struct call sent = { .deadline = c->deadline };                               \
	int r = before(b, c, op, name, change, &f, err);                              \
	if ((change) && (f.hold || f.delay_ms > 0))                                   \
		c = &sent;       /* it counts as sent: a cancel comes too late */     \
	if (r == 0 && !((change) && f.lie))                                           \
		r = (CALL);                                                           \
	return after(b, c, op, name, &f, r, err);                                     \
} while (0)

/* --- the operations --------------------------------------------------------------------------------------------- */

static int fault_status(struct backend *b, const struct call *c, struct error *err)
{
	THROUGH("status", "", false, b->inner->status(b->handle, c, err));
}

static int fault_identity(struct backend *b, const struct call *c, char **ret, struct error *err)
{
	return b->inner->identity(b->handle, c, ret, err);
}

static int fault_list(struct backend *b, const struct call *c, const char *prefix, char **cursor, backend_emit *emit,
		      void *arg, struct error *err)
{
	THROUGH("list", "", false, b->inner->list(b->handle, c, prefix, cursor, emit, arg, err));
}

static int fault_stat(struct backend *b, const struct call *c, const char *name, backend_emit *emit, void *arg,
		      struct error *err)
{
	THROUGH("stat", name, false, b->inner->stat(b->handle, c, name, emit, arg, err));
}

static int fault_get(struct backend *b, const struct call *c, const char *name, struct secret *out, struct error *err)
{
	struct fault f;
	int r = before(b, c, "get", name, false, &f, err);

	if (r == 0)
		r = b->inner->get(b->handle, c, name, out, err);
	if (r == 0 && f.flip && out->len > 0)
		out->bytes[out->len / 2] ^= 1;
	r = after(b, c, "get", name, &f, r, err);
	if (r != 0)
		secret_wipe(out);
	return r;
}

static int fault_create(struct backend *b, const struct call *c, const char *name, const struct secret *val,
			struct error *err)
{
	THROUGH("create", name, true, b->inner->create(b->handle, c, name, val, err));
}

static int fault_remove(struct backend *b, const struct call *c, const char *name, struct error *err)
{
	THROUGH("remove", name, true, b->inner->remove(b->handle, c, name, err));
}

static int fault_replace(struct backend *b, const struct call *c, const char *name, const struct secret *old,
			 const struct secret *val, struct error *err)
{
	static const struct replace_steps steps = { fault_get, fault_remove, fault_create };

	if (b->caps_off & BACKEND_REPLACE)
		return replace_run(&steps, b, c, name, old, val, err);
	THROUGH("replace", name, true, b->inner->replace(b->handle, c, name, old, val, err));
}

static unsigned fault_caps(struct backend *b)
{
	unsigned caps = b->inner->caps_now != NULL ? b->inner->caps_now(b->handle) : b->inner->caps;

	return caps & ~b->caps_off;
}

static int fault_probe(struct backend *b, const struct call *c,
		       void (*say)(bool may, const char *what, const char *sentence, void *arg), void *arg, struct error *err)
{
	return b->inner->probe(b->handle, c, say, arg, err);
}

static void fault_describe(struct backend *b, char *buf, size_t size)
{
	b->inner->describe(b->handle, buf, size);
}

static void fault_counts(struct backend *b, struct backend_counts *ret)
{
	b->inner->counts(b->handle, ret);
}

static void fault_close(struct backend *b)
{
	if (b == NULL)
		return;
	b->inner->close(b->handle);
	if (b->log >= 0)
		close(b->log);
	free(b->label);
	free(b->where);
	free(b);
}

/* --- the hook --------------------------------------------------------------------------------------------------- */

static void ops_make(struct backend *b)
{
	b->ops = *b->inner;
	b->ops.caps &= ~b->caps_off;
	b->ops.close = fault_close;
	b->ops.caps_now = fault_caps;
	b->ops.status = fault_status;
	b->ops.identity = fault_identity;
	b->ops.list = fault_list;
	b->ops.stat = b->inner->stat != NULL ? fault_stat : NULL;
	b->ops.get = b->inner->get != NULL ? fault_get : NULL;
	b->ops.create = b->inner->create != NULL ? fault_create : NULL;
	b->ops.replace = b->inner->replace != NULL ? fault_replace : NULL;
	b->ops.remove = b->inner->remove != NULL ? fault_remove : NULL;
	b->ops.probe = b->inner->probe != NULL ? fault_probe : NULL;
	b->ops.describe = b->inner->describe != NULL ? fault_describe : NULL;
	b->ops.counts = b->inner->counts != NULL ? fault_counts : NULL;
}

static int fault_wrap(struct store *s, struct error *err)
{
	const char *log = getenv("KESFS_FAULT_LOG");
	struct backend *b = calloc(1, sizeof *b);

	if (b == NULL)
		return error_set(err, ENOMEM, "no memory");
	if (!rules_load()) {
		free(b);
		return error_set(err, EINVAL, "KESFS_FAULT cannot be read");
	}
	b->inner = s->ops;
	b->handle = s->handle;
	b->label = strdup(s->label);
	b->where = strdup(s->where);
	b->log = log != NULL ? open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600) : -1;
	if (!rules_store(s->label, s->where, ACTION_LOCAL))
		b->caps_off = BACKEND_LOCAL;  /* it may be made to wait now */
	if (rules_store(s->label, s->where, ACTION_GAP))
		b->caps_off |= BACKEND_REPLACE;
	if (rules_store(s->label, s->where, ACTION_BLIND))
		b->caps_off |= BACKEND_READ;
	ops_make(b);
	s->ops = &b->ops;
	s->handle = b;
	return 0;
}

__attribute__((constructor)) static void fault_hook(void)
{
	if (rules_any())
		store_wrap = fault_wrap;
}
