/* SPDX-License-Identifier: Apache-2.0
 *
 * backends/ does not know the log of the programs, so the log comes to it. */
#include "backends/trace.h"

#include <stdarg.h>
#include <stdio.h>

static bool (*listener_open)(const char *area);
static void (*listener_line)(const char *area, const char *text);

void trace_listen(bool (*is_open)(const char *area), void (*line)(const char *area, const char *text))
{
	listener_open = is_open;
	listener_line = line;
}

bool trace_open(const char *area)
{
	return listener_open != NULL && listener_open(area);
}

void trace(const char *area, const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	if (!trace_open(area))
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	listener_line(area, text);
}
