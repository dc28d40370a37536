/* SPDX-License-Identifier: MIT */
/* What is refused before it costs anything: paths, methods, media types, bodies and work above a limit. A `too-large` names its
 * limit, what it allows and what was asked, so that a client can cut its work up. */
#include "tests/http/harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct child *small_child; /* every limit small */

static void check_too_large(const char *name, const struct answer *answer, const char *limit, const char *allowed,
                            const char *requested)
{
    check_problem_in(name, answer, 413, "too-large", ANY_POINTER, NO_OFFSET, NULL);
    check_member(name, answer, "limit", textf("'%s'", limit));
    check_member(name, answer, "allowed", allowed);
    const char *found = member_text(answer->body, "requested");
    if (requested)
        check_text(name, "requested", found, requested);
    else if (!found || atof(found) <= atof(allowed))
        check_text(name, "requested", found, textf("more than %s", allowed));
}

/* A request of exactly so many bytes. */
static const char *body_of(size_t bytes)
{
    const char *request = "{\"input\":[1],\"kernel\":[2]}";
    char *body = text_copy(textf("%*s", (int)bytes, ""), bytes);
    memcpy(body, request, strlen(request));
    return body;
}

static void bodies(void **state)
{
    (void)state;
    http_get(small_child, "/healthz");
    for (int chunked = 0; chunked < 2; chunked++) {
        const char *how = chunked ? "chunked" : "announced";
        struct call call = {.path = "/v1/convolve", .body = body_of(2000), .chunked = chunked};
        struct answer answer = http_call(small_child, &call);
        check_number(textf("as large as allowed, %s", how), "status", answer.status, 200);
        check_number(textf("as large as allowed, %s", how), "new connections", answer.connects, 0);
        call.body = body_of(2001);
        answer = http_call(small_child, &call);
        check_too_large(textf("a byte more, %s", how), &answer, "max_body_bytes", "2000", chunked ? NULL : "2001");
        call.body = body_of(1000000);
        answer = http_call(small_child, &call);
        check_too_large(textf("a megabyte, %s", how), &answer, "max_body_bytes", "2000", chunked ? NULL : "1000000");
        answer = http_post(small_child, "/v1/convolve", "{'input':[1],'kernel':[2]}");
        check_number(textf("afterwards, %s", how), "status", answer.status, 200);
    }
    struct call call = {.path = "/v1/convolve", .body = textf("x%s", body_of(3000))};
    struct answer answer = http_call(small_child, &call);
    check_too_large("announced before syntax", &answer, "max_body_bytes", "2000", "3001");
}

static void a_body_kept_and_read_on(void **state)
{
    (void)state;
    http_get(small_child, "/healthz");
    struct answer answer =
        http_call(small_child, &(struct call){.path = "/v1/convolve", .body = body_of(300000), .chunked = true});
    check_too_large("chunked", &answer, "max_body_bytes", "2000", NULL);
    answer = http_post(small_child, "/v1/convolve", "{'input':[1],'kernel':[2]}");
    check_number("after a chunked one", "status", answer.status, 200);
    check_number("after a chunked one", "new connections", answer.connects, 0);
}

/* What is announced and far too large is refused though not a byte of it comes. */
static void refused_from_the_announcement(void **state)
{
    (void)state;
    static const char *const lengths[] = {"100000000", "1000000000000", "9223372036854775807"};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        struct answer answer = raw_exchange(
            small_child, textf("POST /v1/convolve HTTP/1.1\r\nHost: h\r\nContent-Length: %s\r\n\r\n", lengths[i]));
        check_too_large(lengths[i], &answer, "max_body_bytes", "2000", lengths[i]);
    }
}

static void expect_100_continue(void **state)
{
    (void)state;
    int fd = raw_open(small_child);
    raw_send_text(fd, "POST /v1/convolve HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 2001\r\n\r\n");
    struct answer answer = raw_read_answer(fd, false); /* passes over a 100 */
    check_too_large("refused at once", &answer, "max_body_bytes", "2000", "2001");
    close(fd);

    fd = raw_open(small_child);
    raw_send_text(fd, "POST /v1/convolve HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 26\r\n"
                      "Connection: close\r\n\r\n");
    usleep(50000);
    raw_send_text(fd, "{\"input\":[1],\"kernel\":[2]}");
    const char *all = raw_read_to_close(fd, NULL, 10000);
    check_holds("asked for", "answer", all, "HTTP/1.1 100");
    check_holds("answered", "answer", all, "HTTP/1.1 200");
    close(fd);

    static const char *const headers[] = {"Expect: 100-continue", NULL};
    struct call call = {.path = "/v1/convolve", .body = body_of(5000), .headers = headers};
    answer = http_call(small_child, &call);
    check_too_large("by libcurl", &answer, "max_body_bytes", "2000", "5000");
}

static void outputs_and_work(void **state)
{
    (void)state;
    http_get(small_child, "/healthz");
    static const struct {
        const char *name, *request, *limit, *allowed, *requested; /* limit NULL: it passes */
    } cases[] = {
        {"800 bytes of output", "{'input':[1],'kernel':[1],'padding':[[0,99]]}", NULL, NULL, NULL},
        {"808 bytes of output", "{'input':[1],'kernel':[1],'padding':[[100,0]]}", "max_output_bytes", "800", "808"},
        {"804 bytes of float32", "{'input':[1],'kernel':[1],'padding':100,'dtype':'float32'}", "max_output_bytes",
         "800", "804"},
        {"816 bytes of complex128", "{'input':[1],'kernel':[1],'padding':25,'dtype':'complex128'}", "max_output_bytes",
         "800", "816"},
        {"a huge output", "{'input':[1],'kernel':[1],'padding':1000000000000}", "max_output_bytes", "800",
         "16000000000008"},
        {"stride makes it small", "{'input':[1],'kernel':[1],'padding':[[0,9900]],'stride':100}", NULL, NULL, NULL},
        {"91 by 11 multiply-adds",
         "{'input':[1,1],'kernel':[1,1,1,1,1,1,1,1,1,1,1],'padding':[[0,99]],"
         "'method':'direct'}",
         "max_work", "1000", "1001"},
        {"91 by 10 multiply-adds",
         "{'input':[1],'kernel':[1,1,1,1,1,1,1,1,1,1],'padding':[[0,99]],"
         "'method':'direct'}",
         NULL, NULL, NULL},
        {"dilation costs nothing",
         "{'input':[1],'kernel':[1,1],'padding':[[0,1000000099]],'dilation':1000000000,"
         "'method':'direct'}",
         NULL, NULL, NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct answer answer = http_post(small_child, "/v1/correlate", cases[i].request);
        if (cases[i].limit)
            check_too_large(cases[i].name, &answer, cases[i].limit, cases[i].allowed, cases[i].requested);
        else if (answer.status != 200)
            complain(cases[i].name, "status\n        found    %ld %s\n        expected 200", answer.status,
                     answer.body);
        check_number(cases[i].name, "new connections", answer.connects, 0);
        struct answer plan = http_post(small_child, "/v1/correlate", textf("{'plan':true,%s", cases[i].request + 1));
        check_number(textf("%s: a plan is never too large", cases[i].name), "status", plan.status, 200);
    }
    check_problem(small_child, "shapes before cost", "/v1/convolve", "{'input':[[1]],'kernel':[1],'padding':1000000}",
                  422, "shape-mismatch", ANY_POINTER, NO_OFFSET, NULL);
}

static void memory(void **state)
{
    (void)state;
    static const char *const flags[] = {"--max-memory-bytes", "1000000", NULL};
    struct child *child = child_start(flags, NULL, NULL);
    struct answer answer = http_post(child, "/v1/convolve", "{'input':[1],'kernel':[1],'padding':1000000,'stride':2}");
    check_too_large("an output of 8 MB", &answer, "max_memory_bytes", "1000000", NULL);
    char *body = malloc(2000100), *to = stpcpy(body, "{\"input\":[1");
    for (size_t i = 0; i < 1000000; i++)
        to = stpcpy(to, ",1");
    strcpy(to, "],\"kernel\":[1]}");
    answer = http_call(child, &(struct call){.path = "/v1/convolve", .body = body});
    check_too_large("an input of 8 MB", &answer, "max_memory_bytes", "1000000", NULL);
    free(body);
    check_output(child, "afterwards", "/v1/convolve", "{'input':[1],'kernel':[2]}", "[2]");
    check_number("memory", "exit status", child_stop(child), 0);
}

/* What a request holds beside what its plan tells, and its workers' part, are its own: where they do not fit, no waiting helps. */
static void memory_of_one_request_is_never_overload(void **state)
{
    (void)state;
    static const struct {
        const char *path, *request;
    } cases[] = {
        {"/v1/convolve", "{'input':[[1]],'kernel':{'name':'gaussian','sigma':1},'padding':300,'method':'separable'}"},
        {"/v1/conv_transpose", "{'input':[[[1,2],[3,4]]],'weight':[[[[1]],[[2]],[[3]],[[4]]]],'stride':150}"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct answer plan =
            http_post(daemon_child, cases[i].path, textf("{'plan':true,%s", cases[i].request + 1));
        const char *const bytes = member_text(plan.body, "bytes");
        assert_non_null(bytes);
        const long long known = atoll(bytes);
        bool served = false;
        for (long long more = 1 << 12; !served && more < 1 << 25; more += more < 1 << 16 ? 1 << 12 : more) {
            const char *const allowed = textf("%lld", known + more);
            const char *const name = textf("%s, %lld bytes more", cases[i].path, more);
            const char *const flags[] = {"--max-memory-bytes", allowed, "--threads", "2", NULL};
            struct child *child = child_start(flags, NULL, NULL);
            const struct answer answer = http_post(child, cases[i].path, cases[i].request);
            served = answer.status == 200;
            if (!served)
                check_too_large(name, &answer, "max_memory_bytes", allowed, NULL);
            check_number(name, "exit status", child_stop(child), 0);
        }
        check_number(cases[i].path, "served at last", served, true);
    }
}

static void paths_and_methods(void **state)
{
    (void)state;
    static const struct {
        const char *method, *path;
        int status;
        const char *slug, *allow; /* a word that Allow must hold */
    } cases[] = {
        {"GET", "/v1/convolve", 405, "method-not-allowed", "POST"},
        {"PUT", "/v1/convolve", 405, "method-not-allowed", "POST"},
        {"DELETE", "/v1/correlate", 405, "method-not-allowed", "POST"},
        {"PATCH", "/v1/correlate", 405, "method-not-allowed", "OPTIONS"},
        {"HEAD", "/v1/convolve", 405, NULL, "POST"},
        {"TRACE", "/v1/convolve", 405, "method-not-allowed", "POST"},
        {"get", "/healthz", 405, "method-not-allowed", "GET"},
        {"BREW", "/healthz", 405, "method-not-allowed", "GET"},
        {"DELETE", "/healthz", 405, "method-not-allowed", "HEAD"},
        {"PUT", "/v1/info", 405, "method-not-allowed", "GET"},
        {"GET", "/v1/convolv", 404, "not-found", NULL},
        {"GET", "/v1", 404, "not-found", NULL},
        {"PUT", "/nowhere", 404, "not-found", NULL},
        {"GET", "/V1/info", 404, "not-found", NULL},
        {"GET", "/v1/info/", 404, "not-found", NULL},
        {"GET", "//v1/info", 404, "not-found", NULL},
        {"GET", "/v1//info", 404, "not-found", NULL},
        {"GET", "/v1/./info", 404, "not-found", NULL},
        {"GET", "/x/../v1/info", 404, "not-found", NULL},
        {"GET", "/v1%2Finfo", 404, "not-found", NULL},
        {"GET", "/v1%2finfo", 404, "not-found", NULL},
        {"GET", "/healthz%00", 404, "not-found", NULL},
        {"GET", "/healthz%00x", 404, "not-found", NULL},
        {"GET", "/%2e/healthz", 404, "not-found", NULL},
        {"GET", "/healthz%20", 404, "not-found", NULL},
        {"GET", "/problems/nope", 404, "not-found", NULL},
        {"GET", "/problems/", 404, "not-found", NULL},
    };
    http_get(daemon_child, "/healthz");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *name = textf("%s %s", cases[i].method, cases[i].path);
        struct call call = {.method = cases[i].method, .path = cases[i].path};
        struct answer answer = http_call(daemon_child, &call);
        if (cases[i].slug)
            check_problem_in(name, &answer, cases[i].status, cases[i].slug, NULL, NO_OFFSET, NULL);
        else
            check_number(name, "status", answer.status, cases[i].status);
        if (cases[i].allow)
            check_holds(name, "Allow", header_of(&answer, "Allow"), cases[i].allow);
    }
    struct answer answer = http_get(daemon_child, "/v1/%69nfo");
    check_number("a letter coded", "status", answer.status, 200);
    answer = http_get(daemon_child, "/v1/info?x=/../%2F");
    check_number("a query does not count", "status", answer.status, 200);
}

static void media_types(void **state)
{
    (void)state;
    static const struct {
        const char *header;
        int status;
        const char *slug;
    } cases[] = {
        {"Content-Type: image/png", 415, "unsupported-media-type"},
        {"Content-Type: image/jpeg", 415, "unsupported-media-type"},
        {"Content-Encoding: br", 415, "unsupported-media-type"},
        {"Content-Encoding: deflate", 415, "unsupported-media-type"},
        {"Content-Encoding: nonsense", 415, "unsupported-media-type"},
        {"Accept: image/png", 406, "not-acceptable"},
        {"Accept: text/html", 406, "not-acceptable"},
        {"Accept: application/json;q=0", 406, "not-acceptable"},
        {"Accept: application/json", 200, NULL},
        {"Accept: APPLICATION/JSON", 200, NULL},
        {"Accept: */*", 200, NULL},
        {"Accept: image/png, */*;q=0.1", 200, NULL},
        {"Accept: application/*", 200, NULL},
        {"Accept: text/html;level=1;q=0.7, application/json;q=0.001", 200, NULL},
        {"Accept: ;;;", 200, NULL},
        {"Accept:", 200, NULL},
        {"Content-Encoding: identity", 200, NULL},
    };
    http_get(daemon_child, "/healthz");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *const headers[] = {cases[i].header, NULL};
        struct call call = {.path = "/v1/convolve", .body = "{\"input\":[1],\"kernel\":[2]}", .headers = headers};
        struct answer answer = http_call(daemon_child, &call);
        if (cases[i].slug)
            check_problem_in(cases[i].header, &answer, cases[i].status, cases[i].slug, NULL, NO_OFFSET, NULL);
        else
            check_number(cases[i].header, "status", answer.status, cases[i].status);
    }
    static const char *const only_pictures[] = {"Accept: image/png", NULL};
    struct call call = {.path = "/v1/convolv", .headers = only_pictures};
    struct answer answer = http_call(daemon_child, &call);
    check_problem_in("problems are sent whatever Accept says", &answer, 404, "not-found", NULL, NO_OFFSET, NULL);
    static const char *const wrong_twice[] = {"Content-Type: image/png", NULL};
    call = (struct call){.path = "/v1/convolve", .body = body_of(3000), .headers = wrong_twice};
    answer = http_call(small_child, &call);
    check_problem_in("media type before length", &answer, 415, "unsupported-media-type", NULL, NO_OFFSET, NULL);
    call = (struct call){.method = "PUT", .path = "/v1/convolve", .body = "{", .headers = wrong_twice};
    answer = http_call(daemon_child, &call);
    check_problem_in("method before media type", &answer, 405, "method-not-allowed", NULL, NO_OFFSET, NULL);
}

/* Every problem's type is a page. */
static void problem_pages(void **state)
{
    (void)state;
    static const char *const slugs[] = {
        "malformed-request",  "malformed-json",   "malformed-encoding", "unauthorized",  "not-found",
        "method-not-allowed", "not-acceptable",   "request-timeout",    "too-large",     "unsupported-media-type",
        "headers-too-large",  "missing-member",   "unknown-member",     "invalid-value", "duplicate-member",
        "ragged-array",       "not-a-number",     "shape-mismatch",     "empty-tensor",  "unknown-kernel",
        "non-finite-result",  "integer-overflow", "rate-limited",       "overloaded",    "draining",
        "deadline-exceeded",  "channels-flipped", "places-changed",
    };
    for (size_t i = 0; i < sizeof slugs / sizeof *slugs; i++) {
        struct answer answer = http_get(daemon_child, textf("/problems/%s", slugs[i]));
        check_number(slugs[i], "status", answer.status, 200);
        check_holds(slugs[i], "page", answer.body, slugs[i]);
    }
}

static int start(void **state)
{
    static const char *const flags[] = {
        "--max-body-bytes", "2000", "--max-output-bytes", "800", "--max-work", "1000", NULL};
    small_child = child_start(flags, NULL, NULL);
    return daemon_start(state);
}

static int stop(void **state)
{
    const int small_status = child_stop(small_child);
    return daemon_stop(state) == 0 && small_status == 0 ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        HTTP_TEST(bodies),
        HTTP_TEST(a_body_kept_and_read_on),
        HTTP_TEST(refused_from_the_announcement),
        HTTP_TEST(expect_100_continue),
        HTTP_TEST(outputs_and_work),
        HTTP_TEST(memory),
        HTTP_TEST(memory_of_one_request_is_never_overload),
        HTTP_TEST(paths_and_methods),
        HTTP_TEST(media_types),
        HTTP_TEST(problem_pages),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
