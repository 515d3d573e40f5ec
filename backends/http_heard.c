/* SPDX-License-Identifier: Apache-2.0
 *
 * While a handle runs libcurl does not tell its socket (CURLINFO_ACTIVESOCKET is -1 then), but its local port: hence
 * the search. */
#include "backends/http_heard.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

void http_heard_note(struct http_heard *h, int fd, int64_t now)
{
	if ((size_t)fd >= h->count) {
		size_t count = (size_t)fd + 64;
		int64_t *grown = realloc(h->at, count * sizeof *grown);
		if (grown == NULL)
			return;
		memset(grown + h->count, 0, (count - h->count) * sizeof *grown);
		h->at = grown;
		h->count = count;
	}
	h->at[fd] = now;
}

static int port_of(int fd)
{
	union {
		struct sockaddr any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	} a = { .any.sa_family = AF_UNSPEC };
	socklen_t len = sizeof a;

	if (getsockname(fd, &a.any, &len) != 0)
		return -1;
	if (a.any.sa_family == AF_INET)
		return ntohs(a.v4.sin_port);
	return a.any.sa_family == AF_INET6 ? ntohs(a.v6.sin6_port) : -1;
}

void http_heard_cut(struct http_heard *h, int local_port, int64_t since)
{
	for (size_t fd = 0; fd < h->count; fd++)
		if (h->at[fd] != 0 && h->at[fd] <= since && port_of((int)fd) == local_port)
			shutdown((int)fd, SHUT_RDWR);
}

void http_heard_free(struct http_heard *h)
{
	free(h->at);
	*h = (struct http_heard){ NULL, 0 };
}
