/* SPDX-License-Identifier: Apache-2.0
 *
 * Values: whatever the bytes are, the answer is one of three, twice the same, and says why without quoting them. */
#include <stdlib.h>

#include "backends/key.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	SECRET(value);
	if (secret_append(&value, data, size) != 0)
		return -1;
	struct error why = {0}, again = {0};
	struct key_info info = {0}, info_again = {0};
	enum key_kind kind = key_parse(&value, &info, &why);
	if (kind != key_parse(&value, &info_again, &again))
		abort();
	if (kind == KEY_VALID && (info.algorithm == NULL || info.created_nanos < 0 || info.created_nanos > 999999999))
		abort();
	if (kind != KEY_VALID && why.text[0] == '\0')
		abort();
	if (value.len != size)
		abort();
	return 0;
}
