/* SPDX-License-Identifier: Apache-2.0
 *
 * Order of locks: libfuse's lock of a request, then ours of it, then the volume's, the pool's or libfuse's session's. */
#include "fs/mount/request.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Listed under the volume's lock from start to finish. */
static void request_enlist(struct request *r)
{
	struct volume *v = r->volume;

	r->next = v->active;
	if (r->next != NULL)
		r->next->prev = r;
	v->active = r;
	v->changing += r->change;
}

static void request_free(struct request *r)
{
	struct volume *v = r->volume;

	pthread_mutex_lock(&v->lock);
	*(r->prev != NULL ? &r->prev->next : &v->active) = r->next;
	if (r->next != NULL)
		r->next->prev = r->prev;
	v->changing -= r->change;
	pthread_cond_broadcast(&v->quiet);
	pthread_mutex_unlock(&v->lock);
	secret_wipe(&r->value);
	free(r->name);
	free(r->new_name);
	free(r->spare_name);
	/* The interrupt that answered may still be leaving. */
	pthread_mutex_lock(&r->lock);
	pthread_mutex_unlock(&r->lock);
	pthread_mutex_destroy(&r->lock);
	cancel_destroy(&r->cancel);
	free(r);
}

struct request *request_new(fuse_req_t req, struct volume *v, const char *name, int (*work)(struct request *r, struct error *err),
                            void (*finish)(struct request *r, int result, struct error *err))
{
	struct request *r = calloc(1, sizeof *r);

	if (r == NULL || (name != NULL && (r->name = strdup(name)) == NULL)) {
		free(r);
		if (req != NULL)
			fuse_reply_err(req, ENOMEM);
		return NULL;
	}
	r->req = req;
	r->volume = v;
	r->work = work;
	r->finish = finish;
	r->answered = req == NULL;
	pthread_mutex_init(&r->lock, NULL);
	cancel_init(&r->cancel);
	r->call = volume_call(v, &r->cancel);
	if (req != NULL) {
		r->uid = fuse_req_ctx(req)->uid;
		r->pid = fuse_req_ctx(req)->pid;
	}
	return r;
}

static void request_end(struct request *r, int result, struct error *err)
{
	r->finish(r, result, err);
	request_free(r);
}

static void request_run(struct pool_job *job)
{
	struct request *r = (struct request *)((char *)job - offsetof(struct request, job));
	struct error err = ERROR_INIT;
	int result = r->work(r, &err);

	request_end(r, result, &err);
}

/* Out of the waiting list; false: somebody else has it already. */
static bool request_unwait(struct request *r)
{
	struct volume *v = r->volume;
	bool found = false;

	pthread_mutex_lock(&v->lock);
	for (struct request **p = &v->waiting; *p != NULL && !found; p = &(*p)->next_waiting)
		if (*p == r) {
			*p = r->next_waiting;
			found = true;
			break;
		}
	pthread_mutex_unlock(&v->lock);
	return found;
}

/* libfuse calls this with its lock of the request held: the caller was hit by a signal and wants to leave.  A change
 * that has begun goes on and settles without him. */
static void request_interrupt(fuse_req_t req, void *data)
{
	struct request *r = data;
	struct error err = ERROR_INIT;

	pthread_mutex_lock(&r->lock);
	r->interrupted = true;
	if (r->answered || r->registering) {
		pthread_mutex_unlock(&r->lock);
		return;
	}
	r->answered = true;
	cancel_request(&r->cancel);
	/* With the lock held, so that r cannot be freed meanwhile. */
	bool ours = r->waits ? request_unwait(r) : !r->queued && pool_withdraw(r->volume->pool, &r->job);
	fuse_reply_err(req, EINTR);
	pthread_mutex_unlock(&r->lock);
	if (ours)
		request_end(r, error_set(&err, ECANCELED, "interrupted before anything was sent"), &err);
}

/* From here on an interrupt is heard.  One that came before is reported by libfuse from within the registration, where
 * the request must not be answered: libfuse still uses it afterwards.  False: so it was, and the answer is given. */
static bool request_watch(struct request *r)
{
	if (r->req == NULL)
		return true;
	r->registering = true;
	fuse_req_interrupt_func(r->req, request_interrupt, r);
	pthread_mutex_lock(&r->lock);
	r->registering = false;
	bool interrupted = r->interrupted;
	r->answered = r->answered || interrupted;
	pthread_mutex_unlock(&r->lock);
	if (!interrupted)
		return true;
	fuse_req_interrupt_func(r->req, NULL, NULL);
	fuse_reply_err(r->req, EINTR);
	return false;
}

static void request_list(struct request *r)
{
	pthread_mutex_lock(&r->volume->lock);
	request_enlist(r);
	pthread_mutex_unlock(&r->volume->lock);
}

/* Into the pool; gone: whoever asked has left before.  The request's lock is held on entry and released. */
static void request_submit(struct request *r, bool gone)
{
	struct error err = ERROR_INIT;

	r->job.run = request_run;
	r->queued = false;
	bool submitted = !gone && pool_submit(r->volume->pool, &r->job);
	pthread_mutex_unlock(&r->lock);
	if (gone)
		request_end(r, error_set(&err, ECANCELED, "interrupted before anything was sent"), &err);
	else if (!submitted)
		request_end(r, error_set(&err, ENOMEM, "no thread could be started to call the store"), &err);
}

void request_start(struct request *r)
{
	request_list(r);
	bool watched = request_watch(r);
	pthread_mutex_lock(&r->lock);
	request_submit(r, !watched || (r->req != NULL && r->answered));
}

void request_queue(struct request *r)
{
	request_list(r);
	r->queued = true;
	if (!request_watch(r))
		cancel_request(&r->cancel);
}

void request_resume(struct request *r)
{
	pthread_mutex_lock(&r->lock);
	request_submit(r, false);
}

void request_here(struct request *r)
{
	struct error err = ERROR_INIT;

	request_list(r);
	int result = r->work(r, &err);
	request_end(r, result, &err);
}

void request_wait(struct request *r)
{
	struct volume *v = r->volume;
	struct error err = ERROR_INIT;

	request_list(r);
	r->waits = true;
	request_watch(r);
	pthread_mutex_lock(&r->lock);
	pthread_mutex_lock(&v->lock);
	bool waiting = !r->answered && (r->refresh ? v->listing.running : volume_names(v) == NAMES_AWAITED);
	if (waiting) {
		r->next_waiting = v->waiting;
		v->waiting = r;
	}
	pthread_mutex_unlock(&v->lock);
	pthread_mutex_unlock(&r->lock);
	if (!waiting)
		request_end(r, 0, &err);
}

void request_wake_waiting(struct volume *v, bool over)
{
	struct error err = ERROR_INIT;
	struct request *first = NULL;

	pthread_mutex_lock(&v->lock);
	for (struct request **p = &v->waiting, *r; (r = *p) != NULL;)
		if (over || !r->refresh) {
			*p = r->next_waiting;
			r->next_waiting = first;
			first = r;
		} else {
			p = &r->next_waiting;
		}
	pthread_mutex_unlock(&v->lock);
	for (struct request *r = first, *next; r != NULL; r = next) {
		next = r->next_waiting;
		request_end(r, 0, &err);
	}
}

bool request_claim(struct request *r)
{
	pthread_mutex_lock(&r->lock);
	bool mine = !r->answered;
	r->answered = true;
	pthread_mutex_unlock(&r->lock);
	if (mine)
		fuse_req_interrupt_func(r->req, NULL, NULL);      /* afterwards no interrupt is on its way to r */
	return mine;
}

void request_answer(struct request *r, int result)
{
	if (request_claim(r))
		fuse_reply_err(r->req, result < 0 ? error_errno(-result) : 0);
}

void request_name_changed(struct request *r, const char *name)
{
	pthread_mutex_lock(&r->lock);
	bool interrupted = r->answered;
	pthread_mutex_unlock(&r->lock);
	if (interrupted)
		notifier_entry(r->volume->notifier, volume_dir_ino(r->volume), name);
}
