/* SPDX-License-Identifier: Apache-2.0
 *
 * Every call of a run goes through here, so that patience and counting are the same for all of them. */
#include "fs/migrate/side.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fs/migrate/outcome.h"

/* A listing of a million names may take its time.  A replace has several steps, and may have to put a key back: by
 * default two minutes and more are for that (keystores.md 18). */
static const double LIST_SECONDS = 900, REPLACE_TIMES = 5;
/* Throttling slows a run down.  Only a store that has said nothing else for so long fails a key. */
static const int64_t THROTTLE_PATIENCE = INT64_C(900) * 1000000000;
enum { REFUSED_ENOUGH = 64, SILENT_ENOUGH = 3 };        /* one or two may be about a key, not about the store */
static const int64_t PAUSE_FIRST = 250000000, PAUSE_MAX = INT64_C(8000000000);

static int open_failed(struct side *s, const char *where, int r, struct error *err)
{
	struct stat st;

	/* A configuration that cannot be read is a wrong command line; a directory that cannot be is a store that refuses. */
	if (r == -EACCES && stat(where, &st) == 0 && S_ISREG(st.st_mode) && access(where, R_OK) != 0)
		err->code = EINVAL;
	error_prefix(err, "%s", s->word);
	return -err->code;
}

static char *label_of_directory(const char *where)
{
	char *label;

	return asprintf(&label, "fs %s", where) < 0 ? NULL : label;
}

/* What --create would make. */
static int side_imagine(struct side *s, const char *where, struct error *err)
{
	int r = store_makeable(where, err);

	if (r != 0)
		return r;
	s->absent = true;
	s->caps = BACKEND_READ | BACKEND_WRITE | BACKEND_LOCAL;
	s->store.where = strdup(where);
	/* A configuration file is there, and its directory is not: only the file has a name so far. */
	s->store.label = s->store.where == NULL || access(where, F_OK) == 0 ? NULL : label_of_directory(where);
	return s->store.where != NULL ? 0 : error_set(err, ENOMEM, "no memory");
}

int side_open(struct side *s, enum role role, const char *where, const struct migrate_options *o, bool write,
	      void (*warn)(const char *sentence, void *arg), void *arg, struct error *err)
{
	static const char *const words[] = { "source", "target", "backup" };
	struct backend_options options = {
		.in_flight = (unsigned)o->transfers, .per_second = o->tpslimit, .write = write,
		.create_store = write && role != ROLE_SOURCE && o->create,
	};

	*s = (struct side){ .role = role, .word = words[role], .timeout = o->timeout };
	pthread_mutex_init(&s->pace_lock, NULL);
	s->open = true;
	int r = store_open(where, &options, warn, arg, &s->store, err);
	if (r == -ENOENT && role != ROLE_SOURCE && o->create && !write)
		r = side_imagine(s, where, err);
	else if (r == 0)
		s->caps = s->store.ops->caps;
	if (r != 0)
		return open_failed(s, where, r, err);
	/* Stores on the network keep the limit themselves, retries and logins included. */
	if (o->tpslimit > 0 && (s->caps & BACKEND_LOCAL || s->store.mount))
		s->pace = (int64_t)(1e9 / o->tpslimit);
	return 0;
}

int side_learn(struct side *s, struct cancel *cancel, struct error *err)
{
	struct call call = call_in(s->timeout, cancel);
	int r = s->store.ops->status(s->store.handle, &call, err);

	s->caps = store_caps(&s->store);
	if (r == 0 && s->store.ops->identity != NULL)
		r = s->store.ops->identity(s->store.handle, &call, &s->identity, err);
	if (r == 0 && s->role == ROLE_SOURCE && !(s->caps & BACKEND_READ))
		r = error_set(err, EINVAL, "%s never hands out a key, so nothing can be copied from it", side_label(s));
	if (r == 0 && s->role == ROLE_BACKUP && !(s->caps & BACKEND_READ))
		r = error_set(err, EINVAL, "%s never hands out a key, so it is no backup", side_label(s));
	return r != 0 ? open_failed(s, s->store.where, r, err) : 0;
}

void side_close(struct side *s)
{
	if (!s->open)
		return;
	store_close(&s->store);
	listing_free(&s->ahead);
	free(s->identity);
	pthread_mutex_destroy(&s->pace_lock);
	*s = (struct side){ .open = false };
}

const char *side_label(const struct side *s)
{
	return s->store.label != NULL ? s->store.label : s->store.where != NULL ? s->store.where : s->word;
}

bool side_local(const struct side *s)
{
	return s->caps & BACKEND_LOCAL;
}

bool side_silent(const struct side *s)
{
	int64_t heard = s->heard, since = s->silent_since;

	return s->unanswered >= SILENT_ENOUGH && call_now() - (since > heard ? since : heard) >= (int64_t)(s->timeout * 1e9);
}

const char *side_hopeless(const struct side *s)
{
	if ((s->reads_refused >= REFUSED_ENOUGH && s->reads_done == 0) ||
	    (s->writes_refused >= REFUSED_ENOUGH && s->writes_done == 0))
		return "refuses every request";
	return side_silent(s) ? "does not answer any more" : NULL;
}

void side_counts(const struct side *s, struct backend_counts *ret)
{
	*ret = (struct backend_counts){ .requests = 0 };
	if (s->store.ops != NULL && s->store.ops->counts != NULL)
		s->store.ops->counts(s->store.handle, ret);
}

void side_list_ahead(struct side *s, struct cancel *cancel, const char *prefix)
{
	s->ahead_result = side_list(s, cancel, prefix, &s->ahead, &s->ahead_err);
	s->listed = true;
}

int side_list(struct side *s, struct cancel *cancel, const char *prefix, struct listing *ret, struct error *err)
{
	struct call call = call_in(LIST_SECONDS, cancel);

	*ret = (struct listing){ .count = 0 };
	if (s->listed) {
		s->listed = false;
		if (s->ahead_result != 0)
			*err = s->ahead_err;
		*ret = s->ahead;
		s->ahead = (struct listing){ .count = 0 };
		return s->ahead_result;
	}
	return s->absent ? 0 : store_list(&s->store, &call, prefix, ret, err);
}

/* Wait for this call's turn under --tpslimit. */
static int pace_wait(struct side *s, struct cancel *cancel, struct error *err)
{
	if (s->pace == 0)
		return 0;
	pthread_mutex_lock(&s->pace_lock);
	int64_t now = call_now(), turn = s->pace_next > now ? s->pace_next : now;
	s->pace_next = turn + s->pace;
	pthread_mutex_unlock(&s->pace_lock);
	struct call call = { .deadline = INT64_MAX, .cancel = cancel };
	if (turn > now && call_sleep(&call, turn - now, true) == -ECANCELED)
		return error_set(err, ECANCELED, "cancelled before anything was sent");
	return 0;
}

struct request {
	struct side *side;
	const char *name;
	struct secret *out;
	const struct secret *old, *value;
	struct gap *gap;
	double seconds;
	int (*send)(const struct request *q, const struct call *c, struct error *err);
};

static int send_get(const struct request *q, const struct call *c, struct error *err)
{
	return q->side->store.ops->get(q->side->store.handle, c, q->name, q->out, err);
}

static int send_create(const struct request *q, const struct call *c, struct error *err)
{
	return q->side->store.ops->create(q->side->store.handle, c, q->name, q->value, err);
}

static int send_replace(const struct request *q, const struct call *c, struct error *err)
{
	return q->side->store.ops->replace(q->side->store.handle, c, q->name, q->old, q->value, err);
}

static int send_remove(const struct request *q, const struct call *c, struct error *err)
{
	return q->side->store.ops->remove(q->side->store.handle, c, q->name, err);
}

static int request_send(const struct request *q, struct cancel *cancel, struct error *err)
{
	int64_t pause = PAUSE_FIRST, until = call_now() + THROTTLE_PATIENCE;

	for (;;) {
		int r = pace_wait(q->side, cancel, err);
		if (r != 0)
			return r;
		struct call call = call_in(q->seconds, cancel);
		call.gap = q->gap;
		r = q->send(q, &call, err);
		if (r != -EAGAIN || call_now() > until)
			return r;
		/* Throttled: nothing was done, so all of these may be sent again. */
		struct call patience = { .deadline = until, .cancel = cancel };
		int slept = call_sleep(&patience, pause, true);
		if (slept == -ECANCELED)
			return error_set(err, ECANCELED, "cancelled while the %s asked to wait", q->side->word);
		if (slept != 0)
			return r;
		pause = pause * 2 < PAUSE_MAX ? pause * 2 : PAUSE_MAX;
	}
}

/* Did the store answer at all?  A silence begins with the first call that got no answer, or with the last answer. */
static void hear(struct side *s, int r, int64_t began)
{
	bool silent = r == -ETIMEDOUT || r == -EHOSTUNREACH || r == -EINPROGRESS;

	if (r == -ECANCELED)
		return;
	if (!silent) {
		atomic_store_explicit(&s->heard, call_now(), memory_order_relaxed);
		if (atomic_load_explicit(&s->unanswered, memory_order_relaxed) != 0)
			atomic_store(&s->unanswered, 0);
	} else {
		if (atomic_load(&s->unanswered) == 0)
			atomic_store(&s->silent_since, began);
		atomic_fetch_add(&s->unanswered, 1);
	}
}

static int count(struct side *s, int r, int64_t began, atomic_size_t *done, atomic_size_t *refused)
{
	hear(s, r, began);
	if (r < 0 && error_refused(-r))
		atomic_fetch_add_explicit(refused, 1, memory_order_relaxed);
	else if (r == 0 || r == -ENOENT || r == -EEXIST)
		atomic_fetch_add_explicit(done, 1, memory_order_relaxed);
	return r;
}

int side_get(struct side *s, struct cancel *cancel, const char *name, struct secret *out, struct error *err)
{
	struct request q = { .side = s, .name = name, .out = out, .seconds = s->timeout, .send = send_get };
	int64_t began = call_now();

	if (s->absent)
		return error_set(err, ENOENT, "'%s' is not there yet", s->store.where);
	if (!(s->caps & BACKEND_READ))
		return error_set(err, EBADMSG, "%s never hands out a key, so it cannot be compared", side_label(s));
	secret_wipe(out);
	return count(s, request_send(&q, cancel, err), began, &s->reads_done, &s->reads_refused);
}

int side_create(struct side *s, struct cancel *cancel, const char *name, const struct secret *value, struct error *err)
{
	struct request q = { .side = s, .name = name, .value = value, .seconds = s->timeout, .send = send_create };
	int64_t began = call_now();

	return count(s, request_send(&q, cancel, err), began, &s->writes_done, &s->writes_refused);
}

int side_get_once(struct side *s, const struct call *call, const char *name, struct secret *out, struct error *err)
{
	struct request q = { .side = s, .name = name, .out = out };
	int64_t began = call_now();

	secret_wipe(out);
	return count(s, send_get(&q, call, err), began, &s->reads_done, &s->reads_refused);
}

int side_create_once(struct side *s, const struct call *call, const char *name, const struct secret *value,
		     struct error *err)
{
	struct request q = { .side = s, .name = name, .value = value };
	int64_t began = call_now();

	return count(s, send_create(&q, call, err), began, &s->writes_done, &s->writes_refused);
}

int side_replace(struct side *s, struct cancel *cancel, struct gap *gap, const char *name, const struct secret *old,
		 const struct secret *value, struct error *err)
{
	struct request q = {
		.side = s, .name = name, .old = old, .value = value, .gap = gap, .send = send_replace,
		.seconds = s->timeout * REPLACE_TIMES,
	};
	int64_t began = call_now();

	return count(s, request_send(&q, cancel, err), began, &s->writes_done, &s->writes_refused);
}

int side_remove(struct side *s, struct cancel *cancel, const char *name, struct error *err)
{
	struct request q = { .side = s, .name = name, .seconds = s->timeout, .send = send_remove };
	int64_t began = call_now();

	return count(s, request_send(&q, cancel, err), began, &s->writes_done, &s->writes_refused);
}
