/* SPDX-License-Identifier: Apache-2.0
 *
 * One bearer token for all callers of a store.  One thread logs in and renews (at 2/3 of the lifetime); the others
 * wait for it, so there is never a stampede.  A failed renewal is tried again after 1, 2, 4 ... 60 s, for ever: a
 * mount outlives outages, and the old token serves as long as it lives. */
#ifndef KESFS_BACKENDS_TOKEN_H
#define KESFS_BACKENDS_TOKEN_H

#include <stdbool.h>
#include <stdint.h>

#include "backends/call.h"
#include "backends/error.h"
#include "backends/secret.h"

struct token;

struct token_grant {
	struct secret value;          /* renew() may leave it empty: still the same token */
	int64_t lifetime;             /* ns from now; 0: it never expires */
};

/* Both run on the token's own thread, one at a time, and block.  0, or -errno with err.  -EKEYREJECTED and -EACCES
 * mean that the service said no: a refused login is not repeated for 30 s, a refused renewal becomes a login. */
struct token_ops {
	int (*login)(void *arg, const struct call *c, struct token_grant *ret, struct error *err);
	/* NULL: log in again instead. */
	int (*renew)(void *arg, const struct call *c, const struct secret *current, struct token_grant *ret,
	             struct error *err);
	int64_t (*now)(void *arg);    /* NULL: call_now(); tests pass a clock of their own */
};

/* Starts nothing: the thread begins with the first token_get().  NULL: no memory. */
struct token *token_new(const struct token_ops *ops, void *arg);
void token_free(struct token *t);             /* stops the thread, wipes; accepts NULL.  No caller may be inside */

/* A copy of the token into *ret (wiped first), and its generation.  Without a valid one: waits for the login under way
 * or starts one; its failure is everybody's answer.  A login that failed less than 1 s ago (30 s if it was refused) is
 * not repeated: its failure is returned again. */
int token_get(struct token *t, const struct call *c, struct secret *ret, uint64_t *ret_generation, struct error *err);

/* The service refused the token of that generation: the next token_get() waits for a new login.  An older generation
 * than the current one changes nothing, so a hundred callers cause one login. */
void token_refused(struct token *t, uint64_t generation);

/* token_get(), then run().  If that returns -EKEYREJECTED: token_refused() and one replay with the newer token. */
int token_run(struct token *t, const struct call *c,
              int (*run)(void *arg, const struct secret *token, struct error *err), void *arg, struct error *err);

struct token_state {
	bool valid;
	int64_t expires_in;           /* ns; -1: never, or no token */
	uint64_t generation, logins, renewals, failures;
	struct error last;            /* the last attempt's failure; code 0: it succeeded */
};
void token_state(struct token *t, struct token_state *ret);

void token_tick(struct token *t);             /* look at the clock again: for tests with a clock of their own */

#endif
