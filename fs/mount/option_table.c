/* SPDX-License-Identifier: Apache-2.0
 *
 * The mount options and how each is checked.  A value is never repeated in a complaint about an unknown option: it may
 * be a password that somebody hoped to pass this way. */
#include "fs/mount/option_table.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fs/glob.h"
#include "fs/log.h"

#define FIELD(field) offsetof(struct mount_options, field)
#define AT(p, row, type) ((type *)((char *)(p)->o + (row)->offset))

static int set_true(struct option_parse *p, const struct option_row *row, const char *value, struct error *err)
{
	*AT(p, row, bool) = true;
	return 0;
}

static int set_nothing(struct option_parse *p, const struct option_row *row, const char *value, struct error *err)
{
	return 0;
}

static int set_refused(struct option_parse *p, const struct option_row *row, const char *value, struct error *err)
{
	return error_set(err, EINVAL, "the option '%s' is refused: %s", row->name, row->help);
}

static int set_read_only(struct option_parse *p, const struct option_row *row, const char *value, struct error *err)
{
	if (value != NULL)
		return option_list_append(&p->read_only_names, value) == 0 ? 0 : error_set(err, ENOMEM, "out of memory");
	p->read_only = true;
	return 0;
}

static int set_writable(struct option_parse *p, const struct option_row *row, const char *value, struct error *err)
{
	p->read_only = false;
	return 0;
}

static int set_text(struct option_parse *p, const struct option_row *row, const char *value, struct error *err)
{
	char *copy = strdup(value);

	if (copy == NULL)
		return error_set(err, ENOMEM, "out of memory");
	free(*AT(p, row, char *));
	*AT(p, row, char *) = copy;
	return 0;
}

static int set_debug(struct option_parse *p, const struct option_row *row, const char *value, struct error *err)
{
	char **areas = AT(p, row, char *), *joined = NULL;
	int r = log_debug(value, err);

	if (r != 0)
		return r;
	if (asprintf(&joined, "%s%s%s", *areas != NULL ? *areas : "", *areas != NULL ? "," : "", value) < 0)
		return error_set(err, ENOMEM, "out of memory");
	free(*areas);
	*areas = joined;
	return 0;
}

static int set_globs(struct option_parse *p, const struct option_row *row, const char *value, struct error *err)
{
	if (glob_check(value, err) != 0)
		return error_prefix(err, "the option '%s'", row->name);
	return option_list_append(AT(p, row, char **), value) == 0 ? 0 : error_set(err, ENOMEM, "out of memory");
}

static int set_size(struct option_parse *p, const struct option_row *row, const char *value, struct error *err)
{
	bool exact = strcmp(value, "exact") == 0;

	if (!exact && strcmp(value, "open") != 0)
		return error_set(err, EINVAL, "the option 'size' is either open or exact, not '%s'", value);
	*AT(p, row, bool) = exact;
	return 0;
}

/* Digits, and at most one point where a fraction has a meaning: no sign, no exponent, no "inf". */
static bool number_read(const char *value, bool fraction, double *ret)
{
	size_t digits = strspn(value, "0123456789"), more = 0;

	if (digits == 0 || digits > 15)
		return false;
	if (fraction && value[digits] == '.') {
		more = strspn(value + digits + 1, "0123456789");
		if (more == 0 || more > 9)
			return false;
		more++;
	}
	if (value[digits + more] != '\0')
		return false;
	*ret = strtod(value, NULL);
	return true;
}

static int number_set(const struct option_row *row, const char *value, bool fraction, double *ret, struct error *err)
{
	double number;

	if (number_read(value, fraction, &number) && number >= row->min && number <= row->max) {
		*ret = number;
		return 0;
	}
	return error_set(err, EINVAL, "the option '%s' is a%s number from %g to %.10g, not '%s'", row->name,
	                 fraction ? "" : " whole", row->min, row->max, value);
}

static int set_seconds(struct option_parse *p, const struct option_row *row, const char *value, struct error *err)
{
	return number_set(row, value, true, AT(p, row, double), err);
}

static int set_unsigned(struct option_parse *p, const struct option_row *row, const char *value, struct error *err)
{
	double number = 0;
	int r = number_set(row, value, false, &number, err);

	if (r == 0)
		*AT(p, row, unsigned) = (unsigned)number;
	return r;
}

/* -1: none. */
static int set_recovery(struct option_parse *p, const struct option_row *row, const char *value, struct error *err)
{
	double days;

	if (strcmp(value, "none") == 0)
		days = -1;
	else if (!number_read(value, false, &days) || days < row->min || days > row->max)
		return error_set(err, EINVAL, "the option 'recovery' is a whole number of days from %g to %g, or none, not '%s'",
		                 row->min, row->max, value);
	*AT(p, row, int) = (int)days;
	return 0;
}

static int set_id(struct option_parse *p, const struct option_row *row, const char *value, struct error *err)
{
	_Static_assert(sizeof(uid_t) == sizeof(unsigned) && sizeof(gid_t) == sizeof(unsigned), "ids are numbers of 32 bits");
	return set_unsigned(p, row, value, err);
}

static int set_umask(struct option_parse *p, const struct option_row *row, const char *value, struct error *err)
{
	size_t digits = strspn(value, "01234567");
	unsigned long mask = digits > 0 && digits < 9 && value[digits] == '\0' ? strtoul(value, NULL, 8) : 01000;

	if (mask > 0777)
		return error_set(err, EINVAL, "the option 'umask' is an octal number from 0 to 777, not '%s'", value);
	p->o->umask = (mode_t)mask;
	p->o->umask_set = true;
	return 0;
}

const struct option_row option_table[] = {
	{ "ro", "NAME", true, GROUP_CHANGE, set_read_only, 0, 0, 0,
	  "read only; with NAME only that one of several stores" },
	{ "rw", NULL, false, GROUP_CHANGE, set_writable, 0, 0, 0, "keys may be created (default)" },
	{ "overwrite", NULL, false, GROUP_CHANGE, set_true, FIELD(overwrite), 0, 0, "existing keys may be replaced" },
	{ "delete", NULL, false, GROUP_CHANGE, set_true, FIELD(remove), 0, 0, "keys may be removed" },
	{ "raw", NULL, false, GROUP_CHANGE, set_true, FIELD(raw), 0, 0,
	  "values that no KES server could load may be written" },

	{ "include", "GLOB", false, GROUP_SHOW, set_globs, FIELD(include), 0, 0,
	  "only keys that match; may be given again" },
	{ "exclude", "GLOB", false, GROUP_SHOW, set_globs, FIELD(exclude), 0, 0,
	  "no keys that match; may be given again" },
	{ "ttl", "SECONDS", false, GROUP_SHOW, set_seconds, FIELD(ttl), 0, 31536000,
	  "age at which a listing is taken again (10)" },
	{ "size", "open|exact", false, GROUP_SHOW, set_size, FIELD(size_exact), 0, 0,
	  "sizes of unread keys: 0 until they are opened (open),\nor fetched for every stat (exact)" },

	{ "uid", "N", false, GROUP_ACCESS, set_id, FIELD(uid), 0, 4294967294.0, "owner of the files (who mounts)" },
	{ "gid", "N", false, GROUP_ACCESS, set_id, FIELD(gid), 0, 4294967294.0, "their group (of who mounts)" },
	{ "umask", "MODE", false, GROUP_ACCESS, set_umask, 0, 0, 0,
	  "permission bits to take away, octal; without it files\nare 0600 and directories 0700" },
	{ "allow_other", NULL, false, GROUP_ACCESS, set_true, FIELD(allow_other), 0, 0,
	  "other users may enter, as the permission bits say" },
	{ "allow_root", NULL, false, GROUP_ACCESS, set_true, FIELD(allow_root), 0, 0, "root may enter too" },

	{ "timeout", "SECONDS", false, GROUP_STORE, set_seconds, FIELD(timeout), 0.001, 86400,
	  "longest wait for one answer of a store (30)" },
	{ "requests", "N", false, GROUP_STORE, set_unsigned, FIELD(requests), 1, 4096,
	  "requests in flight at most, for each store (128)" },

	{ "recovery", "DAYS|none", false, GROUP_STORE, set_recovery, FIELD(recovery_days), 7, 30,
	  "how long a removed key can be restored, where the store\nkeeps it (AWS: 30); its name is taken as long" },

	{ "log", "FILE", false, GROUP_LOG, set_text, FIELD(log_file), 0, 0,
	  "append the log to FILE instead of syslog (-f: stderr);\nSIGHUP opens it again" },
	{ "debug", "AREA", false, GROUP_LOG, set_debug, FIELD(debug_areas), 0, 0,
	  "log more of one area, or of all; never a value:\ncache fuse http store token" },

	{ "nonempty", NULL, false, GROUP_MOUNT, set_true, FIELD(nonempty), 0, 0,
	  "mount over a directory that is not empty" },
	{ "auto_unmount", NULL, false, GROUP_MOUNT, set_true, FIELD(auto_unmount), 0, 0,
	  "unmount even if kesfs is killed" },
	{ "fsname", "NAME", false, GROUP_MOUNT, set_text, FIELD(fsname), 0, 0,
	  "source shown by mount and df (CONFIG)" },

	/* mount(8) appends dev,suid and passes the rest on from fstab; the mount is nosuid, nodev and noexec all the same. */
	{ "dev", NULL, false, GROUP_QUIET, set_nothing, 0, 0, 0, "" },
	{ "nodev", NULL, false, GROUP_QUIET, set_nothing, 0, 0, 0, "" },
	{ "suid", NULL, false, GROUP_QUIET, set_nothing, 0, 0, 0, "" },
	{ "nosuid", NULL, false, GROUP_QUIET, set_nothing, 0, 0, 0, "" },
	{ "exec", NULL, false, GROUP_QUIET, set_nothing, 0, 0, 0, "" },
	{ "noexec", NULL, false, GROUP_QUIET, set_nothing, 0, 0, 0, "" },
	{ "auto", NULL, false, GROUP_QUIET, set_nothing, 0, 0, 0, "" },
	{ "noauto", NULL, false, GROUP_QUIET, set_nothing, 0, 0, 0, "" },
	{ "defaults", NULL, false, GROUP_QUIET, set_nothing, 0, 0, 0, "" },
	{ "user", "NAME", true, GROUP_QUIET, set_nothing, 0, 0, 0, "" },
	{ "nouser", NULL, false, GROUP_QUIET, set_nothing, 0, 0, 0, "" },
	{ "users", NULL, false, GROUP_QUIET, set_nothing, 0, 0, 0, "" },
	{ "owner", NULL, false, GROUP_QUIET, set_nothing, 0, 0, 0, "" },
	{ "group", NULL, false, GROUP_QUIET, set_nothing, 0, 0, 0, "" },
	{ "_netdev", NULL, false, GROUP_QUIET, set_nothing, 0, 0, 0, "" },
	{ "nofail", NULL, false, GROUP_QUIET, set_nothing, 0, 0, 0, "" },
	{ "comment", "TEXT", false, GROUP_QUIET, set_nothing, 0, 0, 0, "" },
	{ "sync", NULL, false, GROUP_QUIET, set_nothing, 0, 0, 0, "" },
	{ "async", NULL, false, GROUP_QUIET, set_nothing, 0, 0, 0, "" },
	{ "dirsync", NULL, false, GROUP_QUIET, set_nothing, 0, 0, 0, "" },
	{ "atime", NULL, false, GROUP_QUIET, set_nothing, 0, 0, 0, "" },
	{ "noatime", NULL, false, GROUP_QUIET, set_nothing, 0, 0, 0, "" },
	{ "relatime", NULL, false, GROUP_QUIET, set_nothing, 0, 0, 0, "" },
	{ "diratime", NULL, false, GROUP_QUIET, set_nothing, 0, 0, 0, "" },
	{ "nodiratime", NULL, false, GROUP_QUIET, set_nothing, 0, 0, 0, "" },
	{ "nosymfollow", NULL, false, GROUP_QUIET, set_nothing, 0, 0, 0, "" },
	{ "default_permissions", NULL, false, GROUP_QUIET, set_nothing, 0, 0, 0, "" },
	{ "subtype", "NAME", false, GROUP_QUIET, set_nothing, 0, 0, 0, "" },
	{ "max_read", "N", false, GROUP_QUIET, set_nothing, 0, 0, 0, "" },
	{ "x-*", "VALUE", true, GROUP_QUIET, set_nothing, 0, 0, 0, "" },
	{ "X-*", "VALUE", true, GROUP_QUIET, set_nothing, 0, 0, 0, "" },

	{ "remount", NULL, false, GROUP_REFUSED, set_refused, 0, 0, 0,
	  "options cannot change under a live mount; unmount it and mount it again" },
	{ "kernel_cache", NULL, false, GROUP_REFUSED, set_refused, 0, 0, 0, "values would stay in the page cache" },
	{ "auto_cache", NULL, false, GROUP_REFUSED, set_refused, 0, 0, 0, "values would stay in the page cache" },
	{ "writeback_cache", NULL, false, GROUP_REFUSED, set_refused, 0, 0, 0, "values would stay in the page cache" },
	{ "password", "TEXT", true, GROUP_REFUSED, set_refused, 0, 0, 0,
	  "secrets come from the configuration file or the environment, never from the command line" },
	{ "token", "TEXT", true, GROUP_REFUSED, set_refused, 0, 0, 0,
	  "secrets come from the configuration file or the environment, never from the command line" },
	{ NULL, NULL, false, GROUP_QUIET, NULL, 0, 0, 0, NULL },
};

static bool row_matches(const struct option_row *row, const char *name, size_t len)
{
	size_t own = strlen(row->name);

	if (row->name[own - 1] == '*')
		return len >= own - 1 && memcmp(row->name, name, own - 1) == 0;
	return len == own && memcmp(row->name, name, len) == 0;
}

static size_t smaller(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* Edits between two words: letters put in, left out, changed or swapped with the next. */
static size_t distance(const char *a, size_t a_len, const char *b, size_t b_len)
{
	enum { WORD = 32 };
	size_t d[WORD + 1][WORD + 1];

	if (a_len > WORD || b_len > WORD)
		return WORD;
	for (size_t i = 0; i <= a_len; i++)
		for (size_t j = 0; j <= b_len; j++) {
			if (i == 0 || j == 0) {
				d[i][j] = i + j;
				continue;
			}
			d[i][j] = smaller(smaller(d[i - 1][j], d[i][j - 1]) + 1, d[i - 1][j - 1] + (a[i - 1] != b[j - 1]));
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				d[i][j] = smaller(d[i][j], d[i - 2][j - 2] + 1);
		}
	return d[a_len][b_len];
}

static int option_unknown(const char *name, size_t len, struct error *err)
{
	const char *nearest = NULL;
	size_t best = len < 4 ? 2 : len / 3 + 1;

	for (const struct option_row *row = option_table; row->name != NULL; row++) {
		size_t d = distance(name, len, row->name, strlen(row->name));
		if (d < best && row->group != GROUP_REFUSED && strchr(row->name, '*') == NULL) {
			best = d;
			nearest = row->name;
		}
	}
	if (nearest != NULL)
		return error_set(err, EINVAL, "unknown mount option '%.*s': did you mean '%s'?", (int)len, name, nearest);
	return error_set(err, EINVAL, "unknown mount option '%.*s': kesfs --help lists them all", (int)len, name);
}

int option_apply(struct option_parse *p, const char *text, struct error *err)
{
	size_t len = strcspn(text, "=");
	const char *value = text[len] == '=' ? text + len + 1 : NULL;

	for (const struct option_row *row = option_table; row->name != NULL; row++) {
		if (!row_matches(row, text, len))
			continue;
		if (row->group == GROUP_REFUSED)
			return row->set(p, row, value, err);
		if (value != NULL && row->arg == NULL)
			return error_set(err, EINVAL, "the option '%s' takes no value", row->name);
		if ((value == NULL && row->arg != NULL && !row->arg_optional) || (value != NULL && *value == '\0'))
			return error_set(err, EINVAL, "the option '%s' needs a value: %s=%s", row->name, row->name, row->arg);
		return row->set(p, row, value, err);
	}
	/* The comma of debug=http,cache looks like the one between options. */
	if (p->o->debug_areas != NULL && value == NULL && log_debug(text, NULL) == 0)
		return 0;
	return option_unknown(text, len, err);
}

int option_list_append(char ***list, const char *text)
{
	size_t n = 0;

	while (*list != NULL && (*list)[n] != NULL)
		n++;
	char **grown = reallocarray(*list, n + 2, sizeof *grown);
	if (grown == NULL)
		return -ENOMEM;
	*list = grown;
	grown[n + 1] = NULL;
	grown[n] = strdup(text);
	return grown[n] != NULL ? 0 : -ENOMEM;
}

void option_list_free(char **list)
{
	for (char **p = list; p != NULL && *p != NULL; p++)
		free(*p);
	free(list);
}
