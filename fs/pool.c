/* SPDX-License-Identifier: Apache-2.0
 *
 * A queue of jobs and the threads that run them.  Threads are joined, never detached: once pool_free() has returned
 * nothing of the pool touches memory any more. */
#include "fs/pool.h"

#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

#include "fs/harden.h"

#ifdef KESFS_SANITIZED
enum { STACK_SIZE = 1024 * 1024 };            /* red zones make frames larger */
#else
enum { STACK_SIZE = 256 * 1024 };
#endif
enum { IDLE_SECONDS = 10 };

struct worker {
	pthread_t thread;
	struct pool *pool;
	struct worker *next;                  /* in pool->ended */
};

struct pool {
	pthread_mutex_t lock;                 /* guards all below */
	pthread_cond_t work, quiet;           /* quiet: nothing is queued or running, or a thread ended */
	struct pool_job *first, *last;
	struct worker *ended;                 /* threads to be joined */
	unsigned max, threads, idle, running;
	size_t queued;
	bool closing;
};

struct pool *pool_new(unsigned threads_max)
{
	struct pool *p = calloc(1, sizeof *p);
	pthread_condattr_t attr;

	if (p == NULL)
		return NULL;
	p->max = threads_max > 0 ? threads_max : 1;
	pthread_mutex_init(&p->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&p->work, &attr);
	pthread_cond_init(&p->quiet, &attr);
	pthread_condattr_destroy(&attr);
	return p;
}

static void queue_append(struct pool *p, struct pool_job *job)
{
	job->queued = true;
	job->next = NULL;
	job->prev = p->last;
	*(p->last != NULL ? &p->last->next : &p->first) = job;
	p->last = job;
	p->queued++;
}

static void queue_remove(struct pool *p, struct pool_job *job)
{
	*(job->prev != NULL ? &job->prev->next : &p->first) = job->next;
	*(job->next != NULL ? &job->next->prev : &p->last) = job->prev;
	job->next = job->prev = NULL;
	job->queued = false;
	p->queued--;
}

/* Run jobs until the queue is empty; the lock is held on entry and on return.  A job may be freed by its own run(). */
static void jobs_run(struct pool *p)
{
	while (p->first != NULL && p->threads <= p->max) {
		struct pool_job *job = p->first;

		queue_remove(p, job);
		p->running++;
		pthread_mutex_unlock(&p->lock);
		job->run(job);
		pthread_mutex_lock(&p->lock);
		p->running--;
	}
}

/* false: nothing came for a while, or the thread is one too many. */
static bool job_wait(struct pool *p)
{
	struct timespec until;
	int r = 0;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += IDLE_SECONDS;
	p->idle++;
	while (p->first == NULL && !p->closing && p->threads <= p->max && r == 0)
		r = pthread_cond_timedwait(&p->work, &p->lock, &until);
	p->idle--;
	return p->first != NULL && p->threads <= p->max;
}

static void *worker_main(void *arg)
{
	struct worker *self = arg;
	struct pool *p = self->pool;

	pthread_mutex_lock(&p->lock);
	do {
		jobs_run(p);
		if (p->running == 0 && p->first == NULL)
			pthread_cond_broadcast(&p->quiet);
		/* No secret stays on the stack of a thread that has nothing to do. */
		pthread_mutex_unlock(&p->lock);
		harden_wipe_stack();
		pthread_mutex_lock(&p->lock);
	} while (p->first != NULL ? p->threads <= p->max : job_wait(p));
	p->threads--;
	self->next = p->ended;
	p->ended = self;
	pthread_cond_signal(&p->work);        /* in case this one was woken for a job and leaves instead */
	pthread_cond_broadcast(&p->quiet);
	pthread_mutex_unlock(&p->lock);
	return NULL;
}

/* Join threads that have ended; the lock is not held. */
static void ended_join(struct worker *w)
{
	while (w != NULL) {
		struct worker *next = w->next;

		pthread_join(w->thread, NULL);
		free(w);
		w = next;
	}
}

/* The lock is held.  Signals are for the main thread. */
static bool worker_start(struct pool *p)
{
	struct worker *w = calloc(1, sizeof *w);
	sigset_t all, old;
	pthread_attr_t attr;

	if (w == NULL)
		return false;
	w->pool = p;
	sigfillset(&all);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK_SIZE);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	int r = pthread_create(&w->thread, &attr, worker_main, w);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	pthread_attr_destroy(&attr);
	if (r != 0) {
		free(w);
		return false;
	}
	p->threads++;
	return true;
}

bool pool_submit(struct pool *p, struct pool_job *job)
{
	bool taken = true;

	pthread_mutex_lock(&p->lock);
	queue_append(p, job);
	if (p->idle < p->queued && p->threads < p->max && !worker_start(p) && p->threads == 0) {
		queue_remove(p, job);
		taken = false;
	} else {
		pthread_cond_signal(&p->work);
	}
	struct worker *ended = p->ended;
	p->ended = NULL;
	pthread_mutex_unlock(&p->lock);
	ended_join(ended);
	return taken;
}

bool pool_withdraw(struct pool *p, struct pool_job *job)
{
	pthread_mutex_lock(&p->lock);
	bool withdrawn = job->queued;
	if (withdrawn)
		queue_remove(p, job);
	if (p->running == 0 && p->first == NULL)
		pthread_cond_broadcast(&p->quiet);
	pthread_mutex_unlock(&p->lock);
	return withdrawn;
}

void pool_threads_max(struct pool *p, unsigned n)
{
	pthread_mutex_lock(&p->lock);
	p->max = n > 0 ? n : 1;
	for (size_t needed = p->queued > p->idle ? p->queued - p->idle : 0;
	     needed > 0 && p->threads < p->max && worker_start(p); needed--)
		;
	pthread_cond_broadcast(&p->work);
	pthread_mutex_unlock(&p->lock);
}

void pool_drain(struct pool *p)
{
	pthread_mutex_lock(&p->lock);
	while (p->first != NULL || p->running > 0)
		pthread_cond_wait(&p->quiet, &p->lock);
	pthread_mutex_unlock(&p->lock);
}

void pool_free(struct pool *p)
{
	if (p == NULL)
		return;
	pthread_mutex_lock(&p->lock);
	while (p->first != NULL || p->running > 0)
		pthread_cond_wait(&p->quiet, &p->lock);
	p->closing = true;
	pthread_cond_broadcast(&p->work);
	while (p->threads > 0)
		pthread_cond_wait(&p->quiet, &p->lock);
	struct worker *ended = p->ended;
	p->ended = NULL;
	pthread_mutex_unlock(&p->lock);
	ended_join(ended);
	pthread_cond_destroy(&p->work);
	pthread_cond_destroy(&p->quiet);
	pthread_mutex_destroy(&p->lock);
	free(p);
}
