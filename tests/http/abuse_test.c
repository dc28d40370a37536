/* SPDX-License-Identifier: MIT */
/* Callers who behave badly, all kinds at once: whoever behaves well beside them is served right and soon, and once they are gone the
 * daemon holds what it held before.
 *
 * Where each pitfall of libmicrohttpd 0.9.75 and cJSON 1.7.15 is held to. Framing, duplicate and folded headers, NUL, its own error
 * pages, 8 to 32 KiB of headers, CONNECT, absolute form, pipelines (1 to 5, 12, 13): raw_test framing_faults, no_request_at_all,
 * what_the_library_hides here, eight_kib_of_headers_suffice, old_clients, a_pipeline_of_a_hundred; limits_test paths_and_methods. An answer in the
 * middle of a body (6): limits_test bodies, far_too_large here. One timeout, of silence (7): life_test silence_and_dripping,
 * silence_within_the_limits.
 * Suspended connections (8): phases_test hang_ups, life_test drain_has_an_end,
 * hang_ups_right_behind_their_bytes here. Limits of connections (9): life_test
 * connections_beyond_the_limit, limits_per_address here. Descriptors (10): faults_test descriptors_run_out,
 * silent_callers_take_all_descriptors, drain_test drain_answers_the_backlog. TLS (11): tls_test. What
 * cJSON would accept, infinities, NUL and case in names, depth, locale: syntax_test, members_test, errors_test, the tests of
 * tests/formats, faults_test locales. */
#include "tests/http/beside.h"

#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define LIST(...) ((const char *const[]){__VA_ARGS__, NULL})
#define BODY      "{\"input\":[1],\"kernel\":[2]}"

static _Atomic bool over;
static struct child *victim;

/* Whether it is still open; what came is thrown away. */
static bool is_open(int fd)
{
    char waste[4096];
    const ssize_t got = recv(fd, waste, sizeof waste, MSG_DONTWAIT);
    return got > 0 || (got < 0 && (errno == EAGAIN || errno == EINTR));
}

/* Keeps some connections that each get `text` by single bytes; one that is closed is replaced. */
static void drip(const char *text, int pause_ms)
{
    enum { COUNT = 20 };
    int fds[COUNT];
    size_t at[COUNT] = {0};
    for (int i = 0; i < COUNT; i++)
        fds[i] = raw_open(victim);
    while (!over) {
        for (int i = 0; i < COUNT; i++) {
            if (fds[i] >= 0 && is_open(fds[i]) && text[at[i]] && send(fds[i], text + at[i]++, 1, MSG_NOSIGNAL) == 1)
                continue;
            close(fds[i]);
            fds[i] = raw_open(victim);
            at[i] = 0;
        }
        usleep((useconds_t)pause_ms * 1000);
    }
    for (int i = 0; i < COUNT; i++)
        close(fds[i]);
}

static void *slow_headers(void *unused)
{
    drip("POST /v1/convolve HTTP/1.1\r\nHost: h\r\nX-One: 1\r\nX-Two: 2\r\nContent-Length: 26\r\n\r\n" BODY, 20);
    return unused;
}

static void *slow_bodies(void *unused)
{
    drip("POST /v1/convolve HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: "
         "chunked\r\n\r\n1\r\n{\r\n1\r\n\"\r\n1\r\ni\r\n1\r\nn\r\n",
         10);
    return unused;
}

/* Ask for much and take little. */
static void *slow_readers(void *unused)
{
    enum { COUNT = 8 };
    const char *request =
        post_of("/v1/correlate", "{\"input\":[1],\"kernel\":[1],\"padding\":500000,\"fillvalue\":0.12345}");
    int fds[COUNT];
    for (int i = 0; i < COUNT; i++) {
        fds[i] = raw_open(victim);
        raw_send_text(fds[i], request);
    }
    while (!over) {
        char bytes[64];
        for (int i = 0; i < COUNT; i++)
            (void)!recv(fds[i], bytes, sizeof bytes, MSG_DONTWAIT);
        usleep(20000);
    }
    for (int i = 0; i < COUNT; i++)
        close(fds[i]);
    return unused;
}

static void *idle_ones(void *unused)
{
    enum { COUNT_MAX = 2500 };
    static int fds[COUNT_MAX];
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    const int count = limit.rlim_cur > 2 * COUNT_MAX ? COUNT_MAX : (int)limit.rlim_cur / 2;
    for (int i = 0; i < count; i++)
        fds[i] = raw_open(victim);
    while (!over)
        usleep(10000);
    for (int i = 0; i < count; i++)
        close(fds[i]);
    return unused;
}

/* Whole requests one after another, and a hang-up somewhere in them; lengths that are not kept; noise; floods. */
static void *liars(void *unused)
{
    static const char *const texts[] = {
        "POST /v1/convolve HTTP/1.1\r\nHost: h\r\nContent-Length: 2600\r\n\r\n" BODY,
        "POST /v1/convolve HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\n" BODY BODY BODY,
        "POST /v1/convolve HTTP/1.1\r\nHost: h\r\nContent-Length: 26\r\nTransfer-Encoding: chunked\r\n\r\n" BODY,
        "POST /v1/convolve HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n" BODY,
        "POST /v1/convolve HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1a\r\n" BODY "xx0\r\n",
        "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        "GET / HTTP/1.1\r\nHost: h\r\nX-Request-Id: a\x1b[31m\r\n\r\n",
        "GET /healthz HTTP/1.1\r\nHost: h\r\n\r\nGET /healthz HTTP/1.1\r\nHost: h\r\n\r\nGET /v1/info HT",
        "POST /v1/convolve HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 99999999999\r\n\r\n",
    };
    for (unsigned i = 0; !over; i++) {
        const int fd = raw_open(victim);
        raw_send_text(fd, texts[i % (sizeof texts / sizeof *texts)]);
        if (i % 3 != 0)
            usleep(1000);
        close(fd);
    }
    return unused;
}

static void *header_floods(void *unused)
{
    while (!over) {
        const int fd = raw_open(victim);
        raw_send_text(fd, "GET /healthz HTTP/1.1\r\nHost: h\r\n");
        while (!over && is_open(fd) && send(fd, "X-More: and more\r\n", 18, MSG_NOSIGNAL) == 18)
            continue;
        close(fd);
    }
    return unused;
}

/* Hundreds of requests in a row, of which no answer is read. */
static void *pipelines(void *unused)
{
    char *all = malloc(300 * 128), *at = all;
    for (int i = 0; all && i < 300; i++)
        at = stpcpy(at, "POST /v1/convolve HTTP/1.1\r\nHost: h\r\nContent-Length: 26\r\n\r\n" BODY);
    while (all && !over) {
        const int fd = raw_open(victim);
        for (int i = 0; i < 20 && !over; i++)
            (void)!send(fd, all, (size_t)(at - all), MSG_DONTWAIT | MSG_NOSIGNAL);
        usleep(50000);
        close(fd);
    }
    free(all);
    return unused;
}

static void all_kinds_at_once(void **state)
{
    (void)state;
    static void *(*const kinds[])(void *) = {slow_headers, slow_bodies,   slow_readers, idle_ones,
                                             liars,        header_floods, pipelines};
    enum { KINDS = sizeof kinds / sizeof *kinds };
    pthread_t threads[KINDS];
    victim = child_start(LIST("--idle-timeout-ms", textf("%d", (int)(1000 * slowness())), "--request-timeout-ms",
                              textf("%d", (int)(1500 * slowness()))),
                         NULL, NULL);
    struct held before = {0};
    for (int round = 0; round < 2; round++) { /* the first brings what is kept for later to its size */
        over = false;
        for (int i = 0; i < KINDS; i++)
            assert_int_equal(pthread_create(&threads[i], NULL, kinds[i], NULL), 0);
        struct beside *beside = beside_start(victim);
        usleep((useconds_t)(2500 * 1000));
        check_number("under abuse", "/healthz", http_get(victim, "/healthz").status, 200);
        over = true;
        for (int i = 0; i < KINDS; i++)
            pthread_join(threads[i], NULL);
        beside_stop(beside, "under abuse", 1000, 10);
        usleep((useconds_t)(500 * 1000 * slowness()));
        if (round == 0)
            before = held_by(victim);
    }
    check_given_back("after abuse", victim, before, 16 << 10);
    check_number("abuse", "exit status", child_stop(victim), 0);
}

/* The log is one line for each request, whatever the request says. */
static void the_log_keeps_its_lines(void **state)
{
    (void)state;
    victim = child_start(NULL, NULL, NULL);
    static const char *const requests[] = {
        "GET /x%0astatus=200%20path=/forged HTTP/1.1\r\nHost: h\r\nX-Request-Id: forged\tstatus=200\r\n\r\n",
        "GET /\x1b[2J\"quoted\\\" HTTP/1.1\r\nHost: h\r\ntraceparent: 00-\"x\r\n\r\n",
        ("POST /v1/convolve HTTP/1.1\r\nHost: h\r\nUser-Agent: a\"b status=500\r\nContent-Length: 26\r\n\r\n" BODY),
    };
    for (size_t i = 0; i < sizeof requests / sizeof *requests; i++)
        raw_exchange(victim, requests[i]);
    usleep(100000);
    const char *log = child_log(victim);
    for (const char *line = log; line && *line;) {
        if (strncmp(line, "time=", 5) != 0)
            complain("log", "a line that is none of the daemon's: %.80s", line);
        line = strchr(line, '\n');
        line = line ? line + 1 : NULL;
    }
    if (strchr(log, '\x1b'))
        complain("log", "an escape sequence");
    check_number("log", "exit status", child_stop(victim), 0);
}

/* Folded lines and raw NUL never reach us as they were sent; what the library makes of them must not leave a body to be read as a
 * request. */
static void what_the_library_hides(void **state)
{
    (void)state;
    static const struct {
        const char *name, *request;
    } cases[] = {
        {"a folded length", "POST /v1/convolve HTTP/1.1\r\nHost: h\r\nContent-Length:\r\n 57\r\n\r\n"
                            "GET /v1/info HTTP/1.1\r\nHost: smuggled\r\n\r\n"},
        {"a folded coding", "POST /v1/convolve HTTP/1.1\r\nHost: h\r\nTransfer-Encoding:\r\n chunked\r\n\r\n"
                            "GET /v1/info HTTP/1.1\r\nHost: smuggled\r\n\r\n"},
        {"no length", "POST /v1/convolve HTTP/1.1\r\nHost: h\r\n\r\nGET /v1/info HTTP/1.1\r\nHost: smuggled\r\n\r\n"},
        {"2^64 - 1", "POST /v1/convolve HTTP/1.1\r\nHost: h\r\nContent-Length: 18446744073709551615\r\n\r\n"
                     "GET /v1/info HTTP/1.1\r\nHost: smuggled\r\n\r\n"},
    };
    victim = child_start(NULL, NULL, NULL);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int fd = raw_open(victim);
        raw_send_text(fd, cases[i].request);
        const char *all = raw_read_to_close(fd, NULL, 5000);
        if (!all)
            complain(cases[i].name, "the connection stayed open");
        else if (strstr(all, "\"limits\"") || strstr(all, " 200 "))
            complain(cases[i].name, "the body was read as a request: %.300s", all);
        close(fd);
    }
    static const char cut[] = "POST /v1/convolve\0x HTTP/1.1\r\nHost: h\r\nContent-Length: 26\0"
                              "9\r\n\r\n" BODY "GET /healthz HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";
    int fd = raw_open(victim);
    raw_send(fd, cut, sizeof cut - 1);
    const char *all = raw_read_to_close(fd, NULL, 5000);
    if (!all || (strstr(all, " 200 ") && !strstr(all, "\"output\": [2]") && !strstr(all, "\"output\":[2]")))
        complain("NUL", "the request was read in two ways: %.300s", all ? all : "(still open)");
    close(fd);
    check_number("hidden", "exit status", child_stop(victim), 0);
}

/* Beyond what is read to be thrown away the connection ends, with 413 before it. */
static void far_too_large(void **state)
{
    (void)state;
    victim = child_start(LIST("--max-body-bytes", "1000"), NULL, NULL);
    enum { PIECE = 1 << 20 };
    char *piece = text_room(PIECE + 64);
    const int head = sprintf(piece, "%x\r\n", PIECE);
    memset(piece + head, ' ', PIECE);
    memcpy(piece + head + PIECE, "\r\n", 2);
    for (int pieces = 8; pieces <= 64; pieces *= 8) {
        const char *name = textf("%d MiB in chunks", pieces);
        int fd = raw_open(victim), sent = 0;
        raw_send_text(fd, "POST /v1/convolve HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n");
        while (sent < pieces && raw_send(fd, piece, (size_t)head + PIECE + 2))
            sent++;
        if (sent == pieces)
            raw_send_text(fd, "0\r\n\r\n");
        if (pieces == 8) {
            struct answer answer = raw_read_answer(fd, false);
            check_problem_in(name, &answer, 413, "too-large", ANY_POINTER, NO_OFFSET, NULL);
        } else if (sent == pieces) {
            complain(name, "all of it was read");
        }
        close(fd);
    }
    check_output(victim, "afterwards", "/v1/convolve", "{'input':[1],'kernel':[2]}", "[2]");
    check_number("far too large", "exit status", child_stop(victim), 0);
}

static int open_from(const char *source)
{
    struct sockaddr_in from = {.sin_family = AF_INET},
                       to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)victim->port)};
    inet_pton(AF_INET, source, &from.sin_addr);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&from, sizeof from), 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    return fd;
}

static long status_on(int fd, const char *path)
{
    raw_send_text(fd, textf("GET %s HTTP/1.1\r\nHost: h\r\n\r\n", path));
    return raw_read_answer(fd, false).status;
}

static void limits_per_address(void **state)
{
    (void)state;
    victim = child_start(LIST("--max-connections-per-ip", "2"), NULL, NULL);
    const int first = open_from("127.0.0.2"), second = open_from("127.0.0.2");
    check_number("the first", "status", status_on(first, "/v1/info"), 200);
    check_number("the second", "status", status_on(second, "/v1/info"), 200);
    int third = open_from("127.0.0.2");
    static const char *const open_paths[] = {"/healthz", "/readyz", "/metrics"};
    for (size_t i = 0; i < 3; i++)
        check_number("the third", open_paths[i], status_on(third, open_paths[i]), 200);
    raw_send_text(third, "GET /v1/info HTTP/1.1\r\nHost: h\r\n\r\n");
    struct answer answer = raw_read_answer(third, false);
    check_problem_in("the third", &answer, 503, "overloaded", ANY_POINTER, NO_OFFSET, NULL);
    if (!raw_is_closed(third, 3000))
        complain("the third", "stayed open");
    const int other = open_from("127.0.0.3");
    check_number("another address", "status", status_on(other, "/v1/info"), 200);
    close(first);
    long status = 0;
    for (double until = now_ms() + 3000 * slowness(); status != 200 && now_ms() < until; usleep(20000)) {
        close(third);
        third = open_from("127.0.0.2");
        status = status_on(third, "/v1/info");
    }
    check_number("in the place of the first", "status", status, 200);
    close(second);
    close(third);
    close(other);
    check_number("addresses", "exit status", child_stop(victim), 0);
}

/* Who has closed his sending side counts as gone, also when that came together with his request. */
static void half_closed_callers_are_let_go(void **state)
{
    (void)state;
    victim = child_start(NULL, NULL, NULL);
    for (int i = 0; i < 4; i++) {
        const int fd = raw_open(victim);
        raw_send_text(fd, i % 2 ? "GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n" : post_of("/v1/convolve", BODY));
        shutdown(fd, SHUT_WR);
        if (!raw_is_closed(fd, 2000))
            complain("half closed", "the connection stayed open");
        close(fd);
    }
    check_number("half closed", "exit status", child_stop(victim), 0);
}

/* A hang-up that comes right behind its bytes, which the library reads and then does not look again. */
static void hang_ups_right_behind_their_bytes(void **state)
{
    (void)state;
    enum { COUNT = 40, VALUES = 60000 };
    victim = child_start(NULL, NULL, NULL);
    char *body = text_room(2 * VALUES + 64), *at = body + sprintf(body, "{\"kernel\":[1,2,3],\"input\":[1");
    for (int i = 1; i < VALUES; i++)
        at = stpcpy(at, ",1");
    strcpy(at, "]}");
    const char *request = post_of("/v1/convolve", body);
    const size_t whole = strlen(request);
    http_get(victim, "/healthz");
    const struct held before = held_by(victim);
    for (int round = 0; round < 2; round++) { /* in the body; behind it */
        for (size_t i = 0; i < COUNT; i++) {
            const int fd = raw_open(victim);
            raw_send(fd, request, round == 0 ? whole * (i + 1) / (COUNT + 1) : whole);
            close(fd);
        }
        const double start = now_ms();
        while (held_by(victim).descriptors > before.descriptors && now_ms() < start + 5000 * slowness())
            usleep(2000);
        if (now_ms() - start > 250 * slowness())
            complain(round == 0 ? "in the body" : "behind the body", "%ld connections were held for %.0f ms",
                     held_by(victim).descriptors - before.descriptors, now_ms() - start);
    }
    check_number("hang-ups", "exit status", child_stop(victim), 0);
}

int main(void)
{
    struct rlimit limit; /* for thousands of connections on both sides */
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    const struct CMUnitTest tests[] = {
        HTTP_TEST(all_kinds_at_once),
        HTTP_TEST(the_log_keeps_its_lines),
        HTTP_TEST(what_the_library_hides),
        HTTP_TEST(far_too_large),
        HTTP_TEST(limits_per_address),
        HTTP_TEST(half_closed_callers_are_let_go),
        HTTP_TEST(hang_ups_right_behind_their_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
