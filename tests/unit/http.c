/* SPDX-License-Identifier: Apache-2.0
 *
 * Reading through the engine, from servers good and bad. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "backends/http.h"
#include "backends/limit.h"
#include "tests/support/caller.h"
#include "tests/support/talk.h"


static int get(const struct http_request *more, double seconds, struct http_reply *reply, struct error *err)
{
	struct http_request req = more != NULL ? *more : (struct http_request){ .method = NULL };
	struct call c = call_in(seconds, NULL);

	req.method = "GET";
	if (req.url == NULL)
		req.url = server_url(server, NULL, "/v1/a?secret=1");
	return http_call(http, &c, &req, reply, err);
}

static void answer_plainly(struct server_request *r, void *arg)
{
	char token[64] = "";

	server_header(r, "Authorization", token, sizeof token);
	server_answer(r, 200, "X-Request-Id: r-7\r\n", token);
}

static void an_answer_has_status_headers_and_body(void **state)
{
	SECRET(token);
	HTTP_REPLY(reply);
	struct http_header header = { "Authorization", "Bearer ", &token };
	struct http_request req = { .headers = &header, .header_count = 1 };
	char id[16];

	talk_start(answer_plainly, NULL);
	secret_append_text(&token, "s.abc");
	assert_int_equal(get(&req, 30, &reply, NULL), 0);
	assert_int_equal(reply.status, 200);
	assert_string_equal(secret_text(&reply.body), "Bearer s.abc");
	assert_string_equal(reply.content_type, "application/json");
	assert_true(http_reply_header(&reply, "x-request-ID", id, sizeof id));
	assert_string_equal(id, "r-7");
	assert_false(http_reply_header(&reply, "x-request", id, sizeof id));
	assert_int_equal(reply.tries, 1);
}

static void a_header_with_a_line_break_is_refused(void **state)
{
	SECRET(token);
	HTTP_REPLY(reply);
	struct error err = ERROR_INIT;
	struct http_header header = { "Authorization", NULL, &token };
	struct http_request req = { .headers = &header, .header_count = 1 };

	talk_start(answer_plainly, NULL);
	secret_append_text(&token, "s.abc\r\nX-Vault-Token: other");
	assert_int_equal(get(&req, 30, &reply, &err), -EINVAL);
	assert_null(strstr(err.text, "s.abc"));
	assert_int_equal(server_requests(server), 0);
}

static void connections_are_kept_and_used_again(void **state)
{
	struct http_state now;

	talk_start(answer_plainly, NULL);
	for (int i = 0; i < 50; i++) {
		HTTP_REPLY(reply);
		assert_int_equal(get(NULL, 30, &reply, NULL), 0);
	}
	/* A stall of two seconds would close one. */
	assert_in_range(server_connections(server), 1, 5);
	http_state(http, &now);
	assert_int_equal(now.connections, server_connections(server));
	assert_true(now.latency_ns > 0);
}

static bool nobody_connected(void *arg)
{
	return server_open_connections(server) == 0;
}

static void connections_close_when_nothing_happens(void **state)
{
	HTTP_REPLY(reply);

	talk_start(answer_plainly, NULL);
	assert_int_equal(get(NULL, 30, &reply, NULL), 0);
	assert_true(eventually(nobody_connected, NULL));
	assert_int_equal(get(NULL, 30, &reply, NULL), 0);
	assert_int_equal(server_connections(server), 2);
}

static void answer_behind_the_gate(struct server_request *r, void *arg)
{
	gate_pass(&gate);
	server_answer(r, 200, "", "{}");
}

static void many_at_once(unsigned count)
{
	struct caller *callers = calloc(count, sizeof *callers);
	struct http_request req = { .method = "GET", .url = server_url(server, NULL, "/") };

	assert_non_null(callers);
	for (unsigned i = 0; i < count; i++)
		caller_start(&callers[i], http, &req, 60);
	assert_true(gate_await(&gate, count));
	gate_open(&gate);
	for (unsigned i = 0; i < count; i++) {
		assert_int_equal(caller_join(&callers[i]), 0);
		assert_int_equal(callers[i].reply.status, 200);
		caller_wipe(&callers[i]);
	}
	free(callers);
}

/* How it grows is limit.c's, on a clock of its test's. */
static void many_requests_start_at_once(void **state)
{
	talk_start(answer_behind_the_gate, NULL);
	many_at_once(LIMIT_START);
}

/* As from far away: what the machine adds to that does not look like a queue at the store. */
static void answer_from_afar(struct server_request *r, void *arg)
{
	gate_pass(&gate);
	nanosleep(&(struct timespec){ .tv_nsec = 30 * 1000 * 1000 }, NULL);
	server_answer(r, 200, "", "{}");
}

static bool gate_fills(unsigned waiting)
{
	for (int i = 0; i < 50; i++) {
		pthread_mutex_lock(&gate.lock);
		bool enough = gate.waiting >= waiting;
		pthread_mutex_unlock(&gate.lock);
		if (enough)
			return true;
		nanosleep(&(struct timespec){ .tv_nsec = 10 * 1000 * 1000 }, NULL);
	}
	return false;
}

/* With quick answers in between: true once more than the first window are in flight at a time. */
static bool more_than_at_first(struct caller *callers)
{
	struct http_request req = { .method = "GET", .url = server_url(server, NULL, "/") };

	for (unsigned closed = 0; closed < 2; closed++) {
		pthread_mutex_lock(&gate.lock);
		gate.open = !closed;
		pthread_mutex_unlock(&gate.lock);
		for (unsigned i = 0; i < 2 * LIMIT_START; i++)
			caller_start(&callers[i], http, &req, 60);
		bool grown = closed && gate_await(&gate, LIMIT_START) && gate_fills(LIMIT_START + 1);
		gate_open(&gate);
		for (unsigned i = 0; i < 2 * LIMIT_START; i++) {
			assert_int_equal(caller_join(&callers[i]), 0);
			caller_wipe(&callers[i]);
		}
		if (grown)
			return true;
	}
	return false;
}

static void more_are_in_flight_once_the_answers_were_quick(void **state)
{
	struct caller *callers = calloc(2 * LIMIT_START, sizeof *callers);
	bool grown = false;

	assert_non_null(callers);
	talk_start(answer_from_afar, NULL);
	gate_open(&gate);
	for (int tries = 0; tries < 20 && !grown; tries++)
		grown = more_than_at_first(callers);
	assert_true(grown);
	free(callers);
}

static unsigned now_in, most_in;              /* guarded by gate.lock */

static void count_how_many(struct server_request *r, void *arg)
{
	pthread_mutex_lock(&gate.lock);
	if (++now_in > most_in)
		most_in = now_in;
	pthread_mutex_unlock(&gate.lock);
	gate_pass(&gate);
	pthread_mutex_lock(&gate.lock);
	now_in--;
	pthread_mutex_unlock(&gate.lock);
	server_answer(r, 200, "", "{}");
}

static void no_more_are_in_flight_than_allowed(void **state)
{
	struct caller callers[16];
	struct http_request req = { .method = "GET" };

	now_in = most_in = 0;
	talk_start(count_how_many, &(struct http_options){ .in_flight = 4 });
	req.url = server_url(server, NULL, "/");
	for (int i = 0; i < 16; i++)
		caller_start(&callers[i], http, &req, 60);
	assert_true(gate_await(&gate, 4));
	gate_open(&gate);
	for (int i = 0; i < 16; i++) {
		assert_int_equal(caller_join(&callers[i]), 0);
		caller_wipe(&callers[i]);
	}
	assert_int_equal(most_in, 4);
}

static void a_rate_spaces_the_requests(void **state)
{
	int64_t begun;

	talk_start(answer_plainly, &(struct http_options){ .per_second = 50 });
	begun = call_now();
	for (int i = 0; i < 11; i++) {
		HTTP_REPLY(reply);
		assert_int_equal(get(NULL, 30, &reply, NULL), 0);
	}
	assert_true(call_now() - begun >= INT64_C(200000000));
}

/* ---- waiting ends ---- */

static void a_waiting_read_can_be_cancelled(void **state)
{
	struct caller caller;
	struct http_request req = { .method = "GET" };

	talk_start(answer_behind_the_gate, NULL);
	req.url = server_url(server, NULL, "/");
	caller_start(&caller, http, &req, 60);
	assert_true(gate_await(&gate, 1));
	cancel_request(&caller.cancel);
	assert_int_equal(caller_join(&caller), -ECANCELED);
	caller_wipe(&caller);
}

static void a_queued_call_can_be_cancelled_and_is_never_sent(void **state)
{
	struct caller first, second;
	struct http_request req = { .method = "GET" }, change = { .method = "PUT", .change = true };

	talk_start(answer_behind_the_gate, &(struct http_options){ .in_flight = 1 });
	req.url = change.url = server_url(server, NULL, "/");
	caller_start(&first, http, &req, 60);
	assert_true(gate_await(&gate, 1));
	caller_start(&second, http, &change, 60);
	cancel_request(&second.cancel);
	assert_int_equal(caller_join(&second), -ECANCELED);
	gate_open(&gate);
	assert_int_equal(caller_join(&first), 0);
	assert_int_equal(server_requests(server), 1);
	caller_wipe(&first);
	caller_wipe(&second);
}

static void the_deadline_ends_a_read(void **state)
{
	HTTP_REPLY(reply);
	struct error err = ERROR_INIT;

	talk_start(answer_behind_the_gate, NULL);
	assert_int_equal(get(NULL, 0.2, &reply, &err), -ETIMEDOUT);
	assert_non_null(strstr(err.text, "store: GET http://127.0.0.1:"));
	assert_non_null(strstr(err.text, "/v1/a: "));
	assert_null(strstr(err.text, "secret"));
}

static void the_deadline_covers_the_queue(void **state)
{
	HTTP_REPLY(reply);
	struct caller first;
	struct http_request req = { .method = "GET" };

	talk_start(answer_behind_the_gate, &(struct http_options){ .in_flight = 1 });
	req.url = server_url(server, NULL, "/");
	caller_start(&first, http, &req, 60);
	assert_true(gate_await(&gate, 1));
	assert_int_equal(get(NULL, 0.2, &reply, NULL), -ETIMEDOUT);
	gate_open(&gate);
	assert_int_equal(caller_join(&first), 0);
	caller_wipe(&first);
}

static void hang_at_first(struct server_request *r, void *arg)
{
	if (r->number == 1)
		gate_pass(&gate);
	server_answer(r, 200, "", "{}");
}

static void a_silent_peer_is_given_up_and_the_read_repeated(void **state)
{
	HTTP_REPLY(reply);
	struct http_request req = { .patience = 1000000000 };

	talk_start(hang_at_first, NULL);
	assert_int_equal(get(&req, 60, &reply, NULL), 0);
	assert_in_range(reply.tries, 2, 4);
	assert_int_equal(server_connections(server), reply.tries);
}

/* ---- bad servers ---- */

static void fail_thrice(struct server_request *r, void *arg)
{
	server_answer(r, r->number < 4 ? 502 : 200, "", "{}");
}

static void a_read_is_tried_four_times(void **state)
{
	HTTP_REPLY(reply);
	struct backend_counts counts;

	talk_start(fail_thrice, NULL);
	assert_int_equal(get(NULL, 60, &reply, NULL), 0);
	assert_int_equal(reply.status, 200);
	http_counts(http, &counts);
	assert_int_equal(counts.requests, 4);
	assert_int_equal(counts.retries, 3);
}

static void fail_always(struct server_request *r, void *arg)
{
	server_answer(r, 500, "", "{\"errors\":[\"internal\"]}");
}

static void a_lasting_failure_is_the_answer(void **state)
{
	HTTP_REPLY(reply);
	struct http_request req = { .tries = 2 };

	talk_start(fail_always, NULL);
	assert_int_equal(get(&req, 60, &reply, NULL), 0);
	assert_int_equal(reply.status, 500);
	assert_int_equal(reply.tries, 2);
	assert_string_equal(secret_text(&reply.body), "{\"errors\":[\"internal\"]}");
}

static void hang_up_at_first(struct server_request *r, void *arg)
{
	r->hang_up = r->number == 2;
	if (r->number != 2)
		server_answer(r, 200, "", "{}");
}

static void a_read_survives_a_closed_connection(void **state)
{
	HTTP_REPLY(reply);

	talk_start(hang_up_at_first, NULL);
	for (int i = 0; i < 2; i++)
		assert_int_equal(get(NULL, 60, &reply, NULL), 0);
	assert_int_equal(server_requests(server), 3);
}

static void a_server_that_is_gone_is_unreachable(void **state)
{
	HTTP_REPLY(reply);
	struct error err = ERROR_INIT;
	char url[64];
	struct http_request req = { .url = url, .tries = 2 };

	talk_start(answer_plainly, NULL);
	snprintf(url, sizeof url, "%s", server_url(server, NULL, "/a"));
	server_stop(server);
	server = NULL;
	assert_int_equal(get(&req, 60, &reply, &err), -EHOSTUNREACH);
	assert_int_equal(reply.tries, 0);
	assert_non_null(strstr(err.text, "no connection"));
}

static void send_endlessly(struct server_request *r, void *arg)
{
	server_say(r, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
	while (!r->hang_up)
		server_say(r, "10\r\n0123456789abcdef\r\n");
}

static void an_endless_answer_is_cut(void **state)
{
	HTTP_REPLY(reply);
	struct error err = ERROR_INIT;
	struct http_request req = { .body_max = 4096 };

	talk_start(send_endlessly, NULL);
	assert_int_equal(get(&req, 60, &reply, &err), -EPROTO);
	assert_null(strstr(err.text, "abcdef"));
	assert_int_equal(server_requests(server), 1);
}

static void send_endless_head(struct server_request *r, void *arg)
{
	server_say(r, "HTTP/1.1 200 OK\r\n");
	while (!r->hang_up)
		server_say(r, "X-More: 0123456789abcdef\r\n");
}

static void an_endless_head_is_cut(void **state)
{
	HTTP_REPLY(reply);

	talk_start(send_endless_head, NULL);
	assert_int_equal(get(NULL, 60, &reply, NULL), -EPROTO);
}

static void truncate_chunk(struct server_request *r, void *arg)
{
	server_say(r, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n40\r\n{\"value\":\"Zm9v");
	r->hang_up = true;
}

static void truncate_length(struct server_request *r, void *arg)
{
	server_say(r, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"value\":\"Zm9v");
	r->hang_up = true;
}

static void expect_lost(server_handler *handler, int code, unsigned requests)
{
	HTTP_REPLY(reply);
	struct error err = ERROR_INIT;
	struct http_request req = { .tries = 2 };

	talk_start(handler, NULL);
	assert_int_equal(get(&req, 60, &reply, &err), -code);
	assert_int_equal(server_requests(server), requests);
	assert_null(strstr(err.text, "Zm9v"));
	talk_stop(NULL);
}

static void send_garbage(struct server_request *r, void *arg)
{
	server_say(r, "SSH-2.0-OpenSSH_9.2\r\n\r\n");
	r->hang_up = true;
}

static void reset_always(struct server_request *r, void *arg)
{
	r->hang_up = r->reset = true;
}

static void a_broken_answer_is_never_taken_for_one(void **state)
{
	expect_lost(truncate_chunk, EHOSTUNREACH, 2);
	expect_lost(truncate_length, EHOSTUNREACH, 2);
	expect_lost(reset_always, EHOSTUNREACH, 2);
	expect_lost(send_garbage, EPROTO, 1);
}

static void redirect(struct server_request *r, void *arg)
{
	server_answer(r, 307, "Location: http://127.0.0.1:1/other\r\n", "");
}

static void a_redirect_is_an_answer(void **state)
{
	HTTP_REPLY(reply);
	char location[64];

	talk_start(redirect, NULL);
	assert_int_equal(get(NULL, 30, &reply, NULL), 0);
	assert_int_equal(reply.status, 307);
	assert_true(http_reply_header(&reply, "Location", location, sizeof location));
	assert_string_equal(location, "http://127.0.0.1:1/other");
}

static void a_call_that_was_cancelled_before_sends_nothing(void **state)
{
	HTTP_REPLY(reply);
	struct cancel cancel;
	struct call c;
	struct http_request req = { .method = "GET" };

	talk_start(answer_plainly, NULL);
	req.url = server_url(server, NULL, "/");
	cancel_init(&cancel);
	cancel_request(&cancel);
	c = call_in(30, &cancel);
	assert_int_equal(http_call(http, &c, &req, &reply, NULL), -ECANCELED);
	assert_int_equal(server_requests(server), 0);
	cancel_destroy(&cancel);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(an_answer_has_status_headers_and_body, talk_stop),
		cmocka_unit_test_teardown(a_header_with_a_line_break_is_refused, talk_stop),
		cmocka_unit_test_teardown(connections_are_kept_and_used_again, talk_stop),
		cmocka_unit_test_teardown(connections_close_when_nothing_happens, talk_stop),
		cmocka_unit_test_teardown(many_requests_start_at_once, talk_stop),
		cmocka_unit_test_teardown(more_are_in_flight_once_the_answers_were_quick, talk_stop),
		cmocka_unit_test_teardown(no_more_are_in_flight_than_allowed, talk_stop),
		cmocka_unit_test_teardown(a_rate_spaces_the_requests, talk_stop),
		cmocka_unit_test_teardown(a_waiting_read_can_be_cancelled, talk_stop),
		cmocka_unit_test_teardown(a_queued_call_can_be_cancelled_and_is_never_sent, talk_stop),
		cmocka_unit_test_teardown(the_deadline_ends_a_read, talk_stop),
		cmocka_unit_test_teardown(the_deadline_covers_the_queue, talk_stop),
		cmocka_unit_test_teardown(a_silent_peer_is_given_up_and_the_read_repeated, talk_stop),
		cmocka_unit_test_teardown(a_read_is_tried_four_times, talk_stop),
		cmocka_unit_test_teardown(a_lasting_failure_is_the_answer, talk_stop),
		cmocka_unit_test_teardown(a_read_survives_a_closed_connection, talk_stop),
		cmocka_unit_test_teardown(a_server_that_is_gone_is_unreachable, talk_stop),
		cmocka_unit_test_teardown(an_endless_answer_is_cut, talk_stop),
		cmocka_unit_test_teardown(an_endless_head_is_cut, talk_stop),
		cmocka_unit_test_teardown(a_broken_answer_is_never_taken_for_one, talk_stop),
		cmocka_unit_test_teardown(a_redirect_is_an_answer, talk_stop),
		cmocka_unit_test_teardown(a_call_that_was_cancelled_before_sends_nothing, talk_stop),
	};

	return cmocka_run_group_tests_name("http", tests, NULL, NULL);
}
