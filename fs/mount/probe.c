/* SPDX-License-Identifier: Apache-2.0
 *
 * One block a store: what it is, then a line for each thing that may ("+") or may not ("-") be done.  Nothing is
 * written, and no value is read. */
#include "fs/mount/probe.h"

#include <stdio.h>
#include <string.h>

#include "fs/log.h"
#include "fs/mount/exit.h"
#include "fs/name.h"
#include "fs/store.h"

static void probe_warn(const char *sentence, void *arg)
{
	log_line(LOG_LEVEL_WARNING, "%s", sentence);
}

static void probe_say(bool may, const char *what, const char *sentence, void *arg)
{
	printf("  %c %-8s %s\n", may ? '+' : '-', what, sentence);
}

static void probe_keys(const struct listing *l)
{
	size_t keys = 0, others = 0;
	char text[96];

	for (size_t i = 0; i < l->count; i++)
		if (l->entries[i].flags == 0 && name_shown(l->entries[i].name))
			keys++;
		else
			others++;
	int n = snprintf(text, sizeof text, "%zu %s", keys, keys == 1 ? "key" : "keys");
	if (others > 0)
		snprintf(text + n, sizeof text - (size_t)n, ", and %zu %s that no key can have", others,
		         others == 1 ? "name" : "names");
	probe_say(true, "list", text, NULL);
}

/* What the kind of store can do at all; the login's own rights are the module's to tell. */
static void probe_caps(unsigned caps)
{
	if (!(caps & BACKEND_READ))
		probe_say(false, "read", "this kind of store never hands out a value", NULL);
	if (!(caps & BACKEND_WRITE))
		probe_say(false, "create", "this kind of store takes no keys", NULL);
	else if (!(caps & BACKEND_REPLACE))
		probe_say(true, "replace", "by delete and create: a power cut in between can leave the key absent", NULL);
	if (caps & BACKEND_TOMBSTONE)
		probe_say(true, "delete", "but the name stays taken for a while", NULL);
}

static int store_probe(const struct mount_options *o, struct store *s, struct error *err)
{
	struct call c = call_in(o->timeout, NULL);
	struct listing l = { NULL, 0 };
	int r = s->ops->status(s->handle, &c, err);

	if (r != 0)
		return r;
	printf("%s: %s\n", s->where, s->label);
	probe_say(true, "connect", "the store answers and accepts us", NULL);
	r = store_list(s, &c, "", &l, err);
	if (r == 0)
		probe_keys(&l);
	else if (error_refused(err->code))
		probe_say(false, "list", err->text, NULL);
	else
		return r;
	listing_free(&l);
	probe_caps(store_caps(s));
	return s->ops->probe != NULL ? s->ops->probe(s->handle, &c, probe_say, NULL, err) : 0;
}

static int source_probe(const struct mount_options *o, const struct mount_source *source)
{
	struct backend_options b = { .in_flight = o->requests, .write = !source->read_only };
	struct store s = { 0 };
	struct error err = ERROR_INIT;
	int r = store_open(source->where, &b, probe_warn, NULL, &s, &err);

	if (r == 0)
		r = store_probe(o, &s, &err);
	store_close(&s);
	if (r == 0)
		return 0;
	fflush(stdout);
	log_line(LOG_LEVEL_ERROR, "%s", err.text);
	return exit_status(err.code);
}

int probe_run(const struct mount_options *o)
{
	int first = 0;

	for (size_t i = 0; i < o->source_count; i++) {
		int status = source_probe(o, &o->sources[i]);
		first = first != 0 ? first : status;
	}
	if (fflush(stdout) != 0 && first == 0)
		first = EXIT_OTHER;
	return first;
}
