/* SPDX-License-Identifier: Apache-2.0
 *
 * A store to start from when adding one (docs/new-backend.md): it keeps its keys in memory and forgets them.  Compiled
 * with everything else, so that it stays true, but not built into the programs.
 *
 * A real one sends a request where this one takes the lock; a lock must never be held over a network call. */
#include "contrib/new-backend/example.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>


struct key {
	struct key *next;
	char *name;
	struct secret value;
};

/* What would be a service elsewhere; all handles see the same one. */
static struct {
	pthread_mutex_t lock;         /* guards what follows */
	struct key *keys;
} service = { .lock = PTHREAD_MUTEX_INITIALIZER };

enum { VALUE_MAX = 1 << 20 };

struct backend {
	bool write;                   /* opened for changes, too */
	_Atomic uint64_t requests;    /* a real one keeps its address, its login, its HTTP engine here */
};

static void key_free(struct key *k)
{
	if (k == NULL)
		return;
	secret_wipe(&k->value);
	free(k->name);
	free(k);
}

/* The place where a pointer to the key is, or where one to a new key belongs. */
static struct key **key_place(const char *name)
{
	struct key **place = &service.keys;

	while (*place != NULL && strcmp((*place)->name, name) != 0)
		place = &(*place)->next;
	return place;
}

/* --- open, close, status ---------------------------------------------------------------------------------------- */

static int example_open(const struct config_map *cfg, const struct backend_options *o, struct backend **ret,
			struct error *err)
{
	/* Here a module reads its fields (config_text, config_secret, config_duration) and keeps what it needs.  The
	 * schema itself is in backends/config*.c, so wrong and unknown fields were refused before. */
	struct backend *b = calloc(1, sizeof *b);
	if (b == NULL)
		return error_set(err, ENOMEM, "example: out of memory");
	b->write = o->write;
	*ret = b;
	return 0;
}

static void example_close(struct backend *b)
{
	free(b);
}

/* What every call begins with: is there time left, may it be done, and it counts. */
static int begin(struct backend *b, const struct call *c, struct error *err, const char *what)
{
	int r = call_check(c, err, what);
	if (r == 0)
		b->requests++;
	return r;
}

static int begin_change(struct backend *b, const struct call *c, struct error *err, const char *doing, const char *name,
			const struct secret *val)
{
	if (!b->write)
		return error_set(err, EROFS, "example: %s '%s': the store was opened for reading", doing, name);
	if (val != NULL && val->len > VALUE_MAX)
		return error_set(err, EFBIG, "example: %s '%s': %zu bytes, and %d are the most", doing, name, val->len, VALUE_MAX);
	return begin(b, c, err, "example: a change");
}

static int example_status(struct backend *b, const struct call *c, struct error *err)
{
	return begin(b, c, err, "example: status");
}

/* Two handles are the same store exactly if this text is the same. */
static int example_identity(struct backend *b, const struct call *c, char **ret, struct error *err)
{
	*ret = strdup("example");
	if (*ret == NULL)
		return error_set(err, ENOMEM, "example: out of memory");
	return 0;
}

/* --- read ------------------------------------------------------------------------------------------------------- */

/* One page holds them all: *cursor stays NULL.  emit() may take long and must not be called under the lock, so the
 * names are copied first. */
static int example_list(struct backend *b, const struct call *c, const char *prefix, char **cursor,
			backend_emit *emit, void *arg, struct error *err)
{
	char **names = NULL;
	size_t count = 0;
	int r = begin(b, c, err, "example: listing");

	pthread_mutex_lock(&service.lock);
	for (struct key *k = service.keys; k != NULL && r == 0; k = k->next) {
		char **more = realloc(names, (count + 1) * sizeof *names);
		if (more != NULL)
			names = more;
		if (more == NULL || (names[count] = strdup(k->name)) == NULL)
			r = error_set(err, ENOMEM, "example: out of memory while listing");
		else
			count++;
	}
	pthread_mutex_unlock(&service.lock);
	for (size_t i = 0; i < count; i++) {
		struct backend_entry e = { .name = names[i], .created = -1, .changed = -1, .size = -1 };
		if (r == 0 && !emit(&e, arg))
			break;
	}
	for (size_t i = 0; i < count; i++)
		free(names[i]);
	free(names);
	return r;
}

static int example_get(struct backend *b, const struct call *c, const char *name, struct secret *out, struct error *err)
{
	int r = begin(b, c, err, "example: reading");
	if (r != 0)
		return r;
	pthread_mutex_lock(&service.lock);
	struct key *k = *key_place(name);
	if (k == NULL)
		r = error_set(err, ENOENT, "example: reading '%s': no such key", name);
	else if ((r = secret_copy(out, &k->value)) != 0)
		r = error_set(err, -r, "example: reading '%s': out of locked memory", name);
	pthread_mutex_unlock(&service.lock);
	return r;
}

/* --- change ----------------------------------------------------------------------------------------------------- */

/* Looking and creating are one step here because of the lock.  A service has a condition of its own for it ("if none
 * match", cas=0); one that has none sets BACKEND_RACY. */
static int example_create(struct backend *b, const struct call *c, const char *name, const struct secret *val,
			  struct error *err)
{
	int r = begin_change(b, c, err, "creating", name, val);
	if (r != 0)
		return r;
	struct key *k = calloc(1, sizeof *k);
	if (k == NULL || (k->name = strdup(name)) == NULL || secret_copy(&k->value, val) != 0) {
		key_free(k);
		return error_set(err, ENOMEM, "example: creating '%s': out of memory", name);
	}
	pthread_mutex_lock(&service.lock);
	struct key **place = key_place(name);
	bool taken = *place != NULL;
	if (!taken)
		*place = k;
	pthread_mutex_unlock(&service.lock);
	if (!taken)
		return 0;
	key_free(k);
	return error_set(err, EEXIST, "example: creating '%s': a key of this name exists", name);
}

static int example_replace(struct backend *b, const struct call *c, const char *name, const struct secret *old,
			   const struct secret *val, struct error *err)
{
	SECRET(copy);
	int r = begin_change(b, c, err, "replacing", name, val);
	if (r != 0)
		return r;
	if (secret_copy(&copy, val) != 0)
		return error_set(err, ENOMEM, "example: replacing '%s': out of locked memory", name);
	pthread_mutex_lock(&service.lock);
	struct key *k = *key_place(name);
	if (k == NULL || !secret_equal(&k->value, old))
		r = error_set(err, ESTALE, "example: replacing '%s': it was changed meanwhile", name);
	else
		secret_move(&k->value, &copy);
	pthread_mutex_unlock(&service.lock);
	return r;
}

static int example_remove(struct backend *b, const struct call *c, const char *name, struct error *err)
{
	int r = begin_change(b, c, err, "removing", name, NULL);
	if (r != 0)
		return r;
	pthread_mutex_lock(&service.lock);
	struct key **place = key_place(name), *k = *place;
	if (k != NULL)
		*place = k->next;
	pthread_mutex_unlock(&service.lock);
	if (k == NULL)
		return error_set(err, ENOENT, "example: removing '%s': no such key", name);
	key_free(k);
	return 0;
}

static void example_counts(struct backend *b, struct backend_counts *ret)
{
	*ret = (struct backend_counts){ .requests = b->requests };
}

/* stat, probe, describe, caps_now and name_ok may be NULL; backend.h says what that means. */
const struct backend_ops example_backend = {
	.name = "example",
	.summary = "keys in memory, for whoever writes a module",
	.caps = BACKEND_READ | BACKEND_WRITE | BACKEND_REPLACE,
	.name_max = 255,
	.value_max = VALUE_MAX,
	.open = example_open,
	.close = example_close,
	.status = example_status,
	.identity = example_identity,
	.list = example_list,
	.get = example_get,
	.create = example_create,
	.replace = example_replace,
	.remove = example_remove,
	.counts = example_counts,
};
