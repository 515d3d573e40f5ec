/* SPDX-License-Identifier: Apache-2.0
 *
 * A question of which one answer serves all callers: the first asks, those who come meanwhile wait.  If he learns
 * nothing, each of them asks for himself. */
#ifndef KESFS_BACKENDS_ONCE_H
#define KESFS_BACKENDS_ONCE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "backends/call.h"
#include "backends/error.h"

struct once {
	atomic_bool known;
	pthread_mutex_t lock;         /* guards the rest */
	pthread_cond_t news;
	bool asking;
	uint64_t ended;
};

void once_init(struct once *o);
void once_destroy(struct once *o);
/* *ret_ask false: it is known.  If true, the caller asks, and tells the others with once_end() whether it is known now.
 * -ETIMEDOUT: the one who asks got no answer before our deadline. */
int once_begin(struct once *o, const struct call *c, bool *ret_ask, struct error *err);
void once_end(struct once *o, bool known);

#endif
