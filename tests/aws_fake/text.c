/* SPDX-License-Identifier: Apache-2.0 */
#include "fake.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void room(struct text *t, size_t more)
{
	if (t->cap - t->len > more)
		return;
	while (t->cap - t->len <= more)
		t->cap = t->cap != 0 ? 2 * t->cap : 256;
	t->p = realloc(t->p, t->cap);
	if (t->p == NULL)
		abort();
}

void text_add(struct text *t, const char *p, size_t len)
{
	room(t, len);
	if (len > 0)
		memcpy(t->p + t->len, p, len);
	t->len += len;
	t->p[t->len] = '\0';
}

void text_put(struct text *t, const char *s)
{
	text_add(t, s, strlen(s));
}

void text_printf(struct text *t, const char *format, ...)
{
	va_list ap;

	room(t, 512);
	va_start(ap, format);
	int n = vsnprintf(t->p + t->len, 512, format, ap);
	va_end(ap);
	if (n < 0 || n >= 512)
		abort();
	t->len += (size_t)n;
}

void text_json(struct text *t, const char *s)
{
	text_add(t, "\"", 1);
	while (*s != '\0') {
		size_t plain = 0;

		while ((unsigned char)s[plain] >= 0x20 && s[plain] != '"' && s[plain] != '\\')
			plain++;
		text_add(t, s, plain);
		s += plain;
		if (*s != '\0')
			text_printf(t, "\\u%04x", (unsigned char)*s++);
	}
	text_add(t, "\"", 1);
}

void text_free(struct text *t)
{
	free(t->p);
	*t = (struct text){ .p = NULL };
}
