/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of the AWS module share.  Facts: keystores.md sections 8 and 9. */
#ifndef KESFS_BACKENDS_AWS_PARTS_H
#define KESFS_BACKENDS_AWS_PARTS_H

#include <stdatomic.h>

#include "backends/backend.h"
#include "backends/http.h"
#include "backends/json.h"
#include "backends/once.h"
#include "backends/text.h"
#include "backends/token.h"


/* ---- who we are (aws_credentials.c) ---- */

struct aws_credentials {
	char id[160];                 /* the access key ID, which is no secret */
	struct secret secret, token;
	int64_t expires;              /* seconds since 1970; 0: not known */
};
#define AWS_CREDENTIALS(name) __attribute__((cleanup(aws_credentials_wipe))) struct aws_credentials name = { .expires = 0 }
void aws_credentials_wipe(struct aws_credentials *c);

/* What the configuration file says of it; the rest is the environment's.  Texts are owned. */
struct aws_login {
	char *id, *profile, *role_arn, *external_id, *region;
	struct secret secret, token;
	struct http *services;        /* STS, through proxies */
	struct http *metadata;        /* of this machine or container, never through a proxy */
};

/* The chain of keystores.md 9.1, then the role if there is one.  *from says which step it was, in static words.
 * -EKEYREJECTED with a sentence that names the step that was tried, or all that were not there. */
int aws_credentials_find(struct aws_login *l, const struct call *c, struct aws_credentials *ret, const char **from,
                         struct error *err);
/* Steps of it.  1: this step is not configured here. */
int aws_profile_read(struct aws_login *l, const struct call *c, const char *profile, int depth, struct aws_credentials *ret,
                     struct error *err);
/* The answer of the command line of a credential_process; needs an err. */
int aws_process_run(const struct call *c, const char *profile, const char *line, struct aws_credentials *ret, struct error *err);
int aws_metadata_container(struct aws_login *l, const struct call *c, struct aws_credentials *ret, struct error *err);
int aws_metadata_instance(struct aws_login *l, const struct call *c, struct aws_credentials *ret, struct error *err);
int aws_sts_web_identity(struct aws_login *l, const struct call *c, const char *role, const char *file, struct aws_credentials *ret,
                         struct error *err);
int aws_sts_assume(struct aws_login *l, const struct call *c, const struct aws_credentials *base, const char *role,
                   const char *external_id, struct aws_credentials *ret, struct error *err);

/* The number of the account that who belongs to. */
int aws_sts_account(struct aws_login *l, const struct call *c, const struct aws_credentials *who, char *buf, size_t size,
                    struct error *err);

/* Seconds since 1970 of an RFC 3339 time in UTC; 0: none. */
int64_t aws_time(const char *text);

/* ---- the store ---- */

struct backend {
	struct http *http;
	struct token *token;          /* holds a whole set of credentials: aws_credentials_pack() */
	struct aws_login login;
	char *url, *host, *region, *kmskey;
	int recovery_days;            /* 0: none, gone at once */
	_Atomic int64_t skew;         /* seconds that the service's clock is ahead of ours */
	atomic_bool skew_said;
	void (*warn)(const char *sentence, void *arg);        /* NULL: nobody listens */
	void *warn_arg;
	_Atomic(const char *) from;   /* which step of the chain gave the credentials */
	atomic_llong expires;         /* of them; 0: not known */
	struct once looked;           /* a listing was allowed; account says whose secrets they are, "" if there are none */
	pthread_mutex_t lock;         /* of the account */
	char account[32];
};

extern const struct token_ops aws_token_ops;
int aws_credentials_unpack(const struct secret *packed, struct aws_credentials *ret);   /* what the token holds */

enum { AWS_PACES = 6 };
extern const double aws_paces[AWS_PACES];     /* requests a second, by operation */

struct aws_ask {
	const char *operation;        /* "GetSecretValue" */
	const struct secret *body;
	const char *name;             /* of the key, for sentences; NULL: none */
	const char *doing;            /* "reading" */
	bool change;                  /* once begun it is finished: a wish to stop is not obeyed any more */
};

/* The answer to one operation, signed, repeated while that is safe: every change here carries a token by which the
 * service knows a repetition, or may be done twice.  0: *ret is the 2xx answer.  Else the errno that its code means. */
int aws_ask(struct backend *b, const struct call *c, const struct aws_ask *a, struct http_reply *ret, struct error *err);
int aws_json(struct backend *b, const struct aws_ask *a, const struct http_reply *reply, struct json **ret, struct error *err);
/* What follows the last '#' and precedes the first ':' of the error's code, "" if it has none. */
void aws_code(const struct http_reply *reply, char *buf, size_t size);
/* Does the text of the refusal speak of a deletion that is under way? */
bool aws_is_deleting(const struct http_reply *reply);

int aws_get(struct backend *b, const struct call *c, const char *name, struct secret *out, struct error *err);
int aws_list(struct backend *b, const struct call *c, const char *prefix, char **cursor, backend_emit *emit, void *arg,
             struct error *err);
int aws_stat(struct backend *b, const struct call *c, const char *name, backend_emit *emit, void *arg, struct error *err);
int aws_create(struct backend *b, const struct call *c, const char *name, const struct secret *val, struct error *err);
int aws_replace(struct backend *b, const struct call *c, const char *name, const struct secret *old,
                const struct secret *val, struct error *err);
int aws_remove(struct backend *b, const struct call *c, const char *name, struct error *err);

/* DescribeSecret, parsed.  -ENOENT: there is no such secret. */
int aws_describe_secret(struct backend *b, const struct call *c, const char *name, struct json **ret, struct error *err);

#endif
