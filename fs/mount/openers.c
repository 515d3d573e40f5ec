/* SPDX-License-Identifier: Apache-2.0
 *
 * /proc/PID/fdinfo, whose "ino:" line never touches the file itself: asking the file would ask ourselves. */
#include "fs/mount/openers.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool fdinfo_matches(int directory, const char *name, uint64_t ino)
{
	char text[1024], *at;
	int fd = openat(directory, name, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return false;
	ssize_t n = read(fd, text, sizeof text - 1);
	close(fd);
	if (n <= 0)
		return false;
	text[n] = '\0';
	at = strstr(text, "\nino:");
	return at != NULL && strtoull(at + 5, NULL, 10) == ino;
}

/* 1: that process has the file open, 0: not, -1: we may not look, or it is gone. */
static int process_has(const char *pid, uint64_t ino)
{
	char path[64];
	struct dirent *e;
	int found = 0;

	snprintf(path, sizeof path, "/proc/%.20s/fdinfo", pid);
	DIR *d = opendir(path);
	if (d == NULL)
		return -1;
	while (found == 0 && (e = readdir(d)) != NULL)
		if (isdigit((unsigned char)e->d_name[0]))
			found = fdinfo_matches(dirfd(d), e->d_name, ino);
	closedir(d);
	return found;
}

enum openers openers_find(pid_t caller, uint64_t ino)
{
	enum openers ret = OPENERS_NONE;
	struct dirent *e;
	char own[24];

	snprintf(own, sizeof own, "%d", (int)caller);
	int has = caller > 0 ? process_has(own, ino) : -1;
	if (has != 0)
		return has > 0 ? OPENERS_CALLER : OPENERS_UNKNOWN;
	DIR *d = opendir("/proc");
	if (d == NULL)
		return OPENERS_UNKNOWN;
	while (ret == OPENERS_NONE && (e = readdir(d)) != NULL)
		if (isdigit((unsigned char)e->d_name[0]) && strcmp(e->d_name, own) != 0 && process_has(e->d_name, ino) > 0)
			ret = OPENERS_OTHER;
	closedir(d);
	return ret;
}
