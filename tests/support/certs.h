/* SPDX-License-Identifier: Apache-2.0
 *
 * Certificates made when a test needs them. */
#ifndef KESFS_TESTS_SUPPORT_CERTS_H
#define KESFS_TESTS_SUPPORT_CERTS_H

#include <openssl/ssl.h>
#include <openssl/x509.h>

struct identity {                             /* a certificate and its key */
	X509 *cert;
	EVP_PKEY *key;
};

/* name is the common name, and the alternative name ("IP:127.0.0.1", "DNS:host") if not NULL.  issuer NULL: an
 * authority of its own.  Aborts if OpenSSL fails. */
struct identity identity_make(const char *name, const char *alternative, const struct identity *issuer);
void identity_free(struct identity *id);
void identity_write(const struct identity *id, const char *cert_path, const char *key_path);   /* each may be NULL */
/* A server's context; clients: whose certificates are demanded, NULL: none. */
SSL_CTX *identity_server(const struct identity *id, const struct identity *clients);

#endif
