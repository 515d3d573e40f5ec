/* SPDX-License-Identifier: Apache-2.0
 *
 * AWS's documented rates for one account and region ("AWS Secrets Manager quotas"), as token buckets.  How much a bucket
 * holds is not documented: settings.burst. */
#include "fake.h"

#include <string.h>

enum { PUT = 7 };

struct quota quotas[] = {
	{ .operation = "ListSecrets", .rate = 100, .shared = -1 },
	{ .operation = "GetSecretValue", .rate = 10000, .shared = -1 },
	{ .operation = "BatchGetSecretValue", .rate = 100, .shared = -1 },
	{ .operation = "DescribeSecret", .rate = 40000, .shared = -1 },
	{ .operation = "CreateSecret", .rate = 50, .shared = -1 },
	{ .operation = "DeleteSecret", .rate = 50, .shared = -1 },
	{ .operation = "RestoreSecret", .rate = 50, .shared = -1 },
	[PUT] = { .operation = "PutSecretValue", .rate = 50, .shared = -1 },
	{ .operation = "UpdateSecret", .shared = PUT },
	{ .operation = "UpdateSecretVersionStage", .shared = PUT },
};
const size_t quota_count = sizeof quotas / sizeof *quotas;

struct quota *quota_find(const char *operation)
{
	for (size_t i = 0; i < quota_count; i++)
		if (strcmp(quotas[i].operation, operation) == 0)
			return &quotas[i];
	return NULL;
}

bool quota_take(struct quota *q, double now)
{
	struct quota *bucket = q->shared < 0 ? q : &quotas[q->shared];
	double most = bucket->rate * settings.burst;

	if (most < 1)
		most = 1;
	bucket->tokens = bucket->filled_at == 0 ? most : bucket->tokens + (now - bucket->filled_at) * bucket->rate;
	if (bucket->tokens > most)
		bucket->tokens = most;
	bucket->filled_at = now;
	if (bucket->tokens < 1)
		return false;
	bucket->tokens -= 1;
	return true;
}
