/* SPDX-License-Identifier: Apache-2.0
 *
 * A table by name, and the order of listings.  A million preloaded names take no memory: they and their values follow from
 * their number until somebody changes one. */
#include "fake.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PRELOADED_CREATED = 1700000000 };

static size_t preloaded;
static struct stored **entries;       /* in the order in which they came */
static size_t count, room;
static struct stored **table;         /* open addressing, a power of two */
static size_t table_size;
static struct stored passing;         /* of a preloaded one that was looked at */
static char passing_name[32], passing_value[160];

static size_t slot_of(const char *name)
{
	uint64_t h = UINT64_C(14695981039346656037);

	for (const char *p = name; *p != '\0'; p++)
		h = (h ^ (unsigned char)*p) * UINT64_C(1099511628211);
	size_t i = (size_t)(h ^ h >> 32) & (table_size - 1);
	while (table[i] != NULL && strcmp(table[i]->name, name) != 0)
		i = (i + 1) & (table_size - 1);
	return i;
}

static void table_grow(void)
{
	free(table);
	table_size = table_size != 0 ? 2 * table_size : 1024;
	table = calloc(table_size, sizeof *table);
	if (table == NULL)
		abort();
	for (size_t i = 0; i < count; i++)
		table[slot_of(entries[i]->name)] = entries[i];
}

void secrets_preload(size_t n)
{
	preloaded = n;
}

/* A key in the older format of KES, whose 32 bytes are the number. */
static struct stored *preloaded_make(size_t n)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	char bytes[45];

	memset(bytes, 'A', 42);
	for (size_t i = 0, rest = n + 1; rest > 0; i++, rest >>= 6)
		bytes[i] = digits[rest & 63];
	memcpy(bytes + 42, "A=", 3);
	snprintf(passing_name, sizeof passing_name, "key-%07zu", n);
	snprintf(passing_value, sizeof passing_value, "{\"bytes\":\"%s\",\"algorithm\":\"AES256\"}", bytes);
	passing = (struct stored){ .name = passing_name, .value = passing_value, .created = PRELOADED_CREATED,
	                           .changed = PRELOADED_CREATED, .token = "00000000-0000-4000-8000-000000000000" };
	return &passing;
}

static bool preloaded_number(const char *name, size_t *ret)
{
	char *end;

	if (strncmp(name, "key-", 4) != 0 || strlen(name) < 11)
		return false;
	*ret = strtoull(name + 4, &end, 10);
	return *end == '\0' && *ret < preloaded && strcmp(preloaded_make(*ret)->name, name) == 0;
}

struct stored *secrets_find(const char *name)
{
	size_t n;
	struct stored *s = table_size > 0 ? table[slot_of(name)] : NULL;

	return s != NULL ? s : preloaded_number(name, &n) ? preloaded_make(n) : NULL;
}

static struct stored *entry_add(const char *name)
{
	struct stored *s = calloc(1, sizeof *s);

	if (count == room) {
		room = room != 0 ? 2 * room : 1024;
		entries = realloc(entries, room * sizeof *entries);
	}
	if (s == NULL || entries == NULL || (s->name = strdup(name)) == NULL)
		abort();
	s->gone = true;
	entries[count++] = s;
	if (2 * count > table_size)
		table_grow();
	else
		table[slot_of(name)] = s;
	return s;
}

struct stored *secrets_make(const char *name)
{
	struct stored *found = secrets_find(name);

	if (found != NULL && found != &passing)
		return found;
	struct stored *made = entry_add(name);
	if (found != NULL) {
		stored_set(made, passing.value, false, passing.token);
		made->created = made->changed = passing.created;
		made->gone = false;
	}
	return made;
}

void stored_set(struct stored *s, const char *value, bool binary, const char *token)
{
	char *copy = strdup(value);

	if (copy == NULL)
		abort();
	free(s->value);
	s->value = copy;
	s->binary = binary;
	snprintf(s->previous, sizeof s->previous, "%s", s->token);
	snprintf(s->token, sizeof s->token, "%s", token);
	s->changed = clock_now();
}

bool stored_alive(struct stored *s)
{
	if (s->deleted != 0 && s->held_until != 0 && clock_now() >= s->held_until) {
		s->gone = true;
		s->deleted = s->held_until = 0;
	}
	return !s->gone;
}

static bool is_listed(const struct stored *s, double now, bool planned)
{
	if (s->listed_from > now)
		return false;
	if (s->unlisted_from > now)           /* a removal that the list does not know yet */
		return true;
	return !s->gone && (s->deleted == 0 || (planned && s->held_until == 0));
}

const struct stored *secrets_at(size_t n, double now, bool planned, bool *ret_more)
{
	*ret_more = n < preloaded + count;
	if (!*ret_more)
		return NULL;
	if (n >= preloaded)
		return is_listed(entries[n - preloaded], now, planned) ? entries[n - preloaded] : NULL;
	struct stored *s = preloaded_make(n);
	return table_size > 0 && table[slot_of(s->name)] != NULL ? NULL : s;
}

void secrets_values(struct text *out)
{
	bool first = true;

	text_put(out, "{");
	for (size_t i = 0; i < count; i++) {
		struct stored *s = entries[i];
		if (!stored_alive(s) || s->deleted != 0)
			continue;
		text_put(out, first ? "" : ",");
		first = false;
		text_json(out, s->name);
		text_put(out, ":");
		text_json(out, s->value);
	}
	text_put(out, "}");
}
