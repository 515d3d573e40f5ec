/* SPDX-License-Identifier: Apache-2.0
 *
 * One block a store: what it is, then a line for each thing that may ("+") or may not ("-") be done.  Nothing is
 * written, and no value is read. */
#include "fs/mount/probe.h"

#include <errno.h>
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

struct findings {
	bool listed, read_refused;
};

static void line_print(char symbol, const char *what, const char *sentence)
{
	printf("  %c %-8.*s %s\n", symbol, (int)strcspn(what, "?"), what, sentence);
}

/* "read?" is not known. */
static void finding_print(bool may, const char *what, const char *sentence)
{
	line_print(may ? '+' : strchr(what, '?') != NULL ? '?' : '-', what, sentence);
}

/* From the module.  What it thinks of listing is not needed: that was tried. */
static void probe_say(bool may, const char *what, const char *sentence, void *arg)
{
	struct findings *f = arg;

	if (strcmp(what, "list") == 0)
		return;
	if (strcmp(what, "read") == 0)
		f->read_refused = !may;
	finding_print(may, what, sentence);
}

static void keys_print(const struct listing *l)
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
		snprintf(text + n, sizeof text - (size_t)n, ", and %zu %s not shown as %s", others,
		         others == 1 ? "other entry that is" : "other entries that are", others == 1 ? "a key" : "keys");
	finding_print(true, "list", text);
}

/* What the kind of store can do at all; the login's own rights are the module's to tell. */
static void caps_print(unsigned caps)
{
	if (!(caps & BACKEND_READ))
		finding_print(false, "read", "this kind of store never hands out a value");
	if (!(caps & BACKEND_WRITE))
		finding_print(false, "write", "this kind of store takes no keys");
	else if (!(caps & BACKEND_REPLACE))
		line_print('.', "replace", "is done by removing and creating: a power cut in between can leave the key absent");
	if (caps & BACKEND_TOMBSTONE)
		line_print('.', "remove", "leaves the name taken for a while");
}

static int store_probe(const struct mount_options *o, struct store *s, struct error *err)
{
	struct call c = call_in(o->timeout, NULL);
	struct listing l = { NULL, 0 };
	struct findings f = { false, false };
	int r = s->ops->status(s->handle, &c, err);

	if (r != 0)
		return r;
	printf("%s: %s\n", s->where, s->label);
	finding_print(true, "connect", "the store answers and accepts us");
	r = store_list(s, &c, "", &l, err);
	f.listed = r == 0;
	if (r == 0)
		keys_print(&l);
	else if (error_refused(err->code))
		finding_print(false, "list", err->text);
	else
		return r;
	listing_free(&l);
	r = s->ops->probe != NULL ? s->ops->probe(s->handle, &c, probe_say, &f, err) : 0;
	caps_print(store_caps(s));
	if (r == 0 && !f.listed && f.read_refused)
		return error_set(err, EACCES, "%s: this login may neither list nor read", s->where);
	return r;
}

static int source_probe(const struct mount_options *o, const struct mount_source *source)
{
	struct backend_options b = { .in_flight = o->requests, .write = !source->read_only,
	                                   .recovery_days = o->recovery_days };
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
