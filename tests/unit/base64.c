/* SPDX-License-Identifier: Apache-2.0
 *
 * Base64, both alphabets, and everything that is none. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "backends/base64.h"

static void check(const char *plain, const char *std, const char *url)
{
	SECRET(a);
	SECRET(b);
	SECRET(c);

	assert_int_equal(base64_encode(&a, plain, strlen(plain), BASE64_STD), 0);
	assert_string_equal(secret_text(&a), std);
	assert_int_equal(base64_encode(&b, plain, strlen(plain), BASE64_URL), 0);
	assert_string_equal(secret_text(&b), url);
	assert_int_equal(base64_decode(&c, std, strlen(std), BASE64_STD), 0);
	assert_string_equal(secret_text(&c), plain);
	secret_wipe(&c);
	assert_int_equal(base64_decode(&c, url, strlen(url), BASE64_URL), 0);
	assert_string_equal(secret_text(&c), plain);
}

static void the_vectors_of_rfc_4648(void **state)
{
	check("", "", "");
	check("f", "Zg==", "Zg");
	check("fo", "Zm8=", "Zm8");
	check("foo", "Zm9v", "Zm9v");
	check("foob", "Zm9vYg==", "Zm9vYg");
	check("fooba", "Zm9vYmE=", "Zm9vYmE");
	check("foobar", "Zm9vYmFy", "Zm9vYmFy");
	check("\xfb\xff\xbf", "+/+/", "-_-_");
}

static void every_byte_comes_back(void **state)
{
	unsigned char bytes[300];

	for (size_t n = 0; n < sizeof bytes; n++) {
		SECRET(text);
		SECRET(back);

		for (size_t i = 0; i < n; i++)
			bytes[i] = (unsigned char)(i * 7 + n);
		assert_int_equal(base64_encode(&text, bytes, n, n % 2 ? BASE64_STD : BASE64_URL), 0);
		assert_int_equal(base64_decode(&back, (const char *)text.bytes, text.len, n % 2 ? BASE64_STD : BASE64_URL), 0);
		assert_int_equal(back.len, n);
		if (n > 0)
			assert_memory_equal(back.bytes, bytes, n);
	}
}

static void what_is_not_base64_is_refused(void **state)
{
	const char *const bad[] = { "a", "ab", "abc", "ab=c", "QQ=", "QR==", "QUJ=", "Q===", "====", "Q Q=", "QQ==QQ==",
		"-_-_", "QUJD\n", "QU\x80=", "=QQ=" };

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		SECRET(out);
		secret_append_text(&out, "kept");
		assert_int_equal(base64_decode(&out, bad[i], strlen(bad[i]), BASE64_STD), -EBADMSG);
		assert_string_equal(secret_text(&out), "kept");
	}
	for (int c = 0; c < 256; c++) {
		SECRET(out);
		char text[4] = { 'Q', 'U', 'J', (char)c };
		bool digit = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '+' || c == '/';
		assert_int_equal(base64_decode(&out, text, 4, BASE64_STD), digit ? 0 : -EBADMSG);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_vectors_of_rfc_4648),
		cmocka_unit_test(every_byte_comes_back),
		cmocka_unit_test(what_is_not_base64_is_refused),
	};

	return cmocka_run_group_tests_name("base64", tests, NULL, NULL);
}
