/* SPDX-License-Identifier: Apache-2.0
 *
 * Sockets and just enough HTTP to read a request. */
#include "tests/support/server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { HEAD_MAX = 32 * 1024, CONNECTIONS_MAX = 1024 };

struct connection {
	struct server *server;
	pthread_t thread;
	int fd;                               /* -1: over */
	unsigned number;
};

struct server {
	server_handler *handler;
	void *arg;
	SSL_CTX *tls;
	int listener, port;
	pthread_t thread;
	char url[256];
	pthread_mutex_t lock;
	struct connection connections[CONNECTIONS_MAX];      /* guarded by lock, as all below */
	unsigned connection_count, request_count, open_count;
	bool stop;
};

static bool raw_read(SSL *ssl, int fd, char *buf, size_t size, size_t *ret)
{
	if (ssl != NULL)
		return SSL_read_ex(ssl, buf, size, ret) == 1;
	ssize_t n;
	do
		n = recv(fd, buf, size, 0);
	while (n < 0 && errno == EINTR);
	*ret = n > 0 ? (size_t)n : 0;
	return n > 0;
}

void server_write(struct server_request *r, const void *bytes, size_t len)
{
	const char *p = bytes;

	while (len > 0) {
		size_t n = 0;

		if (r->ssl != NULL) {
			if (SSL_write_ex(r->ssl, p, len, &n) != 1)
				break;
		} else {
			ssize_t sent = send(r->fd, p, len, MSG_NOSIGNAL);
			if (sent < 0 && errno == EINTR)
				continue;
			if (sent <= 0)
				break;
			n = (size_t)sent;
		}
		p += n;
		len -= n;
	}
	if (len > 0)
		r->hang_up = true;
}

void server_say(struct server_request *r, const char *raw)
{
	server_write(r, raw, strlen(raw));
}

void server_answer(struct server_request *r, int status, const char *headers, const char *body)
{
	size_t size = strlen(headers) + strlen(body) + 256;
	char *text = malloc(size);

	if (text == NULL)
		abort();
	int n = snprintf(text, size, "HTTP/1.1 %d Status\r\nContent-Type: application/json\r\n%sContent-Length: %zu\r\n\r\n%s",
	                 status, headers, strlen(body), body);
	server_write(r, text, (size_t)n);
	free(text);
}

bool server_header(const struct server_request *r, const char *name, char *buf, size_t size)
{
	size_t len = strlen(name);

	for (const char *line = r->head; line != NULL && *line != '\0'; line = strchr(line, '\n'), line += line != NULL) {
		if (strncasecmp(line, name, len) != 0 || line[len] != ':')
			continue;
		const char *value = line + len + 1 + strspn(line + len + 1, " ");
		snprintf(buf, size, "%.*s", (int)strcspn(value, "\r\n"), value);
		return true;
	}
	return false;
}

/* Read one request; buf keeps what came after it.  false: the client is gone. */
static bool request_read(struct server_request *r, char *buf, size_t *have)
{
	char *end, length[32];
	size_t n;

	buf[*have] = '\0';
	while ((end = strstr(buf, "\r\n\r\n")) == NULL) {
		if (*have >= HEAD_MAX || !raw_read(r->ssl, r->fd, buf + *have, HEAD_MAX - *have, &n))
			return false;
		*have += n;
		buf[*have] = '\0';
	}
	size_t head = (size_t)(end + 4 - buf);
	if (sscanf(buf, "%15s %511s", r->method, r->path) != 2)
		return false;
	r->head = strndup(buf, head);
	r->body_len = server_header(r, "Content-Length", length, sizeof length) ? strtoul(length, NULL, 10) : 0;
	r->body = calloc(1, r->body_len + 1);
	if (r->head == NULL || r->body == NULL)
		abort();
	size_t got = *have - head < r->body_len ? *have - head : r->body_len;
	memcpy(r->body, buf + head, got);
	memmove(buf, buf + head + got, *have - head - got);
	*have -= head + got;
	while (got < r->body_len) {
		if (!raw_read(r->ssl, r->fd, r->body + got, r->body_len - got, &n))
			return false;
		got += n;
	}
	return true;
}

bool server_read(struct server_request *r, void *bytes, size_t len)
{
	char *to = bytes;
	size_t n = len < *r->rest_len ? len : *r->rest_len;

	memcpy(to, r->rest, n);
	memmove(r->rest, r->rest + n, *r->rest_len - n);
	*r->rest_len -= n;
	for (to += n, len -= n; len > 0; to += n, len -= n)
		if (!raw_read(r->ssl, r->fd, to, len, &n))
			return false;
	return true;
}

static void connection_serve(struct connection *c, SSL *ssl, char *buf)
{
	struct server *s = c->server;
	size_t have = 0;
	bool more = true;

	while (more) {
		struct server_request r = { .server = s, .connection = c->number, .fd = c->fd, .ssl = ssl };

		more = request_read(&r, buf, &have);
		if (more) {
			r.rest = buf;
			r.rest_len = &have;
			pthread_mutex_lock(&s->lock);
			r.number = ++s->request_count;
			pthread_mutex_unlock(&s->lock);
			s->handler(&r, s->arg);
			more = !r.hang_up;
		}
		free(r.head);
		free(r.body);
		if (r.reset) {
			struct linger now = { .l_onoff = 1, .l_linger = 0 };
			setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
		}
	}
}

/* A close with unread bytes would be a reset, and an alert under way would be lost. */
static void refusal_deliver(int fd)
{
	char rest[4096];
	size_t n;

	shutdown(fd, SHUT_WR);
	while (raw_read(NULL, fd, rest, sizeof rest, &n))
		;
}

static void *connection_main(void *arg)
{
	struct connection *c = arg;
	struct server *s = c->server;
	char *buf = malloc(HEAD_MAX + 1);
	SSL *ssl = s->tls != NULL ? SSL_new(s->tls) : NULL;

	if (buf == NULL)
		abort();
	if (ssl != NULL)
		SSL_set_fd(ssl, c->fd);
	if (ssl == NULL || SSL_accept(ssl) == 1)
		connection_serve(c, ssl, buf);
	else
		refusal_deliver(c->fd);
	SSL_free(ssl);
	free(buf);
	pthread_mutex_lock(&s->lock);
	close(c->fd);
	c->fd = -1;
	s->open_count--;
	pthread_mutex_unlock(&s->lock);
	return NULL;
}

static void *listener_main(void *arg)
{
	struct server *s = arg;

	for (;;) {
		int fd = accept4(s->listener, NULL, NULL, SOCK_CLOEXEC);

		pthread_mutex_lock(&s->lock);
		if (s->stop || fd < 0 || s->connection_count == CONNECTIONS_MAX) {
			if (fd >= 0)
				close(fd);
			bool stop = s->stop;
			pthread_mutex_unlock(&s->lock);
			if (stop)
				return NULL;
			continue;
		}
		struct connection *c = &s->connections[s->connection_count++];
		*c = (struct connection){ .server = s, .fd = fd, .number = s->connection_count };
		s->open_count++;
		if (pthread_create(&c->thread, NULL, connection_main, c) != 0)
			abort();
		pthread_mutex_unlock(&s->lock);
	}
}

struct server *server_start(server_handler *handler, void *arg, SSL_CTX *tls)
{
	struct server *s = calloc(1, sizeof *s);
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof a;

	if (s == NULL)
		abort();
	signal(SIGPIPE, SIG_IGN);             /* OpenSSL writes without MSG_NOSIGNAL */
	s->handler = handler;
	s->arg = arg;
	s->tls = tls;
	pthread_mutex_init(&s->lock, NULL);
	s->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (s->listener < 0 || bind(s->listener, (struct sockaddr *)&a, sizeof a) != 0 || listen(s->listener, 512) != 0 ||
	    getsockname(s->listener, (struct sockaddr *)&a, &len) != 0)
		abort();
	s->port = ntohs(a.sin_port);
	if (pthread_create(&s->thread, NULL, listener_main, s) != 0)
		abort();
	return s;
}

void server_stop(struct server *s)
{
	pthread_mutex_lock(&s->lock);
	s->stop = true;
	pthread_mutex_unlock(&s->lock);
	shutdown(s->listener, SHUT_RDWR);
	pthread_join(s->thread, NULL);
	close(s->listener);
	pthread_mutex_lock(&s->lock);
	unsigned count = s->connection_count;
	for (unsigned i = 0; i < count; i++)
		if (s->connections[i].fd >= 0)
			shutdown(s->connections[i].fd, SHUT_RDWR);
	pthread_mutex_unlock(&s->lock);
	for (unsigned i = 0; i < count; i++)
		pthread_join(s->connections[i].thread, NULL);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

const char *server_url(struct server *s, const char *host, const char *path)
{
	snprintf(s->url, sizeof s->url, "%s://%s:%d%s", s->tls != NULL ? "https" : "http",
	         host != NULL ? host : "127.0.0.1", s->port, path);
	return s->url;
}

int server_port(const struct server *s)
{
	return s->port;
}

static unsigned count_of(struct server *s, const unsigned *count)
{
	pthread_mutex_lock(&s->lock);
	unsigned n = *count;
	pthread_mutex_unlock(&s->lock);
	return n;
}

unsigned server_connections(struct server *s)
{
	return count_of(s, &s->connection_count);
}

unsigned server_requests(struct server *s)
{
	return count_of(s, &s->request_count);
}

unsigned server_open_connections(struct server *s)
{
	return count_of(s, &s->open_count);
}

void gate_pass(struct gate *g)
{
	pthread_mutex_lock(&g->lock);
	g->waiting++;
	pthread_cond_broadcast(&g->changed);
	while (!g->open)
		pthread_cond_wait(&g->changed, &g->lock);
	g->waiting--;
	pthread_mutex_unlock(&g->lock);
}

void gate_open(struct gate *g)
{
	pthread_mutex_lock(&g->lock);
	g->open = true;
	pthread_cond_broadcast(&g->changed);
	pthread_mutex_unlock(&g->lock);
}

bool gate_await(struct gate *g, unsigned waiting)
{
	struct timespec until;
	int r = 0;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += 30;
	pthread_mutex_lock(&g->lock);
	while (g->waiting < waiting && r == 0)
		r = pthread_cond_timedwait(&g->changed, &g->lock, &until);
	bool enough = g->waiting >= waiting;
	pthread_mutex_unlock(&g->lock);
	return enough;
}

bool eventually(bool (*is)(void *arg), void *arg)
{
	for (int i = 0; i < 3000; i++) {
		if (is(arg))
			return true;
		nanosleep(&(struct timespec){ .tv_nsec = 10 * 1000 * 1000 }, NULL);
	}
	return is(arg);
}
