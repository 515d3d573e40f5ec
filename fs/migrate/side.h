/* SPDX-License-Identifier: Apache-2.0
 *
 * One side of a migration: its store, and calls to it that carry a deadline, wait out throttling, keep --tpslimit and
 * remember whether the side answers at all. */
#ifndef KESFS_FS_MIGRATE_SIDE_H
#define KESFS_FS_MIGRATE_SIDE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "fs/migrate/options.h"
#include "fs/store.h"

enum role { ROLE_SOURCE, ROLE_TARGET, ROLE_BACKUP };

struct side {
	enum role role;
	const char *word;                     /* "source", "target", "backup" */
	struct store store;
	bool open;
	bool absent;                          /* a dry run of --create: it is not there yet, and empty */
	unsigned caps;
	char *identity;
	double timeout;
	bool listed;                          /* side_list_ahead() has filled the next three */
	struct listing ahead;
	int ahead_result;
	struct error ahead_err;
	atomic_size_t reads_done, reads_refused, writes_done, writes_refused;
	pthread_mutex_t pace_lock;
	int64_t pace, pace_next;              /* ns between two calls, 0: no limit; when the next may start, under the lock */
	atomic_size_t unanswered;             /* calls in a row that got no answer, */
	_Atomic int64_t silent_since, heard;  /* since then; when the last answer came */
};

/* Open; nothing is sent.  The error decides the exit status: status_of_error(). */
int side_open(struct side *s, enum role role, const char *where, const struct migrate_options *o, bool write,
	      void (*warn)(const char *sentence, void *arg), void *arg, struct error *err);
/* Prove who we are, learn capabilities and identity. */
int side_learn(struct side *s, struct cancel *cancel, struct error *err);
void side_close(struct side *s);              /* accepts the zeroed one */
const char *side_label(const struct side *s);
bool side_local(const struct side *s);
/* It has not answered for as long as a call may take. */
bool side_silent(const struct side *s);
/* Why the rest of the keys would fare no better: it has refused so many calls of one kind, and done none, or is
 * silent.  NULL: go on. */
const char *side_hopeless(const struct side *s);
void side_counts(const struct side *s, struct backend_counts *ret);

/* List already; the next side_list() hands it out, or the failure. */
void side_list_ahead(struct side *s, struct cancel *cancel, const char *prefix);
int side_list(struct side *s, struct cancel *cancel, const char *prefix, struct listing *ret, struct error *err);
/* As in backend.h. */
int side_get(struct side *s, struct cancel *cancel, const char *name, struct secret *out, struct error *err);
int side_create(struct side *s, struct cancel *cancel, const char *name, const struct secret *value, struct error *err);
/* gap may be NULL: replace.h. */
int side_replace(struct side *s, struct cancel *cancel, struct gap *gap, const char *name, const struct secret *old,
		 const struct secret *value, struct error *err);
/* Once, and no longer than the caller's call says. */
int side_get_once(struct side *s, const struct call *call, const char *name, struct secret *out, struct error *err);
int side_create_once(struct side *s, const struct call *call, const char *name, const struct secret *value,
		     struct error *err);
int side_remove(struct side *s, struct cancel *cancel, const char *name, struct error *err);

#endif
