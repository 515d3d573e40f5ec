/* SPDX-License-Identifier: Apache-2.0
 *
 * Two sorted listings are merged once.  Names move from a listing into the items, so that a million of them are held
 * once. */
#include "fs/migrate/gather.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int item_add(struct run *run, char *name, unsigned flags, struct error *err)
{
	if (run->count == run->room) {
		size_t room = run->room + run->room / 2 + 64;
		struct item *more = reallocarray(run->items, room, sizeof *more);
		if (more == NULL) {
			free(name);
			return error_set(err, ENOMEM, "no memory for %zu keys", room);
		}
		run->items = more;
		run->room = room;
	}
	run->items[run->count++] = (struct item){ .name = name, .flags = (uint8_t)flags };
	return name != NULL ? 0 : error_set(err, ENOMEM, "no memory");
}

/* What the source's listing says is no key. */
static void source_settle(struct item *item, const struct listing_entry *e)
{
	const char *what = e->flags & ENTRY_FOLDER ? "a folder, not a key" : e->flags & ENTRY_FOREIGN ? "not a key" : NULL;

	if (e->flags & ENTRY_SYMLINK)
		item_settle_as(item, OUTCOME_DAMAGED, EBADMSG, "a symbolic link, which is not followed, but a KES server reads "
			       "it: put the file itself there");
	else if (e->flags & ENTRY_DELETED)
		item_settle_as(item, OUTCOME_DELETED, ENOENT, "the source lists it, but it is deleted");
	else if (what != NULL)
		item_settle_as(item, item->flags & ITEM_LITERAL ? OUTCOME_DAMAGED : OUTCOME_FOREIGN, 0, "%s", what);
}

/* Something of that name is at the target. */
static void target_note(const struct run *run, struct item *item, const struct listing_entry *e)
{
	const char *what = e->flags & ENTRY_SYMLINK ? "a symbolic link" : e->flags & ENTRY_FOLDER ? "a folder" :
			   e->flags & ENTRY_FOREIGN ? "something that is no key" : NULL;

	if (e->flags & ENTRY_DELETED || item->outcome != OUTCOME_PENDING)
		return;
	item->flags |= ITEM_AT_TARGET;
	if (what != NULL && (run->options.action != ACTION_CHECK || !(e->flags & ENTRY_FOLDER)))
		item_settle_as(item, OUTCOME_CONFLICT, EEXIST, "the target holds %s of that name", what);
}

/* --check names what only the target has. */
static int target_only(struct run *run, struct listing_entry *e, struct error *err)
{
	bool literal;

	if (run->options.action != ACTION_CHECK || e->flags & (ENTRY_FOLDER | ENTRY_DELETED | ENTRY_FOREIGN) ||
	    !selection_match(run->selection, e->name, &literal))
		return 0;
	int r = item_add(run, e->name, ITEM_TARGET_ONLY, err);
	e->name = NULL;
	if (r == 0 && e->flags & ENTRY_SYMLINK)
		item_settle_as(&run->items[run->count - 1], OUTCOME_DAMAGED, EBADMSG, "a symbolic link at the target, which a KES "
			       "server reads, but kesfs does not follow");
	else if (r == 0)
		item_settle(&run->items[run->count - 1], OUTCOME_EXTRA, NULL);
	return r;
}

static int source_add(struct run *run, struct listing_entry *e, const struct listing_entry *there, struct error *err)
{
	bool literal;

	if (!selection_match(run->selection, e->name, &literal))
		return 0;
	int r = item_add(run, e->name, literal ? ITEM_LITERAL : 0, err);
	e->name = NULL;
	if (r != 0)
		return r;
	source_settle(&run->items[run->count - 1], e);
	if (there != NULL)
		target_note(run, &run->items[run->count - 1], there);
	return 0;
}

static int merge(struct run *run, struct listing *source, struct listing *target, struct error *err)
{
	size_t i = 0, j = 0;
	int r = 0;

	while (r == 0 && (i < source->count || j < target->count)) {
		int order = i == source->count ? 1 : j == target->count ? -1 :
			    strcmp(source->entries[i].name, target->entries[j].name);
		if (order > 0)
			r = target_only(run, &target->entries[j++], err);
		else
			r = source_add(run, &source->entries[i++], order == 0 ? &target->entries[j] : NULL, err);
		if (order == 0)
			j++;
	}
	return r;
}

/* A target that cannot tell case apart needs all its names for the plan. */
static void names_keep(struct run *run, struct listing *target)
{
	if (!(run->target.caps & BACKEND_CASELESS) || target->count == 0)
		return;
	run->target_names = calloc(target->count, sizeof *run->target_names);
	for (size_t i = 0; run->target_names != NULL && i < target->count; i++)
		if (!(target->entries[i].flags & (ENTRY_FOLDER | ENTRY_FOREIGN))) {
			run->target_names[run->target_name_count++] = target->entries[i].name;
			target->entries[i].name = NULL;
		}
}

static int gather_listed(struct run *run, struct error *err)
{
	const char *prefix = selection_prefix(run->selection);
	struct listing source = { .count = 0 }, target = { .count = 0 };
	char unmatched[ERROR_TEXT_MAX / 2];
	int r = side_list(&run->source, &run->stop, prefix, &source, err);
	bool empty = source.count == 0;

	if (r == 0 && run->target.open)
		r = side_list(&run->target, &run->stop, prefix, &target, err);
	if (r == 0)
		r = merge(run, &source, &target, err);
	if (r == 0)
		names_keep(run, &target);
	listing_free(&source);
	listing_free(&target);
	if (r != 0)
		return r;
	if (empty && *prefix == '\0')
		return error_set(err, ENOENT, "the source holds no key: %s", side_label(&run->source));
	if (selection_unmatched(run->selection, unmatched, sizeof unmatched))
		return error_set(err, ENOENT, "the source has no key that matches %s", unmatched);
	return 0;
}

static int gather_literals(struct run *run, const char *const *names, size_t count, struct error *err)
{
	unsigned flags = ITEM_LITERAL | (run->target.open ? ITEM_AT_TARGET : 0);
	int r = 0;

	for (size_t i = 0; r == 0 && i < count; i++)
		r = item_add(run, strdup(names[i]), flags, err);
	return r;
}

int gather(struct run *run, struct error *err)
{
	size_t count;
	const char *const *names = selection_literals(run->selection, &count);
	int r = names != NULL ? gather_literals(run, names, count, err) : gather_listed(run, err);

	if (r == 0 && run->count == 0)
		r = error_set(err, ENOENT, "nothing is selected: --include and --exclude leave no key");
	return r;
}

void gather_forget(struct run *run)
{
	for (size_t i = 0; i < run->target_name_count; i++)
		free(run->target_names[i]);
	free(run->target_names);
	run->target_names = NULL;
	run->target_name_count = 0;
}
