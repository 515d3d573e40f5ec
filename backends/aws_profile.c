/* SPDX-License-Identifier: Apache-2.0
 *
 * Profiles of the shared files: ~/.aws/credentials, and ~/.aws/config for roles that are assumed from another profile.
 * The text of a file is a secret and is read where secrets live; only names and ARNs are copied out of it. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "backends/aws_parts.h"

enum { FILE_MAX = 1024 * 1024, DEPTH_MAX = 5 };

struct span {
	const char *at;
	size_t len;
};

struct profile {                              /* spans into the files' texts */
	struct span id, secret, token, role_arn, source_profile, credential_source, external_id, process;
	bool found;
};

static struct span trim(const char *at, size_t len)
{
	while (len > 0 && strchr(" \t\r", *at) != NULL)
		at++, len--;
	while (len > 0 && strchr(" \t\r", at[len - 1]) != NULL)
		len--;
	return (struct span){ at, len };
}

static bool span_is(struct span s, const char *text)
{
	return s.len == strlen(text) && strncasecmp(s.at, text, s.len) == 0;
}

static char *span_copy(struct span s)
{
	return s.len > 0 ? strndup(s.at, s.len) : NULL;
}

/* "[name]", or "[profile name]" in the config file. */
static bool section_is(struct span line, const char *name, bool config)
{
	const char *end = memchr(line.at, ']', line.len);

	if (end == NULL)
		return false;
	struct span inside = trim(line.at + 1, (size_t)(end - line.at - 1));
	if (config && inside.len > 8 && memcmp(inside.at, "profile ", 8) == 0)
		inside = trim(inside.at + 8, inside.len - 8);
	else if (config && strcmp(name, "default") != 0)
		return false;
	return inside.len == strlen(name) && memcmp(inside.at, name, inside.len) == 0;
}

static void setting_take(struct profile *p, struct span line)
{
	const char *equals = memchr(line.at, '=', line.len);
	const struct {
		const char *name;
		struct span *to;
	} settings[] = {
		{ "aws_access_key_id", &p->id }, { "aws_secret_access_key", &p->secret }, { "aws_session_token", &p->token },
		{ "role_arn", &p->role_arn }, { "source_profile", &p->source_profile }, { "external_id", &p->external_id },
		{ "credential_source", &p->credential_source }, { "credential_process", &p->process },
	};

	if (equals == NULL)
		return;
	struct span name = trim(line.at, (size_t)(equals - line.at));
	struct span value = trim(equals + 1, line.len - (size_t)(equals + 1 - line.at));
	for (size_t i = 0; i < sizeof settings / sizeof *settings; i++)
		if (span_is(name, settings[i].name) && settings[i].to->len == 0)
			*settings[i].to = value;
}

/* What an earlier file said stays. */
static void file_scan(const struct secret *text, const char *name, bool config, struct profile *p)
{
	const char *at = (const char *)text->bytes, *end = at + text->len;
	bool inside = false;

	while (at < end) {
		const char *newline = memchr(at, '\n', (size_t)(end - at));
		size_t len = (size_t)((newline != NULL ? newline : end) - at);
		struct span line = trim(at, len);
		if (line.len > 0 && *line.at == '[') {
			inside = section_is(line, name, config);
			p->found |= inside;
		} else if (inside && line.len > 0 && *line.at != '#' && *line.at != ';') {
			setting_take(p, line);
		}
		at += len + (newline != NULL);
	}
}

/* The file that a variable names, or the one in the home directory; a missing one is an empty one. */
static int file_read(const char *variable, const char *below_home, struct secret *out, struct error *err)
{
	const char *named = getenv(variable), *home = getenv("HOME");
	AUTO_TEXT(path);

	path = named != NULL && *named != '\0' ? strdup(named) : home != NULL ? text_format("%s/%s", home, below_home) : strdup("");
	if (path == NULL)
		return error_set(err, ENOMEM, "no memory");
	if (*path == '\0')
		return 0;
	int r = secret_read_file(out, path, FILE_MAX, err);
	return r == -ENOENT || r == -ENOTDIR ? 0 : r;
}

/* ---- roles ---- */

static int source_read(struct aws_login *l, const struct call *c, const char *source, struct aws_credentials *ret,
                       struct error *err)
{
	int r = 1;

	if (strcasecmp(source, "Ec2InstanceMetadata") == 0)
		r = aws_metadata_instance(l, c, ret, err);
	else if (strcasecmp(source, "EcsContainer") == 0)
		r = aws_metadata_container(l, c, ret, err);
	else if (strcasecmp(source, "Environment") == 0 && getenv("AWS_ACCESS_KEY_ID") != NULL &&
	         getenv("AWS_SECRET_ACCESS_KEY") != NULL) {
		const char *token = getenv("AWS_SESSION_TOKEN");
		snprintf(ret->id, sizeof ret->id, "%s", getenv("AWS_ACCESS_KEY_ID"));
		r = secret_append_text(&ret->secret, getenv("AWS_SECRET_ACCESS_KEY"));
		if (r == 0 && token != NULL)
			r = secret_append_text(&ret->token, token);
	}
	return r == 1 ? error_set(err, EKEYREJECTED, "credential_source = %s gives none", source) : r;
}

static int role_assume(struct aws_login *l, const struct call *c, const struct profile *p, const char *name, int depth,
                       struct aws_credentials *ret, struct error *err)
{
	AWS_CREDENTIALS(base);
	AUTO_TEXT(role);
	AUTO_TEXT(external_id);
	AUTO_TEXT(source);
	AUTO_TEXT(kind);
	int r;

	role = span_copy(p->role_arn);
	external_id = span_copy(p->external_id);
	source = span_copy(p->source_profile);
	kind = span_copy(p->credential_source);
	if (role == NULL || (source == NULL && kind == NULL))
		return error_set(err, EKEYREJECTED, "profile '%s' has a role_arn, but neither source_profile nor credential_source",
		                 name);
	if (source != NULL && strcmp(source, name) == 0 && p->id.len > 0) {
		snprintf(base.id, sizeof base.id, "%.*s", (int)p->id.len, p->id.at);
		r = secret_append(&base.secret, p->secret.at, p->secret.len);
	} else if (source != NULL) {
		r = aws_profile_read(l, c, source, depth + 1, &base, err);
	} else {
		r = source_read(l, c, kind, &base, err);
	}
	if (r == 1)
		return error_set(err, EKEYREJECTED, "profile '%s' names source_profile = %s, which does not exist", name, source);
	return r != 0 ? r : aws_sts_assume(l, c, &base, role, external_id, ret, err);
}

int aws_profile_read(struct aws_login *l, const struct call *c, const char *name, int depth, struct aws_credentials *ret,
                     struct error *err)
{
	SECRET(credentials);
	SECRET(config);
	struct profile p = { .found = false };

	if (depth > DEPTH_MAX)
		return error_set(err, EKEYREJECTED, "the profiles refer to one another in a circle");
	int r = file_read("AWS_SHARED_CREDENTIALS_FILE", ".aws/credentials", &credentials, err);
	if (r == 0)
		r = file_read("AWS_CONFIG_FILE", ".aws/config", &config, err);
	if (r != 0)
		return r;
	file_scan(&credentials, name, false, &p);
	file_scan(&config, name, true, &p);
	if (p.role_arn.len > 0)
		return role_assume(l, c, &p, name, depth, ret, err);
	if (p.id.len == 0 || p.secret.len == 0) {
		AUTO_TEXT(line);
		line = span_copy(p.process);
		if (line != NULL)
			return aws_process_run(c, name, line, ret, err);
		return p.found && strcmp(name, "default") != 0 ?
		       error_set(err, EKEYREJECTED, "profile '%s' has no aws_access_key_id and aws_secret_access_key", name) : 1;
	}
	snprintf(ret->id, sizeof ret->id, "%.*s", (int)p.id.len, p.id.at);
	r = secret_append(&ret->secret, p.secret.at, p.secret.len);
	return r != 0 ? r : secret_append(&ret->token, p.token.at, p.token.len);
}
