/* SPDX-License-Identifier: Apache-2.0
 *
 * HTTP/1.1 on one thread: kept-alive connections, one request at a time on each, answers that leave after a delay without
 * holding up others. */
#include "fake.h"

#include <ctype.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

enum { HEAD_MAX = 32 * 1024, EVENTS = 64 };

struct connection {
	int fd;
	struct text in, out;
	size_t sent;
	bool busy;                    /* a request is being answered */
	bool close_after;
	struct connection *next;      /* in the queue of delayed answers, or among the ended */
	double due;
};

static int epoll_fd, timer_fd;
static struct connection *first_due, **last_due = &first_due;
static struct connection *ended;      /* events of theirs may still be on the table */

double clock_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

double clock_elapsed(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

const char *request_header(const struct request *r, const char *name)
{
	for (size_t i = 0; i < r->header_count; i++)
		if (strcmp(r->headers[i].name, name) == 0)
			return r->headers[i].value;
	return NULL;
}

static void watch(struct connection *c, uint32_t events)
{
	struct epoll_event e = { .events = events, .data.ptr = c };

	if (epoll_ctl(epoll_fd, EPOLL_CTL_MOD, c->fd, &e) != 0)
		epoll_ctl(epoll_fd, EPOLL_CTL_ADD, c->fd, &e);
}

/* Never while its answer is in the queue. */
static void connection_end(struct connection *c)
{
	close(c->fd);
	c->fd = -1;
	c->next = ended;
	ended = c;
}

static void ended_free(void)
{
	while (ended != NULL) {
		struct connection *c = ended;
		ended = c->next;
		text_free(&c->in);
		text_free(&c->out);
		free(c);
	}
}

/* ---- answers ---- */

static bool flush(struct connection *c)
{
	while (c->sent < c->out.len) {
		ssize_t n = send(c->fd, c->out.p + c->sent, c->out.len - c->sent, MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN) {
			watch(c, EPOLLOUT);
			return true;
		}
		if (n < 0)
			return false;
		c->sent += (size_t)n;
	}
	if (c->close_after)
		return false;
	c->out.len = c->sent = 0;
	c->busy = false;
	return true;
}

static void timer_set(double due)
{
	double s = due > 0 ? due : 0;
	struct itimerspec t = { .it_value = { .tv_sec = (time_t)s, .tv_nsec = (long)((s - (double)(time_t)s) * 1e9) } };

	timerfd_settime(timer_fd, TFD_TIMER_ABSTIME, &t, NULL);
}

static void answer_format(struct connection *c, const struct answer *a)
{
	time_t at = (time_t)(clock_now() + settings.clock);
	char date[40];
	struct tm tm;

	strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S GMT", gmtime_r(&at, &tm));
	text_printf(&c->out, "HTTP/1.1 %d %s\r\nDate: %s\r\nContent-Type: application/x-amz-json-1.1\r\n"
	            "x-amzn-RequestId: 00000000-0000-0000-0000-000000000000\r\nContent-Length: %zu\r\n\r\n", a->status,
	            a->status < 300 ? "OK" : "Refused", date, a->body.len);
	text_add(&c->out, a->body.p, a->body.len);
}

/* false: the connection is over. */
static bool answer_send(struct connection *c, struct answer *a)
{
	if (a->fate == CLOSE)
		c->close_after = true;
	else
		answer_format(c, a);
	text_free(&a->body);
	if (settings.delay <= 0 || a->at_once)
		return flush(c);
	c->due = clock_elapsed() + settings.delay;
	c->next = NULL;
	*last_due = c;
	last_due = &c->next;
	if (first_due == c)
		timer_set(c->due);
	return true;
}

/* ---- requests ---- */

static void header_add(struct request *r, char *line)
{
	char *colon = strchr(line, ':');

	if (colon == NULL || r->header_count == sizeof r->headers / sizeof *r->headers)
		return;
	*colon = '\0';
	for (char *p = line; *p != '\0'; p++)
		*p = (char)tolower((unsigned char)*p);
	char *value = colon + 1 + strspn(colon + 1, " \t");
	for (char *end = value + strlen(value); end > value && (end[-1] == ' ' || end[-1] == '\t');)
		*--end = '\0';
	r->headers[r->header_count].name = line;
	r->headers[r->header_count++].value = value;
}

/* Cuts the head, which ends with a zero byte, into its parts. */
static bool head_parse(struct request *r, char *head)
{
	char *rest, *line = strtok_r(head, "\r\n", &rest), *part;

	if (line == NULL)
		return false;
	r->method = strtok_r(line, " ", &part);
	r->path = strtok_r(NULL, " ", &part);
	if (r->method == NULL || r->path == NULL)
		return false;
	char *host = strstr(r->path, "://");
	if (host != NULL)
		r->path = strchr(host + 3, '/') != NULL ? strchr(host + 3, '/') : host + 3;
	while ((line = strtok_r(NULL, "\r\n", &rest)) != NULL)
		header_add(r, line);
	return true;
}

static void serve(const struct request *r, struct answer *a)
{
	if (strcmp(r->path, "/_fake") == 0)
		control_answer(r, a);
	else
		service_answer(r, a);
}

/* Answer the request at the front, if it is complete.  false: the connection is over. */
static bool request_take(struct connection *c)
{
	struct request r = { .header_count = 0 };
	struct answer a = { .status = 200 };
	char *end = c->in.len > 0 ? strstr(c->in.p, "\r\n\r\n") : NULL;

	if (end == NULL)
		return c->in.len < HEAD_MAX;
	size_t head = (size_t)(end - c->in.p) + 4, length = 0;
	char *field = strcasestr(c->in.p, "\r\ncontent-length:");
	if (field != NULL && field < end)
		length = strtoull(field + 17, NULL, 10);
	if (c->in.len < head + length)
		return true;
	end[2] = '\0';
	if (!head_parse(&r, c->in.p))
		return false;
	r.body = c->in.p + head;
	r.body_len = length;
	char after = r.body[length];
	r.body[length] = '\0';
	c->busy = true;
	serve(&r, &a);
	r.body[length] = after;
	c->in.len -= head + length;
	memmove(c->in.p, c->in.p + head + length, c->in.len + 1);
	return answer_send(c, &a);
}

static bool readable(struct connection *c)
{
	char buf[16 * 1024];

	for (;;) {
		ssize_t n = recv(c->fd, buf, sizeof buf, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return true;
		if (n <= 0)
			return false;
		text_add(&c->in, buf, (size_t)n);
		if (!c->busy && !request_take(c))
			return false;
		if ((size_t)n < sizeof buf)
			return true;
	}
}

static void due_send(void)
{
	double now = clock_elapsed();
	uint64_t ticks;

	if (read(timer_fd, &ticks, sizeof ticks) < 0)
		return;
	while (first_due != NULL && first_due->due <= now) {
		struct connection *c = first_due;
		first_due = c->next;
		if (first_due == NULL)
			last_due = &first_due;
		watch(c, EPOLLIN);
		if (!flush(c))
			connection_end(c);
	}
	if (first_due != NULL)
		timer_set(first_due->due);
}

static void accept_all(int listener)
{
	int fd, one = 1;

	while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
		struct connection *c = calloc(1, sizeof *c);
		struct epoll_event e = { .events = EPOLLIN, .data.ptr = c };

		if (c == NULL)
			abort();
		c->fd = fd;
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
		epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &e);
	}
}

static void event(struct connection *c, uint32_t what)
{
	bool good = true;

	if (c->fd < 0)
		return;
	if (what & EPOLLOUT) {
		watch(c, EPOLLIN);
		good = flush(c);
	} else if (c->busy) {
		epoll_ctl(epoll_fd, EPOLL_CTL_DEL, c->fd, NULL);       /* gone: found out when its answer leaves */
	} else {
		good = readable(c);
	}
	if (!good)
		connection_end(c);
}

void http_serve(int listener)
{
	struct epoll_event events[EVENTS];
	static int listening, timer;          /* their addresses tell them from connections */

	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	struct epoll_event e = { .events = EPOLLIN, .data.ptr = &listening }, t = { .events = EPOLLIN, .data.ptr = &timer };
	epoll_ctl(epoll_fd, EPOLL_CTL_ADD, listener, &e);
	epoll_ctl(epoll_fd, EPOLL_CTL_ADD, timer_fd, &t);
	for (;;) {
		int n = epoll_wait(epoll_fd, events, EVENTS, -1);
		for (int i = 0; i < n; i++) {
			if (events[i].data.ptr == &listening)
				accept_all(listener);
			else if (events[i].data.ptr == &timer)
				due_send();
			else
				event(events[i].data.ptr, events[i].events);
		}
		ended_free();
	}
}
