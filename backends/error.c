/* SPDX-License-Identifier: Apache-2.0
 *
 * The one table that says what a code of backend.h means to a program, to the exit status and to a second try. */
#include "backends/error.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const struct code {
	int code, seen;          /* ours; what a program on the mount is told */
	bool passing, refused;
} codes[] = {
	{ ENOENT,       ENOENT,       false, false },
	{ EEXIST,       EEXIST,       false, false },
	{ EACCES,       EACCES,       false, true },
	{ EKEYREJECTED, EACCES,       false, true },
	{ EPERM,        EPERM,        false, false },
	{ EINVAL,       EINVAL,       false, false },
	{ ENAMETOOLONG, ENAMETOOLONG, false, false },
	{ EFBIG,        EFBIG,        false, false },
	{ EBUSY,        EBUSY,        true,  false },
	{ EAGAIN,       EBUSY,        true,  false },
	{ ETIMEDOUT,    ETIMEDOUT,    true,  false },
	{ EHOSTUNREACH, EIO,          true,  false },
	{ ENOKEY,       EIO,          true,  true },
	{ ESTALE,       ESTALE,       false, false },
	{ EBADMSG,      EBADMSG,      false, false },
	{ ENOMSG,       EBADMSG,      false, false },
	{ ENOSPC,       ENOSPC,       true,  false },
	{ EROFS,        EROFS,        false, true },
	{ ENOMEM,       ENOMEM,       true,  false },
	{ EMFILE,       EMFILE,       true,  false },
	{ ECANCELED,    EINTR,        true,  false },
	{ EPROTO,       EIO,          false, false },
	{ EINPROGRESS,  EIO,          true,  false },
	{ EIO,          EIO,          true,  false },
};

static const struct code *code_find(int code)
{
	for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
		if (codes[i].code == code)
			return &codes[i];
	return NULL;
}

/* A name from a store may hold any byte: neither a newline nor an escape sequence may reach a log or a terminal. */
static void text_clean(char *text, size_t size, int length)
{
	if (length >= (int)size)
		memcpy(text + size - 4, "...", 4);
	for (char *p = text; *p != '\0'; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			*p = '?';
}

int error_setv(struct error *err, int code, const char *fmt, va_list ap)
{
	char text[ERROR_TEXT_MAX];            /* the old sentence may be an argument of the new one */

	if (err != NULL) {
		text_clean(text, sizeof text, vsnprintf(text, sizeof text, fmt, ap));
		memcpy(err->text, text, sizeof text);
		err->code = code;
	}
	return -code;
}

int error_set(struct error *err, int code, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	int r = error_setv(err, code, fmt, ap);
	va_end(ap);
	return r;
}

int error_prefix(struct error *err, const char *fmt, ...)
{
	char prefix[ERROR_TEXT_MAX / 2], old[ERROR_TEXT_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(prefix, sizeof prefix, fmt, ap);
	va_end(ap);
	memcpy(old, err->text, sizeof old);
	return error_set(err, err->code, "%s: %s", prefix, old);
}

int error_errno(int code)
{
	const struct code *c = code_find(code);

	return c != NULL ? c->seen : EIO;
}

bool error_passing(int code)
{
	const struct code *c = code_find(code);

	return c != NULL && c->passing;
}

bool error_refused(int code)
{
	const struct code *c = code_find(code);

	return c != NULL && c->refused;
}

const char *error_symbol(int code)
{
	static _Thread_local char number[24];
	const char *name = strerrorname_np(code);

	if (name != NULL)
		return name;
	snprintf(number, sizeof number, "errno %d", code);
	return number;
}
