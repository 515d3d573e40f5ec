/* SPDX-License-Identifier: Apache-2.0
 *
 * The syncs are numbered.  A change is safe after any sync that began after it, so a writer waits for the number
 * after the newest one begun; whoever finds none running makes the next. */
#include "backends/dirsync.h"

#include <errno.h>
#include <time.h>
#include <unistd.h>

void dirsync_init(struct dirsync *d, int fd)
{
	pthread_condattr_t attr;

	*d = (struct dirsync){ .fd = fd, .sync = fsync };
	pthread_mutex_init(&d->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&d->done, &attr);
	pthread_condattr_destroy(&attr);
}

void dirsync_destroy(struct dirsync *d)
{
	pthread_cond_destroy(&d->done);
	pthread_mutex_destroy(&d->lock);
}

/* With the lock held, which is let go meanwhile. */
static void sync_run(struct dirsync *d)
{
	uint64_t number = ++d->started;

	d->running = true;
	pthread_mutex_unlock(&d->lock);
	/* Some file systems cannot sync a directory and say EINVAL: there is nothing more to be had from them. */
	int failure = d->sync(d->fd) == 0 || errno == EINVAL ? 0 : errno;
	pthread_mutex_lock(&d->lock);
	d->running = false;
	d->finished = number;
	if (failure != 0) {
		d->failed = number;
		d->failure = failure;
	}
	pthread_cond_broadcast(&d->done);
}

int dirsync_wait(struct dirsync *d, const struct call *c)
{
	struct timespec until = { c->deadline / 1000000000, c->deadline % 1000000000 };
	int r = 0;

	pthread_mutex_lock(&d->lock);
	uint64_t wanted = d->started + 1;
	while (d->finished < wanted && r == 0) {
		if (!d->running)
			sync_run(d);
		else
			r = -pthread_cond_timedwait(&d->done, &d->lock, &until);
	}
	if (d->finished >= wanted)
		/* A failure may hide behind a later success: its own waiters must still hear of it. */
		r = d->failed >= wanted ? -d->failure : 0;
	pthread_mutex_unlock(&d->lock);
	return r;
}
