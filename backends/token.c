/* SPDX-License-Identifier: Apache-2.0
 *
 * A thread that logs in and renews; everybody else only ever copies the token, or waits for the thread's next result.
 * */
#include "backends/token.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "backends/trace.h"

#define SECOND INT64_C(1000000000)
#define NEVER INT64_MAX

enum { STACK_SIZE = 256 * 1024, STACK_WIPED = 64 * 1024, ATTEMPT_S = 30, FAILURE_STEP_MAX = 6 };

struct token {
	struct token_ops ops;
	void *arg;
	struct cancel cancel;                 /* stops the attempt under way at the end */
	pthread_mutex_t lock;
	pthread_cond_t work;                  /* for the thread: something is to be done */
	pthread_cond_t news;                  /* for callers: an attempt is over */
	/* All below is guarded by lock. */
	pthread_t thread;
	bool started, stop, working;
	struct secret value;
	bool held;                            /* value is set and was not refused */
	bool login_next;                      /* renewing is of no more use */
	uint64_t generation;
	int64_t expires, original;            /* when; the lifetime at login */
	int64_t due;                          /* when the thread acts next */
	uint64_t attempts, logins, renewals, failures;
	unsigned failed_in_row;
	int64_t failed_at;
	struct error last;
};

static int64_t token_now(const struct token *t)
{
	return t->ops.now != NULL ? t->ops.now(t->arg) : call_now();
}

struct token *token_new(const struct token_ops *ops, void *arg)
{
	struct token *t = calloc(1, sizeof *t);
	pthread_condattr_t attr;

	if (t == NULL)
		return NULL;
	t->ops = *ops;
	t->arg = arg;
	t->due = NEVER;
	cancel_init(&t->cancel);
	pthread_mutex_init(&t->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&t->work, &attr);
	pthread_cond_init(&t->news, &attr);
	pthread_condattr_destroy(&attr);
	return t;
}

void token_free(struct token *t)
{
	if (t == NULL)
		return;
	pthread_mutex_lock(&t->lock);
	bool started = t->started;
	t->stop = true;
	pthread_cond_broadcast(&t->work);
	pthread_mutex_unlock(&t->lock);
	cancel_request(&t->cancel);
	if (started)
		pthread_join(t->thread, NULL);
	secret_wipe(&t->value);
	pthread_cond_destroy(&t->work);
	pthread_cond_destroy(&t->news);
	pthread_mutex_destroy(&t->lock);
	cancel_destroy(&t->cancel);
	free(t);
}

void token_tick(struct token *t)
{
	pthread_mutex_lock(&t->lock);
	pthread_cond_broadcast(&t->work);
	pthread_mutex_unlock(&t->lock);
}

/* The rest of these functions have the lock. */

static bool is_valid(const struct token *t, int64_t now)
{
	return t->held && now < t->expires;
}

static bool is_refusal(const struct token *t)
{
	return t->last.code == EKEYREJECTED || t->last.code == EACCES;
}

/* After a failed login without a token to live on: how long its answer is everybody's. */
static int64_t login_pause(const struct token *t)
{
	return is_refusal(t) ? 30 * SECOND : SECOND;
}

static void token_take(struct token *t, struct token_grant *g, bool login, int64_t now)
{
	bool same = g->value.len == 0 || (t->value.len > 0 && secret_equal(&g->value, &t->value));

	if (!same)
		secret_move(&t->value, &g->value);
	/* After a refusal even the same text counts as new, or its callers would wait for ever. */
	if (!same || !t->held)
		t->generation++;
	t->held = true;
	t->expires = g->lifetime > 0 ? now + g->lifetime : NEVER;
	t->due = g->lifetime > 0 ? now + g->lifetime / 3 * 2 : NEVER;
	t->failed_in_row = 0;
	t->last = (struct error)ERROR_INIT;
	t->login_next = false;
	if (login) {
		t->logins++;
		t->original = g->lifetime;
		return;
	}
	t->renewals++;
	/* Near its longest life a token is renewed for less and less: log in while it still serves. */
	if (g->lifetime > 0 && g->lifetime < t->original / 3) {
		t->login_next = true;
		t->due = now;
	}
}

static void token_failed(struct token *t, const struct error *why, int64_t now)
{
	unsigned step = t->failed_in_row < FAILURE_STEP_MAX ? t->failed_in_row : FAILURE_STEP_MAX;
	int64_t wait = (INT64_C(1) << step) * SECOND;

	t->last = *why;
	t->failures++;
	t->failed_in_row++;
	t->failed_at = now;
	if (wait > 60 * SECOND)
		wait = 60 * SECOND;
	if (is_refusal(t) && wait < 30 * SECOND)
		wait = 30 * SECOND;
	t->due = now + wait;
}

static __attribute__((noinline)) void stack_forget(void)
{
	char stack[STACK_WIPED];

	OPENSSL_cleanse(stack, sizeof stack);
}

/* Log in, or renew what is held.  Lets go of the lock for the call. */
static void token_attempt(struct token *t)
{
	struct token_grant grant = { .value = SECRET_INIT };
	struct error err = ERROR_INIT;
	SECRET(current);
	struct call c = call_in(ATTEMPT_S, &t->cancel);
	bool renew = t->ops.renew != NULL && is_valid(t, token_now(t)) && !t->login_next;
	int r = -ENOMEM;

	t->working = true;
	if (renew && secret_copy(&current, &t->value) != 0)
		renew = false;
	pthread_mutex_unlock(&t->lock);
	if (renew)
		r = t->ops.renew(t->arg, &c, &current, &grant, &err);
	if (!renew || r == -EKEYREJECTED || r == -EACCES) {
		renew = false;
		secret_wipe(&grant.value);
		r = t->ops.login(t->arg, &c, &grant, &err);
	}
	secret_wipe(&current);
	trace("token", "%s: %s", renew ? "renewal" : "login", r == 0 ? "done" : err.code != 0 ? err.text : "failed");
	stack_forget();
	pthread_mutex_lock(&t->lock);
	t->working = false;
	t->attempts++;
	if (r == 0) {
		token_take(t, &grant, !renew, token_now(t));
	} else {
		if (err.code == 0)
			error_set(&err, -r, "logging in failed");
		token_failed(t, &err, token_now(t));
	}
	secret_wipe(&grant.value);
	pthread_cond_broadcast(&t->news);
}

static void *token_main(void *arg)
{
	struct token *t = arg;

	pthread_mutex_lock(&t->lock);
	while (!t->stop) {
		int64_t now = token_now(t), until = t->due;

		if (until <= now) {
			token_attempt(t);
		} else if (until == NEVER) {
			pthread_cond_wait(&t->work, &t->lock);
		} else {
			int64_t at = call_now() + (until - now);
			struct timespec ts = { .tv_sec = at / SECOND, .tv_nsec = at % SECOND };
			pthread_cond_timedwait(&t->work, &t->lock, &ts);
		}
	}
	pthread_mutex_unlock(&t->lock);
	return NULL;
}

static int token_start(struct token *t, struct error *err)
{
	pthread_attr_t attr;
	sigset_t all, old;

	if (t->started)
		return 0;
	sigfillset(&all);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK_SIZE);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	int r = pthread_create(&t->thread, &attr, token_main, t);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	pthread_attr_destroy(&attr);
	if (r != 0)
		return error_set(err, r == EAGAIN ? ENOMEM : r, "no thread for the login: %s", strerror(r));
	t->started = true;
	return 0;
}

struct waiter {                       /* a caller inside token_get() */
	struct token *token;
	bool cancelled;               /* guarded by the token's lock */
};

/* May run on any thread, under the lock of struct cancel: so nobody asks for that lock while holding the token's. */
static void waiter_cancel(void *arg)
{
	struct waiter *w = arg;

	pthread_mutex_lock(&w->token->lock);
	w->cancelled = true;
	pthread_cond_broadcast(&w->token->news);
	pthread_mutex_unlock(&w->token->lock);
}

/* Wait for the end of an attempt that is under way or asked for by this. */
static int token_wait(struct token *t, const struct call *c, const struct waiter *w, struct error *err)
{
	uint64_t before = t->attempts;
	struct timespec ts = { .tv_sec = c->deadline / SECOND, .tv_nsec = c->deadline % SECOND };
	int r = 0;

	if (!t->working) {
		t->due = token_now(t);
		pthread_cond_broadcast(&t->work);
	}
	while (t->attempts == before && !w->cancelled && r == 0)
		r = pthread_cond_timedwait(&t->news, &t->lock, &ts);
	if (t->attempts != before)
		return 0;
	if (w->cancelled)
		return error_set(err, ECANCELED, "cancelled while logging in");
	return error_set(err, ETIMEDOUT, "the login took longer than the time allowed");
}

/* The token, or the failure that everybody shares. */
static int token_obtain(struct token *t, const struct call *c, const struct waiter *w, struct secret *ret,
                        uint64_t *ret_generation, struct error *err)
{
	int r = token_start(t, err);
	int64_t now = token_now(t);

	if (r != 0)
		return r;
	if (!is_valid(t, now)) {
		bool recent = t->failed_in_row > 0 && now < t->failed_at + login_pause(t);
		if (!recent || t->working)
			r = token_wait(t, c, w, err);
		if (r != 0)
			return r;
	}
	if (!is_valid(t, token_now(t))) {
		if (t->last.code == 0)
			return error_set(err, EAGAIN, "the login gave a token that had expired at once");
		return error_set(err, t->last.code, "%s", t->last.text);
	}
	r = secret_copy(ret, &t->value);
	*ret_generation = t->generation;
	return r != 0 ? error_set(err, -r, "no locked memory for a token") : 0;
}

int token_get(struct token *t, const struct call *c, struct secret *ret, uint64_t *ret_generation, struct error *err)
{
	struct waiter w = { .token = t };

	cancel_wake(c->cancel, waiter_cancel, &w);
	pthread_mutex_lock(&t->lock);
	int r = token_obtain(t, c, &w, ret, ret_generation, err);
	pthread_mutex_unlock(&t->lock);
	cancel_wake(c->cancel, NULL, NULL);
	return r;
}

void token_refused(struct token *t, uint64_t generation)
{
	pthread_mutex_lock(&t->lock);
	if (t->held && t->generation == generation) {
		t->held = false;
		t->failed_in_row = 0;         /* an old failure is no reason to wait */
		t->due = token_now(t);
		pthread_cond_broadcast(&t->work);
	}
	pthread_mutex_unlock(&t->lock);
}

int token_run(struct token *t, const struct call *c,
              int (*run)(void *arg, const struct secret *token, struct error *err), void *arg, struct error *err)
{
	SECRET(value);
	uint64_t generation;
	int r = token_get(t, c, &value, &generation, err);

	if (r != 0)
		return r;
	r = run(arg, &value, err);
	if (r != -EKEYREJECTED)
		return r;
	token_refused(t, generation);
	r = token_get(t, c, &value, &generation, err);
	return r != 0 ? r : run(arg, &value, err);
}

void token_state(struct token *t, struct token_state *ret)
{
	pthread_mutex_lock(&t->lock);
	int64_t now = token_now(t);
	bool valid = is_valid(t, now);
	*ret = (struct token_state){
		.valid = valid,
		.expires_in = valid && t->expires != NEVER ? t->expires - now : -1,
		.generation = t->generation,
		.logins = t->logins,
		.renewals = t->renewals,
		.failures = t->failures,
		.last = t->last,
	};
	pthread_mutex_unlock(&t->lock);
}
