/* SPDX-License-Identifier: Apache-2.0
 *
 * A store in memory that keeps the contract of backend.h, put around a directory store by the hook of fs/store.c.  The
 * model knows which change must come, and each call is held against that: this is where "nothing is stored that should
 * not be" is checked. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fs/store.h"
#include "tests/fuzz/operations/model.h"
#include "tests/fuzz/operations/world.h"

struct backend {
	struct backend_ops ops;
	const struct backend_ops *inner;
	struct backend *handle;
};

static struct {
	bool has[KEYS];
	struct bytes values[KEYS];
	int fail;
	bool late;                    /* the failure comes after the effect */
	void (*during)(void);
	bool after;
} store;

void store_put(int name, const struct bytes *value)
{
	store.has[name] = value != NULL;
	if (value != NULL)
		store.values[name] = *value;
}

const struct bytes *store_has(int name)
{
	return name < KEYS && store.has[name] ? &store.values[name] : NULL;
}

void store_fail(int code, bool late)
{
	store.fail = code;
	store.late = late;
}

void store_during(void (*run)(void), bool after)
{
	store.during = run;
	store.after = after;
}

static void other_operations(bool after)
{
	void (*run)(void) = store.during;

	if (run == NULL || store.after != after)
		return;
	store.during = NULL;
	struct op *running = world.running;
	world.running = NULL;
	run();
	world.running = running;
}

/* --- a call in its parts: what is expected, what else happens, the effect, the failure ---------------------------- */

static struct bytes value_of(const struct secret *s)
{
	struct bytes b = { .len = s != NULL ? s->len : 0 };

	CHECK(b.len <= LIMIT);
	if (b.len > 0)
		memcpy(b.at, s->bytes, b.len);
	return b;
}

static void expected(enum store_call call, const char *name, const struct secret *val, const struct secret *old)
{
	struct op *op = world.running;
	struct bytes value = value_of(val), before = value_of(old);

	CHECK(op != NULL);
	CHECK(op->want.call == call);
	CHECK(op->want.name == name_index(name));
	CHECK(bytes_same(&op->want.value, &value));
	CHECK(bytes_same(&op->want.old, &before));
	op->want.call = CALL_NONE;
}

static int taken_failure(bool late)
{
	/* That one is replace()'s alone. */
	int code = store.late == late && store.fail != ENOTRECOVERABLE ? store.fail : 0;

	if (code != 0)
		store.fail = 0;
	return code;
}

#define STORE_CALL(CALL, NAME, VAL, OLD, EFFECT) do {                                         \
	struct op *op = world.running;                                                        \
	int at, code;                                                                         \
	struct bytes got = { .len = 0 };                                                      \
	expected(CALL, NAME, VAL, OLD);                                                       \
	at = name_index(NAME);                                                                \
	code = taken_failure(false);                                                          \
	other_operations(false);                                                              \
	if (store.has[at] && CALL == CALL_GET)                                                \
		got = store.values[at];                                                       \
	int result = code != 0 ? -code : (EFFECT);                                            \
	other_operations(true);                                                               \
	if (result == 0 && (code = taken_failure(true)) != 0)                                 \
		result = -code;                                                               \
	model_called(op, CALL, result, &got);                                                 \
	return result == 0 ? 0 : error_set(err, -result, "store: '%s' was made to fail", NAME); \
} while (0)

static int effect_get(int at, struct secret *out)
{
	return store.has[at] ? secret_append(out, store.values[at].at, store.values[at].len) : -ENOENT;
}

static int effect_create(int at, const struct secret *val)
{
	if (store.has[at])
		return -EEXIST;
	store.has[at] = true;
	store.values[at] = value_of(val);
	return 0;
}

static int effect_replace(int at, const struct secret *val, const struct secret *old)
{
	struct bytes before = value_of(old);

	if (!store.has[at] || !bytes_same(&store.values[at], &before))
		return -ESTALE;
	/* As a store that removes before it creates may end. */
	if (store.fail == ENOTRECOVERABLE) {
		store.has[at] = false;
		store.fail = 0;
		return -ENOTRECOVERABLE;
	}
	store.values[at] = value_of(val);
	return 0;
}

static int effect_remove(int at)
{
	CHECK(world.options.remove);
	if (!store.has[at])
		return -ENOENT;
	store.has[at] = false;
	return 0;
}

static int get_call(const char *name, struct secret *out, struct error *err)
{
	STORE_CALL(CALL_GET, name, NULL, NULL, effect_get(at, out));
}

static int memory_get(struct backend *b, const struct call *c, const char *name, struct secret *out, struct error *err)
{
	int r = get_call(name, out, err);

	if (r != 0)
		secret_wipe(out);
	return r;
}

static int memory_create(struct backend *b, const struct call *c, const char *name, const struct secret *val,
                         struct error *err)
{
	if (world.ending)
		return effect_create(name_index(name), val);
	STORE_CALL(CALL_CREATE, name, val, NULL, effect_create(at, val));
}

static int memory_replace(struct backend *b, const struct call *c, const char *name, const struct secret *old,
                          const struct secret *val, struct error *err)
{
	STORE_CALL(CALL_REPLACE, name, val, old, effect_replace(at, val, old));
}

static int memory_remove(struct backend *b, const struct call *c, const char *name, struct error *err)
{
	STORE_CALL(CALL_REMOVE, name, NULL, NULL, effect_remove(at));
}

/* --- the rest ---------------------------------------------------------------------------------------------------- */

static int memory_status(struct backend *b, const struct call *c, struct error *err)
{
	return 0;
}

static int memory_identity(struct backend *b, const struct call *c, char **ret, struct error *err)
{
	*ret = strdup("memory");
	return 0;
}

static int memory_list(struct backend *b, const struct call *c, const char *prefix, char **cursor, backend_emit *emit,
                       void *arg, struct error *err)
{
	struct op *op = world.running;

	other_operations(false);
	for (int i = 0; i < KEYS; i++)
		if (store.has[i]) {
			emit(&(struct backend_entry){ .name = names[i], .created = -1, .changed = -1, .size = -1 }, arg);
			if (op != NULL)
				op->flags |= 1u << i;
		}
	other_operations(true);
	return 0;
}

static int memory_stat(struct backend *b, const struct call *c, const char *name, backend_emit *emit, void *arg,
                       struct error *err)
{
	if (!store.has[name_index(name)])
		return error_set(err, ENOENT, "store: no '%s'", name);
	emit(&(struct backend_entry){ .name = name, .created = -1, .changed = -1, .size = -1 }, arg);
	return 0;
}

static unsigned memory_caps(struct backend *b)
{
	return BACKEND_READ | BACKEND_WRITE | BACKEND_REPLACE | (world.local ? BACKEND_LOCAL : 0);
}

static void memory_close(struct backend *b)
{
	b->inner->close(b->handle);
	free(b);
}

static int memory_wrap(struct store *s, struct error *err)
{
	struct backend *b = calloc(1, sizeof *b);

	CHECK(b != NULL);
	b->inner = s->ops;
	b->handle = s->handle;
	b->ops = (struct backend_ops){
		.name = "memory", .name_max = 80, .value_max = LIMIT, .close = memory_close, .status = memory_status,
		.caps_now = memory_caps, .identity = memory_identity, .list = memory_list, .stat = memory_stat,
		.get = memory_get, .create = memory_create, .replace = memory_replace, .remove = memory_remove,
	};
	s->ops = &b->ops;
	s->handle = b;
	return 0;
}

void store_start(void)
{
	memset(&store, 0, sizeof store);
	store_wrap = memory_wrap;
}
