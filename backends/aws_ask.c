/* SPDX-License-Identifier: Apache-2.0
 *
 * One question to AWS Secrets Manager: signed, repeated while that is safe, and what its answers mean (keystores.md 8.3).
 * The code decides, not the status: AWS's documents give some codes both as 400 and as 403. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "backends/aws_parts.h"
#include "backends/sigv4.h"

enum { CODE_SIZE = 80, SKEW_MIN = 240 };
static const char media[] = "application/x-amz-json-1.1";

/* ---- quotas ---- */

/* AWS counts operations apart, for one account and region ("AWS Secrets Manager quotas"), and raises none of these. */
static const char *const paced[] = { "ListSecrets", "GetSecretValue", "DescribeSecret", "CreateSecret", "PutSecretValue",
                                     "DeleteSecret" };
const double aws_paces[AWS_PACES] = { 100, 10000, 40000, 50, 50, 50 };
_Static_assert(sizeof paced / sizeof *paced == AWS_PACES && AWS_PACES <= (int)HTTP_PACES, "each operation has its pace");

static unsigned pace_number(const char *operation)
{
	for (unsigned i = 0; i < AWS_PACES; i++)
		if (strcmp(paced[i], operation) == 0)
			return i + 1;
	return 0;
}

/* ---- codes ---- */

static const struct code {
	const char *code;
	int errnum;
	const char *sentence;         /* NULL: what AWS said */
} codes[] = {
	{ "ResourceNotFoundException", ENOENT, "there is no such secret" },
	{ "ResourceExistsException", EEXIST, "there is a secret of that name already" },
	{ "InvalidParameterException", EINVAL, NULL },
	{ "ValidationException", EINVAL, NULL },
	{ "DecryptionFailure", EACCES, "the KMS key that encrypts it is disabled, denied or gone" },
	{ "EncryptionFailure", EACCES, "the KMS key that should encrypt it is disabled, denied or gone" },
	{ "LimitExceededException", ENOSPC, "the account's quota of secrets is used up" },
	{ "UnrecognizedClientException", EKEYREJECTED, "AWS does not know the access key" },
	{ "InvalidClientTokenId", EKEYREJECTED, "AWS does not know the access key" },
	{ "MissingAuthenticationToken", EKEYREJECTED, "AWS wants credentials" },
	{ "MissingAuthenticationTokenException", EKEYREJECTED, "AWS wants credentials" },
	{ "ExpiredTokenException", EKEYREJECTED, "the session is expired" },
	{ "ExpiredToken", EKEYREJECTED, "the session is expired" },
	{ "IncompleteSignature", EKEYREJECTED, "AWS does not accept the signature" },
	{ "IncompleteSignatureException", EKEYREJECTED, "AWS does not accept the signature" },
	{ "InvalidSignatureException", EKEYREJECTED, "the secret access key is wrong" },
	{ "SignatureDoesNotMatch", EKEYREJECTED, "the secret access key is wrong" },
	{ "RequestExpired", EKEYREJECTED, "the clock of this machine is wrong" },
	{ "RequestTimeTooSkewed", EKEYREJECTED, "the clock of this machine is wrong" },
	{ "InvalidNextTokenException", ESTALE, "the listing must start again" },
	{ "MalformedPolicyDocumentException", EPROTO, NULL },
	{ "PreconditionNotMetException", EPROTO, NULL },
	{ "InternalServiceError", EHOSTUNREACH, "the service is in trouble" },
	{ "InternalFailure", EHOSTUNREACH, "the service is in trouble" },
	{ "ServiceUnavailable", EHOSTUNREACH, "the service is in trouble" },
};

static bool is_throttle(const char *code)
{
	static const char *const throttles[] = { "ThrottlingException", "Throttling", "ThrottledException",
	                                         "TooManyRequestsException", "RequestLimitExceeded", "SlowDown" };

	for (size_t i = 0; i < sizeof throttles / sizeof *throttles; i++)
		if (strcmp(code, throttles[i]) == 0)
			return true;
	return strncmp(code, "RequestThrottled", 16) == 0;
}

void aws_code(const struct http_reply *reply, char *buf, size_t size)
{
	AUTO_JSON(json);
	char header[160];

	*buf = '\0';
	const char *code = NULL;
	if (reply->body.len > 0 && json_parse(&reply->body, &json, NULL) == 0)
		code = json_text(json, "__type");
	if (code == NULL && http_reply_header(reply, "x-amzn-ErrorType", header, sizeof header))
		code = header;
	if (code == NULL)
		return;
	const char *hash = strrchr(code, '#');
	if (hash != NULL)
		code = hash + 1;
	snprintf(buf, size, "%.*s", (int)strcspn(code, ":"), code);
}

static void message_copy(const struct http_reply *reply, char *buf, size_t size)
{
	AUTO_JSON(json);
	const char *text = NULL;

	if (reply->body.len > 0 && json_parse(&reply->body, &json, NULL) == 0) {
		text = json_text(json, "message");
		if (text == NULL)
			text = json_text(json, "Message");
	}
	if (text != NULL)
		snprintf(buf, size, "%s", text);
	else
		http_reply_say(reply, buf, size);
}

bool aws_is_deleting(const struct http_reply *reply)
{
	char message[400];

	message_copy(reply, message, sizeof message);
	return strstr(message, "scheduled for deletion") != NULL || strstr(message, "marked for deletion") != NULL ||
	       strstr(message, "marked deleted") != NULL;
}

static enum retry_verdict judge(const struct http_reply *reply, void *arg)
{
	char code[CODE_SIZE];

	if (reply->status < 400)
		return RETRY_FINAL;
	aws_code(reply, code, sizeof code);
	if (is_throttle(code))
		return RETRY_THROTTLED;
	return reply->status == 503 ? RETRY_AGAIN : retry_status(reply->status);
}

/* "aws: reading key 'a': SENTENCE" */
static int refuse(const struct aws_ask *a, int code, struct error *err, const char *sentence)
{
	if (a->name != NULL)
		return error_set(err, code, "aws: %s key '%s': %s", a->doing, a->name, sentence);
	return error_set(err, code, "aws: %s: %s", a->doing, sentence);
}

/* Action and resource as a policy would have them.  "Access to KMS is not allowed" is all that AWS says of a missing right to the
 * KMS key; it adds six letters to the name of a secret. */
static int refuse_access(struct backend *b, const struct aws_ask *a, const char *message, struct error *err)
{
	const char *from = atomic_load(&b->from), *region = b->region;
	const char *partition = strncmp(region, "cn-", 3) == 0 ? "aws-cn" : strncmp(region, "us-gov-", 7) == 0 ? "aws-us-gov" : "aws";
	char needs[320], sentence[ERROR_TEXT_MAX];

	if (strstr(message, "KMS") != NULL || strstr(message, "kms:") != NULL)
		snprintf(needs, sizeof needs, "'kms:Decrypt'%s on the KMS key", a->change ? " and 'kms:GenerateDataKey'" : "");
	else if (a->name != NULL)
		snprintf(needs, sizeof needs, "'secretsmanager:%s' on arn:%s:secretsmanager:%s:*:secret:%.200s-??????", a->operation,
		         partition, region, a->name);
	else
		snprintf(needs, sizeof needs, "'secretsmanager:%s' on *", a->operation);
	snprintf(sentence, sizeof sentence, "refused: the identity from %s needs %s: %s", from != NULL ? from : "nowhere", needs,
	         message);
	return refuse(a, EACCES, err, sentence);
}

static int classify(struct backend *b, const struct aws_ask *a, const struct http_reply *reply, struct error *err)
{
	char code[CODE_SIZE], message[400], sentence[520];

	if (reply->status >= 200 && reply->status < 300)
		return 0;
	aws_code(reply, code, sizeof code);
	message_copy(reply, message, sizeof message);
	if (is_throttle(code) || reply->status == 429)
		return refuse(a, EAGAIN, err, "AWS asks to wait, and the time is over");
	if (strcmp(code, "AccessDeniedException") == 0 || strcmp(code, "AccessDenied") == 0)
		return refuse_access(b, a, message, err);
	if (strcmp(code, "InvalidRequestException") == 0)
		return refuse(a, aws_is_deleting(reply) ? EBUSY : EPERM, err, message);
	if (strstr(message, "length") != NULL && strstr(message, "ecretString") != NULL)
		return refuse(a, EFBIG, err, message);
	for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
		if (strcmp(code, codes[i].code) == 0)
			return refuse(a, codes[i].errnum, err, codes[i].sentence != NULL ? codes[i].sentence : message);
	snprintf(sentence, sizeof sentence, "%d %s: %s", reply->status, code, message);
	return refuse(a, reply->status >= 500 ? EHOSTUNREACH : reply->status == 403 ? EACCES : EPROTO, err, sentence);
}

/* ---- clocks ---- */

static void skew_mention(struct backend *b, int64_t skew)
{
	char sentence[240];

	if (b->warn == NULL || atomic_exchange(&b->skew_said, true))
		return;
	snprintf(sentence, sizeof sentence, "aws: the clock of this machine is %lld min %s AWS's, which refuses what is more than 5 "
	         "min off: requests are signed with AWS's time now; set the clock", (long long)(llabs(skew) / 60),
	         skew > 0 ? "behind" : "ahead of");
	b->warn(sentence, b->warn_arg);
}

/* The service's clock decides.  true: the one that the request was signed with was off, and the next signature is right. */
static bool skew_learn(struct backend *b, const struct http_reply *reply, int64_t used)
{
	char code[CODE_SIZE], date[64];
	struct tm tm = { .tm_isdst = 0 };

	aws_code(reply, code, sizeof code);
	if (strcmp(code, "InvalidSignatureException") != 0 && strcmp(code, "SignatureDoesNotMatch") != 0 &&
	    strcmp(code, "RequestExpired") != 0 && strcmp(code, "RequestTimeTooSkewed") != 0)
		return false;
	if (!http_reply_header(reply, "Date", date, sizeof date) || strptime(date, "%a, %d %b %Y %H:%M:%S", &tm) == NULL)
		return false;
	int64_t theirs = (int64_t)timegm(&tm), skew = theirs - (int64_t)time(NULL);
	if (llabs(skew - used) <= SKEW_MIN)
		return false;
	atomic_store(&b->skew, skew);
	skew_mention(b, skew);
	return true;
}

/* ---- one exchange ---- */

static int exchange(struct backend *b, const struct call *c, const struct aws_ask *a, const struct secret *packed, int64_t skew,
                    struct http_reply *ret, struct error *err)
{
	AWS_CREDENTIALS(who);
	SECRET(authorization);
	char target[80], date[SIGV4_DATE_SIZE];
	int r = aws_credentials_unpack(packed, &who);

	snprintf(target, sizeof target, "secretsmanager.%s", a->operation);
	const struct sigv4_key key = { .id = who.id, .secret = &who.secret, .token = &who.token };
	const struct sigv4_request request = { .host = b->host, .region = b->region, .service = "secretsmanager",
	                                       .content_type = media, .target = target, .body = a->body };
	if (r == 0)
		r = sigv4_sign(&key, &request, (int64_t)time(NULL) + skew, date, &authorization);
	if (r != 0)
		return error_set(err, -r, "aws: the request cannot be signed: %s", strerror(-r));
	const struct http_header headers[] = {
		{ .name = "X-Amz-Target", .text = target }, { .name = "X-Amz-Date", .text = date },
		{ .name = "Authorization", .secret = &authorization },
		{ .name = "X-Amz-Security-Token", .secret = &who.token },
	};
	const struct http_request h = {
		.method = "POST", .url = b->url, .headers = headers, .header_count = who.token.len > 0 ? 4 : 3, .body = a->body,
		.content_type = media, .judge = judge, .body_max = 2 * 1024 * 1024, .pace = pace_number(a->operation),
	};
	http_reply_wipe(ret);
	return http_call(b->http, c, &h, ret, err);
}

struct exchange {
	struct backend *b;
	const struct call *call;
	const struct aws_ask *ask;
	struct http_reply *reply;
};

static int exchange_run(void *arg, const struct secret *packed, struct error *err)
{
	struct exchange *x = arg;
	int64_t skew = atomic_load(&x->b->skew);
	int r = exchange(x->b, x->call, x->ask, packed, skew, x->reply, err);

	if (r == 0 && skew_learn(x->b, x->reply, skew))
		r = exchange(x->b, x->call, x->ask, packed, atomic_load(&x->b->skew), x->reply, err);
	return r != 0 ? r : classify(x->b, x->ask, x->reply, err);
}

int aws_ask(struct backend *b, const struct call *c, const struct aws_ask *a, struct http_reply *ret, struct error *err)
{
	struct call begun = { .deadline = c->deadline };
	struct exchange x = { .b = b, .call = a->change ? &begun : c, .ask = a, .reply = ret };
	int r = call_check(c, err, a->doing);

	return r != 0 ? error_prefix(err, "aws") : token_run(b->token, c, exchange_run, &x, err);
}

int aws_json(struct backend *b, const struct aws_ask *a, const struct http_reply *reply, struct json **ret, struct error *err)
{
	const struct http_request request = { .method = "POST", .url = b->url };

	/* Some services that speak this protocol call their JSON text/html: what parses is JSON. */
	if (json_parse(&reply->body, ret, NULL) == 0)
		return 0;
	int r = http_reply_json(b->http, &request, reply, ret, err);

	return r == 0 || a->name == NULL ? r : error_prefix(err, "aws: %s key '%s'", a->doing, a->name);
}
