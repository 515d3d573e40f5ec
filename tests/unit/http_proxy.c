/* SPDX-License-Identifier: Apache-2.0
 *
 * The choices that Go's clients would make. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "backends/http_proxy.h"

#define PROXY "http://proxy:3128"

static const char *const names[] = { "HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "NO_PROXY", "no_proxy",
	"REQUEST_METHOD" };

static int clear(void **state)
{
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		unsetenv(names[i]);
	return 0;
}

static void expect(const char *none, const char *url, const char *proxy)
{
	if (none != NULL)
		setenv("NO_PROXY", none, 1);
	struct http_proxy *p = http_proxy_new();
	assert_non_null(p);
	assert_string_equal(http_proxy_for(p, url), proxy);
	http_proxy_free(p);
}

static void both_cases_are_read_upper_first(void **state)
{
	expect(NULL, "https://host/", "");
	setenv("http_proxy", "http://plain:1", 1);
	setenv("https_proxy", "http://lower:1", 1);
	expect(NULL, "https://host/", "http://lower:1");
	expect(NULL, "http://host/", "http://plain:1");
	setenv("HTTPS_PROXY", PROXY, 1);
	expect(NULL, "https://host/", PROXY);
	setenv("HTTP_PROXY", "http://upper:1", 1);
	expect(NULL, "http://host/", "http://upper:1");
	setenv("REQUEST_METHOD", "GET", 1);
	expect(NULL, "http://host/", "");
}

static void loopback_is_never_proxied(void **state)
{
	setenv("HTTPS_PROXY", PROXY, 1);
	expect(NULL, "https://localhost:8200/v1", "");
	expect(NULL, "https://127.0.0.1:8200/v1", "");
	expect(NULL, "https://127.1.2.3/", "");
	expect(NULL, "https://[::1]:8200/v1", "");
	expect(NULL, "https://user@127.0.0.1/", "");
	expect(NULL, "https://127.0.0.1.example.com/", PROXY);
	expect(NULL, "https://10.0.0.1/", PROXY);
}

static void exceptions_are_hosts_domains_addresses_and_networks(void **state)
{
	setenv("HTTPS_PROXY", PROXY, 1);
	expect("*", "https://host/", "");
	expect("example.com", "https://example.com/", "");
	expect("example.com", "https://vault.EXAMPLE.com/", "");
	expect("example.com", "https://notexample.com/", PROXY);
	expect(".example.com", "https://example.com/", PROXY);
	expect(".example.com", "https://a.b.example.com/", "");
	expect("*.example.com", "https://a.example.com/", "");
	expect("a, vault:8200 ,b", "https://vault:8200/", "");
	expect("vault:8200", "https://vault/", PROXY);
	expect("vault:443", "https://vault/", "");
	expect("10.1.2.3", "https://10.1.2.3/", "");
	expect("10.0.0.0/8", "https://10.1.2.3/", "");
	expect("10.0.0.0/15", "https://10.1.2.3/", "");
	expect("10.2.0.0/15", "https://10.1.2.3/", PROXY);
	expect("10.0.0.0/8", "https://11.1.2.3/", PROXY);
	expect("10.0.0.0/8", "https://host/", PROXY);
	expect("fd00::/8", "https://[fd12::1]:8200/", "");
	expect("fd12::1", "https://[fd12::1]:8200/", "");
	expect("10.0.0.0/33,/,10.0.0.0/x,,:", "https://10.0.0.1/", PROXY);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(both_cases_are_read_upper_first, clear),
		cmocka_unit_test_setup(loopback_is_never_proxied, clear),
		cmocka_unit_test_setup(exceptions_are_hosts_domains_addresses_and_networks, clear),
	};

	return cmocka_run_group_tests_name("http_proxy", tests, NULL, clear);
}
