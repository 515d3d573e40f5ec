/* SPDX-License-Identifier: Apache-2.0
 *
 * All names in one array, sorted without regard to case: collisions are neighbours. */
#include "fs/migrate/caseless.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct folded {
	const char *name;
	struct item *item;            /* NULL: a name of the target, which stands first among equals */
};

static int folded_order(const void *a, const void *b)
{
	const struct folded *x = a, *y = b;
	int order = strcasecmp(x->name, y->name);

	if (order == 0)
		order = (x->item != NULL) - (y->item != NULL);
	return order != 0 ? order : strcmp(x->name, y->name);
}

static void mark(const struct folded *names, size_t count)
{
	const struct folded *first = names;

	for (size_t i = 1; i < count; i++) {
		if (strcasecmp(first->name, names[i].name) != 0) {
			first = &names[i];
			continue;
		}
		if (names[i].item == NULL || strcmp(first->name, names[i].name) == 0)
			continue;
		item_settle_as(names[i].item, OUTCOME_PENDING, EINVAL, "it differs only in case from '%s'%s, and the target does "
			       "not tell them apart", first->name, first->item == NULL ? " at the target" : "");
		names[i].item->flags |= ITEM_UNFIT;
	}
}

int caseless_mark(struct item *items, size_t count, char *const *target, size_t target_count, struct error *err)
{
	struct folded *names = calloc(count + target_count + 1, sizeof *names);
	size_t n = 0;

	if (names == NULL)
		return error_set(err, ENOMEM, "no memory");
	for (size_t i = 0; i < target_count; i++)
		names[n++].name = target[i];
	for (size_t i = 0; i < count; i++)
		if (items[i].outcome == OUTCOME_PENDING)
			names[n++] = (struct folded){ items[i].name, &items[i] };
	qsort(names, n, sizeof *names, folded_order);
	mark(names, n);
	free(names);
	return 0;
}
