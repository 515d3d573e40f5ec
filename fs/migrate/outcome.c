/* SPDX-License-Identifier: Apache-2.0
 *
 * One table a word, and one order of exit statuses. */
#include "fs/migrate/outcome.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

static const struct {
	const char *word;
	char symbol;
	bool bad, failure;
} table[OUTCOME_COUNT] = {
	[OUTCOME_PENDING]   = { "pending",   '+', false, false },
	[OUTCOME_CREATED]   = { "created",   '+', false, false },
	[OUTCOME_REPLACED]  = { "replaced",  '>', false, false },
	[OUTCOME_IDENTICAL] = { "identical", '=', false, false },
	[OUTCOME_CONFLICT]  = { "conflict",  '*', true,  false },
	[OUTCOME_FOREIGN]   = { "foreign",   '.', false, false },
	[OUTCOME_DELETED]   = { "deleted",   '.', false, false },
	[OUTCOME_DAMAGED]   = { "damaged",   '!', true,  true },
	[OUTCOME_UNFIT]     = { "unfit",     '!', true,  false },
	[OUTCOME_FAILED]    = { "failed",    '!', true,  true },
	[OUTCOME_UNKNOWN]   = { "unknown",   '?', true,  true },
	[OUTCOME_LOST]      = { "lost",      '!', true,  true },
	[OUTCOME_MISSING]   = { "missing",   '!', true,  false },
	[OUTCOME_ABSENT]    = { "absent",    '+', true,  false },
	[OUTCOME_EXTRA]     = { "extra",     '-', false, false },
	[OUTCOME_LISTED]    = { "listed",    ' ', false, false },
};

const char *outcome_word(enum outcome o)
{
	return table[o].word;
}

char outcome_symbol(const struct item *item)
{
	if (item->outcome == OUTCOME_PENDING && item->flags & ITEM_REPLACE)
		return '>';
	return table[item->outcome].symbol;
}

bool outcome_bad(enum outcome o)
{
	return table[o].bad;
}

bool outcome_failure(enum outcome o)
{
	return table[o].failure;
}

void item_settle(struct item *item, enum outcome o, const struct error *err)
{
	item->outcome = (uint8_t)o;
	free(item->reason);
	item->reason = err != NULL && err->text[0] != '\0' ? strdup(err->text) : NULL;
	item->code = err != NULL ? (int16_t)err->code : 0;
}

void item_settle_as(struct item *item, enum outcome o, int code, const char *fmt, ...)
{
	struct error err = ERROR_INIT;
	va_list ap;

	va_start(ap, fmt);
	error_setv(&err, code, fmt, ap);
	va_end(ap);
	item_settle(item, o, &err);
}

void tally_add(struct tally *t, const struct item *item)
{
	atomic_fetch_add_explicit(&t->counts[item->outcome], 1, memory_order_relaxed);
	if (item->flags & ITEM_VERIFIED)
		atomic_fetch_add_explicit(&t->verified, 1, memory_order_relaxed);
	if (!table[item->outcome].failure)
		return;
	atomic_fetch_add_explicit(&t->failures, 1, memory_order_relaxed);
	if (item->outcome == OUTCOME_FAILED && error_refused(item->code))
		atomic_fetch_add_explicit(&t->refused, 1, memory_order_relaxed);
	if (item->outcome == OUTCOME_FAILED || item->outcome == OUTCOME_UNKNOWN)
		atomic_fetch_add_explicit(error_passing(item->code) ? &t->passing : &t->other, 1, memory_order_relaxed);
}

size_t tally_count(const struct tally *t, enum outcome o)
{
	return atomic_load_explicit(&t->counts[o], memory_order_relaxed);
}

int status_worse(int a, int b)
{
	static const int order[] = {
		STATUS_USAGE, STATUS_EMPTY, STATUS_LOST, STATUS_SIGNAL + 1, STATUS_SIGNAL + 2, STATUS_SIGNAL + 15,
		STATUS_REFUSED, STATUS_ERROR, STATUS_PASSING, STATUS_REMAIN,
	};

	for (size_t i = 0; i < sizeof order / sizeof *order; i++)
		if (a == order[i] || b == order[i])
			return order[i];
	return STATUS_DONE;
}

int status_of_error(int code)
{
	switch (code) {
	case EINVAL:
		return STATUS_USAGE;
	case ENOENT:
	case ENOTDIR:
		return STATUS_EMPTY;
	default:
		return error_refused(code) ? STATUS_REFUSED : error_passing(code) ? STATUS_PASSING : STATUS_ERROR;
	}
}
