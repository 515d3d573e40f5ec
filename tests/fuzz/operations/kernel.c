/* SPDX-License-Identifier: Apache-2.0
 *
 * The kernel's side of the protocol: requests as bytes into libfuse, answers as bytes out of it.  init.c, which talks to
 * /dev/fuse, is the one file of the mount that is replaced. */
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "fs/mount/session_inside.h"
#include "tests/fuzz/operations/model.h"
#include "tests/fuzz/operations/world.h"

static struct {
	struct fuse_session *fuse;
	uint64_t unique;
	unsigned char answer[8192];   /* the last one, without its head */
	size_t size;
	uint64_t answered;            /* the unique of it */
	struct bytes data;
} kernel;

/* --- answers ----------------------------------------------------------------------------------------------------- */

static struct op *op_of(uint64_t unique)
{
	for (struct op *op = world.ops; op != NULL; op = op->all)
		if (op->unique == unique)
			return op;
	return NULL;
}

static ssize_t answer_take(int fd, struct iovec *iov, int count, void *userdata)
{
	const struct fuse_out_header *head = iov[0].iov_base;
	size_t total = iov[0].iov_len;
	struct op *op = head->unique != 0 ? op_of(head->unique) : NULL;

	if (head->unique == 0)                /* a notification */
		return (ssize_t)head->len;
	kernel.size = 0;
	kernel.answered = head->unique;
	for (int i = 1; i < count; i++) {
		CHECK(kernel.size + iov[i].iov_len <= sizeof kernel.answer);
		memcpy(kernel.answer + kernel.size, iov[i].iov_base, iov[i].iov_len);
		kernel.size += iov[i].iov_len;
		total += iov[i].iov_len;
	}
	CHECK(total == head->len);
	if (op == NULL)
		return (ssize_t)total;
	CHECK(!op->answered);                 /* exactly once */
	op->answered = true;
	op->error = -head->error;
	if (op->kind == OP_OPEN && op->error == 0)
		op->handle->fh = kernel_answer_fh();
	return (ssize_t)total;
}

static ssize_t nothing_read(int fd, void *buffer, size_t size, void *userdata)
{
	return 0;
}

uint64_t kernel_answer_node(void)
{
	struct fuse_entry_out out;

	CHECK(kernel.size >= sizeof out);
	memcpy(&out, kernel.answer, sizeof out);
	return out.nodeid;
}

uint64_t kernel_answer_fh(void)
{
	struct fuse_open_out out;

	CHECK(kernel.size >= sizeof out);
	memcpy(&out, kernel.answer + kernel.size - sizeof out, sizeof out);
	CHECK(out.open_flags & FOPEN_DIRECT_IO);
	CHECK(!(out.open_flags & FOPEN_KEEP_CACHE));
	return out.fh;
}

/* In an answer with an entry the attributes come last but for an open's, in the others they come last. */
uint64_t kernel_answer_size(void)
{
	struct fuse_entry_out entry;
	struct fuse_attr_out attr;

	if (kernel.size == sizeof attr) {
		memcpy(&attr, kernel.answer, sizeof attr);
		return attr.attr.size;
	}
	CHECK(kernel.size >= sizeof entry);
	memcpy(&entry, kernel.answer, sizeof entry);
	return entry.attr.size;
}

const struct bytes *kernel_answer_data(void)
{
	CHECK(kernel.size <= LIMIT);
	kernel.data.len = kernel.size;
	memcpy(kernel.data.at, kernel.answer, kernel.size);
	return &kernel.data;
}

/* --- requests ---------------------------------------------------------------------------------------------------- */

static void request_send(uint32_t opcode, uint64_t unique, uint64_t node, unsigned pid, const void *argument, size_t size,
                         const void *more, size_t more_size)
{
	/* Numbers of processes that do not exist; 0 is for those of other namespaces. */
	if (pid != 0)
		pid += 0x7f000000;
	struct fuse_in_header head = { .len = (uint32_t)(sizeof head + size + more_size), .opcode = opcode, .unique = unique,
	                               .nodeid = node, .uid = getuid(), .gid = getgid(), .pid = pid };
	struct fuse_buf buffer = { .size = head.len, .mem = malloc(head.len) };

	CHECK(buffer.mem != NULL);
	memcpy(buffer.mem, &head, sizeof head);
	if (size > 0)
		memcpy((char *)buffer.mem + sizeof head, argument, size);
	if (more_size > 0)
		memcpy((char *)buffer.mem + sizeof head + size, more, more_size);
	fuse_session_process_buf(kernel.fuse, &buffer);
	free(buffer.mem);
}

static void name_send(struct op *op, uint32_t opcode, const void *argument, size_t size)
{
	request_send(opcode, op->unique, FUSE_ROOT_ID, op->pid, argument, size, names[op->name], strlen(names[op->name]) + 1);
}

static void rename_send(struct op *op)
{
	struct fuse_rename2_in in = { .newdir = FUSE_ROOT_ID, .flags = op->flags };
	char both[64];
	int n = snprintf(both, sizeof both, "%s%c%s", names[op->name], '\0', names[op->new_name]);

	request_send(FUSE_RENAME2, op->unique, FUSE_ROOT_ID, op->pid, &in, sizeof in, both, (size_t)n + 1);
}

static void write_send(struct op *op)
{
	struct fuse_write_in in = { .fh = op->handle->fh, .offset = op->offset, .size = (uint32_t)op->data.len,
	                            .lock_owner = op->owner, .write_flags = FUSE_WRITE_LOCKOWNER };

	request_send(FUSE_WRITE, op->unique, model_id(op->handle->node), op->pid, &in, sizeof in, op->data.at, op->data.len);
}

static void resize_send(struct op *op)
{
	struct fuse_setattr_in in = { .valid = FATTR_SIZE, .size = op->size };

	if (op->handle != NULL) {
		in.valid |= FATTR_FH;
		in.fh = op->handle->fh;
	}
	request_send(FUSE_SETATTR, op->unique, model_id(op->node), op->pid, &in, sizeof in, NULL, 0);
}

static void handle_send(struct op *op, uint32_t opcode, const void *argument, size_t size)
{
	request_send(opcode, op->unique, model_id(op->node), op->pid, argument, size, NULL, 0);
}

void kernel_send(struct op *op)
{
	uint64_t fh = op->handle != NULL ? op->handle->fh : 0;

	op->unique = kernel.unique += 2;      /* odd numbers are those of interrupts */
	switch (op->kind) {
	case OP_LOOKUP: name_send(op, FUSE_LOOKUP, NULL, 0); break;
	case OP_CREATE: name_send(op, FUSE_CREATE, &(struct fuse_create_in){ .flags = op->flags, .mode = 0100600 },
	                          sizeof(struct fuse_create_in)); break;
	case OP_UNLINK: name_send(op, FUSE_UNLINK, NULL, 0); break;
	case OP_RENAME: rename_send(op); break;
	case OP_OPEN: handle_send(op, FUSE_OPEN, &(struct fuse_open_in){ .flags = op->flags }, sizeof(struct fuse_open_in));
		break;
	case OP_READ: handle_send(op, FUSE_READ, &(struct fuse_read_in){ .fh = fh, .offset = op->offset,
	                          .size = (uint32_t)op->size }, sizeof(struct fuse_read_in)); break;
	case OP_WRITE: write_send(op); break;
	case OP_RESIZE: resize_send(op); break;
	case OP_GETATTR: handle_send(op, FUSE_GETATTR, &(struct fuse_getattr_in){ 0 }, sizeof(struct fuse_getattr_in)); break;
	case OP_FLUSH: handle_send(op, FUSE_FLUSH, &(struct fuse_flush_in){ .fh = fh, .lock_owner = op->owner },
	                           sizeof(struct fuse_flush_in)); break;
	case OP_FSYNC: handle_send(op, FUSE_FSYNC, &(struct fuse_fsync_in){ .fh = fh }, sizeof(struct fuse_fsync_in)); break;
	case OP_RELEASE: handle_send(op, FUSE_RELEASE, &(struct fuse_release_in){ .fh = fh }, sizeof(struct fuse_release_in));
		break;
	default: CHECK(!"an operation of the kernel");
	}
}

void kernel_interrupt(struct op *op)
{
	struct fuse_interrupt_in in = { .unique = op->unique };

	op->interrupted = true;
	request_send(FUSE_INTERRUPT, op->unique + 1, 0, 0, &in, sizeof in, NULL, 0);
}

void kernel_forget(uint64_t id, uint64_t count)
{
	struct fuse_forget_in in = { .nlookup = count };

	request_send(FUSE_FORGET, kernel.unique += 2, id, 0, &in, sizeof in, NULL, 0);
}

unsigned kernel_names(void)
{
	struct fuse_read_in in = { .size = 4096 };
	struct fuse_open_out out;
	unsigned found = 0;

	request_send(FUSE_OPENDIR, kernel.unique += 2, FUSE_ROOT_ID, 0, &(struct fuse_open_in){ 0 }, sizeof(struct fuse_open_in), NULL,
	             0);
	CHECK(kernel.answered == kernel.unique && kernel.size == sizeof out);
	memcpy(&out, kernel.answer, sizeof out);
	in.fh = out.fh;
	request_send(FUSE_READDIR, kernel.unique += 2, FUSE_ROOT_ID, 0, &in, sizeof in, NULL, 0);
	CHECK(kernel.answered == kernel.unique);
	for (size_t at = 0; at < kernel.size;) {
		struct fuse_dirent entry;
		char name[64] = "";

		memcpy(&entry, kernel.answer + at, FUSE_NAME_OFFSET);
		CHECK(entry.namelen < sizeof name);
		memcpy(name, kernel.answer + at + FUSE_NAME_OFFSET, entry.namelen);
		at += FUSE_DIRENT_ALIGN(FUSE_NAME_OFFSET + entry.namelen);
		if (strcmp(name, ".") != 0 && strcmp(name, "..") != 0) {
			CHECK(!(found & 1u << name_index(name)));
			found |= 1u << name_index(name);
		}
	}
	request_send(FUSE_RELEASEDIR, kernel.unique += 2, FUSE_ROOT_ID, 0, &(struct fuse_release_in){ .fh = in.fh },
	             sizeof(struct fuse_release_in), NULL, 0);
	return found;
}

void kernel_start(void)
{
	struct fuse_init_in in = { .major = FUSE_KERNEL_VERSION, .minor = 31, .max_readahead = 131072,
	                           .flags = FUSE_ASYNC_READ | FUSE_ATOMIC_O_TRUNC | FUSE_BIG_WRITES | FUSE_PARALLEL_DIROPS };

	kernel.unique = 2;
	request_send(FUSE_INIT, kernel.unique, 0, 0, &in, offsetof(struct fuse_init_in, flags) + sizeof in.flags, NULL, 0);
	CHECK(kernel.answered == kernel.unique);
}

/* --- instead of init.c ------------------------------------------------------------------------------------------- */

int init_session(struct session *s, struct error *err)
{
	static const struct fuse_custom_io io = { .read = nothing_read, .writev = answer_take };
	char *argv[] = { (char *)"kesfs", NULL };
	struct fuse_args args = FUSE_ARGS_INIT(1, argv);

	s->fuse = fuse_session_new(&args, &session_ops, sizeof session_ops, s);
	fuse_opt_free_args(&args);
	CHECK(s->fuse != NULL);
	CHECK(fuse_session_custom_io(s->fuse, &io, open("/dev/null", O_RDWR | O_CLOEXEC)) == 0);
	kernel.fuse = s->fuse;
	return 0;
}

void init_serve(struct session *s)
{
}

void init_wake_signal(void)
{
}

int init_signal(void)
{
	return 0;
}
