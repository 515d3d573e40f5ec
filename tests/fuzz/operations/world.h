/* SPDX-License-Identifier: Apache-2.0
 *
 * One mount in one process, without threads, clock and kernel: the true code of fs/mount and the true libfuse between a
 * kernel and a store that are ours, so that a sequence of operations happens the same way every time.
 *
 *   kernel.c   speaks the FUSE protocol; remembers what a kernel remembers
 *   store.c    a store in memory that fails on request, and lets other operations happen in the middle of its calls
 *   stubs.c    instead of threads, clock, log and /proc
 *   model.c    what a mount should do
 *   model/     the same, one noun per file: operation, node, file, handle, ...
 *
 * fuzz_operations.c makes operations out of bytes and holds mount and model against each other after each. */
#ifndef KESFS_TESTS_FUZZ_OPERATIONS_WORLD_H
#define KESFS_TESTS_FUZZ_OPERATIONS_WORLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fs/mount/openers.h"
#include "fs/mount/options.h"

enum {
	NAMES = 4,                    /* of which the first KEYS can be keys */
	KEYS = 2,
	LIMIT = 600,                  /* bytes in a value */
};
extern const char *const names[NAMES];
int name_index(const char *name);             /* aborts on a name that nobody gave */

struct bytes {
	size_t len;
	unsigned char at[LIMIT];
};
bool bytes_same(const struct bytes *a, const struct bytes *b);

/* Aborts with a line on stderr. */
#define CHECK(condition) ((condition) ? (void)0 : world_fail(__FILE__, __LINE__, #condition))
_Noreturn void world_fail(const char *file, int line, const char *condition);

/* --- what is asked of a mount ------------------------------------------------------------------------------------ */

enum op_kind {
	OP_LOOKUP, OP_CREATE, OP_OPEN, OP_WRITE, OP_READ, OP_RESIZE, OP_GETATTR, OP_FLUSH, OP_FSYNC, OP_RELEASE, OP_UNLINK,
	OP_RENAME,
	OP_RESTORE, OP_LISTING,       /* the mount's own */
};
enum store_call { CALL_NONE, CALL_GET, CALL_STAT, CALL_LIST, CALL_CREATE, CALL_REPLACE, CALL_REMOVE };

struct node;
struct file;
struct held;
struct handle_;

struct op {
	enum op_kind kind;
	int name, new_name;
	unsigned flags;               /* of open, create, rename */
	unsigned pid;
	uint64_t owner;
	size_t offset, size;
	struct bytes data;            /* to be written, or what a read should find */
	struct node *node;
	struct handle_ *handle;
	enum openers openers;         /* what /proc would say */

	/* The kernel's side. */
	uint64_t unique;
	bool answered;
	int error;                    /* as answered */
	bool interrupted, heard;

	/* The model's side. */
	bool done;                    /* an answer is due */
	int result;                   /* this one */
	int other;                    /* or this one; 0: none */
	enum { AT_REST, WAITING, QUEUED, RUNNING } state;
	struct op *next;              /* in the queue, or among the commits of a file */
	bool commits;                 /* a flush, fsync or nobody's: puts the bytes of file into the store */
	bool empties;                 /* a flush without data: who else has the file open? */
	bool fresh_listing;
	struct file *file;
	struct held *held;
	unsigned asked, generation;
	struct bytes value, old;
	bool found, sent, loaded;
	int failed;                   /* errno so far */
	struct {                      /* the call of the store that must come next */
		enum store_call call;
		int name;
		struct bytes value, old;
	} want;
	struct op *all;               /* every op of this input */
};

struct handle_ {                      /* an open file of the kernel */
	struct node *node;
	struct file *file;            /* the model's; NULL: reads a key */
	struct bytes value;
	uint64_t fh;
	bool writes, append, open;
	struct handle_ *next;
};

struct world {
	struct mount_options options;
	bool local, read_only, ending;
	struct op *ops;               /* all, newest first */
	struct handle_ *handles;
	struct node *dentries[NAMES]; /* what the kernel believes in */
	struct op *running;           /* whose call of the store is under way */
};
extern struct world world;

/* --- kernel.c ---------------------------------------------------------------------------------------------------- */

void kernel_start(void);
void kernel_send(struct op *op);              /* the answer may be there when it returns */
void kernel_interrupt(struct op *op);
void kernel_forget(uint64_t id, uint64_t count);
uint64_t kernel_answer_node(void);            /* of the last LOOKUP or CREATE that was answered */
uint64_t kernel_answer_fh(void);
uint64_t kernel_answer_size(void);            /* st_size of the last answer with attributes */
const struct bytes *kernel_answer_data(void);
unsigned kernel_names(void);                  /* readdir: a bit for each of names */

/* --- store.c ----------------------------------------------------------------------------------------------------- */

void store_start(void);
void store_put(int name, const struct bytes *value);  /* somebody else's doing; NULL: removes */
const struct bytes *store_has(int name);      /* NULL: no */
void store_fail(int code, bool late);         /* the next call */
/* In the middle of the next call, before or after its effect. */
void store_during(void (*run)(void), bool after);

/* --- stubs.c ----------------------------------------------------------------------------------------------------- */

unsigned jobs_queued(void);
void jobs_run(unsigned index);                /* that of the queue */
void stubs_openers(enum openers openers);
void stubs_silent(const struct bytes *value); /* a log line with its bytes fails */

#endif
