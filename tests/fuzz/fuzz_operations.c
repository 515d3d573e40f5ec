/* SPDX-License-Identifier: Apache-2.0
 *
 * Sequences of operations on mounted files, compared with a model after each: every answer, every byte read, every
 * change of the store.  The first byte of the input chooses the mount's options, the second what is stored at first;
 * then each operation is three bytes.  Operations may be left in the queue and run later, in any order, be interrupted,
 * and happen in the middle of another one's call of the store. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fs/mount/held.h"
#include "fs/mount/session_inside.h"
#include "fs/mount/staged.h"
#include "tests/fuzz/operations/model.h"
#include "tests/fuzz/operations/world.h"

enum { OPERATIONS_MAX = 256, VALUES = 4, DEFER = 0x80, PIDS = 3, OWNERS = 3 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct world world;

static struct {
	const uint8_t *at, *end;
	unsigned operations, during;
	struct volume *volume;
	struct session *session;
	bool inside;                  /* another one's call of the store */
	bool abrupt;
} run;

static struct bytes values[VALUES];           /* each a key that a KES server loads */

static void values_make(void)
{
	static const char letters[] = "ABCD";

	for (int i = 0; i < VALUES && values[i].len == 0; i++) {
		char text[LIMIT];
		int n = snprintf(text, sizeof text, "{\"bytes\":\"%cAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\",\"algorithm\":"
		                 "\"AES256\",\"created_at\":\"2023-11-14T22:13:20.123456789Z\",\"created_by\":\"\"}", letters[i]);
		values[i].len = (size_t)n;
		memcpy(values[i].at, text, (size_t)n);
		stubs_silent(&values[i]);
	}
}

static unsigned take(void)
{
	return run.at < run.end ? *run.at++ : 0;
}

/* --- one operation, and what became of it ------------------------------------------------------------------------- */

static const char *const op_names[] = {
	"lookup", "create", "open", "write", "read", "resize", "getattr", "flush", "fsync", "release", "unlink", "rename",
	"restore", "listing",
};

/* For whoever looks into a failure. */
static void tell(const char *what, const struct op *op)
{
	static int telling = -1;

	if (telling < 0)
		telling = getenv("KESFS_FUZZ_LOG") != NULL;
	if (telling)
		fprintf(stderr, "%s %s #%llu %s %s flags %o pid %u owner %llu at %zu+%zu/%zu: result %d, model %d\n", what,
		        op_names[op->kind], (unsigned long long)op->unique, names[op->name], names[op->new_name >= 0 ? op->new_name : 0],
		        op->flags, op->pid, (unsigned long long)op->owner, op->offset, op->data.len, op->size,
		        op->answered ? op->error : -1, op->done ? op->result : -1);
}

static void all_compare(void)
{
	for (struct op *op = world.ops; op != NULL; op = op->all) {
		if (op->done != op->answered || (op->done && op->error != op->result && (op->other == 0 || op->error != op->other)))
			tell("differs:", op);
		CHECK(op->done == op->answered);
		CHECK(!op->done || op->error == op->result || (op->other != 0 && op->error == op->other));
	}
}

static struct op *op_new(enum op_kind kind)
{
	struct op *op = calloc(1, sizeof *op);

	CHECK(op != NULL);
	op->kind = kind;
	return op;
}

static void attributes_compare(const struct op *op)
{
	bool known;
	uint64_t size = model_size(op->node, &known);

	CHECK(!known || kernel_answer_size() == size);
}

/* A good answer of these has something in it. */
static void answer_compare(struct op *op)
{
	if (!op->answered || op->error != 0 || op->result != 0)
		return;
	if (op->kind == OP_LOOKUP || op->kind == OP_CREATE) {
		model_learn(op->node, kernel_answer_node());
		world.dentries[op->name] = op->node;
	}
	if (op->kind == OP_CREATE)
		op->handle->fh = kernel_answer_fh();
	if (op->kind == OP_READ)
		CHECK(bytes_same(kernel_answer_data(), &op->data));
	if (op->kind == OP_LOOKUP || op->kind == OP_CREATE || op->kind == OP_GETATTR || op->kind == OP_RESIZE)
		attributes_compare(op);
}

static void op_run(struct op *op)
{
	struct op *outer = world.running;

	op->all = world.ops;
	world.ops = op;
	tell("begin", op);
	model_begin(op);
	bool here = op->state == RUNNING;
	if (here)
		world.running = op;
	kernel_send(op);
	world.running = outer;
	if (here)
		model_ran(op);
	tell("  sent", op);
	answer_compare(op);
}

static void job_run(unsigned index)
{
	struct op *outer = world.running;

	CHECK(jobs_queued() == model_queued());
	struct op *op = model_run(index);
	tell("run", op);
	stubs_openers(op->openers);
	world.running = op;
	jobs_run(index);
	world.running = outer;
	model_ran(op);
	tell("  ran", op);
	all_compare();
}

static void queue_drain(void)
{
	while (jobs_queued() > 0)
		job_run(0);
	CHECK(model_queued() == 0);
}

/* --- what the kernel would not let happen ------------------------------------------------------------------------- */

/* Whoever changes a directory has it for himself, until he is answered. */
static bool directory_busy(void)
{
	for (struct op *op = world.ops; op != NULL; op = op->all)
		if (!op->answered && (op->kind == OP_UNLINK || op->kind == OP_RENAME))
			return true;
	return false;
}

/* Between system calls the names that the kernel has looked up are believed; what a change touches is not. */
static void dentries_change(const struct op *op)
{
	if (op->kind == OP_UNLINK) {
		world.dentries[op->name] = NULL;
	} else if (op->kind == OP_RENAME) {
		world.dentries[op->new_name] = op->error == 0 ? world.dentries[op->name] : NULL;
		world.dentries[op->name] = NULL;
	}
}

static struct handle_ *handle_open(unsigned which)
{
	unsigned count = 0;

	for (struct handle_ *h = world.handles; h != NULL; h = h->next)
		count += h->open;
	if (count == 0)
		return NULL;
	which %= count;
	for (struct handle_ *h = world.handles;; h = h->next)
		if (h->open && which-- == 0)
			return h;
}

static bool handle_busy(const struct handle_ *h)
{
	for (struct op *op = world.ops; op != NULL; op = op->all)
		if (op->handle == h && !op->answered)
			return true;
	return false;
}

static struct handle_ *handle_make(void)
{
	struct handle_ *h = calloc(1, sizeof *h);

	CHECK(h != NULL);
	h->next = world.handles;
	return world.handles = h;
}

/* --- operations out of bytes -------------------------------------------------------------------------------------- */

static struct node *looked_up(unsigned name)
{
	if (world.dentries[name] == NULL && !directory_busy()) {
		struct op *op = op_new(OP_LOOKUP);
		op->name = (int)name;
		op_run(op);
	}
	return world.dentries[name];
}

static unsigned open_flags(unsigned b)
{
	static const unsigned modes[] = { O_RDONLY, O_WRONLY, O_RDWR, O_RDWR };

	return modes[b & 3] | (b & 4 ? O_TRUNC : 0) | (b & 8 ? O_APPEND : 0) | (b & 16 ? O_EXCL : 0);
}

static void do_create(unsigned a, unsigned b)
{
	struct op *op;

	if (directory_busy())
		return;
	op = op_new(OP_CREATE);
	op->name = (int)(a % NAMES);
	op->flags = open_flags(b) | O_CREAT;
	op->pid = (a >> 4) % PIDS;
	op->handle = handle_make();
	op_run(op);
}

static void do_open(unsigned a, unsigned b)
{
	struct node *n = looked_up(a % NAMES);
	struct op *op;

	if (n == NULL)
		return;
	op = op_new(OP_OPEN);
	op->name = (int)(a % NAMES);
	op->flags = open_flags(b) & ~(unsigned)O_EXCL;
	op->pid = (a >> 4) % PIDS;
	op->node = n;
	op->handle = handle_make();
	op_run(op);
}

/* As open(2) with O_CREAT. */
static void do_open_or_create(unsigned a, unsigned b)
{
	if (looked_up(a % NAMES) == NULL)
		do_create(a, b);
	else if (!(b & 16))
		do_open(a, b);
}

static struct op *op_on_handle(enum op_kind kind, unsigned which)
{
	struct handle_ *h = handle_open(which);
	struct op *op;

	if (h == NULL)
		return NULL;
	op = op_new(kind);
	op->handle = h;
	op->node = h->node;
	op->owner = 1;
	return op;
}

/* A key, the two halves of one, or some bytes anywhere. */
static void do_write(unsigned a, unsigned b)
{
	struct op *op = op_on_handle(OP_WRITE, a & 7);
	const struct bytes *key = &values[b % VALUES];
	size_t half = key->len / 2;

	if (op == NULL)
		return;
	op->owner = 1 + (a >> 4) % OWNERS;
	op->data = *key;
	switch (b >> 2 & 7) {
	case 0: case 1: case 2:
		break;
	case 3:
		op->data.len = half;
		break;
	case 4:
		op->data.len -= half;
		memmove(op->data.at, op->data.at + half, op->data.len);
		op->offset = half;
		break;
	case 5:
		op->data.len = 1;
		op->offset = b >> 5 & 1 ? key->len : 0;
		break;
	case 6:
		op->offset = 7;
		break;
	default:
		op->offset = LIMIT - 5;
	}
	op_run(op);
}

static void do_read(unsigned a, unsigned b)
{
	static const size_t offsets[] = { 0, 0, 1, 100, LIMIT }, sizes[] = { LIMIT, 1, 50 };
	struct op *op = op_on_handle(OP_READ, a);

	if (op == NULL)
		return;
	op->offset = offsets[b % 5];
	op->size = sizes[b / 5 % 3];
	op_run(op);
}

static void do_resize(unsigned a, unsigned b)
{
	static const size_t sizes[] = { 0, 1, 80, LIMIT, LIMIT + 1 };
	struct op *op = b & 0x80 ? NULL : op_on_handle(OP_RESIZE, a);

	if (op == NULL && looked_up(a % NAMES) != NULL) {
		op = op_new(OP_RESIZE);
		op->node = world.dentries[a % NAMES];
	}
	if (op == NULL)
		return;
	op->size = b % 6 == 5 ? values[0].len : sizes[b % 6];
	op_run(op);
}

static void do_getattr(unsigned a, unsigned b)
{
	struct handle_ *h = handle_open(a);
	struct node *n = b & 1 && h != NULL ? h->node : world.dentries[a % NAMES];
	struct op *op;

	if (n == NULL)
		return;
	op = op_new(OP_GETATTR);
	op->node = n;
	op_run(op);
}

static void do_flush(unsigned a, unsigned b)
{
	static const enum openers who[] = { OPENERS_NONE, OPENERS_CALLER, OPENERS_OTHER, OPENERS_UNKNOWN };
	struct op *op = op_on_handle(OP_FLUSH, a);

	if (op == NULL)
		return;
	op->owner = 1 + b % OWNERS;
	op->openers = who[b >> 4 & 3];
	op_run(op);
}

static void do_fsync(unsigned a, unsigned b)
{
	struct op *op = op_on_handle(OP_FSYNC, a);

	if (op != NULL)
		op_run(op);
}

static void do_release(unsigned a, unsigned b)
{
	struct handle_ *h = handle_open(a);

	if (h != NULL && !handle_busy(h))
		op_run(op_on_handle(OP_RELEASE, a));
}

/* As close(2) of the last descriptor. */
static void do_close(unsigned a, unsigned b)
{
	do_flush(a, b);
	queue_drain();
	do_release(a, b);
}

static void do_unlink(unsigned a, unsigned b)
{
	struct op *op;

	if (directory_busy() || looked_up(a % NAMES) == NULL)
		return;
	op = op_new(OP_UNLINK);
	op->name = (int)(a % NAMES);
	op->pid = b % PIDS;
	op_run(op);
}

static void do_rename(unsigned a, unsigned b)
{
	struct op *op;

	if (directory_busy() || looked_up(a % NAMES) == NULL)
		return;
	if (a % NAMES == b % NAMES || looked_up(b % NAMES) == world.dentries[a % NAMES])
		return;
	op = op_new(OP_RENAME);
	op->name = (int)(a % NAMES);
	op->new_name = (int)(b % NAMES);
	op->flags = b >> 4 & 1;               /* RENAME_NOREPLACE */
	op->pid = (a >> 4) % PIDS;
	op_run(op);
}

static void do_tick(unsigned a, unsigned b)
{
	int64_t now = call_now();

	model_tick();
	staged_expire(run.volume, now + TEMPORARY_NS + SECOND_NS);
	held_tick(run.volume, now + HELD_NS + SECOND_NS);
}

static void do_other_host(unsigned a, unsigned b)
{
	store_put((int)(a % KEYS), b % 5 < VALUES ? &values[b % 5] : NULL);
}

static void do_fail(unsigned a, unsigned b)
{
	static const int codes[] = { EACCES, EEXIST, ESTALE, EINPROGRESS, ENOTRECOVERABLE, EBADMSG, ETIMEDOUT, ENOSPC, EHOSTUNREACH };

	store_fail(codes[a % (sizeof codes / sizeof *codes)], b & 1);
}

static void do_refresh(unsigned a, unsigned b)
{
	model_refresh();
	volume_refresh(run.volume);
}

static void steps_during(void);

static void do_during(unsigned a, unsigned b)
{
	run.during = a % 4 + 1;
	store_during(steps_during, b & 1);
}

static void do_interrupt(unsigned a, unsigned b)
{
	unsigned count = 0;

	for (struct op *op = world.ops; op != NULL; op = op->all)
		count += !op->answered && !op->interrupted;
	if (count == 0)
		return;
	a %= count;
	for (struct op *op = world.ops; op != NULL; op = op->all)
		if (!op->answered && !op->interrupted && a-- == 0) {
			model_interrupted(op);
			kernel_interrupt(op);
			tell("interrupted", op);
			break;
		}
}

static void do_forget(unsigned a, unsigned b)
{
	if (b & 1 && !directory_busy())
		world.dentries[a % NAMES] = NULL;
	model_forget(kernel_forget);
}

static void do_job(unsigned a, unsigned b)
{
	if (jobs_queued() > 0)
		job_run(a % jobs_queued());
}

static void do_list(unsigned a, unsigned b)
{
	CHECK(kernel_names() == model_names());
}

static void do_lookup(unsigned a, unsigned b)
{
	if (!directory_busy())
		world.dentries[a % NAMES] = NULL;
	looked_up(a % NAMES);
}

static void (*const actions[])(unsigned a, unsigned b) = {
	do_lookup, do_open_or_create, do_create, do_open, do_write, do_read, do_resize, do_getattr, do_flush, do_fsync, do_release,
	do_close, do_unlink, do_rename, do_tick, do_other_host, do_fail, do_refresh, do_during, do_interrupt, do_forget, do_job,
	do_list,
};
enum { ACTIONS = sizeof actions / sizeof *actions };

/* The kernel hears of what was answered since the last step. */
static void answers_hear(void)
{
	for (struct op *op = world.ops; op != NULL; op = op->all)
		if (op->answered && !op->heard) {
			op->heard = true;
			dentries_change(op);
		}
}

static bool step(void)
{
	if (run.at >= run.end || run.operations >= OPERATIONS_MAX)
		return false;
	unsigned code = take(), a = take(), b = take();
	run.operations++;
	actions[(code & ~(unsigned)DEFER) % ACTIONS](a, b);
	answers_hear();
	all_compare();
	if (!(code & DEFER) && !run.inside)
		queue_drain();
	answers_hear();
	return true;
}

static void steps_during(void)
{
	bool outer = run.inside;

	run.inside = true;
	for (unsigned n = run.during; n > 0 && step(); n--)
		;
	run.inside = outer;
}

/* --- beginning and end -------------------------------------------------------------------------------------------- */

static void mount_begin(void)
{
	unsigned options = take(), stored = take();
	struct error err = ERROR_INIT;

	memset(&world, 0, sizeof world);
	world.options = (struct mount_options){ .ttl = 1e6, .timeout = 30, .requests = 4, .overwrite = options & 1, .remove = options & 2,
	                                        .raw = options & 4 };
	world.local = options & 8;
	world.read_only = (options & 0x70) == 0x70;
	run.abrupt = options & 0x80;
	store_start();
	for (int i = 0; i < KEYS; i++)
		if (stored & 1u << i)
			store_put(i, &values[i]);
	struct mount_source source = { .where = (char *)"/", .read_only = world.read_only };
	CHECK(volume_open(&world.options, &source, &run.volume, &err) == 0);
	CHECK(session_mount(&world.options, &run.volume, 1, &run.session, &err) == 0);
	model_start();
	kernel_start();
}

static void all_release(void)
{
	while (handle_open(0) != NULL) {
		do_release(0, 0);
		queue_drain();
	}
}

/* Time passes until nothing is left that waits for it. */
static void all_settle(void)
{
	for (int i = 0; i < 2 * OPERATIONS_MAX && (i < 2 || run.volume->held != NULL); i++) {
		do_tick(0, 0);
		queue_drain();
	}
	CHECK(run.volume->held == NULL && run.volume->lost == 0);
	CHECK(run.volume->staged == NULL);
	CHECK(run.volume->active == NULL && run.volume->changing == 0);
}

/* What is shown is what is stored. */
static void names_compare(void)
{
	unsigned stored = 0, count = 0;

	do_refresh(0, 0);
	queue_drain();
	for (int i = 0; i < KEYS; i++) {
		stored |= store_has(i) != NULL ? 1u << i : 0;
		count += store_has(i) != NULL;
	}
	CHECK(kernel_names() == stored && model_names() == stored);
	CHECK(run.volume->tree.stored == count);
}

static void orderly_end(void)
{
	all_release();
	all_settle();
	names_compare();
	memset(world.dentries, 0, sizeof world.dentries);
	model_forget(kernel_forget);
	CHECK(run.volume->tree.orphans.oldest == NULL);
}

static void mount_end(void)
{
	store_fail(0, false);
	store_during(NULL, false);
	queue_drain();
	if (!run.abrupt)
		orderly_end();
	unsigned held = model_held();
	world.ending = true;
	volume_stop(run.volume);
	held_last_try(run.volume);
	staged_drop_all(run.volume);
	while (jobs_queued() > 0)
		jobs_run(0);
	CHECK(run.volume->lost == 0);
	for (int i = 0; i < KEYS; i++)
		CHECK(!(held & 1u << i) || store_has(i) != NULL);
	session_free(run.session);
	volume_close(run.volume);
	model_end(!run.abrupt);
	for (struct op *op = world.ops, *next; op != NULL; op = next) {
		next = op->all;
		free(op);
	}
	for (struct handle_ *h = world.handles, *next; h != NULL; h = next) {
		next = h->next;
		free(h);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	values_make();
	memset(&run, 0, sizeof run);
	run.at = data;
	run.end = data + size;
	mount_begin();
	while (step())
		;
	mount_end();
	return 0;
}
