/* SPDX-License-Identifier: Apache-2.0
 *
 * The mount table is read from /proc/self/mountinfo: asking the mount itself could hang, if its daemon does. */
#include "fs/mount/mountpoint.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fs/log.h"

#define FUSERMOUNT "fusermount3"
#define FUSE_CONF "/etc/fuse.conf"

extern char **environ;

/* --- the machine ------------------------------------------------------------------------------------------------ */

static bool in_path(const char *program)
{
	const char *dirs = getenv("PATH");
	char path[PATH_MAX];

	for (const char *p = dirs != NULL ? dirs : "/usr/bin:/bin"; *p != '\0';) {
		size_t len = strcspn(p, ":");
		if (snprintf(path, sizeof path, "%.*s/%s", (int)len, p, program) < (int)sizeof path && access(path, X_OK) == 0)
			return true;
		p += len + (p[len] == ':');
	}
	return false;
}

static bool conf_allows_other(void)
{
	char line[256];
	bool found = false;
	FILE *f = fopen(FUSE_CONF, "re");

	while (f != NULL && !found && fgets(line, sizeof line, f) != NULL) {
		char *word = line + strspn(line, " \t");
		word[strcspn(word, " \t\r\n")] = '\0';
		found = strcmp(word, "user_allow_other") == 0;
	}
	if (f != NULL)
		fclose(f);
	return found;
}

static int device_check(struct error *err)
{
	int fd = open("/dev/fuse", O_RDWR | O_CLOEXEC), code = fd >= 0 ? 0 : errno;
	struct stat st;

	if (fd >= 0 && (fstat(fd, &st) != 0 || !S_ISCHR(st.st_mode)))
		code = ENODEV;                /* a file that something left there */
	if (fd >= 0)
		close(fd);
	if (code == 0)
		return 0;
	if (code == EACCES || code == EPERM)
		return error_set(err, EACCES, "/dev/fuse may not be opened: ask for permission on it, or in a container for "
		                 "--device /dev/fuse");
	return error_set(err, ENODEV, "/dev/fuse cannot be opened: %s: load the kernel module with 'modprobe fuse', or start "
	                 "the container with --device /dev/fuse", strerror(code));
}

int mountpoint_machine(const struct mount_options *o, struct error *err)
{
	bool root = geteuid() == 0;
	int r = device_check(err);

	if (r != 0)
		return r;
	if ((!root || o->auto_unmount) && !in_path(FUSERMOUNT))
		return error_set(err, ENOSYS, "the program " FUSERMOUNT " is missing: install the package fuse3%s",
		                 root ? ", or leave out auto_unmount" : ", or mount as root");
	if (!root && (o->allow_other || o->allow_root) && !conf_allows_other())
		return error_set(err, EINVAL, "'%s' needs the line user_allow_other in " FUSE_CONF ": add it, or mount as root",
		                 o->allow_other ? "allow_other" : "allow_root");
	return 0;
}

/* --- what is mounted there ---------------------------------------------------------------------------------------- */

/* Undo the \040 of the mount table, in place. */
static void octal_decode(char *s)
{
	char *to = s;

	for (; *s != '\0'; s++) {
		if (s[0] == '\\' && strspn(s + 1, "01234567") >= 3) {
			*to++ = (char)((s[1] - '0') << 6 | (s[2] - '0') << 3 | (s[3] - '0'));
			s += 3;
		} else {
			*to++ = *s;
		}
	}
	*to = '\0';
}

/* The type of the topmost mount exactly at path, "" if there is none. */
static void mount_type(const char *path, char *ret, size_t size)
{
	char *line = NULL, at[PATH_MAX], type[64];
	size_t room = 0;
	FILE *f = fopen("/proc/self/mountinfo", "re");

	*ret = '\0';
	while (f != NULL && getline(&line, &room, f) > 0) {
		char *rest = strstr(line, " - ");
		if (sscanf(line, "%*s %*s %*s %*s %4095s", at) != 1 || rest == NULL || sscanf(rest, " - %63s", type) != 1)
			continue;
		octal_decode(at);
		if (strcmp(at, path) == 0)
			snprintf(ret, size, "%s", type);
	}
	free(line);
	if (f != NULL)
		fclose(f);
}

static int fusermount_run(const char *path)
{
	char *argv[] = { (char *)FUSERMOUNT, (char *)"-u", (char *)"-z", (char *)"--", (char *)path, NULL };
	posix_spawnattr_t attr;
	sigset_t none;
	pid_t child;
	int status;

	sigemptyset(&none);
	posix_spawnattr_init(&attr);
	posix_spawnattr_setsigmask(&attr, &none);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK);
	int r = posix_spawnp(&child, FUSERMOUNT, NULL, &attr, argv, environ);
	posix_spawnattr_destroy(&attr);
	if (r != 0)
		return -1;
	while (waitpid(child, &status, 0) < 0)
		if (errno != EINTR)
			return -1;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -1;
}

/* The daemon of this mount is gone; nobody can use what is there, so taking it away harms nobody. */
static int dead_clear(const char *path, struct error *err)
{
	char absolute[PATH_MAX];
	struct stat st;

	/* realpath() fails on a dead mount: resolve the directory above it. */
	char *copy = strdup(path), *slash;
	if (copy == NULL)
		return error_set(err, ENOMEM, "out of memory");
	for (size_t n = strlen(copy); n > 1 && copy[n - 1] == '/'; n--)
		copy[n - 1] = '\0';
	slash = strrchr(copy, '/');
	const char *base = slash != NULL ? slash + 1 : copy;
	const char *above = slash == NULL ? "." : slash == copy ? "/" : copy;
	if (slash != NULL && slash != copy)
		*slash = '\0';
	char *parent = realpath(above, NULL);
	bool resolved = parent != NULL && snprintf(absolute, sizeof absolute, "%s/%s", strcmp(parent, "/") == 0 ? "" : parent,
	                                           base) < (int)sizeof absolute;
	free(parent);
	free(copy);
	if (resolved && (umount2(absolute, MNT_DETACH | UMOUNT_NOFOLLOW) == 0 || fusermount_run(absolute) == 0) &&
	    (stat(path, &st) == 0 || errno != ENOTCONN)) {
		log_line(LOG_LEVEL_INFO, "the dead mount at %s was cleared", path);
		return 0;
	}
	return error_set(err, EINVAL, "%s is a dead mount that could not be cleared: unmount it first: " FUSERMOUNT " -u %s, "
	                 "or umount as root", path, path);
}

/* --- the directory ----------------------------------------------------------------------------------------------- */

static int empty_check(const char *path, struct error *err)
{
	DIR *d = opendir(path);
	const struct dirent *e;
	char first[256] = "";

	if (d == NULL)
		return error_set(err, errno, "the mount point %s cannot be read: %s", path, strerror(errno));
	while (*first == '\0' && (e = readdir(d)) != NULL)
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			snprintf(first, sizeof first, "%s", e->d_name);
	closedir(d);
	return *first == '\0' ? 0 : error_set(err, EINVAL, "the mount point %s is not empty (it holds '%s'): use an empty "
	                                      "directory, or -o nonempty to hide what is there", path, first);
}

static int directory_check(const char *path, struct error *err)
{
	struct stat st;
	int r = stat(path, &st) == 0 ? 0 : errno;

	/* ECONNABORTED: the daemon ended while it was asked. */
	if (r == ENOTCONN || r == ECONNABORTED)
		r = dead_clear(path, err) != 0 ? -1 : stat(path, &st) == 0 ? 0 : errno;
	if (r == -1)
		return -err->code;
	if (r == ENOENT)
		return error_set(err, ENOENT, "the mount point %s does not exist: make it with mkdir -p %s", path, path);
	if (r != 0)
		return error_set(err, r, "the mount point %s cannot be used: %s", path, strerror(r));
	if (!S_ISDIR(st.st_mode))
		return error_set(err, EINVAL, "the mount point %s is not a directory", path);
	/* fusermount3 wants this of an ordinary user. */
	if (geteuid() != 0 && access(path, W_OK) != 0)
		return error_set(err, EACCES, "the mount point %s is not writable for you: take a directory of your own", path);
	return 0;
}

int mountpoint_prepare(struct mount_options *o, struct error *err)
{
	char type[64];
	int r;

	/* mount(8) with drop_privileges has mounted already and passes the descriptor. */
	if (strncmp(o->mountpoint, "/dev/fd/", 8) == 0)
		return 0;
	r = directory_check(o->mountpoint, err);
	if (r != 0)
		return r;
	char *absolute = realpath(o->mountpoint, NULL);
	if (absolute == NULL)
		return error_set(err, errno, "the mount point %s cannot be used: %s", o->mountpoint, strerror(errno));
	free(o->mountpoint);
	o->mountpoint = absolute;
	mount_type(absolute, type, sizeof type);
	if (strcmp(type, "fuse.kesfs") == 0)
		return error_set(err, EINVAL, "a key store is mounted at %s already: unmount it first: " FUSERMOUNT " -u %s",
		                 absolute, absolute);
	return o->nonempty ? 0 : empty_check(absolute, err);
}

static bool inode_equal(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/* Is the directory inner, or one above it, the directory outer?  By inode, since bind mounts have other paths. */
static bool lies_in(const char *inner, const char *outer)
{
	struct stat in, out;
	char *path = realpath(inner, NULL);
	bool found = false;

	if (path != NULL && stat(outer, &out) == 0 && stat(path, &in) == 0)
		for (found = inode_equal(&in, &out); !found && strcmp(path, "/") != 0; found = inode_equal(&in, &out)) {
			char *slash = strrchr(path, '/');
			slash[slash == path] = '\0';
			if (stat(path, &in) != 0)
				break;
		}
	free(path);
	return found;
}

int mountpoint_apart(const char *mountpoint, const char *directory, struct error *err)
{
	if (lies_in(mountpoint, directory))
		return error_set(err, EINVAL, "the mount point %s is, or lies in, the directory of the key store %s: take a "
		                 "directory elsewhere", mountpoint, directory);
	if (lies_in(directory, mountpoint))
		return error_set(err, EINVAL, "the mount point %s would hide the directory of the key store %s: take a directory "
		                 "elsewhere", mountpoint, directory);
	return 0;
}
