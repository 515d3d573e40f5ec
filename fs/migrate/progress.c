/* SPDX-License-Identifier: Apache-2.0
 *
 * Calm: nothing is shown of a phase that is over before anybody could have read it. */
#include "fs/migrate/progress.h"

#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "fs/migrate/report.h"
#include "fs/migrate/text.h"

static const int64_t SECOND = 1000000000;

void progress_begin(struct progress *p, struct run *run, const char *verb, size_t total)
{
	bool terminal = isatty(STDERR_FILENO), wanted = run->options.progress;
	int64_t now = call_now();

	*p = (struct progress){ .run = run, .verb = verb, .total = total, .begun = now, .last = now };
	p->live = terminal;
	p->off = run->options.quiet;
	p->every = terminal ? SECOND / 5 : wanted ? SECOND : 10 * SECOND;
	p->next = now + (terminal ? SECOND / 2 : p->every);
}

static void rate_update(struct progress *p, size_t done, int64_t now)
{
	double fresh = (double)(done - p->last_done) * 1e9 / (double)(now - p->last);

	/* The mean of some ten intervals: steady enough to read, and it follows a store that slows down. */
	p->rate = p->last == p->begun ? fresh : p->rate * 0.9 + fresh * 0.1;
	p->last_done = done;
	p->last = now;
}

static void append(char *line, size_t size, const char *fmt, const char *value)
{
	size_t used = strlen(line);

	snprintf(line + used, size - used, fmt, value);
}

static void progress_line(const struct progress *p, size_t done, char *line, size_t size)
{
	char a[TEXT_MAX], b[TEXT_MAX];
	size_t conflicts = tally_count(&p->run->tally, OUTCOME_CONFLICT), failed = atomic_load(&p->run->tally.failures);

	snprintf(line, size, "%s %s/%s  %zu%%", p->verb, text_count(a, done), text_count(b, p->total),
		 p->total > 0 ? done * 100 / p->total : 100);
	append(line, size, "  %s/s", text_keys(a, (uint64_t)(p->rate + 0.5)));
	if (p->rate > 0 && done < p->total)
		append(line, size, "  %s left", text_seconds(a, (int64_t)((double)(p->total - done) / p->rate * 1e9)));
	if (conflicts > 0)
		append(line, size, conflicts == 1 ? "  %s conflict" : "  %s conflicts", text_count(a, conflicts));
	if (failed > 0)
		append(line, size, "  %s failed", text_count(a, failed));
}

void progress_tick(struct progress *p, size_t done)
{
	int64_t now = call_now();
	struct winsize window;
	char line[256];

	if (now < p->next)
		return;
	p->next = now + p->every;
	rate_update(p, done, now);
	report_progress_json(p->run->report, p->run, p->verb, done, p->total, p->rate);
	if (p->off)
		return;
	progress_line(p, done, line, sizeof line);
	/* A line that wraps could not be overwritten. */
	if (p->live && ioctl(STDERR_FILENO, TIOCGWINSZ, &window) == 0 && window.ws_col > 0 && window.ws_col < sizeof line)
		line[window.ws_col - 1] = '\0';
	report_progress(p->run->report, line, p->live);
}

void progress_end(struct progress *p)
{
	report_progress_clear(p->run->report);
}

void progress_interrupted(struct run *run, unsigned count, bool reads_only)
{
	if (reads_only && count == 1)
		report_note(run->report, "interrupted: nothing was written yet");
	else if (count == 1)
		report_note(run->report, "interrupted: finishing the keys that are open; once more cancels what was not yet sent");
	else if (count == 2)
		report_note(run->report, "interrupted again: cancelling what was not yet sent");
}
