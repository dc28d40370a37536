/* SPDX-License-Identifier: MIT */
/* More work than fits: ten times what the limits admit is asked for at once. Every request ends in a right answer or a refusal that
 * says when to come again, memory stays below its ceiling, and afterwards all is as before. Also what large and small requests do
 * to one another. */
#include "tests/http/beside.h"
#include "tests/http/slow.h"

#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LIST(...) ((const char *const[]){__VA_ARGS__, NULL})

#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__
enum { SANITIZED = 1 }; /* they keep memory of their own */
#else
enum { SANITIZED = 0 };
#endif

enum { CALLERS = 40, VALUES = 100000, TAPS = 101 };

struct callers {
    struct child *child;
    const char *body;
    size_t body_bytes;
    bool chunked;
    _Atomic bool stop;
    _Atomic int right, busy, late, other;
    char fault[300];
};

/* {"input": 0, 1, ... , "kernel": ones}: an output of `same` is known at both ends. */
static char *body_of(const char *members)
{
    char *body = text_room(8 * VALUES + 4 * TAPS + strlen(members) + 100), *at = body;
    at += sprintf(at, "{%s\"mode\":\"valid\",\"input\":[0", members);
    for (int i = 1; i < VALUES; i++)
        at += sprintf(at, ",%d", i);
    at = stpcpy(at, "],\"kernel\":[1");
    for (int i = 1; i < TAPS; i++)
        at = stpcpy(at, ",1");
    strcpy(at, "]}");
    return body;
}

/* Sum of TAPS numbers from `first` on. */
static long window(long first)
{
    return TAPS * first + (long)TAPS * (TAPS - 1) / 2;
}

static bool is_right(const struct answer *answer)
{
    char begin[64], end[64];
    const char *output = strstr(answer->body, "\"output\""), *close;
    const int begin_bytes = snprintf(begin, sizeof begin, "[%ld,%ld,", window(0), window(1));
    const int end_bytes = snprintf(end, sizeof end, ",%ld]", window(VALUES - TAPS));
    output = output ? strchr(output, '[') : NULL;
    close = output ? strchr(output, ']') : NULL;
    return close && !strncmp(output, begin, (size_t)begin_bytes) && close - output > end_bytes &&
           !strncmp(close + 1 - end_bytes, end, (size_t)end_bytes);
}

static void *call_on(void *context)
{
    struct callers *callers = context;
    void *curl = curl_new();
    while (!callers->stop) {
        struct answer answer = http_call(callers->child, &(struct call){.path = "/v1/correlate",
                                                                        .body = callers->body,
                                                                        .body_bytes = callers->body_bytes,
                                                                        .chunked = callers->chunked,
                                                                        .curl = curl});
        const char *again = header_of(&answer, "Retry-After");
        if (answer.status == 200 && is_right(&answer))
            callers->right++;
        else if ((answer.status == 503 || answer.status == 429) && again && atoi(again) >= 1)
            callers->busy++;
        else if (answer.status == 504)
            callers->late++;
        else if (callers->other++ == 0)
            snprintf(callers->fault, sizeof callers->fault, "status %ld, %.200s", answer.status,
                     answer.failure ? answer.failure : answer.body);
    }
    curl_free_handle(curl);
    return NULL;
}

/* `kib_max`: what may be resident meanwhile. */
static void overload(const char *name, struct child *child, const char *members, bool chunked, long kib_max)
{
    const char *body = body_of(members);
    struct callers callers = {.child = child, .body = body, .body_bytes = strlen(body), .chunked = chunked};
    pthread_t threads[CALLERS];
    long most_kib = 0;
    for (int i = 0; i < CALLERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, call_on, &callers), 0);
    for (double until = now_ms() + 1500 * stretch(); now_ms() < until; usleep(5000)) {
        const struct held held = held_by(child);
        most_kib = held.rss_kib > most_kib ? held.rss_kib : most_kib;
    }
    check_number(name, "/healthz under load", http_get(child, "/healthz").status, 200);
    callers.stop = true;
    for (int i = 0; i < CALLERS; i++)
        pthread_join(threads[i], NULL);
    if (callers.other > 0)
        complain(name, "%d calls ended otherwise, the first: %s", callers.other, callers.fault);
    if (callers.right + callers.late < 1 || callers.busy < 1)
        complain(name, "%d right, %d refused, %d late", callers.right, callers.busy, callers.late);
    if (most_kib > kib_max)
        check_number(name, "KiB resident, at most", most_kib, kib_max);
    const double stopped = now_ms();
    const char *patient = body_of("");
    struct answer answer = {0};
    do { /* full service within a second */
        answer = http_call(child, &(struct call){.path = "/v1/correlate", .body = patient});
    } while (answer.status != 200 && now_ms() < stopped + 1000 * slowness());
    check_number(name, "status within a second after", answer.status, 200);
}

static void memory_for_a_few(void **state)
{
    (void)state;
    enum { MEMORY = 16 << 20 };
    struct child *child = child_start(LIST("--max-memory-bytes", textf("%d", MEMORY)), NULL, NULL);
    check_output(child, "fresh", "/v1/convolve", "{'input':[1],'kernel':[2]}", "[2]");
    const struct held fresh = held_by(child);
    for (int chunked = 0; chunked < 2; chunked++) {
        const char *name = chunked ? "16 MiB of memory, chunked" : "16 MiB of memory";
        overload(name, child, "\"dtype\":\"float64\",", chunked,
                 SANITIZED ? LONG_MAX : fresh.rss_kib + (MEMORY >> 10) + (64 << 10));
    }
    check_number("memory", "exit status", child_stop(child), 0);
}

static void a_short_queue_and_little_time(void **state)
{
    (void)state;
    struct child *child = child_start(LIST("--queue-depth", "3", "--threads", "1"), NULL, NULL);
    overload("a queue of 3", child, "\"method\":\"direct\",", false, LONG_MAX);
    check_number("queue", "exit status", child_stop(child), 0);
    child = child_start(LIST("--queue-depth", "4", "--threads", "1"), NULL, NULL);
    overload("a queue of 4, 20 ms each", child,
             textf("\"method\":\"direct\",\"timeout_ms\":%d,", (int)(20 * slowness())), false, LONG_MAX);
    check_number("deadline", "exit status", child_stop(child), 0);
}

/* ---- Large and small together ---- */

struct large {
    pthread_t thread;
    struct child *child;
    const char *body;
    double milliseconds;
    long status;
};

static void *call_once(void *context)
{
    struct large *large = context;
    void *curl = curl_new();
    const double start = now_ms();
    large->status =
        http_call(large->child, &(struct call){.path = "/v1/correlate", .body = large->body, .curl = curl}).status;
    large->milliseconds = now_ms() - start;
    curl_free_handle(curl);
    return NULL;
}

/* Equal large ones, and a stream of small ones that are always more urgent: each large one has ended by twice its share of the
 * time, and who asks for little is served at once throughout. */
static void nobody_starves(void **state)
{
    (void)state;
    enum { LARGE = 4 };
    struct child *child = child_start(LIST("--threads", "2", PATIENT), NULL, NULL);
    const char *body = body_of_request(slow_request(child, 400, ""));
    struct large alone = {.child = child, .body = body}, large[LARGE];
    call_once(&alone);
    struct beside *beside = beside_start(child);
    for (int i = 0; i < LARGE; i++) {
        large[i] = (struct large){.child = child, .body = body};
        assert_int_equal(pthread_create(&large[i].thread, NULL, call_once, &large[i]), 0);
    }
    for (int i = 0; i < LARGE; i++) {
        pthread_join(large[i].thread, NULL);
        check_number("a large one", "status", large[i].status, 200);
        if (large[i].milliseconds > 2 * LARGE * alone.milliseconds + 500 * slowness())
            complain("a large one", "%.0f ms among %d, %.0f alone", large[i].milliseconds, LARGE, alone.milliseconds);
    }
    beside_stop(beside, "beside large ones", 500, 5);
    check_number("large and small", "exit status", child_stop(child), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        HTTP_TEST(memory_for_a_few),
        HTTP_TEST(a_short_queue_and_little_time),
        HTTP_TEST(nobody_starves),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
