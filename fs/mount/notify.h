/* SPDX-License-Identifier: Apache-2.0
 *
 * Telling the kernel to forget.  A thread of its own does it and holds no lock meanwhile: taking a name from a directory
 * waits for the operation that holds the directory, which may be one of ours (fuse-facts 1). */
#ifndef KESFS_FS_MOUNT_NOTIFY_H
#define KESFS_FS_MOUNT_NOTIFY_H

#include <stdint.h>

struct fuse_session;
struct notifier;

struct notifier *notifier_new(struct fuse_session *fuse);     /* NULL: no memory or no thread */
/* Ends the threads and drops what is queued.  While requests are still answered: a thread may be waiting for one. */
void notifier_stop(struct notifier *n);       /* accepts NULL; may be called again */
void notifier_free(struct notifier *n);       /* accepts NULL */
/* Both accept a NULL notifier, and may lose a message when there is no memory: caches then age as usual. */
void notifier_entry(struct notifier *n, uint64_t parent, const char *name);
void notifier_pages(struct notifier *n, uint64_t ino);

#endif
