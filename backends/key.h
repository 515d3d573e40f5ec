/* SPDX-License-Identifier: Apache-2.0
 *
 * The two value formats of KES (keystores.md 4): parse, check, describe.  Values are never re-encoded. */
#ifndef KESFS_BACKENDS_KEY_H
#define KESFS_BACKENDS_KEY_H

#include <stdbool.h>
#include <stdint.h>

#include "backends/error.h"
#include "backends/secret.h"

enum key_kind {
	KEY_VALID,            /* a KES server can load it */
	KEY_FOREIGN,          /* not a KES key at all: nothing about it looks like one */
	KEY_UNCHECKED,        /* no memory to look at it: why has ENOMEM */
	KEY_DAMAGED,          /* empty, begins like a key but does not parse, or is still wrapped (vault:v1:...) */
};

struct key_info {             /* no key bytes */
	bool json;            /* format B; else A (base64 of protobuf) */
	const char *algorithm;    /* "AES256" or "ChaCha20"; static */
	bool has_created;
	int64_t created;      /* seconds since 1970 */
	int32_t created_nanos;
	char created_by[128]; /* printable, cut; empty: unknown */
	bool has_hmac;
};

/* What a value is.  *ret_info is filled for KEY_VALID only.  why gets the reason for the others ("the HMAC key is
 * missing", code EBADMSG), with no byte of the value. */
enum key_kind key_parse(const struct secret *value, struct key_info *ret_info, struct error *why);

#endif
