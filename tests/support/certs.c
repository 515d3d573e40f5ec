/* SPDX-License-Identifier: Apache-2.0
 *
 * OpenSSL's X.509 calls in the order they are needed. */
#include "tests/support/certs.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>

static void must(int ok)
{
	if (!ok)
		abort();
}

static void extension_add(X509 *cert, int nid, const char *value)
{
	X509V3_CTX ctx;

	X509V3_set_ctx_nodb(&ctx);
	X509V3_set_ctx(&ctx, cert, cert, NULL, NULL, 0);
	X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	must(e != NULL && X509_add_ext(cert, e, -1) == 1);
	X509_EXTENSION_free(e);
}

struct identity identity_make(const char *name, const char *alternative, const struct identity *issuer)
{
	static long serial = 1;
	struct identity id = { X509_new(), EVP_EC_gen("P-256") };

	must(id.cert != NULL && id.key != NULL);
	X509_set_version(id.cert, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(id.cert), serial++);
	X509_gmtime_adj(X509_getm_notBefore(id.cert), -3600);
	X509_gmtime_adj(X509_getm_notAfter(id.cert), 24 * 3600);
	X509_set_pubkey(id.cert, id.key);
	X509_NAME *subject = X509_get_subject_name(id.cert);
	X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)name, -1, -1, 0);
	X509_set_issuer_name(id.cert, issuer != NULL ? X509_get_subject_name(issuer->cert) : subject);
	extension_add(id.cert, NID_basic_constraints, issuer != NULL ? "CA:FALSE" : "critical,CA:TRUE");
	if (alternative != NULL)
		extension_add(id.cert, NID_subject_alt_name, alternative);
	must(X509_sign(id.cert, issuer != NULL ? issuer->key : id.key, EVP_sha256()) > 0);
	return id;
}

void identity_free(struct identity *id)
{
	X509_free(id->cert);
	EVP_PKEY_free(id->key);
}

void identity_write(const struct identity *id, const char *cert_path, const char *key_path)
{
	FILE *f;

	if (cert_path != NULL) {
		must((f = fopen(cert_path, "w")) != NULL);
		must(PEM_write_X509(f, id->cert) == 1);
		fclose(f);
	}
	if (key_path != NULL) {
		must((f = fopen(key_path, "w")) != NULL);
		must(PEM_write_PrivateKey(f, id->key, NULL, NULL, 0, NULL, NULL) == 1);
		fclose(f);
	}
}

SSL_CTX *identity_server(const struct identity *id, const struct identity *clients)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());

	must(ctx != NULL && SSL_CTX_use_certificate(ctx, id->cert) == 1 && SSL_CTX_use_PrivateKey(ctx, id->key) == 1);
	if (clients != NULL) {
		must(X509_STORE_add_cert(SSL_CTX_get_cert_store(ctx), clients->cert) == 1);
		SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	}
	return ctx;
}
