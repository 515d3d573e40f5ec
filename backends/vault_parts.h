/* SPDX-License-Identifier: Apache-2.0
 *
 * What the parts of the Vault and OpenBao module share (keystores.md 7).  Others include vault.h. */
#ifndef KESFS_BACKENDS_VAULT_PARTS_H
#define KESFS_BACKENDS_VAULT_PARTS_H

#include <pthread.h>
#include <stdatomic.h>

#include "backends/backend.h"
#include "backends/http.h"
#include "backends/json.h"
#include "backends/once.h"
#include "backends/text.h"
#include "backends/token.h"
#include "backends/vault.h"

enum vault_login_kind { VAULT_LOGIN_TOKEN, VAULT_LOGIN_APPROLE, VAULT_LOGIN_KUBERNETES, VAULT_LOGIN_CERT };

enum { VAULT_VALUE_MAX = 512 * 1024 };        /* an entry on Consul; integrated storage takes 1 MiB */

struct vault_login {
	enum vault_login_kind kind;
	char *engine;                 /* "approle" */
	char *namespace;              /* NULL: the root */
	char *role;                   /* Kubernetes, certificate; may be NULL */
	struct secret id;             /* AppRole's role id */
	struct secret secret;         /* its secret id, the JWT, or the token, unless it is in a file */
	char *file;                   /* read anew at each login */
};

/* Is a token that got a 403 still good?  Many callers get one at the same time, and one question answers them all. */
struct vault_doubt {
	pthread_mutex_t lock;         /* guards the rest */
	pthread_cond_t cond;
	bool running;
	uint64_t begun, ended;        /* questions, counted */
	int answer;                   /* of the last one that ended: see vault_auth.c */
	uint64_t generation;          /* the token that it was about */
	struct error err;
	int works;                    /* the question that has worked for this login: a 403 to it means a dead token */
	uint64_t blind;               /* of this token we cannot know; it was new when it was refused ... */
	int64_t blind_until;          /* ... so that until then a 403 means the policy */
};

struct backend {
	struct http *http;
	struct token *token;
	char *base;                   /* "https://host:8200", with the path of a proxy if there is one */
	char *data, *metadata;        /* "kv/data/kes" and "kv/metadata/kes"; equal on KV v1 */
	char *engine;                 /* "kv" */
	char *namespace;              /* NULL: the root */
	bool v2, write;               /* write: opened for it */
	struct vault_login login;
	char *transit, *transit_key;  /* NULL: values are not wrapped */
	struct vault_doubt doubt;

	struct once engine_known;             /* the engine is there, and of the right kind and version */
	struct once transit_known;            /* the key is there, or it may not be asked */

	atomic_bool sealed;
	atomic_bool barred;           /* the login may not even ask for the engine */
	atomic_bool leaderless;       /* of late a standby knew no leader, or one that was gone */
	atomic_bool unproved;         /* a fixed token whose policy does not let us see whether it is still good */
	atomic_llong token_expires;   /* seconds since 1970; 0: not known, or never */
	atomic_llong login_done;      /* when the token was made for us; 0: it comes from the configuration */
	int64_t first_lease;          /* ns; the token's thread only */

	pthread_mutex_t lock;         /* guards the rest */
	char *leader;                 /* where a standby sent us, like base */
	int64_t leader_until;
	char *cluster;                /* its id, or NULL */
};

enum vault_namespace { VAULT_NS_STORE, VAULT_NS_LOGIN, VAULT_NS_NONE };

/* One question to Vault, and what to say when it is refused. */
struct vault_ask {
	const char *method;
	const char *path;             /* below /v1/, as a policy writes it; escaped on the way out */
	const char *query;            /* "version=1", or NULL */
	const struct secret *body;
	bool change;
	bool harmless;                /* a change that does no harm when it is done twice */
	bool plain;                   /* a 403 is no reason to doubt the token */
	bool patient;                 /* plain, but not while the token is young: much hangs on the answer */
	enum vault_namespace ns;
	enum retry_verdict (*judge)(const struct http_reply *reply, void *arg);  /* NULL: vault_judge() */
	const struct http_sink *sink;
	const char *doing, *name;     /* "reading", "my-key": "reading key 'my-key'"; without name: "listing kv/" */
	const char *needs;            /* the capability: "read" */
};

/* vault_ask.c: 0 for a 2xx answer; else -errno with a sentence, and *ret the answer if there was one (status 0:
 * none).  -EINPROGRESS: a change that may have been done; also when a standby sends us to its leader, since it says the
 * same after it has forwarded the change and heard no answer. */
int vault_ask(struct backend *b, const struct call *c, const struct vault_ask *a, struct http_reply *ret,
              struct error *err);
/* The same with this token, or none; 0 whatever the status. */
int vault_send(struct backend *b, const struct call *c, const struct vault_ask *a, const struct secret *token,
               struct http_reply *ret, struct error *err);
int vault_json(struct backend *b, const struct vault_ask *a, const struct http_reply *reply, struct json **ret,
               struct error *err);
/* "kv/data/kes/NAME", malloc'd; NULL: no memory. */
char *vault_path(const char *folder, const char *name);

/* vault_error.c */
int vault_classify(struct backend *b, const struct vault_ask *a, const struct http_reply *reply, struct error *err);
bool vault_reply_says(const struct http_reply *reply, const char *text);
/* What an answer means for a repetition (http_request.judge). */
enum retry_verdict vault_judge(const struct http_reply *reply, void *arg);
/* The texts of {"errors":[...]} or {"warnings":[...]}, else what http_reply_say() says. */
void vault_say(const struct http_reply *reply, char *buf, size_t size);

/* vault_auth.c */
extern const struct token_ops vault_token_ops;
/* Just logged in: a server that did not do it itself (a performance standby) may not know the token yet. */
bool vault_token_young(struct backend *b, uint64_t generation);
/* A request with the token of that generation got a 403.  0: the token is good, so the policy refuses, unless it was
 * sent while the token was young.
 * -EKEYREJECTED: the token is dead, or may be; fresh: it was just logged in, so this is not said twice. */
int vault_doubt_token(struct backend *b, const struct call *c, const struct secret *token, uint64_t generation,
                      bool fresh, struct error *err);
/* token_get(), with a better sentence. */
int vault_token(struct backend *b, const struct call *c, struct secret *ret, uint64_t *ret_generation,
                struct error *err);
/* Prove that the login works, if it is not newer than the token of that generation. */
int vault_prove(struct backend *b, const struct call *c, uint64_t since, struct error *err);

/* vault_kv.c */
int vault_get(struct backend *b, const struct call *c, const char *name, struct secret *out, struct error *err);
int vault_stat(struct backend *b, const struct call *c, const char *name, backend_emit *emit, void *arg,
               struct error *err);

/* vault_write.c */
int vault_create(struct backend *b, const struct call *c, const char *name, const struct secret *val,
                 struct error *err);
int vault_replace(struct backend *b, const struct call *c, const char *name, const struct secret *old,
                  const struct secret *val, struct error *err);
int vault_remove(struct backend *b, const struct call *c, const char *name, struct error *err);

/* vault_transit.c: the text that is stored for a value, and the value of such a text (moved into *out). */
int vault_wrap(struct backend *b, const struct call *c, const char *name, const struct secret *val, struct secret *out,
               struct error *err);
int vault_unwrap(struct backend *b, const struct call *c, const char *name, struct secret *text, struct secret *out,
                 struct error *err);

/* vault_list.c */
int vault_list(struct backend *b, const struct call *c, const char *prefix, char **cursor, backend_emit *emit,
               void *arg, struct error *err);

/* vault_probe.c: status, identity, and what the login may do. */
int vault_status(struct backend *b, const struct call *c, struct error *err);
int vault_identity(struct backend *b, const struct call *c, char **ret, struct error *err);
/* Does the policy grant the capability on the path?  -EACCES: that may not be asked. */
int vault_may(struct backend *b, const struct call *c, const char *path, const char *capability, bool *ret,
              struct error *err);
int vault_probe(struct backend *b, const struct call *c,
                void (*say)(bool may, const char *what, const char *sentence, void *arg), void *arg, struct error *err);

#endif
