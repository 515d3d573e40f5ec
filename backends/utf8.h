/* SPDX-License-Identifier: Apache-2.0
 *
 * One character of UTF-8, judged as strictly as Go does. */
#ifndef KESFS_BACKENDS_UTF8_H
#define KESFS_BACKENDS_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The number of bytes of the character at text and its code point in *ret; 0 if it is no valid UTF-8 (cut short, not
 * in its shortest form, a surrogate, beyond U+10FFFF) or len is 0. */
size_t utf8_decode(const void *text, size_t len, uint32_t *ret);
bool utf8_valid(const void *text, size_t len);

#endif
