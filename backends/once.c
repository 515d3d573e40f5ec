/* SPDX-License-Identifier: Apache-2.0 */
#include "backends/once.h"

#include <errno.h>
#include <time.h>

void once_init(struct once *o)
{
	pthread_mutex_init(&o->lock, NULL);
	pthread_cond_init(&o->news, NULL);
}

void once_destroy(struct once *o)
{
	pthread_mutex_destroy(&o->lock);
	pthread_cond_destroy(&o->news);
}

int once_begin(struct once *o, const struct call *c, bool *ret_ask, struct error *err)
{
	const struct timespec until = { .tv_sec = c->deadline / 1000000000, .tv_nsec = c->deadline % 1000000000 };
	int r = 0;

	if (atomic_load(&o->known)) {
		*ret_ask = false;
		return 0;
	}
	pthread_mutex_lock(&o->lock);
	for (uint64_t ended = o->ended; o->asking && o->ended == ended && r == 0;)
		r = pthread_cond_clockwait(&o->news, &o->lock, CLOCK_MONOTONIC, &until);
	bool known = atomic_load(&o->known);
	if (known || r == 0) {
		*ret_ask = !known;
		o->asking |= !known;
		r = 0;
	}
	pthread_mutex_unlock(&o->lock);
	return r == 0 ? 0 : error_set(err, ETIMEDOUT, "no answer to another caller within the time allowed");
}

void once_end(struct once *o, bool known)
{
	pthread_mutex_lock(&o->lock);
	if (known)
		atomic_store(&o->known, true);
	o->asking = false;
	o->ended++;
	pthread_cond_broadcast(&o->news);
	pthread_mutex_unlock(&o->lock);
}
