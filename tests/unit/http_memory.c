/* SPDX-License-Identifier: Apache-2.0
 *
 * Nothing of a token, a body or an answer is left in memory once the engine is idle.  The server is another process;
 * the wiping free() of the programs is linked in.  What is looked for never stands in memory itself: it is made byte
 * by byte. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "backends/http.h"
#include "fs/harden.h"
#include "tests/support/certs.h"
#include "tests/support/server.h"
#include "tests/support/two.h"

enum { CANARY = 40 };

static char ca_path[] = "/tmp/kesfs-memory.XXXXXX";
static pid_t child;

/* The i-th byte of the n-th canary. */
static unsigned char canary_byte(unsigned n, unsigned i)
{
	uint32_t x = (n + 1) * 2654435761u ^ (i + 1) * 40503u;

	x ^= x >> 13;
	x *= 0x5bd1e995u;
	return (unsigned char)("abcdefghijklmnopqrstuvwxyzABCDEF"[x >> 27]);
}

static void canary_append(struct secret *s, unsigned n)
{
	for (unsigned i = 0; i < CANARY; i++) {
		unsigned char c = canary_byte(n, i);
		assert_int_equal(secret_append(s, &c, 1), 0);
	}
}

/* Half of one is enough to be found. */
static unsigned found_in(const unsigned char *p, size_t len, unsigned n)
{
	unsigned found = 0;

	for (size_t i = 0; i + CANARY / 2 <= len; i++) {
		unsigned k = 0;
		while (k < CANARY / 2 && p[i + k] == canary_byte(n, k + 10))
			k++;
		found += k == CANARY / 2;
	}
	return found;
}

static unsigned found_in_memory(unsigned n)
{
	static unsigned char page[65536 + CANARY];
	char line[512], mode[8];
	unsigned long from, to;
	unsigned found = 0;
	FILE *maps = fopen("/proc/self/maps", "r");
	int mem = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);

	assert_non_null(maps);
	assert_true(mem >= 0);
	while (fgets(line, sizeof line, maps) != NULL) {
		if (sscanf(line, "%lx-%lx %7s", &from, &to, mode) != 3 || mode[0] != 'r' || strstr(line, "[v") != NULL)
			continue;
		for (; from < to; from += 65536) {
			size_t len = to - from < sizeof page ? to - from : sizeof page;
			ssize_t got = pread(mem, page, len, (off_t)from);
			/* Not what was read before, nor the page itself. */
			if (got > 0 && (from + 65536 + CANARY < (unsigned long)page || from > (unsigned long)page + sizeof page))
				found += found_in(page, (size_t)got, n);
			memset(page, 0, sizeof page);
		}
	}
	close(mem);
	fclose(maps);
	return found;
}

/* The answer is the third canary. */
static void body_make(char body[CANARY + 16])
{
	strcpy(body, "{\"v\":\"");
	for (unsigned i = 0; i < CANARY; i++)
		body[6 + i] = (char)canary_byte(2, i);
	strcpy(body + 6 + CANARY, "\"}");
}

static void answer(struct server_request *r, void *arg)
{
	char body[CANARY + 16];

	body_make(body);
	server_answer(r, 200, "", body);
}

static void answer_two(struct server_request *r, uint32_t stream, void *arg)
{
	char body[CANARY + 16];

	body_make(body);
	two_ok(r, stream, body);
}

static void speak_two(struct server_request *r, void *arg)
{
	two_speak(r, answer_two, NULL);
}

static void serve(int ports)
{
	struct identity ca = identity_make("ca", NULL, NULL), host = identity_make("host", "IP:127.0.0.1", &ca);
	SSL_CTX *two = identity_server(&host, NULL);
	int port[3];

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	identity_write(&ca, ca_path, NULL);
	port[0] = server_port(server_start(answer, NULL, NULL));
	port[1] = server_port(server_start(answer, NULL, identity_server(&host, NULL)));
	two_offer(two);
	port[2] = server_port(server_start(speak_two, NULL, two));
	if (write(ports, port, sizeof port) != sizeof port)
		_exit(1);
	for (;;)
		pause();
}

static void calls_leave_nothing(const char *scheme, int port)
{
	SECRET(token);
	SECRET(body);
	HTTP_REPLY(reply);
	struct http *http;
	struct http_state now;
	struct http_options o = { .label = "store", .ca = ca_path };
	struct http_header header = { "Authorization", "Bearer ", &token };
	char url[64];
	struct http_request req = { .method = "PUT", .url = url, .headers = &header, .header_count = 1, .body = &body };

	assert_int_equal(http_open(&o, &http, NULL), 0);
	snprintf(url, sizeof url, "%s://127.0.0.1:%d/v1/a", scheme, port);
	canary_append(&token, 0);
	secret_append_text(&body, "{\"v\":\"");
	canary_append(&body, 1);
	secret_append_text(&body, "\"}");
	for (int i = 0; i < 20; i++) {
		struct call c = call_in(60, NULL);
		assert_int_equal(http_call(http, &c, &req, &reply, NULL), 0);
	}
	for (unsigned n = 0; n < 3; n++)
		assert_true(found_in_memory(n) >= 1);         /* it can be found */
	secret_wipe(&token);
	secret_wipe(&body);
	http_reply_wipe(&reply);
	/* As every thread of the programs does before it idles: vector registers with a token in them are spilled there. */
	harden_wipe_stack();
	/* Idle for more than two seconds; waiting longer changes nothing. */
	for (int i = 0; i < 300; i++) {
		unsigned left = found_in_memory(0) + found_in_memory(1) + found_in_memory(2);
		if (left == 0)
			break;
		usleep(100 * 1000);
	}
	http_state(http, &now);
	assert_int_equal(now.in_flight, 0);
	for (unsigned n = 0; n < 3; n++)
		assert_int_equal(found_in_memory(n), 0);
	http_close(http);
}

static int ports[3];

static void plain_calls_leave_nothing_in_memory(void **state)
{
	calls_leave_nothing("http", ports[0]);
}

static void tls_calls_leave_nothing_in_memory(void **state)
{
	calls_leave_nothing("https", ports[1]);
}

static void calls_over_http_2_leave_nothing_in_memory(void **state)
{
	calls_leave_nothing("https", ports[2]);
}

static int child_start(void **state)
{
	int fds[2], fd = mkstemp(ca_path);

	if (fd < 0 || pipe(fds) != 0)
		return -1;
	close(fd);
	child = fork();
	if (child == 0)
		serve(fds[1]);
	close(fds[1]);
	bool ok = child > 0 && read(fds[0], ports, sizeof ports) == sizeof ports;
	close(fds[0]);
	return ok ? 0 : -1;
}

static int child_stop(void **state)
{
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	return unlink(ca_path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plain_calls_leave_nothing_in_memory),
		cmocka_unit_test(tls_calls_leave_nothing_in_memory),
		cmocka_unit_test(calls_over_http_2_leave_nothing_in_memory),
	};

#ifdef KESFS_SANITIZED
	return 77;                            /* the sanitizers' own free() wipes nothing */
#endif
	return cmocka_run_group_tests_name("http_memory", tests, child_start, child_stop);
}
