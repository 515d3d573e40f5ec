/* SPDX-License-Identifier: Apache-2.0
 *
 * One lock covers the output and every line written to it, so that a rotation never meets a line half-way.  A line is
 * one write(2): processes that share a file do not mix theirs. */
#include "fs/log.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "backends/trace.h"

enum { LINE_MAX_BYTES = 2048 };

static const char *const areas[] = { "cache", "fuse", "http", "store", "token" };
enum { AREA_COUNT = sizeof areas / sizeof *areas };

static const struct level {
	int priority;
	const char *word;             /* between name and sentence */
} levels[] = {
	[LOG_LEVEL_ERROR]   = { LOG_ERR,     "" },
	[LOG_LEVEL_WARNING] = { LOG_WARNING, "warning: " },
	[LOG_LEVEL_INFO]    = { LOG_INFO,    "" },
	[LOG_LEVEL_DEBUG]   = { LOG_DEBUG,   "debug: " },
};

static struct {
	pthread_mutex_t lock;
	enum { TO_STDERR, TO_FILE, TO_SYSLOG } where;  /* all guarded by lock */
	char name[32];                /* syslog keeps a pointer to it */
	char *path;                   /* absolute: the daemon leaves its directory */
	int fd;
} out = { PTHREAD_MUTEX_INITIALIZER, TO_STDERR, "kesfs", NULL, -1 };

static atomic_uint areas_open;        /* a bit each */

void log_setup(const char *name)
{
	pthread_mutex_lock(&out.lock);
	snprintf(out.name, sizeof out.name, "%s", name);
	pthread_mutex_unlock(&out.lock);
}

static int file_open(const char *path)
{
	return open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0600);
}

/* path as it is seen from anywhere, malloc'd; NULL with errno. */
static char *path_absolute(const char *path)
{
	char here[PATH_MAX], *ret;

	if (*path == '/')
		return strdup(path);
	if (getcwd(here, sizeof here) == NULL || asprintf(&ret, "%s/%s", here, path) < 0)
		return NULL;
	return ret;
}

int log_to_file(const char *path, struct error *err)
{
	char *absolute = path_absolute(path);
	int fd = absolute != NULL ? file_open(absolute) : -1;

	if (fd < 0) {
		int code = errno;
		free(absolute);
		return error_set(err, code, "cannot open the log file %s: %s", path, strerror(code));
	}
	pthread_mutex_lock(&out.lock);
	if (out.fd >= 0)
		close(out.fd);
	free(out.path);
	out.path = absolute;
	out.fd = fd;
	out.where = TO_FILE;
	pthread_mutex_unlock(&out.lock);
	return 0;
}

void log_to_syslog(void)
{
	pthread_mutex_lock(&out.lock);
	openlog(out.name, LOG_PID, LOG_DAEMON);
	out.where = TO_SYSLOG;
	pthread_mutex_unlock(&out.lock);
}

void log_to_stderr(void)
{
	pthread_mutex_lock(&out.lock);
	out.where = TO_STDERR;
	pthread_mutex_unlock(&out.lock);
}

static void line_write(enum log_level level, const char *text);

void log_reopen(void)
{
	pthread_mutex_lock(&out.lock);
	if (out.where == TO_FILE) {
		int fd = file_open(out.path);
		if (fd >= 0) {
			close(out.fd);
			out.fd = fd;
		} else {
			char text[PATH_MAX + 128];
			snprintf(text, sizeof text, "the log file %s cannot be opened again: %s; the old one is kept",
			         out.path, strerror(errno));
			line_write(LOG_LEVEL_WARNING, text);
		}
	}
	pthread_mutex_unlock(&out.lock);
}

static int area_find(const char *area, size_t len)
{
	for (int i = 0; i < AREA_COUNT; i++)
		if (strlen(areas[i]) == len && memcmp(areas[i], area, len) == 0)
			return i;
	return -1;
}

static int area_unknown(const char *area, size_t len, struct error *err)
{
	char known[128] = "";

	for (size_t i = 0, used = 0; i < AREA_COUNT && used < sizeof known; i++)
		used += (size_t)snprintf(known + used, sizeof known - used, "%s%s", i == 0 ? "" : ", ", areas[i]);
	return error_set(err, EINVAL, "there is no debug area '%.*s': the areas are %s, and all", (int)len, area, known);
}

static void trace_line(const char *area, const char *text)
{
	log_area(area, "%s", text);
}

int log_debug(const char *list, struct error *err)
{
	unsigned bits = 0;

	for (const char *p = list;; p++) {
		size_t len = strcspn(p, ",");
		int i = area_find(p, len);
		if (len == 3 && memcmp(p, "all", 3) == 0)
			bits = ~0u;
		else if (i >= 0)
			bits |= 1u << i;
		else
			return area_unknown(p, len, err);
		p += len;
		if (*p == '\0')
			break;
	}
	atomic_fetch_or(&areas_open, bits);
	trace_listen(log_debugging, trace_line);
	return 0;
}

bool log_debugging(const char *area)
{
	unsigned open = atomic_load_explicit(&areas_open, memory_order_relaxed);
	int i = open != 0 ? area_find(area, strlen(area)) : -1;

	return i >= 0 && (open >> i & 1u) != 0;
}

/* A log that cannot be written is not worth dying for: the result is dropped on purpose. */
static void bytes_write(int fd, const char *bytes, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, bytes, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return;
		bytes += n;
		len -= (size_t)n;
	}
}

/* out.lock is held. */
static void line_write(enum log_level level, const char *text)
{
	char line[LINE_MAX_BYTES + 128], when[40] = "";
	const struct level *l = &levels[level];
	int n;

	if (out.where == TO_SYSLOG) {
		syslog(l->priority, "%s%s", l->word, text);
		return;
	}
	if (out.where == TO_FILE) {
		time_t now = time(NULL);
		struct tm tm;
		localtime_r(&now, &tm);
		strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%S%z ", &tm);
		n = snprintf(line, sizeof line, "%s%s[%d]: %s%s\n", when, out.name, (int)getpid(), l->word, text);
	} else {
		n = snprintf(line, sizeof line, "%s: %s%s\n", out.name, l->word, text);
	}
	if (n >= (int)sizeof line) {
		n = sizeof line - 1;
		line[n - 1] = '\n';
	}
	bytes_write(out.where == TO_FILE ? out.fd : STDERR_FILENO, line, (size_t)n);
}

static void line_format(enum log_level level, const char *fmt, va_list ap)
{
	char text[LINE_MAX_BYTES];
	int saved = errno;

	if (vsnprintf(text, sizeof text, fmt, ap) >= (int)sizeof text)
		memcpy(text + sizeof text - 4, "...", 4);
	/* A name may hold any byte: none may forge a second line or reach a terminal as a command. */
	for (char *p = text; *p != '\0'; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			*p = '?';
	pthread_mutex_lock(&out.lock);
	line_write(level, text);
	pthread_mutex_unlock(&out.lock);
	errno = saved;
}

void log_line(enum log_level level, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	line_format(level, fmt, ap);
	va_end(ap);
}

void log_area(const char *area, const char *fmt, ...)
{
	char text[LINE_MAX_BYTES];
	va_list ap;

	if (!log_debugging(area))
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	log_line(LOG_LEVEL_DEBUG, "%s: %s", area, text);
}
