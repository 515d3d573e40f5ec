/* SPDX-License-Identifier: Apache-2.0
 *
 * There is one environment to a process, so what was taken out of it is kept once to a process too. */
#include "backends/config_env.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct taken {
	char *name;
	struct secret value;
	struct taken *next;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct taken *list;                    /* guarded by lock; as old as the process */

static struct taken *taken_find(const char *name)
{
	struct taken *t = list;

	while (t != NULL && strcmp(t->name, name) != 0)
		t = t->next;
	return t;
}

static struct taken *taken_add(const char *name)
{
	struct taken *t = calloc(1, sizeof *t);

	if (t != NULL && (t->name = strdup(name)) == NULL) {
		free(t);
		return NULL;
	}
	if (t == NULL)
		return NULL;
	t->next = list;
	list = t;
	return t;
}

/* Other parts of the process and its children live by these, and they are no secrets. */
static bool public(const char *name)
{
	return strcmp(name, "HOME") == 0 || strcmp(name, "PATH") == 0;
}

static int take(const char *name, char *value, struct secret *ret)
{
	struct taken *t = taken_find(name);

	if (*value == '\0' && t != NULL)      /* taken before */
		return secret_copy(ret, &t->value);
	if (*value == '\0' || public(name)) {
		secret_wipe(ret);
		return secret_append_text(ret, value);
	}
	if (t == NULL)
		t = taken_add(name);
	if (t == NULL)
		return -ENOMEM;
	secret_wipe(&t->value);
	int r = secret_append_text(&t->value, value);
	if (r != 0)
		return r;
	explicit_bzero(value, strlen(value));
	return secret_copy(ret, &t->value);
}

int config_env(const char *name, struct secret *ret)
{
	pthread_mutex_lock(&lock);
	char *value = getenv(name);
	int r = value != NULL ? take(name, value, ret) : -ENOENT;
	pthread_mutex_unlock(&lock);
	return r;
}

static bool blank(char c)
{
	return c != '\0' && strchr(" \t\r\n\v\f", c) != NULL;
}

bool config_env_reference(const char *text, const char **ret_name, int *ret_length)
{
	const char *end = text + strlen(text);

	while (blank(*text))
		text++;
	while (end > text && blank(end[-1]))
		end--;
	if (end - text < 3 || text[0] != '$' || text[1] != '{' || end[-1] != '}')
		return false;
	text += 2;
	end--;
	while (text < end && blank(*text))
		text++;
	while (end > text && blank(end[-1]))
		end--;
	*ret_name = text;
	*ret_length = (int)(end - text);
	return true;
}
