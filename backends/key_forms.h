/* SPDX-License-Identifier: Apache-2.0
 *
 * The two value formats, for key.c only. */
#ifndef KESFS_BACKENDS_KEY_FORMS_H
#define KESFS_BACKENDS_KEY_FORMS_H

#include "backends/key.h"

enum { KEY_BYTES = 32 };
#define KEY_TIME_ZERO INT64_C(-62135596800)   /* year 1, Go's zero time: "never set" */

/* Standard alphabet, padding required, CR and LF skipped, as Go's decoder does; appended to *out.  -EBADMSG. */
int key_base64(const unsigned char *text, size_t len, struct secret *out, struct error *why);

/* A decoded KeyVersion message.  *ret_similar is set if it has a part that only a key has, right or not. */
int key_protobuf(const struct secret *message, struct key_info *ret, bool *ret_similar, struct error *why);

/* A JSON object.  *ret_similar: it has a member that only a key has, or was cut off before that could be seen. */
int key_json(const unsigned char *text, size_t len, struct key_info *ret, bool *ret_similar, struct error *why);

/* Keep what is printable of a creator, cut. */
void key_created_by(struct key_info *info, const unsigned char *text, size_t len);

#endif
