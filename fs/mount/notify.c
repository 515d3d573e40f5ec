/* SPDX-License-Identifier: Apache-2.0
 *
 * Two threads, since dropping pages after a close must not wait behind a name whose directory is busy. */
#include "fs/mount/notify.h"

#include "fs/mount/fuse.h"

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

struct message {
	struct message *next;
	uint64_t ino;                 /* the parent's, if there is a name */
	char name[];                  /* empty: pages */
};

struct lane {
	struct fuse_session *fuse;
	pthread_t thread;
	pthread_mutex_t lock;         /* guards the rest */
	pthread_cond_t more;
	struct message *first, **end;
	bool started, closing;
};

struct notifier {
	struct lane entries, pages;
};

static struct message *lane_take(struct lane *l)
{
	pthread_mutex_lock(&l->lock);
	while (l->first == NULL && !l->closing)
		pthread_cond_wait(&l->more, &l->lock);
	struct message *m = l->closing ? NULL : l->first;
	if (m != NULL && (l->first = m->next) == NULL)
		l->end = &l->first;
	pthread_mutex_unlock(&l->lock);
	return m;
}

static void *lane_main(void *arg)
{
	struct lane *l = arg;

	for (struct message *m; (m = lane_take(l)) != NULL; free(m))
		if (m->name[0] != '\0')
			fuse_lowlevel_notify_inval_entry(l->fuse, m->ino, m->name, strlen(m->name));
		else
			fuse_lowlevel_notify_inval_inode(l->fuse, m->ino, 0, 0);
	return NULL;
}

static bool lane_start(struct lane *l, struct fuse_session *fuse)
{
	sigset_t all, old;

	l->fuse = fuse;
	l->end = &l->first;
	pthread_mutex_init(&l->lock, NULL);
	pthread_cond_init(&l->more, NULL);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	l->started = pthread_create(&l->thread, NULL, lane_main, l) == 0;
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return l->started;
}

static void lane_stop(struct lane *l)
{
	pthread_mutex_lock(&l->lock);
	bool join = l->started && !l->closing;
	l->closing = true;
	pthread_cond_signal(&l->more);
	pthread_mutex_unlock(&l->lock);
	if (join)
		pthread_join(l->thread, NULL);
}

static void lane_end(struct lane *l)
{
	for (struct message *m = l->first, *next; m != NULL; m = next) {
		next = m->next;
		free(m);
	}
	pthread_cond_destroy(&l->more);
	pthread_mutex_destroy(&l->lock);
}

static void lane_put(struct lane *l, uint64_t ino, const char *name)
{
	size_t size = strlen(name) + 1;
	struct message *m = malloc(sizeof *m + size);

	if (m == NULL)
		return;
	m->next = NULL;
	m->ino = ino;
	memcpy(m->name, name, size);
	pthread_mutex_lock(&l->lock);
	bool closing = l->closing;
	if (!closing) {
		*l->end = m;
		l->end = &m->next;
		pthread_cond_signal(&l->more);
	}
	pthread_mutex_unlock(&l->lock);
	if (closing)
		free(m);
}

struct notifier *notifier_new(struct fuse_session *fuse)
{
	struct notifier *n = calloc(1, sizeof *n);

	if (n == NULL)
		return NULL;
	bool started = lane_start(&n->entries, fuse);
	if (!lane_start(&n->pages, fuse) || !started) {
		notifier_free(n);
		return NULL;
	}
	return n;
}

void notifier_stop(struct notifier *n)
{
	if (n == NULL)
		return;
	lane_stop(&n->entries);
	lane_stop(&n->pages);
}

void notifier_free(struct notifier *n)
{
	if (n == NULL)
		return;
	notifier_stop(n);
	lane_end(&n->entries);
	lane_end(&n->pages);
	free(n);
}

void notifier_entry(struct notifier *n, uint64_t parent, const char *name)
{
	if (n != NULL)
		lane_put(&n->entries, parent, name);
}

void notifier_pages(struct notifier *n, uint64_t ino)
{
	if (n != NULL)
		lane_put(&n->pages, ino, "");
}
