/* SPDX-License-Identifier: Apache-2.0
 *
 * Where the contract is tried: the store that $KESFS_CONTRACT_STORE names (a configuration file or a directory), or a
 * new directory below $KESFS_CONTRACT_DIR, or /tmp. */
#ifndef KESFS_TESTS_CONTRACT_PLACE_H
#define KESFS_TESTS_CONTRACT_PLACE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fs/store.h"

enum { NAME_ROOM = 64 };

int place_make(void **state);                 /* group setup and teardown; teardown removes what names were given */
int place_drop(void **state);
const char *place_path(void);                 /* of the directory; NULL: the store was given */

/* A handle of its own, or the one that all tests share. */
void place_open(struct store *ret, bool write);
struct store *place_store(void);

void name_new(char *ret, const char *stem);   /* unused so far, gone afterwards */
void value_new(struct secret *ret, size_t len);
#define VALUE(v, len) SECRET(v); value_new(&v, len)
struct call soon(void);                       /* a generous deadline */
void assert_stored(const char *name, const struct secret *value);
/* A failure must be a code and a sentence fit for a person: no newline, the name in it, nothing of the value. */
void assert_sentence(const struct error *err, int r, const char *name, const struct secret *value);

#endif
