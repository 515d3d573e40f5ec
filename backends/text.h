/* SPDX-License-Identifier: Apache-2.0
 *
 * Text on the heap that is no secret: made by a format, freed at the end of its scope. */
#ifndef KESFS_BACKENDS_TEXT_H
#define KESFS_BACKENDS_TEXT_H

char *text_format(const char *fmt, ...) __attribute__((format(printf, 1, 2)));   /* malloc'd; NULL: no memory */
void text_freep(char **text);
#define AUTO_TEXT(name) __attribute__((cleanup(text_freep))) char *name = NULL

#endif
