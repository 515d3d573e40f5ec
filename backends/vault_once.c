/* SPDX-License-Identifier: Apache-2.0
 *
 * A question of which one answer serves all callers: the first asks, those who come meanwhile wait.  If he learns
 * nothing, each of them asks for himself. */
#include <errno.h>
#include <time.h>

#include "backends/vault_parts.h"

void vault_once_init(struct vault_once *o)
{
	pthread_mutex_init(&o->lock, NULL);
	pthread_cond_init(&o->news, NULL);
}

void vault_once_destroy(struct vault_once *o)
{
	pthread_mutex_destroy(&o->lock);
	pthread_cond_destroy(&o->news);
}

int vault_once_begin(struct vault_once *o, const struct call *c, bool *ret_ask, struct error *err)
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
	return r == 0 ? 0 : error_set(err, ETIMEDOUT, "vault: no answer to another caller within the time allowed");
}

void vault_once_end(struct vault_once *o, bool known)
{
	pthread_mutex_lock(&o->lock);
	if (known)
		atomic_store(&o->known, true);
	o->asking = false;
	o->ended++;
	pthread_cond_broadcast(&o->news);
	pthread_mutex_unlock(&o->lock);
}
