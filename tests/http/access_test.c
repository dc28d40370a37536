/* SPDX-License-Identifier: MIT */
/* Who may come in: API keys, on which paths, and when they are asked for; rates of keys and of addresses; what a browser is told;
 * what is logged of a caller, and that a key never is. */
#include "tests/http/harness.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LIST(...) ((const char *const[]){__VA_ARGS__, NULL})

/* The second one's hash stands in the file: printf %s hashed | sha256sum. */
#define FIRST  "first-key-0123456789"
#define HASHED "hashed"
static const char keys[] = "# comment\r\n\r\n" FIRST "\r\n"
                           "sha256:1a06df824ed741b53c785079a6347f00eec5af82f9850775409ca69dff4068a6\n";
static const char small[] = "{\"input\":[1],\"kernel\":[2]}";

static struct answer ask(struct child *child, const char *method, const char *path, const char *header)
{
    const bool has_body = strcmp(method, "POST") == 0;
    return http_call(child, &(struct call){.method = method,
                                           .path = path,
                                           .body = has_body ? small : NULL,
                                           .headers = header != NULL ? LIST(header) : NULL});
}

static void check_unauthorized(const char *name, const struct answer *answer)
{
    check_problem_in(name, answer, 401, "unauthorized", NULL, NO_OFFSET, NULL);
    check_text(name, "WWW-Authenticate", header_of(answer, "WWW-Authenticate"), "Bearer");
}

static void paths_and_keys(void **state)
{
    static const struct {
        const char *method, *path;
        bool open; /* without a key */
        int status; /* with one */
    } cases[] = {
        {"GET", "/healthz", true, 200},
        {"HEAD", "/healthz", true, 200},
        {"GET", "/readyz", true, 200},
        {"GET", "/metrics", true, 200},
        {"GET", "/", true, 200},
        {"HEAD", "/", true, 200},
        {"GET", "/docs", true, 200},
        {"GET", "/openapi.json", false, 200},
        {"POST", "/v1/convolve", false, 200},
        {"POST", "/v1/conv", false, 422},
        {"GET", "/v1/info", false, 200},
        {"HEAD", "/v1/info", false, 200},
        {"GET", "/v1/kernels", false, 200},
        {"GET", "/v1/kernels/sobel_x", false, 200},
        {"GET", "/problems/unauthorized", false, 200},
        {"GET", "/nowhere", false, 404},
        {"GET", "/healthz/", false, 404},
        {"GET", "/healthz%2F..%2Fv1%2Finfo", false, 404},
        {"POST", "/healthz", false, 405},
        {"PUT", "/v1/convolve", false, 405},
        {"OPTIONS", "/v1/convolve", false, 204},
    };
    static const struct {
        const char *header;
        bool right;
    } sent[] = {
        {NULL, false},
        {"Authorization: Bearer " FIRST, true},
        {"Authorization: bearer  " FIRST, true},
        {"Authorization: Bearer " HASHED, true},
        {"Authorization: Bearer " FIRST "x", false},
        {"Authorization: Bearer first-key-012345678", false},
        {"Authorization: Bearer FIRST-KEY-0123456789", false},
        {"Authorization: Basic " FIRST, false},
        {"Authorization: " FIRST, false},
        {"Authorization: Bearer # comment", false},
        {"Authorization: Bearer sha256:1a06df824ed741b53c785079a6347f00eec5af82f9850775409ca69dff4068a6", false},
        {"X-Api-Key: " FIRST, false},
        {"Proxy-Authorization: Bearer " FIRST, false},
    };
    (void)state;
    struct child *child = child_start(LIST("--api-keys-file", file_with(keys)), NULL, NULL);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *name = textf("%s %s", cases[i].method, cases[i].path);
        struct answer answer = ask(child, cases[i].method, cases[i].path, NULL);
        if (cases[i].open)
            check_number(name, "status without a key", answer.status, cases[i].status);
        else if (strcmp(cases[i].method, "HEAD") == 0)
            check_number(name, "status without a key", answer.status, 401);
        else
            check_unauthorized(name, &answer);
        answer = ask(child, cases[i].method, cases[i].path, "Authorization: Bearer " FIRST);
        check_number(name, "status with a key", answer.status, cases[i].status);
    }
    for (size_t i = 0; i < sizeof sent / sizeof *sent; i++) {
        const char *name = sent[i].header != NULL ? sent[i].header : "no key";
        const struct answer answer = ask(child, "POST", "/v1/convolve", sent[i].header);
        if (sent[i].right)
            check_number(name, "status", answer.status, 200);
        else
            check_unauthorized(name, &answer);
    }
    const struct answer answer = http_call(
        child, &(struct call){.path = "/v1/info",
                              .headers = LIST("Authorization: Bearer " FIRST, "Authorization: Bearer " FIRST)});
    check_unauthorized("a key sent twice", &answer);
    const char *log = child_log(child);
    if (strstr(log, FIRST) != NULL || strstr(log, HASHED) != NULL || strstr(log, "Bearer") != NULL)
        complain("the log", "holds a key:\n%s", log);
    check_number("keys", "exit status", child_stop(child), 0);

    const struct finished finished = daemon_run(LIST("--print-config", "--api-keys-file", file_with(keys)), NULL);
    check_number("--print-config", "exit status", finished.status, 0);
    if (strstr(finished.out, FIRST) != NULL || strstr(finished.out, "1a06df") != NULL)
        complain("--print-config", "holds a key: %s", finished.out);
}

/* The order of faults: the key before path, method, rate, media type and length; HTTP before the key. */
static void a_key_comes_before_the_body(void **state)
{
    static const struct {
        const char *name, *request;
        int status;
        const char *slug;
    } cases[] = {
        {"a body that never comes", "POST /v1/convolve HTTP/1.1\r\nHost: h\r\nContent-Length: 1000\r\n\r\n", 401,
         "unauthorized"},
        {"chunks that never come", "POST /v1/convolve HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n", 401,
         "unauthorized"},
        {"who waits to be told",
         "POST /v1/convolve HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 1000\r\n\r\n", 401,
         "unauthorized"},
        {"too large as well", "POST /v1/convolve HTTP/1.1\r\nHost: h\r\nContent-Length: 99999999999\r\n\r\n", 401,
         "unauthorized"},
        {"a media type as well",
         "POST /v1/convolve HTTP/1.1\r\nHost: h\r\nContent-Type: image/png\r\nContent-Length: 1000\r\n\r\n", 401,
         "unauthorized"},
        {"HTTP at fault", "POST /v1/convolve HTTP/1.1\r\nContent-Length: 1000\r\n\r\n", 400, "malformed-request"},
    };
    (void)state;
    struct child *child = child_start(LIST("--api-keys-file", file_with(keys)), NULL, NULL);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const int fd = raw_open(child);
        raw_send_text(fd, cases[i].request);
        const struct answer answer = raw_read_answer(fd, false);
        check_problem_in(cases[i].name, &answer, cases[i].status, cases[i].slug, NULL, NO_OFFSET, NULL);
        if (!raw_is_closed(fd, 3000))
            complain(cases[i].name, "the connection stayed open, with a body on its way");
        close(fd);
    }
    check_number("bodies", "exit status", child_stop(child), 0);
}

static void what_browsers_are_told(void **state)
{
    static const char preflight[] = "OPTIONS %s HTTP/1.1\r\nHost: h\r\nOrigin: https://a.example\r\n"
                                    "Access-Control-Request-Method: POST\r\n"
                                    "Access-Control-Request-Headers: authorization, content-type\r\n\r\n";
    static const char *const exposed[] = {"Server-Timing",     "X-Request-Id",     "Retry-After",
                                          "RateLimit",         "RateLimit-Policy", "Convolved-Method",
                                          "Convolved-Flipped", "Convolved-Notes",  "Convolved-Error-Bound"};
    static const struct {
        const char *name, *origins, *allowed;
    } cases[] = {
        {"one of a list", "https://b.example,https://a.example", "https://a.example"},
        {"all", "*", "*"},
        {"another", "https://b.example", NULL},
        {"none", "", NULL},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *name = cases[i].name, *allowed = cases[i].allowed;
        struct child *child =
            child_start(LIST("--api-keys-file", file_with(keys), "--cors-origins", cases[i].origins), NULL, NULL);
        struct answer answer = raw_exchange(child, textf(preflight, "/v1/convolve"));
        check_number(name, "status of a preflight without a key", answer.status, 204);
        check_text(name, "preflight", header_of(&answer, "Access-Control-Allow-Origin"), allowed);
        if (allowed != NULL) {
            check_holds(name, "preflight", header_of(&answer, "Access-Control-Allow-Methods"), "POST");
            check_holds(name, "preflight", header_of(&answer, "Access-Control-Allow-Headers"), "Authorization");
        }
        answer = raw_exchange(child, textf(preflight, "/nowhere"));
        check_problem_in(name, &answer, 404, "not-found", NULL, NO_OFFSET, NULL);
        static const char *const authorizations[] = {"Authorization: Bearer " FIRST, "Authorization: Bearer wrong"};
        for (size_t k = 0; k < 2; k++) { /* a refusal is for the page to read, too */
            answer = http_call(child, &(struct call){.path = "/v1/convolve",
                                                     .body = small,
                                                     .headers = LIST(authorizations[k], "Origin: https://a.example")});
            check_number(name, "status", answer.status, k == 0 ? 200 : 401);
            check_text(name, "allowed", header_of(&answer, "Access-Control-Allow-Origin"), allowed);
            check_text(name, "Timing-Allow-Origin", header_of(&answer, "Timing-Allow-Origin"), allowed);
            check_text(name, "credentials", header_of(&answer, "Access-Control-Allow-Credentials"), NULL);
            const char *list = header_of(&answer, "Access-Control-Expose-Headers");
            for (size_t h = 0; h < sizeof exposed / sizeof *exposed && allowed != NULL; h++)
                check_holds(name, "exposed", list, exposed[h]);
            if (allowed == NULL)
                check_text(name, "exposed", list, NULL);
        }
        check_number(name, "exit status", child_stop(child), 0);
    }
}

/* ---- Rates ---- */

enum { RATE = 5 };

/* Requests in one write, so that however slow the machine or the build is little time passes among them. `header`: a line with its
 * end. What was refused is checked against the time that it took: a bucket of RATE, which is filled again within a second. */
static int refused_of(struct child *child, const char *name, int count, const char *header)
{
    const char *one =
        textf("POST /v1/convolve HTTP/1.1\r\nHost: h\r\n%sContent-Length: %zu\r\n\r\n%s", header, strlen(small), small);
    char *all = text_room((size_t)count * strlen(one) + 1);
    int refused = 0;
    all[0] = '\0';
    for (int i = 0; i < count; i++)
        strcat(all, one);
    const int fd = raw_open(child);
    const double start = now_ms();
    raw_send_text(fd, all);
    for (int i = 0; i < count; i++) {
        const struct answer answer = raw_read_answer(fd, false);
        check_text(name, "RateLimit-Policy", header_of(&answer, "RateLimit-Policy"),
                   textf("\"default\";q=%d;w=1", RATE));
        const char *left = header_of(&answer, "RateLimit");
        if (left == NULL || strncmp(left, "\"default\";r=", 12) != 0 || strcmp(left + strlen(left) - 4, ";t=1") != 0)
            check_text(name, "RateLimit", left, "\"default\";r=N;t=1");
        if (answer.status == 429) {
            check_problem_in(name, &answer, 429, "rate-limited", NULL, NO_OFFSET, NULL);
            check_text(name, "Retry-After", header_of(&answer, "Retry-After"), "1");
            refused++;
        } else {
            check_number(name, "status", answer.status, 200);
        }
    }
    close(fd);
    const int served_most = RATE + 1 + (int)(RATE * (now_ms() - start) / 1000);
    if (count - refused > served_most)
        complain(name, "%d of %d were served, at most %d should have been", count - refused, count, served_most);
    return refused;
}

static void rates_of_keys_and_of_addresses(void **state)
{
    (void)state;
    struct child *child =
        child_start(LIST("--rate-limit-per-second", textf("%d", RATE), "--api-keys-file", file_with(keys)), NULL, NULL);
    const char *first = "Authorization: Bearer " FIRST "\r\n", *second = "Authorization: Bearer " HASHED "\r\n";
    const int of_first = refused_of(child, "the first key", 15, first);
    if (of_first > 15 - RATE)
        check_number("the first key", "refused of 15, at most", of_first, 15 - RATE);
    check_number("another key has its own", "refused of 4", refused_of(child, "another key", 4, second), 0);
    const struct answer answer = ask(child, "POST", "/v1/convolve", NULL);
    check_unauthorized("without a key", &answer);
    check_text("without a key", "RateLimit", header_of(&answer, "RateLimit"), NULL);
    for (int i = 0; i < 20; i++)
        check_number("what computes nothing", "status",
                     ask(child, "GET", "/v1/info", "Authorization: Bearer " FIRST).status, 200);
    sleep(1);
    check_number("a second later", "refused of 4", refused_of(child, "a second later", 4, first), 0);
    check_number("keys", "exit status", child_stop(child), 0);

    child =
        child_start(LIST("--rate-limit-per-second", textf("%d", RATE), "--trusted-proxies", "127.0.0.0/8"), NULL, NULL);
    refused_of(child, "an address behind a proxy", 15, "X-Forwarded-For: 203.0.113.5, 198.51.100.9\r\n");
    check_number("another behind it", "refused of 4",
                 refused_of(child, "another", 4, "X-Forwarded-For: 203.0.113.5\r\n"), 0);
    const double start = now_ms();
    const int again = refused_of(child, "what stands further left", 6, "X-Forwarded-For: 192.0.2.1, 198.51.100.9\r\n");
    if (again == 0 && now_ms() - start < 1000 / RATE)
        complain("what stands further left", "was believed");
    check_holds("the log", "client", child_log(child), "client=\"198.51.100.9\"");
    check_number("proxies", "exit status", child_stop(child), 0);

    child = child_start(LIST("--rate-limit-per-second", textf("%d", RATE)), NULL, NULL);
    refused_of(child, "a stranger", 15, "X-Forwarded-For: 203.0.113.5\r\n");
    const double second_start = now_ms();
    if (refused_of(child, "a stranger's X-Forwarded-For", 8, "X-Forwarded-For: 203.0.113.6\r\n") == 0 &&
        now_ms() - second_start < 1000 / RATE)
        complain("a stranger's X-Forwarded-For", "was believed");
    check_holds("the log", "client", child_log(child), "client=\"127.0.0.1\"");
    check_number("no proxies", "exit status", child_stop(child), 0);
}

/* ---- Reload, log, warnings ---- */

static bool status_becomes(struct child *child, const char *header, long status)
{
    for (double until = now_ms() + 5000 * slowness(); now_ms() < until; usleep(10000))
        if (ask(child, "GET", "/v1/info", header).status == status)
            return true;
    return false;
}

static void keys_are_read_again(void **state)
{
    (void)state;
    const char *file = file_with("old\n"), *old = "Authorization: Bearer old", *fresh = "Authorization: Bearer fresh";
    struct child *child = child_start(LIST("--api-keys-file", file), NULL, NULL);
    check_number("before", "the old key", ask(child, "GET", "/v1/info", old).status, 200);
    check_number("before", "the new key", ask(child, "GET", "/v1/info", fresh).status, 401);
    file_rewrite(file, "fresh\n");
    check_number("not yet", "the old key", ask(child, "GET", "/v1/info", old).status, 200);
    kill(child->pid, SIGHUP);
    check_number("reloaded", "the new key comes in", status_becomes(child, fresh, 200), true);
    check_number("reloaded", "the old key does not", ask(child, "GET", "/v1/info", old).status, 401);
    file_rewrite(file, "sha256:short\n");
    kill(child->pid, SIGHUP);
    check_number("a broken file", "is logged", log_becomes(child, "nothing was changed"), true);
    check_number("a broken file", "the key still comes in", ask(child, "GET", "/v1/info", fresh).status, 200);
    file_rewrite(file, "# nobody\n");
    kill(child->pid, SIGHUP);
    check_number("a file without a key", "nobody comes in", status_becomes(child, fresh, 401), true);
    check_number("a file without a key", "health does", ask(child, "GET", "/healthz", NULL).status, 200);
    check_number("reload", "exit status", child_stop(child), 0);
    const struct finished finished =
        daemon_run(LIST("--api-keys-file", file_with("# nobody\n"), "--listen", "127.0.0.1:0"), NULL);
    check_number("a file without a key at start", "exit status", finished.status, 2);
    check_holds("a file without a key at start", "standard error", finished.err, "api_keys_file");
}

static void traces_are_checked(void **state)
{
    static const struct {
        const char *name, *sent, *logged; /* NULL: nothing */
    } cases[] = {
        {"version 0", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
         "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"},
        {"a later version", "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
         "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"},
        {"version 0 goes on", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more", NULL},
        {"version 255", "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", NULL},
        {"a trace of zeros", "00-00000000000000000000000000000000-00f067aa0ba902b7-01", NULL},
        {"a parent of zeros", "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01", NULL},
        {"upper case", "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01", NULL},
        {"cut", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7", NULL},
        {"injected", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01 level=error", NULL},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct child *child = child_start(NULL, NULL, NULL);
        const struct answer answer = ask(child, "GET", "/v1/info", textf("traceparent: %s", cases[i].sent));
        check_number(cases[i].name, "status", answer.status, 200);
        check_number(cases[i].name, "exit status after it", kill(child->pid, SIGTERM), 0);
        check_number(cases[i].name, "is logged", log_becomes(child, "path=\"/v1/info\""), true);
        const char *log = child_log(child);
        if (cases[i].logged != NULL)
            check_holds(cases[i].name, "log", log, textf("traceparent=\"%s\"\n", cases[i].logged));
        else if (strstr(log, "traceparent") != NULL)
            complain(cases[i].name, "was logged: %s", log);
        check_number(cases[i].name, "exit status", child_wait(child), 0);
    }
}

static void public_addresses_are_warned_of(void **state)
{
    (void)state;
    const char *key_file = file_with(keys);
    const struct {
        const char *name;
        const char *const *flags;
        const char *word; /* NULL: no warning */
    } cases[] = {
        {"loopback", LIST("--listen", "127.0.0.1:0"), NULL},
        {"another loopback", LIST("--listen", "127.1.2.3:0"), NULL},
        {"every address", LIST("--listen", "0.0.0.0:0"), "set api_keys_file, tls_certificate and tls_key"},
        {"with keys", LIST("--listen", "0.0.0.0:0", "--api-keys-file", key_file), "set tls_certificate and tls_key"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct child *child = child_start(cases[i].flags, NULL, NULL);
        const char *log = child_log(child);
        if (cases[i].word != NULL) {
            check_holds(cases[i].name, "log", log, cases[i].word);
            check_holds(cases[i].name, "log", log, "level=warning");
        } else if (strstr(log, "warning") != NULL) {
            complain(cases[i].name, "a warning: %s", log);
        }
        check_number(cases[i].name, "exit status", child_stop(child), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        HTTP_TEST(paths_and_keys),
        HTTP_TEST(a_key_comes_before_the_body),
        HTTP_TEST(what_browsers_are_told),
        HTTP_TEST(rates_of_keys_and_of_addresses),
        HTTP_TEST(keys_are_read_again),
        HTTP_TEST(traces_are_checked),
        HTTP_TEST(public_addresses_are_warned_of),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
