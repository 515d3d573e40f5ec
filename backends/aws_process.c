/* SPDX-License-Identifier: Apache-2.0
 *
 * Credentials that a program of the user's prints: credential_process in a profile, as AWS documents it.  No shell reads
 * the line; what is printed goes to locked memory at once, and what it says on stderr is the user's to see. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "backends/aws_parts.h"

enum { OUTPUT_MAX = 64 * 1024, WORDS_MAX = 64 };
#define PATIENCE_NS INT64_C(60000000000)      /* the user may have to type something */
#define LOOK_NS INT64_C(10000000)

extern char **environ;

/* Cuts a line into words in place, with quotes and backslashes as in a shell.  -EINVAL: too many, or a quote is open. */
static int words_split(char *line, char *words[static WORDS_MAX + 1])
{
	size_t count = 0;
	char *to = line, quote = '\0';

	for (char *p = line + strspn(line, " \t"); *p != '\0'; p += strspn(p, " \t")) {
		if (count == WORDS_MAX)
			return -EINVAL;
		words[count++] = to;
		for (; *p != '\0' && (quote != '\0' || (*p != ' ' && *p != '\t')); p++) {
			if (quote == '\0' && (*p == '"' || *p == '\''))
				quote = *p;
			else if (*p == quote)
				quote = '\0';
			else
				*to++ = *p == '\\' && quote != '\'' && p[1] != '\0' ? *++p : *p;
		}
		p += *p != '\0';
		*to++ = '\0';
	}
	words[count] = NULL;
	return count > 0 && quote == '\0' ? 0 : -EINVAL;
}

/* Signals as a program expects them: our threads block them all. */
static int child_start(char *const words[], int out, pid_t *ret)
{
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attr;
	sigset_t none, usual;

	sigemptyset(&none);
	sigemptyset(&usual);
	sigaddset(&usual, SIGPIPE);
	posix_spawn_file_actions_init(&files);
	posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_adddup2(&files, out, STDOUT_FILENO);
	posix_spawnattr_init(&attr);
	posix_spawnattr_setsigmask(&attr, &none);
	posix_spawnattr_setsigdefault(&attr, &usual);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
	int r = posix_spawnp(ret, words[0], &files, &attr, words, environ);
	posix_spawnattr_destroy(&attr);
	posix_spawn_file_actions_destroy(&files);
	return -r;
}

/* Until it closes its output. */
static int output_read(const struct call *c, int fd, struct secret *out, struct error *err)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	int r;

	while ((r = call_check(c, err, "waiting for its answer")) == 0) {
		if (poll(&p, 1, (int)(10 * LOOK_NS / 1000000)) <= 0)
			continue;
		if (secret_reserve(out, out->len + 4096) != 0)
			return error_set(err, ENOMEM, "no locked memory for the credentials");
		ssize_t n = read(fd, out->bytes + out->len, 4096);
		if (n == 0)
			return 0;
		if (n < 0 && errno != EINTR && errno != EAGAIN)
			return error_set(err, errno, "its answer cannot be read: %s", strerror(errno));
		out->len += n > 0 ? (size_t)n : 0;
		if (out->len > OUTPUT_MAX)
			return error_set(err, EKEYREJECTED, "it printed more than %d KiB", OUTPUT_MAX / 1024);
	}
	return r;
}

/* It is over when this returns, killed if it takes too long. */
static int child_end(const struct call *c, pid_t child, int r, struct error *err)
{
	int status = 0;
	pid_t got;

	while ((got = waitpid(child, &status, WNOHANG)) == 0 && r == 0)
		r = call_sleep(c, LOOK_NS, true) != 0 ? call_check(c, err, "waiting for its end") : 0;
	if (got == 0) {
		kill(child, SIGKILL);
		while (waitpid(child, &status, 0) < 0 && errno == EINTR)
			;
		return r;
	}
	if (r == 0 && !(WIFEXITED(status) && WEXITSTATUS(status) == 0))
		r = error_set(err, EKEYREJECTED, "it ended with %s %d", WIFEXITED(status) ? "status" : "signal",
		              WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
	return r;
}

static int child_run(const struct call *c, char *const words[], struct secret *out, struct error *err)
{
	const int64_t left = call_left(c);
	const struct call patient = { .deadline = call_now() + (left < PATIENCE_NS ? left : PATIENCE_NS), .cancel = c->cancel };
	int fds[2];
	pid_t child;

	if (pipe2(fds, O_CLOEXEC) != 0)
		return error_set(err, errno, "no pipe: %s", strerror(errno));
	int r = child_start(words, fds[1], &child);
	close(fds[1]);
	if (r != 0)
		error_set(err, EKEYREJECTED, "it cannot be started: %s", strerror(-r));
	else
		r = child_end(&patient, child, output_read(&patient, fds[0], out, err), err);
	close(fds[0]);
	return r != 0 ? -err->code : 0;
}

/* {"Version": 1, "AccessKeyId": ..., "SecretAccessKey": ..., "SessionToken": ..., "Expiration": ...}; nothing of what is not
 * that is shown. */
static int output_take(const struct secret *out, struct aws_credentials *ret, struct error *err)
{
	AUTO_JSON(json);

	if (json_parse(out, &json, NULL) != 0 || json_seconds(json, "Version", 0) != 1)
		return error_set(err, EKEYREJECTED, "it printed no JSON with \"Version\": 1");
	const char *id = json_text(json, "AccessKeyId");
	if (id == NULL || json_text(json, "SecretAccessKey") == NULL)
		return error_set(err, EKEYREJECTED, "what it printed lacks AccessKeyId or SecretAccessKey");
	snprintf(ret->id, sizeof ret->id, "%s", id);
	ret->expires = aws_time(json_text(json, "Expiration"));
	int r = json_take_text(json, "SecretAccessKey", &ret->secret, err);
	return r == 0 && json_text(json, "SessionToken") != NULL ? json_take_text(json, "SessionToken", &ret->token, err) : r;
}

int aws_process_run(const struct call *c, const char *profile, const char *line, struct aws_credentials *ret, struct error *err)
{
	SECRET(out);
	AUTO_TEXT(copy);
	char *words[WORDS_MAX + 1];

	copy = strdup(line);
	if (copy == NULL)
		return error_set(err, ENOMEM, "no memory");
	int r = words_split(copy, words);
	if (r != 0)
		return error_set(err, EKEYREJECTED, "the credential_process of profile '%s' is empty, too long, or has an open quote",
		                 profile);
	r = child_run(c, words, &out, err);
	if (r == 0)
		r = output_take(&out, ret, err);
	return r != 0 ? error_prefix(err, "the credential_process of profile '%s', %s", profile, words[0]) : 0;
}
