/* SPDX-License-Identifier: Apache-2.0
 *
 * A small HTTP/1.1 server on loopback for unit tests: what it answers, and how badly, is up to a handler.  A thread for
 * each connection; TLS if a context is given. */
#ifndef KESFS_TESTS_SUPPORT_SERVER_H
#define KESFS_TESTS_SUPPORT_SERVER_H

#include <openssl/ssl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

struct server;

struct server_request {                       /* lent for the length of one handler */
	struct server *server;
	unsigned connection, number;          /* counted from 1: connections of the server, requests of all of them */
	char method[16], path[512];
	char *head;                           /* header lines */
	char *body;
	size_t body_len;
	bool hang_up;                         /* set by the handler: close the connection after it */
	bool reset;                           /* with hang_up: by RST instead of FIN */
	int fd;
	SSL *ssl;
	char *rest;                           /* bytes after this request that were read already: server_read() gives them first */
	size_t *rest_len;
};
/* Runs on the connection's thread, so it must not assert(). */
typedef void server_handler(struct server_request *r, void *arg);

struct server *server_start(server_handler *handler, void *arg, SSL_CTX *tls);
void server_stop(struct server *s);           /* ends all connections; a handler must not be waiting at a gate */
/* "http://127.0.0.1:PORT" + path, in a buffer of the server's own; with a host name instead of the address if not NULL. */
const char *server_url(struct server *s, const char *host, const char *path);
unsigned server_connections(struct server *s);
unsigned server_requests(struct server *s);
unsigned server_open_connections(struct server *s);
int server_port(const struct server *s);

void server_write(struct server_request *r, const void *bytes, size_t len);
bool server_read(struct server_request *r, void *bytes, size_t len);      /* for handlers that speak something else */
void server_say(struct server_request *r, const char *raw);
/* A whole answer with Content-Length; headers is "" or lines that end in CRLF. */
void server_answer(struct server_request *r, int status, const char *headers, const char *body);
bool server_header(const struct server_request *r, const char *name, char *buf, size_t size);

/* A place where handlers wait until the test lets them go on. */
struct gate {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	unsigned waiting;
	bool open;
};
#define GATE_INIT { PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0, false }
void gate_pass(struct gate *g);               /* wait until it is open */
void gate_open(struct gate *g);
bool gate_await(struct gate *g, unsigned waiting);    /* until so many wait, at most 30 s */

/* Poll until true, at most 30 s. */
bool eventually(bool (*is)(void *arg), void *arg);

#endif
