/* SPDX-License-Identifier: Apache-2.0
 *
 * How far a phase is: one live line on a terminal, else a line every ten seconds. */
#ifndef KESFS_FS_MIGRATE_PROGRESS_H
#define KESFS_FS_MIGRATE_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct run;

struct progress {                     /* of one phase; used by the main thread only */
	struct run *run;
	const char *verb;
	size_t total, last_done;
	int64_t begun, next, every, last;
	double rate;                  /* keys a second, of late */
	bool live, off;
};

void progress_begin(struct progress *p, struct run *run, const char *verb, size_t total);
void progress_tick(struct progress *p, size_t done);
void progress_end(struct progress *p);
/* Say what a signal does; from the thread that received it. */
void progress_interrupted(struct run *run, unsigned count, bool reads_only);

#endif
