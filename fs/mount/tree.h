/* SPDX-License-Identifier: Apache-2.0
 *
 * What the kernel can hold on to: inodes, and the table of names of one store.  Everything here is guarded by the
 * lock of the volume that a node belongs to. */
#ifndef KESFS_FS_MOUNT_TREE_H
#define KESFS_FS_MOUNT_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

struct staged;
struct volume;

enum node_kind {
	NODE_ROOT,                    /* of a mount of several stores */
	NODE_STORE,                   /* the directory of one store; the root where only one is mounted */
	NODE_KEY,
	NODE_TEMPORARY,               /* a name that begins with a dot: in memory only */
	NODE_CONTROL, NODE_STATUS, NODE_REFRESH, NODE_KEYS,     /* .kesfs and what is in it */
	NODE_INFO,                    /* .kesfs/keys/NAME */
};

struct node_attributes {              /* what chmod, chown and utimens set: kept here, never sent */
	bool mode_set, uid_set, gid_set, mtime_set;
	mode_t mode;
	uid_t uid;
	gid_t gid;
	struct timespec mtime;
	int64_t changed;              /* the store's time of change that mtime was set for; -1: not known yet */
};

struct node {
	struct volume *volume;        /* NULL: of a mount of several stores as a whole */
	char *name;
	struct node *next;            /* in its bucket */
	struct node *older, *newer;   /* in the order of the names, or among the orphans */
	enum node_kind kind;
	bool file;                    /* a key or temporary, of which one becomes the other; never changes */
	bool fixed;                   /* part of a volume or of the session: never freed by itself */
	bool linked;                  /* in the table */
	bool stored;                  /* in the store, as far as we know */
	bool size_known;
	uint32_t mark;                /* the last listing that had it */
	unsigned opens;               /* handles and requests that point here */
	uint64_t lookups;             /* what the kernel may still forget */
	uint64_t ino;                 /* shown to users: a hash, so that it is the same after a remount */
	int64_t touched;              /* monotonic time of our own last change or check: older listings do not count */
	int64_t asked;                /* monotonic: the store was asked for this one name, and stored is what it said; 0: it was not */
	int64_t size;
	int64_t created, changed;     /* as the store says, -1: unknown */
	int64_t seen;                 /* first sight by this mount */
	struct node_attributes *local;
	struct staged *staged;        /* bytes being written; its own count */
};

struct node_list {
	struct node *oldest, *newest;
};

struct tree {
	struct node **buckets;
	size_t bucket_count, count;
	struct node_list names;       /* those in the table, as they became known: a listing comes sorted */
	struct node_list orphans;     /* without a name, still known to the kernel or a handle */
	size_t stored;                /* nodes that are keys in the store */
};

int tree_init(struct tree *t);
void tree_clear(struct tree *t);
/* A name of the store, whether key or temporary; info: its .kesfs/keys node. */
struct node *tree_find(struct tree *t, const char *name, bool info);
/* A new linked node; NULL: no memory.  The name must not be taken. */
struct node *tree_add(struct tree *t, struct volume *v, enum node_kind kind, const char *name);
/* Take the node from its name.  It lives on while the kernel or a handle knows it. */
void tree_unlink(struct tree *t, struct node *n);
/* Give a node a new name that must be free: a temporary one becomes a key.  The malloc'd name is taken over, so that
 * nothing can fail here. */
void tree_rename(struct tree *t, struct node *n, enum node_kind kind, char *name);
void tree_stored(struct tree *t, struct node *n, bool stored);
/* Free the node if nothing knows it any more. */
void node_settle(struct tree *t, struct node *n);
/* Call each() in the order in which the names became known; it may unlink and settle the node it is given. */
void tree_each(struct tree *t, void (*each)(struct tree *t, struct node *n, void *arg), void *arg);

uint64_t node_number(const struct volume *v, enum node_kind kind, const char *name);
int64_t node_mtime(const struct node *n);

#endif
