/* SPDX-License-Identifier: Apache-2.0
 *
 * What is to go wrong: the rules of $KESFS_FAULT (README.md). */
#ifndef KESFS_TESTS_FAULT_RULES_H
#define KESFS_TESTS_FAULT_RULES_H

#include <stdbool.h>

enum action {
	ACTION_DELAY, ACTION_HOLD, ACTION_FAIL, ACTION_HANG, ACTION_LATE, ACTION_LOSE, ACTION_LIE, ACTION_FLIP,
	ACTION_GAP, ACTION_BLIND, ACTION_LOCAL,
};

struct rule {
	struct rule *next;
	char *side, *op, *name;       /* parts of one allocation, which begins at side */
	enum action action;
	long number;                  /* milliseconds, or an errno */
	char *file;                   /* of hold */
	long skips;                   /* so many calls pass before it applies */
	long left;                    /* how often it still applies; -1: always; guarded by the rules' lock */
};

struct fault {                        /* what happens to one call */
	long delay_ms;
	bool hold;
	char hold_file[256];
	bool fail, hang, late, lose, lie, flip;
	int code;                     /* of fail and late */
};

/* False with the reason on stderr: a rule that cannot be read must not become a test without faults. */
bool rules_load(void);
bool rules_any(void);                 /* $KESFS_FAULT is set */
void rules_match(const char *label, const char *where, const char *op, const char *name, struct fault *ret);
/* Is there such a rule for the store as a whole? */
bool rules_store(const char *label, const char *where, enum action action);

#endif
