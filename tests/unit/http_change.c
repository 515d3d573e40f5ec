/* SPDX-License-Identifier: Apache-2.0
 *
 * Creating, replacing and removing through the engine: nothing is sent twice, nothing is given up half-way. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "backends/http.h"
#include "backends/limit.h"
#include "tests/support/caller.h"
#include "tests/support/talk.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned puts_seen;                    /* guarded by lock */
static int64_t times[64];                     /* of the requests, guarded by lock */

static void seen(struct server_request *r)
{
	pthread_mutex_lock(&lock);
	if (r->number == 1)
		puts_seen = 0;
	puts_seen += strcmp(r->method, "PUT") == 0;
	if (r->number <= 64)
		times[r->number - 1] = call_now();
	pthread_mutex_unlock(&lock);
}

static unsigned puts_count(void)
{
	pthread_mutex_lock(&lock);
	unsigned n = puts_seen;
	pthread_mutex_unlock(&lock);
	return n;
}

static int64_t time_of(int request)
{
	pthread_mutex_lock(&lock);
	int64_t t = times[request];
	pthread_mutex_unlock(&lock);
	return t;
}

static int send_it(const char *method, bool change, double seconds, struct http_reply *reply, struct error *err)
{
	SECRET(body);
	struct http_request req = { .method = method, .change = change, .body = &body };
	struct call c = call_in(seconds, NULL);

	secret_append_text(&body, "{\"a\":\"value\"}");
	req.url = server_url(server, NULL, "/v1/kv/a");
	return http_call(http, &c, &req, reply, err);
}

/* The trap: a kept-alive connection on which a PUT is processed, and that then closes without an answer. */
static void process_and_close(struct server_request *r, void *arg)
{
	seen(r);
	if (strcmp(r->method, "PUT") == 0)
		r->hang_up = true;
	else
		server_answer(r, 200, "", "{}");
}

static void a_change_that_was_processed_before_the_close_arrives_once(void **state)
{
	HTTP_REPLY(reply);
	struct error err = ERROR_INIT;

	talk_start(process_and_close, NULL);
	assert_int_equal(send_it("GET", false, 30, &reply, NULL), 0);
	assert_int_equal(send_it("PUT", true, 30, &reply, &err), -EINPROGRESS);
	assert_int_equal(puts_count(), 1);
	assert_int_equal(reply.tries, 1);
	assert_non_null(strstr(err.text, "may or may not have been done"));
	/* The connection is new now, and still it arrives once. */
	assert_int_equal(send_it("PUT", true, 30, &reply, NULL), -EINPROGRESS);
	assert_int_equal(puts_count(), 2);
}

static void the_same_as_a_read_is_repeated(void **state)
{
	HTTP_REPLY(reply);

	talk_start(process_and_close, NULL);
	assert_int_equal(send_it("GET", false, 30, &reply, NULL), 0);
	assert_int_equal(send_it("PUT", false, 60, &reply, NULL), -EHOSTUNREACH);
	assert_true(puts_count() >= 4);
}

static void close_in_answer(struct server_request *r, void *arg)
{
	seen(r);
	server_say(r, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{");
	r->hang_up = true;
}

static void an_answer_cut_short_leaves_a_change_in_doubt(void **state)
{
	HTTP_REPLY(reply);

	talk_start(close_in_answer, NULL);
	assert_int_equal(send_it("PUT", true, 30, &reply, NULL), -EINPROGRESS);
	assert_int_equal(puts_count(), 1);
}

static void say_503(struct server_request *r, void *arg)
{
	seen(r);
	server_answer(r, 503, "", "{\"errors\":[\"sealed\"]}");
}

static void a_503_to_a_change_is_its_answer(void **state)
{
	HTTP_REPLY(reply);

	talk_start(say_503, NULL);
	assert_int_equal(send_it("PUT", true, 30, &reply, NULL), 0);
	assert_int_equal(reply.status, 503);
	assert_int_equal(puts_count(), 1);
}

static void a_server_that_is_gone_gets_no_change(void **state)
{
	HTTP_REPLY(reply);
	SECRET(body);
	char url[64];
	struct http_request req = { .method = "PUT", .url = url, .change = true, .body = &body, .tries = 2 };
	struct call c = call_in(60, NULL);

	talk_start(say_503, NULL);
	snprintf(url, sizeof url, "%s", server_url(server, NULL, "/a"));
	server_stop(server);
	server = NULL;
	assert_int_equal(http_call(http, &c, &req, &reply, NULL), -EHOSTUNREACH);
	assert_int_equal(reply.tries, 0);
}

static void answer_behind_the_gate(struct server_request *r, void *arg)
{
	seen(r);
	gate_pass(&gate);
	server_answer(r, 200, "", "{}");
}

static void a_change_that_was_sent_cannot_be_cancelled(void **state)
{
	struct caller caller;
	struct http_request req = { .method = "PUT", .change = true };

	talk_start(answer_behind_the_gate, NULL);
	req.url = server_url(server, NULL, "/");
	caller_start(&caller, http, &req, 60);
	assert_true(gate_await(&gate, 1));
	cancel_request(&caller.cancel);
	gate_open(&gate);
	assert_int_equal(caller_join(&caller), 0);
	assert_int_equal(caller.reply.status, 200);
	caller_wipe(&caller);
}

static void a_change_whose_time_is_over_is_in_doubt(void **state)
{
	HTTP_REPLY(reply);

	talk_start(answer_behind_the_gate, NULL);
	int r = send_it("PUT", true, 1, &reply, NULL);
	assert_int_equal(r, reply.tries > 0 ? -EINPROGRESS : -ETIMEDOUT);     /* not even sent: a very slow machine */
}

static void a_silent_peer_leaves_a_change_in_doubt(void **state)
{
	HTTP_REPLY(reply);
	struct http_request req = { .method = "PUT", .change = true, .patience = 100000000 };
	struct call c = call_in(60, NULL);

	talk_start(answer_behind_the_gate, NULL);
	req.url = server_url(server, NULL, "/");
	assert_int_equal(http_call(http, &c, &req, &reply, NULL), -EINPROGRESS);
}

/* ---- slow down ---- */

static void throttle_first(struct server_request *r, void *arg)
{
	seen(r);
	server_answer(r, r->number == 1 ? 429 : 200, r->number == 1 ? "Retry-After: 2\r\n" : "", "{}");
}

static bool was_throttled(void *arg)
{
	struct backend_counts counts;

	http_counts(http, &counts);
	return counts.throttled > 0;
}

static void retry_after_pauses_every_caller(void **state)
{
	struct caller callers[9];
	struct http_request req = { .method = "GET" };
	struct backend_counts counts;

	talk_start(throttle_first, NULL);
	req.url = server_url(server, NULL, "/");
	caller_start(&callers[0], http, &req, 60);
	assert_true(eventually(was_throttled, NULL));
	for (int i = 1; i < 9; i++)
		caller_start(&callers[i], http, &req, 60);
	for (int i = 0; i < 9; i++) {
		assert_int_equal(caller_join(&callers[i]), 0);
		assert_int_equal(callers[i].reply.status, 200);
		caller_wipe(&callers[i]);
	}
	for (int i = 1; i < 10; i++)
		assert_true(time_of(i) - time_of(0) >= INT64_C(1900000000));
	http_counts(http, &counts);
	assert_int_equal(counts.throttled, 1);
	assert_int_equal(counts.requests, 10);
	assert_true(counts.throttled_ns >= INT64_C(1900000000));
}

static void a_change_that_was_throttled_is_sent_again(void **state)
{
	HTTP_REPLY(reply);

	talk_start(throttle_first, NULL);
	assert_int_equal(send_it("PUT", true, 60, &reply, NULL), 0);
	assert_int_equal(reply.status, 200);
	assert_int_equal(puts_count(), 2);
}

static void throttle_always(struct server_request *r, void *arg)
{
	server_answer(r, 429, "Retry-After: 3600\r\n", "{}");
}

static void throttled_beyond_the_deadline_says_so(void **state)
{
	HTTP_REPLY(reply);
	struct error err = ERROR_INIT;
	struct http_state now;

	talk_start(throttle_always, NULL);
	assert_int_equal(send_it("PUT", true, 3, &reply, &err), -EAGAIN);
	assert_non_null(strstr(err.text, "slow down"));
	http_state(http, &now);
	assert_true(now.paused_ns <= INT64_C(60000000000));
	assert_int_equal(now.window, LIMIT_START / 2);
}

static enum retry_verdict standby_is_fine(const struct http_reply *reply, void *arg)
{
	return reply->status == 429 ? RETRY_FINAL : retry_status(reply->status);
}

static void a_module_may_judge_for_itself(void **state)
{
	HTTP_REPLY(reply);
	struct http_request req = { .method = "GET", .judge = standby_is_fine };
	struct call c = call_in(60, NULL);
	struct http_state now;

	talk_start(throttle_always, NULL);
	req.url = server_url(server, NULL, "/v1/sys/health");
	assert_int_equal(http_call(http, &c, &req, &reply, NULL), 0);
	assert_int_equal(reply.status, 429);
	http_state(http, &now);
	assert_int_equal(now.paused_ns, 0);
	assert_int_equal(now.window, LIMIT_START);
}

static enum retry_verdict slow_down_is_400(const struct http_reply *reply, void *arg)
{
	return reply->status == 400 ? RETRY_THROTTLED : RETRY_FINAL;
}

static void throttle_four_times(struct server_request *r, void *arg)
{
	server_answer(r, r->number <= 4 ? 400 : 200, "", "{}");
}

static void a_slow_down_by_any_code_costs_no_try(void **state)
{
	HTTP_REPLY(reply);
	struct http_request req = { .method = "GET", .judge = slow_down_is_400 };
	struct call c = call_in(60, NULL);

	talk_start(throttle_four_times, NULL);
	req.url = server_url(server, NULL, "/");
	assert_int_equal(http_call(http, &c, &req, &reply, NULL), 0);
	assert_int_equal(reply.status, 200);
}

static void a_class_that_is_throttled_holds_up_no_other(void **state)
{
	static const double paces[] = { 50, 50 };
	const struct http_options options = { .paces = paces, .pace_count = 2 };
	struct caller slow;
	HTTP_REPLY(reply);
	struct http_request req = { .method = "PUT", .change = true, .pace = 1 };
	struct call c = call_in(60, NULL);

	talk_start(throttle_first, &options);
	req.url = server_url(server, NULL, "/");
	caller_start(&slow, http, &req, 60);
	assert_true(eventually(was_throttled, NULL));
	for (unsigned pace = 0; pace <= 2; pace += 2) {
		struct http_request other = { .method = "GET", .url = req.url, .pace = pace };
		assert_int_equal(http_call(http, &c, &other, &reply, NULL), 0);
	}
	assert_int_equal(puts_count(), 1);
	assert_int_equal(caller_join(&slow), 0);
	assert_int_equal(puts_count(), 2);
	caller_wipe(&slow);
}

static void only_note(struct server_request *r, void *arg)
{
	seen(r);
	server_answer(r, 200, "", "{}");
}

static void a_quota_that_is_known_spaces_the_starts_from_the_first_on(void **state)
{
	static const double paces[] = { 10 };
	const struct http_options options = { .paces = paces, .pace_count = 1, .paced_at_once = true };
	struct caller callers[10];
	struct http_request req = { .method = "GET", .pace = 1 };
	struct backend_counts counts;

	talk_start(only_note, &options);
	req.url = server_url(server, NULL, "/");
	for (int i = 0; i < 10; i++)
		caller_start(&callers[i], http, &req, 60);
	for (int i = 0; i < 10; i++) {
		assert_int_equal(caller_join(&callers[i]), 0);
		caller_wipe(&callers[i]);
	}
	assert_true(time_of(9) - time_of(0) >= INT64_C(700000000));
	http_counts(http, &counts);
	assert_int_equal(counts.throttled, 0);
	assert_true(counts.throttled_ns >= INT64_C(700000000));
}

static void a_pace_that_holds_a_call_beyond_its_deadline_is_throttling(void **state)
{
	static const double paces[] = { 1 };
	const struct http_options options = { .paces = paces, .pace_count = 1, .paced_at_once = true };
	struct http_request req = { .method = "GET", .pace = 1 };

	talk_start(only_note, &options);
	req.url = server_url(server, NULL, "/");
	int r = 0;
	for (int i = 0; i < 10 && r == 0; i++) {
		HTTP_REPLY(reply);
		struct call c = call_in(0.3, NULL);
		r = http_call(http, &c, &req, &reply, NULL);
	}
	assert_int_equal(r, -EAGAIN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(a_change_that_was_processed_before_the_close_arrives_once, talk_stop),
		cmocka_unit_test_teardown(the_same_as_a_read_is_repeated, talk_stop),
		cmocka_unit_test_teardown(an_answer_cut_short_leaves_a_change_in_doubt, talk_stop),
		cmocka_unit_test_teardown(a_503_to_a_change_is_its_answer, talk_stop),
		cmocka_unit_test_teardown(a_server_that_is_gone_gets_no_change, talk_stop),
		cmocka_unit_test_teardown(a_change_that_was_sent_cannot_be_cancelled, talk_stop),
		cmocka_unit_test_teardown(a_change_whose_time_is_over_is_in_doubt, talk_stop),
		cmocka_unit_test_teardown(a_silent_peer_leaves_a_change_in_doubt, talk_stop),
		cmocka_unit_test_teardown(retry_after_pauses_every_caller, talk_stop),
		cmocka_unit_test_teardown(a_change_that_was_throttled_is_sent_again, talk_stop),
		cmocka_unit_test_teardown(throttled_beyond_the_deadline_says_so, talk_stop),
		cmocka_unit_test_teardown(a_module_may_judge_for_itself, talk_stop),
		cmocka_unit_test_teardown(a_slow_down_by_any_code_costs_no_try, talk_stop),
		cmocka_unit_test_teardown(a_class_that_is_throttled_holds_up_no_other, talk_stop),
		cmocka_unit_test_teardown(a_quota_that_is_known_spaces_the_starts_from_the_first_on, talk_stop),
		cmocka_unit_test_teardown(a_pace_that_holds_a_call_beyond_its_deadline_is_throttling, talk_stop),
	};

	return cmocka_run_group_tests_name("http_change", tests, NULL, NULL);
}
