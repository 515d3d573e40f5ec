/* SPDX-License-Identifier: Apache-2.0
 *
 * libcurl would read and parse the certificates again for each connection, and can neither take a directory with any
 * file names (as KES does) nor say which file is wrong.  So they are loaded here, at open, and put into each SSL_CTX.
 * */
#include "backends/http_tls.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct http_tls {
	X509_STORE *roots;            /* NULL: the system's, and nothing else */
	X509 *cert;
	STACK_OF(X509) *chain;
	EVP_PKEY *key;
};

enum { PEM_FILE_MAX = 4 * 1024 * 1024 };

/* Never ask a terminal for a pass phrase. */
static int no_passphrase(char *buf, int size, int writing, void *arg)
{
	return -1;
}

static int file_bio(const char *path, struct secret *text, BIO **ret, struct error *err)
{
	int r = secret_read_file(text, path, PEM_FILE_MAX, err);

	if (r != 0)
		return r;
	*ret = BIO_new_mem_buf(text->len > 0 ? (const void *)text->bytes : "", (int)text->len);
	return *ret != NULL ? 0 : error_set(err, ENOMEM, "%s: no memory", path);
}

static int roots_add_file(X509_STORE *roots, const char *path, struct error *err)
{
	SECRET(text);
	BIO *bio;
	X509 *cert;
	unsigned count = 0;
	int r = file_bio(path, &text, &bio, err);

	if (r != 0)
		return r;
	while ((cert = PEM_read_bio_X509_AUX(bio, NULL, no_passphrase, NULL)) != NULL) {
		X509_STORE_add_cert(roots, cert);    /* one that is there already is no failure */
		X509_free(cert);
		count++;
	}
	/* The end of a good file is "no start line"; anything else is a broken certificate. */
	bool end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
	ERR_clear_error();
	BIO_free(bio);
	if (count == 0 || !end)
		return error_set(err, EINVAL, "%s: %s", path, count == 0 ? "holds no certificate in PEM form"
		                                                         : "holds a damaged certificate");
	return 0;
}

static int is_file(const char *dir, const struct dirent *e, char *path, size_t size)
{
	struct stat st;
	int n = snprintf(path, size, "%s/%s", dir, e->d_name);

	if (n < 0 || (size_t)n >= size)
		return -ENAMETOOLONG;
	return stat(path, &st) == 0 ? S_ISREG(st.st_mode) : -errno;
}

static int roots_add_directory(X509_STORE *roots, const char *dir, struct error *err)
{
	char path[PATH_MAX];
	const struct dirent *e;
	unsigned count = 0;
	int r = 0;
	DIR *d = opendir(dir);

	if (d == NULL)
		return error_set(err, errno, "%s: %s", dir, strerror(errno));
	while (r == 0 && (e = readdir(d)) != NULL) {
		int file = is_file(dir, e, path, sizeof path);

		if (file < 0)
			r = error_set(err, -file, "%s/%s: %s", dir, e->d_name, strerror(-file));
		else if (file > 0 && ++count > 0)
			r = roots_add_file(roots, path, err);
	}
	closedir(d);
	if (r == 0 && count == 0)
		r = error_set(err, EINVAL, "%s: a directory without a certificate file", dir);
	return r;
}

/* What Go's clients would trust: SSL_CERT_FILE and SSL_CERT_DIR, else the system's bundle. */
static void roots_add_system(X509_STORE *roots)
{
	const char *bundle = curl_version_info(CURLVERSION_NOW)->cainfo;

	X509_STORE_set_default_paths(roots);
	if (bundle != NULL && getenv("SSL_CERT_FILE") == NULL && getenv("SSL_CERT_DIR") == NULL)
		X509_STORE_load_file(roots, bundle);
	ERR_clear_error();
}

static X509_STORE *roots_new(void)
{
	X509_STORE *roots = X509_STORE_new();

	/* As in Go, whatever is in the pool is trusted, root or not. */
	if (roots != NULL)
		X509_STORE_set_flags(roots, X509_V_FLAG_PARTIAL_CHAIN | X509_V_FLAG_TRUSTED_FIRST);
	return roots;
}

/* Parsing the system's bundle takes some 50 ms: once a process, whatever the number of its stores, and never for one
 * that is asked without TLS. */
static X509_STORE *system_roots;

static void system_roots_load(void)
{
	system_roots = roots_new();
	if (system_roots != NULL)
		roots_add_system(system_roots);
}

int http_tls_need(const struct http_tls *t, struct error *err)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	if (t->roots != NULL)
		return 0;
	pthread_once(&once, system_roots_load);
	return system_roots != NULL ? 0 : error_set(err, ENOMEM, "no memory for certificates");
}

static int roots_load(struct http_tls *t, const struct http_options *o, struct error *err)
{
	struct stat st;

	if (o->ca == NULL)
		return 0;
	t->roots = roots_new();
	if (t->roots == NULL)
		return error_set(err, ENOMEM, "no memory for certificates");
	if (o->ca_adds)
		roots_add_system(t->roots);
	if (stat(o->ca, &st) != 0)
		return error_set(err, errno, "%s: %s", o->ca, strerror(errno));
	return S_ISDIR(st.st_mode) ? roots_add_directory(t->roots, o->ca, err) : roots_add_file(t->roots, o->ca, err);
}

static int cert_load(struct http_tls *t, const char *path, struct error *err)
{
	SECRET(text);
	BIO *bio;
	X509 *more;
	int r = file_bio(path, &text, &bio, err);

	if (r != 0)
		return r;
	t->cert = PEM_read_bio_X509_AUX(bio, NULL, no_passphrase, NULL);
	t->chain = sk_X509_new_null();
	while (t->cert != NULL && t->chain != NULL &&
	       (more = PEM_read_bio_X509(bio, NULL, no_passphrase, NULL)) != NULL)
		if (sk_X509_push(t->chain, more) == 0)
			X509_free(more);
	ERR_clear_error();
	BIO_free(bio);
	return t->cert != NULL ? 0 : error_set(err, EINVAL, "%s: holds no certificate in PEM form", path);
}

static int key_load(struct http_tls *t, const char *path, const char *cert_path, struct error *err)
{
	SECRET(text);
	BIO *bio;
	int r = file_bio(path, &text, &bio, err);

	if (r != 0)
		return r;
	t->key = PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL);
	ERR_clear_error();
	BIO_free(bio);
	if (t->key == NULL)
		return error_set(err, EINVAL, "%s: holds no private key in PEM form, or one with a pass phrase", path);
	if (X509_check_private_key(t->cert, t->key) != 1) {
		ERR_clear_error();
		return error_set(err, EINVAL, "%s: this key does not belong to the certificate %s", path, cert_path);
	}
	return 0;
}

int http_tls_load(const struct http_options *o, struct http_tls **ret, struct error *err)
{
	struct http_tls *t = calloc(1, sizeof *t);

	if (t == NULL)
		return error_set(err, ENOMEM, "no memory for certificates");
	int r = roots_load(t, o, err);
	if (r == 0 && (o->cert == NULL) != (o->key == NULL))
		r = error_set(err, EINVAL, "a client certificate needs both its certificate and its key file");
	if (r == 0 && o->cert != NULL)
		r = cert_load(t, o->cert, err);
	if (r == 0 && o->key != NULL)
		r = key_load(t, o->key, o->cert, err);
	if (r != 0) {
		http_tls_free(t);
		return r;
	}
	*ret = t;
	return 0;
}

void http_tls_free(struct http_tls *t)
{
	if (t == NULL)
		return;
	X509_STORE_free(t->roots);
	X509_free(t->cert);
	sk_X509_pop_free(t->chain, X509_free);
	EVP_PKEY_free(t->key);
	free(t);
}

/* libcurl's callback for each new SSL_CTX. */
static CURLcode context_setup(CURL *easy, void *ctx, void *arg)
{
	struct http_tls *t = arg;

	SSL_CTX_set_options(ctx, SSL_OP_CLEANSE_PLAINTEXT);
	SSL_CTX_set1_cert_store(ctx, t->roots != NULL ? t->roots : system_roots);
	if (t->cert == NULL)
		return CURLE_OK;
	if (SSL_CTX_use_certificate(ctx, t->cert) != 1 || SSL_CTX_use_PrivateKey(ctx, t->key) != 1 ||
	    SSL_CTX_set1_chain(ctx, t->chain) != 1) {
		ERR_clear_error();
		return CURLE_SSL_CERTPROBLEM;
	}
	return CURLE_OK;
}

void http_tls_setup(struct http_tls *t, CURL *easy)
{
	curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L);
	curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L);
	curl_easy_setopt(easy, CURLOPT_CAINFO, NULL);
	curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
	curl_easy_setopt(easy, CURLOPT_SSL_CTX_FUNCTION, context_setup);
	curl_easy_setopt(easy, CURLOPT_SSL_CTX_DATA, t);
}
