/* SPDX-License-Identifier: Apache-2.0
 *
 * Read byte by byte, so that nothing behind the answer is taken from whoever reads the terminal next. */
#include "fs/migrate/ask.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "fs/migrate/report.h"
#include "fs/migrate/signals.h"
#include "fs/migrate/text.h"

enum { NAMES_SHOWN = 5 };

/* -1: nobody is there to ask.  Where stdin gave the names, the terminal itself is asked. */
static int terminal_open(const struct run *run, bool *ret_close)
{
	bool names = false;

	*ret_close = false;
	for (size_t i = 0; i < run->options.files_from.count; i++)
		names = names || strcmp(run->options.files_from.items[i], "-") == 0;
	if (!isatty(STDERR_FILENO))
		return -1;
	if (isatty(STDIN_FILENO))
		return STDIN_FILENO;
	if (!names)
		return -1;
	*ret_close = true;
	return open("/dev/tty", O_RDONLY | O_CLOEXEC);
}

static void question_print(const struct run *run, size_t count)
{
	char number[TEXT_MAX];
	size_t shown = 0;

	fprintf(stderr, "\n%s at ", text_keys(number, count));
	text_name(stderr, side_label(&run->target));
	fprintf(stderr, "\nwill get another value; what was encrypted with the old one needs it:\n\n");
	for (size_t i = 0; i < run->count && shown < NAMES_SHOWN; i++) {
		const struct item *item = &run->items[i];
		if (item->outcome != OUTCOME_PENDING || !(item->flags & ITEM_REPLACE))
			continue;
		fputs("    ", stderr);
		text_name(stderr, item->name);
		fputc('\n', stderr);
		shown++;
	}
	if (count > shown)
		fprintf(stderr, "    and %s more\n", text_count(number, count - shown));
	if (run->backup.open) {
		fputs("\nThe old values are first kept in ", stderr);
		text_name(stderr, side_label(&run->backup));
		fputs(".\n", stderr);
	} else {
		fputs("\nThere is no backup (--backup-to): the old values will be gone.\n", stderr);
	}
	fprintf(stderr, "Replace %s? [y/N] ", count == 1 ? "it" : "them");
}

/* A line without its end; -EINTR if a signal came first. */
static int answer_read(const struct run *run, int fd, char *buf, size_t size)
{
	struct pollfd fds[2] = { { .fd = fd, .events = POLLIN }, { .fd = signals_fd(run->signals), .events = POLLIN } };
	size_t used = 0;

	for (;;) {
		char c;
		if (poll(fds, 2, -1) < 0 && errno != EINTR)
			return -errno;
		if (fds[1].revents != 0)
			return -EINTR;
		if (fds[0].revents == 0)
			continue;
		if (read(fd, &c, 1) != 1 || c == '\n')
			break;
		if (used + 1 < size)
			buf[used++] = c;
	}
	buf[used] = '\0';
	return 0;
}

int ask_replace(struct run *run, struct error *err)
{
	size_t count = 0;
	char answer[16];
	bool close_it;

	for (size_t i = 0; i < run->count; i++)
		count += run->items[i].outcome == OUTCOME_PENDING && run->items[i].flags & ITEM_REPLACE;
	if (count == 0 || run->options.yes)
		return 0;
	int fd = terminal_open(run, &close_it);
	if (fd < 0)
		return 0;
	question_print(run, count);
	int r = answer_read(run, fd, answer, sizeof answer);
	if (close_it)
		close(fd);
	if (r == -EINTR)
		return error_set(err, EINTR, "interrupted: nothing was written");
	if (r == 0 && (strcasecmp(answer, "y") == 0 || strcasecmp(answer, "yes") == 0))
		return 0;
	return error_set(err, ECANCELED, "nothing was written: the answer was not yes");
}
