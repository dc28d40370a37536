/* SPDX-License-Identifier: MIT */
/* The only file that includes GnuTLS: whether certificate and key belong together, the client's side that --healthcheck needs, and
 * the hash that API keys are kept as. */
#ifndef SERVER_TLS_H
#define SERVER_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The versions and key exchanges that are spoken: TLS 1.2 and 1.3, forward secrecy only. */
#define TLS_PRIORITIES "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2:-RSA"

/* Whether both files hold PEM and the key is the certificate's. False: `reason` says which is wrong and how; `key_at_fault` tells
 * the file of the key from that of the certificate. */
bool tls_check_files(const char *certificate, const char *key, bool *key_at_fault, char *reason, size_t reason_bytes);

/* Reads both files and shows them in every handshake from now on; false: `reason` says why not, and all stays as it was. One
 * thread at a time. tls_show_none is for the end, when there is no handshake any more. */
bool tls_show_files(const char *certificate, const char *key, char *reason, size_t reason_bytes);
void tls_show_none(void);
/* What MHD_OPTION_HTTPS_CERT_CALLBACK takes: a gnutls_certificate_retrieve_function2. */
void *tls_certificate_callback(void);

/* Sends `request` over a connected socket under TLS and reads the beginning of the answer; -1 on failure. Whose certificate it
 * is does not matter: the peer is this machine's own daemon, and nothing secret is sent. */
ptrdiff_t tls_exchange(int descriptor, const char *request, char *answer, size_t answer_bytes, unsigned timeout_ms);

/* SHA-256 of some bytes; false where GnuTLS refuses. */
enum { TLS_SHA256_BYTES = 32 };
bool tls_sha256(uint8_t out[TLS_SHA256_BYTES], const void *bytes, size_t count);

#endif
