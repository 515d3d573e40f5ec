/* SPDX-License-Identifier: Apache-2.0
 *
 * Signatures against values that were calculated by others, with AWS's example key. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "backends/sigv4.h"

#define SCOPE "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20250102/us-east-2/secretsmanager/aws4_request, "
enum { WHEN = 1735787045 };                   /* 2025-01-02T03:04:05Z */

static void signs(const char *session, const char *expected)
{
	SECRET(secret);
	SECRET(token);
	SECRET(body);
	SECRET(got);
	char date[SIGV4_DATE_SIZE];

	assert_int_equal(secret_append_text(&secret, "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"), 0);
	assert_int_equal(secret_append_text(&token, session), 0);
	assert_int_equal(secret_append_text(&body, "{\"SecretId\":\"my-key\"}"), 0);
	const struct sigv4_key key = { .id = "AKIAIOSFODNN7EXAMPLE", .secret = &secret, .token = &token };
	const struct sigv4_request request = {
		.host = "secretsmanager.us-east-2.amazonaws.com", .region = "us-east-2", .service = "secretsmanager",
		.content_type = "application/x-amz-json-1.1", .target = "secretsmanager.GetSecretValue", .body = &body,
	};
	assert_int_equal(sigv4_sign(&key, &request, WHEN, date, &got), 0);
	assert_string_equal(date, "20250102T030405Z");
	assert_string_equal(secret_text(&got), expected);
}

static void a_request_without_a_session_is_signed_as_aws_does(void **state)
{
	signs("", SCOPE "SignedHeaders=content-type;host;x-amz-date;x-amz-target, "
	      "Signature=24af0dd33eaa8d4ccb672b0d0ce64d6713ddd3ba0bf942347a9c1d6ef9d4a0f6");
}

static void the_token_of_a_session_is_signed_too(void **state)
{
	signs("TOKENEXAMPLE", SCOPE "SignedHeaders=content-type;host;x-amz-date;x-amz-security-token;x-amz-target, "
	      "Signature=900ed5aa4bc064eb4a5d05589ad5c835a6d326c6f3fcee7da11a7267e652417e");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_request_without_a_session_is_signed_as_aws_does),
		cmocka_unit_test(the_token_of_a_session_is_signed_too),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
