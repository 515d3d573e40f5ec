/* SPDX-License-Identifier: Apache-2.0
 *
 * What a key management service must do to appear as a directory.
 *
 * Functions return 0, or -errno with *err holding one sentence: which service, which key, why, what to do; no
 * secret.  The module chooses the errno, since only it knows what its service meant; one table in error.c turns
 * it into what FUSE answers, the exit status, and whether a try may be repeated:
 *   ENOENT no such key       EEXIST taken              EACCES refused         EKEYREJECTED login refused
 *   EPERM the service forbids it (purge protection)    EINVAL name            ENAMETOOLONG   EFBIG value
 *   EBUSY name blocked by a pending deletion           EAGAIN throttled       ETIMEDOUT      EHOSTUNREACH
 *   ENOKEY sealed            ESTALE changed meanwhile  EBADMSG stored value cannot be decoded
 *   ENOMSG what is stored there is no key at all, as seen before looking at any value (another program's entry)
 *   ENOSPC  EROFS  ENOMEM  EMFILE  EIO                 ECANCELED              EPROTO an answer we cannot read
 *   EINPROGRESS it may or may not have been done, and cannot be read back
 *   ENOTRECOVERABLE the old value was removed and neither the new nor the old could be put there (exit status 8)
 * In doubt EPROTO, never ENOENT.  Outputs are written on success only.  The caller checks names in both directions
 * (fs/name.h).
 *
 * open() and close() run alone; the rest run at once, on one handle, from any thread.  A lock may cover reading or
 * swapping a token, never a network call.  Every call ends by its deadline. */
#ifndef KESFS_BACKENDS_BACKEND_H
#define KESFS_BACKENDS_BACKEND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "backends/call.h"
#include "backends/error.h"
#include "backends/secret.h"

struct backend;                               /* private to each module */
struct config_map;

enum backend_caps {
	BACKEND_READ      = 1u << 0,          /* get() exists; without it no source and no verification (KES server) */
	BACKEND_WRITE     = 1u << 1,          /* create() and remove() can ever succeed */
	BACKEND_REPLACE   = 1u << 2,          /* replace() is one atomic step; without it there is a gap, see replace.h */
	BACKEND_RACY      = 1u << 3,          /* the service has no create-if-absent: create() looks first (KV v1, Azure) */
	BACKEND_TOMBSTONE = 1u << 4,          /* a removed name stays taken for a while */
	BACKEND_LOCAL     = 1u << 5,          /* never waits for a network: may be called where waiting is forbidden */
	BACKEND_SIZES     = 1u << 6,          /* stat() knows the true size for free */
	BACKEND_CASELESS  = 1u << 7,          /* names that differ only in case are one key (Azure) */
	BACKEND_LAGGING   = 1u << 8,          /* list() may lack what was created, and show what was removed, of late (AWS) */
	BACKEND_SYNCS     = 1u << 9,          /* a change waits for a disk: many at once cost little more than one */
};

enum entry_flags {                            /* emitted all the same: the caller counts and names them */
	ENTRY_FOLDER  = 1,
	ENTRY_DELETED = 2,
	ENTRY_FOREIGN = 4,                    /* cannot be a key: a socket, a dot file, ... */
	ENTRY_SYMLINK = 8,                    /* a directory's symbolic link: never followed, but KES would read it */
};

struct backend_entry {                        /* lent for the length of one emit() */
	const char *name;
	int64_t created, changed;             /* seconds since 1970, or -1: ask stat() */
	int64_t size;                         /* bytes, or -1 */
	unsigned flags;
};
typedef bool backend_emit(const struct backend_entry *e, void *arg);

struct backend_options {                      /* what the user allows, beyond the configuration file */
	unsigned in_flight;                   /* requests at once, at most; 0: the module's own choice */
	double per_second;                    /* 0: no limit but the service's */
	bool write;
	bool create_store;                    /* make it if it is missing; close() removes what stayed empty */
	int recovery_days;                    /* a removed key can be restored so long, where the service can do that; 0: the
	                                       * module's own choice, -1: gone at once */
	/* What the user should hear as soon as it is known, such as a clock that is off; from any thread.  NULL: nobody
	 * listens. */
	void (*warn)(const char *sentence, void *arg);
	void *warn_arg;
};

struct backend_counts {                       /* for the summary and .kesfs/status; since open() */
	uint64_t requests, retries, throttled;
	int64_t throttled_ns;                 /* time that throttling held us back */
	unsigned window;                      /* requests in flight, at most, that the module thinks good now; 0: any */
};

struct backend_ops {
	const char *name, *summary;           /* "vault", and a line for --help */
	unsigned caps;                        /* what the service can do; our token may be allowed less */
	size_t name_max, value_max;
	bool (*name_ok)(const char *name);    /* NULL: the common rule is enough */

	/* Read the store's section, send nothing.  The caller owns *ret and hands it to close(), which wipes, frees,
	 * and accepts NULL. */
	int  (*open)(const struct config_map *cfg, const struct backend_options *o, struct backend **ret, struct error *err);
	void (*close)(struct backend *b);
	/* What the user should hear before the first call, such as settings that a KES server obeys and we do not.
	 * NULL: nothing. */
	void (*notice)(struct backend *b, void (*warn)(const char *sentence, void *arg), void *arg);
	/* What this handle can really do, once status() has succeeded: ops->caps narrowed or widened by the
	 * configuration (KV v1 against v2).  NULL: ops->caps. */
	unsigned (*caps_now)(struct backend *b);
	/* Could a read succeed now?  Goes to the service and proves who we are.  The others do not rely on it: list() and
	 * probe() may be called before it has answered. */
	int (*status)(struct backend *b, const struct call *c, struct error *err);
	/* A malloc'd text that is equal for two handles exactly if they hold the same keys, whatever way each was
	 * addressed (device and inode of a directory; cluster id, namespace, engine and prefix of a Vault).  May ask
	 * the service. */
	int (*identity)(struct backend *b, const struct call *c, char **ret, struct error *err);
	/* Emit one page, in any order.  prefix is a hint: more may come.  *cursor is NULL at first; the module replaces it
	 * by a malloc'd mark, by NULL after the last page.  emit() returns false to stop and never calls back in.  After a
	 * page that failed half-way names may come again: the caller removes duplicates.  -ESTALE: start again. */
	int (*list)(struct backend *b, const struct call *c, const char *prefix, char **cursor,
	            backend_emit *emit, void *arg, struct error *err);
	/* Emit the one entry, without its value.  NULL where the service has no such call. */
	int (*stat)(struct backend *b, const struct call *c, const char *name, backend_emit *emit, void *arg, struct error *err);
	/* Fill the empty *out with exactly the bytes that were stored, as a KES server would read them. */
	int (*get)(struct backend *b, const struct call *c, const char *name, struct secret *out, struct error *err);
	/* Create if absent, as decided by the service: of two hosts racing one gets 0, the other -EEXIST.  Looking first is
	 * a bug unless BACKEND_RACY.  Answer lost, or "exists" after any doubt?  Read back: our bytes mean 0, others -EEXIST. */
	int (*create)(struct backend *b, const struct call *c, const char *name, const struct secret *val, struct error *err);
	/* old is what the caller saw: another value there now is -ESTALE; old is what is put back if the new one fails. */
	int (*replace)(struct backend *b, const struct call *c, const char *name, const struct secret *old,
	               const struct secret *val, struct error *err);
	int (*remove)(struct backend *b, const struct call *c, const char *name, struct error *err);
	/* Emit sentences on what this login may do ("may list", "may not create: the policy needs ..."), found out
	 * without writing; for kesfs --probe and the plan.  say() gets true for "may"; what ends in '?' where that is not
	 * known ("read?").  NULL: nothing to say. */
	int (*probe)(struct backend *b, const struct call *c,
	             void (*say)(bool may, const char *what, const char *sentence, void *arg), void *arg, struct error *err);
	/* JSON members about the store's state for .kesfs/status, appended to buf without outer braces, such as
	 * "\"sealed\":false,\"token_expires\":123"; never a network call.  NULL: none. */
	void (*describe)(struct backend *b, char *buf, size_t size);
	void (*counts)(struct backend *b, struct backend_counts *ret);    /* NULL: zero */
};

#endif
