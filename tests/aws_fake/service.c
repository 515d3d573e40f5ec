/* SPDX-License-Identifier: Apache-2.0
 *
 * The operations, as the API model of 2017-10-17 has them. */
#include "fake.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { VALUE_MAX = 65536, NAME_LENGTH_MAX = 512, PAGE_MAX = 100, BATCH_MAX = 20, SCAN_MAX = 200000 };
#define REGION "us-east-2"
#define ACCOUNT "111122223333"
#define DAY 86400.0

struct settings settings = { .burst = 1, .page = PAGE_MAX };

/* ---- answers ---- */

static void refuse(struct answer *a, int status, const char *code, const char *message)
{
	text_free(&a->body);
	a->status = status;
	text_printf(&a->body, "{\"__type\":\"%.100s\",\"Message\":", code);
	text_json(&a->body, message);
	text_put(&a->body, "}");
}

static void not_found(struct answer *a)
{
	refuse(a, 400, "ResourceNotFoundException", "Secrets Manager can't find the specified secret.");
}

static void invalid(struct answer *a, const char *message)
{
	refuse(a, 400, "InvalidParameterException", message);
}

static void put_name(struct text *out, const struct stored *s)
{
	text_put(out, "\"ARN\":\"arn:aws:secretsmanager:" REGION ":" ACCOUNT ":secret:");
	text_put(out, s->name);
	text_put(out, "-AbCdEf\",\"Name\":\"");
	text_put(out, s->name);
	text_put(out, "\"");
}

static void answer_version(struct answer *a, const struct stored *s, const char *version)
{
	text_put(&a->body, "{");
	put_name(&a->body, s);
	text_printf(&a->body, ",\"VersionId\":\"%s\"}", version);
}

static void put_dates(struct text *out, const struct stored *s)
{
	text_printf(out, ",\"CreatedDate\":%.3f,\"LastChangedDate\":%.3f", s->created, s->changed);
	if (s->deleted != 0)
		text_printf(out, ",\"DeletedDate\":%.3f", s->deleted);
	if (s->owned)
		text_put(out, ",\"OwningService\":\"rds\"");
	text_printf(out, ",\"SecretVersionsToStages\":{\"%s\":[\"AWSCURRENT\"]", s->token);
	if (s->previous[0] != '\0')
		text_printf(out, ",\"%s\":[\"AWSPREVIOUS\"]", s->previous);
	text_put(out, "}");
}

static void put_value(struct text *out, const struct stored *s)
{
	put_name(out, s);
	text_put(out, s->binary ? ",\"SecretBinary\":" : ",\"SecretString\":");
	text_json(out, s->value);
	text_printf(out, ",\"VersionId\":\"%s\",\"VersionStages\":[\"AWSCURRENT\"],\"CreatedDate\":%.3f", s->token, s->changed);
}

/* ---- what was asked ---- */

static const char *asked_text(const cJSON *asked, const char *member)
{
	return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(asked, member));
}

/* A name, or an ARN, which ends in a hyphen and six letters. */
static const char *name_of(const char *id, char buf[static NAME_LENGTH_MAX + 8])
{
	const char *in_arn = strncmp(id, "arn:", 4) == 0 ? strstr(id, ":secret:") : NULL;

	if (in_arn == NULL)
		return id;
	snprintf(buf, NAME_LENGTH_MAX + 8, "%s", in_arn + 8);
	size_t n = strlen(buf);
	if (n > 7 && buf[n - 7] == '-')
		buf[n - 7] = '\0';
	return buf;
}

/* The secret that is meant, or NULL and a refusal. */
static struct stored *meant(const cJSON *asked, bool deleted_too, struct answer *a)
{
	char buf[NAME_LENGTH_MAX + 8];
	const char *id = asked_text(asked, "SecretId");

	if (id == NULL) {
		invalid(a, "You must provide a value for the parameter SecretId.");
		return NULL;
	}
	struct stored *s = secrets_find(name_of(id, buf));
	if (s == NULL || !stored_alive(s)) {
		not_found(a);
		return NULL;
	}
	if (s->deleted != 0 && !deleted_too) {
		refuse(a, 400, "InvalidRequestException", "You can't perform this operation on the secret because it was marked for "
		       "deletion.");
		return NULL;
	}
	return s;
}

/* The value to store; NULL and a refusal. */
static const char *value_of(const cJSON *asked, bool *ret_binary, struct answer *a)
{
	const char *string = asked_text(asked, "SecretString"), *binary = asked_text(asked, "SecretBinary");
	const char *value = string != NULL ? string : binary;

	*ret_binary = string == NULL;
	if (value == NULL || *value == '\0' || (string != NULL && binary != NULL)) {
		invalid(a, "You must provide either SecretString or SecretBinary.");
		return NULL;
	}
	if (strlen(value) > VALUE_MAX) {
		refuse(a, 400, "ValidationException", "1 validation error detected: Value at 'secretString' failed to satisfy constraint: "
		       "Member must have length less than or equal to 65536");
		return NULL;
	}
	return value;
}

static const char *token_of(const cJSON *asked, char made[static 40])
{
	static unsigned long last;
	const char *token = asked_text(asked, "ClientRequestToken");

	if (token != NULL && strlen(token) >= 32 && strlen(token) <= 64)
		return token;
	snprintf(made, 40, "%08lx-0000-4000-9000-000000000000", ++last);
	return made;
}

static bool name_good(const char *name)
{
	static const char good[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/_+=.@-";

	return name != NULL && *name != '\0' && strlen(name) <= NAME_LENGTH_MAX && name[strspn(name, good)] == '\0';
}

/* ---- operations ---- */

/* Filters: [{"Key": "name", "Values": [prefix, ...]}], the only ones that are known here. */
static bool filter_takes(const cJSON *values, const char *name)
{
	const cJSON *v;

	if (values == NULL)
		return true;
	cJSON_ArrayForEach(v, values)
		if (cJSON_IsString(v) && strncmp(name, v->valuestring, strlen(v->valuestring)) == 0)
			return true;
	return false;
}

static void list_secrets(const cJSON *asked, struct answer *a)
{
	const cJSON *most = cJSON_GetObjectItemCaseSensitive(asked, "MaxResults");
	const cJSON *filter = cJSON_GetArrayItem(cJSON_GetObjectItemCaseSensitive(asked, "Filters"), 0);
	const cJSON *values = cJSON_GetObjectItemCaseSensitive(filter, "Values");
	const char *mark = asked_text(asked, "NextToken"), *key = asked_text(filter, "Key");
	bool planned = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(asked, "IncludePlannedDeletion")), more;
	size_t at = 0;
	char end;

	if (mark != NULL && sscanf(mark, "at-%zu%c", &at, &end) != 1) {
		refuse(a, 400, "InvalidNextTokenException", "Invalid NextToken");
		return;
	}
	if ((cJSON_IsNumber(most) && (most->valueint < 1 || most->valueint > PAGE_MAX)) || (filter != NULL && (key == NULL ||
	    strcmp(key, "name") != 0))) {
		invalid(a, "MaxResults or Filters");
		return;
	}
	int left = cJSON_IsNumber(most) && most->valueint < settings.page ? most->valueint : settings.page;
	double now = clock_now();
	const char *comma = "";
	text_put(&a->body, "{\"SecretList\":[");
	/* A filter that finds nothing for long ends the page early: AWS's pages may be empty and not the last, too. */
	for (size_t scanned = 0; left > 0 && scanned < SCAN_MAX; scanned++) {
		const struct stored *s = secrets_at(at, now, planned, &more);
		if (!more)
			break;
		at++;
		if (s == NULL || !filter_takes(values, s->name))
			continue;
		text_put(&a->body, comma);
		comma = ",";
		text_put(&a->body, "{");
		put_name(&a->body, s);
		put_dates(&a->body, s);
		text_put(&a->body, "}");
		left--;
	}
	secrets_at(at, now, planned, &more);
	text_put(&a->body, "]");
	if (more)
		text_printf(&a->body, ",\"NextToken\":\"at-%zu\"", at);
	text_put(&a->body, "}");
}

static void get_secret_value(const cJSON *asked, struct answer *a)
{
	struct stored *s = meant(asked, false, a);

	if (s == NULL)
		return;
	if (s->unread > 0) {
		s->unread--;
		not_found(a);
		return;
	}
	text_put(&a->body, "{");
	put_value(&a->body, s);
	text_put(&a->body, "}");
}

static void batch_get_secret_value(const cJSON *asked, struct answer *a)
{
	const cJSON *ids = cJSON_GetObjectItemCaseSensitive(asked, "SecretIdList"), *id;
	struct text errors = { .p = NULL };
	const char *comma = "";
	char buf[NAME_LENGTH_MAX + 8];

	if (!cJSON_IsArray(ids) || cJSON_GetArraySize(ids) > BATCH_MAX) {
		invalid(a, "SecretIdList");
		return;
	}
	text_put(&errors, "");
	text_put(&a->body, "{\"SecretValues\":[");
	cJSON_ArrayForEach(id, ids) {
		struct stored *s = cJSON_IsString(id) ? secrets_find(name_of(id->valuestring, buf)) : NULL;
		if (s != NULL && stored_alive(s) && s->deleted == 0) {
			text_put(&a->body, comma);
			comma = ",";
			text_put(&a->body, "{");
			put_value(&a->body, s);
			text_put(&a->body, "}");
		} else {
			text_put(&errors, errors.len > 0 ? ",{\"SecretId\":" : "{\"SecretId\":");
			text_json(&errors, cJSON_IsString(id) ? id->valuestring : "");
			text_put(&errors, ",\"ErrorCode\":\"ResourceNotFoundException\",\"Message\":\"Secrets Manager can't find the specified "
			         "secret.\"}");
		}
	}
	text_put(&a->body, "],\"Errors\":[");
	text_put(&a->body, errors.p);
	text_put(&a->body, "]}");
	text_free(&errors);
}

static void describe_secret(const cJSON *asked, struct answer *a)
{
	struct stored *s = meant(asked, true, a);

	if (s == NULL)
		return;
	text_put(&a->body, "{");
	put_name(&a->body, s);
	put_dates(&a->body, s);
	text_put(&a->body, ",\"VersionIdsToStages\":{");
	text_printf(&a->body, "\"%s\":[\"AWSCURRENT\"]}}", s->token);
}

static void create_secret(const cJSON *asked, struct answer *a)
{
	const char *name = asked_text(asked, "Name");
	char made[40];
	bool binary;

	if (!name_good(name)) {
		refuse(a, 400, "ValidationException", "Invalid name. Must be a valid name containing alphanumeric characters, or any of the "
		       "following: -/_+=.@!");
		return;
	}
	const char *token = token_of(asked, made), *value = value_of(asked, &binary, a);
	if (value == NULL)
		return;
	struct stored *s = secrets_make(name);
	if (stored_alive(s) && s->deleted != 0) {
		refuse(a, 400, "InvalidRequestException", "You can't create this secret because a secret with this name is already "
		       "scheduled for deletion.");
		return;
	}
	if (!s->gone && (strcmp(s->token, token) != 0 || strcmp(s->value, value) != 0)) {
		refuse(a, 400, "ResourceExistsException", "The operation failed because the secret already exists.");
		return;
	}
	if (s->gone) {
		stored_set(s, value, binary, token);
		s->previous[0] = '\0';
		s->created = s->changed;
		s->gone = false;
		s->listed_from = settings.list_lag > 0 ? clock_now() + settings.list_lag : s->listed_from;
	}
	answer_version(a, s, token);
}

static void put_secret_value(const cJSON *asked, struct answer *a)
{
	struct stored *s = meant(asked, false, a);
	char made[40];
	bool binary;
	const char *value = s != NULL ? value_of(asked, &binary, a) : NULL;

	if (value == NULL)
		return;
	s = secrets_make(s->name);
	const char *token = token_of(asked, made);
	if (strcmp(s->token, token) == 0 && strcmp(s->value, value) != 0) {
		refuse(a, 400, "ResourceExistsException", "A version with this token exists already, with another value.");
		return;
	}
	if (strcmp(s->token, token) != 0)
		stored_set(s, value, binary, token);
	answer_version(a, s, token);
}

static void answer_deletion(struct answer *a, const struct stored *s, double date)
{
	text_put(&a->body, "{");
	put_name(&a->body, s);
	text_printf(&a->body, ",\"DeletionDate\":%.3f}", date);
}

static void delete_secret(const cJSON *asked, struct answer *a)
{
	const cJSON *days = cJSON_GetObjectItemCaseSensitive(asked, "RecoveryWindowInDays");
	bool forced = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(asked, "ForceDeleteWithoutRecovery"));
	const char *id = asked_text(asked, "SecretId");
	char buf[NAME_LENGTH_MAX + 8];
	double now = clock_now();

	if (forced && cJSON_IsNumber(days)) {
		invalid(a, "You can't use ForceDeleteWithoutRecovery in conjunction with RecoveryWindowInDays.");
		return;
	}
	if (cJSON_IsNumber(days) && (days->valueint < 7 || days->valueint > 30)) {
		invalid(a, "The RecoveryWindowInDays value must be between 7 and 30 days (inclusive).");
		return;
	}
	struct stored *there = id != NULL ? secrets_find(name_of(id, buf)) : NULL;
	if (forced && id != NULL && (there == NULL || !stored_alive(there))) {
		struct stored nothing = { .name = buf };         /* a forced deletion of nothing is no error */
		snprintf(buf, sizeof buf, "%s", id);
		answer_deletion(a, &nothing, now);
		return;
	}
	struct stored *s = meant(asked, forced, a);
	if (s == NULL)
		return;
	s = secrets_make(s->name);
	s->deleted = forced ? now : now + DAY * (cJSON_IsNumber(days) ? days->valueint : 30);
	s->held_until = forced ? now + settings.forced_hold : 0;
	s->unlisted_from = settings.list_lag > 0 ? now + settings.list_lag : 0;
	answer_deletion(a, s, s->deleted);
	stored_alive(s);
}

static void restore_secret(const cJSON *asked, struct answer *a)
{
	struct stored *s = meant(asked, true, a);

	if (s == NULL)
		return;
	if (s->held_until != 0) {
		not_found(a);
		return;
	}
	if (s->deleted != 0)
		s->deleted = s->unlisted_from = 0;
	text_put(&a->body, "{");
	put_name(&a->body, s);
	text_put(&a->body, "}");
}

/* ---- failures on request ---- */

struct failure {
	struct failure *next;
	char *operation;
	cJSON *names;
	char *what, *message;
	int status;
	unsigned times, skip;
};
static struct failure *failures;

static char *copy(const char *text)
{
	char *made = text != NULL ? strdup(text) : NULL;

	if (text != NULL && made == NULL)
		abort();
	return made;
}

void service_fail(const char *operation, const cJSON *names, const char *what, const char *message, int status, unsigned times,
                  unsigned skip)
{
	struct failure *f = calloc(1, sizeof *f), **last = &failures;

	if (f == NULL)
		abort();
	*f = (struct failure){ .operation = copy(operation), .names = cJSON_IsArray(names) ? cJSON_Duplicate(names, true) : NULL,
	                       .what = copy(what), .message = copy(message != NULL ? message : ""), .status = status,
	                       .times = times, .skip = skip };
	while (*last != NULL)
		last = &(*last)->next;
	*last = f;
}

static bool failure_means(const struct failure *f, const char *operation, const char *name)
{
	const cJSON *n;

	if (f->operation != NULL && strcmp(f->operation, operation) != 0)
		return false;
	if (f->names == NULL)
		return true;
	cJSON_ArrayForEach(n, f->names)
		if (name != NULL && cJSON_IsString(n) && strcmp(n->valuestring, name) == 0)
			return true;
	return false;
}

static const struct failure *failure_now(const char *operation, const cJSON *asked)
{
	const char *id = asked_text(asked, "SecretId"), *name = id != NULL ? id : asked_text(asked, "Name");

	for (struct failure *f = failures; f != NULL; f = f->next) {
		if (f->times == 0 || !failure_means(f, operation, name))
			continue;
		if (f->skip > 0) {
			f->skip--;
			continue;
		}
		f->times--;
		return f;
	}
	return NULL;
}

/* ---- one call ---- */

static const struct {
	const char *name;
	void (*run)(const cJSON *asked, struct answer *a);
} operations[] = {
	{ "ListSecrets", list_secrets }, { "GetSecretValue", get_secret_value },
	{ "BatchGetSecretValue", batch_get_secret_value }, { "DescribeSecret", describe_secret },
	{ "CreateSecret", create_secret }, { "PutSecretValue", put_secret_value }, { "DeleteSecret", delete_secret },
	{ "RestoreSecret", restore_secret },
};

static void call(const char *operation, const struct request *r, const cJSON *asked, struct answer *a)
{
	const char *message, *code = identity_check(r, clock_now() + settings.clock, &message);
	struct quota *q = quota_find(operation);

	if (code != NULL) {
		refuse(a, 400, code, message);
		return;
	}
	if (q != NULL && settings.quotas && !quota_take(q, clock_elapsed())) {
		q->throttled++;
		refuse(a, 400, "ThrottlingException", "Rate exceeded");
		return;
	}
	for (size_t i = 0; i < sizeof operations / sizeof *operations; i++)
		if (strcmp(operations[i].name, operation) == 0) {
			operations[i].run(asked, a);
			return;
		}
	refuse(a, 400, "UnknownOperationException", operation);
}

void service_answer(const struct request *r, struct answer *a)
{
	const char *target = request_header(r, "x-amz-target");

	if (target == NULL || strncmp(target, "secretsmanager.", 15) != 0) {
		refuse(a, 404, "UnknownOperationException", "no X-Amz-Target");
		return;
	}
	const char *operation = target + 15;
	struct quota *q = quota_find(operation);
	if (q != NULL)
		q->calls++;
	control_remember(operation, r);
	cJSON *asked = cJSON_ParseWithLength(r->body, r->body_len);
	const struct failure *f = failure_now(operation, asked);
	if (!cJSON_IsObject(asked)) {
		refuse(a, 400, "SerializationException", "the body is no JSON object");
	} else if (f != NULL && strcmp(f->what, "lose") != 0) {
		a->fate = strcmp(f->what, "drop") == 0 ? CLOSE : ANSWER;
		refuse(a, f->status, f->what, f->message);
	} else {
		call(operation, r, asked, a);
		a->fate = f != NULL ? CLOSE : ANSWER;
	}
	cJSON_Delete(asked);
}
