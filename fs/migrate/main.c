/* SPDX-License-Identifier: Apache-2.0
 *
 * kesfs-migrate: copies the keys of one key store to another one.  Here is only the order of the steps. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "fs/log.h"
#include "fs/migrate/ask.h"
#include "fs/migrate/backup.h"
#include "fs/migrate/copy.h"
#include "fs/migrate/list.h"
#include "fs/migrate/plan.h"
#include "fs/migrate/report.h"
#include "fs/migrate/run.h"
#include "fs/migrate/sides.h"
#include "fs/migrate/signals.h"

/* A signal before the first phase: whatever waits in a call of the main thread is cancelled. */
static void signal_early(unsigned count, void *arg)
{
	struct run *run = arg;

	(void)count;
	atomic_store(&run->stopping, true);
	cancel_request(&run->stop);
}

static int write_keys(struct run *run, struct error *err)
{
	int r = run->options.mode == MODE_FORCE ? ask_replace(run, err) : 0;

	if (r == -ECANCELED)
		run->blocked = run->declined = true;
	if (r == 0 && run->backup.open)
		r = backup_run(run, err);
	return r == 0 ? copy_run(run, err) : r;
}

static int run_steps(struct run *run, struct error *err)
{
	const struct migrate_options *o = &run->options;

	signals_tell(run->signals, signal_early, run);
	int r = selection_new(o, &run->selection, err);
	if (r == 0)
		r = sides_open(run, err);
	if (r == 0 && o->action == ACTION_LIST)
		return list_run(run, err);
	if (r == 0)
		r = plan_make(run, err);
	signals_tell(run->signals, signal_early, run);
	if (r == 0 && o->action == ACTION_COPY && !o->dry_run && !run->blocked && !atomic_load(&run->stopping))
		r = write_keys(run, err);
	run_silence(run);
	run_show(run, true);
	return r;
}

/* The status of a run that err ended early. */
static int failure_status(struct run *run, int r)
{
	if (signals_first(run->signals) != 0)
		return STATUS_SIGNAL + signals_first(run->signals);
	return r == -ECANCELED ? STATUS_REMAIN : status_of_error(-r);
}

static int run_whole(struct run *run)
{
	struct error err = ERROR_INIT, out = ERROR_INIT;
	bool locked;
	int r = secret_setup(&locked, &err), status;

	if (r == 0 && !locked)
		report_note(run->report, "warning: the memory for keys could not be locked, so they might be swapped out; raise the "
			    "limit (ulimit -l)");
	if (r == 0)
		r = run_steps(run, &err);
	status = run_status(run);
	if (r != 0)
		status = status_worse(status, failure_status(run, r));
	if (report_flush(run->report, &out) != 0 && r == 0) {
		r = -out.code;
		err = out;
		status = status_worse(status, STATUS_ERROR);
	}
	report_summary(run->report, run, status, r != 0 ? &err : NULL);
	if (report_flush(run->report, &out) != 0)
		status = status_worse(status, STATUS_ERROR);
	return status;
}

static void run_free(struct run *run)
{
	side_close(&run->backup);
	side_close(&run->target);
	side_close(&run->source);
	for (size_t i = 0; i < run->count; i++) {
		free(run->items[i].name);
		free(run->items[i].reason);
	}
	free(run->items);
	selection_free(run->selection);
	signals_free(run->signals);
	cancel_destroy(&run->stop);
	report_free(run->report);
	options_free(&run->options);
}

static int fail(const struct error *err)
{
	fprintf(stderr, "kesfs-migrate: %s\n", err->text);
	return status_of_error(err->code);
}

int main(int argc, char **argv)
{
	struct run run = { .started = call_now(), .watches_lock = PTHREAD_MUTEX_INITIALIZER };
	struct error err = ERROR_INIT;

	log_setup("kesfs-migrate");
	int r = options_parse(argc, argv, &run.options, &err);
	if (r != 0)
		return r > 0 ? (fflush(stdout) == 0 ? STATUS_DONE : STATUS_ERROR) : fail(&err);
	cancel_init(&run.stop);
	r = signals_start(&run.signals, &err);
	if (r != 0)
		return fail(&err);
	int status = report_new(&run.options, &run.report, &err) == 0 ? run_whole(&run) : fail(&err);
	run_free(&run);
	return status;
}
