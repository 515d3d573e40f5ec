/* SPDX-License-Identifier: Apache-2.0
 *
 * Names: what a KES server accepts can also be shown as a file, and every refusal has its reason. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "fs/name.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *name = strndup((const char *)data, size);
	if (name == NULL)
		return -1;
	struct error err = {0};
	int r = name_check(name, &err);
	if (r == 0 && !name_shown(name))
		abort();
	if (r != 0 && err.text[0] == '\0')
		abort();
	free(name);
	return 0;
}
