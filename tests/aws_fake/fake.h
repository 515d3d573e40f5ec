/* SPDX-License-Identifier: Apache-2.0
 *
 * A fake of AWS Secrets Manager: keystores.md 8 as a service that answers tens of thousands of requests a second, with
 * AWS's quotas, delays, lagging lists, deletions and failures on request.  One thread, plain http.  It was written from
 * AWS's documents and proved with AWS's own client (tests/aws/test_fake.py), and knows nothing of our module.
 *
 * It is a test program: without memory it ends. */
#ifndef KESFS_TESTS_AWS_FAKE_H
#define KESFS_TESTS_AWS_FAKE_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- text.c: bytes that grow ---- */

struct text {
	char *p;                      /* ends with a zero byte that does not count, once there is anything */
	size_t len, cap;
};
void text_add(struct text *t, const char *p, size_t len);
void text_put(struct text *t, const char *s);
void text_printf(struct text *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
void text_json(struct text *t, const char *s);        /* with quotes */
void text_free(struct text *t);

/* ---- http.c: connections, and answers that come after a delay ---- */

struct request {
	char *method, *path;          /* the path without scheme and host, which a proxy's client sends */
	struct { char *name, *value; } headers[48];    /* names in lower case, values trimmed */
	size_t header_count;
	char *body;
	size_t body_len;
};
const char *request_header(const struct request *r, const char *name);        /* NULL: none */

enum fate { ANSWER, CLOSE };  /* CLOSE: the connection ends without an answer */

struct answer {
	int status;
	struct text body;
	enum fate fate;
	bool at_once;                 /* not delayed: what tests ask of the fake itself */
};

/* Serve for ever on a listening socket. */
void http_serve(int listener);
double clock_now(void);               /* seconds since 1970 */
double clock_elapsed(void);           /* monotonic seconds */

/* ---- secrets.c: what is stored ---- */

struct stored {
	char *name;
	char *value;                  /* the string, or base64 of the bytes */
	bool binary, owned;           /* owned: by another service of AWS */
	bool gone;                    /* there is no such secret, or not any more */
	double created, changed;
	double deleted;               /* when the recovery window ends; 0: not deleted */
	double held_until;            /* of a forced deletion: until then the name is taken */
	double listed_from, unlisted_from;    /* a list shows it only then; 0: at once, never */
	unsigned unread;              /* so many reads say "not found" first */
	char token[72], previous[72]; /* the versions that have AWSCURRENT and AWSPREVIOUS */
};

void secrets_preload(size_t count);   /* names key-0000000 and so on, values computed when asked for */
struct stored *secrets_find(const char *name);        /* NULL: never heard of */
struct stored *secrets_make(const char *name);        /* found, or new and gone */
void stored_set(struct stored *s, const char *value, bool binary, const char *token);
/* Is it there for anybody who asks now?  A forced deletion that has ended is noticed here. */
bool stored_alive(struct stored *s);
/* The n-th name in the order of listings; NULL: passed over.  *ret_more: n is not beyond the end. */
const struct stored *secrets_at(size_t n, double now, bool planned, bool *ret_more);
void secrets_values(struct text *out);        /* {name: value} of those that were put or created, and live */

/* ---- identity.c: who asks ---- */

void identity_know(const char *id, const char *secret, const char *token, double expires);    /* NULL: without; 0: never */
void identity_forget_all(void);
/* NULL: signed as it must be by somebody known.  Else the code of the refusal, and its words. */
const char *identity_check(const struct request *r, double now, const char **ret_message);

/* ---- quota.c: token buckets ---- */

/* How often the operation was called, and refused. */
struct quota {
	const char *operation;
	double rate;                  /* a second */
	unsigned long calls, throttled;
	double tokens, filled_at;
	int shared;                   /* index of the one whose bucket this one drinks from */
};
extern struct quota quotas[];
extern const size_t quota_count;
struct quota *quota_find(const char *operation);
bool quota_take(struct quota *q, double now);

/* ---- service.c ---- */

extern struct settings {
	double delay;                 /* seconds before each answer leaves */
	bool quotas;
	double burst;                 /* seconds' worth of a quota that a bucket holds */
	double list_lag;              /* seconds until a list shows a change */
	double forced_hold;           /* seconds for which a forced deletion holds the name */
	double clock;                 /* seconds that the service is ahead */
	int page;                     /* most names in a page of a list */
} settings;

void service_answer(const struct request *r, struct answer *a);
/* The next calls of operation (NULL: any) for one of names (NULL: any) fail, after `skip` good ones. */
void service_fail(const char *operation, const cJSON *names, const char *what, const char *message, int status,
                  unsigned times, unsigned skip);

/* ---- control.c: what tests ask of the fake itself ---- */

void control_answer(const struct request *r, struct answer *a);
void control_remember(const char *operation, const struct request *r);

#endif
