/* SPDX-License-Identifier: Apache-2.0
 *
 * What libfuse must be told or made to do.  libfuse before 3.17 never tells the kernel that directories may be looked at
 * in parallel (fuse-facts 0), so the answer to INIT is completed on its way out.  The loop is our own: a fixed number of
 * threads that can be stopped without being cancelled, and that wipe what they have read. */
#include <errno.h>
#include <linux/fuse.h>
#include <openssl/crypto.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#ifdef __SANITIZE_THREAD__
#include <sanitizer/tsan_interface.h>
#endif

#include "fs/mount/session_inside.h"

/* --- the device -------------------------------------------------------------------------------------------------- */

static void init_seen(struct session *s, const char *bytes, size_t size)
{
	struct fuse_in_header header;
	struct fuse_init_in in;

	/* Newer kernels send more than the struct this was compiled with, older ones less. */
	memcpy(&header, bytes, sizeof header);
	if (header.opcode != FUSE_INIT || size < sizeof header + offsetof(struct fuse_init_in, flags) + sizeof in.flags)
		return;
	memcpy(&in, bytes + sizeof header, offsetof(struct fuse_init_in, flags) + sizeof in.flags);
	s->init_flags = in.flags;
	s->init_unique = header.unique;
}

/* What was done before an answer happened before what the kernel asks afterwards: a file is released only when its last
 * read was answered, though another thread serves the release.  ThreadSanitizer cannot see that order unless it is told;
 * it still sees two requests that are served at the same time. */
#ifdef __SANITIZE_THREAD__
#define KERNEL_ANSWERED(s) __tsan_release(s)
#define KERNEL_ASKED(s) __tsan_acquire(s)
#else
#define KERNEL_ANSWERED(s) ((void)(s))
#define KERNEL_ASKED(s) ((void)(s))
#endif

static ssize_t device_read(int fd, void *buffer, size_t size, void *userdata)
{
	struct session *s = userdata;
	ssize_t n = read(fd, buffer, size);

	KERNEL_ASKED(s);
	if (n >= (ssize_t)sizeof(struct fuse_in_header))
		init_seen(s, buffer, (size_t)n);
	return n;
}

/* A copy of the answer to INIT with the flag in it. */
static ssize_t init_write(int fd, struct session *s, const struct iovec *iov)
{
	struct fuse_init_out out = { 0 };
	size_t size = iov[1].iov_len < sizeof out ? iov[1].iov_len : sizeof out;

	memcpy(&out, iov[1].iov_base, size);
	out.flags |= s->init_flags & FUSE_PARALLEL_DIROPS;
	s->parallel = (out.flags & FUSE_PARALLEL_DIROPS) != 0;
	struct iovec patched[2] = { iov[0], { .iov_base = &out, .iov_len = size } };
	return writev(fd, patched, 2);
}

/* Whoever waits for the mount hears now whether it stands: without memory libfuse refuses INIT, and then nobody can ever
 * use the mount. */
static void init_over(struct session *s, bool good)
{
	pthread_mutex_lock(&s->lock);
	s->init_answered = true;
	s->init_refused = !good;
	pthread_cond_broadcast(&s->stopped);
	pthread_mutex_unlock(&s->lock);
}

static ssize_t device_writev(int fd, struct iovec *iov, int count, void *userdata)
{
	struct session *s = userdata;
	const struct fuse_out_header *header = iov[0].iov_base;
	uint64_t unique = s->init_unique;

	if (unique != 0 && header->unique == unique)
		init_over(s, header->error == 0);
	if (unique != 0 && count == 2 && iov[0].iov_len == sizeof *header && header->unique == unique &&
	    header->error == 0) {
		s->init_unique = 0;
		KERNEL_ANSWERED(s);
		return init_write(fd, s, iov);
	}
	/* Not by writev(): sanitizers look at the bytes after the call, when the reader may have closed the file already and
	 * another thread have freed them.  The kernel is done with them then. */
	KERNEL_ANSWERED(s);
	return syscall(SYS_writev, fd, iov, count);
}

/* --- mounting ---------------------------------------------------------------------------------------------------- */

static bool all_read_only(const struct session *s)
{
	for (size_t i = 0; i < s->count; i++)
		if (!s->volumes[i]->read_only)
			return false;
	return true;
}

/* mount(8) appends dev,suid unless told otherwise, and without default_permissions other users could read a 0600 file:
 * both are not the user's to choose (fuse-facts 6). */
static int options_make(const struct session *s, char **ret)
{
	const struct mount_options *o = s->options;
	char fsname[512];
	int r = fuse_opt_add_opt(ret, "subtype=kesfs,nosuid,nodev,noexec");

	snprintf(fsname, sizeof fsname, "fsname=%s", o->fsname != NULL ? o->fsname : "kesfs");
	if (r == 0)
		r = fuse_opt_add_opt_escaped(ret, fsname);
	if (r == 0 && all_read_only(s))
		r = fuse_opt_add_opt(ret, "ro");
	if (r == 0 && (o->allow_other || o->allow_root))
		r = fuse_opt_add_opt(ret, "default_permissions");
	if (r == 0 && o->allow_other)
		r = fuse_opt_add_opt(ret, "allow_other");
	if (r == 0 && o->allow_root && !o->allow_other)
		r = fuse_opt_add_opt(ret, "allow_root");
	if (r == 0 && o->auto_unmount)
		r = fuse_opt_add_opt(ret, "auto_unmount");
	if (r == 0 && (o->debug_fuse || log_debugging("fuse")))
		r = fuse_opt_add_opt(ret, "debug");
	return r;
}

/* libfuse speaks in lines with a newline, and in the foreground and background alike: it goes where our lines go. */
static void fuse_say(enum fuse_log_level level, const char *fmt, va_list ap)
{
	char text[1024];

	vsnprintf(text, sizeof text, fmt, ap);
	text[strcspn(text, "\n")] = '\0';
	if (level <= FUSE_LOG_WARNING)
		log_line(LOG_LEVEL_WARNING, "libfuse: %s", text);
	else
		log_area("fuse", "%s", text);
}

static int fuse_make(struct session *s)
{
	struct fuse_args args = FUSE_ARGS_INIT(0, NULL);
	char *options = NULL;
	int r = options_make(s, &options);

	if (r == 0)
		r = fuse_opt_add_arg(&args, "kesfs") | fuse_opt_add_arg(&args, "-o") | fuse_opt_add_arg(&args, options);
	if (r == 0)
		s->fuse = fuse_session_new(&args, &session_ops, sizeof session_ops, s);
	fuse_opt_free_args(&args);
	free(options);
	return s->fuse != NULL ? 0 : -ENOMEM;
}

int init_session(struct session *s, struct error *err)
{
	static const struct fuse_custom_io io = { .read = device_read, .writev = device_writev };

	fuse_set_log_func(fuse_say);
	if (fuse_make(s) != 0)
		return error_set(err, ENOMEM, "no memory for the mount; libfuse said why above");
	errno = 0;
	if (fuse_session_mount(s->fuse, s->options->mountpoint) != 0) {
		bool memory = errno == ENOMEM;
		fuse_session_destroy(s->fuse);
		s->fuse = NULL;
		if (memory)
			return error_set(err, ENOMEM, "no memory to mount on %s", s->options->mountpoint);
		return error_set(err, EACCES, "mounting on %s failed; libfuse said why above", s->options->mountpoint);
	}
	/* libfuse 3.14 takes a lack of memory for success with descriptor 0, which is ours (daemon_descriptors()). */
	if (fuse_session_fd(s->fuse) <= STDERR_FILENO)
		return error_set(err, ENOMEM, "no memory to mount on %s", s->options->mountpoint);
	int r = fuse_session_custom_io(s->fuse, &io, fuse_session_fd(s->fuse));
	return r == 0 ? 0 : error_set(err, -r, "libfuse did not accept our way of talking to the kernel");
}

/* --- the loop ---------------------------------------------------------------------------------------------------- */

static void wake_nothing(int signal)
{
}

int init_signal(void)
{
	return SIGRTMIN + 3;
}

void init_wake_signal(void)
{
	struct sigaction act = { .sa_handler = wake_nothing };   /* without SA_RESTART: read() returns */

	sigaction(init_signal(), &act, NULL);
}

void init_serve(struct session *s)
{
	struct fuse_buf buffer = { 0 };

	while (!s->ended && !fuse_session_exited(s->fuse)) {
		int n = fuse_session_receive_buf(s->fuse, &buffer);

		if (n == -EINTR)
			continue;
		/* For the buffer: others give some back, and a mount must not end for it. */
		if (n == -ENOMEM) {
			nanosleep(&(struct timespec){ .tv_nsec = 10000000 }, NULL);
			continue;
		}
		if (n <= 0)
			break;
		fuse_session_process_buf(s->fuse, &buffer);
		OPENSSL_cleanse(buffer.mem, (size_t)n);
	}
	free(buffer.mem);
}
