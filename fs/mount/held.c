/* SPDX-License-Identifier: Apache-2.0
 *
 * Kept in one list: removed keys for as long as their process may want them, and lost ones until they are back. */
#include "fs/mount/held.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fs/mount/commit.h"
#include "fs/mount/request.h"

#define AGAIN_NS (INT64_C(5) * SECOND_NS)
#define DOUBT_NS (INT64_C(120) * SECOND_NS)   /* no service works longer on one request: Vault ends it after 90 s */
#define ROOM_PAUSE_NS (SECOND_NS / 10)
enum { WAITERS_MAX = 8 };             /* threads of the pool that wait for room; the others have readers to serve */

struct held {
	struct held *next;            /* volume->held; guarded by its lock, as is the rest but the value */
	struct volume *volume;
	char *name;
	struct secret value;
	size_t size;                  /* what it counts in volume->held_bytes */
	uid_t uid;
	pid_t pid, process;           /* the thread that the kernel named, and its process; 0: outside of our namespace */
	int64_t since, tried;         /* monotonic: of the removal, of the last try to put it back */
	enum { REMOVED, LOST, DOUBTFUL } kind;        /* DOUBTFUL: the store may still delete it */
	bool busy, last;              /* being looked at or put back; the mount ends, and that was tried once more */
};

struct held *held_new(struct volume *v, const char *name, uid_t uid, pid_t pid)
{
	struct held *h = calloc(1, sizeof *h);

	if (h == NULL || (h->name = strdup(name)) == NULL) {
		free(h);
		return NULL;
	}
	h->volume = v;
	h->uid = uid;
	h->pid = pid;
	return h;
}

void held_free(struct held *h)
{
	if (h == NULL)
		return;
	pthread_mutex_lock(&h->volume->lock);
	h->volume->held_bytes -= h->size;
	pthread_mutex_unlock(&h->volume->lock);
	secret_wipe(&h->value);
	free(h->name);
	free(h);
}

static void list_free(struct held *list)
{
	while (list != NULL) {
		struct held *next = list->next;

		held_free(list);
		list = next;
	}
}

/* The kernel names a thread; a program may remove in one and write in another.  0: not to be found. */
static pid_t process_of(pid_t thread)
{
	char path[40], line[128];
	int process = 0;

	snprintf(path, sizeof path, "/proc/%d/status", (int)thread);
	FILE *f = thread > 0 ? fopen(path, "re") : NULL;
	if (f == NULL)
		return 0;
	while (process == 0 && fgets(line, sizeof line, f) != NULL)
		if (sscanf(line, "Tgid: %d", &process) != 1)
			process = 0;
	fclose(f);
	return process;
}

static bool process_gone(pid_t process)
{
	return process > 0 && kill(process, 0) != 0 && errno == ESRCH;
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

/* Those that nobody can want any more: their time is over, or their process is.  Lock held. */
static struct held *over_take(struct volume *v, int64_t now, bool look_for_processes)
{
	struct held *over = NULL;

	for (struct held **p = &v->held, *h; (h = *p) != NULL;)
		if (h->kind == REMOVED && (now - h->since >= HELD_NS || (look_for_processes && process_gone(h->process)))) {
			*p = h->next;
			h->next = over;
			over = h;
		} else {
			p = &h->next;
		}
	return over;
}

/* 0: it fits; 1: it does not now.  One alone always fits. */
static int room_take(struct held *h, size_t size)
{
	struct volume *v = h->volume;
	struct held *over = NULL;

	pthread_mutex_lock(&v->lock);
	bool full = v->held_bytes > 0 && v->held_bytes + size > secret_room() / 2;
	if (full)
		over = over_take(v, call_now(), true);
	else
		v->held_bytes += h->size = size;
	pthread_mutex_unlock(&v->lock);
	list_free(over);
	return !full ? 0 : over != NULL ? room_take(h, size) : 1;
}

static bool wait_begin(struct volume *v)
{
	pthread_mutex_lock(&v->lock);
	bool may = v->held_waiters < WAITERS_MAX;
	v->held_waiters += may;
	pthread_mutex_unlock(&v->lock);
	return may;
}

static void wait_end(struct volume *v)
{
	pthread_mutex_lock(&v->lock);
	v->held_waiters--;
	pthread_mutex_unlock(&v->lock);
}

int held_fill(struct held *h, const struct call *c, struct secret *value, struct error *err)
{
	int r = room_take(h, value->cap), slept = 0;

	if (r != 0 && wait_begin(h->volume)) {
		while (r != 0 && slept == 0) {
			slept = call_sleep(c, ROOM_PAUSE_NS, true);
			r = room_take(h, value->cap);
		}
		wait_end(h->volume);
	}
	if (r != 0)
		return slept == -ECANCELED ? error_set(err, ECANCELED, "interrupted: nothing was removed") :
			error_set(err, EBUSY, "so much was removed just before that its values fill the memory in which they are kept "
			          "for %d s: nothing was removed, try again", (int)(HELD_NS / SECOND_NS));
	secret_move(&h->value, value);
	h->process = process_of(h->pid);
	return 0;
}

void held_keep(struct volume *v, struct held *h)
{
	struct held *older = NULL;

	pthread_mutex_lock(&v->lock);
	for (struct held *o = v->held; o != NULL && older == NULL; o = o->next)
		if (o->kind == REMOVED && strcmp(o->name, h->name) == 0)
			older = o;
	if (older != NULL)
		held_remove(v, older);
	h->since = call_now();
	h->next = v->held;
	v->held = h;
	pthread_mutex_unlock(&v->lock);
	held_free(older);
}

struct held *held_take(struct volume *v, const char *name, uid_t uid, pid_t pid)
{
	for (struct held *h = v->held; h != NULL; h = h->next)
		if (h->kind == REMOVED && h->uid == uid && strcmp(h->name, name) == 0 && call_now() - h->since < HELD_NS &&
		    (h->pid == pid || (h->process != 0 && h->process == process_of(pid)))) {
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

/* A doubtful key: is it still there?  Put it back if not. */
static int doubt_look(struct request *r, struct error *err)
{
	struct volume *v = r->volume;
	int64_t began = volume_call_begin(v);
	int result = v->store.ops->get(v->store.handle, &r->call, r->name, &r->value, err);

	volume_call_end(v, began, result, err);
	r->found = result == 0 && secret_equal(&r->value, &r->held->value);
	r->refresh = result == 0 && !r->found;        /* somebody stored another value */
	if (result != -ENOENT)
		return result;
	r->stored = true;
	return held_create(v, &r->call, r->held, err);
}

static int restore_work(struct request *r, struct error *err)
{
	r->stored = r->held->kind == LOST;
	return r->held->kind == DOUBTFUL ? doubt_look(r, err) : held_create(r->volume, &r->call, r->held, err);
}

/* What became of it: true if nothing is left to be done.  Lock held. */
static bool restored(struct volume *v, struct held *h, const struct request *r, int result)
{
	bool over = result == 0 && (!r->found || call_now() - h->since >= DOUBT_NS);

	h->busy = false;
	h->tried = call_now();
	if (result == 0 && r->stored)
		held_back(v, h);
	/* It was deleted after all, and could not be put back. */
	if (result != 0 && r->stored && h->kind == DOUBTFUL) {
		h->kind = LOST;
		v->doubtful--;
		v->lost++;
	}
	if (over) {
		held_remove(v, h);
		v->lost -= h->kind == LOST;
		v->doubtful -= h->kind == DOUBTFUL;
	}
	return over;
}

static void restore_log(struct volume *v, const struct held *h, const struct request *r, int result, bool over,
                        const struct error *err)
{
	if (r->stored)
		volume_log(v, "restore", h->name, h->uid, h->pid, result, result == 0 ? "the old value is back" : err->text);
	else if (over)
		volume_log(v, "replace", h->name, h->uid, h->pid, 0, r->found ? "the old value is still there" :
		           "somebody stored another value meanwhile");
	if (result != 0 && r->stored)
		log_line(LOG_LEVEL_ERROR, "key '%s' is missing in %s and its old value could not be put back yet: do not stop "
		         "this process; it tries again", h->name, v->store.label);
	else if (h->last && !over)
		log_line(LOG_LEVEL_WARNING, "the mount ends, and the store may still delete key '%s' in %s: look at it later", h->name,
		         v->store.label);
}

static void restore_finish(struct request *r, int result, struct error *err)
{
	struct volume *v = r->volume;
	struct held *h = r->held;

	pthread_mutex_lock(&v->lock);
	bool over = restored(v, h, r, result);
	pthread_mutex_unlock(&v->lock);
	/* Nobody else frees what is lost or doubtful. */
	restore_log(v, h, r, result, over, err);
	if (over)
		held_free(h);
}

/* h is in the list, lost or doubtful, and busy. */
static void restore_start(struct volume *v, struct held *h)
{
	struct request *r = request_new(NULL, v, h->name, restore_work, restore_finish);

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

static void held_enlist(struct volume *v, struct held *h, int kind, bool busy)
{
	pthread_mutex_lock(&v->lock);
	h->kind = kind;
	h->busy = busy;
	h->since = h->tried = call_now();
	h->next = v->held;
	v->held = h;
	v->lost += kind == LOST;
	v->doubtful += kind == DOUBTFUL;
	pthread_mutex_unlock(&v->lock);
}

void held_restore(struct volume *v, struct held *h)
{
	if (h == NULL)
		return;
	held_enlist(v, h, LOST, true);
	restore_start(v, h);
}

void held_restore_value(struct volume *v, struct held *h, struct secret *value)
{
	secret_move(&h->value, value);
	held_restore(v, h);
}

void held_doubt(struct volume *v, struct held *h, struct secret *value)
{
	secret_move(&h->value, value);
	log_line(LOG_LEVEL_WARNING, "key '%s' in %s: the store may still carry out the delete that a replace began.  Its value is "
	         "kept, and put back if that happens in the next %d minutes", h->name, v->store.label,
	         (int)(DOUBT_NS / SECOND_NS / 60));
	held_enlist(v, h, DOUBTFUL, false);
}

int held_check(struct volume *v, const char *name, struct error *err)
{
	bool doubtful = false;

	pthread_mutex_lock(&v->lock);
	for (const struct held *h = v->held; h != NULL; h = h->next)
		doubtful = doubtful || (h->kind == DOUBTFUL && strcmp(h->name, name) == 0);
	pthread_mutex_unlock(&v->lock);
	return doubtful ? error_set(err, EBUSY, "the store may still carry out the delete of an earlier replace: try again in %d "
	                            "minutes", (int)(DOUBT_NS / SECOND_NS / 60)) : 0;
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
		held_enlist(v, h, LOST, false);
		return;
	}
	pthread_mutex_lock(&v->lock);
	held_back(v, h);
	pthread_mutex_unlock(&v->lock);
	held_free(h);
}

void held_tick(struct volume *v, int64_t now)
{
	struct held *due = NULL;

	pthread_mutex_lock(&v->lock);
	struct held *over = over_take(v, now, false);
	for (struct held *h = v->held; h != NULL && due == NULL; h = h->next)
		if (h->kind != REMOVED && !h->busy && now - h->tried >= AGAIN_NS)
			due = h;
	if (due != NULL)
		due->busy = true;
	pthread_mutex_unlock(&v->lock);
	list_free(over);
	if (due != NULL)
		restore_start(v, due);
}

void held_last_try(struct volume *v)
{
	struct held *h;

	do {
		pthread_mutex_lock(&v->lock);
		for (h = v->held; h != NULL && (h->kind == REMOVED || h->busy || h->last); h = h->next)
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
	list_free(v->held);
	v->held = NULL;
}
