/* SPDX-License-Identifier: Apache-2.0
 *
 * Nobody's key is left absent by a signal that came before he was told that it is: the second one means it, or the
 * first after that was said. */
#include "fs/migrate/gaps.h"

#include "fs/migrate/report.h"

/* Lock held. */
static void tell(struct watch *w, const char *stop)
{
	report_note(w->run->report, "'%s' was removed for a replace, and its %s value cannot be stored now (%s).  Trying to %s "
		    "until it works; %s gives up and leaves it absent%s", w->name, w->putting_back ? "old" : "new", w->why.text,
		    w->putting_back ? "put it back" : "store it", stop,
		    w->run->backup.open ? " (the backup has its old value)" : "");
	w->told = true;
}

/* Lock held. */
static void tell_if_interrupted(struct watch *w)
{
	if (w->waits && !w->told && cancel_requested(&w->run->stop))
		tell(w, "one more interrupt");
}

static void heard(struct gap *gap, bool putting_back, const struct error *why)
{
	struct watch *w = (struct watch *)gap;

	pthread_mutex_lock(&w->run->watches_lock);
	w->waits = true;
	w->putting_back = putting_back;
	w->why = *why;
	tell_if_interrupted(w);
	pthread_mutex_unlock(&w->run->watches_lock);
}

void watch_begin(struct watch *w, struct run *run, const char *name)
{
	*w = (struct watch){ .run = run, .name = name, .why = ERROR_INIT };
	cancel_init(&w->gap.give_up);
	w->gap.waits = heard;
	pthread_mutex_lock(&run->watches_lock);
	w->next = run->watches;
	run->watches = w;
	pthread_mutex_unlock(&run->watches_lock);
}

void watch_end(struct watch *w)
{
	struct watch **p = &w->run->watches;

	pthread_mutex_lock(&w->run->watches_lock);
	while (*p != w)
		p = &(*p)->next;
	*p = w->next;
	pthread_mutex_unlock(&w->run->watches_lock);
	cancel_destroy(&w->gap.give_up);
}

void watch_rescue(struct watch *w, bool putting_back, const struct error *why)
{
	pthread_mutex_lock(&w->run->watches_lock);
	w->waits = true;
	w->putting_back = putting_back;
	w->why = *why;
	if (!w->told)
		tell(w, "an interrupt");
	pthread_mutex_unlock(&w->run->watches_lock);
}

bool watch_given_up(struct watch *w)
{
	return cancel_requested(&w->gap.give_up);
}

void gaps_interrupted(struct run *run, unsigned count)
{
	pthread_mutex_lock(&run->watches_lock);
	for (struct watch *w = run->watches; w != NULL; w = w->next)
		if (count >= 2 || w->told)
			cancel_request(&w->gap.give_up);
		else
			tell_if_interrupted(w);
	pthread_mutex_unlock(&run->watches_lock);
}
