/* SPDX-License-Identifier: Apache-2.0
 *
 * A timer that signals one thread.  It repeats, since a signal that comes just before the system call has no effect. */
#include "backends/interrupt.h"

#include <errno.h>
#include <unistd.h>

#define REPEAT_NS 20000000L

static void signal_nothing(int number)
{
}

static void signal_setup(void)
{
	/* No SA_RESTART: that EINTR is seen is all that it is for. */
	struct sigaction action = { .sa_handler = signal_nothing };

	sigaction(SIGRTMIN, &action, NULL);
}

/* With the cancel's lock held, from any thread. */
static void fire(void *arg)
{
	struct interrupt *i = arg;
	struct itimerspec now = { { 0, REPEAT_NS }, { 0, 1 } };

	timer_settime(i->timer, 0, &now, NULL);
}

void interrupt_begin(struct interrupt *i, const struct call *c)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct itimerspec end = { { 0, REPEAT_NS }, { c->deadline / 1000000000, c->deadline % 1000000000 } };
	struct sigevent event = { .sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGRTMIN };
	sigset_t set;

	pthread_once(&once, signal_setup);
	event._sigev_un._tid = gettid();
	*i = (struct interrupt){ .call = c, .cancel = c->cancel };
	if (timer_create(CLOCK_MONOTONIC, &event, &i->timer) != 0)
		return;
	i->armed = true;
	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN);
	pthread_sigmask(SIG_UNBLOCK, &set, &i->before);
	timer_settime(i->timer, TIMER_ABSTIME, &end, NULL);
	cancel_wake(i->cancel, fire, i);
}

void interrupt_ignore_cancel(struct interrupt *i)
{
	if (i->armed)
		cancel_wake(i->cancel, NULL, NULL);
	i->cancel = NULL;
}

void interrupt_end(struct interrupt *i)
{
	if (!i->armed)
		return;
	interrupt_ignore_cancel(i);
	timer_delete(i->timer);
	pthread_sigmask(SIG_SETMASK, &i->before, NULL);
}

int interrupt_reason(const struct interrupt *i)
{
	if (cancel_requested(i->cancel))
		return -ECANCELED;
	return call_left(i->call) == 0 ? -ETIMEDOUT : 0;
}

int interrupt_sleep(const struct interrupt *i, int64_t ns)
{
	return call_sleep(i->call, ns, i->cancel != NULL);
}
