/* SPDX-License-Identifier: Apache-2.0
 *
 * JSON by hand: a dozen members of known types, and texts escaped in one place. */
#include "fs/mount/report.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "backends/key.h"

static void json_text(FILE *f, const char *text)
{
	fputc('"', f);
	for (const unsigned char *p = (const unsigned char *)text; *p != '\0'; p++)
		if (*p == '"' || *p == '\\')
			fprintf(f, "\\%c", *p);
		else if (*p < 0x20 || *p == 0x7f)
			fprintf(f, "\\u%04x", *p);
		else
			fputc(*p, f);
	fputc('"', f);
}

static void json_member(FILE *f, const char *name, const char *text)
{
	fprintf(f, "\"%s\":", name);
	json_text(f, text);
	fputc(',', f);
}

static void json_bool(FILE *f, const char *name, bool value)
{
	fprintf(f, "\"%s\":%s,", name, value ? "true" : "false");
}

static void json_time(FILE *f, const char *name, int64_t seconds)
{
	char text[32];
	struct tm tm;
	time_t t = (time_t)seconds;

	if (seconds >= 0 && gmtime_r(&t, &tm) != NULL && strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &tm) > 0)
		json_member(f, name, text);
}

/* May a key be replaced here, and is that one step of the store? */
static const char *replace_word(const struct volume *v)
{
	if (v->read_only || !v->options->overwrite || !(v->caps & BACKEND_WRITE))
		return "refused";
	return v->caps & BACKEND_REPLACE ? "atomic" : "gap";
}

static void listing_report(FILE *f, const struct volume *v)
{
	const struct listing_state *l = &v->listing;

	fprintf(f, "\"listing\":{\"names\":%zu,\"age\":%.1f,", v->tree.stored, listing_age(v));
	json_bool(f, "running", l->running);
	json_bool(f, "refused", l->refused);
	if (l->failure.code != 0)
		json_member(f, "reason", l->failure.text);
	fprintf(f, "\"left_out\":{");
	for (int i = 0; i < LEFT_COUNT; i++)
		fprintf(f, "%s\"%s\":%zu", i > 0 ? "," : "", left_out_names[i], l->left_out[i]);
	fprintf(f, "}},");
}

static void counts_report(FILE *f, struct volume *v)
{
	const struct volume_counts *c = &v->counts;
	struct backend_counts store = { 0 };

	if (v->store.ops->counts != NULL)
		v->store.ops->counts(v->store.handle, &store);
	fprintf(f, "\"counters\":{\"gets\":%" PRIu64 ",\"stats\":%" PRIu64 ",\"lists\":%" PRIu64 ",\"creates\":%" PRIu64
	        ",\"replaces\":%" PRIu64 ",\"removes\":%" PRIu64 ",\"failures\":%" PRIu64 ",\"interrupted\":%" PRIu64
	        ",\"in_flight\":%u,\"in_flight_max\":%u", c->gets, c->stats, c->lists, c->creates, c->replaces, c->removes,
	        c->failures, c->interrupted, c->in_flight, c->in_flight_max);
	fprintf(f, ",\"requests\":%" PRIu64 ",\"retries\":%" PRIu64 ",\"throttled\":%" PRIu64 ",\"throttled_ms\":%" PRId64 "}",
	        store.requests, store.retries, store.throttled, store.throttled_ns / 1000000);
}

/* The members of one store, without braces.  Takes the lock. */
static void volume_report(FILE *f, struct volume *v)
{
	char more[1024] = "";

	volume_check(v);
	if (v->store.ops->describe != NULL)
		v->store.ops->describe(v->store.handle, more, sizeof more);
	pthread_mutex_lock(&v->lock);
	if (v->name != NULL)
		json_member(f, "name", v->name);
	json_member(f, "store", v->store.ops->name);
	json_member(f, "label", v->store.label);
	json_member(f, "identity", v->identity);
	const struct error *trouble = v->trouble.code != 0 ? &v->trouble : &v->displaced;
	json_bool(f, "reachable", trouble->code == 0);
	if (trouble->code != 0)
		json_member(f, "reason", trouble->text);
	if (v->latency >= 0)
		fprintf(f, "\"latency_ms\":%.2f,", (double)v->latency / 1e6);
	json_bool(f, "read_only", v->read_only);
	json_bool(f, "delete", !v->read_only && v->options->remove);
	json_bool(f, "raw", v->options->raw);
	json_member(f, "replace", replace_word(v));
	json_bool(f, "stale", listing_stale(v));
	if (v->lost > 0)
		fprintf(f, "\"lost\":%u,", v->lost);
	if (v->doubtful > 0)
		fprintf(f, "\"in_doubt\":%u,", v->doubtful);
	if (more[0] != '\0')
		fprintf(f, "%s,", more);
	listing_report(f, v);
	counts_report(f, v);
	pthread_mutex_unlock(&v->lock);
}

static void session_report(FILE *f, struct session *s, struct volume *v)
{
	fprintf(f, "{\"kesfs\":1,\"version\":\"%s\",\"pid\":%d,\"parallel\":%s,", KESFS_VERSION, (int)getpid(),
	        s->parallel ? "true" : "false");
	if (v != NULL) {
		volume_report(f, v);
	} else {
		fprintf(f, "\"stores\":[");
		for (size_t i = 0; i < s->count; i++) {
			fprintf(f, "%s{", i > 0 ? "," : "");
			volume_report(f, s->volumes[i]);
			fputc('}', f);
		}
		fputc(']', f);
	}
	fprintf(f, "}\n");
}

/* What was written to f, moved to out. */
static int report_end(FILE *f, char **text, size_t *size, struct secret *out)
{
	/* Without memory at the end of all fclose() succeeds, and there is no text. */
	bool whole = f != NULL && ferror(f) == 0;
	int r = (f != NULL && fclose(f) != 0) || !whole || *text == NULL ? -ENOMEM : secret_append(out, *text, *size);

	free(*text);
	return r;
}

int report_status(struct session *s, struct volume *v, struct secret *out)
{
	char *text = NULL;
	size_t size = 0;
	FILE *f = open_memstream(&text, &size);

	if (f != NULL)
		session_report(f, s, v);
	return report_end(f, &text, &size, out);
}

int report_refresh(struct volume *v, struct secret *out)
{
	char line[64];

	pthread_mutex_lock(&v->lock);
	int code = v->listing.failure.code != 0 ? v->listing.failure.code : v->listing.running ? ETIMEDOUT : 0;
	snprintf(line, sizeof line, "%zu name%s\n", v->tree.stored, v->tree.stored == 1 ? "" : "s");
	pthread_mutex_unlock(&v->lock);
	return code != 0 ? -code : secret_append_text(out, line);
}

/* 0 or -ENOMEM. */
static int value_report(FILE *f, const struct request *r)
{
	struct key_info info = { 0 };
	struct error why = ERROR_INIT;
	enum key_kind kind = key_parse(&r->value, &info, &why);

	fprintf(f, "\"size\":%zu,", r->value.len);
	if (kind == KEY_UNCHECKED)
		return -ENOMEM;
	json_member(f, "state", kind == KEY_VALID ? "valid" : kind == KEY_FOREIGN ? "foreign" : "damaged");
	if (kind != KEY_VALID) {
		json_member(f, "reason", why.text);
		return 0;
	}
	json_member(f, "format", info.json ? "json" : "protobuf");
	json_member(f, "algorithm", info.algorithm);
	if (info.has_created)
		json_time(f, "created", info.created);
	if (info.created_by[0] != '\0')
		json_member(f, "created_by", info.created_by);
	json_bool(f, "hmac", info.has_hmac);
	return 0;
}

int report_key(const struct request *r, struct secret *out)
{
	char *text = NULL;
	size_t size = 0;
	FILE *f = open_memstream(&text, &size);
	int checked = 0;

	if (f != NULL) {
		fprintf(f, "{");
		if (r->volume->caps & BACKEND_READ)
			checked = value_report(f, r);
		json_time(f, "stored", r->entry.created);
		json_time(f, "changed", r->entry.changed);
		json_member(f, "store", r->volume->store.label);
		fprintf(f, "\"name\":");
		json_text(f, r->name);
		fprintf(f, "}\n");
	}
	int made = report_end(f, &text, &size, out);
	return checked != 0 ? checked : made;
}
