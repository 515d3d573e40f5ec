/* SPDX-License-Identifier: Apache-2.0
 *
 * From mounting to unmounting: the threads, the clock, and an orderly end. */
#include "fs/mount/session.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>

#include "fs/mount/handle.h"
#include "fs/mount/held.h"
#include "fs/mount/session_inside.h"
#include "fs/mount/staged.h"

/* FUSE workers never wait for a network, so that few are enough; a local store is read right in them. */
enum { WORKERS = 8, CLOCK_MS = 500, WAKE_MS = 20 };

static void volumes_connect(struct session *s)
{
	for (size_t i = 0; i < s->count; i++) {
		struct volume *v = s->volumes[i];

		pthread_mutex_lock(&v->lock);
		v->fuse = s->fuse;
		v->notifier = s->notifier;
		pthread_mutex_unlock(&v->lock);
	}
}

int session_mount(const struct mount_options *o, struct volume **volumes, size_t count, struct session **ret, struct error *err)
{
	struct session *s = calloc(1, sizeof *s);

	if (s == NULL)
		return error_set(err, ENOMEM, "no memory");
	s->options = o;
	s->volumes = volumes;
	s->count = count;
	s->root = (struct node){ .kind = NODE_ROOT, .fixed = true, .ino = FUSE_ROOT_ID };
	control_init(&s->control, NULL);
	clock_gettime(CLOCK_REALTIME, &s->began);
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->stopped, NULL);
	pthread_cond_init(&s->tick, NULL);
	int r = init_session(s, err);
	if (r == 0 && (s->notifier = notifier_new(s->fuse)) == NULL)
		r = error_set(err, ENOMEM, "no memory or no thread for the mount");
	if (r != 0) {
		session_free(s);
		return r;
	}
	volumes_connect(s);
	*ret = s;
	return 0;
}

static void until_ms(struct timespec *ret, int64_t ms)
{
	clock_gettime(CLOCK_REALTIME, ret);
	ret->tv_nsec += ms * 1000000;
	ret->tv_sec += ret->tv_nsec / SECOND_NS;
	ret->tv_nsec %= SECOND_NS;
}

static void *clock_main(void *arg)
{
	struct session *s = arg;
	struct timespec until;

	pthread_mutex_lock(&s->lock);
	while (!s->stopping) {
		until_ms(&until, CLOCK_MS);
		pthread_cond_timedwait(&s->tick, &s->lock, &until);
		pthread_mutex_unlock(&s->lock);
		for (size_t i = 0; i < s->count && !s->stopping; i++)
			volume_tick(s->volumes[i]);
		pthread_mutex_lock(&s->lock);
	}
	pthread_mutex_unlock(&s->lock);
	return NULL;
}

static void *worker_main(void *arg)
{
	struct session *s = arg;

	init_serve(s);
	pthread_mutex_lock(&s->lock);
	s->workers_live--;
	pthread_cond_broadcast(&s->stopped);
	pthread_mutex_unlock(&s->lock);
	return NULL;
}

/* All signals are blocked in the threads but the one that wakes a worker from its read. */
static int threads_start(struct session *s)
{
	sigset_t set, old;
	int r = 0;

	s->workers = calloc(WORKERS, sizeof *s->workers);
	if (s->workers == NULL)
		return ENOMEM;
	init_wake_signal();
	sigfillset(&set);
	sigdelset(&set, init_signal());
	pthread_sigmask(SIG_SETMASK, &set, &old);
	pthread_mutex_lock(&s->lock);
	while (r == 0 && !s->ended && s->worker_count < WORKERS) {
		r = pthread_create(&s->workers[s->worker_count], NULL, worker_main, s);
		s->worker_count += r == 0;
		s->workers_live += r == 0;
	}
	pthread_mutex_unlock(&s->lock);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return s->worker_count > 0 || s->ended ? 0 : r;
}

static void clock_stop(struct session *s)
{
	pthread_mutex_lock(&s->lock);
	bool started = s->clock_started;
	s->clock_started = false;
	s->stopping = true;
	pthread_cond_broadcast(&s->tick);
	pthread_mutex_unlock(&s->lock);
	if (started)
		pthread_join(s->clock, NULL);
}

/* The kernel asks for INIT at once, or never if the mount is gone already. */
static int init_await(struct session *s, struct error *err)
{
	pthread_mutex_lock(&s->lock);
	while (!s->init_answered && s->workers_live > 0)
		pthread_cond_wait(&s->stopped, &s->lock);
	bool refused = s->init_refused;
	pthread_mutex_unlock(&s->lock);
	if (!refused)
		return 0;
	session_stop(s);
	struct error ignored = ERROR_INIT;
	session_loop(s, &ignored);
	return error_set(err, ENOMEM, "no memory to serve the mount");
}

int session_start(struct session *s, struct error *err)
{
	sigset_t all, old;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	int r = pthread_create(&s->clock, NULL, clock_main, s);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	s->clock_started = r == 0;
	if (r == 0)
		r = threads_start(s);
	if (r == 0)
		return init_await(s, err);
	clock_stop(s);
	return error_set(err, r == EAGAIN ? ENOMEM : r, "no thread could be started to serve the mount: too many processes, or no memory");
}

static unsigned keys_lost(struct session *s)
{
	unsigned lost = 0;

	for (size_t i = 0; i < s->count; i++) {
		pthread_mutex_lock(&s->volumes[i]->lock);
		lost += s->volumes[i]->lost;
		pthread_mutex_unlock(&s->volumes[i]->lock);
	}
	return lost;
}

/* What was closed is stored, what was not is dropped, and a key that is missing for it is put back: of all stores at
 * once, since one of them may hang. */
static void volumes_settle(struct session *s)
{
	for (size_t i = 0; i < s->count; i++)
		volume_stop_begin(s->volumes[i]);
	for (size_t i = 0; i < s->count; i++)
		volume_stop(s->volumes[i]);
	for (size_t i = 0; i < s->count; i++) {
		held_last_try(s->volumes[i]);
		staged_drop_all(s->volumes[i]);
	}
	for (size_t i = 0; i < s->count; i++)
		volume_stop(s->volumes[i]);
}

int session_loop(struct session *s, struct error *err)
{
	pthread_mutex_lock(&s->lock);
	while (s->workers_live > 0)
		pthread_cond_wait(&s->stopped, &s->lock);
	pthread_mutex_unlock(&s->lock);
	for (size_t i = 0; i < s->worker_count; i++)
		pthread_join(s->workers[i], NULL);
	clock_stop(s);
	volumes_settle(s);
	unsigned lost = keys_lost(s);
	if (lost > 0)
		return error_set(err, ENOTRECOVERABLE, "%u key%s could not be put back after a failed replace: the log names %s", lost,
		                 lost == 1 ? "" : "s", lost == 1 ? "it" : "them");
	return 0;
}

/* Until every worker has left its read: a signal may come just before it. */
static void workers_wake(struct session *s)
{
	struct timespec until;

	pthread_mutex_lock(&s->lock);
	while (s->workers_live > 0) {
		for (size_t i = 0; i < s->worker_count; i++)
			pthread_kill(s->workers[i], init_signal());
		until_ms(&until, WAKE_MS);
		pthread_cond_timedwait(&s->stopped, &s->lock, &until);
	}
	pthread_mutex_unlock(&s->lock);
}

void session_stop(struct session *s)
{
	pthread_mutex_lock(&s->lock);
	bool begun = s->stop_begun;
	s->stop_begun = true;
	pthread_mutex_unlock(&s->lock);
	if (begun)
		return;
	for (size_t i = 0; i < s->count; i++)
		volume_stop_begin(s->volumes[i]);
	for (size_t i = 0; i < s->count; i++)
		volume_stop(s->volumes[i]);
	notifier_stop(s->notifier);
	fuse_session_exit(s->fuse);
	pthread_mutex_lock(&s->lock);
	s->ended = true;
	pthread_mutex_unlock(&s->lock);
	workers_wake(s);
}

void session_refresh(struct session *s)
{
	for (size_t i = 0; i < s->count; i++)
		volume_refresh(s->volumes[i]);
}

void session_free(struct session *s)
{
	if (s == NULL)
		return;
	for (size_t i = 0; i < s->count; i++) {
		volume_stop(s->volumes[i]);
		pool_drain(s->volumes[i]->pool);
		pool_drain(s->volumes[i]->lister);
	}
	if (s->fuse != NULL)
		fuse_session_unmount(s->fuse);
	notifier_free(s->notifier);
	if (s->fuse != NULL)
		fuse_session_destroy(s->fuse);
	handle_free_all();
	pthread_cond_destroy(&s->tick);
	pthread_cond_destroy(&s->stopped);
	pthread_mutex_destroy(&s->lock);
	free(s->workers);
	free(s);
}
