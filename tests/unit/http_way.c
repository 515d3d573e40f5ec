/* SPDX-License-Identifier: Apache-2.0
 *
 * The way to a server: through a proxy, and through a resolver that is slow or knows nothing.  The resolver is the
 * test's own: libcurl calls the getaddrinfo() of the program. */
#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <netdb.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "backends/http.h"
#include "tests/support/caller.h"
#include "tests/support/talk.h"

static char last_line[600];                   /* of the last request; the server is quiet when it is read */

/* "hangs.test" waits at the gate, "here.test" is 127.0.0.1, other names of .test do not exist. */
int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **ret)
{
	int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **) =
		(int (*)(const char *, const char *, const struct addrinfo *, struct addrinfo **))dlsym(RTLD_NEXT, "getaddrinfo");

	if (node != NULL && strcmp(node, "hangs.test") == 0)
		gate_pass(&gate);
	if (node != NULL && strcmp(node, "here.test") == 0)
		node = "127.0.0.1";
	else if (node != NULL && strstr(node, ".test") != NULL)
		return EAI_NONAME;
	return real(node, service, hints, ret);
}

static void answer(struct server_request *r, void *arg)
{
	char token[64] = "none";

	server_header(r, "Authorization", token, sizeof token);
	snprintf(last_line, sizeof last_line, "%s %s %s", r->method, r->path, token);
	if (strcmp(r->method, "CONNECT") == 0)
		server_answer(r, strstr(r->path, "busy") != NULL ? 503 : 407, "Proxy-Authenticate: Basic\r\n", "{}");
	else
		server_answer(r, 200, "", "{}");
}

static void start(bool proxy, bool direct)
{
	struct http_options o = { .label = "store", .direct = direct };

	gate = (struct gate)GATE_INIT;
	server = server_start(answer, NULL, NULL);
	unsetenv("REQUEST_METHOD");
	unsetenv("NO_PROXY");
	unsetenv("no_proxy");
	setenv("HTTP_PROXY", proxy ? server_url(server, NULL, "") : "", 1);
	setenv("HTTPS_PROXY", proxy ? server_url(server, NULL, "") : "", 1);
	assert_int_equal(http_open(&o, &http, NULL), 0);
	unsetenv("HTTP_PROXY");
	unsetenv("HTTPS_PROXY");
}

static int call(const char *method, const char *url, unsigned tries, struct http_reply *reply, struct error *err)
{
	SECRET(token);
	struct http_header header = { "Authorization", "Bearer ", &token };
	struct http_request req = { .method = method, .url = url, .headers = &header, .header_count = 1, .tries = tries,
		.change = strcmp(method, "PUT") == 0 };
	struct call c = call_in(60, NULL);

	secret_append_text(&token, "s.abc");
	return http_call(http, &c, &req, reply, err);
}

static void a_proxy_gets_the_whole_address(void **state)
{
	HTTP_REPLY(reply);

	start(true, false);
	assert_int_equal(call("GET", "http://vault.test:8200/v1/a", 0, &reply, NULL), 0);
	assert_string_equal(last_line, "GET http://vault.test:8200/v1/a Bearer s.abc");
}

static void a_metadata_service_is_asked_directly(void **state)
{
	HTTP_REPLY(reply);
	char url[64];

	start(true, true);
	snprintf(url, sizeof url, "http://here.test:%d/v1/a", server_port(server));
	assert_int_equal(call("GET", url, 0, &reply, NULL), 0);
	assert_string_equal(last_line, "GET /v1/a Bearer s.abc");
}

static void a_proxy_that_refuses_is_named_and_gets_no_token(void **state)
{
	HTTP_REPLY(reply);
	struct error err = ERROR_INIT;

	start(true, false);
	assert_int_equal(call("PUT", "https://vault.test:8200/v1/a", 0, &reply, &err), -EACCES);
	assert_non_null(strstr(err.text, "proxy"));
	assert_non_null(strstr(err.text, "407"));
	assert_string_equal(last_line, "CONNECT vault.test:8200 none");
	assert_int_equal(server_requests(server), 1);
	assert_int_equal(call("PUT", "https://busy.test:8200/v1/a", 2, &reply, &err), -EHOSTUNREACH);
	assert_int_equal(server_requests(server), 3);
	assert_int_equal(reply.tries, 0);
}

static void a_name_that_does_not_exist_is_unreachable(void **state)
{
	HTTP_REPLY(reply);
	struct error err = ERROR_INIT;

	start(false, false);
	assert_int_equal(call("PUT", "http://nowhere.test/", 2, &reply, &err), -EHOSTUNREACH);
	assert_non_null(strstr(err.text, "cannot be resolved"));
	assert_int_equal(reply.tries, 0);
}

/* A listener that accepts nobody and whose queue is full drops what else comes. */
static void a_connection_that_does_not_come_is_given_up(void **state)
{
	HTTP_REPLY(reply);
	struct error err = ERROR_INIT;
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof a;
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), clients[8];
	char url[64];

	assert_int_equal(bind(listener, (struct sockaddr *)&a, sizeof a), 0);
	assert_int_equal(listen(listener, 0), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&a, &len), 0);
	for (int i = 0; i < 8; i++) {
		clients[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		if (connect(clients[i], (struct sockaddr *)&a, sizeof a) != 0)
			assert_int_equal(errno, EINPROGRESS);
	}
	start(false, false);
	http_close(http);
	assert_int_equal(http_open(&(struct http_options){ .label = "store", .connect_ns = 200000000 }, &http, NULL), 0);
	snprintf(url, sizeof url, "http://127.0.0.1:%d/", ntohs(a.sin_port));
	assert_int_equal(call("PUT", url, 2, &reply, &err), -EHOSTUNREACH);
	assert_non_null(strstr(err.text, "no connection in time"));
	assert_int_equal(reply.tries, 0);
	for (int i = 0; i < 8; i++)
		close(clients[i]);
	close(listener);
}

static void a_resolver_that_hangs_holds_up_nobody_else(void **state)
{
	HTTP_REPLY(reply);
	struct caller caller;
	struct http_request req = { .method = "GET", .url = "http://hangs.test/" };
	char url[64];

	start(false, false);
	caller_start(&caller, http, &req, 60);
	assert_true(gate_await(&gate, 1));
	snprintf(url, sizeof url, "http://here.test:%d/v1/a", server_port(server));
	assert_int_equal(call("GET", url, 0, &reply, NULL), 0);
	cancel_request(&caller.cancel);
	assert_int_equal(caller_join(&caller), -ECANCELED);
	assert_int_equal(call("GET", url, 0, &reply, NULL), 0);
	caller_wipe(&caller);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(a_proxy_gets_the_whole_address, talk_stop),
		cmocka_unit_test_teardown(a_metadata_service_is_asked_directly, talk_stop),
		cmocka_unit_test_teardown(a_proxy_that_refuses_is_named_and_gets_no_token, talk_stop),
		cmocka_unit_test_teardown(a_name_that_does_not_exist_is_unreachable, talk_stop),
		cmocka_unit_test_teardown(a_connection_that_does_not_come_is_given_up, talk_stop),
		cmocka_unit_test_teardown(a_resolver_that_hangs_holds_up_nobody_else, talk_stop),
	};

	return cmocka_run_group_tests_name("http_way", tests, NULL, NULL);
}
