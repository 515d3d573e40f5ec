/* SPDX-License-Identifier: Apache-2.0
 *
 * Keep a call's deadline, and its cancel, while its thread sits in a system call that may take for ever, as those on
 * a mount may: a signal of our own makes the system call return EINTR, again and again until the end. */
#ifndef KESFS_BACKENDS_INTERRUPT_H
#define KESFS_BACKENDS_INTERRUPT_H

#include <signal.h>
#include <time.h>

#include "backends/call.h"

struct interrupt {
	const struct call *call;      /* lent */
	struct cancel *cancel;        /* NULL: ignored (by now) */
	bool armed;                   /* no timer could be had: then a call that hangs, hangs */
	timer_t timer;
	sigset_t before;
};

#define INTERRUPT(name, c) \
	__attribute__((cleanup(interrupt_end))) struct interrupt name; \
	interrupt_begin(&name, c)

void interrupt_begin(struct interrupt *i, const struct call *c);
void interrupt_ignore_cancel(struct interrupt *i);    /* a change is about to be sent */
void interrupt_end(struct interrupt *i);

/* What an EINTR meant: -ECANCELED, -ETIMEDOUT, or 0: nothing, call again. */
int interrupt_reason(const struct interrupt *i);
/* Sleep as call_sleep() does. */
int interrupt_sleep(const struct interrupt *i, int64_t ns);

#endif
