/* SPDX-License-Identifier: Apache-2.0
 *
 * Creating, replacing and removing secrets.  Creating and replacing carry a token by which AWS knows a repetition, so a
 * lost answer is settled by asking again (keystores.md 8.4). */
#include <errno.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "backends/aws_parts.h"

enum { UUID_SIZE = 37, DELETING_MAX_S = 120, WAIT_MAX_S = 30 };
#define SECOND_NS INT64_C(1000000000)

static int uuid_make(char out[static UUID_SIZE])
{
	unsigned char b[16];

	if (RAND_bytes(b, sizeof b) != 1)
		return -EIO;
	b[6] = (unsigned char)((b[6] & 0x0f) | 0x40);
	b[8] = (unsigned char)((b[8] & 0x3f) | 0x80);
	snprintf(out, UUID_SIZE, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0], b[1], b[2], b[3],
	         b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14], b[15]);
	return 0;
}

/* {name_member: name, "ClientRequestToken": ..., "SecretString": ...[, "KmsKeyId": ...]} */
static int body_make(struct secret *body, const char *member, const char *name, const struct secret *val,
                     const char *kmskey, struct error *err)
{
	char uuid[UUID_SIZE];
	int r = uuid_make(uuid);

	if (r == 0)
		r = json_format(body, "{%s:%s,%s:%s,%s:%S", member, name, "ClientRequestToken", uuid, "SecretString", val);
	if (r == 0 && kmskey != NULL)
		r = json_format(body, ",%s:%s", "KmsKeyId", kmskey);
	if (r == 0)
		r = secret_append_text(body, "}");
	if (r == -EINVAL)
		return error_set(err, EINVAL, "aws: key '%s' is not text, and a SecretString is", name);
	return r == 0 ? 0 : error_set(err, -r, "aws: no locked memory for key '%s'", name);
}

/* A change may use so much of the time that is left; the rest is for finding out what became of it. */
static struct call for_change(const struct call *c)
{
	return (struct call){ .deadline = call_now() + call_left(c) / 3 * 2, .cancel = c->cancel };
}

/* The answer stayed out.  0: our value is there. */
static int settle(struct backend *b, const struct call *c, const char *name, const struct secret *val, const char *doing,
                  struct error *err)
{
	const struct call rest = { .deadline = c->deadline };
	struct error reading = ERROR_INIT;
	SECRET(there);

	int r = aws_get(b, &rest, name, &there, &reading);
	if (r == 0 && secret_equal(&there, val))
		return 0;
	return error_set(err, EINPROGRESS, "aws: %s key '%s': AWS did not answer, and what it has there now is not what was "
	                 "sent: look again in some minutes", doing, name);
}

static bool is_lost(int r)
{
	return r == -ETIMEDOUT || r == -EHOSTUNREACH || r == -EINPROGRESS;
}

/* The name is held by a deletion.  One with a date will not end while we wait; one without was forced, and ends in
 * seconds or minutes. */
static int deletion_wait(struct backend *b, const struct call *c, const char *name, unsigned *waited, struct error *err)
{
	AUTO_JSON(json);
	struct error why = ERROR_INIT;
	char day[32] = "";
	unsigned wait = *waited == 0 ? 1 : *waited < WAIT_MAX_S ? *waited : WAIT_MAX_S;

	int r = aws_describe_secret(b, c, name, &json, &why);
	int64_t deleted = r == 0 ? json_seconds(json, "DeletedDate", -1) : -1;
	time_t at = (time_t)deleted;
	struct tm tm;
	if (deleted > (int64_t)time(NULL) && gmtime_r(&at, &tm) != NULL) {
		strftime(day, sizeof day, "%Y-%m-%d", &tm);
		return error_set(err, EBUSY, "aws: the name '%s' is taken by a secret that somebody deleted: it is free after %s; restore "
		                 "that secret, or delete it for good, to have the name before", name, day);
	}
	if (*waited + wait > DELETING_MAX_S || call_sleep(c, wait * SECOND_NS, true) != 0)
		return error_set(err, EBUSY, "aws: the name '%s' is held by a deletion that is not finished: try again later", name);
	*waited += wait;
	return 0;
}

static bool is_deleted(struct backend *b, const struct call *c, const char *name)
{
	AUTO_JSON(json);
	struct error looking = ERROR_INIT;

	return aws_describe_secret(b, c, name, &json, &looking) == 0 && json_seconds(json, "DeletedDate", -1) >= 0;
}

int aws_create(struct backend *b, const struct call *c, const char *name, const struct secret *val, struct error *err)
{
	SECRET(body);
	unsigned waited = 0;
	int r = body_make(&body, "Name", name, val, b->kmskey, err);

	if (r != 0)
		return r;
	const struct aws_ask ask = { .operation = "CreateSecret", .body = &body, .name = name, .doing = "creating", .change = true };
	for (;;) {
		HTTP_REPLY(reply);
		const struct call change = for_change(c);

		r = aws_ask(b, &change, &ask, &reply, err);
		if (r == -ENOENT)
			return error_set(err, EPROTO, "aws: creating key '%s': the KMS key '%s', which keystore.aws.secretsmanager.kmskey names, "
			                 "does not exist in %s", name, b->kmskey != NULL ? b->kmskey : "aws/secretsmanager", b->region);
		if (is_lost(r))
			return settle(b, c, name, val, "creating", err);
		/* Some services say "exists" of a deleted one, too. */
		if (r != -EBUSY && !(r == -EEXIST && is_deleted(b, c, name)))
			return r;
		r = deletion_wait(b, c, name, &waited, err);
		if (r != 0)
			return r;
	}
}

int aws_replace(struct backend *b, const struct call *c, const char *name, const struct secret *old,
                const struct secret *val, struct error *err)
{
	SECRET(body);
	SECRET(there);
	HTTP_REPLY(reply);
	const struct call change = for_change(c);

	int r = aws_get(b, c, name, &there, err);
	if (r == 0 && !secret_equal(&there, old))
		return error_set(err, ESTALE, "aws: key '%s' was changed meanwhile", name);
	if (r == 0)
		r = body_make(&body, "SecretId", name, val, NULL, err);
	if (r != 0)
		return r;
	const struct aws_ask ask = { .operation = "PutSecretValue", .body = &body, .name = name, .doing = "replacing",
	                             .change = true };
	r = aws_ask(b, &change, &ask, &reply, err);
	return is_lost(r) ? settle(b, c, name, val, "replacing", err) : r;
}

int aws_remove(struct backend *b, const struct call *c, const char *name, struct error *err)
{
	SECRET(body);
	HTTP_REPLY(reply);
	AUTO_JSON(json);
	const struct call change = for_change(c);

	/* Without this look a forced deletion of nothing would be a success. */
	int r = aws_describe_secret(b, c, name, &json, err);
	if (r != 0)
		return r;
	if (json_seconds(json, "DeletedDate", -1) >= 0)
		return error_set(err, ENOENT, "aws: key '%s' is deleted already, and in its recovery window", name);
	if (b->recovery_days == 0)
		r = json_format(&body, "{%s:%s,", "SecretId", name) != 0 ? -ENOMEM :
		    secret_append_text(&body, "\"ForceDeleteWithoutRecovery\":true}");
	else
		r = json_format(&body, "{%s:%s,%s:%d}", "SecretId", name, "RecoveryWindowInDays", b->recovery_days);
	if (r != 0)
		return error_set(err, ENOMEM, "aws: no memory to remove key '%s'", name);
	const struct aws_ask ask = { .operation = "DeleteSecret", .body = &body, .name = name, .doing = "removing", .change = true };
	r = aws_ask(b, &change, &ask, &reply, err);
	/* Repeated after a lost answer, AWS says that it is under way, or over. */
	return (r == -EBUSY || r == -ENOENT) && reply.tries > 1 ? 0 : r;
}
