/* SPDX-License-Identifier: Apache-2.0
 *
 * Staged bytes and what they go through.  One that was refused is parted from its name at once: the name then shows what
 * the store has, while the writer's further writes and closes hear the error. */
#include "fs/mount/staged.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fs/mount/held.h"

struct staged *staged_new(struct volume *v, struct node *n, uid_t uid, pid_t pid)
{
	struct staged *s = calloc(1, sizeof *s);

	if (s == NULL)
		return NULL;
	s->volume = v;
	s->node = n;
	s->refs = 1;
	s->uid = uid;
	s->pid = pid;
	s->commits_end = &s->commits;
	clock_gettime(CLOCK_REALTIME, &s->written);
	pthread_mutex_init(&s->lock, NULL);
	s->next = v->staged;
	if (s->next != NULL)
		s->next->prev = s;
	v->staged = s;
	n->staged = s;
	return s;
}

void staged_ref(struct staged *s)
{
	s->refs++;
}

static void staged_free(struct staged *s)
{
	secret_wipe(&s->bytes);
	secret_wipe(&s->old);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

/* Lock held. */
static void staged_delist(struct staged *s)
{
	*(s->prev != NULL ? &s->prev->next : &s->volume->staged) = s->next;
	if (s->next != NULL)
		s->next->prev = s->prev;
}

void staged_unref(struct staged *s)
{
	struct volume *v = s->volume;

	pthread_mutex_lock(&v->lock);
	bool last = --s->refs == 0 && s->node == NULL;
	struct held *held = NULL;
	if (last) {
		staged_delist(s);
		held = s->held;
	}
	pthread_mutex_unlock(&v->lock);
	if (!last)
		return;
	held_restore(v, held);
	staged_free(s);
}

bool staged_live(const struct staged *s)
{
	return s != NULL && s->refused == 0 && s->node != NULL;
}

bool staged_dirty(const struct staged *s)
{
	return staged_live(s) && s->generation != s->committed;
}

bool staged_undecided(const struct node *n)
{
	return n->kind == NODE_KEY && staged_live(n->staged) && (!n->stored || staged_dirty(n->staged));
}

void staged_part(struct staged *s, int refused)
{
	struct node *n = s->node;

	if (n == NULL)
		return;
	s->refused = refused;
	s->node = NULL;
	n->staged = NULL;
	s->size = 0;
	if (!n->stored)
		tree_unlink(&s->volume->tree, n);
	n->size_known = n->size_known && n->stored;
	node_settle(&s->volume->tree, n);
}

void staged_wipe(struct staged *s)
{
	pthread_mutex_lock(&s->lock);
	secret_wipe(&s->bytes);
	pthread_mutex_unlock(&s->lock);
}

size_t staged_limit(const struct volume *v)
{
	size_t max = v->store.ops->value_max;

	return max > 0 && max < SECRET_MAX ? max : SECRET_MAX;
}

/* After a change of the bytes; their lock is held. */
static int staged_changed(struct staged *s, uint64_t owner)
{
	pthread_mutex_lock(&s->volume->lock);
	int refused = s->refused;
	s->size = s->bytes.len;
	s->generation++;
	s->data = true;
	s->writer = owner;
	clock_gettime(CLOCK_REALTIME, &s->written);
	pthread_mutex_unlock(&s->volume->lock);
	if (refused != 0)
		secret_wipe(&s->bytes);
	return -refused;
}

static int staged_refused(struct staged *s)
{
	pthread_mutex_lock(&s->volume->lock);
	int refused = s->refused;
	pthread_mutex_unlock(&s->volume->lock);
	return refused;
}

/* A write failed, perhaps the second part of a large one: what is there must not be stored as if it were all.  The lock
 * of the bytes is held. */
static void staged_incomplete(struct staged *s, int code)
{
	pthread_mutex_lock(&s->volume->lock);
	if (s->node != NULL)
		volume_log(s->volume, "write", s->node->name, s->uid, s->pid, -code, "nothing of the file will be stored");
	staged_part(s, error_errno(code));
	pthread_mutex_unlock(&s->volume->lock);
	secret_wipe(&s->bytes);
}

static int bytes_write(struct staged *s, const void *bytes, size_t size, uint64_t offset, bool append)
{
	size_t limit = staged_limit(s->volume);

	/* The kernel computes the end for O_APPEND from the size it knows, which may be 0 (fuse-facts 3). */
	if (append)
		offset = s->bytes.len;
	if (offset > limit || size > limit - offset)
		return -EFBIG;
	int r = offset + size > s->bytes.len ? secret_resize(&s->bytes, offset + size) : 0;
	if (r == 0 && size > 0)
		memcpy(s->bytes.bytes + offset, bytes, size);
	return r;
}

int staged_write(struct staged *s, const void *bytes, size_t size, uint64_t offset, bool append, uint64_t owner)
{
	pthread_mutex_lock(&s->lock);
	int r = -staged_refused(s);
	if (r == 0) {
		r = bytes_write(s, bytes, size, offset, append);
		if (r != 0)
			staged_incomplete(s, -r);
	}
	if (r == 0)
		r = staged_changed(s, owner);
	pthread_mutex_unlock(&s->lock);
	return r;
}

int staged_resize(struct staged *s, uint64_t size, uint64_t owner)
{
	pthread_mutex_lock(&s->lock);
	int r = -staged_refused(s);
	bool same = r == 0 && size == s->bytes.len;
	if (r == 0 && size > staged_limit(s->volume))
		r = -EFBIG;
	if (r == 0 && !same)
		r = secret_resize(&s->bytes, size);
	if (r == 0 && !same)
		r = staged_changed(s, owner);
	pthread_mutex_unlock(&s->lock);
	return r;
}

int staged_copy(struct staged *s, struct secret *to, uint64_t *ret_generation)
{
	pthread_mutex_lock(&s->lock);
	int r = secret_copy(to, &s->bytes);
	pthread_mutex_lock(&s->volume->lock);
	*ret_generation = s->generation;
	pthread_mutex_unlock(&s->volume->lock);
	pthread_mutex_unlock(&s->lock);
	return r;
}

/* The first temporary file whose time is over, parted and with a reference, its name copied; NULL. */
static struct staged *expired_take(struct volume *v, int64_t now, char **ret_name)
{
	for (struct staged *s = v->staged; s != NULL; s = s->next) {
		if (s->node == NULL || s->node->kind != NODE_TEMPORARY || s->closed == 0 || now - s->closed < TEMPORARY_NS)
			continue;
		if (s->committing || (*ret_name = strdup(s->node->name)) == NULL)
			continue;
		staged_ref(s);
		if (s->node->lookups > 0)
			notifier_entry(v->notifier, volume_dir_ino(v), s->node->name);
		staged_part(s, ENOENT);
		return s;
	}
	return NULL;
}

void staged_expire(struct volume *v, int64_t now)
{
	struct staged *s;
	char *name = NULL;

	do {
		pthread_mutex_lock(&v->lock);
		s = expired_take(v, now, &name);
		pthread_mutex_unlock(&v->lock);
		if (s != NULL) {
			volume_log(v, "wipe", name, s->uid, s->pid, 0,
			           "a temporary file that was not renamed for 60 s after its last close");
			staged_wipe(s);
			staged_unref(s);
			free(name);
		}
	} while (s != NULL);
}

/* A removed key that was to be written anew: what comes after it will not come any more.  NULL: no more of them. */
static struct held *held_of_any(struct volume *v)
{
	struct held *held = NULL;

	pthread_mutex_lock(&v->lock);
	for (struct staged *s = v->staged; s != NULL && held == NULL; s = s->next) {
		held = s->held;
		s->held = NULL;
	}
	pthread_mutex_unlock(&v->lock);
	return held;
}

void staged_drop_all(struct volume *v)
{
	pthread_mutex_lock(&v->lock);
	for (struct staged *s = v->staged; s != NULL; s = s->next)
		if (staged_dirty(s) && s->data)
			volume_log(v, "drop", s->node->name, s->uid, s->pid, -EIO, s->node->kind == NODE_TEMPORARY ?
			           "the mount ends before the temporary file was renamed: nothing of it was stored" :
			           "the mount ends before the file was closed: nothing of it was stored");
	pthread_mutex_unlock(&v->lock);
	for (struct held *h; (h = held_of_any(v)) != NULL;)
		held_restore(v, h);
}

void staged_free_all(struct volume *v)
{
	while (v->staged != NULL) {
		struct staged *s = v->staged;

		staged_delist(s);
		if (s->node != NULL)
			s->node->staged = NULL;
		staged_free(s);
	}
}
