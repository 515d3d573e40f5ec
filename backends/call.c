/* SPDX-License-Identifier: Apache-2.0
 *
 * Deadlines on the monotonic clock, and a stop that can wake a sleeper. */
#include "backends/call.h"

#include <errno.h>
#include <time.h>

enum { SECOND = 1000000000 };

void cancel_init(struct cancel *c)
{
	pthread_condattr_t attr;

	*c = (struct cancel){ .requested = false };
	pthread_mutex_init(&c->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&c->cond, &attr);
	pthread_condattr_destroy(&attr);
}

void cancel_destroy(struct cancel *c)
{
	pthread_cond_destroy(&c->cond);
	pthread_mutex_destroy(&c->lock);
}

void cancel_request(struct cancel *c)
{
	pthread_mutex_lock(&c->lock);
	if (!c->requested) {
		c->requested = true;
		pthread_cond_broadcast(&c->cond);
		if (c->wake != NULL)
			c->wake(c->wake_arg);
	}
	pthread_mutex_unlock(&c->lock);
}

bool cancel_requested(struct cancel *c)
{
	if (c == NULL)
		return false;
	pthread_mutex_lock(&c->lock);
	bool requested = c->requested;
	pthread_mutex_unlock(&c->lock);
	return requested;
}

void cancel_wake(struct cancel *c, void (*wake)(void *arg), void *arg)
{
	if (c == NULL)
		return;
	pthread_mutex_lock(&c->lock);
	c->wake = wake;
	c->wake_arg = arg;
	if (wake != NULL && c->requested)
		wake(arg);
	pthread_mutex_unlock(&c->lock);
}

int64_t call_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * SECOND + ts.tv_nsec;
}

struct call call_in(double seconds, struct cancel *cancel)
{
	return (struct call){ .deadline = call_now() + (int64_t)(seconds * SECOND), .cancel = cancel };
}

int64_t call_left(const struct call *c)
{
	int64_t left = c->deadline - call_now();

	return left > 0 ? left : 0;
}

int call_check(const struct call *c, struct error *err, const char *what)
{
	if (cancel_requested(c->cancel))
		return error_set(err, ECANCELED, "%s: cancelled before anything was sent", what);
	if (call_left(c) == 0)
		return error_set(err, ETIMEDOUT, "%s: not finished within the time allowed", what);
	return 0;
}

static int sleep_cancellable(struct cancel *cancel, int64_t until)
{
	struct timespec ts = { .tv_sec = until / SECOND, .tv_nsec = until % SECOND };
	int r = 0;

	pthread_mutex_lock(&cancel->lock);
	while (!cancel->requested && r == 0)
		r = pthread_cond_timedwait(&cancel->cond, &cancel->lock, &ts);
	bool requested = cancel->requested;
	pthread_mutex_unlock(&cancel->lock);
	return requested ? -ECANCELED : 0;
}

int call_sleep(const struct call *c, int64_t ns, bool obey_cancel)
{
	int64_t until = call_now() + ns;
	bool cut = until > c->deadline;

	if (cut)
		until = c->deadline;
	if (obey_cancel && c->cancel != NULL) {
		int r = sleep_cancellable(c->cancel, until);
		if (r != 0)
			return r;
	} else {
		struct timespec ts = { .tv_sec = until / SECOND, .tv_nsec = until % SECOND };
		while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL) == EINTR)
			;
	}
	return cut ? -ETIMEDOUT : 0;
}
