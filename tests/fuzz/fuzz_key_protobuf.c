/* SPDX-License-Identifier: Apache-2.0
 *
 * The message inside a value of form A: the fuzzer need not find out base64 first.  What is accepted has its keys. */
#include <openssl/evp.h>
#include <stdlib.h>

#include "backends/key.h"

enum { MESSAGE_MAX = 3000 };          /* 4 KiB as base64 */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	unsigned char text[MESSAGE_MAX / 3 * 4 + 5];
	struct key_info info = { .algorithm = NULL };
	struct error why = ERROR_INIT;
	SECRET(value);

	if (size > MESSAGE_MAX)
		return 0;
	int n = EVP_EncodeBlock(text, data, (int)size);
	if (secret_append(&value, text, (size_t)n) != 0)
		return -1;
	enum key_kind kind = key_parse(&value, &info, &why);
	/* Two parts of 36 bytes with their tags and lengths are the least. */
	if (kind == KEY_VALID && (size < 76 || info.json || !info.has_hmac || info.algorithm == NULL))
		abort();
	if (kind != KEY_VALID && (why.text[0] == '\0' || info.algorithm != NULL))
		abort();
	return 0;
}
