/* SPDX-License-Identifier: Apache-2.0
 *
 * The safe order for stores that must delete before they create (keystores.md 18): read, compare, delete, create; and
 * if the new value cannot be created, the old one again, until the deadline.
 *
 * Between the delete and the create the key is absent.  Nobody can help that here; what can be helped is that it stays
 * absent, and that somebody's newer key is deleted. */
#ifndef KESFS_BACKENDS_REPLACE_H
#define KESFS_BACKENDS_REPLACE_H

#include "backends/backend.h"

/* A module's own get, remove and create, with the promises of backend.h; create() decides "if absent". */
struct replace_steps {
	int (*get)(struct backend *b, const struct call *c, const char *name, struct secret *out, struct error *err);
	int (*remove)(struct backend *b, const struct call *c, const char *name, struct error *err);
	int (*create)(struct backend *b, const struct call *c, const char *name, const struct secret *val, struct error *err);
};

/* For whoever has to tell the user why a replace does not end, and may end it.  In struct call; NULL: nobody. */
struct gap {
	struct cancel give_up;                /* requested: no more waiting, but one more try to put the old value back */
	/* The key is absent, and a try to store its new value, or to put back the old one, has failed.  Called in the
	 * thread of the call, after each such try. */
	void (*waits)(struct gap *gap, bool putting_back, const struct error *why);
};

/* backend_ops.replace() by these steps.  0: the new value is there, and was read back if it could be.
 *   -ESTALE            old is not what is there (any more), or another writer came in between: theirs was kept
 *   -ENOTRECOVERABLE   old was deleted, and at the deadline, or given up, neither value could be created
 *   -EINPROGRESS       the delete's answer was lost; the old value is there, and the store may still delete it: whoever
 *                      has it keeps it and looks again
 *   else               the old value is there, as before or put back; the sentence says which
 * Half of the time that is left when the key is deleted is for the new value, the other half for the old one.
 * A cancel counts until the delete is sent; after that only gap->give_up does. */
int replace_run(const struct replace_steps *steps, struct backend *b, const struct call *c, const char *name,
		const struct secret *old, const struct secret *val, struct error *err);

#endif
