/* SPDX-License-Identifier: Apache-2.0
 *
 * The module of KES's filesystem store, "fs", and of any plain directory; what dir.c and dir_write.c share. */
#ifndef KESFS_BACKENDS_DIR_H
#define KESFS_BACKENDS_DIR_H

#include <stdatomic.h>
#include <sys/stat.h>

#include "backends/backend.h"
#include "backends/crowd.h"
#include "backends/dirsync.h"

extern const struct backend_ops dir_backend;

enum { DIR_VALUE_MAX = 1024 * 1024 };         /* what a KES server reads */

struct backend {                              /* of this module; both its files */
	char *path;
	int fd;
	bool listable;                /* else fd is O_PATH: keys open by name, but neither readdir nor fsync */
	bool write;
	bool made;                    /* by this handle, which removes it again if nothing was stored in it */
	bool in_memory;               /* tmpfs, ramfs: nothing survives a power cut, so syncing is no use */
	bool network;
	bool give;                    /* we are root and the directory is a service's: new files are its, too */
	uid_t uid;
	gid_t gid;
	dev_t dev;
	ino_t ino;
	struct dirsync sync;
	struct crowd crowd;
	/* Check and change are one step: changing guards them among our threads, flock() among processes. */
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool changing;                /* guarded by lock */
	_Atomic bool named;           /* O_TMPFILE was refused once */
	_Atomic uint64_t requests;
};

/* -EIO: the directory is no longer what stands at its path, where a KES server looks. */
int dir_in_place(const struct backend *s, struct error *err);
/* The code of backend.h and a sentence for what the system said: "fs PATH: DOING 'NAME': ...". */
int dir_error(const struct backend *s, struct error *err, int code, const char *doing, const char *name);
/* Read the file of that name; *ret_st may be NULL. */
int dir_read(struct backend *s, const char *name, struct secret *out, struct stat *ret_st, struct error *err);

int dir_create(struct backend *b, const struct call *c, const char *name, const struct secret *val, struct error *err);
int dir_replace(struct backend *b, const struct call *c, const char *name, const struct secret *old,
		const struct secret *val, struct error *err);
int dir_remove(struct backend *b, const struct call *c, const char *name, struct error *err);

#endif
