/* SPDX-License-Identifier: MIT */
/* Wherever a request has got to, its deadline answers it within 100 ms and a caller who hangs up frees what it held within 100 ms:
 * for each method, at several places of the way. Tensors are zeros in base64, which are soon made and soon read. */
#include "tests/http/beside.h"
#include "tests/http/slow.h"

#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define LIST(...) ((const char *const[]){__VA_ARGS__, NULL})

static const char *zeros(const char *shape, size_t floats)
{
    const size_t bytes = 4 * floats, digits = (bytes + 2) / 3 * 4, padding = (3 - bytes % 3) % 3;
    char *text = text_room(digits + strlen(shape) + 64);
    char *at = text + sprintf(text, "{\"shape\":%s,\"dtype\":\"float32\",\"base64\":\"", shape);
    memset(at, 'A', digits);
    memset(at + digits - padding, '=', padding);
    strcpy(at + digits, "\"}");
    return text;
}

struct work {
    const char *name, *path;
    const char *body; /* with one %s where a member may be put */
};

enum { WORKS = 10 };

/* A tenth of a second of work or more where `share` is 1; the tensors have that share of as many elements. */
static struct work work_of(int kind, double share)
{
    const size_t side = (size_t)(1000 * sqrt(share)), length = (size_t)(1e6 * share), small = side / 5;
    const char *plane = zeros(textf("[%zu,%zu]", side, side), side * side);
    const char *image = zeros(textf("[16,%zu,%zu]", small, small), 16 * small * small);
    const char *filters = zeros("[16,16,7,7]", 16 * 16 * 49);
    switch (kind) {
    case 0:
        return (struct work){
            "direct", "/v1/correlate",
            textf("{%%s\"input\":%s,\"kernel\":%s,\"method\":\"direct\"}", plane, zeros("[31,31]", 31 * 31))};
    case 1:
        return (struct work){"direct, int64", "/v1/convolve",
                             textf("{%%s\"dtype\":\"int64\",\"input\":%s,\"kernel\":%s,\"method\":\"direct\"}", plane,
                                   zeros("[11,11]", 121))};
    case 2:
        return (struct work){
            "separable", "/v1/convolve",
            textf("{%%s\"input\":%s,\"kernel\":{\"name\":\"gaussian\",\"sigma\":40},\"mode\":\"same\",\"method\":"
                  "\"separable\"}",
                  plane)};
    case 3:
        return (struct work){"fft", "/v1/convolve",
                             textf("{%%s\"input\":%s,\"kernel\":%s,\"method\":\"fft\"}", plane,
                                   zeros(textf("[%zu,%zu]", small, small), small * small))};
    case 4:
        return (struct work){"overlap_add", "/v1/convolve",
                             textf("{%%s\"dtype\":\"float64\",\"input\":%s,\"kernel\":%s,\"padding\":%zu,\"method\":"
                                   "\"overlap_add\"}",
                                   zeros(textf("[%zu]", length), length), zeros("[3000]", 3000), length)};
    case 5:
        return (struct work){"conv", "/v1/conv",
                             textf("{%%s\"input\":%s,\"weight\":%s,\"padding\":3}", image, filters)};
    case 6:
        return (struct work){"conv_transpose", "/v1/conv_transpose",
                             textf("{%%s\"input\":%s,\"weight\":%s,\"stride\":2}", image, filters)};
    case 7:
        return (struct work){"conv_backward_input", "/v1/conv_backward_input",
                             textf("{%%s\"grad_output\":%s,\"weight\":%s,\"input_shape\":[16,%zu,%zu],\"padding\":3}",
                                   image, filters, small, small)};
    case 8:
        return (struct work){
            "explain", "/v1/explain",
            textf("{%%s\"op\":\"correlate\",\"index\":[0,0],\"input\":[[1]],\"boundary\":\"wrap\",\"kernel\":%s}",
                  plane)};
    default:
        return (struct work){
            "conv_backward_weight", "/v1/conv_backward_weight",
            textf("{%%s\"grad_output\":%s,\"input\":%s,\"weight_shape\":[16,16,7,7],\"padding\":3}", image, image)};
    }
}

static const char *request_of(const struct work *work, const char *member)
{
    const char *at = strstr(work->body, "%s");
    return post_of(work->path, textf("%.*s%s%s", (int)(at - work->body), work->body, member, at + 2));
}

/* Milliseconds from the last byte sent to the first of the answer; the answer is read where `answer` is given. */
static double first_byte(int fd, const char *request, struct answer *answer)
{
    raw_send_text(fd, request);
    const double start = now_ms();
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
    poll(&poll_fd, 1, (int)(20000 * slowness()));
    const double taken = now_ms() - start;
    if (answer)
        *answer = raw_read_answer(fd, false);
    return taken;
}

/* What the daemon takes from the last byte to the first of the answer. */
static double whole_ms(struct child *child, const struct work *work)
{
    int fd = raw_open(child);
    struct answer answer;
    const double taken = first_byte(fd, request_of(work, ""), &answer);
    close(fd);
    check_number(work->name, "status", answer.status, 200);
    return taken;
}

/* As much as keeps this build of the daemon busy for long enough: sanitizers slow some methods down twentyfold. */
static struct work work_that_lasts(struct child *child, int kind, double *whole)
{
    double share = 1. / 64;
    for (;; share *= 4) {
        struct work work = work_of(kind, share);
        *whole = whole_ms(child, &work);
        if (share == 1 || *whole > 60)
            return work;
    }
}

static void deadlines(void **state)
{
    (void)state;
    struct child *child = child_start(LIST("--threads", "1"), NULL, NULL);
    for (int kind = 0; kind < WORKS; kind++) {
        double whole;
        const struct work work = work_that_lasts(child, kind, &whole);
        for (int tenth = 1; tenth <= 7; tenth += 3) {
            const int timeout = (int)(whole * tenth / 10) + 1;
            const char *name = textf("%s, %d of %.0f ms", work.name, timeout, whole);
            int fd = raw_open(child);
            struct answer answer;
            const double taken = first_byte(fd, request_of(&work, textf("\"timeout_ms\":%d,", timeout)), &answer);
            if (answer.status == 504)
                check_problem_in(name, &answer, 504, "deadline-exceeded", ANY_POINTER, NO_OFFSET, NULL);
            else if (answer.status != 200 || tenth == 1) /* the second time it may be quicker than the first */
                complain(name, "status %ld", answer.status);
            if (taken > timeout + 100 * slowness())
                complain(name, "the answer began after %.0f ms", taken);
            const double start = now_ms();
            check_output(child, name, "/v1/convolve", "{'input':[1],'kernel':[1],'padding':[[0,30000]],'stride':30001}",
                         "[1]");
            if (now_ms() - start > 100 * slowness())
                complain(name, "the worker was busy for %.0f ms more", now_ms() - start);
            close(fd);
        }
    }
    check_number("deadlines", "exit status", child_stop(child), 0);
}

/* What is queued behind a long one is answered at its own deadline too. */
static void deadlines_in_the_queue(void **state)
{
    (void)state;
    struct child *child = child_start(LIST("--threads", "1"), NULL, NULL);
    const char *request = slow_request(child, 1500, ""), *hasty = slow_request(child, 1500, "'timeout_ms':100,");
    int busy = raw_open(child), fd = raw_open(child);
    struct answer answer;
    raw_send_text(busy, request);
    usleep(50000);
    const double taken = first_byte(fd, hasty, &answer);
    check_problem_in("queued", &answer, 504, "deadline-exceeded", ANY_POINTER, NO_OFFSET, NULL);
    if (taken > 100 + 100 * slowness())
        complain("queued", "the answer began after %.0f ms", taken);
    close(busy);
    close(fd);
    check_number("queued", "exit status", child_stop(child), 0);
}

static void check_freed(const char *name, struct child *child, double cancelled)
{
    const double start = now_ms();
    double taken = 0, now = cancelled, depth = 1;
    while (taken < 3000 * slowness() && (now <= cancelled || depth > 0)) {
        usleep(2000);
        now = metric_of(child, "convolved_cancelled_total");
        depth = metric_of(child, "convolved_queue_depth");
        taken = now_ms() - start;
    }
    check_number(name, "convolved_cancelled_total", (long long)now, (long long)cancelled + 1);
    if (taken > 100 * slowness())
        complain(name, "freed after %.0f ms", taken);
}

static void hang_ups(void **state)
{
    (void)state;
    struct child *child = child_start(LIST("--threads", "1"), NULL, NULL);
    for (int kind = 0; kind < WORKS; kind++) {
        double whole;
        const struct work work = work_that_lasts(child, kind, &whole);
        for (int tenth = 1; tenth <= 7; tenth += 3) {
            const char *name = textf("%s, after %.0f of %.0f ms", work.name, whole * tenth / 10, whole);
            const double cancelled = metric_of(child, "convolved_cancelled_total");
            int fd = raw_open(child);
            raw_send_text(fd, request_of(&work, ""));
            usleep((useconds_t)(whole * tenth * 100));
            struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
            const bool answered = poll(&poll_fd, 1, 0) > 0; /* quicker than the first time */
            close(fd);
            if (!answered)
                check_freed(name, child, cancelled);
        }
    }
    check_holds("hang-ups", "log", strstr(child_log(child), "status=499"), "status=499");
    check_number("hang-ups", "exit status", child_stop(child), 0);
}

/* In the body, in the queue, and while an answer is written and sent. */
static void hang_ups_elsewhere(void **state)
{
    (void)state;
    struct child *child = child_start(LIST("--threads", "1"), NULL, NULL);
    double cancelled = metric_of(child, "convolved_cancelled_total");
    int fd = raw_open(child);
    raw_send_text(fd, "POST /v1/convolve HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n\r\n{\"input\":[1,2,3");
    usleep(50000);
    close(fd);
    check_freed("in the body", child, cancelled);

    const char *request = slow_request(child, 3000, "");
    int busy = raw_open(child);
    raw_send_text(busy, request);
    usleep(50000);
    fd = raw_open(child);
    raw_send_text(fd, request);
    usleep(50000);
    cancelled = metric_of(child, "convolved_cancelled_total");
    close(fd);
    const double start = now_ms();
    while (metric_of(child, "convolved_cancelled_total") <= cancelled && now_ms() < start + 3000 * slowness())
        usleep(2000);
    if (now_ms() - start > 100 * slowness())
        complain("in the queue", "freed after %.0f ms", now_ms() - start);
    cancelled = metric_of(child, "convolved_cancelled_total");
    close(busy);
    check_freed("at work", child, cancelled);

    static const char body[] = "{\"input\":[1],\"kernel\":[1],\"padding\":3000000,\"fillvalue\":0.123456789}";
    for (int wait = 0; wait < 2; wait++) { /* while it is written; while nobody reads */
        char bytes[1000];
        cancelled = metric_of(child, "convolved_cancelled_total");
        fd = raw_open(child);
        raw_send_text(fd, post_of("/v1/correlate", body));
        check_number("the beginning of an answer", "bytes", recv(fd, bytes, sizeof bytes, MSG_WAITALL), sizeof bytes);
        if (wait)
            usleep(300000);
        close(fd);
        check_freed(wait ? "in an answer that nobody takes" : "in an answer", child, cancelled);
    }
    check_number("hang-ups", "exit status", child_stop(child), 0);
}

/* A few bytes may name a kernel of millions of values. They are made once their cost has been admitted, and not by the thread that
 * others speak with. */
static void large_kernels_by_name(void **state)
{
    (void)state;
    struct child *child = child_start(LIST("--threads", "1", "--io-threads", "1"), NULL, NULL);
    static const char large[] = "{\"input\":[[1]],\"kernel\":{\"name\":\"gaussian\",\"sigma\":600},\"mode\":\"same\"}";
    check_number("beside it", "status", http_get(child, "/healthz").status, 200);
    const int fd = raw_open(child);
    raw_send_text(fd, post_of("/v1/correlate", large));
    double longest = 0;
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
    while (poll(&poll_fd, 1, 2) == 0) {
        const double start = now_ms();
        check_number("beside it", "status", http_get(child, "/healthz").status, 200);
        longest = fmax(longest, now_ms() - start);
    }
    const struct answer answer = raw_read_answer(fd, false);
    check_number("a kernel of 23 million values", "status", answer.status, 200);
    close(fd);
    if (longest > 100 * slowness())
        complain("beside it", "/healthz was answered after %.0f ms", longest);

    static const char too_large[] = "{'input':[[1]],'kernel':{'name':'gaussian','sigma':900},'padding':10000}";
    const double start = now_ms();
    check_problem(child, "cost", "/v1/correlate", too_large, 413, "too-large", ANY_POINTER, NO_OFFSET, NULL);
    if (now_ms() - start > 100 * slowness())
        complain("cost", "was refused after %.0f ms", now_ms() - start);
    check_problem(child, "fractions", "/v1/correlate",
                  "{'input':[[1]],'kernel':{'name':'gaussian','sigma':20},'mode':'same','dtype':'int64'}", 422,
                  "invalid-value", "/kernel", NO_OFFSET, "int64");
    check_output(child, "a mean", "/v1/correlate", "{'input':[[1]],'kernel':{'name':'box','size':101},'mode':'same'}",
                 "[[9.802960494069208e-5]]");
    struct answer plan =
        http_post(child, "/v1/correlate", "{'plan':true,'input':[[1]],'kernel':{'name':'gaussian','sigma':2000}}");
    check_number("a plan of it", "status", plan.status, 200);
    check_member("a plan of it", &plan, "error_bound", "null");
    check_number("kernels", "exit status", child_stop(child), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        HTTP_TEST(deadlines),          HTTP_TEST(deadlines_in_the_queue), HTTP_TEST(hang_ups),
        HTTP_TEST(hang_ups_elsewhere), HTTP_TEST(large_kernels_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
