/* SPDX-License-Identifier: Apache-2.0
 *
 * Long answers that are taken as they come, and what is said about answers. */
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
#include "backends/json.h"
#include "backends/json_keys.h"
#include "tests/support/talk.h"

enum { LINES = 100 * 1024, LINE = 64 };       /* some 6 MiB: more than the engine holds at once */


struct taken {
	unsigned begun;
	size_t bytes;
	unsigned sum;                         /* of the line numbers that were found */
	size_t enough;                        /* stop after so many bytes; 0: never */
	int result;
};

static void sink_begin(void *arg)
{
	struct taken *t = arg;

	t->begun++;
	t->bytes = 0;
}

static int sink_bytes(void *arg, const char *bytes, size_t len, struct error *err)
{
	struct taken *t = arg;

	for (size_t i = 0; i < len; i++)
		t->sum = t->sum * 31 + (unsigned char)bytes[i];
	t->bytes += len;
	if (t->enough == 0 || t->bytes < t->enough)
		return 0;
	return t->result < 0 ? error_set(err, -t->result, "the sink is full") : t->result;
}

static void line_make(char line[LINE + 1], unsigned n)
{
	snprintf(line, LINE + 1, "%-*u", LINE, n);
}

static void send_lines(struct server_request *r, void *arg)
{
	char head[128], line[LINE + 1];

	snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", LINES * LINE);
	server_say(r, head);
	for (unsigned i = 0; i < LINES && !r->hang_up; i++) {
		line_make(line, i);
		server_write(r, line, LINE);
	}
}

static int stream(struct taken *t, double seconds, struct http_reply *reply, struct error *err)
{
	struct http_sink sink = { .begin = sink_begin, .bytes = sink_bytes, .arg = t };
	struct http_request req = { .method = "GET", .sink = &sink };
	struct call c = call_in(seconds, NULL);

	req.url = server_url(server, NULL, "/list");
	return http_call(http, &c, &req, reply, err);
}

static void a_sink_gets_every_byte_in_order(void **state)
{
	HTTP_REPLY(reply);
	struct taken t = { .begun = 0 }, expected = { .begun = 0 };
	char line[LINE + 1];

	talk_start(send_lines, NULL);
	assert_int_equal(stream(&t, 60, &reply, NULL), 0);
	for (unsigned i = 0; i < LINES; i++) {
		line_make(line, i);
		sink_bytes(&expected, line, LINE, NULL);
	}
	assert_int_equal(t.bytes, LINES * LINE);
	assert_int_equal(t.sum, expected.sum);
	assert_int_equal(t.begun, 1);
	assert_int_equal(reply.body.len, 0);
}

static void a_sink_may_have_enough(void **state)
{
	HTTP_REPLY(reply);
	struct taken t = { .enough = 100000, .result = 1 };

	talk_start(send_lines, NULL);
	assert_int_equal(stream(&t, 60, &reply, NULL), 0);
	assert_int_equal(reply.status, 200);
	assert_true(t.bytes >= 100000 && t.bytes < LINES * LINE);
}

static void what_a_sink_returns_comes_back(void **state)
{
	HTTP_REPLY(reply);
	struct error err = ERROR_INIT;
	struct taken t = { .enough = 1, .result = -EPROTO };

	talk_start(send_lines, NULL);
	assert_int_equal(stream(&t, 60, &reply, &err), -EPROTO);
	assert_string_equal(err.text, "the sink is full");
	assert_int_equal(server_requests(server), 1);
}

static void cut_first(struct server_request *r, void *arg)
{
	if (r->number > 1) {
		server_answer(r, 200, "", "{\"data\":{\"keys\":[\"a\",\"b\"]}}");
		return;
	}
	server_say(r, "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{\"data\":{\"keys\":[\"a\",");
	r->hang_up = true;
}

static bool name_count(const char *name, size_t len, void *arg)
{
	++*(unsigned *)arg;
	return true;
}

static void keys_begin(void *arg)
{
	json_keys_begin(arg);
}

static int keys_bytes(void *arg, const char *bytes, size_t len, struct error *err)
{
	return json_keys_feed(arg, bytes, len, err);
}

static void a_listing_that_broke_off_begins_anew(void **state)
{
	HTTP_REPLY(reply);
	unsigned names = 0;
	struct json_keys *keys = json_keys_new("data.keys", name_count, &names);
	struct http_sink sink = { .begin = keys_begin, .bytes = keys_bytes, .arg = keys };
	struct http_request req = { .method = "GET", .sink = &sink };
	struct call c = call_in(60, NULL);

	talk_start(cut_first, NULL);
	req.url = server_url(server, NULL, "/list");
	assert_int_equal(http_call(http, &c, &req, &reply, NULL), 0);
	assert_int_equal(json_keys_end(keys, NULL), 0);
	assert_int_equal(names, 3);           /* "a" twice: the caller removes duplicates */
	json_keys_free(keys);
}

static void not_found(struct server_request *r, void *arg)
{
	server_answer(r, 404, "", "{\"errors\":[]}");
}

static void an_error_does_not_go_into_the_sink(void **state)
{
	HTTP_REPLY(reply);
	struct taken t = { .begun = 0 };

	talk_start(not_found, NULL);
	assert_int_equal(stream(&t, 60, &reply, NULL), 0);
	assert_int_equal(reply.status, 404);
	assert_int_equal(t.bytes, 0);
	assert_string_equal(secret_text(&reply.body), "{\"errors\":[]}");
}

static bool is_closed(void *arg)
{
	return server_open_connections(server) == 0;
}

static int sink_slow(void *arg, const char *bytes, size_t len, struct error *err)
{
	gate_pass(&gate);
	*(size_t *)arg += len;
	return 0;
}

static void *open_later(void *arg)
{
	gate_await(&gate, 1);
	struct http_state now;
	http_state(http, &now);
	gate_open(&gate);
	return NULL;
}

static void a_slow_sink_is_not_a_silent_peer(void **state)
{
	HTTP_REPLY(reply);
	pthread_t other;
	size_t bytes = 0;
	struct http_sink sink = { .bytes = sink_slow, .arg = &bytes };
	struct http_request req = { .method = "GET", .sink = &sink, .tries = 1 };
	struct call c = call_in(60, NULL);

	talk_start(send_lines, NULL);
	req.url = server_url(server, NULL, "/list");
	assert_int_equal(pthread_create(&other, NULL, open_later, NULL), 0);
	assert_int_equal(http_call(http, &c, &req, &reply, NULL), 0);
	assert_int_equal(bytes, LINES * LINE);
	pthread_join(other, NULL);
	assert_true(eventually(is_closed, NULL));
}

/* ---- sentences ---- */

static const char *page, *type;
static int status;

static void send_page(struct server_request *r, void *arg)
{
	char head[256];

	snprintf(head, sizeof head, "HTTP/1.1 %d X\r\nContent-Type: %s\r\nContent-Length: %zu\r\n\r\n", status, type, strlen(page));
	server_say(r, head);
	server_say(r, page);
}

static int parse_page(int the_status, const char *the_type, const char *the_page, struct error *err)
{
	HTTP_REPLY(reply);
	AUTO_JSON(json);
	struct call c = call_in(30, NULL);
	struct http_request req = { .method = "GET", .tries = 1 };

	status = the_status;
	type = the_type;
	page = the_page;
	talk_start(send_page, NULL);
	req.url = server_url(server, NULL, "/v1/kv/my-key?version=1");
	assert_int_equal(http_call(http, &c, &req, &reply, NULL), 0);
	int r = http_reply_json(http, &req, &reply, &json, err);
	talk_stop(NULL);
	return r;
}

static void a_proxys_page_is_named_as_such(void **state)
{
	struct error err = ERROR_INIT;

	assert_int_equal(parse_page(200, "text/HTML; charset=utf-8",
	                            "<html><body><h1>Sign in</h1>\n<p>Corporate proxy</p></body></html>", &err), -EPROTO);
	assert_non_null(strstr(err.text, "web page"));
	assert_non_null(strstr(err.text, "Sign in Corporate proxy"));
	assert_null(strchr(err.text, '<'));
	assert_int_equal(parse_page(502, "application/json", " <html>bad gateway</html>", &err), -EPROTO);
	assert_non_null(strstr(err.text, "502 Bad Gateway: bad gateway"));
}

static void a_truncated_value_is_not_shown(void **state)
{
	struct error err = ERROR_INIT;

	assert_int_equal(parse_page(200, "application/json", "{\"data\":{\"my-key\":\"CiQKIKxyz", &err), -EPROTO);
	assert_non_null(strstr(err.text, "/v1/kv/my-key"));
	assert_non_null(strstr(err.text, "200 OK"));
	assert_non_null(strstr(err.text, "truncated"));
	assert_null(strstr(err.text, "CiQ"));
	assert_null(strstr(err.text, "version"));
}

static void an_errors_body_is_shown_in_part(void **state)
{
	struct error err = ERROR_INIT;
	char text[4096];

	memset(text, 'x', sizeof text - 1);
	text[sizeof text - 1] = '\0';
	memcpy(text, "upstream\x1b[31m gone\n", 19);
	assert_int_equal(parse_page(504, "text/plain", text, &err), -EPROTO);
	assert_non_null(strstr(err.text, "504 Gateway Timeout: upstream [31m gone x"));
	assert_true(strlen(err.text) < 500);
}

static void names_are_escaped(void **state)
{
	char *text = http_escape("a/b c%\xc3\xbc?&#'-._~");

	assert_string_equal(text, "a%2Fb%20c%25%C3%BC%3F%26%23%27-._~");
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(a_sink_gets_every_byte_in_order, talk_stop),
		cmocka_unit_test_teardown(a_sink_may_have_enough, talk_stop),
		cmocka_unit_test_teardown(what_a_sink_returns_comes_back, talk_stop),
		cmocka_unit_test_teardown(a_listing_that_broke_off_begins_anew, talk_stop),
		cmocka_unit_test_teardown(an_error_does_not_go_into_the_sink, talk_stop),
		cmocka_unit_test_teardown(a_slow_sink_is_not_a_silent_peer, talk_stop),
		cmocka_unit_test(a_proxys_page_is_named_as_such),
		cmocka_unit_test(a_truncated_value_is_not_shown),
		cmocka_unit_test(an_errors_body_is_shown_in_part),
		cmocka_unit_test(names_are_escaped),
	};

	return cmocka_run_group_tests_name("http_reply", tests, NULL, NULL);
}
