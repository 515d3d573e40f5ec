/* SPDX-License-Identifier: Apache-2.0
 *
 * Many keys at once: lanes, each a job in a pool, take the next items of the run until all are done or it stops. */
#ifndef KESFS_FS_MIGRATE_LANES_H
#define KESFS_FS_MIGRATE_LANES_H

#include "fs/migrate/run.h"

struct phase {
	const char *verb;                     /* "comparing", "copying": for progress */
	bool (*wants)(const struct run *run, const struct item *item);
	/* Do one item, to its end.  cancel is the lane's own, for its calls. */
	void (*work)(struct run *run, struct item *item, struct cancel *cancel);
	bool reads_only;                      /* nothing to finish: the first signal already cancels */
};

/* 0 once all lanes have ended, also if the run was stopped; -EAGAIN or -ENOMEM if none could start. */
int lanes_run(struct run *run, const struct phase *phase, struct error *err);

#endif
