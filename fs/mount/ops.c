/* SPDX-License-Identifier: Apache-2.0
 *
 * The table of callbacks, and what they share.  Extended attributes are not in it, so that libfuse answers ENOSYS and the
 * kernel stops asking (fuse-facts 5). */
#include "fs/mount/ops.h"

#include <errno.h>

#include "fs/mount/staged.h"

/* What never changes by itself may be kept for so long. */
#define FIXED_TIMEOUT 60.0

struct session *ops_session(fuse_req_t req)
{
	return fuse_req_userdata(req);
}

struct node *ops_node(struct session *s, fuse_ino_t ino)
{
	if (ino != FUSE_ROOT_ID)
		return (struct node *)(uintptr_t)ino;
	return s->options->several ? &s->root : &s->volumes[0]->dir;
}

static bool node_is_directory(const struct node *n)
{
	return n->kind == NODE_ROOT || n->kind == NODE_STORE || n->kind == NODE_CONTROL || n->kind == NODE_KEYS;
}

static mode_t default_mode(const struct session *s, const struct node *n)
{
	const struct mount_options *o = s->options;
	bool writable = n->kind == NODE_TEMPORARY || n->kind == NODE_KEY || n->kind == NODE_STORE;
	mode_t mode = node_is_directory(n) ? 0777 : 0666;

	mode &= o->umask_set ? ~o->umask : 0700;
	if (!writable || (n->volume != NULL && n->volume->read_only))
		mode &= ~(mode_t)0222;
	return mode;
}

static void attributes_local(const struct node_attributes *l, struct stat *st)
{
	if (l->mode_set)
		st->st_mode = (st->st_mode & S_IFMT) | (l->mode & 07777);
	if (l->uid_set)
		st->st_uid = l->uid;
	if (l->gid_set)
		st->st_gid = l->gid;
	if (l->mtime_set)
		st->st_mtim = l->mtime;
}

void ops_attributes(const struct session *s, const struct node *n, struct stat *ret)
{
	bool pending = n->kind == NODE_TEMPORARY || staged_undecided(n);

	*ret = (struct stat){
		.st_ino = n->ino,
		.st_uid = s->options->uid,
		.st_gid = s->options->gid,
		.st_mode = (node_is_directory(n) ? S_IFDIR : S_IFREG) | default_mode(s, n),
		.st_nlink = node_is_directory(n) ? 2 : n->fixed || n->linked,
		.st_blksize = 4096,
	};
	if (n->kind == NODE_STORE)
		ret->st_mtim = n->volume->changed;
	else if (n->fixed)
		ret->st_mtim = s->began;
	else if (pending && n->staged != NULL)
		ret->st_mtim = n->staged->written;
	else
		ret->st_mtim.tv_sec = node_mtime(n);
	if (n->kind == NODE_KEY || n->kind == NODE_TEMPORARY)
		ret->st_size = pending && n->staged != NULL ? (off_t)n->staged->size : n->size_known ? n->size : 0;
	if (n->local != NULL)
		attributes_local(n->local, ret);
	ret->st_blocks = (ret->st_size + 511) / 512;
	ret->st_atim = ret->st_ctim = ret->st_mtim;
}

double ops_attributes_timeout(const struct node *n)
{
	if (n->kind == NODE_KEY && n->staged == NULL) {
		const struct mount_options *o = n->volume->options;
		/* LOOKUP does not fetch: the kernel has to come back for the true size. */
		if (o->size_exact && !n->size_known)
			return 0;
		return o->ttl < FIXED_TIMEOUT ? o->ttl : FIXED_TIMEOUT;
	}
	return n->kind == NODE_STORE ? 1 : n->fixed && n->kind != NODE_STATUS ? FIXED_TIMEOUT : 0;
}

/* A name whose file is not stored yet may vanish at any time. */
static double ops_entry_timeout(const struct node *n)
{
	double ttl = n->kind == NODE_KEY && n->staged == NULL ? n->volume->options->ttl : 0;

	return ttl < FIXED_TIMEOUT ? ttl : FIXED_TIMEOUT;
}

void ops_entry(const struct session *s, struct node *n, struct fuse_entry_param *ret)
{
	*ret = (struct fuse_entry_param){ .ino = (fuse_ino_t)(uintptr_t)n, .generation = 1 };
	ops_attributes(s, n, &ret->attr);
	ret->attr_timeout = ops_attributes_timeout(n);
	ret->entry_timeout = n->fixed ? FIXED_TIMEOUT : ops_entry_timeout(n);
	if (!n->fixed)
		n->lookups++;
}

void ops_entry_undo(struct node *n)
{
	struct volume *v = n->volume;

	if (n->fixed)
		return;
	pthread_mutex_lock(&v->lock);
	n->lookups--;
	node_settle(&v->tree, n);
	pthread_mutex_unlock(&v->lock);
}

void ops_refuse(fuse_req_t req, struct volume *v, const char *operation, const char *name, int code, const char *reason)
{
	const struct fuse_ctx *who = fuse_req_ctx(req);

	volume_log(v, operation, name, who->uid, who->pid, -code, reason);
	fuse_reply_err(req, error_errno(code));
}

int ops_writable(const struct volume *v, const char **ret_reason)
{
	if (v->read_only) {
		*ret_reason = "this store is mounted read-only";
		return EROFS;
	}
	if (!(v->caps & BACKEND_WRITE)) {
		*ret_reason = "this store takes no new keys";
		return EROFS;
	}
	return 0;
}

/* The directory is flat: keys have no other kind of name. */
static void ops_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t device)
{
	fuse_reply_err(req, EPERM);
}

static void ops_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
{
	fuse_reply_err(req, EPERM);
}

static void ops_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	fuse_reply_err(req, EPERM);
}

static void ops_symlink(fuse_req_t req, const char *target, fuse_ino_t parent, const char *name)
{
	fuse_reply_err(req, EPERM);
}

static void ops_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t parent, const char *name)
{
	fuse_reply_err(req, EPERM);
}

/* An answer of 0 to everything would make a file look like a terminal (fuse-facts 3). */
static void ops_ioctl(fuse_req_t req, fuse_ino_t ino, unsigned command, void *arg, struct fuse_file_info *fi,
                      unsigned flags, const void *in, size_t in_size, size_t out_size)
{
	fuse_reply_err(req, ENOTTY);
}

static void ops_init(void *userdata, struct fuse_conn_info *conn)
{
	struct session *s = userdata;
	unsigned requests = s->options->requests;

	/* Since libfuse 3.17 it has to be asked for; before, asking does nothing and init.c adds it to the answer. */
	if (conn->capable & FUSE_CAP_PARALLEL_DIROPS)
		conn->want |= FUSE_CAP_PARALLEL_DIROPS;
	conn->max_background = requests > 12 ? requests : 12;
}

const struct fuse_lowlevel_ops session_ops = {
	.init = ops_init,
	.lookup = ops_lookup,
	.forget = ops_forget,
	.forget_multi = ops_forget_multi,
	.getattr = ops_getattr,
	.setattr = ops_setattr,
	.statfs = ops_statfs,
	.opendir = ops_opendir,
	.readdir = ops_readdir,
	.readdirplus = ops_readdirplus,
	.releasedir = ops_releasedir,
	.open = ops_open,
	.create = ops_create,
	.read = ops_read,
	.write = ops_write,
	.flush = ops_flush,
	.fsync = ops_fsync,
	.release = ops_release,
	.unlink = ops_unlink,
	.rename = ops_rename,
	.mknod = ops_mknod,
	.mkdir = ops_mkdir,
	.rmdir = ops_rmdir,
	.symlink = ops_symlink,
	.link = ops_link,
	.ioctl = ops_ioctl,
};
