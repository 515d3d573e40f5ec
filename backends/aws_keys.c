/* SPDX-License-Identifier: Apache-2.0
 *
 * Reading from AWS Secrets Manager: one secret a key, the value in SecretString, AWSCURRENT (keystores.md 8.2). */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "backends/aws_parts.h"

enum { PAGE = 100 };

int aws_get(struct backend *b, const struct call *c, const char *name, struct secret *out, struct error *err)
{
	SECRET(body);
	HTTP_REPLY(reply);
	AUTO_JSON(json);
	int r = json_format(&body, "{%s:%s}", "SecretId", name);

	if (r != 0)
		return error_set(err, -r, "aws: the name '%s' cannot be sent", name);
	const struct aws_ask ask = { .operation = "GetSecretValue", .body = &body, .name = name, .doing = "reading" };
	r = aws_ask(b, c, &ask, &reply, err);
	/* A secret in its recovery window is none that KES could read. */
	if (r == -EBUSY)
		return error_set(err, ENOENT, "aws: key '%s' is deleted, and still in its recovery window", name);
	if (r == 0)
		r = aws_json(b, &ask, &reply, &json, err);
	if (r != 0)
		return r;
	if (json_text(json, "SecretString") != NULL)
		r = json_take_text(json, "SecretString", out, err);
	else
		r = json_take_base64(json, "SecretBinary", out, err);
	return r != 0 ? error_prefix(err, "aws: reading key '%s'", name) : 0;
}

int aws_describe_secret(struct backend *b, const struct call *c, const char *name, struct json **ret, struct error *err)
{
	SECRET(body);
	HTTP_REPLY(reply);
	int r = json_format(&body, "{%s:%s}", "SecretId", name);

	if (r != 0)
		return error_set(err, -r, "aws: the name '%s' cannot be sent", name);
	const struct aws_ask ask = { .operation = "DescribeSecret", .body = &body, .name = name, .doing = "looking at" };
	r = aws_ask(b, c, &ask, &reply, err);
	return r != 0 ? r : aws_json(b, &ask, &reply, ret, err);
}

static void entry_fill(const struct json *j, struct backend_entry *e)
{
	*e = (struct backend_entry){
		.name = json_text(j, "Name"), .created = json_seconds(j, "CreatedDate", -1),
		.changed = json_seconds(j, "LastChangedDate", -1), .size = -1,
	};
	if (e->changed < 0)
		e->changed = e->created;
	if (json_seconds(j, "DeletedDate", -1) >= 0)
		e->flags |= ENTRY_DELETED;
	/* Another service of AWS keeps it for itself. */
	if (json_text(j, "OwningService") != NULL)
		e->flags |= ENTRY_FOREIGN;
}

int aws_stat(struct backend *b, const struct call *c, const char *name, backend_emit *emit, void *arg, struct error *err)
{
	AUTO_JSON(json);
	struct backend_entry e;
	int r = aws_describe_secret(b, c, name, &json, err);

	if (r != 0)
		return r;
	entry_fill(json, &e);
	if (e.flags & ENTRY_DELETED)
		return error_set(err, ENOENT, "aws: key '%s' is deleted, and still in its recovery window", name);
	e.name = name;
	emit(&e, arg);
	return 0;
}

/* {"MaxResults":100[,"Filters":[{"Key":"name","Values":["prefix"]}]][,"NextToken":"..."]} */
static int list_body(struct secret *body, const char *prefix, const char *cursor)
{
	int r = json_format(body, "{%s:%d", "MaxResults", PAGE);

	if (r == 0 && prefix != NULL && *prefix != '\0')
		r = json_format(body, ",%s:[{%s:%s,%s:[%s]}]", "Filters", "Key", "name", "Values", prefix);
	if (r == 0 && cursor != NULL)
		r = json_format(body, ",%s:%s", "NextToken", cursor);
	return r != 0 ? r : secret_append_text(body, "}");
}

int aws_list(struct backend *b, const struct call *c, const char *prefix, char **cursor, backend_emit *emit, void *arg,
             struct error *err)
{
	static const char doing[] = "listing the secrets";
	SECRET(body);
	HTTP_REPLY(reply);
	AUTO_JSON(json);
	char *next = NULL;

	if (list_body(&body, prefix, *cursor) != 0)
		return error_set(err, ENOMEM, "aws: no memory for the listing");
	const struct aws_ask ask = { .operation = "ListSecrets", .body = &body, .doing = doing };
	int r = aws_ask(b, c, &ask, &reply, err);
	if (r == 0)
		r = aws_json(b, &ask, &reply, &json, err);
	if (r != 0)
		return r;
	if (!json_is_array(json_at(json, "SecretList")))
		return error_set(err, EPROTO, "aws: %s: the answer has no SecretList", doing);
	/* A page may be empty and still not be the last. */
	const char *mark = json_text(json, "NextToken");
	if (mark != NULL && (next = strdup(mark)) == NULL)
		return error_set(err, ENOMEM, "aws: no memory for the listing");
	for (const struct json *s = json_first(json_at(json, "SecretList")); s != NULL; s = json_next(s)) {
		struct backend_entry e;
		entry_fill(s, &e);
		if (e.name != NULL && !emit(&e, arg))
			break;
	}
	free(*cursor);
	*cursor = next;
	return 0;
}
