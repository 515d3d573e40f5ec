/* SPDX-License-Identifier: Apache-2.0
 *
 * Listens on a free port of the loopback interface, says which, and serves until its standard input is closed: so it never
 * outlives a test that died. */
#include "fake.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static void *until_closed(void *arg)
{
	char c;

	while (read(STDIN_FILENO, &c, 1) > 0)
		;
	_exit(0);
}

int main(void)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof at;
	pthread_t thread;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof at) != 0 || listen(fd, 1024) != 0 ||
	    getsockname(fd, (struct sockaddr *)&at, &len) != 0) {
		perror("aws_fake");
		return 1;
	}
	printf("%d\n", ntohs(at.sin_port));
	fflush(stdout);
	if (pthread_create(&thread, NULL, until_closed, NULL) != 0)
		return 1;
	http_serve(fd);
	return 0;
}
