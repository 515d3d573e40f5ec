/* SPDX-License-Identifier: Apache-2.0
 *
 * Names, as a KES server and a directory see them (keystores.md 3.1, 3.2). */
#include "fs/name.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#include "backends/utf8.h"

static bool char_allowed(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || c == '_';
}

static int char_complain(const char *name, const char *at, struct error *err)
{
	unsigned char c = (unsigned char)*at;
	size_t place = (size_t)(at - name) + 1;
	uint32_t point;

	if (c < 0x20 || c == 0x7f)
		return error_set(err, EINVAL, "'%s' has the control character 0x%02x at position %zu; "
		                 "a KES server accepts only A-Z a-z 0-9 - _", name, c, place);
	size_t n = utf8_decode(at, strlen(at), &point);
	if (n == 0)
		return error_set(err, EINVAL, "'%s' has the byte 0x%02x at position %zu; "
		                 "a KES server accepts only A-Z a-z 0-9 - _", name, c, place);
	return error_set(err, EINVAL, "'%s' has '%.*s' at position %zu; a KES server accepts only A-Z a-z 0-9 - _",
	                 name, (int)n, at, place);
}

int name_check(const char *name, struct error *err)
{
	size_t len = strlen(name);

	if (len == 0)
		return error_set(err, EINVAL, "an empty name cannot be a key");
	for (const char *p = name; *p != '\0'; p++)
		if (!char_allowed(*p))
			return char_complain(name, p, err);
	if (len > NAME_KES_MAX)
		return error_set(err, ENAMETOOLONG, "'%s' has %zu characters; a KES server accepts at most %d",
		                 name, len, NAME_KES_MAX);
	if (name[0] == '-' || name[len - 1] == '-')
		return error_set(err, EINVAL, "'%s' %s with '-', which a KES server refuses", name,
		                 name[0] == '-' ? "begins" : "ends");
	if (strcmp(name, "_") == 0)
		return error_set(err, EINVAL, "'_' alone is refused by a KES server");
	return 0;
}

bool name_shown(const char *name)
{
	size_t len = strlen(name);

	if (len == 0 || len > NAME_MAX || name[0] == '.')
		return false;
	for (const char *p = name; *p != '\0'; p++)
		if (*p == '/' || (unsigned char)*p < 0x20 || *p == 0x7f)
			return false;
	return true;
}

int name_check_store(const char *name, const struct backend_ops *ops, struct error *err)
{
	int r = name_check(name, err);

	if (r != 0)
		return r;
	if (ops->name_max != 0 && strlen(name) > ops->name_max)
		return error_set(err, ENAMETOOLONG, "'%s' has %zu characters; a store of kind %s accepts at most %zu",
		                 name, strlen(name), ops->name, ops->name_max);
	if (ops->name_ok != NULL && !ops->name_ok(name))
		return error_set(err, EINVAL, "'%s' cannot exist in a store of kind %s, which allows fewer characters",
		                 name, ops->name);
	return 0;
}
