/* SPDX-License-Identifier: Apache-2.0
 *
 * Configuration files: what is accepted, and for everything that is not, the exact sentence. */
#include <dirent.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "backends/config.h"
#include "backends/config_schema.h"
#include "backends/config_value.h"

static char dir[64], warned[ERROR_TEXT_MAX];
static int warnings;

/* Files have the short name that stands in the sentences. */
static int directory_make(void **state)
{
	strcpy(dir, "/tmp/kesfs-config.XXXXXX");
	return mkdtemp(dir) == NULL || chdir(dir) != 0 ? -1 : 0;
}

static int directory_drop(void **state)
{
	unlink("k.yml");
	return chdir("/") != 0 || rmdir(dir) != 0 ? -1 : 0;
}

static void file_write(const void *bytes, size_t len)
{
	FILE *f = fopen("k.yml", "w");

	assert_non_null(f);
	assert_int_equal(fwrite(bytes, 1, len, f), len);
	assert_int_equal(fclose(f), 0);
}

static void warn(const char *sentence, void *arg)
{
	warnings++;
	snprintf(warned, sizeof warned, "%s", sentence);
}

static struct config *load(const char *text)
{
	struct config *cfg = NULL;
	struct error err = ERROR_INIT;

	warnings = 0;
	file_write(text, strlen(text));
	if (config_load("k.yml", warn, NULL, &cfg, &err) != 0)
		fail_msg("%s\n%s", err.text, text);
	return cfg;
}

static void refuse_bytes(const void *bytes, size_t len, const char *sentence)
{
	struct config *cfg = NULL;
	struct error err = ERROR_INIT;

	file_write(bytes, len);
	int r = config_load("k.yml", warn, NULL, &cfg, &err);
	if (r != -EINVAL || cfg != NULL || strcmp(err.text, sentence) != 0)
		fail_msg("%d: %s\nexpected: %s", r, err.text, sentence);
}

static void refuse(const char *text, const char *sentence)
{
	refuse_bytes(text, strlen(text), sentence);
}

static void accept(const char *text)
{
	config_free(load(text));
}

#define VAULT "keystore:\n  vault:\n    endpoint: https://127.0.0.1:8200\n"
#define APPROLE "    approle: {id: i, secret: s}\n"

static void a_whole_vault_section_is_read(void **state)
{
	struct config *cfg = load(
		"version: v1\naddress: 0.0.0.0:7373\nadmin: {identity: \"${NOT_SET_AND_NOT_OURS}\"}\npolicy: {a: "
		"{allow: [/v1/*]}}\n"
		VAULT "    engine: secrets\n    version: v2\n    namespace: 7\n    prefix: 'kes'\n    transit: {key: "
		      "wrap}\n"
		"    approle:\n      id: my-role\n      secret: my-secret\n      retry: 15s\n"
		"    tls:\n      ca: /etc/ca\n    status: {ping: 1m30s}\n");
	const struct config_map *map = config_section(cfg);

	assert_string_equal(config_store(cfg), "vault");
	assert_string_equal(config_text(map, "endpoint"), "https://127.0.0.1:8200");
	assert_string_equal(config_text(map, "namespace"), "7");
	assert_string_equal(config_text(map, "transit.key"), "wrap");
	assert_null(config_text(map, "transit.engine"));
	assert_true(config_has(map, "transit") && config_has(map, "approle") && !config_has(map, "kubernetes"));
	assert_null(config_text(map, "approle.secret"));
	assert_int_equal(config_secret(map, "approle.secret")->len, 9);
	assert_memory_equal(config_secret(map, "approle.secret")->bytes, "my-secret", 9);
	assert_null(config_secret(map, "approle.id"));
	assert_int_equal(config_duration(map, "status.ping", 1), INT64_C(90000000000));
	assert_string_equal(config_text(map, "tls.ca"), "/etc/ca");
	assert_null(config_text(map, "no.such.field"));
	assert_int_equal(warnings, 0);
	config_free(cfg);
	config_free(NULL);
}

static void every_store_is_known(void **state)
{
	static const struct {
		const char *name, *text;
	} stores[] = {
		{ "fs", "keystore: {fs: {path: ./keys}}" },
		{ "vault", VAULT "    kubernetes: {role: r, jwt: /run/jwt}\n" },
		{ "vault", VAULT "    token: t\n" },
		{ "vault", VAULT "    tls: {cert: c, key: k}\n" },
		{ "vault", VAULT "    cert: {role: r}\n    tls: {cert: c, key: k}\n" },
		{ "vault", VAULT APPROLE "    tls: {cert: c, key: k}\n" },
		{ "aws", "keystore: {aws: {secretsmanager: {endpoint: host.example, region: r}}}" },
		{ "aws", "keystore: {aws: {secretsmanager: {endpoint: h, region: r, profile: p, role_arn: a, "
		         "external_id: e}}}" },
		{ "gcp", "keystore: {gcp: {secretmanager: {project_id: p, endpoint: 'h:443', scopes: ['']}}}" },
		{ "azure", "keystore: {azure: {keyvault: {endpoint: 'https://h', managed_identity: {client_id: i}}}}" },
		{ "fortanix", "keystore: {fortanix: {sdkms: {endpoint: 'https://h', credentials: {key: k}, tls: {ca: "
		              "c}}}}" },
		{ "gemalto", "keystore: {gemalto: {keysecure: {endpoint: 'https://h', credentials: {token: t, retry: "
		             "15s}}}}" },
		{ "entrust", "keystore: {entrust: {keycontrol: {endpoint: 'https://h', vault_id: v, box_id: b, "
		             "credentials: {username: u, password: p}}}}" },
		{ "kes", "keystore: {kes: {endpoint: ['https://h:7373', 'g:7373'], api_key: 'kes:v1:AA'}}" },
		{ "kes", "keystore: {kes: {endpoint: h, tls: {cert: c, key: k}}}" },
	};

	for (size_t i = 0; i < sizeof stores / sizeof *stores; i++) {
		struct config *cfg = load(stores[i].text);
		assert_string_equal(config_store(cfg), stores[i].name);
		config_free(cfg);
	}
}

static void lists_are_read_item_by_item(void **state)
{
	struct config *cfg = load("keystore: {kes: {endpoint: ['https://h:7373', '', g], api_key: k}}");
	const char *const *items;

	assert_int_equal(config_list(config_section(cfg), "endpoint", &items), 2);
	assert_string_equal(items[0], "https://h:7373");
	assert_string_equal(items[1], "g");
	assert_int_equal(config_list(config_section(cfg), "nothing", &items), 0);
	config_free(cfg);
}

static void what_is_missing_or_empty_is_named_with_what_is_expected(void **state)
{
	refuse("# old\nversion: v1\n\nkeystore:\n  vault:\n    # us-east\n    prefix: kes\n" APPROLE,
	       "k.yml:7:5: keystore.vault.endpoint: missing, expected the URL of the Vault server, such as "
	       "https://127.0.0.1:8200");
	refuse("keystore: {fs: {}}",
	       "k.yml:1:16: keystore.fs.path: missing, expected the directory that holds the keys");
	refuse("keystore: {fs: {path: ''}}",
	       "k.yml:1:23: keystore.fs.path: empty, expected the directory that holds the keys");
	refuse("keystore:\n  fs:\n    path:\n",
	       "k.yml:3:10: keystore.fs.path: empty, expected the directory that holds the keys");
	refuse("keystore:\n  fs:\n    path: ~\n",
	       "k.yml:3:11: keystore.fs.path: empty, expected the directory that holds the keys");
	refuse(VAULT "    transit: {engine: e}\n" APPROLE,
	       "k.yml:4:14: keystore.vault.transit.key: missing, expected the name of the transit key");
	refuse("keystore:\n  fortanix:\n    sdkms:\n      endpoint: https://h\n",
	       "k.yml:4:7: keystore.fortanix.sdkms.credentials.key: missing, expected the API key of the application");
	refuse("keystore:\n  entrust:\n    keycontrol: {endpoint: 'https://h', vault_id: v, box_id: b}\n",
	       "k.yml:3:17: keystore.entrust.keycontrol.credentials.username: missing, expected the name of the user");
	refuse("keystore: {kes: {endpoint: [], api_key: k}}",
	       "k.yml:1:28: keystore.kes.endpoint: empty, expected a list of servers, such as https://127.0.0.1:7373");
}

static void what_is_unknown_is_named_with_the_best_guess(void **state)
{
	refuse(VAULT "    prefx: kes\n" APPROLE, "k.yml:4:5: keystore.vault.prefx: unknown, did you mean 'prefix'?");
	refuse(VAULT "    approle: {id: i, secert: s}\n",
	       "k.yml:4:22: keystore.vault.approle.secert: unknown, did you mean 'secret'?");
	refuse("keystore: {fs: {Path: p}}", "k.yml:1:17: keystore.fs.Path: unknown, did you mean 'path'?");
}

static void what_resembles_nothing_is_named_with_what_there_is(void **state)
{
	refuse(VAULT "    tls: {verify: no}\n" APPROLE,
	       "k.yml:4:11: keystore.vault.tls.verify: unknown, expected one of key, cert, ca");
	refuse("keystore: {fs: {path: p, compress: 2}}", "k.yml:1:26: keystore.fs.compress: unknown, expected path");
	refuse("keystore: {fs: {path: p, 'path.x': 2}}",
	       "k.yml:1:26: keystore.fs.path.x: unknown, did you mean 'path'?");
	refuse("keystore: {memory: {}}",
	       "k.yml:1:12: keystore.memory: unknown, expected one of fs, vault, aws, gcp, azure, "
	       "fortanix, gemalto, entrust, kes");
	refuse("keystore: {valut: {}}", "k.yml:1:12: keystore.valut: unknown, did you mean 'vault'?");
	refuse("keystore: {aws: {secretmanager: {}}}",
	       "k.yml:1:18: keystore.aws.secretmanager: unknown, did you mean 'secretsmanager'?");
	refuse("keystore: {azure: {hsm: {}}}", "k.yml:1:20: keystore.azure.hsm: unknown, expected 'keyvault'");
}

static void exactly_one_store_is_taken(void **state)
{
	refuse("keystore:\n  fs: {path: p}\n  vault: {}\n",
	       "k.yml:3:3: keystore: found two stores, 'fs' in line 2 and 'vault' in line 3, expected exactly one");
	refuse("keystore:\n  aws: {secretsmanager: {}}\n  gcp: {secretmanager: {}}\n",
	       "k.yml:3:3: keystore: found two stores, 'aws' in line 2 and 'gcp' in line 3, expected exactly one");
	accept("keystore:\n  fs: {path: p}\n  vault:\n  aws: {}\n  gcp: {secretmanager: }\n");
	refuse("keystore:\n  vault:\n", "k.yml:2:3: keystore.vault: empty, expected the fields of the store");
	refuse("keystore:\n", "k.yml:1:10: keystore: empty, expected one store, such as fs or vault");
	refuse("keystore: {}\n", "k.yml:1:11: keystore: empty, expected one store, such as fs or vault");
	refuse("version: v1\n",
	       "k.yml:1:1: keystore: missing, expected a mapping that names one store, such as fs or vault");
	refuse("keystores: {}\n", "k.yml:1:1: keystores: unknown, did you mean 'keystore'?");
	refuse("version: v1\nkeys:\n  fs: {path: p}\n",
	       "k.yml:2:1: keys: the section of the store has been called 'keystore' since KES v0.18: rename it");
}

static void old_fields_are_refused_with_their_new_name(void **state)
{
	refuse("keystore:\n  vault:\n    address: https://h\n",
	       "k.yml:3:5: keystore.vault.address: an old name that KES no longer reads, rename it to 'endpoint'");
	refuse(VAULT "    name: kes\n" APPROLE,
	       "k.yml:4:5: keystore.vault.name: an old name that KES no longer reads, rename it to 'prefix'");
}

static void a_value_of_the_wrong_kind_is_refused(void **state)
{
	refuse("version: v2\nkeystore: {fs: {path: p}}", "k.yml:1:10: version: found 'v2', expected v1");
	refuse("version: [v1]\nkeystore: {fs: {path: p}}", "k.yml:1:10: version: found a list, expected v1");
	accept("version: ''\nkeystore: {fs: {path: p}}");
	refuse(VAULT "    version: 2\n" APPROLE, "k.yml:4:14: keystore.vault.version: found '2', expected v1 or v2");
	refuse(VAULT "    approle: s.token\n",
	       "k.yml:4:14: keystore.vault.approle: found a text, expected a mapping with id and secret");
	refuse("keystore: {fs: {path: [p]}}",
	       "k.yml:1:23: keystore.fs.path: found a list, expected the directory that holds the keys");
	refuse("keystore: {fs: ./keys}", "k.yml:1:16: keystore.fs: found a text, expected a mapping");
	refuse("keystore: {aws: {secretsmanager: x}}",
	       "k.yml:1:34: keystore.aws.secretsmanager: found a text, expected a mapping");
	refuse("keystore: vault",
	       "k.yml:1:11: keystore: found a text, expected a mapping that names one store, such as fs or vault");
	refuse("hello", "k.yml:1:1: found a text, expected a KES configuration with a section 'keystore'");
	refuse("- a\n", "k.yml:1:1: found a list, expected a KES configuration with a section 'keystore'");
	refuse(VAULT "    status: {ping: 10}\n" APPROLE,
	       "k.yml:4:20: keystore.vault.status.ping: found '10', expected a duration such as 10s or 1m30s");
	refuse("keystore: {fs: {path: \"a\\0b\"}}", "k.yml:1:23: keystore.fs.path: has a zero byte in it");
	refuse("keystore: {kes: {endpoint: [[h]], api_key: k}}",
	       "k.yml:1:29: keystore.kes.endpoint: found a list in the list, expected a list of servers, such as "
	       "https://127.0.0.1:7373");
}

static void an_address_is_checked_and_never_quoted(void **state)
{
#define URL(text, what) refuse("keystore: {vault: {endpoint: '" text "', token: t}}", \
	"k.yml:1:30: keystore.vault.endpoint: " what ", expected the URL of the Vault server, such as https://127.0.0.1:8200")
	URL("127.0.0.1:8200", "does not begin with https:// or http://");
	URL("ftp://h", "does not begin with https:// or http://");
	URL("https://", "has no host");
	URL("https://:8200", "has no host");
	URL("https://h:", "has no port between 1 and 65535 behind its ':'");
	URL("https://h:99999", "has no port between 1 and 65535 behind its ':'");
	URL("https://user:hunter2@h", "has a user name or password in it, which belong into fields of their own");
	URL("https://h/?a=b", "has a '?' or '#' in it");
	URL("https://h h", "has a blank or control character in it");
	accept("keystore: {vault: {endpoint: 'https://[::1]:8200/path', token: t}}");
}

static void plain_http_to_another_host_is_warned_about_once(void **state)
{
	accept("keystore: {vault: {endpoint: 'http://10.1.2.3:8200', token: t}}");
	assert_int_equal(warnings, 1);
	assert_string_equal(warned,
	                    "k.yml:1:30: keystore.vault.endpoint: keys and passwords cross the network to 10.1.2.3 "
	                            "unencrypted, use https://");
	accept("keystore: {kes: {endpoint: ['http://a', 'http://b'], api_key: k}}");
	assert_int_equal(warnings, 1);
	accept("keystore: {vault: {endpoint: 'http://127.0.0.1:8200', token: t}}");
	accept("keystore: {vault: {endpoint: 'http://[::1]:8200', token: t}}");
	accept("keystore: {vault: {endpoint: 'http://LocalHost', token: t}}");
	assert_int_equal(warnings, 0);
	accept("keystore: {vault: {endpoint: 'http://127.evil.example', token: t}}");
	assert_int_equal(warnings, 1);
}

static void logins_exclude_each_other(void **state)
{
	refuse(VAULT, "k.yml:3:5: keystore.vault: no login found, expected one of approle, kubernetes, token, or "
	              "tls.cert with tls.key for a login by client certificate");
	refuse(VAULT "    token: ''\n",
	       "k.yml:3:5: keystore.vault: no login found, expected one of approle, kubernetes, token, or "
	       "tls.cert with tls.key for a login by client certificate");
	refuse(VAULT APPROLE "    kubernetes: {jwt: j}\n",
	       "k.yml:5:17: keystore.vault.kubernetes: found beside approle, expected exactly one login");
	refuse(VAULT APPROLE "    token: t\n",
	       "k.yml:5:12: keystore.vault.token: found beside approle, expected exactly one login");
	refuse(VAULT "    cert: {role: r}\n",
	       "k.yml:3:5: keystore.vault.tls.cert: missing, expected the path of a client "
	       "certificate together with cert");
	refuse(VAULT APPROLE "    tls: {cert: c}\n",
	       "k.yml:5:10: keystore.vault.tls.key: missing, expected the path of the private "
	       "key of a client certificate together with tls.cert");
	refuse("keystore: {azure: {keyvault: {endpoint: 'https://h', managed_identity: {client_id: i}, "
	       "credentials: {tenant_id: t, client_id: c, client_secret: s}}}}",
	       "k.yml:1:72: keystore.azure.keyvault.managed_identity: found beside credentials, expected one of them");
	refuse("keystore: {gcp: {secretmanager: {project_id: p, credentials: {client_email: e}}}}",
	       "k.yml:1:62: keystore.gcp.secretmanager.credentials.client_id: missing, expected the client ID of the "
	       "service account together with credentials.client_email");
#define AWS(rest) "keystore: {aws: {secretsmanager: {endpoint: h, region: r, " rest "}}}"
	refuse(AWS("credentials: {accesskey: a}"),
	       "k.yml:1:72: keystore.aws.secretsmanager.credentials.secretkey: missing, expected "
	       "a secret access key together with credentials.accesskey");
	refuse(AWS("credentials: {token: t}"),
	       "k.yml:1:72: keystore.aws.secretsmanager.credentials.accesskey: missing, expected "
	       "an access key ID together with credentials.token");
	refuse(AWS("profile: p, credentials: {accesskey: a, secretkey: s}"),
	       "k.yml:1:68: keystore.aws.secretsmanager.profile: found beside credentials, expected one of them");
	refuse(AWS("external_id: e"),
	       "k.yml:1:34: keystore.aws.secretsmanager.role_arn: missing, expected the ARN of a role "
	       "together with external_id");
	refuse("keystore: {kes: {endpoint: h}}",
	       "k.yml:1:17: keystore.kes: no login found, expected api_key, or tls.cert with tls.key");
}

static void a_variable_is_read_once_and_wiped_from_the_environment(void **state)
{
	static const char text[] = VAULT "    approle: {id: ' ${ KESFS_TEST_ID } ', secret: "
	                                 "\"${KESFS_TEST_SECRET}\"}\n";

	setenv("KESFS_TEST_ID", "role-7", 1);
	setenv("KESFS_TEST_SECRET", "planted-secret", 1);
	for (int twice = 0; twice < 2; twice++) {     /* source and target may name the same variable */
		struct config *cfg = load(text);
		assert_string_equal(config_text(config_section(cfg), "approle.id"), "role-7");
		assert_int_equal(config_secret(config_section(cfg), "approle.secret")->len, 14);
		assert_memory_equal(config_secret(config_section(cfg), "approle.secret")->bytes, "planted-secret", 14);
		assert_string_equal(getenv("KESFS_TEST_SECRET"), "");
		config_free(cfg);
	}
	unsetenv("KESFS_TEST_SECRET");
	refuse(text, "k.yml:4:51: keystore.vault.approle.secret: the environment variable 'KESFS_TEST_SECRET' is not "
	             "set");
	setenv("KESFS_TEST_EMPTY", "", 1);
	refuse("keystore: {fs: {path: '${KESFS_TEST_EMPTY}'}}",
	       "k.yml:1:23: keystore.fs.path: the environment variable "
	       "'KESFS_TEST_EMPTY' is empty, expected the directory that holds the keys");
	refuse("keystore: {fs: {path: '${}'}}", "k.yml:1:23: keystore.fs.path: the environment variable '' is not set");
}

static void only_a_whole_text_is_a_reference(void **state)
{
	struct config *cfg = load("keystore: {fs: {path: './${HOME}/keys'}}");

	assert_string_equal(config_text(config_section(cfg), "path"), "./${HOME}/keys");
	config_free(cfg);
	setenv("HOME", "/home/somebody", 1);
	cfg = load("keystore: {fs: {path: '${HOME}'}}");
	assert_string_equal(config_text(config_section(cfg), "path"), "/home/somebody");
	assert_string_equal(getenv("HOME"), "/home/somebody");        /* others live by this one */
	config_free(cfg);
}

static void anchors_and_merge_keys_work_as_in_kes(void **state)
{
	struct config *cfg = load("x: &tls {ca: /ca, cert: c, key: k}\ny: &base {prefix: far, engine: e, tls: *tls}\n"
	                          "keystore:\n  vault:\n    <<: *base\n    prefix: near\n    endpoint: https://h\n");
	const struct config_map *map = config_section(cfg);

	assert_string_equal(config_text(map, "prefix"), "near");
	assert_string_equal(config_text(map, "engine"), "e");
	assert_string_equal(config_text(map, "tls.cert"), "c");
	config_free(cfg);
	cfg = load("a: &a {engine: first}\nb: &b {engine: second, token: t}\n"
	           "keystore: {vault: {<<: [*a, *b], endpoint: 'https://h'}}\n");
	assert_string_equal(config_text(config_section(cfg), "engine"), "first");
	config_free(cfg);
	refuse("a: &a {prefx: x}\nkeystore: {vault: {<<: *a, endpoint: 'https://h'}}\n",
	       "k.yml:1:8: keystore.vault.prefx: unknown, did you mean 'prefix'?");
	refuse("keystore: {fs: {<<: p}}",
	       "k.yml:1:21: a text to be merged by '<<', expected a mapping or a list of mappings");
	refuse("a: &a {path: p}\nkeystore: {fs: {'<<': *a}}", "k.yml:2:17: keystore.fs.<<: unknown, expected path");
	refuse("keystore: {fs: {path: !!binary aGVsbG8=}}", "k.yml:1:23: a value tagged !!binary, expected a text");
	refuse("keystore: *gone", "k.yml:1:11: the alias '*gone' stands for no anchor above it");
	refuse("keystore: &k {fs: *k}", "k.yml:1:19: the anchor '&k' contains itself");
}

static void a_key_that_comes_twice_is_refused(void **state)
{
	refuse("keystore:\n  fs:\n    path: a\n    path: b\n",
	       "k.yml:4:5: the key 'path' is here for the second time (first in line 3)");
	refuse("keystore: {}\nkeystore: {fs: {path: p}}\n",
	       "k.yml:2:1: the key 'keystore' is here for the second time (first in line 1)");
	refuse("keystore: {[a]: b}", "k.yml:1:12: a list as a key, expected a text");
	accept("policy: {a: 1, a: 2}\nkeystore: {fs: {path: p}}\n");          /* none of our business */
}

static void what_is_no_yaml_says_where(void **state)
{
	refuse("", "k.yml: empty, expected a KES configuration with a section 'keystore'");
	refuse("# nothing but this\n", "k.yml: empty, expected a KES configuration with a section 'keystore'");
	refuse("---\n", "k.yml: empty, expected a KES configuration with a section 'keystore'");
	refuse("a: b\n\tc: d\n",
	       "k.yml:2:1: not valid YAML: found a tab character that violates indentation while scanning a plain "
	       "scalar");
	refuse("a: {b\n", "k.yml:2:1: not valid YAML: did not find expected ',' or '}' while parsing a flow mapping");
	refuse_bytes("a: \x01", 4, "k.yml: not a YAML text: control characters are not allowed (at byte 4)");
	refuse_bytes("\xff\xff\xff", 3, "k.yml: not a YAML text: invalid leading UTF-8 octet (at byte 1)");
	refuse_bytes("a\0b", 3, "k.yml: not a YAML text: control characters are not allowed (at byte 2)");
}

static void a_malicious_file_costs_no_more_than_its_length(void **state)
{
	enum { SIZE = 1024 * 1024 };
	char *text = malloc(SIZE + 1), *p = text;

	memset(text, '[', 100000);
	refuse_bytes(text, 100000, "k.yml:1:65: nested deeper than 64 levels");
	memset(text, '#', SIZE + 1);
	refuse_bytes(text, SIZE + 1, "k.yml: larger than 1 MiB, expected a KES configuration file");
	refuse_bytes(text, SIZE, "k.yml: empty, expected a KES configuration with a section 'keystore'");
	/* Each level merges the one before nine times: nine to the ninth in all. */
	p += sprintf(p, "a0: &a0 {x: y}\n");
	for (int i = 1; i < 10; i++)
		p += sprintf(p, "a%d: &a%d {<<: [*a%d,*a%d,*a%d,*a%d,*a%d,*a%d,*a%d,*a%d,*a%d]}\n", i, i, i - 1, i - 1,
		             i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1);
	p += sprintf(p, "keystore: {fs: {<<: *a9, path: p}}\n");
	refuse(text, "k.yml:1:10: more than 1000 keys in one mapping");
	p = text;
	for (int i = 0; i < 1001; i++)
		p += sprintf(p, "a%d: &a%d x\n", i, i);
	refuse(text, "k.yml:1001:8: more than 1000 anchors");
	free(text);
}

static void a_file_that_cannot_be_read_says_why(void **state)
{
	struct config *cfg = NULL;
	struct error err = ERROR_INIT;

	unlink("k.yml");
	assert_int_equal(config_load("k.yml", NULL, NULL, &cfg, &err), -ENOENT);
	assert_string_equal(err.text, "k.yml: No such file or directory");
	assert_int_equal(config_load(".", NULL, NULL, &cfg, &err), -EINVAL);
	assert_string_equal(err.text, ".: a directory, expected a KES configuration file");
	assert_int_equal(config_load("k.yml/x", NULL, NULL, &cfg, &err), -ENOENT);
	assert_null(cfg);
}

static void a_long_path_leaves_room_for_the_sentence(void **state)
{
	struct config *cfg = NULL;
	struct error err = ERROR_INIT;
	char path[5000] = "", expected[400];

	for (int i = 0; i < 500; i++)
		strcat(path, "./");
	strcat(path, "k.yml");
	file_write("x: y\n", 5);
	assert_int_equal(config_load(path, NULL, NULL, &cfg, &err), -EINVAL);
	snprintf(expected, sizeof expected, "...%s:1:1: keystore: missing, expected a mapping that names one store, such as "
	         "fs or vault", path + strlen(path) - 252);
	assert_string_equal(err.text, expected);
	memset(path, 'a', sizeof path - 1);
	assert_int_equal(config_load(path, NULL, NULL, &cfg, &err), -ENAMETOOLONG);
	snprintf(expected, sizeof expected, "...%s: File name too long", path + strlen(path) - 252);
	assert_string_equal(err.text, expected);
}

static void a_module_can_complain_at_the_place_of_a_field(void **state)
{
	struct config *cfg = load(VAULT APPROLE);
	const struct config_map *map = config_section(cfg);
	struct error err = ERROR_INIT;

	assert_int_equal(config_complain(map, "approle.id", &err, EACCES, "role %d refused", 7), -EACCES);
	assert_string_equal(err.text, "k.yml:4:19: keystore.vault.approle.id: role 7 refused");
	config_complain(map, "approle.engine", &err, EINVAL, "x");
	assert_string_equal(err.text, "k.yml:4:14: keystore.vault.approle.engine: x");
	config_complain(map, "tls.ca", &err, EINVAL, "x");
	assert_string_equal(err.text, "k.yml:3:5: keystore.vault.tls.ca: x");
	config_free(cfg);
	assert_int_equal(config_for_directory("keys/", &cfg, &err), 0);
	assert_string_equal(config_store(cfg), "fs");
	assert_string_equal(config_text(config_section(cfg), "path"), "keys/");
	assert_int_equal(config_complain(config_section(cfg), "path", &err, ENOENT, "no such directory"), -ENOENT);
	assert_string_equal(err.text, "keys/: no such directory");
	config_free(cfg);
}

/* Set every variable that an example refers to. */
static void variables_set(const char *path)
{
	char line[400];
	FILE *f = fopen(path, "r");

	assert_non_null(f);
	while (fgets(line, sizeof line, f) != NULL) {
		char *name = strstr(line, "${");
		if (name != NULL)
			setenv(strtok(name + 2, "}"), "something", 1);
	}
	fclose(f);
}

static void every_example_is_accepted(void **state)
{
	const char *source = getenv("KESFS_SOURCE");
	char path[4096];
	int count = 0;

	assert_non_null(source);              /* set by meson test */
	snprintf(path, sizeof path, "%s/contrib/config", source);
	DIR *examples = opendir(path);
	assert_non_null(examples);
	for (struct dirent *e; (e = readdir(examples)) != NULL;) {
		struct config *cfg;
		struct error err = ERROR_INIT;
		size_t n = strcspn(e->d_name, ".-");  /* "vault-token.yml" is a vault */

		if (strstr(e->d_name, ".yml") == NULL)
			continue;
		snprintf(path, sizeof path, "%s/contrib/config/%s", source, e->d_name);
		variables_set(path);
		warnings = 0;
		if (config_load(path, warn, NULL, &cfg, &err) != 0)
			fail_msg("%s", err.text);
		assert_int_equal(warnings, 0);
		assert_int_equal(strlen(config_store(cfg)), n);
		assert_memory_equal(config_store(cfg), e->d_name, n);
		config_free(cfg);
		count++;
	}
	closedir(examples);
	assert_true(count >= 9);              /* one for each store at least */
}

static void durations_are_those_of_go(void **state)
{
	static const struct {
		const char *text;
		int64_t ns;           /* -1: none */
	} durations[] = {
		{ "10s", INT64_C(10000000000) }, { "1h2m3s4ms5us6ns", INT64_C(3723004005006) },
		{ "1.5h", INT64_C(5400000000000) },
		{ ".5s", 500000000 }, { "1.s", 1000000000 }, { "0", 0 }, { "+0", 0 }, { "0s", 0 },
		{ "300ms", 300000000 },
		{ "1\xc2\xb5s", 1000 }, { "1\xce\xbcs", 1000 }, { "5m0s", INT64_C(300000000000) }, { "0.1ns", 0 },
		{ "0.999999999999h", INT64_C(3599999999996) }, { "2562047h47m16.854775807s", INT64_MAX },
		{ "", -1 }, { "10", -1 }, { "s", -1 }, { ".s", -1 }, { "10 s", -1 }, { "-1s", -1 }, { "1d", -1 },
		{ "1S", -1 },
		{ "9223372036855s", -1 }, { "99999999999999999999s", -1 }, { "1e3s", -1 }, { "10s ", -1 },
	};

	for (size_t i = 0; i < sizeof durations / sizeof *durations; i++) {
		int64_t ns = -1;
		if (!value_duration(durations[i].text, &ns))
			ns = -1;
		if (ns != durations[i].ns)
			fail_msg("'%s' is %lld", durations[i].text, (long long)ns);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_whole_vault_section_is_read),
		cmocka_unit_test(every_store_is_known),
		cmocka_unit_test(lists_are_read_item_by_item),
		cmocka_unit_test(what_is_missing_or_empty_is_named_with_what_is_expected),
		cmocka_unit_test(what_is_unknown_is_named_with_the_best_guess),
		cmocka_unit_test(what_resembles_nothing_is_named_with_what_there_is),
		cmocka_unit_test(exactly_one_store_is_taken),
		cmocka_unit_test(old_fields_are_refused_with_their_new_name),
		cmocka_unit_test(a_value_of_the_wrong_kind_is_refused),
		cmocka_unit_test(an_address_is_checked_and_never_quoted),
		cmocka_unit_test(plain_http_to_another_host_is_warned_about_once),
		cmocka_unit_test(logins_exclude_each_other),
		cmocka_unit_test(a_variable_is_read_once_and_wiped_from_the_environment),
		cmocka_unit_test(only_a_whole_text_is_a_reference),
		cmocka_unit_test(anchors_and_merge_keys_work_as_in_kes),
		cmocka_unit_test(a_key_that_comes_twice_is_refused),
		cmocka_unit_test(what_is_no_yaml_says_where),
		cmocka_unit_test(a_malicious_file_costs_no_more_than_its_length),
		cmocka_unit_test(a_file_that_cannot_be_read_says_why),
		cmocka_unit_test(a_long_path_leaves_room_for_the_sentence),
		cmocka_unit_test(a_module_can_complain_at_the_place_of_a_field),
		cmocka_unit_test(every_example_is_accepted),
		cmocka_unit_test(durations_are_those_of_go),
	};

	return cmocka_run_group_tests(tests, directory_make, directory_drop);
}
