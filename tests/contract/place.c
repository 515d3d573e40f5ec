/* SPDX-License-Identifier: Apache-2.0
 *
 * A store to try the contract on, and names in it that nobody else uses. */
#include "tests/contract/place.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "backends/dir.h"
#include "contrib/new-backend/example.h"

enum { NAMES_MAX = 4096 };
static struct {
	char path[256];               /* empty: given */
	const char *where;
	struct store store;
	unsigned run;                 /* part of each name */
	pthread_mutex_t lock;
	size_t count;                 /* guarded by lock */
	char names[NAMES_MAX][NAME_ROOM];
} place = { .lock = PTHREAD_MUTEX_INITIALIZER };

void place_open(struct store *ret, bool write)
{
	struct backend_options o = { .write = write };
	struct error err = ERROR_INIT;

	if (getenv("KESFS_CONTRACT_EXAMPLE") != NULL) {
		*ret = (struct store){ .ops = &example_backend };
		if (ret->ops->open(NULL, &o, &ret->handle, &err) != 0)
			fail_msg("%s", err.text);
	} else if (store_open(place.where, &o, NULL, NULL, ret, &err) != 0)
		fail_msg("%s", err.text);
	struct call c = soon();
	if (ret->ops->status(ret->handle, &c, &err) != 0)
		fail_msg("%s", err.text);
	/* The way of file systems without O_TMPFILE. */
	if (ret->ops == &dir_backend && getenv("KESFS_CONTRACT_NAMED") != NULL)
		ret->handle->named = true;
}

int place_make(void **state)
{
	const char *below = getenv("KESFS_CONTRACT_DIR");

	place.where = getenv("KESFS_CONTRACT_STORE");
	if (place.where == NULL && getenv("KESFS_CONTRACT_EXAMPLE") == NULL) {
		if (below == NULL || access(below, W_OK) != 0)
			below = "/tmp";
		snprintf(place.path, sizeof place.path, "%s/kesfs-contract.XXXXXX", below);
		if (mkdtemp(place.path) == NULL)
			return -1;
		place.where = place.path;
	}
	if (getrandom(&place.run, sizeof place.run, 0) != sizeof place.run)
		return -1;
	place_open(&place.store, true);
	return 0;
}

int place_drop(void **state)
{
	for (size_t i = 0; i < place.count; i++) {
		struct call c = soon();
		place.store.ops->remove(place.store.handle, &c, place.names[i], NULL);
	}
	store_close(&place.store);
	return place.path[0] != '\0' ? rmdir(place.path) : 0;
}

const char *place_path(void)
{
	return place.path[0] != '\0' ? place.path : NULL;
}

struct store *place_store(void)
{
	return &place.store;
}

void name_new(char *ret, const char *stem)
{
	pthread_mutex_lock(&place.lock);
	assert_true(place.count < NAMES_MAX);
	snprintf(ret, NAME_ROOM, "%s-%08x-%zu", stem, place.run, place.count);
	strcpy(place.names[place.count++], ret);
	pthread_mutex_unlock(&place.lock);
}

void value_new(struct secret *ret, size_t len)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdef";

	secret_wipe(ret);
	assert_int_equal(secret_resize(ret, len), 0);
	for (size_t done = 0; done < len;) {
		ssize_t n = getrandom(ret->bytes + done, len - done < 256 ? len - done : 256, 0);
		assert_true(n > 0);
		done += (size_t)n;
	}
	for (size_t i = 0; i < len; i++)
		ret->bytes[i] = (unsigned char)digits[ret->bytes[i] % 32];
}

struct call soon(void)
{
	return call_in(60, NULL);
}

void assert_stored(const char *name, const struct secret *value)
{
	struct error err = ERROR_INIT;
	struct call c = soon();
	SECRET(now);

	if (place.store.ops->get(place.store.handle, &c, name, &now, &err) != 0)
		fail_msg("%s", err.text);
	assert_true(secret_equal(&now, value));
}

void assert_sentence(const struct error *err, int r, const char *name, const struct secret *value)
{
	assert_int_equal(err->code, -r);
	assert_true(strlen(err->text) > 10);
	assert_null(strchr(err->text, '\n'));
	if (name != NULL)
		assert_non_null(strstr(err->text, name));
	if (value != NULL && value->len >= 16)
		assert_null(memmem(err->text, strlen(err->text), value->bytes, 16));
}
