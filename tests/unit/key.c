/* SPDX-License-Identifier: Apache-2.0
 *
 * Both value formats: the known values, every rule broken alone, and what separates a broken key from no key. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/evp.h>

#include "backends/key.h"

#define FORM_A "CiQKIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4fEAESJAogICEiIyQlJicoKSorLC0u" \
	"LzAxMjM0NTY3ODk6Ozw9Pj8QARoL" \
	"CIDiz6oGEJWa7zoiQGM4NGNjOWI5MWFlMjM5OWIwNDNkYTdlY2E2MTYwNDhkNGI0MjAwZWRmMmZmNDE4ZDhhZjM4MzU5MTFkYjk0NWQ="
#define CREATOR "c84cc9b91ae2399b043da7eca616048d4b4200edf2ff418d8af3835911db945d"
#define BYTES "\"bytes\":\"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\""
#define FORM_B "{" BYTES ",\"algorithm\":\"AES256\",\"created_at\":\"2023-11-14T22:13:20.123456789Z\"," \
	"\"created_by\":\"" CREATOR "\"}"

/* Pieces of a KeyVersion message. */
#define K31 "0123456789abcdef0123456789abcde"
#define K32 K31 "f"
#define PART(number, key, kind) number "\x24\x0a\x20" key "\x10" kind
#define KEY PART("\x0a", K32, "\x01")
#define HMAC PART("\x12", K32, "\x01")
#define TIME "\x1a\x06\x08\x80\xe2\xcf\xaa\x06"
#define BY "\x22\x02me"

static enum key_kind parse(const void *bytes, size_t len, struct key_info *info, struct error *why)
{
	SECRET(value);

	*why = (struct error)ERROR_INIT;
	assert_int_equal(secret_append(&value, bytes, len), 0);
	return key_parse(&value, info, why);
}

static void expect_valid(const char *text)
{
	struct key_info info;
	struct error why;

	if (parse(text, strlen(text), &info, &why) != KEY_VALID)
		fail_msg("%s: %s", text, why.text);
}

static void expect(enum key_kind kind, const void *bytes, size_t len, const char *sentence)
{
	struct key_info info = { .created = 42 };
	struct error why;
	enum key_kind is = parse(bytes, len, &info, &why);

	if (is != kind || strcmp(why.text, sentence) != 0)
		fail_msg("%.*s: %d: %s", (int)len, (const char *)bytes, is, why.text);
	assert_int_equal(why.code, EBADMSG);
	assert_int_equal(info.created, 42);
}

static void the_known_value_of_form_a_is_described(void **state)
{
	struct key_info info;
	struct error why;

	assert_int_equal(parse(FORM_A, strlen(FORM_A), &info, &why), KEY_VALID);
	assert_false(info.json);
	assert_string_equal(info.algorithm, "AES256");
	assert_true(info.has_created && info.has_hmac);
	assert_int_equal(info.created, 1700000000);
	assert_int_equal(info.created_nanos, 123456789);
	assert_string_equal(info.created_by, CREATOR);
}

static void the_known_value_of_form_b_is_described(void **state)
{
	struct key_info info;
	struct error why;

	assert_int_equal(parse(FORM_B, strlen(FORM_B), &info, &why), KEY_VALID);
	assert_true(info.json);
	assert_string_equal(info.algorithm, "AES256");
	assert_true(info.has_created);
	assert_false(info.has_hmac);
	assert_int_equal(info.created, 1700000000);
	assert_int_equal(info.created_nanos, 123456789);
	assert_string_equal(info.created_by, CREATOR);
}

static void line_ends_in_base64_are_no_damage(void **state)
{
	char split[2 * sizeof FORM_A], *to = split;

	for (const char *p = FORM_A; *p != '\0'; p++) {
		*to++ = *p;
		if ((p - FORM_A) % 64 == 63)
			*to++ = '\n';
	}
	*to = '\0';
	expect_valid(split);
	expect_valid(FORM_A "\n");
	expect_valid(FORM_A "\r\n");
	expect(KEY_DAMAGED, " " FORM_A, strlen(FORM_A) + 1, "it begins with a blank");
	expect(KEY_DAMAGED, FORM_A " ", strlen(FORM_A) + 1, "it is not base64 (wrong character at position 209)");
}

static void what_is_not_quite_base64_is_damaged(void **state)
{
	char url[sizeof FORM_A];

	expect(KEY_DAMAGED, FORM_A, strlen(FORM_A) - 1, "it is not base64 (cut short or without its padding)");
	expect(KEY_DAMAGED, FORM_A, 60, "its protobuf message is malformed or cut short");
	expect(KEY_DAMAGED, FORM_A, 21, "it is not base64 (cut short or without its padding)");
	expect(KEY_DAMAGED, FORM_A "A", strlen(FORM_A) + 1, "it is not base64 (wrong character at position 209)");
	strcpy(url, FORM_A);
	url[100] = '-';
	expect(KEY_DAMAGED, url, strlen(url), "it is not base64 (wrong character at position 101)");
}

static void every_older_spelling_of_form_b_is_accepted(void **state)
{
	static const char *const good[] = {
		"{" BYTES "}", "{" BYTES ",\"algorithm\":\"\"}", "{" BYTES ",\"algorithm\":\"AES256-GCM_SHA256\"}",
		"{" BYTES ",\"algorithm\":\"ChaCha20\"}", "{" BYTES ",\"algorithm\":\"XCHACHA20-POLY1305\"}",
		"{" BYTES ",\"algorithm\":null,\"created_at\":null}", " \n{ " BYTES " }\n\t",
		"{\"more\":[1,-2.5e+3,{\"a\":null,\"b\":[]},true,\"\\u00e9\\n\"]," BYTES "}",
		"{\"BYTES\":\"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\"}",
		"{\"bytes\":\"AA==\"," BYTES "}", "{\"algorithm\":\"DES\"," BYTES ",\"Algorithm\":\"\"}",
		"{\"b\\u0079tes\":\"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8\\u003d\"}",
		"{" BYTES ",\"created_at\":\"2024-02-29T23:59:59+14:00\"}",
	};

	for (size_t i = 0; i < sizeof good / sizeof *good; i++)
		expect_valid(good[i]);
}

static void a_time_with_a_zone_is_the_same_moment(void **state)
{
	static const struct {
		const char *text;
		int64_t seconds;
		int32_t nanos;
		bool known;
	} times[] = {
		{ "1970-01-01T00:00:00Z", 0, 0, true },
		{ "1970-01-01T01:30:00.5+01:30", 0, 500000000, true },
		{ "1969-12-31T22:00:00.000000001-02:00", 0, 1, true },
		{ "2024-02-29T00:00:00.1234567899Z", 1709164800, 123456789, true },
		{ "1970-01-02T1:00:00,25+24:60", 0, 250000000, true },        /* Go is no stricter */
		{ "2100-03-01T00:00:00Z", INT64_C(4107542400), 0, true },
		{ "0000-01-01T00:00:00Z", INT64_C(-62167219200), 0, true },
		{ "0001-01-01T00:00:00Z", INT64_C(-62135596800), 0, false },
	};
	char text[200];

	for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
		struct key_info info;
		struct error why;
		int n = snprintf(text, sizeof text, "{%s,\"created_at\":\"%s\"}", BYTES, times[i].text);

		assert_int_equal(parse(text, (size_t)n, &info, &why), KEY_VALID);
		assert_int_equal(info.created, times[i].seconds);
		assert_int_equal(info.created_nanos, times[i].nanos);
		assert_int_equal(info.has_created, times[i].known);
	}
}

static void every_broken_form_b_says_what_is_wrong(void **state)
{
#define LENGTH "the encryption key has "
	static const struct {
		enum key_kind kind;
		const char *text, *sentence;
	} bad[] = {
		{ KEY_DAMAGED, "{\"bytes\":\"AA==\"}", LENGTH "1 bytes instead of 32" },
		{ KEY_DAMAGED, "{\"bytes\":null}", LENGTH "0 bytes instead of 32" },
		{ KEY_DAMAGED, "{" BYTES ",\"bytes\":null}", LENGTH "0 bytes instead of 32" },
		{ KEY_DAMAGED, "{\"bytes\":32}", "its member 'bytes' is not a string" },
		{ KEY_DAMAGED, "{" BYTES ",\"algorithm\":\"DES\"}",
		  "its algorithm is unknown (AES256 and ChaCha20 are known)" },
		{ KEY_DAMAGED, "{" BYTES ",\"algorithm\":1}", "its member 'algorithm' is not a string" },
		{ KEY_DAMAGED, "{" BYTES ",\"created_at\":\"yesterday\"}", "its time of creation is not RFC 3339" },
		{ KEY_DAMAGED, "{" BYTES ",\"created_at\":\"2023-02-29T00:00:00Z\"}",
		  "its time of creation is not RFC 3339" },
		{ KEY_DAMAGED, "{" BYTES ",\"created_at\":\"2023-02-28T00:00:00\"}",
		  "its time of creation is not RFC 3339" },
		{ KEY_DAMAGED, "{" BYTES ",\"created_at\":\"2023-02-28T00:00:00.Z\"}",
		  "its time of creation is not RFC 3339" },
		{ KEY_DAMAGED, "{" BYTES, "its JSON is cut short" },
		{ KEY_DAMAGED, "{\"byt", "its JSON is cut short" },
		{ KEY_DAMAGED, "{" BYTES ",}", "it is not valid JSON" },
		{ KEY_DAMAGED, "{" BYTES "}{", "something follows its JSON" },
		{ KEY_DAMAGED, "{" BYTES ",\"x\":01}", "it is not valid JSON" },
		{ KEY_DAMAGED, "{" BYTES ",\"x\":\"\\x\"}", "it is not valid JSON" },
		{ KEY_DAMAGED, "{\"bytes\":\"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8\"}",
		  "it is not base64 (cut short or without its padding)" },
		{ KEY_FOREIGN, "{}", "it is JSON without a member 'bytes'" },
		{ KEY_FOREIGN, "{\"key\":\"AA==\"}", "it is JSON without a member 'bytes'" },
		{ KEY_FOREIGN, "{not JSON", "it is not valid JSON" },
	};

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		expect(bad[i].kind, bad[i].text, strlen(bad[i].text), bad[i].sentence);
}

/* The base64 of a message, as a value. */
static size_t encode(char *out, const char *message, size_t len)
{
	return (size_t)EVP_EncodeBlock((unsigned char *)out, (const unsigned char *)message, (int)len);
}

#define MESSAGE(text) text, sizeof(text) - 1

static void any_order_and_unknown_fields_are_accepted(void **state)
{
	static const struct {
		const char *message;
		size_t len;
	} good[] = {
		{ MESSAGE(KEY HMAC) }, { MESSAGE(BY TIME HMAC KEY) }, { MESSAGE(KEY HMAC "\x28\x07") },
		{ MESSAGE(KEY HMAC "\x31" "12345678") }, { MESSAGE(KEY HMAC "\x3d" "1234") },
		{ MESSAGE(KEY HMAC "\x42\x00") },
		{ MESSAGE(KEY HMAC "\x2b\x08\x01\x33\x34\x2c") },     /* a group in a group */
		{ MESSAGE(PART("\x0a", K32, "\x03") "\x0a\x02\x10\x02" HMAC) },
		        /* merged: the last cipher counts */
		{ MESSAGE(KEY HMAC "\x08\x01") },     /* a known number of another kind is an unknown field */
	};
	char text[300];

	for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
		struct key_info info;
		struct error why;
		size_t n = encode(text, good[i].message, good[i].len);
		if (parse(text, n, &info, &why) != KEY_VALID)
			fail_msg("message %zu: %s", i, why.text);
	}
}

static void every_broken_form_a_says_what_is_wrong(void **state)
{
#define MALFORMED "its protobuf message is malformed or cut short"
	static const struct {
		enum key_kind kind;
		const char *message;
		size_t len;
		const char *sentence;
	} bad[] = {
		{ KEY_DAMAGED, MESSAGE(KEY), "the HMAC key is missing" },
		{ KEY_DAMAGED, MESSAGE(KEY TIME BY), "the HMAC key is missing" },
		{ KEY_DAMAGED, MESSAGE(HMAC TIME BY), "the encryption key is missing" },
		{ KEY_DAMAGED, MESSAGE(PART("\x0a", K32, "\x03") HMAC),
		  "the cipher is unknown (number 3; AES256 is 1, ChaCha20 is 2)" },
		{ KEY_DAMAGED, MESSAGE("\x0a\x22\x0a\x20" K32 HMAC),
		  "the cipher is unknown (number 0; AES256 is 1, ChaCha20 is 2)" },
		{ KEY_DAMAGED, MESSAGE("\x0a\x23\x0a\x1f" K31 "\x10\x01" HMAC), LENGTH "31 bytes instead of 32" },
		{ KEY_DAMAGED, MESSAGE("\x0a\x25\x0a\x21" K32 "0\x10\x01" HMAC), LENGTH "33 bytes instead of 32" },
		{ KEY_DAMAGED, MESSAGE(KEY "\x12\x23\x0a\x1f" K31 "\x10\x01"),
		  "the HMAC key has 31 bytes instead of 32" },
		{ KEY_DAMAGED, MESSAGE(KEY PART("\x12", K32, "\x02")),
		  "the hash of the HMAC key is unknown (number 2; SHA-256 is 1)" },
		{ KEY_DAMAGED, MESSAGE(KEY HMAC "\x1a\x06\x10\x80\x94\xeb\xdc\x03"),
		  "the time of creation has 1000000000 nanoseconds" },
		{ KEY_DAMAGED, MESSAGE(KEY HMAC "\x22\x02\xff\xff"), MALFORMED },
		{ KEY_DAMAGED, MESSAGE(KEY HMAC "\x22\x7f"), MALFORMED },
		{ KEY_DAMAGED, MESSAGE(KEY HMAC "\x00\x00"), MALFORMED },     /* field number 0 */
		{ KEY_DAMAGED, MESSAGE(KEY HMAC "\x2c"), MALFORMED },         /* the end of a group that never began */
		{ KEY_DAMAGED, MESSAGE(KEY HMAC "\x28\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02"), MALFORMED },
		        /* 65 bits */
		{ KEY_FOREIGN, MESSAGE("\x08\x01"), "the encryption key is missing" },
		{ KEY_FOREIGN, MESSAGE("hello, world"), MALFORMED },
	};
	char text[300];

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		expect(bad[i].kind, text, encode(text, bad[i].message, bad[i].len), bad[i].sentence);
}

static void what_was_never_a_key_is_foreign(void **state)
{
	static const struct {
		const char *text, *sentence;
	} foreign[] = {
		{ "null", MALFORMED }, { "123", "it is not base64 (cut short or without its padding)" },
		{ "\"text\"", "it is not base64 (wrong character at position 1)" },
		{ "-----BEGIN PRIVATE KEY-----\n", "it is not base64 (wrong character at position 1)" },
		{ "hello world\n", "it is not base64 (wrong character at position 6)" },
		{ "vault:token", "it is not base64 (wrong character at position 6)" },
	};
	char big[5000];

	for (size_t i = 0; i < sizeof foreign / sizeof *foreign; i++)
		expect(KEY_FOREIGN, foreign[i].text, strlen(foreign[i].text), foreign[i].sentence);
	memset(big, 'x', sizeof big);
	expect(KEY_FOREIGN, big, sizeof big, "it has 5000 bytes; a KES key has at most 4096");
}

static void what_was_a_key_once_is_damaged(void **state)
{
	char big[5000], twice[400];

	expect(KEY_DAMAGED, "", 0, "it is empty");
	expect(KEY_DAMAGED, " \n", 2, "it is empty");
	expect(KEY_DAMAGED, "\0\0\0\0", 4, "it holds zero bytes only");
	expect(KEY_DAMAGED, "vault:v12:QUJD", 14,
	       "it is still encrypted by a Vault transit key (vault.transit is missing in the configuration)");
	expect(KEY_DAMAGED, KEY HMAC, sizeof KEY HMAC - 1, "it is a key without its base64 layer");
	size_t n = encode(twice, FORM_A, strlen(FORM_A));
	expect(KEY_DAMAGED, twice, n, "it is a key in base64 twice");
	memset(big, '\n', sizeof big);
	memcpy(big, FORM_A, strlen(FORM_A));
	expect(KEY_DAMAGED, big, sizeof big, "it has 5000 bytes; a KES key has at most 4096");
}

static void a_creator_is_shown_printable_and_cut(void **state)
{
	char text[400], long_name[301];
	struct key_info info;
	struct error why;

	memset(long_name, 'n', 300);
	memcpy(long_name, "\\n\x7f", 3);
	long_name[300] = '\0';
	int n = snprintf(text, sizeof text, "{%s,\"created_by\":\"%s\"}", BYTES, long_name);
	assert_int_equal(parse(text, (size_t)n, &info, &why), KEY_VALID);
	assert_int_equal(strlen(info.created_by), sizeof info.created_by - 1);
	assert_memory_equal(info.created_by, "?" "?n", 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_known_value_of_form_a_is_described),
		cmocka_unit_test(the_known_value_of_form_b_is_described),
		cmocka_unit_test(line_ends_in_base64_are_no_damage),
		cmocka_unit_test(what_is_not_quite_base64_is_damaged),
		cmocka_unit_test(every_older_spelling_of_form_b_is_accepted),
		cmocka_unit_test(a_time_with_a_zone_is_the_same_moment),
		cmocka_unit_test(every_broken_form_b_says_what_is_wrong),
		cmocka_unit_test(any_order_and_unknown_fields_are_accepted),
		cmocka_unit_test(every_broken_form_a_says_what_is_wrong),
		cmocka_unit_test(what_was_never_a_key_is_foreign),
		cmocka_unit_test(what_was_a_key_once_is_damaged),
		cmocka_unit_test(a_creator_is_shown_printable_and_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
