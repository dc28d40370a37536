/* SPDX-License-Identifier: MIT */
/* GnuTLS as a client, since it still speaks what has to be refused: TLS 1.0, key exchange by RSA. */
#include "tests/http/tls.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include <gnutls/gnutls.h>
#include <gnutls/x509.h>

struct tls_client {
    int descriptor;
    gnutls_session_t session;
    gnutls_certificate_credentials_t credentials;
};

static const char *pem_of_certificate(gnutls_x509_crt_t certificate)
{
    gnutls_datum_t text = {0};
    assert_int_equal(gnutls_x509_crt_export2(certificate, GNUTLS_X509_FMT_PEM, &text), 0);
    const char *copy = text_copy((const char *)text.data, text.size);
    gnutls_free(text.data);
    return copy;
}

static const char *pem_of_key(gnutls_x509_privkey_t key)
{
    gnutls_datum_t text = {0};
    assert_int_equal(gnutls_x509_privkey_export2_pkcs8(key, GNUTLS_X509_FMT_PEM, NULL, GNUTLS_PKCS_PLAIN, &text), 0);
    const char *copy = text_copy((const char *)text.data, text.size);
    gnutls_free(text.data);
    return copy;
}

struct credentials credentials_make(unsigned serial, bool rsa)
{
    gnutls_x509_privkey_t key;
    gnutls_x509_crt_t certificate;
    const unsigned char number[4] = {0, 0, 1, (unsigned char)serial};
    struct credentials made;

    assert_int_equal(gnutls_x509_privkey_init(&key), 0);
    assert_int_equal(gnutls_x509_privkey_generate(key, rsa ? GNUTLS_PK_RSA : GNUTLS_PK_ECDSA,
                                                  rsa ? 2048 : GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0),
                     0);
    assert_int_equal(gnutls_x509_crt_init(&certificate), 0);
    gnutls_x509_crt_set_version(certificate, 3);
    gnutls_x509_crt_set_serial(certificate, number, sizeof number);
    gnutls_x509_crt_set_activation_time(certificate, time(NULL) - 3600);
    gnutls_x509_crt_set_expiration_time(certificate, time(NULL) + 86400);
    gnutls_x509_crt_set_dn(certificate, "CN=localhost", NULL);
    gnutls_x509_crt_set_key(certificate, key);
    if (rsa)
        gnutls_x509_crt_set_key_usage(certificate, GNUTLS_KEY_DIGITAL_SIGNATURE | GNUTLS_KEY_KEY_ENCIPHERMENT);
    assert_int_equal(gnutls_x509_crt_sign2(certificate, certificate, key, GNUTLS_DIG_SHA256, 0), 0);
    made = (struct credentials){pem_of_certificate(certificate), pem_of_key(key)};
    gnutls_x509_crt_deinit(certificate);
    gnutls_x509_privkey_deinit(key);
    return made;
}

static void replace_file(const char *path, const char *text)
{
    const char *fresh = textf("%s.new", path);
    FILE *file = fopen(fresh, "w");
    assert_non_null(file);
    fputs(text, file);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(rename(fresh, path), 0);
}

void credentials_write(const struct credentials *credentials, const char *certificate_path, const char *key_path)
{
    replace_file(certificate_path, credentials->certificate);
    replace_file(key_path, credentials->key);
}

struct tls_client *tls_open(const struct child *child, const char *priorities, const char **reason)
{
    struct tls_client *client = calloc(1, sizeof *client);
    const struct timeval patience = {.tv_sec = (time_t)(120 * slowness())};
    const char *position = "";
    int result;

    assert_non_null(client);
    client->descriptor = raw_open(child);
    if (client->descriptor < 0) {
        *reason = "no connection";
        free(client);
        return NULL;
    }
    setsockopt(client->descriptor, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    assert_int_equal(gnutls_init(&client->session, GNUTLS_CLIENT | GNUTLS_NO_SIGNAL), 0);
    assert_int_equal(gnutls_certificate_allocate_credentials(&client->credentials), 0);
    if (gnutls_priority_set_direct(client->session, priorities, &position) != 0)
        fail_msg("GnuTLS does not understand %s", position);
    gnutls_credentials_set(client->session, GNUTLS_CRD_CERTIFICATE, client->credentials);
    gnutls_transport_set_int(client->session, client->descriptor);
    gnutls_handshake_set_timeout(client->session, (unsigned)(60000 * slowness()));
    do
        result = gnutls_handshake(client->session);
    while (result < 0 && !gnutls_error_is_fatal(result));
    if (result == 0)
        return client;
    *reason = gnutls_strerror(result);
    tls_close(client);
    return NULL;
}

const char *tls_suite(const struct tls_client *client)
{
    char *description = gnutls_session_get_desc(client->session);
    const char *copy = text_copy(description, strlen(description));
    gnutls_free(description);
    return copy;
}

unsigned tls_serial(const struct tls_client *client)
{
    unsigned count = 0;
    unsigned char serial[32] = {0};
    size_t bytes = sizeof serial;
    gnutls_x509_crt_t certificate;
    const gnutls_datum_t *shown = gnutls_certificate_get_peers(client->session, &count);
    if (shown == NULL || count == 0)
        return 0;
    gnutls_x509_crt_init(&certificate);
    gnutls_x509_crt_import(certificate, shown, GNUTLS_X509_FMT_DER);
    gnutls_x509_crt_get_serial(certificate, serial, &bytes);
    gnutls_x509_crt_deinit(certificate);
    return bytes > 0 ? serial[bytes - 1] : 0;
}

bool tls_send(struct tls_client *client, const char *bytes, size_t count)
{
    while (count > 0) {
        const ssize_t sent = gnutls_record_send(client->session, bytes, count);
        if (sent == GNUTLS_E_INTERRUPTED || sent == GNUTLS_E_AGAIN)
            continue;
        if (sent < 0)
            return false;
        bytes += sent;
        count -= (size_t)sent;
    }
    return true;
}

ssize_t tls_receive(struct tls_client *client, char *bytes, size_t room)
{
    const double until = now_ms() + 120000 * slowness();
    ssize_t got;
    do
        got = gnutls_record_recv(client->session, bytes, room);
    while (got < 0 && !gnutls_error_is_fatal((int)got) && now_ms() < until);
    return got;
}

/* Reads until `room` is full, the answer is whole, or nothing more comes. */
static size_t receive(struct tls_client *client, char *text, size_t room)
{
    size_t count = 0;
    while (count < room) {
        const ssize_t got = tls_receive(client, text + count, room - count);
        if (got <= 0)
            break;
        count += (size_t)got;
        text[count] = '\0';
        const char *end = strstr(text, "\r\n\r\n"), *length = strcasestr(text, "\r\nContent-Length: ");
        if (end != NULL && length != NULL && length < end &&
            count >= (size_t)(end + 4 - text) + strtoul(length + 18, NULL, 10))
            break;
    }
    return count;
}

struct answer tls_exchange_text(struct tls_client *client, const char *request)
{
    enum { ROOM = 1 << 16 };
    struct answer answer = {.head = "", .body = "", .failure = "nothing came"};
    char *text = text_room(ROOM + 1);

    text[0] = '\0';
    if (!tls_send(client, request, strlen(request)))
        return answer;
    const size_t count = receive(client, text, ROOM);
    const char *end = strstr(text, "\r\n\r\n");
    if (strncmp(text, "HTTP/1.1 ", 9) != 0 || end == NULL)
        return answer;
    answer.status = strtol(text + 9, NULL, 10);
    answer.head = text_copy(text, (size_t)(end + 2 - text));
    answer.body = end + 4;
    answer.body_bytes = count - (size_t)(end + 4 - text);
    answer.failure = NULL;
    return answer;
}

void tls_close(struct tls_client *client)
{
    if (client == NULL)
        return;
    gnutls_bye(client->session, GNUTLS_SHUT_WR);
    gnutls_deinit(client->session);
    gnutls_certificate_free_credentials(client->credentials);
    close(client->descriptor);
    free(client);
}
