/* SPDX-License-Identifier: Apache-2.0
 *
 * Whom the engine trusts, and whom not. */
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

#include "backends/http.h"
#include "tests/support/certs.h"
#include "tests/support/talk.h"

static char dir[64], ca_path[128], other_path[128], cert_path[128], key_path[128], junk_path[128], ca_dir[96];
static struct identity ca, other_ca, host, other_host, client;

static int files_make(void **state)
{
	snprintf(dir, sizeof dir, "/tmp/kesfs-tls.XXXXXX");
	if (mkdtemp(dir) == NULL)
		return -1;
	snprintf(ca_path, sizeof ca_path, "%s/ca.pem", dir);
	snprintf(other_path, sizeof other_path, "%s/other.pem", dir);
	snprintf(cert_path, sizeof cert_path, "%s/client.pem", dir);
	snprintf(key_path, sizeof key_path, "%s/client.key", dir);
	snprintf(junk_path, sizeof junk_path, "%s/junk", dir);
	snprintf(ca_dir, sizeof ca_dir, "%s/roots", dir);
	ca = identity_make("ca", NULL, NULL);
	other_ca = identity_make("other", NULL, NULL);
	host = identity_make("host", "IP:127.0.0.1", &ca);
	other_host = identity_make("other host", "IP:127.0.0.1", &other_ca);
	client = identity_make("client", NULL, &ca);
	identity_write(&ca, ca_path, NULL);
	identity_write(&other_ca, other_path, NULL);
	identity_write(&client, cert_path, key_path);
	FILE *f = fopen(junk_path, "w");
	if (f == NULL || fputs("no certificate\n", f) < 0 || fclose(f) != 0)
		return -1;
	/* For this process the "system" trusts the other authority. */
	return mkdir(ca_dir, 0700) != 0 ? -1 : setenv("SSL_CERT_FILE", other_path, 1);
}

static int files_drop(void **state)
{
	char path[160];
	const char *const names[] = { "any name", "other", "junk" };

	for (size_t i = 0; i < 3; i++) {
		snprintf(path, sizeof path, "%s/%s", ca_dir, names[i]);
		unlink(path);
	}
	rmdir(ca_dir);
	unlink(ca_path);
	unlink(other_path);
	unlink(cert_path);
	unlink(key_path);
	unlink(junk_path);
	identity_free(&ca);
	identity_free(&other_ca);
	identity_free(&host);
	identity_free(&other_host);
	identity_free(&client);
	return rmdir(dir);
}

static void answer(struct server_request *r, void *arg)
{
	server_answer(r, 200, "", "{}");
}

static void serve(const struct identity *id, const struct identity *clients)
{
	server_tls = identity_server(id, clients);
	server = server_start(answer, NULL, server_tls);
}

static int call(const struct http_options *more, const char *name, struct error *err)
{
	struct http_options o = *more;
	HTTP_REPLY(reply);
	struct http_request req = { .method = "GET" };
	struct call c = call_in(60, NULL);

	o.label = "store";
	http_close(http);
	http = NULL;
	int r = http_open(&o, &http, err);
	if (r != 0)
		return r;
	req.url = server_url(server, name, "/");
	r = http_call(http, &c, &req, &reply, err);
	return r != 0 ? r : reply.status == 200 ? 0 : -EIO;
}

static void an_authority_of_ones_own_is_trusted(void **state)
{
	serve(&host, NULL);
	assert_int_equal(call(&(struct http_options){ .ca = ca_path }, NULL, NULL), 0);
	for (int i = 0; i < 20; i++) {
		HTTP_REPLY(reply);
		struct http_request req = { .method = "GET" };
		struct call c = call_in(60, NULL);
		req.url = server_url(server, NULL, "/");
		assert_int_equal(http_call(http, &c, &req, &reply, NULL), 0);
	}
	assert_in_range(server_connections(server), 1, 5);
}

static void nobody_else_is(void **state)
{
	struct error err = ERROR_INIT;

	serve(&host, NULL);
	assert_int_equal(call(&(struct http_options){ .ca = other_path }, NULL, &err), -EPROTO);
	assert_non_null(strstr(err.text, "not trusted"));
	assert_non_null(strstr(err.text, "tls.ca"));
	assert_int_equal(server_requests(server), 0);
}

static void without_one_the_systems_roots_are_trusted(void **state)
{
	serve(&other_host, NULL);
	for (int i = 0; i < 2; i++)
		assert_int_equal(call(&(struct http_options){ .ca = NULL }, NULL, NULL), 0);
	assert_int_equal(call(&(struct http_options){ .ca = ca_path }, NULL, NULL), -EPROTO);
	assert_int_equal(call(&(struct http_options){ .ca = ca_path, .ca_adds = true }, NULL, NULL), 0);
}

static void the_systems_roots_do_not_know_it(void **state)
{
	serve(&host, NULL);
	assert_int_equal(call(&(struct http_options){ .ca = NULL }, NULL, NULL), -EPROTO);
	assert_int_equal(call(&(struct http_options){ .ca = ca_path, .ca_adds = true }, NULL, NULL), 0);
}

static void copy_to(const char *from, const char *name)
{
	char path[160];

	snprintf(path, sizeof path, "%s/%s", ca_dir, name);
	if (symlink(from, path) != 0)
		assert_int_equal(errno, EEXIST);
}

static void a_directory_of_any_names_is_read(void **state)
{
	struct error err = ERROR_INIT;

	serve(&host, NULL);
	assert_int_equal(call(&(struct http_options){ .ca = ca_dir }, NULL, &err), -EINVAL);
	assert_non_null(strstr(err.text, "without a certificate"));
	copy_to(ca_path, "any name");
	copy_to(other_path, "other");
	assert_int_equal(call(&(struct http_options){ .ca = ca_dir }, NULL, NULL), 0);
	copy_to(junk_path, "junk");
	assert_int_equal(call(&(struct http_options){ .ca = ca_dir }, NULL, &err), -EINVAL);
	assert_non_null(strstr(err.text, "roots/junk: holds no certificate"));
}

static void the_host_name_must_be_right(void **state)
{
	struct error err = ERROR_INIT;

	serve(&host, NULL);
	assert_int_equal(call(&(struct http_options){ .ca = ca_path }, "localhost", &err), -EPROTO);
	assert_non_null(strstr(err.text, "localhost"));
	assert_int_equal(server_requests(server), 0);
}

static void tls_before_1_2_is_refused(void **state)
{
	struct error err = ERROR_INIT;

	serve(&host, NULL);
	SSL_CTX_set_cipher_list(server_tls, "ALL:@SECLEVEL=0");
	SSL_CTX_set_min_proto_version(server_tls, TLS1_VERSION);
	SSL_CTX_set_max_proto_version(server_tls, TLS1_1_VERSION);
	assert_int_equal(call(&(struct http_options){ .ca = ca_path }, NULL, &err), -EPROTO);
	assert_non_null(strstr(err.text, "TLS 1.2"));
	SSL_CTX_set_max_proto_version(server_tls, TLS1_2_VERSION);
	assert_int_equal(call(&(struct http_options){ .ca = ca_path }, NULL, NULL), 0);
}

static void a_client_shows_its_certificate(void **state)
{
	struct error err = ERROR_INIT;
	struct http_options with = { .ca = ca_path, .cert = cert_path, .key = key_path };

	serve(&host, &ca);
	assert_int_equal(call(&with, NULL, NULL), 0);
	assert_int_equal(call(&(struct http_options){ .ca = ca_path }, NULL, &err), -EACCES);
	assert_non_null(strstr(err.text, "client certificate"));
	assert_int_equal(server_requests(server), 1);
}

static void a_wrong_file_is_named(void **state)
{
	struct error err = ERROR_INIT;

	serve(&host, NULL);
	assert_int_equal(call(&(struct http_options){ .ca = "/nonexistent/ca" }, NULL, &err), -ENOENT);
	assert_string_equal(err.text, "store: /nonexistent/ca: No such file or directory");
	assert_int_equal(call(&(struct http_options){ .ca = junk_path }, NULL, &err), -EINVAL);
	assert_non_null(strstr(err.text, junk_path));
	assert_int_equal(call(&(struct http_options){ .cert = cert_path }, NULL, &err), -EINVAL);
	assert_int_equal(call(&(struct http_options){ .cert = ca_path, .key = key_path }, NULL, &err), -EINVAL);
	assert_non_null(strstr(err.text, "does not belong"));
	assert_int_equal(call(&(struct http_options){ .cert = cert_path, .key = junk_path }, NULL, &err), -EINVAL);
	assert_non_null(strstr(err.text, "private key"));
}

static void plain_http_on_a_tls_port_is_no_answer(void **state)
{
	HTTP_REPLY(reply);
	char url[64];
	struct http_request req = { .method = "GET", .url = url, .tries = 1 };
	struct call c = call_in(60, NULL);

	serve(&host, NULL);
	assert_int_equal(http_open(&(struct http_options){ .label = "store" }, &http, NULL), 0);
	snprintf(url, sizeof url, "http://127.0.0.1:%d/", server_port(server));
	int r = http_call(http, &c, &req, &reply, NULL);
	assert_true(r == -EPROTO || r == -EHOSTUNREACH);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(an_authority_of_ones_own_is_trusted, talk_stop),
		cmocka_unit_test_teardown(nobody_else_is, talk_stop),
		cmocka_unit_test_teardown(without_one_the_systems_roots_are_trusted, talk_stop),
		cmocka_unit_test_teardown(the_systems_roots_do_not_know_it, talk_stop),
		cmocka_unit_test_teardown(a_directory_of_any_names_is_read, talk_stop),
		cmocka_unit_test_teardown(the_host_name_must_be_right, talk_stop),
		cmocka_unit_test_teardown(tls_before_1_2_is_refused, talk_stop),
		cmocka_unit_test_teardown(a_client_shows_its_certificate, talk_stop),
		cmocka_unit_test_teardown(a_wrong_file_is_named, talk_stop),
		cmocka_unit_test_teardown(plain_http_on_a_tls_port_is_no_answer, talk_stop),
	};

	return cmocka_run_group_tests_name("http_tls", tests, files_make, files_drop);
}
