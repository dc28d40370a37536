/* SPDX-License-Identifier: MIT */
/* The daemon's life: what it tells about itself, deadlines, callers that hang up, draining, reloading, connections that say
 * nothing. Times are bounds with room (scaled by TEST_SLOWNESS), never expectations of speed. */
#include "tests/http/beside.h"
#include "tests/http/slow.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cjson/cJSON.h>

#define LIST(...) ((const char *const[]){__VA_ARGS__, NULL})

static void what_it_tells(void **state)
{
    (void)state;
    struct child *child = child_start(LIST("--max-work", "123456789", "--threads", "2"), NULL, NULL);
    static const char *const alive[] = {"/healthz", "/readyz", "/metrics", "/v1/info"};
    for (size_t i = 0; i < sizeof alive / sizeof *alive; i++)
        check_number(alive[i], "status", http_get(child, alive[i]).status, 200);
    struct answer answer = http_get(child, "/v1/info");
    check_holds("/v1/info", "Content-Type", header_of(&answer, "Content-Type"), "application/json");
    check_member("/v1/info", &answer, "limits/max_work", "123456789");
    cJSON *document = cJSON_Parse(answer.body);
    static const char *const told[] = {"version", "simd", "threads", "limits"};
    for (size_t i = 0; i < sizeof told / sizeof *told; i++)
        if (!cJSON_GetObjectItemCaseSensitive(document, told[i]))
            complain("/v1/info", "no %s in %s", told[i], answer.body);
    const cJSON *limits = cJSON_GetObjectItemCaseSensitive(document, "limits");
    static const char *const limited[] = {"max_body_bytes", "max_output_bytes", "max_memory_bytes", "max_work",
                                          "request_timeout_ms"};
    for (size_t i = 0; i < sizeof limited / sizeof *limited; i++)
        if (!cJSON_IsNumber(cJSON_GetObjectItemCaseSensitive(limits, limited[i])))
            complain("/v1/info", "no limit %s in %s", limited[i], answer.body);
    cJSON_Delete(document);
    answer = http_get(child, "/metrics");
    check_holds("/metrics", "Content-Type", header_of(&answer, "Content-Type"), "text/plain");
    check_holds("/metrics", "page", answer.body, "# TYPE ");
    check_number("/metrics", "convolved_cancelled_total", (long long)metric_of(child, "convolved_cancelled_total"), 0);
    check_text("standard output", "after the first line", child_rest_of_output(child), "");
    check_number("SIGTERM", "exit status", child_stop(child), 0);
    child = child_start(NULL, NULL, NULL);
    kill(child->pid, SIGINT);
    check_number("SIGINT", "exit status", child_wait(child), 0);
}

static void a_deadline_stops_work(void **state)
{
    (void)state;
    struct child *child = child_start(NULL, NULL, NULL);
    const char *request = slow_request(child, 4000, textf("'timeout_ms':%d,", (int)(200 * stretch())));
    struct answer answer = http_call(child, &(struct call){.path = "/v1/correlate", .body = body_of_request(request)});
    check_problem_in("timeout_ms", &answer, 504, "deadline-exceeded", ANY_POINTER, NO_OFFSET, NULL);
    if (answer.milliseconds > 1500 * slowness()) /* 200, 100 more, and the time to send a body on a busy machine */
        check_number("timeout_ms", "milliseconds (at most 1500)", (long long)answer.milliseconds, 300);
    check_number("the connection is kept", "new connections", http_get(child, "/healthz").connects, 0);
    check_number("deadline", "exit status", child_stop(child), 0);

    child = child_start(LIST("--request-timeout-ms", textf("%d", (int)(300 * stretch()))), NULL, NULL);
    struct child *other = child_start(NULL, NULL, NULL); /* sized there: here the sizing itself might time out */
    request = slow_request(other, 4000, "'timeout_ms':100000,");
    check_number("other", "exit status", child_stop(other), 0);
    answer = http_call(child, &(struct call){.path = "/v1/correlate", .body = body_of_request(request)});
    check_problem_in("the server's own", &answer, 504, "deadline-exceeded", ANY_POINTER, NO_OFFSET, NULL);
    check_number("the server's own", "exit status", child_stop(child), 0);
}

/* The work of a caller that has gone is stopped long before it would have ended, and counted. */
static void a_hang_up_frees_the_work(void **state)
{
    (void)state;
    struct child *child = child_start(LIST("--threads", "1"), NULL, NULL);
    const char *request = slow_request(child, 6000, "");
    for (int half = 0; half < 2; half++) {
        const char *name = half ? "sending side closed" : "hang-up";
        double before = metric_of(child, "convolved_cancelled_total");
        int fd = raw_open(child);
        raw_send_text(fd, request);
        wait_ms(200);
        if (half)
            shutdown(fd, SHUT_WR);
        else
            close(fd);
        double gone = now_ms(), count = before;
        while (count <= before && now_ms() < gone + 2000 * slowness()) {
            usleep(10000);
            count = metric_of(child, "convolved_cancelled_total");
        }
        check_number(name, "convolved_cancelled_total", (long long)count, (long long)before + 1);
        if (count <= before)
            complain(name, "the log: %s", child_log(child));
        if (half)
            close(fd);
        double start = now_ms();
        check_output(child, name, "/v1/convolve", "{'input':[1],'kernel':[2]}", "[2]");
        if (now_ms() - start > 2000 * slowness())
            complain(name, "the worker was still busy");
    }
    check_holds("hang-up", "log", child_log(child), "499");
    check_number("hang-up", "exit status", child_stop(child), 0);
}

static void drain_finishes_what_was_accepted(void **state)
{
    (void)state;
    struct child *child = child_start(LIST(PATIENT), NULL, NULL);
    const char *request = slow_request(child, 800, "");
    int idle = raw_open(child), half = raw_open(child), busy = raw_open(child);
    raw_send_text(idle, "GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n");
    check_number("idle", "status", raw_read_answer(idle, false).status, 200);
    raw_send_text(half, "POST /v1/convolve HTTP/1.1\r\nHost: h\r\nContent-Length: 26\r\n\r\n{\"inp");
    raw_send_text(busy, request);
    wait_ms(300);
    kill(child->pid, SIGTERM);
    if (!raw_is_closed(idle, 5000))
        complain("idle", "an idle connection was not closed");
    if (!raw_is_closed(half, 5000))
        complain("half received", "a half-received connection was not closed");
    int late = raw_open(child);
    if (late >= 0) { /* accepted from the backlog, or refused */
        raw_send_text(late, "POST /v1/convolve HTTP/1.1\r\nHost: h\r\nContent-Length: 26\r\n\r\n"
                            "{\"input\":[1],\"kernel\":[2]}");
        struct answer answer = raw_read_answer(late, false);
        if (answer.status)
            check_problem_in("late", &answer, 503, "draining", ANY_POINTER, NO_OFFSET, NULL);
        if (answer.status && !header_of(&answer, "Retry-After"))
            complain("late", "no Retry-After");
        close(late);
    }
    struct answer answer = raw_read_answer(busy, false);
    check_number("in flight", "status", answer.status, 200);
    check_holds("in flight", "body", answer.body, "\"output\"");
    close(idle);
    close(half);
    close(busy);
    check_number("drain", "exit status", child_wait(child), 0);
}

/* Who goes away while his answer is being sent holds nothing up. */
static void a_hang_up_in_the_answer(void **state)
{
    (void)state;
    struct child *child = child_start(NULL, NULL, NULL);
    static const char body[] = "{\"input\":[1],\"kernel\":[1],\"padding\":2000000,\"fillvalue\":0.123456789}";
    const char *request =
        textf("POST /v1/correlate HTTP/1.1\r\nHost: h\r\nContent-Length: %zu\r\n\r\n%s", strlen(body), body);
    for (int i = 0; i < 4; i++) {
        int fd = raw_open(child);
        char bytes[1000];
        raw_send_text(fd, request);
        check_number("the beginning of an answer", "bytes", recv(fd, bytes, sizeof bytes, MSG_WAITALL), sizeof bytes);
        close(fd);
    }
    double start = now_ms();
    check_number("afterwards", "exit status", child_stop(child), 0);
    if (now_ms() - start > 5000 * slowness())
        check_number("afterwards", "milliseconds until the end (at most 5000)", (long long)(now_ms() - start), 0);
}

static void drain_has_an_end(void **state)
{
    (void)state;
    struct child *child = child_start(LIST("--drain-timeout-ms", "200"), NULL, NULL);
    const char *request = slow_request(child, 8000, "");
    int busy = raw_open(child);
    raw_send_text(busy, request);
    wait_ms(300);
    double start = now_ms();
    kill(child->pid, SIGTERM);
    struct answer answer = raw_read_answer(busy, false);
    check_problem_in("left over", &answer, 503, "draining", ANY_POINTER, NO_OFFSET, NULL);
    check_text("left over", "Retry-After", header_of(&answer, "Retry-After") ? "there" : "absent", "there");
    close(busy);
    check_number("left over", "exit status", child_wait(child), 0);
    if (now_ms() - start > 4000 * slowness())
        check_number("left over", "milliseconds until the end (at most 4000)", (long long)(now_ms() - start), 200);
}

static bool limit_becomes(struct child *child, const char *expected)
{
    for (double until = now_ms() + 5000 * slowness(); now_ms() < until; usleep(10000)) {
        const char *found = member_text(http_get(child, "/v1/info").body, "limits/max_body_bytes");
        if (found && !strcmp(found, expected))
            return true;
    }
    return false;
}

static void sighup_reloads(void **state)
{
    (void)state;
    struct child *child = child_start(LIST("--listen", "127.0.0.1:0"), NULL, "{\"max_body_bytes\": 1000}");
    check_number("before", "max_body_bytes is 1000", limit_becomes(child, "1000"), true);
    file_rewrite(child->config_path, "{\"max_body_bytes\": 2000}");
    kill(child->pid, SIGHUP);
    check_number("after", "max_body_bytes is 2000", limit_becomes(child, "2000"), true);
    const char *long_body = textf("{\"input\":[1],\"kernel\":[2]}%1500s", "");
    struct answer answer = http_call(child, &(struct call){.path = "/v1/convolve", .body = long_body});
    check_number("the new limit holds", "status", answer.status, 200);
    file_rewrite(child->config_path, "{\"max_body_bytes\": \"many\"}");
    kill(child->pid, SIGHUP);
    check_number("a broken file", "is logged", log_becomes(child, child->config_path), true);
    check_number("a broken file", "max_body_bytes is still 2000", limit_becomes(child, "2000"), true);
    file_rewrite(child->config_path, "{\"max_body_bytes\": 3000, \"threads\": 7}");
    kill(child->pid, SIGHUP);
    check_number("mended", "max_body_bytes is 3000", limit_becomes(child, "3000"), true);
    check_number("threads", "the log says restart", log_becomes(child, "restart"), true);
    check_number("reload", "exit status", child_stop(child), 0);
}

static void reloads_that_change_nothing(void **state)
{
    (void)state;
    enum { RELOADS = 1500 };
    struct child *child = child_start(LIST("--log-level", "error"), NULL, "{\"max_body_bytes\": 1000}");
    struct held before = {0};
    for (int i = 0; i < 2 * RELOADS; i++) {
        kill(child->pid, SIGHUP);
        usleep(1000);
        if (i == RELOADS)
            before = held_by(child);
    }
    check_given_back("reloads", child, before, 128);
    check_number("reloads", "exit status", child_stop(child), 0);
}

static void a_full_queue_refuses(void **state)
{
    (void)state;
    struct child *child = child_start(LIST("--queue-depth", "1", "--threads", "1"), NULL, NULL);
    const char *request = slow_request(child, 400, "");
    int fds[4];
    for (int i = 0; i < 4; i++) {
        fds[i] = raw_open(child);
        raw_send_text(fds[i], request);
    }
    check_number("/healthz under load", "status", http_get(child, "/healthz").status, 200);
    int served = 0, refused = 0;
    for (int i = 0; i < 4; i++) {
        struct answer answer = raw_read_answer(fds[i], false);
        served += answer.status == 200;
        if (answer.status == 503) {
            refused++;
            check_problem_in("beyond the queue", &answer, 503, "overloaded", ANY_POINTER, NO_OFFSET, NULL);
            const char *after = header_of(&answer, "Retry-After");
            if (!after || atoi(after) < 1)
                check_text("beyond the queue", "Retry-After", after, "1 or more");
        }
        close(fds[i]);
    }
    if (served < 1 || refused < 1 || served + refused != 4)
        complain("queue_depth 1", "%d served and %d refused of 4", served, refused);
    check_number("queue", "exit status", child_stop(child), 0);
}

static void connections_beyond_the_limit(void **state)
{
    (void)state;
    struct child *child = child_start(LIST("--max-connections", "2"), NULL, NULL);
    int first = raw_open(child), second = raw_open(child);
    static const char info[] = "GET /v1/info HTTP/1.1\r\nHost: h\r\n\r\n";
    raw_send_text(first, info);
    raw_send_text(second, info);
    check_number("the first", "status", raw_read_answer(first, false).status, 200);
    check_number("the second", "status", raw_read_answer(second, false).status, 200);
    int third = raw_open(child);
    raw_send_text(third, "GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n");
    check_number("the third, /healthz", "status", raw_read_answer(third, false).status, 200);
    close(third);
    third = raw_open(child);
    raw_send_text(third, info);
    struct answer answer = raw_read_answer(third, false);
    check_problem_in("the third", &answer, 503, "overloaded", ANY_POINTER, NO_OFFSET, NULL);
    if (!raw_is_closed(third, 3000))
        complain("the third", "stayed open");
    close(third);
    third = raw_open(child);
    if (!raw_is_closed(third, 4000))
        complain("the third, silent", "stayed open");
    close(third);
    close(first);
    close(second);
    check_number("connections", "exit status", child_stop(child), 0);
}

static void silence_and_dripping(void **state)
{
    (void)state;
    struct child *child = child_start(LIST("--idle-timeout-ms", "300", "--request-timeout-ms", "800"), NULL, NULL);
    int silent = raw_open(child), half = raw_open(child), kept = raw_open(child), drip = raw_open(child);
    raw_send_text(half, "POST /v1/convolve HTTP/1.1\r\nHost: h\r\nContent-Length: 26\r\n\r\n{\"inp");
    raw_send_text(kept, "GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n");
    raw_send_text(drip, "POST /v1/convolve HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\n");
    check_number("kept", "status", raw_read_answer(kept, false).status, 200);
    double start = now_ms();
    bool cut = false;
    while (!cut && now_ms() < start + 4000 * slowness()) {
        raw_send(drip, " ", 1);
        usleep(50000);
        char bytes[512];
        ssize_t got = recv(drip, bytes, sizeof bytes, MSG_DONTWAIT);
        cut = got == 0 || (got > 0 && !strncmp(bytes, "HTTP/1.1 408", 12)) || (got < 0 && errno == ECONNRESET);
    }
    if (!cut)
        complain("dripping", "the connection stayed open");
    if (!raw_is_closed(silent, 2000))
        complain("silent from the start", "the connection stayed open");
    if (!raw_is_closed(half, 2000))
        complain("silent in the body", "the connection stayed open");
    if (!raw_is_closed(kept, 2000))
        complain("silent between requests", "the connection stayed open");
    close(silent);
    close(half);
    close(kept);
    close(drip);
    check_number("silence", "exit status", child_stop(child), 0);
}

/* The library has a clock of its own, in whole seconds, which must not be the one that counts. */
static void silence_within_the_limits(void **state)
{
    (void)state;
    struct child *child = child_start(NULL, NULL, NULL);
    const int kept = raw_open(child), body = raw_open(child), fresh = raw_open(child);
    raw_send_text(kept, "GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n");
    check_number("kept", "status", raw_read_answer(kept, false).status, 200);
    raw_send_text(body, "POST /v1/convolve HTTP/1.1\r\nHost: h\r\nContent-Length: 26\r\n\r\n{\"inp");
    sleep(3);
    raw_send_text(body, "ut\":[1],\"kernel\":[2]}");
    check_number("silent in the body", "status", raw_read_answer(body, false).status, 200);
    raw_send_text(kept, "GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n");
    check_number("silent between requests", "status", raw_read_answer(kept, false).status, 200);
    raw_send_text(fresh, "GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n");
    check_number("silent from the start", "status", raw_read_answer(fresh, false).status, 200);
    close(kept);
    close(body);
    close(fresh);
    check_number("silence", "exit status", child_stop(child), 0);
}

/* Where the daemon is late itself, who has sent his request in time is not told that he was silent. */
static void the_silence_of_the_daemon(void **state)
{
    (void)state;
    const int idle_ms = (int)(300 * stretch());
    struct child *child = child_start(LIST("--idle-timeout-ms", textf("%d", idle_ms)), NULL, NULL);
    for (int i = 0; i < 4; i++) {
        const int fd = raw_open(child);
        usleep(20000); /* accepted */
        kill(child->pid, SIGSTOP);
        raw_send_text(fd, "GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n");
        usleep((useconds_t)idle_ms * 1500);
        kill(child->pid, SIGCONT);
        check_number("late by itself", "status", raw_read_answer(fd, false).status, 200);
        close(fd);
    }
    check_number("late by itself", "exit status", child_stop(child), 0);
}

/* An answer that its caller keeps taking, however slowly, is never cut; one of which nothing is taken is given up. */
static void answers_and_those_who_take_them(void **state)
{
    (void)state;
    enum { IDLE_MS = 600, WINDOW = 4096 };
    const int idle_ms = (int)(IDLE_MS * stretch());
    struct child *child = child_start(
        LIST("--idle-timeout-ms", textf("%d", idle_ms), "--request-timeout-ms", textf("%d", 2 * idle_ms)), NULL, NULL);
    const char *request =
        post_of("/v1/correlate", "{\"input\":[1],\"kernel\":[1],\"padding\":500000,\"fillvalue\":0.123456789}");
    int takes = raw_open_window(child, WINDOW), takes_nothing = raw_open_window(child, WINDOW);
    raw_send_text(takes, request);
    raw_send_text(takes_nothing, request);
    char bytes[1 << 16];
    size_t taken = 0;
    for (double until = now_ms() + 5 * idle_ms; now_ms() < until; usleep((useconds_t)idle_ms * 100)) {
        const ssize_t got = recv(takes, bytes, 1000, 0);
        if (got <= 0) {
            complain("who takes a little at a time", "was cut after %zu bytes", taken);
            break;
        }
        taken += (size_t)got;
    }
    for (ssize_t got; (got = recv(takes, bytes, sizeof bytes, 0)) > 0;) {
        taken += (size_t)got;
        if (memmem(bytes, (size_t)got, "\r\n0\r\n\r\n", 7) != NULL)
            break;
    }
    size_t left = 0;
    for (ssize_t got; (got = recv(takes_nothing, bytes, sizeof bytes, 0)) > 0;)
        left += (size_t)got;
    if (taken < 2000000)
        complain("who takes a little at a time", "got %zu bytes of more than 2000000", taken);
    if (left >= taken)
        complain("who takes nothing", "got all of it afterwards");
    close(takes);
    close(takes_nothing);
    check_number("takers", "exit status", child_stop(child), 0);
}

static void rate_limits(void **state)
{
    (void)state;
    struct child *child = child_start(LIST("--rate-limit-per-second", "2"), NULL, NULL);
    int refused = 0;
    const double start = now_ms();
    for (int i = 0; i < 12; i++) {
        struct answer answer = http_post(child, "/v1/convolve", "{'input':[1],'kernel':[2]}");
        check_text("any", "RateLimit-Policy", header_of(&answer, "RateLimit-Policy"), "\"default\";q=2;w=1");
        if (answer.status != 429) {
            check_number("within", "status", answer.status, 200);
            continue;
        }
        refused++;
        check_problem_in("beyond", &answer, 429, "rate-limited", ANY_POINTER, NO_OFFSET, NULL);
        const char *after = header_of(&answer, "Retry-After");
        if (!after || atoi(after) < 1)
            check_text("beyond", "Retry-After", after, "1 or more");
        check_number("what computes nothing", "status", http_get(child, "/v1/info").status, 200);
    }
    const int served_most = 3 + (int)(2 * (now_ms() - start) / 1000);
    if (12 - refused > served_most)
        complain("12 requests at once, 2 a second", "%d were served, at most %d should have been", 12 - refused,
                 served_most);
    check_number("rate", "exit status", child_stop(child), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        HTTP_TEST(what_it_tells),
        HTTP_TEST(a_deadline_stops_work),
        HTTP_TEST(a_hang_up_frees_the_work),
        HTTP_TEST(drain_finishes_what_was_accepted),
        HTTP_TEST(a_hang_up_in_the_answer),
        HTTP_TEST(drain_has_an_end),
        HTTP_TEST(sighup_reloads),
        HTTP_TEST(reloads_that_change_nothing),
        HTTP_TEST(a_full_queue_refuses),
        HTTP_TEST(connections_beyond_the_limit),
        HTTP_TEST(silence_and_dripping),
        HTTP_TEST(silence_within_the_limits),
        HTTP_TEST(the_silence_of_the_daemon),
        HTTP_TEST(answers_and_those_who_take_them),
        HTTP_TEST(rate_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
