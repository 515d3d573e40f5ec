/* SPDX-License-Identifier: Apache-2.0
 *
 * Rules between fields. */
#include <errno.h>
#include <string.h>

#include "backends/config_parts.h"

/* Filled, not merely present: an empty text counts as absent. */
static bool filled(const struct config_map *map, const char *field)
{
	return config_text(map, field) != NULL || config_secret(map, field) != NULL;
}

/* All of them or none. */
static int together(const struct config_map *map, const char *const fields[], struct error *err)
{
	const char *there = NULL, *absent = NULL;

	for (size_t i = 0; fields[i] != NULL; i++)
		if (filled(map, fields[i]))
			there = there != NULL ? there : fields[i];
		else
			absent = absent != NULL ? absent : fields[i];
	if (there == NULL || absent == NULL)
		return 0;
	return config_complain(map, absent, err, EINVAL, "missing, expected %s together with %s",
	                       schema_field_find(map->store, absent)->expected, there);
}

static int client_certificate(const struct config_map *map, struct error *err)
{
	static const char *const fields[] = { "tls.cert", "tls.key", NULL };

	return together(map, fields, err);
}

/* A client certificate beside another login is for the TLS connection only; alone it is the login, whether or not
 * "cert" says more about that. */
static int vault_login(const struct config_map *map, struct error *err)
{
	static const char *const logins[] = { "approle", "kubernetes", "token", "cert" };
	const char *first = NULL;

	for (size_t i = 0; i < sizeof logins / sizeof *logins; i++) {
		if (!config_has(map, logins[i]) || (strcmp(logins[i], "token") == 0 && !filled(map, "token")))
			continue;
		if (first != NULL)
			return config_complain(map, logins[i], err, EINVAL,
			                       "found beside %s, expected exactly one login", first);
		first = logins[i];
	}
	if (filled(map, "tls.cert") || (first != NULL && strcmp(first, "cert") != 0))
		return 0;
	if (first != NULL)
		return config_complain(map, "tls.cert", err, EINVAL,
		                       "missing, expected the path of a client certificate together "
		                       "with cert");
	return config_complain(map, "", err, EINVAL,
	                       "no login found, expected one of approle, kubernetes, token, or tls.cert "
	                       "with tls.key for a login by client certificate");
}

static int vault_rules(const struct config_map *map, struct error *err)
{
	int r = client_certificate(map, err);

	return r == 0 ? vault_login(map, err) : r;
}

static int gcp_rules(const struct config_map *map, struct error *err)
{
	static const char *const fields[] = {
		"credentials.client_email", "credentials.client_id", "credentials.private_key_id",
		"credentials.private_key", NULL,
	};

	return together(map, fields, err);
}

static int aws_rules(const struct config_map *map, struct error *err)
{
	static const char *const keys[] = { "credentials.accesskey", "credentials.secretkey", NULL };
	int r = together(map, keys, err);

	if (r != 0)
		return r;
	if (filled(map, "credentials.token") && !filled(map, keys[0]))
		return config_complain(map, keys[0], err, EINVAL, "missing, expected an access key ID together with "
		                       "credentials.token");
	if (filled(map, "profile") && filled(map, keys[0]))
		return config_complain(map, "profile", err, EINVAL, "found beside credentials, expected one of them");
	if (filled(map, "external_id") && !filled(map, "role_arn"))
		return config_complain(map, "role_arn", err, EINVAL,
		                       "missing, expected the ARN of a role together with external_id");
	return 0;
}

static int azure_rules(const struct config_map *map, struct error *err)
{
	if (config_has(map, "credentials") && config_has(map, "managed_identity"))
		return config_complain(map, "managed_identity", err, EINVAL,
		                       "found beside credentials, expected one of them");
	return 0;
}

static int kes_rules(const struct config_map *map, struct error *err)
{
	int r = client_certificate(map, err);

	if (r != 0)
		return r;
	if (filled(map, "api_key") && filled(map, "tls.cert"))
		return config_complain(map, "api_key", err, EINVAL, "found beside tls.cert, expected one of them");
	if (!filled(map, "api_key") && !filled(map, "tls.cert"))
		return config_complain(map, "", err, EINVAL,
		                       "no login found, expected api_key, or tls.cert with tls.key");
	return 0;
}

int config_rules(const struct config_map *map, struct error *err)
{
	static const struct {
		const char *store;
		int (*check)(const struct config_map *map, struct error *err);
	} rules[] = {
		{ "vault", vault_rules }, { "gcp", gcp_rules }, { "aws", aws_rules }, { "azure", azure_rules },
		{ "kes", kes_rules },
	};

	for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
		if (strcmp(map->store->name, rules[i].store) == 0)
			return rules[i].check(map, err);
	return 0;
}
