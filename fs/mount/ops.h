/* SPDX-License-Identifier: Apache-2.0
 *
 * The callbacks of libfuse, by topic: translate, call, translate back. */
#ifndef KESFS_FS_MOUNT_OPS_H
#define KESFS_FS_MOUNT_OPS_H

#include "fs/mount/session_inside.h"

/* ops.c: what all of them use. */
struct session *ops_session(fuse_req_t req);
struct node *ops_node(struct session *s, fuse_ino_t ino);
/* Attributes of a node and how long they hold.  Volume's lock held, if it has one. */
void ops_attributes(const struct session *s, const struct node *n, struct stat *ret);
double ops_attributes_timeout(const struct node *n);
/* Fill what LOOKUP, CREATE and READDIRPLUS answer, and count the lookup.  Volume's lock held. */
void ops_entry(const struct session *s, struct node *n, struct fuse_entry_param *ret);
void ops_entry_undo(struct node *n);          /* the kernel did not get it; no lock held */
/* Answer with an errno and write the line of the log that goes with it. */
void ops_refuse(fuse_req_t req, struct volume *v, const char *operation, const char *name, int code, const char *reason);
/* May keys of this volume be changed at all?  0 or a code. */
int ops_writable(const struct volume *v, const char **ret_reason);

/* ops_names.c */
void ops_lookup(fuse_req_t req, fuse_ino_t parent, const char *name);
void ops_forget(fuse_req_t req, fuse_ino_t ino, uint64_t count);
void ops_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *forgets);
void ops_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void ops_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *attr, int to_set, struct fuse_file_info *fi);
void ops_statfs(fuse_req_t req, fuse_ino_t ino);

/* ops_directories.c */
void ops_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void ops_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi);
void ops_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi);
void ops_releasedir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);

/* ops_files.c */
void ops_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void ops_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, struct fuse_file_info *fi);
void ops_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi);
void ops_write(fuse_req_t req, fuse_ino_t ino, const char *bytes, size_t size, off_t off, struct fuse_file_info *fi);
void ops_flush(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void ops_fsync(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi);
void ops_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);

/* ops_changes.c */
void ops_unlink(fuse_req_t req, fuse_ino_t parent, const char *name);
void ops_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t new_parent, const char *new_name,
                unsigned flags);

#endif
