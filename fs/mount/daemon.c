/* SPDX-License-Identifier: Apache-2.0
 *
 * Parent and child share the terminal until the mount stands: what the child writes to standard error is what the user
 * reads, so nothing but the exit status has to travel. */
#include "fs/mount/daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fs/log.h"
#include "fs/mount/exit.h"
#include "fs/mount/signals.h"

int daemon_descriptors(struct error *err)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd < 0)
		return error_set(err, errno, "/dev/null cannot be opened: %s", strerror(errno));
	close(fd);
	return 0;
}

/* The status of a child that ended, as a shell would tell it. */
static int status_of(int status)
{
	if (WIFEXITED(status))
		return WEXITSTATUS(status);
	log_line(LOG_LEVEL_ERROR, "the background process was ended by signal %d (%s) before the mount was made",
	         WTERMSIG(status), strsignal(WTERMSIG(status)));
	return EXIT_SIGNAL + WTERMSIG(status);
}

static void signal_forward(int fd, pid_t child)
{
	struct signalfd_siginfo info;

	if (read(fd, &info, sizeof info) == (ssize_t)sizeof info)
		kill(child, (int)info.ssi_signo);
}

/* In the parent: until the child is ready (0) or has ended (its status). */
static int child_wait(pid_t child, int ready, int signals)
{
	struct pollfd fds[] = { { .fd = ready, .events = POLLIN }, { .fd = signals, .events = POLLIN } };
	char byte;
	int status;

	for (;;) {
		if (poll(fds, 2, -1) < 0 && errno != EINTR)
			break;
		if (fds[1].revents != 0)
			signal_forward(signals, child);
		if (fds[0].revents == 0)
			continue;
		if (read(ready, &byte, 1) == 1)
			return 0;
		break;
	}
	while (waitpid(child, &status, 0) < 0)
		if (errno != EINTR)
			return EXIT_OTHER;
	return status_of(status);
}

int daemon_fork(bool foreground, struct daemon *ret, struct error *err)
{
	int fds[2];
	sigset_t set;

	ret->ready = -1;
	if (foreground)
		return 0;
	signals_set(&set);
	int signals = signalfd(-1, &set, SFD_CLOEXEC);
	if (signals < 0)
		return error_set(err, errno, "a descriptor for signals cannot be made: %s", strerror(errno));
	if (pipe2(fds, O_CLOEXEC) != 0) {
		close(signals);
		return error_set(err, errno, "a pipe cannot be made: %s", strerror(errno));
	}
	pid_t child = fork();
	if (child > 0) {
		close(fds[1]);
		exit(child_wait(child, fds[0], signals));
	}
	int code = errno;
	close(fds[0]);
	close(signals);
	if (child < 0) {
		close(fds[1]);
		return error_set(err, code, "a background process cannot be started: %s", strerror(code));
	}
	ret->ready = fds[1];
	return 0;
}

void daemon_ready(struct daemon *d)
{
	if (d->ready < 0)
		return;
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	for (int fd = 0; null >= 0 && fd <= STDERR_FILENO; fd++)
		dup2(null, fd);
	if (null >= 0)
		close(null);
	setsid();
	/* A parent that was killed meanwhile needs no answer (SIGPIPE is ignored). */
	while (write(d->ready, "", 1) < 0 && errno == EINTR)
		;
	close(d->ready);
	d->ready = -1;
}
