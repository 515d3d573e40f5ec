/* SPDX-License-Identifier: Apache-2.0
 *
 * The replaces of a run, watched for the one that has removed its key and cannot store a value there: the user hears
 * what is waited for as soon as he wants to stop, and the next signal ends the wait. */
#ifndef KESFS_FS_MIGRATE_GAPS_H
#define KESFS_FS_MIGRATE_GAPS_H

#include "backends/replace.h"
#include "fs/migrate/run.h"

struct watch {
	struct gap gap;                       /* first: what the store knows of it */
	struct run *run;
	const char *name;
	struct watch *next;                   /* run->watches; guarded by its lock, as is the rest */
	bool waits, putting_back;
	bool told;                            /* the user knows that the next signal leaves the key absent */
	struct error why;                     /* of the last try that failed */
};

void watch_begin(struct watch *w, struct run *run, const char *name);
void watch_end(struct watch *w);
/* The store gave up by itself, and storing the one value or the other goes on for ever: say so now. */
void watch_rescue(struct watch *w, bool putting_back, const struct error *why);
bool watch_given_up(struct watch *w);
/* A signal came, the count-th. */
void gaps_interrupted(struct run *run, unsigned count);

#endif
