/* SPDX-License-Identifier: MIT */
/* HTTPS: which versions and key exchanges are spoken, what is said about bad files, and certificates that change under load. */
#include "tests/http/beside.h"
#include "tests/http/tls.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LIST(...) ((const char *const[]){__VA_ARGS__, NULL})
#define BODY      "{\"input\":[1,2,3],\"kernel\":[1,10]}"
#define REQUEST   "POST /v1/convolve HTTP/1.1\r\nHost: h\r\nContent-Length: 33\r\n\r\n" BODY

static const char modern[] = "NORMAL";

struct daemon_files {
    const char *certificate, *key;
};

static struct daemon_files files_of(const struct credentials *credentials)
{
    return (struct daemon_files){file_with(credentials->certificate), file_with(credentials->key)};
}

static struct child *start(const struct daemon_files *files)
{
    return child_start(LIST("--tls-certificate", files->certificate, "--tls-key", files->key), NULL, NULL);
}

static void check_whole(const char *name, const struct answer *answer)
{
    check_number(name, "status", answer->status, 200);
    check_holds(name, "body", answer->body, "\"output\": [1,12,23,30]");
}

/* It gives up after five seconds, which a daemon under an emulator may need for a handshake. */
static void check_healthcheck(const struct child *child, const struct daemon_files *files)
{
    const char *const *flags = LIST("--healthcheck", "--listen", textf("127.0.0.1:%u", child->port),
                                    "--tls-certificate", files->certificate, "--tls-key", files->key);
    if (slowness() <= 5)
        check_number("--healthcheck under TLS", "exit status", daemon_run(flags, NULL).status, 0);
}

static void versions_and_key_exchanges(void **state)
{
    static const struct {
        const char *name, *priorities, *suite; /* NULL: refused */
        bool ecdsa_too;
    } cases[] = {
        {"TLS 1.3", "NORMAL:-VERS-ALL:+VERS-TLS1.3", "TLS1.3", true},
        {"TLS 1.2, ECDHE", "NORMAL:-VERS-ALL:+VERS-TLS1.2:-KX-ALL:+ECDHE-RSA:+ECDHE-ECDSA", "TLS1.2", true},
        {"TLS 1.2, key exchange by RSA", "NORMAL:-VERS-ALL:+VERS-TLS1.2:-KX-ALL:+RSA", NULL, false},
        {"TLS 1.2, static Diffie-Hellman of nobody", "NORMAL:-VERS-ALL:+VERS-TLS1.2:-KX-ALL:+ANON-ECDH", NULL, true},
        {"TLS 1.1", "NORMAL:-VERS-ALL:+VERS-TLS1.1", NULL, true},
        {"TLS 1.0", "NORMAL:-VERS-ALL:+VERS-TLS1.0", NULL, true},
        {"TLS 1.0 to 1.1, weak ciphers", "LEGACY:-VERS-ALL:+VERS-TLS1.1:+VERS-TLS1.0", NULL, true},
        {"TLS 1.2, NULL cipher", "NORMAL:-VERS-ALL:+VERS-TLS1.2:-CIPHER-ALL:+NULL", NULL, false},
        {"TLS 1.2, RC4", "NORMAL:-VERS-ALL:+VERS-TLS1.2:-CIPHER-ALL:+ARCFOUR-128", NULL, false},
    };
    (void)state;
    for (unsigned rsa = 0; rsa < 2; rsa++) {
        const struct credentials credentials = credentials_make(1, rsa != 0);
        const struct daemon_files files = files_of(&credentials);
        struct child *child = start(&files);
        check_holds("standard output", "listening on", child->address, "https://127.0.0.1:");
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
            const char *name = textf("%s, certificate of %s", cases[i].name, rsa ? "RSA" : "an elliptic curve");
            const char *reason = "";
            if (!rsa && !cases[i].ecdsa_too)
                continue;
            struct tls_client *client = tls_open(child, cases[i].priorities, &reason);
            if ((client != NULL) != (cases[i].suite != NULL))
                complain(name, "found %s, expected %s", client != NULL ? tls_suite(client) : reason,
                         cases[i].suite != NULL ? cases[i].suite : "refused");
            if (client != NULL && cases[i].suite != NULL) {
                check_holds(name, "version", tls_suite(client), cases[i].suite);
                check_holds(name, "key exchange", tls_suite(client), "ECDHE");
                const struct answer answer = tls_exchange_text(client, REQUEST);
                check_whole(name, &answer);
            }
            tls_close(client);
        }
        check_healthcheck(child, &files);
        check_number("TLS", "exit status", child_stop(child), 0);
    }
}

/* Who speaks no TLS, stops in the middle of a handshake or says nothing holds nothing up, and is gone in time. */
static void strangers_to_tls(void **state)
{
    (void)state;
    const struct credentials credentials = credentials_make(1, false);
    const struct daemon_files files = files_of(&credentials);
    struct child *child = child_start(LIST("--tls-certificate", files.certificate, "--tls-key", files.key,
                                           "--idle-timeout-ms", textf("%d", (int)(500 * slowness())),
                                           "--request-timeout-ms", textf("%d", (int)(1000 * slowness()))),
                                      NULL, NULL);
    static const char hello[] = "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"; /* promises 512 bytes, sends 6 */
    const struct {
        const char *name, *bytes;
        size_t count;
    } cases[] = {
        {"plain HTTP", "GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n", 35},
        {"silence", "", 0},
        {"half a handshake", hello, sizeof hello - 1},
        {"noise", "\x00\xff\x80\x01\x02\x03", 6},
    };
    int sockets[sizeof cases / sizeof *cases];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        sockets[i] = raw_open(child);
        raw_send(sockets[i], cases[i].bytes, cases[i].count);
    }
    const char *reason = "";
    struct tls_client *client = tls_open(child, modern, &reason);
    if (client == NULL)
        fail_msg("beside them: %s", reason);
    const struct answer answer = tls_exchange_text(client, REQUEST);
    check_whole("beside them", &answer);
    tls_close(client);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        if (!raw_is_closed(sockets[i], 4000))
            complain(cases[i].name, "the connection stayed open");
        close(sockets[i]);
    }
    check_number("strangers", "exit status", child_stop(child), 0);
}

static void bad_files(void **state)
{
    (void)state;
    const struct credentials one = credentials_make(1, false), other = credentials_make(2, false);
    const struct daemon_files good = files_of(&one), foreign = files_of(&other);
    const char *text = file_with("no PEM at all\n"), *empty = file_with("");
    const struct {
        const char *name, *certificate, *key, *member, *word;
    } cases[] = {
        {"fine", good.certificate, good.key, NULL, NULL},
        {"the key of another certificate", good.certificate, foreign.key, "tls_key", foreign.key},
        {"a certificate that is none", text, good.key, "tls_certificate", text},
        {"a key that is none", good.certificate, text, "tls_key", text},
        {"an empty certificate", empty, good.key, "tls_certificate", empty},
        {"changed places", good.key, good.certificate, "tls_certificate", good.key},
        {"a file that is not there", "/nowhere/c.pem", good.key, "tls_certificate", "/nowhere/c.pem"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *const *flags = LIST("--check-config", "--tls-certificate", cases[i].certificate, "--tls-key",
                                        cases[i].key, "--listen", "127.0.0.1:0");
        for (int start = 0; start < (cases[i].member == NULL ? 1 : 2);
             start++) { /* the second time without --check-config */
            const struct finished finished = daemon_run(flags + start, NULL);
            check_number(cases[i].name, "exit status", finished.status, cases[i].member == NULL ? 0 : 2);
            if (cases[i].member == NULL)
                continue;
            check_holds(cases[i].name, "standard error", finished.err, textf("command line: %s: ", cases[i].member));
            check_holds(cases[i].name, "standard error", finished.err, cases[i].word);
        }
    }
}

/* ---- Reload ---- */

struct load {
    struct child *child;
    _Atomic bool enough;
    _Atomic unsigned answers, handshakes;
};

/* Half of the callers keep their connection, the others make a new one for each request. */
static void *call_on(struct load *load, bool keeps)
{
    struct tls_client *client = NULL;
    while (!atomic_load(&load->enough)) {
        const char *reason = "";
        if (client == NULL) {
            client = tls_open(load->child, modern, &reason);
            atomic_fetch_add(&load->handshakes, 1);
        }
        if (client == NULL) {
            complain("under load", "no handshake: %s", reason);
            break;
        }
        const struct answer answer = tls_exchange_text(client, REQUEST);
        check_whole("under load", &answer);
        if (answer.status != 200)
            break;
        atomic_fetch_add(&load->answers, 1);
        if (!keeps) {
            tls_close(client);
            client = NULL;
        }
    }
    tls_close(client);
    return NULL;
}

static void *call_and_keep(void *load)
{
    return call_on(load, true);
}

static void *call_anew(void *load)
{
    return call_on(load, false);
}

static unsigned serial_of_newcomer(struct child *child)
{
    const char *reason = "";
    struct tls_client *client = tls_open(child, modern, &reason);
    const unsigned serial = client != NULL ? tls_serial(client) : 0;
    tls_close(client);
    return serial;
}

static bool serial_becomes(struct child *child, unsigned serial)
{
    for (double until = now_ms() + 5000 * slowness(); now_ms() < until; usleep(20000))
        if (serial_of_newcomer(child) == serial)
            return true;
    return false;
}

static void certificates_change_under_load(void **state)
{
    (void)state;
    enum { CALLERS = 4, RELOADS = 20 };
    struct credentials credentials = credentials_make(1, false);
    const struct daemon_files files = files_of(&credentials);
    struct child *child = start(&files);
    struct load load = {.child = child};
    pthread_t callers[CALLERS];
    const char *reason = "";
    struct tls_client *old = tls_open(child, modern, &reason);
    assert_non_null(old);
    check_number("before", "serial", serial_of_newcomer(child), 1);
    for (int i = 0; i < CALLERS; i++)
        assert_int_equal(pthread_create(&callers[i], NULL, i % 2 ? call_and_keep : call_anew, &load), 0);
    for (unsigned serial = 2; serial < 2 + RELOADS; serial++) {
        credentials = credentials_make(serial, false);
        credentials_write(&credentials, files.certificate, files.key);
        kill(child->pid, SIGHUP);
        check_number("after a reload", "a newcomer sees the new certificate", serial_becomes(child, serial), true);
    }
    const struct answer answer = tls_exchange_text(old, REQUEST);
    check_whole("a connection from before", &answer);
    check_number("a connection from before", "serial", tls_serial(old), 1);
    tls_close(old);

    /* A broken one changes nothing. */
    credentials.key = "no key\n";
    credentials_write(&credentials, files.certificate, files.key);
    kill(child->pid, SIGHUP);
    check_number("a broken key", "is logged", log_becomes(child, "nothing was changed"), true);
    check_number("a broken key", "newcomers are served still", serial_of_newcomer(child), 1 + RELOADS);
    atomic_store(&load.enough, true);
    for (int i = 0; i < CALLERS; i++)
        pthread_join(callers[i], NULL);
    if (load.answers < 20 || load.handshakes < 10)
        complain("under load", "%u answers and %u handshakes are no load", load.answers, load.handshakes);
    check_number("reload", "exit status", child_stop(child), 0);
}

/* Whoever tells the daemon every minute to look at its certificate does not make it grow: the same files are the same one. */
static void reloads_that_renew_nothing(void **state)
{
    (void)state;
    const int reloads = getenv("TEST_UNDER") != NULL ? 20 : 400; /* where no growth is measured, few will do */
    const struct credentials credentials = credentials_make(1, true);
    const struct daemon_files files = files_of(&credentials);
    struct child *child = start(&files);
    struct held before = {0};
    for (int i = 0; i < 2 * reloads; i++) {
        kill(child->pid, SIGHUP);
        check_number("after a reload", "serial", serial_of_newcomer(child), 1); /* and so reloads do not become one */
        if (i == reloads)
            before = held_by(child);
    }
    check_given_back("reloads", child, before, 1 << 10);
    check_number("reloads", "exit status", child_stop(child), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        HTTP_TEST(versions_and_key_exchanges),     HTTP_TEST(strangers_to_tls),           HTTP_TEST(bad_files),
        HTTP_TEST(certificates_change_under_load), HTTP_TEST(reloads_that_renew_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
