/* SPDX-License-Identifier: Apache-2.0
 *
 * HTTP/2: many requests on one connection, and what happens to them when it falls silent or the server takes it back. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "backends/http.h"
#include "backends/limit.h"
#include "tests/support/caller.h"
#include "tests/support/certs.h"
#include "tests/support/talk.h"
#include "tests/support/two.h"

enum manner { ANSWERS, TOGETHER, SILENT_AT_FIRST, REFUSES, GOES_AWAY };

static char ca_path[] = "/tmp/kesfs-two.XXXXXX";
static struct identity ca, host;
static enum manner manner;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned streams;                      /* guarded by lock */

static unsigned streams_count(unsigned more)
{
	pthread_mutex_lock(&lock);
	streams += more;
	unsigned n = streams;
	pthread_mutex_unlock(&lock);
	return n;
}

/* Answer one request, or not. */
static void stream_answer(struct server_request *r, uint32_t stream, void *arg)
{
	unsigned *waiting = arg;
	unsigned char refused[4] = { 0, 0, 0, TWO_REFUSED_STREAM }, none[8] = { 0 };

	streams_count(1);
	switch (manner) {
	case SILENT_AT_FIRST:
		if (r->connection == 1)
			return;
		break;
	case REFUSES:
		two_write(r, TWO_RST_STREAM, 0, stream, refused, 4);
		return;
	case GOES_AWAY:
		two_write(r, TWO_GOAWAY, 0, 0, none, 8);
		r->hang_up = true;
		return;
	case TOGETHER:
		/* Once LIMIT_START are there, all are answered. */
		if (++*waiting < LIMIT_START)
			return;
		for (unsigned i = 0; i < LIMIT_START; i++)
			two_ok(r, stream - 2 * i, NULL);
		*waiting = 0;
		return;
	case ANSWERS:
		break;
	}
	two_ok(r, stream, NULL);
}

static void speak_two(struct server_request *r, void *arg)
{
	unsigned waiting = 0;

	two_speak(r, stream_answer, &waiting);
}

static void start(enum manner m)
{
	struct http_options o = { .ca = ca_path };

	manner = m;
	streams = 0;
	server_tls = identity_server(&host, NULL);
	two_offer(server_tls);
	talk_start(speak_two, &o);
}

static int call(const char *method, bool change, int64_t patience, struct http_reply *reply)
{
	struct http_request req = { .method = method, .change = change, .patience = patience };
	struct call c = call_in(60, NULL);

	req.url = server_url(server, NULL, "/");
	return http_call(http, &c, &req, reply, NULL);
}

static void requests_share_a_connection(void **state)
{
	struct caller callers[LIMIT_START];
	struct http_request req = { .method = "GET" };

	start(TOGETHER);
	req.url = server_url(server, NULL, "/");
	for (int i = 0; i < LIMIT_START; i++)
		caller_start(&callers[i], http, &req, 60);
	for (int i = 0; i < LIMIT_START; i++) {
		assert_int_equal(caller_join(&callers[i]), 0);
		assert_int_equal(callers[i].reply.status, 200);
		caller_wipe(&callers[i]);
	}
	assert_int_equal(server_connections(server), 1);
}

static void a_silent_connection_is_left(void **state)
{
	HTTP_REPLY(reply);

	start(SILENT_AT_FIRST);
	assert_int_equal(call("GET", false, 1000000000, &reply), 0);
	assert_in_range(reply.tries, 2, 4);
	assert_in_range(server_connections(server), 2, 4);
}

static void a_change_on_a_refused_stream_is_sent_once(void **state)
{
	HTTP_REPLY(reply);

	start(REFUSES);
	assert_int_equal(call("PUT", true, 0, &reply), -EINPROGRESS);
	assert_int_equal(streams_count(0), 1);
}

static void a_change_on_a_connection_that_is_taken_back_is_sent_once(void **state)
{
	HTTP_REPLY(reply);

	start(GOES_AWAY);
	assert_int_equal(call("PUT", true, 0, &reply), -EINPROGRESS);
	assert_int_equal(streams_count(0), 1);
}

static void a_change_is_answered(void **state)
{
	HTTP_REPLY(reply);

	start(ANSWERS);
	for (int i = 0; i < 10; i++) {
		assert_int_equal(call("PUT", true, 0, &reply), 0);
		assert_int_equal(reply.status, 200);
	}
	assert_in_range(server_connections(server), 1, 5);
	assert_int_equal(streams_count(0), 10);
}

static int files_make(void **state)
{
	int fd = mkstemp(ca_path);

	if (fd < 0)
		return -1;
	close(fd);
	ca = identity_make("ca", NULL, NULL);
	host = identity_make("host", "IP:127.0.0.1", &ca);
	identity_write(&ca, ca_path, NULL);
	return 0;
}

static int files_drop(void **state)
{
	identity_free(&ca);
	identity_free(&host);
	return unlink(ca_path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(requests_share_a_connection, talk_stop),
		cmocka_unit_test_teardown(a_silent_connection_is_left, talk_stop),
		cmocka_unit_test_teardown(a_change_on_a_refused_stream_is_sent_once, talk_stop),
		cmocka_unit_test_teardown(a_change_on_a_connection_that_is_taken_back_is_sent_once, talk_stop),
		cmocka_unit_test_teardown(a_change_is_answered, talk_stop),
	};

	return cmocka_run_group_tests_name("http_two", tests, files_make, files_drop);
}
