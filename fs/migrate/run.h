/* SPDX-License-Identifier: Apache-2.0
 *
 * What one run of kesfs-migrate knows: its options, sides, keys and counts.  Not a global: main() owns it. */
#ifndef KESFS_FS_MIGRATE_RUN_H
#define KESFS_FS_MIGRATE_RUN_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "backends/call.h"
#include "fs/migrate/options.h"
#include "fs/migrate/outcome.h"
#include "fs/migrate/selection.h"
#include "fs/migrate/side.h"

struct detail;
struct report;
struct signals;
struct watch;

struct run {
	struct migrate_options options;
	struct selection *selection;
	struct side source, target, backup;
	struct report *report;
	struct signals *signals;

	struct item *items;                   /* sorted by name */
	size_t count, room;

	char **target_names;                  /* only during the plan, and only of a target that does not tell case apart */
	size_t target_name_count;

	struct detail *details;               /* only during --list: one for each item */

	struct tally tally;                   /* of settled items */
	bool planned;                         /* what settles from now on is shown at once */
	bool blocked;                         /* nothing may be written: the plan forbids it, */
	bool declined;                        /* or the user, asked whether to replace */
	atomic_bool stopping;                 /* start no new key: a signal, --max-errors, or a side that only refuses */
	const struct side *silent;            /* it made the run stop; set by who set stopping, read when all have ended */
	atomic_bool no_replace;               /* a key was lost, or its backup: start no other replace */
	struct cancel stop;                   /* requested with the first signal: ends waiting, and calls that write nothing */
	pthread_mutex_t watches_lock;
	struct watch *watches;                /* replaces under way (gaps.h); guarded by watches_lock */
	int64_t started;                      /* monotonic ns */
};

/* Count a settled item, show it if the plan is made, and stop the run where --max-errors or a refusing side says so. */
void run_settled(struct run *run, struct item *item);
/* What a side that does not answer has left undone is open, and named like every other failure. */
void run_silence(struct run *run);
/* The exit status that outcomes, sides and signals make. */
int run_status(struct run *run);
/* Show, in order, what was not shown yet: what is settled, or all. */
void run_show(struct run *run, bool all);
/* Items that no phase got to. */
size_t run_pending(const struct run *run);

#endif
