/* SPDX-License-Identifier: MIT */
/* Traffic of every kind at once, for as long as SOAK_SECONDS says (12): each answer is the one that the definition gave, or a
 * refusal that its request allows; after each round memory, descriptors and threads are where they were. `make soak` takes an hour.
 * A failure names the kind of traffic and prints the request. */
#include "tests/http/random_case.h"
#include "tests/http/soak_client.h"

#include <dirent.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LIST(...)          ((const char *const[]){__VA_ARGS__, NULL})
#define KEY                "the-key-of-the-soak"
#define HEAD(target, rest) "POST " target " HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer " KEY "\r\n" rest

enum { CALLERS = 6, CASES = 60, LARGE_SIZE = 160, LARGE_KERNEL = 7 };

/* One round's requests with their right answers, read by all callers. */
static struct request_case cases[CASES];
static char *large_body, *large_output;
static struct child *daemon_under_soak;
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

static void send_request(struct caller *caller, const char *target, const char *body, bool chunked)
{
    char head[512];
    const size_t bytes = strlen(body);
    if (!chunked) {
        snprintf(head, sizeof head, HEAD("%s", "Content-Length: %zu\r\n\r\n"), target, bytes);
        if (soak_client_send(&caller->client, head, strlen(head)))
            soak_client_send(&caller->client, body, bytes);
        return;
    }
    snprintf(head, sizeof head, HEAD("%s", "Transfer-Encoding: chunked\r\n\r\n"), target);
    soak_client_send(&caller->client, head, strlen(head));
    for (size_t at = 0; at < bytes;) {
        size_t piece = 1 + below(caller, 300);
        piece = piece < bytes - at ? piece : bytes - at;
        snprintf(head, sizeof head, "%zx\r\n", piece);
        soak_client_send(&caller->client, head, strlen(head));
        soak_client_send(&caller->client, body + at, piece);
        soak_client_send(&caller->client, "\r\n", 2);
        at += piece;
    }
    soak_client_send(&caller->client, "0\r\n\r\n", 5);
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
    send_request(caller, random_case_path(request), request->body, false);
    expect_case(caller, "a request", request);
}

static void call_in_chunks(struct caller *caller)
{
    const struct request_case *request = any_case(caller);
    send_request(caller, random_case_path(request), request->body, true);
    expect_case(caller, "a request in chunks", request);
}

static void call_in_a_row(struct caller *caller)
{
    const struct request_case *requests[8];
    for (int i = 0; i < 8; i++) {
        requests[i] = any_case(caller);
        send_request(caller, random_case_path(requests[i]), requests[i]->body, false);
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
    send_request(caller, "/v1/convolve", large_body, false);
    const int status = soak_client_answer(&caller->client);
    if (refused(caller, status))
        return;
    if (status != 200 || strncmp(caller->client.body, large_output, strlen(large_output)) != 0)
        complain("a large request", "status %d %.300s", status, status ? caller->client.body : "");
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
    const size_t bytes = strlen(large_body);
    snprintf(head, sizeof head, HEAD("/v1/convolve", "Content-Length: %zu\r\n\r\n"), bytes);
    soak_client_close(&caller->client);
    switch (below(caller, 4)) {
    case 0:
        soak_client_send(&caller->client, head, below(caller, (unsigned)strlen(head)));
        break;
    case 1:
        soak_client_send(&caller->client, head, strlen(head));
        soak_client_send(&caller->client, large_body, below(caller, (unsigned)bytes));
        break;
    default:
        soak_client_send(&caller->client, head, strlen(head));
        soak_client_send(&caller->client, large_body, bytes);
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
    static void (*const kinds[])(struct caller *) = {call_plainly,  call_plainly, call_plainly,  call_in_chunks,
                                                     call_in_a_row, call_slowly,  call_for_much, call_wrongly,
                                                     ask_about,     hang_up,      be_late,       stand_about};
    struct caller *caller = context;
    while (!atomic_load(&enough))
        kinds[below(caller, sizeof kinds / sizeof *kinds)](caller);
    soak_client_close(&caller->client);
    return NULL;
}

/* ---- Rounds ------------------------------------------------------------------------------------------------------ */

static void make_cases(uint64_t seed)
{
    random_seed(seed);
    for (int i = 0; i < CASES; i++) {
        random_case_make(&cases[i]);
        cases[i].name = textf("seed %llu, request %d, %.700s", (unsigned long long)seed, i, cases[i].body);
        do {
            cases[i].answer = http_call(
                daemon_under_soak, &(struct call){.path = random_case_path(&cases[i]),
                                                  .body = cases[i].body,
                                                  .headers = LIST("Authorization: Bearer " KEY, "Connection: close")});
        } while (cases[i].answer.status == 503);
        random_case_compare(&cases[i]);
    }
}

/* Whole numbers, full convolution by a plain loop here. */
static void make_large(unsigned seed)
{
    enum { OUT = LARGE_SIZE + LARGE_KERNEL - 1 };
    static long input[LARGE_SIZE][LARGE_SIZE], kernel[LARGE_KERNEL][LARGE_KERNEL], output[OUT][OUT];
    char *to = large_body = realloc(large_body, LARGE_SIZE * LARGE_SIZE * 5 + 2000);
    char *out = large_output = realloc(large_output, OUT * OUT * 9 + 2000);
    assert_true(to != NULL && out != NULL);
    memset(output, 0, sizeof output);
    to += sprintf(to, "{\"dtype\":\"int64\",\"input\":[");
    for (int y = 0; y < LARGE_SIZE; y++)
        for (int x = 0; x < LARGE_SIZE; x++) {
            input[y][x] = (long)(((unsigned)(y * 31 + x) * (seed | 1) * 2654435761u) >> 22) - 500;
            to += sprintf(to, "%s%ld%s", x == 0 ? (y == 0 ? "[" : ",[") : ",", input[y][x],
                          x + 1 == LARGE_SIZE ? "]" : "");
        }
    to += sprintf(to, "],\"kernel\":[");
    for (int y = 0; y < LARGE_KERNEL; y++)
        for (int x = 0; x < LARGE_KERNEL; x++) {
            kernel[y][x] = (y * 5 + x * 3 + (int)seed) % 19 - 9;
            to += sprintf(to, "%s%ld%s", x == 0 ? (y == 0 ? "[" : ",[") : ",", kernel[y][x],
                          x + 1 == LARGE_KERNEL ? "]" : "");
        }
    sprintf(to, "]}");
    for (int y = 0; y < LARGE_SIZE; y++)
        for (int x = 0; x < LARGE_SIZE; x++)
            for (int v = 0; v < LARGE_KERNEL; v++)
                for (int u = 0; u < LARGE_KERNEL; u++)
                    output[y + v][x + u] += input[y][x] * kernel[v][u];
    out += sprintf(out, "{\"output\": [");
    for (int y = 0; y < OUT; y++)
        for (int x = 0; x < OUT; x++)
            out += sprintf(out, "%s%ld%s", x == 0 ? (y == 0 ? "[" : ",[") : ",", output[y][x], x + 1 == OUT ? "]" : "");
    sprintf(out, "], \"shape\": [%d, %d], \"dtype\": \"int64\"", OUT, OUT);
}

struct usage {
    long resident_kib, descriptors, threads;
};

/* Not by file_with: it has to be there for reloads when a round's texts and files are gone. */
static void write_keys(char path[64])
{
    strcpy(path, "/tmp/convolved-soak-XXXXXX");
    const int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, KEY "\n", sizeof KEY), (ssize_t)sizeof KEY);
    close(fd);
}

static struct usage usage_of(pid_t pid)
{
    struct usage usage = {0};
    char path[64], line[256];
    snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
    FILE *file = fopen(path, "re");
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        sscanf(line, "VmRSS: %ld", &usage.resident_kib);
        sscanf(line, "Threads: %ld", &usage.threads);
    }
    if (file != NULL)
        fclose(file);
    snprintf(path, sizeof path, "/proc/%d/fd", (int)pid);
    DIR *folder = opendir(path);
    while (folder != NULL && readdir(folder) != NULL)
        usage.descriptors++;
    if (folder != NULL)
        closedir(folder);
    return usage;
}

/* Once what the callers left behind has gone: at most the seconds that a lingering connection has. */
static struct usage usage_at_rest(pid_t pid, long descriptors)
{
    struct usage usage = usage_of(pid);
    for (double until = now_ms() + 8000 * slowness(); now_ms() < until && usage.descriptors > descriptors;
         usleep(20000))
        usage = usage_of(pid);
    return usage;
}

/* Sanitizers keep what was freed for a while. */
static long slack_kib(void)
{
    return slowness() > 1 ? 1 << 20 : 48 << 10;
}

static void check_usage(const char *name, const struct usage *now, const struct usage *fresh, const struct usage *first)
{
    check_number(name, "descriptors", now->descriptors, fresh->descriptors);
    check_number(name, "threads", now->threads, fresh->threads);
    if (now->resident_kib > first->resident_kib + slack_kib())
        complain(name, "resident %ld KiB, after the first round it was %ld", now->resident_kib, first->resident_kib);
}

static void soak(void **state)
{
    const char *text = getenv("SOAK_SECONDS"), *seed_text = getenv("TEST_SEED");
    const double seconds = text != NULL ? atof(text) : 12, round_ms = seconds > 120 ? 30000 : seconds * 1000 / 3;
    uint64_t seed = seed_text != NULL ? strtoull(seed_text, NULL, 0) : 20240611;
    struct caller callers[CALLERS];
    struct usage fresh, first = {0}, last;
    int failed = 0;
    (void)state;

    char keys[64];
    write_keys(keys);
    struct child *child = daemon_under_soak =
        child_start(LIST("--api-keys-file", keys, "--queue-depth", "16", "--log-format", "json", "--log-level",
                         seconds > 120 ? "warning" : "info", "--idle-timeout-ms", "5000"),
                    NULL, NULL);
    fresh = usage_of(child->pid);
    const double end = now_ms() + seconds * 1000;
    for (unsigned round = 0; failed == 0 && now_ms() < end; round++, seed++) {
        const char *name = textf("round %u", round);
        make_cases(seed);
        make_large((unsigned)seed);
        atomic_store(&enough, false);
        for (unsigned i = 0; i < CALLERS; i++) {
            callers[i].random = seed * CALLERS + i + 1;
            soak_client_init(&callers[i].client, child);
            assert_int_equal(pthread_create(&callers[i].thread, NULL, call_on, &callers[i]), 0);
        }
        for (double until = now_ms() + round_ms; now_ms() < until; usleep(500000))
            kill(child->pid, SIGHUP); /* reloads under load */
        atomic_store(&enough, true);
        for (unsigned i = 0; i < CALLERS; i++) {
            pthread_join(callers[i].thread, NULL);
            soak_client_release(&callers[i].client);
        }
        last = usage_at_rest(child->pid, fresh.descriptors);
        if (round == 0)
            first = last;
        check_usage(name, &last, &fresh, &first);
        if (seconds > 120)
            fprintf(stderr, "%s: %lu answers right, %lu refused, resident %ld KiB, %ld descriptors, %ld threads\n",
                    name, atomic_load(&answers_right), atomic_load(&answers_refused), last.resident_kib,
                    last.descriptors, last.threads);
        for (int i = 0; i < CASES; i++)
            random_case_release(&cases[i]);
        failed = settle(NULL) == 0 ? 0 : failed + 1; /* and forgets the round's texts */
    }
    if (answers_right < 100)
        complain("soak", "only %lu answers", atomic_load(&answers_right));
    check_number("soak", "exit status", child_stop(child), 0);
    check_number("soak", "rounds that failed", failed, 0);
    unlink(keys);
    free(large_body);
    free(large_output);
}

int main(void)
{
    const struct CMUnitTest tests[] = {HTTP_TEST(soak)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
