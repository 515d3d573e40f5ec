/* SPDX-License-Identifier: Apache-2.0
 *
 * How many lanes?  A store on the network decides itself how many requests are in flight: there is a lane for each of
 * them.  One on a disk syncs for all who wait, so the more the better.  Else it is bound by processors (tmpfs), or by
 * reads (a disk): it starts with one lane a processor, and gets more as long as the processors are not busy. */
#include "fs/migrate/lanes.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "fs/migrate/gaps.h"
#include "fs/migrate/progress.h"
#include "fs/migrate/signals.h"
#include "fs/pool.h"

enum {
	LANES_NETWORK = 256, LANES_MIN = 4, LANE_MEMORY = 16 * 1024, LANES_LOCAL_MAX = 32,
	BATCH_LOCAL = 32,             /* items taken at once: fewer touches of the shared cursor */
};
static const int64_t TICK_FIRST = 4000000, TICK_MAX = 100000000;

struct lane {
	struct pool_job job;
	struct cancel cancel;
	struct lanes *lanes;
};

struct lanes {
	struct run *run;
	const struct phase *phase;
	struct pool *pool;
	struct lane *lane;
	bool local;
	size_t count, started, max, batch;     /* lanes made; running; allowed, unless threads are short */
	atomic_size_t cursor, done;
	pthread_mutex_t lock;
	pthread_cond_t ended;
	size_t active;                        /* guarded by lock */
};

static bool take_batch(struct lanes *l, size_t *begin, size_t *end)
{
	if (atomic_load_explicit(&l->run->stopping, memory_order_relaxed))
		return false;
	*begin = atomic_fetch_add_explicit(&l->cursor, l->batch, memory_order_relaxed);
	if (*begin >= l->run->count)
		return false;
	*end = *begin + l->batch < l->run->count ? *begin + l->batch : l->run->count;
	return true;
}

static void lane_run(struct pool_job *job)
{
	struct lane *lane = (struct lane *)job;
	struct lanes *l = lane->lanes;
	size_t begin, end;

	while (take_batch(l, &begin, &end)) {
		size_t done = 0;
		for (size_t i = begin; i < end && !atomic_load_explicit(&l->run->stopping, memory_order_relaxed); i++) {
			struct item *item = &l->run->items[i];
			if (!l->phase->wants(l->run, item))
				continue;
			l->phase->work(l->run, item, &lane->cancel);
			done++;
		}
		atomic_fetch_add_explicit(&l->done, done, memory_order_relaxed);
	}
	pthread_mutex_lock(&l->lock);
	if (--l->active == 0)
		pthread_cond_signal(&l->ended);
	pthread_mutex_unlock(&l->lock);
}

/* More lanes, up to n of them; fewer if threads are short. */
static void lanes_grow(struct lanes *l, size_t n)
{
	while (l->started < n && l->started < l->max) {
		pthread_mutex_lock(&l->lock);
		l->active++;
		pthread_mutex_unlock(&l->lock);
		if (!pool_submit(l->pool, &l->lane[l->started].job)) {
			pthread_mutex_lock(&l->lock);
			l->active--;
			pthread_mutex_unlock(&l->lock);
			l->max = l->started;
			return;
		}
		l->started++;
	}
}

static void signal_heard(unsigned count, void *arg)
{
	struct lanes *l = arg;

	atomic_store(&l->run->stopping, true);
	cancel_request(&l->run->stop);
	progress_interrupted(l->run, count, l->phase->reads_only);
	gaps_interrupted(l->run, count);
	if (count >= 2 || l->phase->reads_only)
		for (size_t i = 0; i < l->count; i++)
			cancel_request(&l->lane[i].cancel);
}

static int64_t cpu_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

/* Until all lanes have ended; true: they have, false: the tick is over. */
static bool lanes_wait(struct lanes *l, int64_t tick)
{
	struct timespec until;
	int r = 0;

	int64_t end = call_now() + tick;
	until = (struct timespec){ .tv_sec = end / 1000000000, .tv_nsec = end % 1000000000 };
	pthread_mutex_lock(&l->lock);
	while (l->active > 0 && r == 0)
		r = pthread_cond_clockwait(&l->ended, &l->lock, CLOCK_MONOTONIC, &until);
	bool ended = l->active == 0;
	pthread_mutex_unlock(&l->lock);
	return ended;
}

/* As many as the stores take at once, together. */
static size_t lanes_useful(const struct run *run)
{
	const struct side *const sides[] = { &run->source, &run->target, &run->backup };
	struct backend_counts counts;
	size_t lanes = 0;

	for (size_t i = 0; i < sizeof sides / sizeof *sides; i++) {
		if (!sides[i]->open || side_local(sides[i]))
			continue;
		side_counts(sides[i], &counts);
		lanes += counts.window > 0 ? counts.window : LANES_NETWORK;
	}
	return lanes;
}

static void lanes_tend(struct lanes *l, struct progress *progress)
{
	long processors = sysconf(_SC_NPROCESSORS_ONLN);
	int64_t wall = call_now(), cpu = cpu_now(), tick = TICK_FIRST;

	while (!lanes_wait(l, tick)) {
		int64_t wall_now = call_now(), cpu_then = cpu_now();
		if (!l->local)
			lanes_grow(l, lanes_useful(l->run));
		else if (cpu_then - cpu < (wall_now - wall) * processors * 3 / 4)
			lanes_grow(l, l->started * 2);
		wall = wall_now;
		cpu = cpu_then;
		/* A store far away takes more with its first answers, and they come within some ticks. */
		if (l->local || l->started == l->max || atomic_load(&l->done) > l->max)
			tick = tick * 2 < TICK_MAX ? tick * 2 : TICK_MAX;
		progress_tick(progress, atomic_load_explicit(&l->done, memory_order_relaxed));
	}
}

static bool run_local(const struct run *run)
{
	return side_local(&run->source) && (!run->target.open || side_local(&run->target)) &&
	       (!run->backup.open || side_local(&run->backup));
}

/* Every lane holds a few values in locked memory, and those of the network their answers, too.  secret_setup() takes at
 * most half of what may be locked. */
static size_t lanes_memory(void)
{
	struct rlimit limit;
	size_t lanes = LANES_NETWORK;

	if (getrlimit(RLIMIT_MEMLOCK, &limit) == 0 && limit.rlim_cur / 2 / LANE_MEMORY < lanes)
		lanes = limit.rlim_cur / 2 / LANE_MEMORY;
	return lanes > LANES_MIN ? lanes : LANES_MIN;
}

/* How many to begin with, and how many at most. */
static size_t lanes_first(const struct run *run, const struct phase *phase, size_t *ret_max)
{
	long processors = sysconf(_SC_NPROCESSORS_ONLN);

	if (run->options.transfers > 0)
		return *ret_max = run->options.transfers;
	*ret_max = lanes_memory();
	if (!phase->reads_only && run->target.caps & BACKEND_SYNCS)
		return *ret_max;
	if (!run_local(run))
		return lanes_useful(run);
	*ret_max = LANES_LOCAL_MAX;
	return processors < 1 ? 1 : processors > LANES_LOCAL_MAX ? LANES_LOCAL_MAX : (size_t)processors;
}

static int lanes_setup(struct lanes *l, size_t max, size_t work)
{
	l->max = max < work ? max : work;
	l->local = run_local(l->run);
	/* A batch must leave something for every lane, and a slow store takes one key at a time. */
	l->batch = l->local && work / (l->max * 8) >= BATCH_LOCAL ? BATCH_LOCAL : 1;
	l->pool = pool_new((unsigned)l->max);
	l->lane = calloc(l->max, sizeof *l->lane);
	if (l->lane == NULL || l->pool == NULL)
		return -ENOMEM;
	for (; l->count < l->max; l->count++) {
		l->lane[l->count].job.run = lane_run;
		l->lane[l->count].lanes = l;
		cancel_init(&l->lane[l->count].cancel);
	}
	return 0;
}

static int lanes_work(struct lanes *l, size_t first, size_t work)
{
	struct progress progress;

	progress_begin(&progress, l->run, l->phase->verb, work);
	signals_tell(l->run->signals, signal_heard, l);
	lanes_grow(l, first);
	if (l->started > 0)
		lanes_tend(l, &progress);
	signals_tell(l->run->signals, NULL, NULL);
	pool_drain(l->pool);
	progress_end(&progress);
	return l->started > 0 ? 0 : -EAGAIN;
}

int lanes_run(struct run *run, const struct phase *phase, struct error *err)
{
	struct lanes l = { .run = run, .phase = phase, .lock = PTHREAD_MUTEX_INITIALIZER, .ended = PTHREAD_COND_INITIALIZER };
	size_t work = 0, max, first = lanes_first(run, phase, &max);

	for (size_t i = 0; i < run->count; i++)
		work += phase->wants(run, &run->items[i]);
	if (work == 0 || atomic_load(&run->stopping))
		return 0;
	int r = lanes_setup(&l, max, work);
	if (r == 0)
		r = lanes_work(&l, first, work);
	pool_free(l.pool);
	for (size_t i = 0; i < l.count; i++)
		cancel_destroy(&l.lane[i].cancel);
	free(l.lane);
	return r == 0 ? 0 : error_set(err, -r, r == -EAGAIN ? "no thread could be started: too many processes, or no memory" : "no memory");
}
