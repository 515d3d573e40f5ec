/* SPDX-License-Identifier: Apache-2.0
 *
 * One thread waits for signals, so that what they cause runs in an ordinary thread and may lock and allocate. */
#include "fs/mount/signals.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "fs/log.h"
#include "fs/mount/exit.h"

static struct {
	pthread_mutex_t lock;
	bool held;                    /* guarded by lock, as all here */
	int kept;                     /* a SIGINT or SIGTERM that came while held without a session */
	bool refresh;                 /* a SIGHUP came without a session */
	struct session *session;
} now = { PTHREAD_MUTEX_INITIALIZER, false, 0, false, NULL };

void signals_set(sigset_t *ret)
{
	sigemptyset(ret);
	sigaddset(ret, SIGHUP);
	sigaddset(ret, SIGINT);
	sigaddset(ret, SIGTERM);
}

void signals_block(void)
{
	struct sigaction old, usual = { .sa_handler = SIG_DFL }, ignore = { .sa_handler = SIG_IGN };
	sigset_t set;

	signals_set(&set);
	/* An ignored signal that is blocked would still be delivered to sigwait(), so it must not be in the set. */
	if (sigaction(SIGINT, NULL, &old) == 0 && old.sa_handler == SIG_IGN)
		sigdelset(&set, SIGINT);
	sigaction(SIGHUP, &usual, NULL);
	sigaction(SIGTERM, &usual, NULL);
	sigaction(SIGPIPE, &ignore, NULL);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
}

static void session_end(struct session *s, int signal)
{
	log_line(LOG_LEVEL_INFO, "%s: finishing what was closed, then unmounting", signal == SIGINT ? "SIGINT" : "SIGTERM");
	session_stop(s);
}

static void signal_act(int signal)
{
	pthread_mutex_lock(&now.lock);
	if (signal == SIGHUP) {
		log_reopen();
		now.refresh = now.session == NULL;
		if (now.session != NULL)
			session_refresh(now.session);
	} else if (now.session != NULL) {
		session_end(now.session, signal);
	} else if (now.held) {
		now.kept = signal;
	} else {
		log_line(LOG_LEVEL_ERROR, "interrupted: nothing was mounted");
		_exit(EXIT_SIGNAL + signal);
	}
	pthread_mutex_unlock(&now.lock);
}

static void *signals_wait(void *arg)
{
	sigset_t set;
	int signal;

	signals_set(&set);
	for (;;)
		if (sigwait(&set, &signal) == 0)
			signal_act(signal);
	return NULL;
}

int signals_start(struct error *err)
{
	pthread_attr_t attr;
	pthread_t thread;
	int r = pthread_attr_init(&attr);

	if (r == 0) {
		pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
		pthread_attr_setstacksize(&attr, 256 * 1024);
		r = pthread_create(&thread, &attr, signals_wait, NULL);
		pthread_attr_destroy(&attr);
	}
	return r == 0 ? 0 : error_set(err, r, "a thread for signals cannot be started: %s",
	                                  r == EAGAIN ? "too many processes, or no memory" : strerror(r));
}

void signals_hold(void)
{
	pthread_mutex_lock(&now.lock);
	now.held = true;
	pthread_mutex_unlock(&now.lock);
}

void signals_serve(struct session *s)
{
	pthread_mutex_lock(&now.lock);
	now.session = s;
	if (s != NULL && now.refresh) {
		session_refresh(s);
		now.refresh = false;
	}
	if (s != NULL && now.kept != 0) {
		session_end(s, now.kept);
		now.kept = 0;
	}
	pthread_mutex_unlock(&now.lock);
}
