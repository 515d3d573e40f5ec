/* SPDX-License-Identifier: Apache-2.0
 *
 * All output of a run: lines and JSON objects for each key, notes, the live line, the summary.  Thread safe. */
#ifndef KESFS_FS_MIGRATE_REPORT_H
#define KESFS_FS_MIGRATE_REPORT_H

#include <stdbool.h>

#include "backends/key.h"
#include "fs/migrate/run.h"

enum { REPORT_SCHEMA = 1 };           /* of the JSON objects; grows when a member changes its meaning or goes */

struct report;

/* Opens the file of --json.  -errno with a sentence. */
int report_new(const struct migrate_options *o, struct report **ret, struct error *err);
void report_free(struct report *r);           /* accepts NULL */

/* One settled key, on stdout where the options want it, and in JSON. */
void report_item(struct report *r, const struct item *item);
/* --list: info and the rest only with --long, else NULL and -1. */
void report_listed(struct report *r, const struct item *item, const struct key_info *info, int64_t size, int width);
/* --list: what is not listed is named on stderr, or not at all if it is no key. */
void report_left_out(struct report *r, const struct item *item);
void report_list_header(struct report *r, int width);
/* "kesfs-migrate: ..." on stderr, at once. */
void report_note(struct report *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The same, unless --quiet. */
void report_remark(struct report *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* After the plan: an object in JSON. */
void report_plan(struct report *r, const struct run *run);
/* The end of every run.  failure: what ended it early; NULL: nothing did. */
void report_summary(struct report *r, struct run *run, int status, const struct error *failure);

/* Progress, from the main thread.  live: the line is overwritten by the next one and by whatever else is printed. */
void report_progress(struct report *r, const char *line, bool live);
void report_progress_json(struct report *r, const struct run *run, const char *phase, size_t done, size_t total,
			  double rate);
void report_progress_clear(struct report *r);

/* Flush stdout and the JSON file: 0, or -errno if something could not be written there.  A reader that went away
 * (EPIPE) is no failure: it did not want more. */
int report_flush(struct report *r, struct error *err);

#endif
