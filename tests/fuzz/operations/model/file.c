/* SPDX-License-Identifier: Apache-2.0
 *
 * Bytes change here; commit.c and rename.c bring them into the store. */
#include "tests/fuzz/operations/model/file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/fuzz/operations/model.h"
#include "tests/fuzz/operations/model/held.h"
#include "tests/fuzz/operations/model/node.h"
#include "tests/fuzz/operations/model/op.h"

static struct file *files;

struct file *model_file_new(struct node *n)
{
	struct file *f = model_alloc(sizeof *f);

	f->node = n;
	n->file = f;
	f->all = files;
	files = f;
	return f;
}

void model_file_detach(struct file *f, int refused)
{
	struct node *n = f->node;

	if (n == NULL)
		return;
	f->refused = refused;
	f->node = NULL;
	n->file = NULL;
	if (!n->stored)
		model_node_unlink(n);
}

void model_file_unref(struct file *f)
{
	if (--f->refs > 0 || f->node != NULL)
		return;
	model_held_restore(f->held);
	f->held = NULL;
}

static void changed(struct file *f, uint64_t owner)
{
	f->generation++;
	f->data = true;
	f->writer = owner;
}

int model_file_resize(struct file *f, size_t size)
{
	if (f->refused != 0)
		return f->refused;
	if (size > LIMIT)
		return EFBIG;
	if (size == f->bytes.len)
		return 0;
	if (size > f->bytes.len)
		memset(f->bytes.at + f->bytes.len, 0, size - f->bytes.len);
	f->bytes.len = size;
	changed(f, 0);
	return 0;
}

int model_file_write(struct file *f, const struct op *op)
{
	size_t offset = op->handle->append ? f->bytes.len : op->offset, end = offset + op->data.len;

	if (f->refused != 0)
		return f->refused;
	if (end > LIMIT) {
		model_file_detach(f, EFBIG);
		f->bytes.len = 0;
		return EFBIG;
	}
	if (offset > f->bytes.len)
		memset(f->bytes.at + f->bytes.len, 0, offset - f->bytes.len);
	memcpy(f->bytes.at + offset, op->data.at, op->data.len);
	if (end > f->bytes.len)
		f->bytes.len = end;
	changed(f, op->owner);
	return 0;
}

bool model_file_dirty(const struct file *f)
{
	return f->node != NULL && f->generation != f->committed;
}

bool model_undecided(const struct node *n)
{
	return model_node_is_key(n) && n->file != NULL && (!n->stored || model_file_dirty(n->file));
}

uint64_t model_size(const struct node *n, bool *ret_known)
{
	*ret_known = n->file != NULL && (!model_node_is_key(n) || model_undecided(n));
	return *ret_known ? n->file->bytes.len : 0;
}

unsigned model_held(void)
{
	unsigned found = 0;

	for (struct file *f = files; f != NULL; f = f->all)
		if (f->held != NULL)
			found |= 1u << f->held->name;
	return found;
}

void model_files_tick(void)
{
	for (int i = KEYS; i < NAMES; i++) {
		struct file *f = model_node_at(i) != NULL ? model_node_at(i)->file : NULL;
		if (f != NULL && f->closed && !f->committing) {
			model_file_detach(f, ENOENT);
			f->bytes.len = 0;
		}
	}
}

void model_files_end(bool quiet)
{
	for (struct file *f = files, *next; f != NULL; f = next) {
		next = f->all;
		CHECK(!quiet || (f->node == NULL && f->refs == 0 && f->held == NULL));
		free(f->held);
		free(f);
	}
	files = NULL;
}
