/* SPDX-License-Identifier: Apache-2.0
 *
 * A thread in sigwait() may lock, allocate and write, which a handler may not.  It is woken to end by SIGUSR1, which
 * nobody else gets to send it: the signal is blocked and waited for in that thread only. */
#include "fs/migrate/signals.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct signals {
	pthread_t thread;
	sigset_t set;
	int fd;
	atomic_int first;                     /* no lock: it is asked for under locks that heard() takes */
	bool ending;                          /* guarded by lock, as is the rest */
	pthread_mutex_t lock;
	unsigned count;
	void (*heard)(unsigned count, void *arg);
	void *arg;
};

static void *signals_run(void *arg)
{
	struct signals *s = arg;
	int number;

	while (sigwait(&s->set, &number) == 0) {
		pthread_mutex_lock(&s->lock);
		bool ending = s->ending;
		if (number != SIGUSR1) {
			if (s->count++ == 0)
				atomic_store(&s->first, number);
			eventfd_write(s->fd, 1);
			if (s->heard != NULL)
				s->heard(s->count, s->arg);
		}
		pthread_mutex_unlock(&s->lock);
		if (ending)
			break;
	}
	return NULL;
}

/* What was ignored when we were started stays so: nohup, and "&" of a shell without job control. */
static void set_fill(sigset_t *set)
{
	static const int numbers[] = { SIGINT, SIGTERM, SIGHUP };

	sigemptyset(set);
	sigaddset(set, SIGUSR1);
	for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
		struct sigaction now;
		if (sigaction(numbers[i], NULL, &now) == 0 && now.sa_handler != SIG_IGN)
			sigaddset(set, numbers[i]);
	}
}

int signals_start(struct signals **ret, struct error *err)
{
	struct signals *s = calloc(1, sizeof *s);

	if (s == NULL)
		return error_set(err, ENOMEM, "no memory");
	signal(SIGPIPE, SIG_IGN);
	set_fill(&s->set);
	pthread_mutex_init(&s->lock, NULL);
	s->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	pthread_sigmask(SIG_BLOCK, &s->set, NULL);
	int r = s->fd < 0 ? errno : pthread_create(&s->thread, NULL, signals_run, s);
	if (r != 0) {
		if (s->fd >= 0)
			close(s->fd);
		free(s);
		return error_set(err, r, "no thread for signals could be started: %s", r == EAGAIN ? "too many processes, or no memory" :
				 strerror(r));
	}
	*ret = s;
	return 0;
}

void signals_tell(struct signals *s, void (*heard)(unsigned count, void *arg), void *arg)
{
	pthread_mutex_lock(&s->lock);
	s->heard = heard;
	s->arg = arg;
	if (heard != NULL && s->count > 0)
		heard(s->count, arg);
	pthread_mutex_unlock(&s->lock);
}

int signals_first(struct signals *s)
{
	return atomic_load(&s->first);
}

int signals_fd(struct signals *s)
{
	return s->fd;
}

void signals_free(struct signals *s)
{
	if (s == NULL)
		return;
	pthread_mutex_lock(&s->lock);
	s->ending = true;
	pthread_mutex_unlock(&s->lock);
	pthread_kill(s->thread, SIGUSR1);
	pthread_join(s->thread, NULL);
	close(s->fd);
	pthread_mutex_destroy(&s->lock);
	free(s);
}
