/* SPDX-License-Identifier: Apache-2.0
 *
 * Status, permissions and listing of a side do not depend on each other, nor one side on the other.  Which failure is
 * told depends on their order here, never on which answer came first. */
#include "fs/migrate/sides.h"

#include <errno.h>
#include <string.h>

#include "fs/migrate/report.h"
#include "fs/pool.h"

enum { SIDES = 3 };

struct asking;

struct question {
	struct pool_job job;
	struct asking *asking;
	struct side *side;
	struct cancel cancel;
	int (*ask)(struct question *q);
	bool local;
	int result;
	struct error err;
};

enum { LEARN, PROBE, LIST, QUESTIONS };

struct asking {
	struct run *run;
	struct side *sides[SIDES];            /* by role */
	struct question questions[SIDES][QUESTIONS];
};

/* --- one question ------------------------------------------------------------------------------------------------- */

static bool by_listing(const struct run *run)
{
	size_t literals;

	return selection_literals(run->selection, &literals) == NULL;
}

struct refusal {
	const struct side *side;
	bool list;
	struct error *err;
};

static bool refusal_counts(const struct refusal *q, const char *what)
{
	static const struct { const char *what; bool read, write; } needs[] = {
		{ "read", true, true }, { "unwrap", true, true }, { "write", false, true }, { "create", false, true },
		{ "wrap", false, true },
	};

	if (q->list && strcmp(what, "list") == 0)
		return true;
	for (size_t i = 0; i < sizeof needs / sizeof *needs; i++)
		if (strcmp(what, needs[i].what) == 0)
			return q->side->role == ROLE_SOURCE ? needs[i].read : needs[i].write;
	return false;
}

static void refusal_note(bool may, const char *what, const char *sentence, void *arg)
{
	struct refusal *q = arg;

	if (!may && q->err->code == 0 && refusal_counts(q, what))
		error_set(q->err, EACCES, "%s %s: %s", q->side->word, side_label(q->side), sentence);
}

/* What can be found out without writing about what the login may do. */
static int probe(struct question *q)
{
	struct side *side = q->side;
	struct call call = call_in(side->timeout, &q->cancel);
	struct error refused = ERROR_INIT;
	struct refusal refusal = { .side = side, .err = &refused };

	refusal.list = side->role != ROLE_BACKUP && by_listing(q->asking->run);
	int r = side->store.ops->probe(side->store.handle, &call, refusal_note, &refusal, &q->err);
	if (r != 0 || refused.code == 0)
		return r;
	q->err = refused;
	return -refused.code;
}

/* A side that we may not use needs no listing. */
static int learn(struct question *q)
{
	int r = side_learn(q->side, &q->cancel, &q->err);

	for (size_t i = 0; r != 0 && i < SIDES; i++) {
		cancel_request(&q->asking->questions[i][PROBE].cancel);
		cancel_request(&q->asking->questions[i][LIST].cancel);
	}
	return r;
}

static int list(struct question *q)
{
	side_list_ahead(q->side, &q->cancel, selection_prefix(q->asking->run->selection));
	return 0;                             /* side_list() tells */
}

static void question_run(struct pool_job *job)
{
	struct question *q = (struct question *)job;

	q->result = q->ask(q);
}

/* --- all of them -------------------------------------------------------------------------------------------------- */

static bool probe_wanted(const struct run *run, const struct side *s)
{
	return s->store.ops->probe != NULL && (s->role != ROLE_TARGET || run->options.action == ACTION_COPY);
}

static void asking_setup(struct asking *a)
{
	for (size_t i = 0; i < SIDES; i++) {
		struct side *s = a->sides[i];
		bool asked = s->open && !s->absent;
		struct question *q = a->questions[i];

		q[LEARN].ask = asked ? learn : NULL;
		q[PROBE].ask = asked && probe_wanted(a->run, s) ? probe : NULL;
		q[LIST].ask = asked && !side_local(s) && s->role != ROLE_BACKUP && by_listing(a->run) ? list : NULL;
		for (size_t j = 0; j < QUESTIONS; j++) {
			q[j].asking = a;
			q[j].side = s;
			q[j].local = side_local(s);
			q[j].job.run = question_run;
			cancel_init(&q[j].cancel);
		}
	}
}

/* May run on any thread, under the lock of run->stop. */
static void asking_stop(void *arg)
{
	struct asking *a = arg;

	for (size_t i = 0; i < SIDES; i++)
		for (size_t j = 0; j < QUESTIONS; j++)
			cancel_request(&a->questions[i][j].cancel);
}

/* A directory answers one question after the other; where no thread can be had, everybody does. */
static void questions_ask(struct asking *a, struct pool *pool, bool local)
{
	for (size_t i = 0; i < SIDES; i++)
		for (size_t j = 0; j < QUESTIONS; j++) {
			struct question *q = &a->questions[i][j];
			if (q->ask == NULL || q->local != local)
				continue;
			if (local && j > LEARN && a->questions[i][LEARN].result != 0)
				continue;
			if (local || pool == NULL || !pool_submit(pool, &q->job))
				q->job.run(&q->job);
		}
}

static void asking_run(struct asking *a)
{
	struct pool *pool = pool_new(SIDES * QUESTIONS);

	cancel_wake(&a->run->stop, asking_stop, a);
	questions_ask(a, pool, false);
	questions_ask(a, pool, true);
	pool_free(pool);
	cancel_wake(&a->run->stop, NULL, NULL);
}

static int told(const struct question *q, struct error *err)
{
	if (q->result != 0)
		*err = q->err;
	return q->result;
}

static int same_store(const struct side *a, const struct side *b, struct error *err)
{
	if (!a->open || !b->open || a->identity == NULL || b->identity == NULL || strcmp(a->identity, b->identity) != 0)
		return 0;
	return error_set(err, EINVAL, "%s and %s are the same store: '%s' and '%s' hold the same keys", a->word, b->word,
			 a->store.where, b->store.where);
}

static int asking_verdict(struct asking *a, struct error *err)
{
	struct run *run = a->run;
	int r = 0;

	for (size_t i = 0; r == 0 && i < SIDES; i++) {
		r = told(&a->questions[i][LEARN], err);
		for (size_t j = 0; r == 0 && j < i; j++)
			r = same_store(a->sides[j], a->sides[i], err);
	}
	if (r == 0 && run->target.open && run->options.action == ACTION_COPY && !(run->target.caps & BACKEND_WRITE))
		r = error_set(err, EACCES, "target %s: nothing can be written to a store of this kind", side_label(&run->target));
	for (size_t i = 0; r == 0 && i < SIDES; i++)
		r = told(&a->questions[i][PROBE], err);
	return r;
}

static void warn(const char *sentence, void *arg)
{
	struct run *run = arg;

	report_note(run->report, "warning: %s", sentence);
}

int sides_open(struct run *run, struct error *err)
{
	const struct migrate_options *o = &run->options;
	bool writes = o->action == ACTION_COPY && !o->dry_run;
	struct asking a = { .run = run, .sides = { &run->source, &run->target, &run->backup } };
	int r = side_open(&run->source, ROLE_SOURCE, o->from, o, false, warn, run, err);

	if (r == 0 && o->to != NULL)
		r = side_open(&run->target, ROLE_TARGET, o->to, o, writes, warn, run, err);
	if (r == 0 && o->backup_to != NULL)
		r = side_open(&run->backup, ROLE_BACKUP, o->backup_to, o, writes, warn, run, err);
	if (r != 0)
		return r;
	asking_setup(&a);
	asking_run(&a);
	r = asking_verdict(&a, err);
	for (size_t i = 0; i < SIDES; i++)
		for (size_t j = 0; j < QUESTIONS; j++)
			cancel_destroy(&a.questions[i][j].cancel);
	return r;
}
