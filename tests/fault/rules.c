/* SPDX-License-Identifier: Apache-2.0
 *
 * Read the rules, and again whenever the file that holds them changed. */
#include "tests/fault/rules.h"

#include <errno.h>
#include <fnmatch.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct {
	pthread_mutex_t lock;
	char *text;                   /* what list was made from */
	struct rule *list;            /* guarded by lock, as is text */
} rules = { PTHREAD_MUTEX_INITIALIZER, NULL, NULL };

static const struct { const char *name; enum action action; char takes; } actions[] = {
	{ "delay", ACTION_DELAY, 'n' }, { "hold", ACTION_HOLD, 'f' }, { "fail", ACTION_FAIL, 'e' },
	{ "hang", ACTION_HANG, 0 }, { "late", ACTION_LATE, 'e' }, { "lose", ACTION_LOSE, 0 },
	{ "lie", ACTION_LIE, 0 }, { "flip", ACTION_FLIP, 0 }, { "gap", ACTION_GAP, 0 }, { "blind", ACTION_BLIND, 0 },
	{ "local", ACTION_LOCAL, 0 },
};

static int errno_of(const char *symbol)
{
	for (int code = 1; code < 200; code++) {
		const char *name = strerrorname_np(code);
		if (name != NULL && strcmp(name, symbol) == 0)
			return code;
	}
	return 0;
}

static bool action_parse(struct rule *r, char *text)
{
	char *value = strchr(text, '=');

	if (value != NULL)
		*value++ = '\0';
	for (size_t i = 0; i < sizeof actions / sizeof *actions; i++) {
		if (strcmp(actions[i].name, text) != 0)
			continue;
		r->action = actions[i].action;
		r->file = value;
		if (value == NULL) {
			r->number = r->action == ACTION_LATE ? EINPROGRESS : 0;
			return actions[i].takes == 0 || r->action == ACTION_LATE;
		}
		r->number = actions[i].takes == 'e' ? errno_of(value) : actions[i].takes == 'n' ? atol(value) : 0;
		return actions[i].takes == 'f' || r->number > 0;
	}
	return false;
}

/* SIDE:OP:NAME:ACTION[:xTIMES|:nTH] */
static struct rule *rule_parse(const char *text)
{
	char *part[5] = { NULL }, *rest = strdup(text), *p;
	struct rule *r = calloc(1, sizeof *r);
	int count = 0;

	if (rest == NULL || r == NULL)
		abort();
	while (count < 5 && (p = strsep(&rest, ":")) != NULL)
		part[count++] = p;
	if (count < 4 || rest != NULL || (count == 5 && ((part[4][0] != 'x' && part[4][0] != 'n') || atol(part[4] + 1) <= 0)) ||
	    !action_parse(r, part[3])) {
		fprintf(stderr, "KESFS_FAULT: '%s' is no rule: SIDE:OP:NAME:ACTION[:xTIMES|:nTH], see tests/fault/README.md\n", text);
		free(part[0]);
		free(r);
		return NULL;
	}
	r->side = part[0];
	r->op = part[1];
	r->name = part[2];
	bool once = count == 5 && part[4][0] == 'n';
	r->skips = once ? atol(part[4] + 1) - 1 : 0;
	r->left = once ? 1 : count == 5 ? atol(part[4] + 1) : -1;
	return r;
}

static void list_free(struct rule *list)
{
	while (list != NULL) {
		struct rule *next = list->next;
		free(list->side);
		free(list);
		list = next;
	}
}

static bool list_parse(const char *text, struct rule **ret)
{
	char *copy = strdup(text), *rest = copy, *p;
	struct rule *list = NULL, **end = &list;
	bool good = copy != NULL;

	while (good && (p = strsep(&rest, ",\n")) != NULL) {
		if (*p == '\0')
			continue;
		*end = rule_parse(p);
		good = *end != NULL;
		if (good)
			end = &(*end)->next;
	}
	free(copy);
	if (good)
		*ret = list;
	else
		list_free(list);
	return good;
}

/* The text of the rules now: $KESFS_FAULT, or what the file that it names as @FILE holds. */
static char *text_now(void)
{
	const char *env = getenv("KESFS_FAULT");
	char *text = calloc(1, 65536);
	FILE *f;

	if (text == NULL)
		return NULL;
	if (env != NULL && env[0] == '@') {
		f = fopen(env + 1, "re");
		if (f != NULL) {
			text[fread(text, 1, 65535, f)] = '\0';
			fclose(f);
		}
	} else if (env != NULL) {
		strncpy(text, env, 65535);
	}
	return text;
}

static bool reload(void)
{
	struct rule *list;
	char *text = text_now();

	if (text == NULL)
		return rules.text != NULL;    /* as they were */
	if (rules.text != NULL && strcmp(rules.text, text) == 0) {
		free(text);
		return true;
	}
	if (!list_parse(text, &list)) {
		free(text);
		return false;
	}
	list_free(rules.list);
	free(rules.text);
	rules.list = list;
	rules.text = text;
	return true;
}

bool rules_load(void)
{
	pthread_mutex_lock(&rules.lock);
	bool good = reload();
	pthread_mutex_unlock(&rules.lock);
	return good;
}

bool rules_any(void)
{
	return getenv("KESFS_FAULT") != NULL || getenv("KESFS_FAULT_LOG") != NULL;
}

static bool side_matches(const struct rule *r, const char *label, const char *where)
{
	return strcmp(r->side, "*") == 0 || strstr(label, r->side) != NULL || strstr(where, r->side) != NULL;
}

static void rule_apply(struct rule *r, struct fault *f)
{
	if (r->skips > 0) {
		r->skips--;
		return;
	}
	switch (r->action) {
	case ACTION_DELAY: f->delay_ms += r->number; break;
	case ACTION_HOLD:
		f->hold = true;
		snprintf(f->hold_file, sizeof f->hold_file, "%s", r->file);
		break;
	case ACTION_FAIL: f->fail = true; f->code = (int)r->number; break;
	case ACTION_LATE: f->late = true; f->code = (int)r->number; break;
	case ACTION_HANG: f->hang = true; break;
	case ACTION_LOSE: f->lose = true; break;
	case ACTION_LIE: f->lie = true; break;
	case ACTION_FLIP: f->flip = true; break;
	case ACTION_GAP: case ACTION_BLIND: case ACTION_LOCAL: break;
	}
	if (r->left > 0)
		r->left--;
}

void rules_match(const char *label, const char *where, const char *op, const char *name, struct fault *ret)
{
	*ret = (struct fault){ .code = 0 };
	pthread_mutex_lock(&rules.lock);
	if (!reload())
		abort();
	for (struct rule *r = rules.list; r != NULL; r = r->next)
		if (r->left != 0 && side_matches(r, label, where) && fnmatch(r->op, op, 0) == 0 &&
		    fnmatch(r->name, name, 0) == 0)
			rule_apply(r, ret);
	pthread_mutex_unlock(&rules.lock);
}

bool rules_store(const char *label, const char *where, enum action action)
{
	bool found = false;

	pthread_mutex_lock(&rules.lock);
	for (const struct rule *r = rules.list; r != NULL; r = r->next)
		found = found || (r->action == action && side_matches(r, label, where));
	pthread_mutex_unlock(&rules.lock);
	return found;
}
