/* SPDX-License-Identifier: Apache-2.0
 *
 * What tests ask of the fake itself: POST /_fake with {"do": "..."}; tests/support/aws.py is its only client. */
#include "fake.h"

#include <stdlib.h>
#include <string.h>

enum { REMEMBERED = 512 };
static struct { char *operation; struct text request; } remembered[REMEMBERED];      /* the last ones, as JSON */
static size_t remembered_count;

void control_remember(const char *operation, const struct request *r)
{
	struct text *t = &remembered[remembered_count % REMEMBERED].request;

	remembered_count++;
	t->len = 0;
	text_put(t, "{\"operation\":");
	text_json(t, operation);
	text_put(t, ",\"headers\":{");
	for (size_t i = 0; i < r->header_count; i++) {
		text_put(t, i > 0 ? "," : "");
		text_json(t, r->headers[i].name);
		text_put(t, ":");
		text_json(t, r->headers[i].value);
	}
	text_put(t, "},\"body\":");
	text_json(t, r->body);
	text_put(t, "}");
}

static void seen(const cJSON *asked, struct answer *a)
{
	size_t from = remembered_count > REMEMBERED ? remembered_count - REMEMBERED : 0;

	text_put(&a->body, "[");
	for (size_t i = from; i < remembered_count; i++) {
		text_put(&a->body, i > from ? "," : "");
		text_put(&a->body, remembered[i % REMEMBERED].request.p);
	}
	text_put(&a->body, "]");
}

static const char *string(const cJSON *asked, const char *member)
{
	return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(asked, member));
}

static double number(const cJSON *asked, const char *member, double otherwise)
{
	const cJSON *n = cJSON_GetObjectItemCaseSensitive(asked, member);

	return cJSON_IsNumber(n) ? n->valuedouble : cJSON_IsBool(n) ? cJSON_IsTrue(n) : otherwise;
}

static void put(const cJSON *asked, struct answer *a)
{
	struct stored *s = secrets_make(string(asked, "name"));

	stored_set(s, string(asked, "value"), number(asked, "binary", 0) != 0, "11111111-0000-4000-8000-000000000000");
	s->created = s->changed;
	s->gone = false;
	s->owned = number(asked, "owned", 0) != 0;
}

/* Change what the service would not: how a secret shows, without any call. */
static void mark(const cJSON *asked, struct answer *a)
{
	struct stored *s = secrets_make(string(asked, "name"));
	double deleted_in = number(asked, "deleted_in", 0), unlisted = number(asked, "unlisted", 0);

	s->unread = (unsigned)number(asked, "unread", s->unread);
	if (deleted_in != 0)
		s->deleted = clock_now() + deleted_in;
	if (unlisted != 0)
		s->listed_from = clock_now() + unlisted;
}

static void stored(const cJSON *asked, struct answer *a)
{
	struct stored *s = secrets_find(string(asked, "name"));

	if (s == NULL)
		text_put(&a->body, "null");
	else
		text_printf(&a->body, "{\"unread\":%u,\"deleted\":%.3f,\"gone\":%s}", s->unread, s->deleted,
		            stored_alive(s) ? "false" : "true");
}

static void fail(const cJSON *asked, struct answer *a)
{
	service_fail(string(asked, "operation"), cJSON_GetObjectItemCaseSensitive(asked, "names"), string(asked, "what"),
	             string(asked, "message"), (int)number(asked, "status", 400), (unsigned)number(asked, "times", 1),
	             (unsigned)number(asked, "skip", 0));
}

static void know(const cJSON *asked, struct answer *a)
{
	double seconds = number(asked, "seconds", 0);

	identity_know(string(asked, "id"), string(asked, "secret"), string(asked, "token"),
	              seconds != 0 ? clock_now() + seconds : 0);
}

static void forget(const cJSON *asked, struct answer *a)
{
	identity_forget_all();
}

static void set(const cJSON *asked, struct answer *a)
{
	const cJSON *rates = cJSON_GetObjectItemCaseSensitive(asked, "rates"), *rate;
	double preload = number(asked, "preload", -1);

	settings.delay = number(asked, "delay", settings.delay);
	settings.quotas = number(asked, "quotas", settings.quotas) != 0;
	settings.burst = number(asked, "burst", settings.burst);
	settings.list_lag = number(asked, "list_lag", settings.list_lag);
	settings.forced_hold = number(asked, "forced_hold", settings.forced_hold);
	settings.clock = number(asked, "clock", settings.clock);
	settings.page = (int)number(asked, "page", settings.page);
	if (preload >= 0)
		secrets_preload((size_t)preload);
	cJSON_ArrayForEach(rate, rates) {
		struct quota *q = quota_find(rate->string);
		if (q != NULL)
			*q = (struct quota){ .operation = q->operation, .rate = rate->valuedouble, .shared = q->shared };
	}
}

static void calls(const cJSON *asked, struct answer *a)
{
	text_put(&a->body, "{");
	for (size_t i = 0; i < quota_count; i++)
		text_printf(&a->body, "%s\"%s\":[%lu,%lu]", i > 0 ? "," : "", quotas[i].operation, quotas[i].calls,
		            quotas[i].throttled);
	text_put(&a->body, "}");
}

static void values(const cJSON *asked, struct answer *a)
{
	secrets_values(&a->body);
}

static const struct {
	const char *name;
	void (*run)(const cJSON *asked, struct answer *a);
} commands[] = {
	{ "put", put }, { "mark", mark }, { "stored", stored }, { "values", values }, { "fail", fail }, { "know", know },
	{ "forget", forget }, { "set", set }, { "calls", calls }, { "seen", seen },
};

void control_answer(const struct request *r, struct answer *a)
{
	cJSON *asked = cJSON_ParseWithLength(r->body, r->body_len);
	const char *what = string(asked, "do");

	a->at_once = true;
	a->status = 400;
	for (size_t i = 0; what != NULL && i < sizeof commands / sizeof *commands; i++)
		if (strcmp(commands[i].name, what) == 0) {
			a->status = 200;
			commands[i].run(asked, a);
			if (a->body.len == 0)
				text_put(&a->body, "{}");
		}
	cJSON_Delete(asked);
}
