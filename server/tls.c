/* SPDX-License-Identifier: MIT */
/* GnuTLS is what libmicrohttpd speaks TLS with, so this adds no library. libmicrohttpd asks for the certificate at each handshake,
 * so that a renewed one needs no new socket and no new thread. */
#include "server/tls.h"

#include <gnutls/abstract.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- Certificates ------------------------------------------------------------------------------------------------ */

/* What handshakes show, and before it what they showed: an old one may be in use by a handshake that has begun, so all stay until
 * the end. Renewals are rare, and one is some kilobytes; reloads that renew nothing may be many, and keep none. */
static struct certificate {
    uint8_t sums[2][TLS_SHA256_BYTES]; /* of both files: equal ones are the same certificate */
    gnutls_pcert_st *chain;
    unsigned count;
    gnutls_privkey_t key;
    struct certificate *older;
} * _Atomic newest;

enum { CHAIN_MAX = 16 };

static int read_chain(struct certificate *certificate, const gnutls_datum_t *text)
{
    certificate->count = CHAIN_MAX;
    certificate->chain = calloc(CHAIN_MAX, sizeof *certificate->chain);
    if (certificate->chain == NULL)
        return GNUTLS_E_MEMORY_ERROR;
    const int result = gnutls_pcert_list_import_x509_raw(certificate->chain, &certificate->count, text,
                                                         GNUTLS_X509_FMT_PEM, GNUTLS_X509_CRT_LIST_SORT);
    if (result < 0)
        certificate->count = 0;
    return result;
}

static int read_key(struct certificate *certificate, const gnutls_datum_t *text)
{
    const int result = gnutls_privkey_init(&certificate->key);
    return result < 0 ? result : gnutls_privkey_import_x509_raw(certificate->key, text, GNUTLS_X509_FMT_PEM, NULL, 0);
}

/* Whether the key is that of the first certificate. */
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

static void certificate_free(struct certificate *certificate)
{
    for (unsigned i = 0; i < certificate->count; i++)
        gnutls_pcert_deinit(&certificate->chain[i]);
    free(certificate->chain);
    if (certificate->key != NULL)
        gnutls_privkey_deinit(certificate->key);
    free(certificate);
}

/* One file after the other, so that the one at fault is known. NULL: the reason is told. */
static struct certificate *certificate_read(const char *chain_path, const char *key_path, bool *key_at_fault,
                                            char *reason, size_t reason_bytes)
{
    gnutls_datum_t chain = {0}, key = {0};
    struct certificate *certificate = calloc(1, sizeof *certificate);
    int result = certificate == NULL ? GNUTLS_E_MEMORY_ERROR : gnutls_load_file(chain_path, &chain);
    *key_at_fault = false;
    if (result >= 0)
        result = read_chain(certificate, &chain);
    if (result >= 0) {
        *key_at_fault = true;
        result = gnutls_load_file(key_path, &key);
    }
    if (result >= 0)
        result = read_key(certificate, &key);
    if (result >= 0)
        result = match(&chain, &key);
    if (result >= 0 && (!tls_sha256(certificate->sums[0], chain.data, chain.size) ||
                        !tls_sha256(certificate->sums[1], key.data, key.size)))
        result = GNUTLS_E_HASH_FAILED;
    if (key.data != NULL) {
        gnutls_memset(key.data, 0, key.size);
        gnutls_free(key.data);
    }
    gnutls_free(chain.data);
    if (result >= 0)
        return certificate;
    snprintf(reason, reason_bytes, "%s", gnutls_strerror(result));
    if (certificate != NULL)
        certificate_free(certificate);
    return NULL;
}

bool tls_check_files(const char *certificate, const char *key, bool *key_at_fault, char *reason, size_t reason_bytes)
{
    struct certificate *read = certificate_read(certificate, key, key_at_fault, reason, reason_bytes);
    if (read != NULL)
        certificate_free(read);
    return read != NULL;
}

bool tls_show_files(const char *certificate, const char *key, char *reason, size_t reason_bytes)
{
    bool key_at_fault;
    struct certificate *fresh = certificate_read(certificate, key, &key_at_fault, reason, reason_bytes);
    if (fresh == NULL)
        return false;
    struct certificate *shown = atomic_load_explicit(&newest, memory_order_relaxed); /* only one thread renews */
    if (shown != NULL && memcmp(shown->sums, fresh->sums, sizeof fresh->sums) == 0) {
        certificate_free(fresh);
        return true;
    }
    fresh->older = shown;
    atomic_store_explicit(&newest, fresh, memory_order_release);
    return true;
}

void tls_show_none(void)
{
    struct certificate *certificate = atomic_exchange(&newest, NULL);
    while (certificate != NULL) {
        struct certificate *older = certificate->older;
        certificate_free(certificate);
        certificate = older;
    }
}

static int show(gnutls_session_t session, const gnutls_datum_t *authorities, int authority_count,
                const gnutls_pk_algorithm_t *algorithms, int algorithm_count, gnutls_pcert_st **chain, unsigned *count,
                gnutls_privkey_t *key)
{
    const struct certificate *current = atomic_load_explicit(&newest, memory_order_acquire);
    (void)session, (void)authorities, (void)authority_count, (void)algorithms, (void)algorithm_count;
    if (current == NULL)
        return -1;
    *chain = current->chain;
    *count = current->count;
    *key = current->key;
    return 0;
}

void *tls_certificate_callback(void)
{
    return (void *)show;
}

/* ---- A client of one request ------------------------------------------------------------------------------------- */

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

/* ---- Hash --------------------------------------------------------------------------------------------------------- */

bool tls_sha256(uint8_t out[TLS_SHA256_BYTES], const void *bytes, size_t count)
{
    return gnutls_hash_fast(GNUTLS_DIG_SHA256, bytes, count, out) == 0;
}
