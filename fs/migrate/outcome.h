/* SPDX-License-Identifier: Apache-2.0
 *
 * What became of each key, and what that means for the exit status. */
#ifndef KESFS_FS_MIGRATE_OUTCOME_H
#define KESFS_FS_MIGRATE_OUTCOME_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "backends/error.h"

enum outcome {
	OUTCOME_PENDING,      /* planned: create, or replace with ITEM_REPLACE; an interrupted run leaves it */
	OUTCOME_CREATED,
	OUTCOME_REPLACED,
	OUTCOME_IDENTICAL,
	OUTCOME_CONFLICT,     /* the target holds something else there and keeps it */
	OUTCOME_FOREIGN,      /* no KES key at the source: skipped */
	OUTCOME_DELETED,      /* the source lists it, but has deleted it */
	OUTCOME_DAMAGED,      /* at the source, and cannot pass */
	OUTCOME_UNFIT,        /* its name, or its size, cannot exist at the target */
	OUTCOME_FAILED,
	OUTCOME_UNKNOWN,      /* a change was sent; whether it was made could not be found out */
	OUTCOME_LOST,         /* removed for a replace, and neither value could be put back */
	OUTCOME_MISSING,      /* a literal name that the source does not have */
	OUTCOME_ABSENT,       /* --check: the target does not have it */
	OUTCOME_EXTRA,        /* --check: only the target has it */
	OUTCOME_LISTED,       /* --list */
	OUTCOME_COUNT,
};

enum item_flags {
	ITEM_LITERAL   = 1,   /* named itself, not by a pattern */
	ITEM_AT_TARGET = 2,   /* something is there, or that is not known */
	ITEM_REPLACE   = 4,
	ITEM_VERIFIED  = 8,   /* written and read back */
	ITEM_BACKED_UP = 16,
	ITEM_UNFIT     = 32,  /* the name cannot exist at the target */
	ITEM_BLOCKS    = 64,  /* what stands at the target could not be read */
	ITEM_TARGET_ONLY = 128,
};

struct item {                 /* one key; a million of them have to fit */
	char *name;           /* owned */
	char *reason;         /* owned; NULL: nothing to say */
	int16_t code;         /* errno of backend.h, 0: none */
	uint8_t outcome;
	uint8_t flags;
	bool shown;           /* reported already */
	bool again;           /* to be looked at once more before it settles (again.h) */
};

/* The word for it in JSON and summary, and the symbol that stands before a name. */
const char *outcome_word(enum outcome o);
char outcome_symbol(const struct item *item);
/* It stands between the run and "all keys are there": told always, with its reason. */
bool outcome_bad(enum outcome o);
/* Counts for --max-errors. */
bool outcome_failure(enum outcome o);

/* What a sentence about the item may say; takes code and text of err, which may be NULL. */
void item_settle(struct item *item, enum outcome o, const struct error *err);
/* error_set(), without an error of one's own. */
void item_settle_as(struct item *item, enum outcome o, int code, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/* Counted as items settle, from any thread. */
struct tally {
	atomic_size_t counts[OUTCOME_COUNT];
	atomic_size_t verified, passing, other, refused, failures;   /* refused: also counted in one of the two before */
};
void tally_add(struct tally *t, const struct item *item);
size_t tally_count(const struct tally *t, enum outcome o);

enum status {                 /* exit statuses, in no order: status_worse() has it */
	STATUS_DONE = 0, STATUS_ERROR = 1, STATUS_USAGE = 2, STATUS_EMPTY = 3, STATUS_PASSING = 5, STATUS_REMAIN = 6,
	STATUS_REFUSED = 7, STATUS_LOST = 8, STATUS_SIGNAL = 128,
};
/* Of two, the one that comes first in the order of the manual: 2, 3, 8, signals, 7, 1, 5, 6, 0. */
int status_worse(int a, int b);
/* For an error that ends a whole run. */
int status_of_error(int code);

#endif
