/* SPDX-License-Identifier: MIT */
/* GnuTLS is what libmicrohttpd speaks TLS with, so this adds no library. */
#include "server/tls.h"

#include <gnutls/abstract.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <stdio.h>
#include <string.h>

static int read_certificates(const gnutls_datum_t *text)
{
    gnutls_x509_crt_t *certificates = NULL;
    unsigned count = 0;
    const int result = gnutls_x509_crt_list_import2(&certificates, &count, text, GNUTLS_X509_FMT_PEM, 0);
    if (result < 0)
        return result;
    for (unsigned i = 0; i < count; i++)
        gnutls_x509_crt_deinit(certificates[i]);
    gnutls_free(certificates);
    return 0;
}

static int read_key(const gnutls_datum_t *text)
{
    gnutls_privkey_t key = NULL;
    int result = gnutls_privkey_init(&key);
    if (result < 0)
        return result;
    result = gnutls_privkey_import_x509_raw(key, text, GNUTLS_X509_FMT_PEM, NULL, 0);
    gnutls_privkey_deinit(key);
    return result;
}

static int match(const gnutls_datum_t *certificate, const gnutls_datum_t *key)
{
    gnutls_certificate_credentials_t credentials = NULL;
    int result = gnutls_certificate_allocate_credentials(&credentials);
    if (result < 0)
        return result;
    result = gnutls_certificate_set_x509_key_mem2(credentials, certificate, key, GNUTLS_X509_FMT_PEM, NULL, 0);
    gnutls_certificate_free_credentials(credentials);
    return result;
}

/* One after the other, so that the file at fault is known. */
bool tls_check_files(const char *certificate, const char *key, bool *key_at_fault, char *reason, size_t reason_bytes)
{
    gnutls_datum_t certificate_text = {0}, key_text = {0};
    *key_at_fault = false;
    int result = gnutls_load_file(certificate, &certificate_text);
    if (result >= 0)
        result = read_certificates(&certificate_text);
    if (result >= 0) {
        *key_at_fault = true;
        result = gnutls_load_file(key, &key_text);
    }
    if (result >= 0)
        result = read_key(&key_text);
    if (result >= 0)
        result = match(&certificate_text, &key_text);
    if (result < 0)
        snprintf(reason, reason_bytes, "%s", gnutls_strerror(result));
    if (key_text.data != NULL) {
        gnutls_memset(key_text.data, 0, key_text.size);
        gnutls_free(key_text.data);
    }
    if (certificate_text.data != NULL)
        gnutls_free(certificate_text.data);
    return result >= 0;
}

static ptrdiff_t exchange(gnutls_session_t session, const char *request, char *answer, size_t answer_bytes)
{
    int result;
    do
        result = gnutls_handshake(session);
    while (result < 0 && gnutls_error_is_fatal(result) == 0);
    if (result < 0 || gnutls_record_send(session, request, strlen(request)) < 0)
        return -1;
    ssize_t received;
    do
        received = gnutls_record_recv(session, answer, answer_bytes);
    while (received == GNUTLS_E_INTERRUPTED || received == GNUTLS_E_AGAIN);
    return received;
}

ptrdiff_t tls_exchange(int descriptor, const char *request, char *answer, size_t answer_bytes, unsigned timeout_ms)
{
    gnutls_session_t session = NULL;
    gnutls_certificate_credentials_t credentials = NULL;
    ptrdiff_t received = -1;
    if (gnutls_init(&session, GNUTLS_CLIENT) < 0)
        return -1;
    if (gnutls_certificate_allocate_credentials(&credentials) < 0)
        goto done;
    if (gnutls_priority_set_direct(session, TLS_PRIORITIES, NULL) < 0 ||
        gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE, credentials) < 0)
        goto done;
    gnutls_transport_set_int(session, descriptor);
    gnutls_handshake_set_timeout(session, timeout_ms);
    gnutls_record_set_timeout(session, timeout_ms);
    received = exchange(session, request, answer, answer_bytes);
done:
    gnutls_deinit(session);
    if (credentials != NULL)
        gnutls_certificate_free_credentials(credentials);
    return received;
}
