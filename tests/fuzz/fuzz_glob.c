/* SPDX-License-Identifier: Apache-2.0
 *
 * Patterns: the input is a pattern, a zero byte, a name.  A literal matches its own name, the prefix is one of every
 * name that matches, and an escaped name matches itself. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "fs/glob.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const char *pattern, const char *name)
{
	struct error err = {0};
	if (glob_check(pattern, &err) != 0) {
		if (err.text[0] == '\0')
			abort();
		return;
	}
	char *literal = NULL;
	if (glob_literal(pattern, &literal) && literal != NULL && !glob_match(pattern, literal) && !strchr(literal, '/'))
		abort();
	free(literal);
	char *prefix = glob_prefix(pattern);
	if (prefix != NULL && glob_match(pattern, name) && strncmp(name, prefix, strlen(prefix)) != 0)
		abort();
	free(prefix);
}

static void check_escaped(const char *name)
{
	char *pattern = malloc(2 * strlen(name) + 1), *p = pattern;
	if (pattern == NULL)
		return;
	for (const char *c = name; *c; c++) {
		if (strchr("*?[\\", *c))
			*p++ = '\\';
		*p++ = *c;
	}
	*p = '\0';
	struct error err = {0};
	if (glob_check(pattern, &err) != 0 || !glob_match(pattern, name))
		abort();
	free(pattern);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *pattern = strndup((const char *)data, size);
	if (pattern == NULL)
		return -1;
	size_t used = strlen(pattern) + 1;
	char *name = strndup(used < size ? (const char *)data + used : "", used < size ? size - used : 0);
	if (name != NULL) {
		check(pattern, name);
		check_escaped(name);
	}
	free(name);
	free(pattern);
	return 0;
}
