/* SPDX-License-Identifier: Apache-2.0
 *
 * The schema (keystores.md 5.2).  A map stands before its fields. */
#include "backends/config_schema.h"

#include <string.h>

#define COUNT(array) (sizeof (array) / sizeof *(array))
#define CA "the path of a file or directory with PEM certificates"
#define CLIENT_KEY "the path of the private key of a client certificate"
#define CLIENT_CERT "the path of a client certificate"

static const struct schema_field fs[] = {
	{ "path", SCHEMA_TEXT, SCHEMA_REQUIRED, "the directory that holds the keys" },
};

static const struct schema_field vault[] = {
	{ "endpoint", SCHEMA_URL, SCHEMA_REQUIRED, "the URL of the Vault server, such as https://127.0.0.1:8200" },
	{ "engine", SCHEMA_TEXT, 0, "the path of the K/V engine, such as kv" },
	{ "version", SCHEMA_VERSION, 0, "v1 or v2" },
	{ "namespace", SCHEMA_TEXT, 0, "a Vault namespace" },
	{ "prefix", SCHEMA_TEXT, 0, "a folder inside the engine" },
	{ "token", SCHEMA_TEXT, SCHEMA_SECRET | SCHEMA_OURS, "a Vault token, or the path of a file that holds it" },
	{ "transit", SCHEMA_MAP, 0, "a mapping with key" },
	{ "transit.engine", SCHEMA_TEXT, 0, "the path of the transit engine, such as transit" },
	{ "transit.key", SCHEMA_TEXT, SCHEMA_REQUIRED, "the name of the transit key" },
	{ "approle", SCHEMA_MAP, 0, "a mapping with id and secret" },
	{ "approle.engine", SCHEMA_TEXT, 0, "the path of the AppRole engine, such as approle" },
	{ "approle.namespace", SCHEMA_TEXT, 0, "a Vault namespace, '/' for the root" },
	{ "approle.id", SCHEMA_TEXT, SCHEMA_REQUIRED, "the role ID" },
	{ "approle.secret", SCHEMA_TEXT, SCHEMA_REQUIRED | SCHEMA_SECRET, "the secret ID" },
	{ "approle.retry", SCHEMA_IGNORED, 0, NULL },
	{ "kubernetes", SCHEMA_MAP, 0, "a mapping with role and jwt" },
	{ "kubernetes.engine", SCHEMA_TEXT, 0, "the path of the Kubernetes engine, such as kubernetes" },
	{ "kubernetes.namespace", SCHEMA_TEXT, 0, "a Vault namespace, '/' for the root" },
	{ "kubernetes.role", SCHEMA_TEXT, 0, "the name of the role" },
	{ "kubernetes.jwt", SCHEMA_TEXT, SCHEMA_REQUIRED | SCHEMA_SECRET,
	  "the token of the service account, or the path of a file that holds it" },
	{ "kubernetes.retry", SCHEMA_IGNORED, 0, NULL },
	{ "cert", SCHEMA_MAP, SCHEMA_OURS, "a mapping with engine, namespace or role, or {}" },
	{ "cert.engine", SCHEMA_TEXT, SCHEMA_OURS, "the path of the TLS certificate engine, such as cert" },
	{ "cert.namespace", SCHEMA_TEXT, SCHEMA_OURS, "a Vault namespace, '/' for the root" },
	{ "cert.role", SCHEMA_TEXT, SCHEMA_OURS, "the name of the role" },
	{ "tls", SCHEMA_MAP, 0, "a mapping with ca, or with cert and key" },
	{ "tls.key", SCHEMA_TEXT, 0, CLIENT_KEY },
	{ "tls.cert", SCHEMA_TEXT, 0, CLIENT_CERT },
	{ "tls.ca", SCHEMA_TEXT, 0, CA },
	{ "status", SCHEMA_MAP, 0, "a mapping with ping" },
	{ "status.ping", SCHEMA_DURATION, 0, "a duration such as 10s or 1m30s" },
	{ "retry", SCHEMA_IGNORED, 0, NULL },
	{ "address", SCHEMA_RENAMED, 0, "endpoint" },
	{ "name", SCHEMA_RENAMED, 0, "prefix" },
};

static const struct schema_field fortanix[] = {
	{ "endpoint", SCHEMA_URL, SCHEMA_REQUIRED, "the URL of the service, such as https://sdkms.fortanix.com" },
	{ "group_id", SCHEMA_TEXT, 0, "the UUID of a group" },
	{ "credentials", SCHEMA_MAP, SCHEMA_REQUIRED, "a mapping with key" },
	{ "credentials.key", SCHEMA_TEXT, SCHEMA_REQUIRED | SCHEMA_SECRET, "the API key of the application" },
	{ "credentials.retry", SCHEMA_IGNORED, 0, NULL },
	{ "tls", SCHEMA_MAP, 0, "a mapping with ca" },
	{ "tls.ca", SCHEMA_TEXT, 0, CA },
};

static const struct schema_field gemalto[] = {
	{ "endpoint", SCHEMA_URL, SCHEMA_REQUIRED, "the URL of the service, such as https://127.0.0.1" },
	{ "credentials", SCHEMA_MAP, SCHEMA_REQUIRED, "a mapping with token" },
	{ "credentials.token", SCHEMA_TEXT, SCHEMA_REQUIRED | SCHEMA_SECRET, "the refresh token" },
	{ "credentials.domain", SCHEMA_TEXT, 0, "the domain of the refresh token" },
	{ "credentials.retry", SCHEMA_IGNORED, 0, NULL },
	{ "tls", SCHEMA_MAP, 0, "a mapping with ca" },
	{ "tls.ca", SCHEMA_TEXT, 0, CA },
};

static const struct schema_field gcp[] = {
	{ "project_id", SCHEMA_TEXT, SCHEMA_REQUIRED, "the ID of the project" },
	{ "endpoint", SCHEMA_HOST, 0, "a host or URL, such as secretmanager.googleapis.com:443" },
	{ "scopes", SCHEMA_LIST, 0, "a list of OAuth2 scopes" },
	{ "credentials", SCHEMA_MAP, 0, "a mapping with client_email, client_id, private_key_id and private_key" },
	{ "credentials.client_email", SCHEMA_TEXT, 0, "the email of the service account" },
	{ "credentials.client_id", SCHEMA_TEXT, 0, "the client ID of the service account" },
	{ "credentials.private_key_id", SCHEMA_TEXT, 0, "the ID of its private key" },
	{ "credentials.private_key", SCHEMA_TEXT, SCHEMA_SECRET, "its private key in PEM" },
	{ "tls", SCHEMA_MAP, SCHEMA_OURS, "a mapping with ca" },
	{ "tls.ca", SCHEMA_TEXT, SCHEMA_OURS, CA },
};

static const struct schema_field aws[] = {
	{ "endpoint", SCHEMA_HOST, SCHEMA_REQUIRED, "a host or URL, such as secretsmanager.us-east-2.amazonaws.com" },
	{ "region", SCHEMA_TEXT, SCHEMA_REQUIRED, "a region, such as us-east-2" },
	{ "kmskey", SCHEMA_TEXT, 0, "the ID, ARN or alias/NAME of a KMS key" },
	{ "credentials", SCHEMA_MAP, 0, "a mapping with accesskey and secretkey" },
	{ "credentials.accesskey", SCHEMA_TEXT, 0, "an access key ID" },
	{ "credentials.secretkey", SCHEMA_TEXT, SCHEMA_SECRET, "a secret access key" },
	{ "credentials.token", SCHEMA_TEXT, SCHEMA_SECRET, "a session token" },
	{ "profile", SCHEMA_TEXT, SCHEMA_OURS, "a profile of the shared credentials file" },
	{ "role_arn", SCHEMA_TEXT, SCHEMA_OURS, "the ARN of a role to assume" },
	{ "external_id", SCHEMA_TEXT, SCHEMA_OURS, "the external ID that the role asks for" },
	{ "tls", SCHEMA_MAP, SCHEMA_OURS, "a mapping with ca" },
	{ "tls.ca", SCHEMA_TEXT, SCHEMA_OURS, CA },
};

static const struct schema_field azure[] = {
	{ "endpoint", SCHEMA_URL, SCHEMA_REQUIRED, "the URL of the vault, such as https://my-vault.vault.azure.net" },
	{ "credentials", SCHEMA_MAP, 0, "a mapping with tenant_id, client_id and client_secret" },
	{ "credentials.tenant_id", SCHEMA_TEXT, SCHEMA_REQUIRED, "the UUID of the tenant" },
	{ "credentials.client_id", SCHEMA_TEXT, SCHEMA_REQUIRED, "the UUID of the client" },
	{ "credentials.client_secret", SCHEMA_TEXT, SCHEMA_REQUIRED | SCHEMA_SECRET, "the client secret" },
	{ "managed_identity", SCHEMA_MAP, 0, "a mapping with client_id" },
	{ "managed_identity.client_id", SCHEMA_TEXT, SCHEMA_REQUIRED, "the UUID of the managed identity" },
	{ "tls", SCHEMA_MAP, SCHEMA_OURS, "a mapping with ca" },
	{ "tls.ca", SCHEMA_TEXT, SCHEMA_OURS, CA },
};

static const struct schema_field entrust[] = {
	{ "endpoint", SCHEMA_URL, SCHEMA_REQUIRED, "the URL of the service, such as https://keycontrol.my-org.com" },
	{ "vault_id", SCHEMA_TEXT, SCHEMA_REQUIRED, "the ID of the vault" },
	{ "box_id", SCHEMA_TEXT, SCHEMA_REQUIRED, "the name or ID of the box" },
	{ "credentials", SCHEMA_MAP, SCHEMA_REQUIRED, "a mapping with username and password" },
	{ "credentials.username", SCHEMA_TEXT, SCHEMA_REQUIRED, "the name of the user" },
	{ "credentials.password", SCHEMA_TEXT, SCHEMA_REQUIRED | SCHEMA_SECRET, "the password of the user" },
	{ "credentials.retry", SCHEMA_IGNORED, 0, NULL },
	{ "tls", SCHEMA_MAP, 0, "a mapping with ca" },
	{ "tls.ca", SCHEMA_TEXT, 0, CA },
};

static const struct schema_field kes[] = {
	{ "endpoint", SCHEMA_URLS, SCHEMA_REQUIRED | SCHEMA_OURS, "a list of servers, such as https://127.0.0.1:7373" },
	{ "enclave", SCHEMA_TEXT, SCHEMA_OURS, "the name of an enclave" },
	{ "api_key", SCHEMA_TEXT, SCHEMA_SECRET | SCHEMA_OURS, "an API key, kes:v1:..." },
	{ "tls", SCHEMA_MAP, SCHEMA_OURS, "a mapping with cert and key, or with ca" },
	{ "tls.key", SCHEMA_TEXT, SCHEMA_OURS, CLIENT_KEY },
	{ "tls.cert", SCHEMA_TEXT, SCHEMA_OURS, CLIENT_CERT },
	{ "tls.ca", SCHEMA_TEXT, SCHEMA_OURS, CA },
};

const struct schema_store schema_stores[] = {
	{ "fs", NULL, fs, COUNT(fs) },
	{ "vault", NULL, vault, COUNT(vault) },
	{ "aws", "secretsmanager", aws, COUNT(aws) },
	{ "gcp", "secretmanager", gcp, COUNT(gcp) },
	{ "azure", "keyvault", azure, COUNT(azure) },
	{ "fortanix", "sdkms", fortanix, COUNT(fortanix) },
	{ "gemalto", "keysecure", gemalto, COUNT(gemalto) },
	{ "entrust", "keycontrol", entrust, COUNT(entrust) },
	{ "kes", NULL, kes, COUNT(kes) },
};
const size_t schema_store_count = COUNT(schema_stores);

const struct schema_store *schema_store_find(const char *name)
{
	for (size_t i = 0; i < schema_store_count; i++)
		if (strcmp(schema_stores[i].name, name) == 0)
			return &schema_stores[i];
	return NULL;
}

const struct schema_field *schema_field_find(const struct schema_store *store, const char *path)
{
	for (size_t i = 0; i < store->count; i++)
		if (strcmp(store->fields[i].path, path) == 0)
			return &store->fields[i];
	return NULL;
}

const char *schema_leaf(const char *path)
{
	const char *dot = strrchr(path, '.');

	return dot != NULL ? dot + 1 : path;
}

bool schema_child(const struct schema_field *f, const char *parent)
{
	size_t n = strlen(parent);

	if (n == 0)
		return strchr(f->path, '.') == NULL;
	return strncmp(f->path, parent, n) == 0 && f->path[n] == '.' && strchr(f->path + n + 1, '.') == NULL;
}
