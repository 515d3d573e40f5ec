/* SPDX-License-Identifier: Apache-2.0
 *
 * Kept in one list: removed keys by process, and lost ones until they are back. */
#include "fs/mount/held.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fs/mount/commit.h"
#include "fs/mount/request.h"

enum { HELD_MAX = 32 };
#define AGAIN_NS (INT64_C(5) * SECOND_NS)

struct held {
	struct held *next;            /* volume->held; guarded by its lock, as is the rest but the value */
	char *name;
	struct secret value;
	uid_t uid;
	pid_t pid;
	int64_t since, tried;         /* monotonic: of the removal, of the last try to put it back */
	bool lost, busy, last;        /* missing in the store; being put back; the mount ends, and it was tried once more */
};

struct held *held_new(struct volume *v, const char *name, struct secret *value, uid_t uid, pid_t pid)
{
	struct held *h = calloc(1, sizeof *h);

	if (h == NULL || (h->name = strdup(name)) == NULL) {
		free(h);
		return NULL;
	}
	secret_move(&h->value, value);
	h->uid = uid;
	h->pid = pid;
	h->since = call_now();
	return h;
}

void held_free(struct held *h)
{
	if (h == NULL)
		return;
	secret_wipe(&h->value);
	free(h->name);
	free(h);
}

/* Lock held. */
static void held_remove(struct volume *v, struct held *h)
{
	struct held **p = &v->held;

	while (*p != h)
		p = &(*p)->next;
	*p = h->next;
	h->next = NULL;
}

struct held *held_keep(struct volume *v, struct held *h)
{
	struct held *drop = NULL, *last = NULL;
	size_t count = 0;

	for (struct held *o = v->held; o != NULL; o = o->next)
		if (!o->lost) {
			count++;
			last = o;
			/* 0: somebody outside of our process namespace, and there are many of them. */
			if (h->pid != 0 && o->uid == h->uid && o->pid == h->pid)
				drop = o;
		}
	if (drop == NULL && count >= HELD_MAX)
		drop = last;
	if (drop != NULL)
		held_remove(v, drop);
	h->next = v->held;
	v->held = h;
	return drop;
}

struct held *held_take(struct volume *v, const char *name, uid_t uid, pid_t pid)
{
	for (struct held *h = v->held; h != NULL; h = h->next)
		if (!h->lost && h->uid == uid && h->pid == pid && strcmp(h->name, name) == 0 &&
		    call_now() - h->since < HELD_NS) {
			held_remove(v, h);
			return h;
		}
	return NULL;
}

/* --- putting back ------------------------------------------------------------------------------------------------ */

/* 0: the key is there, ours or a newer one of somebody else. */
static int held_create(struct volume *v, const struct call *c, struct held *h, struct error *err)
{
	int64_t began = volume_call_begin(v);
	int r = v->store.ops->create(v->store.handle, c, h->name, &h->value, err);

	volume_call_end(v, began, r, err);
	return r == -EEXIST ? 0 : r;
}

/* It is back.  Lock held. */
static void held_back(struct volume *v, struct held *h)
{
	struct backend_entry entry = { .name = h->name, .created = -1, .changed = -1, .size = -1 };
	struct node *n = volume_learn(v, &entry);

	if (n != NULL)
		n->touched = call_now();
	volume_names_changed(v);
}

static int restore_work(struct request *r, struct error *err)
{
	return held_create(r->volume, &r->call, r->held, err);
}

static void restore_finish(struct request *r, int result, struct error *err)
{
	struct volume *v = r->volume;
	struct held *h = r->held;

	volume_log(v, "restore", h->name, h->uid, h->pid, result, result == 0 ? "the old value is back" : err->text);
	pthread_mutex_lock(&v->lock);
	h->busy = false;
	h->tried = call_now();
	if (result == 0) {
		held_back(v, h);
		held_remove(v, h);
		v->lost--;
	}
	pthread_mutex_unlock(&v->lock);
	if (result == 0)
		held_free(h);
	else
		log_line(LOG_LEVEL_ERROR, "key '%s' is missing in %s and its old value could not be put back yet: do not stop "
		         "this process; it tries again", h->name, v->store.label);
}

/* h is in the list, lost and busy. */
static void restore_start(struct volume *v, struct held *h)
{
	struct request *r = request_new(NULL, v, NULL, restore_work, restore_finish);

	if (r == NULL) {
		pthread_mutex_lock(&v->lock);
		h->busy = false;
		pthread_mutex_unlock(&v->lock);
		return;
	}
	r->held = h;
	r->change = true;
	request_start(r);
}

static void held_lose(struct volume *v, struct held *h, bool busy)
{
	pthread_mutex_lock(&v->lock);
	h->lost = true;
	h->busy = busy;
	h->tried = call_now();
	h->next = v->held;
	v->held = h;
	v->lost++;
	pthread_mutex_unlock(&v->lock);
}

void held_restore(struct volume *v, struct held *h)
{
	if (h == NULL)
		return;
	held_lose(v, h, true);
	restore_start(v, h);
}

void held_restore_now(struct volume *v, struct held *h)
{
	struct error err = ERROR_INIT;

	if (h == NULL)
		return;
	struct call c = volume_call(v, NULL);
	int r = held_create(v, &c, h, &err);
	volume_log(v, "restore", h->name, h->uid, h->pid, r, r == 0 ? "the old value is back" : err.text);
	if (r != 0) {
		held_lose(v, h, false);
		return;
	}
	pthread_mutex_lock(&v->lock);
	held_back(v, h);
	pthread_mutex_unlock(&v->lock);
	held_free(h);
}

void held_tick(struct volume *v, int64_t now)
{
	struct held *due = NULL, *old = NULL;

	pthread_mutex_lock(&v->lock);
	for (struct held *h = v->held; h != NULL; h = h->next)
		if (h->lost && !h->busy && now - h->tried >= AGAIN_NS && due == NULL)
			due = h;
		else if (!h->lost && now - h->since >= HELD_NS && old == NULL)
			old = h;
	if (due != NULL)
		due->busy = true;
	if (old != NULL)
		held_remove(v, old);
	pthread_mutex_unlock(&v->lock);
	held_free(old);
	if (due != NULL)
		restore_start(v, due);
}

void held_last_try(struct volume *v)
{
	struct held *h;

	do {
		pthread_mutex_lock(&v->lock);
		for (h = v->held; h != NULL && (!h->lost || h->busy || h->last); h = h->next)
			;
		if (h != NULL)
			h->busy = h->last = true;
		pthread_mutex_unlock(&v->lock);
		if (h != NULL)
			restore_start(v, h);
	} while (h != NULL);
}

void held_free_all(struct volume *v)
{
	while (v->held != NULL) {
		struct held *h = v->held;

		v->held = h->next;
		held_free(h);
	}
}
