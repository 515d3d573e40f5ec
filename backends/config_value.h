/* SPDX-License-Identifier: Apache-2.0
 *
 * Single values of a configuration file, as pure functions: durations, addresses, misspelt words. */
#ifndef KESFS_BACKENDS_CONFIG_VALUE_H
#define KESFS_BACKENDS_CONFIG_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Go's time.ParseDuration; a negative one is refused.  false: no duration. */
bool value_duration(const char *text, int64_t *ret_ns);

/* NULL, or what is wrong with an address: "has no host".  Without a scheme only if that is not needed.  Never quotes
 * it: it may hold a password. */
const char *value_url(const char *text, bool scheme_needed);

/* Plain http to a host other than this one; *ret_host is lent from text. */
bool value_plain(const char *text, const char **ret_host, int *ret_length);

/* The best guess of what a misspelt word was meant to be, carried from call to call; starts with best NULL. */
struct guess {
	const char *word, *best;
	size_t distance;
};
void guess_try(struct guess *g, const char *candidate);

#endif
