/* SPDX-License-Identifier: MIT */
/* A client that speaks TLS as a test tells it to, and certificates made for the test. */
#ifndef TESTS_HTTP_TLS_H
#define TESTS_HTTP_TLS_H

#include "tests/http/harness.h"

/* A certificate that signs itself and its key, as PEM; `rsa`: of RSA, else of an elliptic curve. They live until the test ends. */
struct credentials {
    const char *certificate, *key;
};
struct credentials credentials_make(unsigned serial, bool rsa);
/* Writes them over two files; each is at every moment whole, the old one or the new. */
void credentials_write(const struct credentials *credentials, const char *certificate_path, const char *key_path);

struct tls_client;
/* Connects to the child and shakes hands by these priorities of GnuTLS; NULL: refused, and `reason` says how. */
struct tls_client *tls_open(const struct child *child, const char *priorities, const char **reason);
const char *tls_suite(const struct tls_client *client); /* "TLS1.3 ECDHE-..." */
unsigned tls_serial(const struct tls_client *client); /* of the certificate that the daemon showed */
/* Sends a request and reads one answer by its Content-Length; status 0: none came. */
struct answer tls_exchange_text(struct tls_client *client, const char *request);
bool tls_send(struct tls_client *client, const char *bytes, size_t count);
/* What has come; 0 or less: closed, or nothing came for 120 s (scaled by slowness). */
ssize_t tls_receive(struct tls_client *client, char *bytes, size_t room);
void tls_close(struct tls_client *client); /* NULL is fine */

#endif
