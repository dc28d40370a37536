/* SPDX-License-Identifier: MIT */
/* Traffic of every kind at once, for as long as SOAK_SECONDS says (12): each answer is the one that the definition gave, or a
 * refusal that its request allows; after each round memory, descriptors and threads are where they were. `make soak` takes an hour.
 * Two daemons, of which one speaks TLS, get the same traffic in every notation. A failure names the kind of traffic and prints the request. */
#include "tests/http/beside.h"
#include "tests/http/random_case.h"
#include "tests/http/soak_client.h"
#include "tests/http/soak_forms.h"
#include "tests/http/tls.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LIST(...)          ((const char *const[]){__VA_ARGS__, NULL})
#define KEY                "the-key-of-the-soak"
#define PACKED             "Content-Encoding: gzip\r\nAccept-Encoding: gzip\r\n"
#define HEAD(target, rest) "POST " target " HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer " KEY "\r\n" rest

enum { CALLERS = 8, TLS_CALLERS = 2, CASES = 60 };

/* One round's requests with their right answers, read by all callers. */
static struct request_case cases[CASES];
static struct soak_forms forms[CASES];
static struct soak_large large;
static _Atomic bool enough;
static _Atomic unsigned long answers_right, answers_refused;

struct caller {
    pthread_t thread;
    uint64_t random;
    struct soak_client client;
};

static unsigned below(struct caller *caller, unsigned limit)
{
    caller->random ^= caller->random << 13;
    caller->random ^= caller->random >> 7;
    caller->random ^= caller->random << 17;
    return (unsigned)(caller->random >> 33) % limit;
}

/* ---- What each kind of traffic expects --------------------------------------------------------------------------- */

/* `headers`: lines, each with its end. */
static void send_bytes(struct caller *caller, const char *target, const char *headers, struct bytes body, bool chunked)
{
    struct soak_client *client = &caller->client;
    char line[256];
    soak_client_send(client, "POST ", 5);
    soak_client_send(client, target, strlen(target));
    snprintf(line, sizeof line, " HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer " KEY "\r\n%s", headers);
    soak_client_send(client, line, strlen(line));
    if (!chunked) {
        snprintf(line, sizeof line, "Content-Length: %zu\r\n\r\n", body.count);
        soak_client_send(client, line, strlen(line));
        soak_client_send(client, body.bytes, body.count);
        return;
    }
    snprintf(line, sizeof line, "Transfer-Encoding: chunked\r\n\r\n");
    soak_client_send(client, line, strlen(line));
    for (size_t at = 0; at < body.count;) {
        size_t piece = 1 + below(caller, body.count < 10000 ? 300 : 30000);
        piece = piece < body.count - at ? piece : body.count - at;
        snprintf(line, sizeof line, "%zx\r\n", piece);
        soak_client_send(client, line, strlen(line));
        soak_client_send(client, body.bytes + at, piece);
        soak_client_send(client, "\r\n", 2);
        at += piece;
    }
    soak_client_send(client, "0\r\n\r\n", 5);
}

static void send_request(struct caller *caller, const struct request_case *request, bool chunked)
{
    send_bytes(caller, random_case_path(request), "", (struct bytes){request->body, strlen(request->body)}, chunked);
}

/* Whether it was refused as a daemon with too much to do may. */
static bool refused(const struct caller *caller, int status)
{
    if (status != 503)
        return false;
    if (!caller->client.has_retry_after)
        complain("a refusal", "has no Retry-After: %.300s", caller->client.body);
    atomic_fetch_add(&answers_refused, 1);
    return true;
}

static void expect_case(struct caller *caller, const char *kind, const struct request_case *request)
{
    const int status = soak_client_answer(&caller->client);
    if (refused(caller, status))
        return;
    if (status != (int)request->answer.status)
        complain(kind, "status %d, expected %ld, of %.400s", status, request->answer.status, request->body);
    else if (status == 200 && strcmp(caller->client.body, request->answer.body) != 0)
        complain(kind, "found %.300s\n        expected %.300s\n        of %.300s", caller->client.body,
                 request->answer.body, request->body);
    else
        atomic_fetch_add(&answers_right, 1);
}

static const struct request_case *any_case(struct caller *caller)
{
    return &cases[below(caller, CASES)];
}

static void call_plainly(struct caller *caller)
{
    const struct request_case *request = any_case(caller);
    send_request(caller, request, false);
    expect_case(caller, "a request", request);
}

static void call_in_chunks(struct caller *caller)
{
    const struct request_case *request = any_case(caller);
    send_request(caller, request, true);
    expect_case(caller, "a request in chunks", request);
}

/* .npy with a query; the answer as JSON or as .npy. */
static void call_with_file(struct caller *caller)
{
    const size_t i = below(caller, CASES);
    const bool as_file = forms[i].answer.count > 0 && below(caller, 2);
    if (forms[i].target == NULL)
        return;
    send_bytes(caller, forms[i].target,
               as_file ? "Content-Type: application/x-npy\r\nAccept: application/x-npy\r\n"
                       : "Content-Type: application/x-npy\r\n",
               forms[i].file, below(caller, 3) == 0);
    if (!as_file) {
        expect_case(caller, "a .npy body", &cases[i]);
        return;
    }
    const int status = soak_client_answer(&caller->client);
    if (refused(caller, status))
        return;
    if (status != 200 || caller->client.body_bytes != forms[i].answer.count ||
        memcmp(caller->client.body, forms[i].answer.bytes, forms[i].answer.count) != 0)
        complain("a .npy answer", "status %d, %zu bytes, expected %zu, of %.400s", status, caller->client.body_bytes,
                 forms[i].answer.count, cases[i].body);
    atomic_fetch_add(&answers_right, 1);
}

static void call_with_form(struct caller *caller)
{
    const size_t i = below(caller, CASES);
    send_bytes(caller, random_case_path(&cases[i]), SOAK_FORM_TYPE, forms[i].form, below(caller, 3) == 0);
    expect_case(caller, "a form", &cases[i]);
}

static void call_packed(struct caller *caller)
{
    const size_t i = below(caller, CASES);
    send_bytes(caller, random_case_path(&cases[i]), PACKED, forms[i].packed, below(caller, 3) == 0);
    expect_case(caller, "gzip both ways", &cases[i]);
}

static void call_in_a_row(struct caller *caller)
{
    const struct request_case *requests[8];
    for (int i = 0; i < 8; i++) {
        requests[i] = any_case(caller);
        send_request(caller, requests[i], false);
    }
    for (int i = 0; i < 8; i++)
        expect_case(caller, "one of a pipeline", requests[i]);
}

static void call_slowly(struct caller *caller)
{
    static const char text[] = HEAD("/v1/convolve", "Content-Length: 33\r\n\r\n{\"input\":[1,2,3],\"kernel\":[1,10]}");
    for (size_t at = 0; at < sizeof text - 1; at++) {
        soak_client_send(&caller->client, text + at, 1);
        usleep(below(caller, 1000));
    }
    const int status = soak_client_answer(&caller->client);
    if (refused(caller, status))
        return;
    if (status != 200 || strstr(caller->client.body, "\"output\": [1,12,23,30]") == NULL)
        complain("a slow caller", "status %d %.300s", status, caller->client.body);
    atomic_fetch_add(&answers_right, 1);
}

static void call_for_much(struct caller *caller)
{
    static const char *const names[] = {"a large request", "a large packed one", "a large form", "a large file"};
    const unsigned kind = below(caller, 4);
    const struct soak_client *client = &caller->client;
    const struct bytes bodies[] = {large.json, large.packed, large.form, large.file};
    static const char *const headers[] = {"", PACKED, SOAK_FORM_TYPE,
                                          "Content-Type: application/x-npy\r\nAccept: application/x-npy\r\n"};
    send_bytes(caller, kind == 3 ? large.target : "/v1/convolve", headers[kind], bodies[kind], below(caller, 3) == 0);
    const int status = soak_client_answer(&caller->client);
    if (refused(caller, status))
        return;
    const size_t values = large.values.count;
    const bool right = status != 200 ? false
                       : kind != 3   ? strncmp(client->body, large.output, strlen(large.output)) == 0
                                     : client->body_bytes > values && memcmp(client->body + client->body_bytes - values,
                                                                             large.values.bytes, values) == 0;
    if (!right)
        complain(names[kind], "status %d %.300s", status, status ? client->body : "");
    else if (kind == 1 && !client->was_packed)
        complain(names[kind], "the answer is not packed");
    atomic_fetch_add(&answers_right, 1);
}

static void call_wrongly(struct caller *caller)
{
    static const struct {
        const char *text;
        int status;
    } wrong[] = {
        {HEAD("/v1/convolve", "Content-Length: 12\r\n\r\n{\"input\":[1,"), 400},
        {HEAD("/v1/convolve", "Content-Length: 27\r\n\r\n{\"inputs\":[1],\"kernel\":[1]}"), 422},
        {HEAD("/v1/convolve", "Content-Length: 12\r\n\r\n{\"input\":[]}"), 422},
        {HEAD("/nowhere", "Content-Length: 2\r\n\r\n{}"), 404},
        {HEAD("/healthz", "Content-Length: 2\r\n\r\n{}"), 405},
        {HEAD("/v1/convolve", "Content-Type: text/html\r\nAccept: text/html\r\nContent-Length: 2\r\n\r\n{}"), 406},
        {HEAD("/v1/convolve", "Content-Length: 99999999999\r\n\r\n"), 413},
        {HEAD("/v1/convolve", "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}"), 400},
        {"POST /v1/convolve HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n{}", 401},
        {"POST /v1/convolve HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer x\r\nContent-Length: 2\r\n\r\n{}", 401},
        {"GET /v1/info HTTP/1.1\r\nAuthorization: Bearer " KEY "\r\n\r\n", 400},
        {"GET /healthz HTTP/2.0\r\nHost: h\r\n\r\n", 505},
    };
    const size_t i = below(caller, sizeof wrong / sizeof *wrong);
    soak_client_send(&caller->client, wrong[i].text, strlen(wrong[i].text));
    const int status = soak_client_answer(&caller->client);
    if (refused(caller, status))
        return;
    if (status != wrong[i].status)
        complain("a wrong request", "status %d, expected %d, of %s", status, wrong[i].status, wrong[i].text);
    atomic_fetch_add(&answers_right, 1);
}

static void ask_about(struct caller *caller)
{
    static const char *const targets[] = {"/healthz",    "/metrics", "/v1/info",
                                          "/v1/kernels", "/",        "/problems/overloaded"};
    char text[256];
    const unsigned i = below(caller, sizeof targets / sizeof *targets);
    snprintf(text, sizeof text, "GET %s HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer " KEY "\r\n\r\n", targets[i]);
    soak_client_send(&caller->client, text, strlen(text));
    const int status = soak_client_answer(&caller->client);
    if (!refused(caller, status) && status != 200)
        complain(targets[i], "status %d", status);
}

/* Anywhere in a request: in its headers, in its body, while it is computed, in its answer. */
static void hang_up(struct caller *caller)
{
    char head[512];
    const size_t bytes = large.json.count;
    snprintf(head, sizeof head, HEAD("/v1/convolve", "Content-Length: %zu\r\n\r\n"), bytes);
    soak_client_close(&caller->client);
    switch (below(caller, 4)) {
    case 0:
        soak_client_send(&caller->client, head, below(caller, (unsigned)strlen(head)));
        break;
    case 1:
        soak_client_send(&caller->client, head, strlen(head));
        soak_client_send(&caller->client, large.json.bytes, below(caller, (unsigned)bytes));
        break;
    default:
        soak_client_send(&caller->client, head, strlen(head));
        soak_client_send(&caller->client, large.json.bytes, bytes);
        usleep(below(caller, 20000));
        break;
    }
    soak_client_close(&caller->client);
}

static void be_late(struct caller *caller)
{
    char text[512];
    static const char body[] = "{\"input\":[1],\"kernel\":[1],\"padding\":300000,\"timeout_ms\":1}";
    snprintf(text, sizeof text, HEAD("/v1/correlate", "Content-Length: %zu\r\n\r\n%s"), strlen(body), body);
    soak_client_send(&caller->client, text, strlen(text));
    const int status = soak_client_answer(&caller->client);
    if (!refused(caller, status) && status != 200 && status != 504)
        complain("a deadline", "status %d", status);
}

static void stand_about(struct caller *caller)
{
    int fds[20];
    for (int i = 0; i < 20; i++)
        fds[i] = raw_open(caller->client.child);
    usleep(below(caller, 50000));
    for (int i = 0; i < 20; i++)
        if (fds[i] >= 0)
            close(fds[i]);
}

static void *call_on(void *context)
{
    static void (*const kinds[])(struct caller *) = {call_plainly,   call_plainly,   call_plainly, call_in_chunks,
                                                     call_with_file, call_with_form, call_packed,  call_in_a_row,
                                                     call_slowly,    call_for_much,  call_wrongly, ask_about,
                                                     hang_up,        be_late,        stand_about};
    struct caller *caller = context;
    while (!atomic_load(&enough))
        kinds[below(caller, sizeof kinds / sizeof *kinds)](caller);
    soak_client_close(&caller->client);
    return NULL;
}

/* ---- Rounds ------------------------------------------------------------------------------------------------------ */

static void make_cases(struct child *child, uint64_t seed)
{
    random_seed(seed);
    for (int i = 0; i < CASES; i++) {
        random_case_make(&cases[i]);
        cases[i].name = textf("seed %llu, request %d, %.700s", (unsigned long long)seed, i, cases[i].body);
        do {
            cases[i].answer =
                http_call(child, &(struct call){.path = random_case_path(&cases[i]),
                                                .body = cases[i].body,
                                                .headers = LIST("Authorization: Bearer " KEY, "Connection: close")});
        } while (cases[i].answer.status == 503);
        random_case_compare(&cases[i]);
        soak_forms_make(&forms[i], child, "Authorization: Bearer " KEY, &cases[i]);
    }
}

/* Not by file_with: they have to be there for reloads when a round's texts and files are gone. */
struct files {
    char keys[64], certificate[64], key[64];
};

static void make_file(char path[64], const char *text)
{
    strcpy(path, "/tmp/convolved-soak-XXXXXX");
    const int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
}

static void make_files(struct files *files)
{
    const struct credentials credentials = credentials_make(0, false);
    make_file(files->keys, KEY "\n");
    make_file(files->certificate, credentials.certificate);
    make_file(files->key, credentials.key);
}

static void remove_files(const struct files *files)
{
    unlink(files->keys);
    unlink(files->certificate);
    unlink(files->key);
}

/* Once what the callers left behind has gone: at most the seconds that a lingering connection has. */
static struct held held_at_rest(const struct child *child, long descriptors)
{
    struct held held = held_by(child);
    for (double until = now_ms() + 8000 * slowness(); now_ms() < until && held.descriptors > descriptors; usleep(20000))
        held = held_by(child);
    return held;
}

/* Sanitizers keep what was freed for a while. */
static long slack_kib(void)
{
    return slowness() > 1 ? 1 << 20 : 48 << 10;
}

static void check_held(const char *name, const struct held *now, const struct held *fresh, const struct held *first)
{
    check_number(name, "descriptors", now->descriptors, fresh->descriptors);
    check_number(name, "threads", now->threads, fresh->threads);
    if (now->rss_kib > first->rss_kib + slack_kib())
        complain(name, "resident %ld KiB, after the first round it was %ld", now->rss_kib, first->rss_kib);
}

/* The same daemon twice: plain, and by TLS. */
struct soaked {
    struct child *child;
    struct held fresh, first, last;
};

static void start_daemons(struct soaked soaked[2], const struct files *files, bool is_long)
{
    const char *level = is_long ? "warning" : "info";
    soaked[0].child = child_start(LIST("--api-keys-file", files->keys, "--queue-depth", "16", "--log-format", "json",
                                       "--log-level", level, "--idle-timeout-ms", "60000"),
                                  NULL, NULL);
    soaked[1].child = child_start(LIST("--api-keys-file", files->keys, "--queue-depth", "16", "--log-level", level,
                                       "--idle-timeout-ms", "60000", "--tls-certificate", files->certificate,
                                       "--tls-key", files->key),
                                  NULL, NULL);
    for (int i = 0; i < 2; i++)
        soaked[i].fresh = held_by(soaked[i].child);
}

/* Everybody calls, while keys and certificates are read again and again, each round a new certificate. */
static void run_round(struct soaked soaked[2], const struct files *files, uint64_t seed, double milliseconds)
{
    static struct caller callers[CALLERS];
    const struct credentials renewed = credentials_make((unsigned)seed & 127, false);
    atomic_store(&enough, false);
    for (unsigned i = 0; i < CALLERS; i++) {
        callers[i].random = seed * CALLERS + i + 1;
        soak_client_init(&callers[i].client, soaked[i < TLS_CALLERS].child);
        assert_int_equal(pthread_create(&callers[i].thread, NULL, call_on, &callers[i]), 0);
    }
    credentials_write(&renewed, files->certificate, files->key);
    for (double until = now_ms() + milliseconds; now_ms() < until; usleep(500000))
        for (int i = 0; i < 2; i++)
            kill(soaked[i].child->pid, SIGHUP);
    atomic_store(&enough, true);
    for (unsigned i = 0; i < CALLERS; i++) {
        pthread_join(callers[i].thread, NULL);
        soak_client_release(&callers[i].client);
    }
}

static void soak(void **state)
{
    const char *text = getenv("SOAK_SECONDS"), *seed_text = getenv("TEST_SEED");
    const double seconds = text != NULL ? atof(text) : 12, round_ms = seconds > 120 ? 30000 : seconds * 1000 / 3;
    uint64_t seed = seed_text != NULL ? strtoull(seed_text, NULL, 0) : 20240611;
    struct soaked soaked[2] = {{0}};
    struct files files;
    int failed = 0;
    (void)state;

    make_files(&files);
    start_daemons(soaked, &files, seconds > 120);
    const double end = now_ms() + seconds * 1000;
    for (unsigned round = 0; failed == 0 && now_ms() < end; round++, seed++) {
        make_cases(soaked[0].child, seed);
        soak_large_make(&large, (unsigned)seed);
        run_round(soaked, &files, seed, round_ms);
        for (int i = 0; i < 2; i++) {
            struct held *last = &soaked[i].last;
            const char *name = textf("round %u%s", round, i == 1 ? ", TLS" : "");
            *last = held_at_rest(soaked[i].child, soaked[i].fresh.descriptors);
            if (round == 0)
                soaked[i].first = *last;
            check_held(name, last, &soaked[i].fresh, &soaked[i].first);
            if (seconds > 120)
                fprintf(stderr, "%s: %lu answers right, %lu refused, resident %ld KiB, %ld descriptors, %ld threads\n",
                        name, atomic_load(&answers_right), atomic_load(&answers_refused), last->rss_kib,
                        last->descriptors, last->threads);
        }
        for (int i = 0; i < CASES; i++)
            random_case_release(&cases[i]);
        failed = settle(NULL) == 0 ? 0 : failed + 1; /* and forgets the round's texts */
    }
    if (answers_right < 100)
        complain("soak", "only %lu answers", atomic_load(&answers_right));
    for (int i = 0; i < 2; i++)
        check_number("soak", "exit status", child_stop(soaked[i].child), 0);
    check_number("soak", "rounds that failed", failed, 0);
    remove_files(&files);
}

int main(void)
{
    const struct CMUnitTest tests[] = {HTTP_TEST(soak)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
