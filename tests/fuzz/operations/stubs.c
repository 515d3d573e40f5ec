/* SPDX-License-Identifier: Apache-2.0
 *
 * Linked before the libraries, so that these take the place of pool.c, log.c, notify.c, openers.c and of mounting. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fs/log.h"
#include "fs/mount/notify.h"
#include "fs/pool.h"
#include "tests/fuzz/operations/world.h"

const char *const names[NAMES] = { "key", "other", ".one", ".two" };

static struct {
	struct pool_job *first;
	enum openers openers;
	const struct bytes *secrets[16];
	unsigned secret_count;
} stubs;

int name_index(const char *name)
{
	for (int i = 0; i < NAMES; i++)
		if (strcmp(names[i], name) == 0)
			return i;
	fprintf(stderr, "%s: ", name);
	world_fail(__FILE__, __LINE__, "a name that was given");
}

bool bytes_same(const struct bytes *a, const struct bytes *b)
{
	return a->len == b->len && memcmp(a->at, b->at, a->len) == 0;
}

void world_fail(const char *file, int line, const char *condition)
{
	fprintf(stderr, "%s:%d: not so: %s\n", file, line, condition);
	abort();
}

/* --- pool -------------------------------------------------------------------------------------------------------- */

/* One queue for all pools; jobs_run() is their threads. */
struct pool {
	unsigned unused;
};

struct pool *pool_new(unsigned threads_max)
{
	return calloc(1, sizeof(struct pool));
}

bool pool_submit(struct pool *p, struct pool_job *job)
{
	struct pool_job **end = &stubs.first;

	while (*end != NULL)
		end = &(*end)->next;
	*end = job;
	job->next = NULL;
	job->queued = true;
	return true;
}

bool pool_withdraw(struct pool *p, struct pool_job *job)
{
	for (struct pool_job **j = &stubs.first; *j != NULL; j = &(*j)->next)
		if (*j == job) {
			*j = job->next;
			job->queued = false;
			return true;
		}
	return false;
}

unsigned jobs_queued(void)
{
	unsigned n = 0;

	for (struct pool_job *j = stubs.first; j != NULL; j = j->next)
		n++;
	return n;
}

void jobs_run(unsigned index)
{
	struct pool_job *job = stubs.first;

	while (index-- > 0)
		job = job->next;
	pool_withdraw(NULL, job);
	job->run(job);
}

void pool_threads_max(struct pool *p, unsigned n)
{
}

void pool_drain(struct pool *p)
{
	CHECK(stubs.first == NULL);
}

void pool_free(struct pool *p)
{
	CHECK(stubs.first == NULL);
	free(p);
}

/* --- notifications ----------------------------------------------------------------------------------------------- */

struct notifier *notifier_new(struct fuse_session *fuse)
{
	return calloc(1, 1);
}

void notifier_stop(struct notifier *n)
{
}

void notifier_free(struct notifier *n)
{
	free(n);
}

void notifier_entry(struct notifier *n, uint64_t parent, const char *name)
{
	world.dentries[name_index(name)] = NULL;
}

void notifier_pages(struct notifier *n, uint64_t ino)
{
}

/* --- /proc ------------------------------------------------------------------------------------------------------- */

void stubs_openers(enum openers openers)
{
	stubs.openers = openers;
}

enum openers openers_find(pid_t caller, uint64_t ino)
{
	return stubs.openers;
}

/* --- log --------------------------------------------------------------------------------------------------------- */

void stubs_silent(const struct bytes *value)
{
	CHECK(stubs.secret_count < sizeof stubs.secrets / sizeof *stubs.secrets);
	stubs.secrets[stubs.secret_count++] = value;
}

static void line(const char *fmt, va_list ap)
{
	char text[2048];

	vsnprintf(text, sizeof text, fmt, ap);
	if (getenv("KESFS_FUZZ_LOG") != NULL)
		fprintf(stderr, "    log: %s\n", text);
	for (unsigned i = 0; i < stubs.secret_count; i++)
		CHECK(memmem(text, strlen(text), stubs.secrets[i]->at + 9, 24) == NULL);
}

void log_setup(const char *name)
{
}

int log_to_file(const char *path, struct error *err)
{
	return 0;
}

void log_to_syslog(void)
{
}

void log_to_stderr(void)
{
}

void log_reopen(void)
{
}

int log_debug(const char *areas, struct error *err)
{
	return 0;
}

bool log_debugging(const char *area)
{
	return false;
}

void log_line(enum log_level level, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	line(fmt, ap);
	va_end(ap);
}

void log_area(const char *area, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	line(fmt, ap);
	va_end(ap);
}
