/* SPDX-License-Identifier: Apache-2.0
 *
 * Who sees what: the data of a run goes to stdout, or as JSON to stdout or a file; all the rest goes to stderr.  One
 * lock keeps lines whole and the live line out of them. */
#include "fs/migrate/report.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fs/migrate/json.h"
#include "fs/migrate/summary.h"
#include "fs/migrate/text.h"

struct report {
	pthread_mutex_t lock;                 /* of the streams, and of what changes: live, out_errno, json_errno */
	FILE *json;                           /* stdout, a file, or NULL */
	const char *json_name;
	bool json_file;                       /* json is ours to close */
	bool quiet;
	bool lines, lines_all, lines_verbose; /* keys on stdout: at all; each one; those that were skipped, too */
	bool lines_bad, list_bad;             /* failures as lines; failures again under the summary */
	bool out_terminal, live;              /* live: a line without an end stands on the terminal */
	int out_errno, json_errno;            /* of a failed write; EPIPE: the reader is gone, be still */
};

/* stdout and stderr are one terminal, or both go to the same file. */
static bool same_output(void)
{
	struct stat out, err;

	return fstat(STDOUT_FILENO, &out) == 0 && fstat(STDERR_FILENO, &err) == 0 && out.st_dev == err.st_dev &&
	       out.st_ino == err.st_ino;
}

int report_new(const struct migrate_options *o, struct report **ret, struct error *err)
{
	struct report *r = calloc(1, sizeof *r);

	if (r == NULL)
		return error_set(err, ENOMEM, "no memory");
	pthread_mutex_init(&r->lock, NULL);
	if (o->json && o->json_file == NULL) {
		r->json = stdout;
		r->json_name = "standard output";
	} else if (o->json) {
		r->json = fopen(o->json_file, "we");
		r->json_name = o->json_file;
		r->json_file = true;
		if (r->json == NULL) {
			int code = errno;
			free(r);
			return error_set(err, code == ENOMEM ? ENOMEM : EINVAL, "--json=%s: %s", o->json_file, strerror(code));
		}
	}
	bool each = o->dry_run || o->action == ACTION_CHECK;
	bool same = same_output();
	r->quiet = o->quiet;
	r->lines = r->json != stdout;
	r->lines_all = each || o->verbose;
	r->lines_verbose = o->verbose;
	r->lines_bad = !same || r->lines_all;
	r->list_bad = !(same && each && r->lines);
	r->out_terminal = isatty(STDOUT_FILENO);
	*ret = r;
	return 0;
}

void report_free(struct report *r)
{
	if (r == NULL)
		return;
	if (r->json_file && r->json != NULL)
		fclose(r->json);
	pthread_mutex_destroy(&r->lock);
	free(r);
}

static void live_clear(struct report *r)
{
	if (r->live)
		fputs("\r\033[K", stderr);
	r->live = false;
}

static void written(struct report *r, FILE *file)
{
	int *kept = file == r->json ? &r->json_errno : &r->out_errno;

	if (ferror(file) && *kept == 0)
		*kept = errno != 0 ? errno : EIO;
}

/* Is this item a line on stdout? */
static bool item_shown(const struct report *r, const struct item *item)
{
	if (!r->lines)
		return false;
	if (outcome_bad(item->outcome))
		return r->lines_bad;
	if (item->outcome == OUTCOME_FOREIGN || item->outcome == OUTCOME_DELETED)
		return r->lines_verbose;
	return r->lines_all;
}

void report_item(struct report *r, const struct item *item)
{
	bool shown = item_shown(r, item);

	if (!shown && r->json == NULL)
		return;
	pthread_mutex_lock(&r->lock);
	errno = 0;
	if (shown && r->out_errno == 0) {
		if (r->out_terminal)
			live_clear(r);
		summary_line(stdout, item);
		if (r->out_terminal)
			fflush(stdout);
		written(r, stdout);
	}
	if (r->json != NULL && r->json_errno == 0) {
		json_item(r->json, item);
		written(r, r->json);
	}
	pthread_mutex_unlock(&r->lock);
}

void report_list_header(struct report *r, int width)
{
	if (r->lines && !r->quiet)
		printf("%-*s  ALGORITHM  CREATED                  SIZE  CREATOR\n", width, "NAME");
}

void report_listed(struct report *r, const struct item *item, const struct key_info *info, int64_t size, int width)
{
	char time[TEXT_MAX];

	pthread_mutex_lock(&r->lock);
	errno = 0;
	if (r->lines && r->out_errno == 0) {
		live_clear(r);
		text_name(stdout, item->name);
		if (info != NULL)
			printf("%*s  %-9s  %-20s  %7lld  %s", width - (int)strlen(item->name), "", info->algorithm,
			       info->has_created ? text_time(time, info->created) : "-", (long long)size,
			       info->created_by[0] != '\0' ? info->created_by : "-");
		putchar('\n');
		written(r, stdout);
	}
	if (r->json != NULL && r->json_errno == 0) {
		json_listed(r->json, item, info, size);
		written(r, r->json);
	}
	pthread_mutex_unlock(&r->lock);
}

void report_left_out(struct report *r, const struct item *item)
{
	pthread_mutex_lock(&r->lock);
	if (outcome_bad(item->outcome) || r->lines_verbose) {
		live_clear(r);
		summary_line(stderr, item);
	}
	if (r->json != NULL && r->json_errno == 0) {
		errno = 0;
		json_item(r->json, item);
		written(r, r->json);
	}
	pthread_mutex_unlock(&r->lock);
}

static void note(struct report *r, const char *fmt, va_list ap)
{
	pthread_mutex_lock(&r->lock);
	live_clear(r);
	fputs("kesfs-migrate: ", stderr);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
	pthread_mutex_unlock(&r->lock);
}

void report_note(struct report *r, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	note(r, fmt, ap);
	va_end(ap);
}

void report_remark(struct report *r, const char *fmt, ...)
{
	va_list ap;

	if (r->quiet)
		return;
	va_start(ap, fmt);
	note(r, fmt, ap);
	va_end(ap);
}

void report_plan(struct report *r, const struct run *run)
{
	pthread_mutex_lock(&r->lock);
	if (r->json != NULL && r->json_errno == 0) {
		errno = 0;
		json_plan(r->json, run);
		written(r, r->json);
	}
	pthread_mutex_unlock(&r->lock);
}

void report_summary(struct report *r, struct run *run, int status, const struct error *failure)
{
	struct error ignored;

	report_flush(r, &ignored);
	pthread_mutex_lock(&r->lock);
	live_clear(r);
	if (!r->quiet || status != STATUS_DONE)
		summary_print(stderr, run, status, failure, r->list_bad);
	if (r->json != NULL && r->json_errno == 0) {
		errno = 0;
		json_summary(r->json, run, status, failure);
		written(r, r->json);
	}
	pthread_mutex_unlock(&r->lock);
}

void report_progress(struct report *r, const char *line, bool live)
{
	pthread_mutex_lock(&r->lock);
	live_clear(r);
	fputs(line, stderr);
	if (!live)
		fputc('\n', stderr);
	r->live = live;
	pthread_mutex_unlock(&r->lock);
}

void report_progress_json(struct report *r, const struct run *run, const char *phase, size_t done, size_t total,
			  double rate)
{
	pthread_mutex_lock(&r->lock);
	if (r->json != NULL && r->json_errno == 0) {
		errno = 0;
		json_progress(r->json, run, phase, done, total, rate);
		fflush(r->json);
		written(r, r->json);
	}
	pthread_mutex_unlock(&r->lock);
}

void report_progress_clear(struct report *r)
{
	pthread_mutex_lock(&r->lock);
	live_clear(r);
	pthread_mutex_unlock(&r->lock);
}

int report_flush(struct report *r, struct error *err)
{
	pthread_mutex_lock(&r->lock);
	errno = 0;
	if (fflush(stdout) != 0)
		written(r, stdout);
	errno = 0;
	if (r->json_file && fflush(r->json) != 0)
		written(r, r->json);
	int out = r->json == stdout ? r->json_errno : r->out_errno, json = r->json_file ? r->json_errno : 0;
	pthread_mutex_unlock(&r->lock);
	if (out != 0 && out != EPIPE)
		return error_set(err, out, "standard output could not be written: %s", strerror(out));
	if (json != 0 && json != EPIPE)
		return error_set(err, json, "%s could not be written: %s", r->json_name, strerror(json));
	return 0;
}
