/* SPDX-License-Identifier: MIT */
/* HTTP by the byte: faults of framing, which smugglers live on; old and odd clients; pipelines, pieces and hang-ups. What
 * libmicrohttpd answers by itself (no request could be read) may come with its own body: there only the status counts. */
#include "tests/http/harness.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define BODY   "{\"input\":[1],\"kernel\":[2]}" /* 26 bytes */
#define LENGTH "Content-Length: 26\r\n"
#define POST   "POST /v1/convolve HTTP/1.1\r\n"
#define HOST   "Host: h\r\n"

/* The HTTP is at fault: 400 malformed-request, then the connection is closed, and what followed is no second request. */
static void framing_faults(void **state)
{
    (void)state;
    static const struct {
        const char *name, *request;
    } cases[] = {
        {"no Host", POST LENGTH "\r\n" BODY},
        {"two Hosts", POST HOST "Host: h\r\n" LENGTH "\r\n" BODY},
        {"two different Hosts", "GET /healthz HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"},
        {"no Host on GET", "GET /healthz HTTP/1.1\r\n\r\n"},
        {"Content-Length twice", POST HOST LENGTH LENGTH "\r\n" BODY},
        {"two Content-Lengths", POST HOST LENGTH "Content-Length: 5\r\n\r\n" BODY},
        {"Content-Length and chunked",
         POST HOST LENGTH "Transfer-Encoding: chunked\r\n\r\n1a\r\n" BODY "\r\n0\r\n\r\n"},
        {"chunked and Content-Length",
         POST HOST "Transfer-Encoding: chunked\r\n" LENGTH "\r\n1a\r\n" BODY "\r\n0\r\n\r\n"},
        {"gzip, chunked", POST HOST "Transfer-Encoding: gzip, chunked\r\n\r\n1a\r\n" BODY "\r\n0\r\n\r\n"},
        {"identity", POST HOST "Transfer-Encoding: identity\r\n\r\n" BODY},
        {"xchunked", POST HOST "Transfer-Encoding: xchunked\r\n\r\n1a\r\n" BODY "\r\n0\r\n\r\n"},
        {"chunked twice",
         POST HOST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n1a\r\n" BODY "\r\n0\r\n\r\n"},
        {"space before the colon of Content-Length", POST HOST "Content-Length : 26\r\n\r\n" BODY},
        {"space before the colon of Transfer-Encoding",
         POST HOST "Transfer-Encoding : chunked\r\n\r\n1a\r\n" BODY "\r\n0\r\n\r\n"},
        {"a name with a space", POST HOST "X Y: 1\r\n" LENGTH "\r\n" BODY},
        {"a name in parentheses", POST HOST "X(Y): 1\r\n" LENGTH "\r\n" BODY},
        {"a name beyond ASCII", POST HOST "X\xc3\xa9: 1\r\n" LENGTH "\r\n" BODY},
        {"a control character in a value", POST HOST "X: a\001b\r\n" LENGTH "\r\n" BODY},
        {"DEL in a value", POST HOST "X: a\177b\r\n" LENGTH "\r\n" BODY},
        {"HTTP/1.0 with Transfer-Encoding",
         "POST /v1/convolve HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n1a\r\n" BODY "\r\n0\r\n\r\n"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int fd = raw_open(daemon_child);
        raw_send_text(fd, cases[i].request);
        struct answer answer = raw_read_answer(fd, false);
        check_problem_in(cases[i].name, &answer, 400, "malformed-request", ANY_POINTER, NO_OFFSET, NULL);
        raw_send_text(fd, "GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n");
        if (!raw_is_closed(fd, 5000))
            complain(cases[i].name, "the connection stayed open");
        close(fd);
    }
}

/* No request could be read: some 4xx or 5xx or a plain close, never a 200, and the connection is closed. */
static void no_request_at_all(void **state)
{
    (void)state;
    char *long_line = malloc(80000), *long_header = malloc(80000);
    assert_true(long_line && long_header);
    sprintf(long_line, "GET /%070000d HTTP/1.1\r\nHost: h\r\n\r\n", 0);
    sprintf(long_header, "GET /healthz HTTP/1.1\r\nHost: h\r\nX: %070000d\r\n\r\n", 0);
    const struct {
        const char *name, *request;
    } cases[] = {
        {"noise", "\x16\x03\x01\x02\r\n\r\n"},
        {"one word", "HELLO\r\n\r\n"},
        {"HTTP/2.0", "GET /healthz HTTP/2.0\r\nHost: h\r\n\r\n"},
        {"a length that is no number", POST HOST "Content-Length: abc\r\n\r\n" BODY},
        {"a negative length", POST HOST "Content-Length: -1\r\n\r\n" BODY},
        {"a length with a sign", POST HOST "Content-Length: +26\r\n\r\n" BODY},
        {"a length past 2^64", POST HOST "Content-Length: 18446744073709551642\r\n\r\n" BODY},
        {"a chunk size that is no number", POST HOST "Transfer-Encoding: chunked\r\n\r\nzz\r\n" BODY "\r\n0\r\n\r\n"},
        {"a chunk size past 2^64",
         POST HOST "Transfer-Encoding: chunked\r\n\r\n1000000000000001a\r\n" BODY "\r\n0\r\n\r\n"},
        {"a line of 70,000", long_line},
        {"a header of 70,000", long_header},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int fd = raw_open(daemon_child);
        raw_send_text(fd, cases[i].request);
        const char *all = raw_read_to_close(fd, NULL, 5000);
        if (!all)
            complain(cases[i].name, "the connection stayed open");
        else if (strstr(all, "HTTP/1.1 2") || strstr(all, "HTTP/1.0 2"))
            complain(cases[i].name, "was answered: %s", all);
        close(fd);
    }
    free(long_line);
    free(long_header);
    check_number("afterwards", "status", http_get(daemon_child, "/healthz").status, 200);
}

static void eight_kib_of_headers_suffice(void **state)
{
    (void)state;
    struct answer answer =
        raw_exchange(daemon_child, textf("GET /healthz HTTP/1.1\r\nHost: h\r\nX: %08000d\r\n\r\n", 0));
    check_number("a header of 8,000", "status", answer.status, 200);
    answer = raw_exchange(daemon_child, textf("GET /healthz?%08000d HTTP/1.1\r\nHost: h\r\n\r\n", 0));
    check_number("a query of 8,000", "status", answer.status, 200);
    char *headers = textf("%*s", 8000, ""), *to = headers;
    for (int i = 0; to - headers < 7900; i++)
        to += sprintf(to, "X-%03d: %d\r\n", i, i);
    answer = raw_exchange(daemon_child, textf("GET /healthz HTTP/1.1\r\nHost: h\r\n%s\r\n", headers));
    check_number("seven hundred headers", "status", answer.status, 200);
}

static void old_clients(void **state)
{
    (void)state;
    int fd = raw_open(daemon_child);
    raw_send_text(fd, "POST /v1/convolve HTTP/1.0\r\n" LENGTH "\r\n" BODY);
    const char *all = raw_read_to_close(fd, NULL, 10000);
    check_holds("HTTP/1.0", "answer", all, " 200 ");
    check_holds("HTTP/1.0", "answer", all, "\"output\"");
    close(fd);
    fd = raw_open(daemon_child);
    raw_send_text(fd, "GET /healthz HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    check_number("HTTP/1.0 keep-alive", "status", raw_read_answer(fd, false).status, 200);
    close(fd);
    fd = raw_open(daemon_child);
    raw_send_text(fd, POST HOST LENGTH "Connection: close\r\n\r\n" BODY);
    check_holds("Connection: close", "answer", raw_read_to_close(fd, NULL, 10000), " 200 ");
    close(fd);
    struct answer answer =
        raw_exchange(daemon_child, "GET http://elsewhere:99/healthz HTTP/1.1\r\nHost: elsewhere:99\r\n\r\n");
    check_number("absolute form", "status", answer.status, 200);
    answer = raw_exchange(daemon_child, "POST http://h/v1/convolve HTTP/1.1\r\n" HOST LENGTH "\r\n" BODY);
    check_text("absolute form", "output", member_text(answer.body, "output"), "[2]");
    answer = raw_exchange(daemon_child, "GET http://h/healthz/ HTTP/1.1\r\nHost: h\r\n\r\n");
    check_number("absolute form, wrong path", "status", answer.status, 404);
    answer = raw_exchange(daemon_child, "CONNECT h:80 HTTP/1.1\r\nHost: h:80\r\n\r\n");
    check_number("CONNECT", "status", answer.status, 405);
    answer = raw_exchange(daemon_child, "POST /v1/convolve HTTP/1.1\r\nhOST: h\r\ncontent-LENGTH:26\r\n\r\n" BODY);
    check_text("headers have no case", "output", member_text(answer.body, "output"), "[2]");
}

static void large_answers_to_old_clients(void **state)
{
    (void)state;
    static const char body[] = "{\"input\":[1],\"kernel\":[1],\"padding\":[[0,299999]],\"fillvalue\":2}";
    const char *length = textf("Content-Length: %zu\r\n\r\n%s", strlen(body), body);
    int fd = raw_open(daemon_child);
    raw_send_text(fd, textf("POST /v1/convolve HTTP/1.0\r\n%s", length));
    const char *all = raw_read_to_close(fd, NULL, 10000);
    const char *end = all ? strstr(all, "\r\n\r\n") : NULL;
    check_holds("HTTP/1.0", "answer", all, " 200 ");
    if (end && strcasestr(text_copy(all, (size_t)(end - all)), "Transfer-Encoding"))
        complain("HTTP/1.0", "an answer in chunks");
    check_text("HTTP/1.0", "shape", end ? member_text(end + 4, "shape") : NULL, "[300000]");
    close(fd);
    fd = raw_open(daemon_child);
    raw_send_text(fd, textf(POST HOST "%s", length));
    struct answer answer = raw_read_answer(fd, false);
    check_text("HTTP/1.1", "shape", member_text(answer.body, "shape"), "[300000]");
    raw_send_text(fd, "GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n");
    check_number("HTTP/1.1", "status of the next", raw_read_answer(fd, false).status, 200);
    close(fd);
}

static void a_post_without_a_length_is_empty(void **state)
{
    (void)state;
    int fd = raw_open(daemon_child);
    raw_send_text(fd, POST HOST "\r\n");
    struct answer answer = raw_read_answer(fd, false);
    check_problem_in("no length", &answer, 400, "malformed-json", ANY_POINTER, 0, NULL);
    raw_send_text(fd, "GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n");
    if (!raw_is_closed(fd, 5000))
        complain("no length", "the connection stayed open");
    close(fd);
}

static void chunks(void **state)
{
    (void)state;
    static const struct {
        const char *name, *body;
    } cases[] = {
        {"one", "1a\r\n" BODY "\r\n0\r\n\r\n"},
        {"upper case", "1A\r\n" BODY "\r\n0\r\n\r\n"},
        {"leading zeros", "0001a\r\n" BODY "\r\n000\r\n\r\n"},
        {"several", "9\r\n{\"input\":\r\n11\r\n[1],\"kernel\":[2]}\r\n0\r\n\r\n"},
        {"an extension", "1a;name=value\r\n" BODY "\r\n0\r\n\r\n"},
        {"a trailer", "1a\r\n" BODY "\r\n0\r\nX-Sum: 1\r\n\r\n"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int fd = raw_open(daemon_child);
        raw_send_text(fd, textf(POST HOST "Transfer-Encoding: chunked\r\n\r\n%s", cases[i].body));
        struct answer answer = raw_read_answer(fd, false);
        check_text(cases[i].name, "output", member_text(answer.body, "output"), "[2]");
        raw_send_text(fd, "GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n");
        check_number(cases[i].name, "status of the next", raw_read_answer(fd, false).status, 200);
        close(fd);
    }
}

static void a_pipeline_of_a_hundred(void **state)
{
    (void)state;
    char *all = malloc(100 * 200), *to = all;
    assert_non_null(all);
    for (int i = 0; i < 100; i++) {
        const char *body = textf("{\"input\":[%d],\"kernel\":[2]}", i);
        to += sprintf(to, POST HOST "X-Request-Id: n%d\r\nContent-Length: %zu\r\n\r\n%s", i, strlen(body), body);
    }
    int fd = raw_open(daemon_child);
    raw_send_text(fd, all);
    for (int i = 0; i < 100; i++) {
        struct answer answer = raw_read_answer(fd, false);
        const char *name = textf("request %d", i);
        check_number(name, "status", answer.status, 200);
        check_text(name, "output", member_text(answer.body, "output"), textf("[%d]", 2 * i));
        check_text(name, "X-Request-Id", header_of(&answer, "X-Request-Id"), textf("n%d", i));
        if (answer.status == 0)
            break;
    }
    close(fd);
    free(all);
}

static void pieces_of_one_byte(void **state)
{
    (void)state;
    static const char request[] = POST HOST "Content-Length: 118\r\n\r\n"
                                            "{\"input\":[[1,-2.5e1],[0,4]],\"kernel\":{\"shape\":[1,1],\"data\":[3]},"
                                            "\"mode\":\"f\\u0075ll\",\"plan\":false,\"stride\":[1, 1]}      ";
    assert_int_equal(strlen(strstr(request, "\r\n\r\n") + 4), 118);
    int fd = raw_open(daemon_child);
    for (size_t i = 0; i + 1 < sizeof request; i++) {
        raw_send(fd, request + i, 1);
        if (i % 16 == 0)
            usleep(500);
    }
    struct answer answer = raw_read_answer(fd, false);
    check_text("whole", "output", member_text(answer.body, "output"), "[[3,-75],[0,12]]");
    close(fd);
    static const char *const bodies[] = {"{\"input\":[1,\"a\"],\"kernel\":[1]}", "{\"input\":[1,x],\"kernel\":[1]}"};
    for (int i = 0; i < 2; i++) {
        const char *bytes = textf(POST HOST "Content-Length: %zu\r\n\r\n%s", strlen(bodies[i]), bodies[i]);
        fd = raw_open(daemon_child);
        for (size_t at = 0; bytes[at]; at++)
            raw_send(fd, bytes + at, 1);
        answer = raw_read_answer(fd, false);
        if (i == 0)
            check_problem_in(bodies[i], &answer, 422, "not-a-number", "/input/1", NO_OFFSET, NULL);
        else
            check_problem_in(bodies[i], &answer, 400, "malformed-json", ANY_POINTER, 12, NULL);
        close(fd);
    }
}

static void head_is_get_without_a_body(void **state)
{
    (void)state;
    static const char *const paths[] = {"/healthz", "/v1/info", "/problems/too-large"};
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        int fd = raw_open(daemon_child);
        raw_send_text(fd, textf("HEAD %s HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", paths[i]));
        const char *all = raw_read_to_close(fd, NULL, 10000);
        check_holds(paths[i], "answer", all, " 200 ");
        const char *end = all ? strstr(all, "\r\n\r\n") : NULL;
        check_text(paths[i], "body", end ? end + 4 : NULL, "");
        close(fd);
    }
}

static void request_ids(void **state)
{
    (void)state;
    char longest[130], too_long[131];
    memset(longest, 'a', 128);
    memset(too_long, 'a', 129);
    longest[128] = too_long[129] = 0;
    const struct {
        const char *id;
        bool echoed;
    } cases[] = {
        {"abc-DEF_1.2", true}, {longest, true},     {too_long, false}, {"a b", false},
        {"a/b", false},        {"\xc3\xa9", false}, {"a,b", false},    {"<script>", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct answer answer =
            raw_exchange(daemon_child, textf(POST HOST "X-Request-Id: %s\r\n" LENGTH "\r\n" BODY, cases[i].id));
        const char *found = header_of(&answer, "X-Request-Id");
        check_number(cases[i].id, "status", answer.status, 200);
        if (cases[i].echoed)
            check_text(cases[i].id, "X-Request-Id", found, cases[i].id);
        else if (!found || !*found || strstr(found, cases[i].id))
            check_text(cases[i].id, "X-Request-Id", found, "one of the daemon's own");
    }
    struct answer answer = raw_exchange(
        daemon_child, "GET /healthz HTTP/1.1\r\nHost: h\r\nX-Request-Id: one\r\nX-Request-Id: two\r\n\r\n");
    const char *found = header_of(&answer, "X-Request-Id");
    if (answer.status != 200 || !found || !strcmp(found, "one") || !strcmp(found, "two"))
        check_text("sent twice", "X-Request-Id", found, "one of the daemon's own");
    const char *first = header_of(&(struct answer){.head = http_get(daemon_child, "/healthz").head}, "X-Request-Id");
    const char *second = header_of(&(struct answer){.head = http_get(daemon_child, "/healthz").head}, "X-Request-Id");
    if (!first || !second || !strcmp(first, second))
        complain("made by the daemon", "%s twice", first ? first : "(absent)");
}

/* What a caller sends must not become a header or a line of the answer. */
static void nothing_is_injected(void **state)
{
    (void)state;
    static const char *const paths[] = {"/x%0d%0aSet-Cookie:%20a=b", "/x%0aSet-Cookie:%20a=b",
                                        "/problems/%0d%0aSet-Cookie:%20a=b"};
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        struct answer answer = http_get(daemon_child, paths[i]);
        check_problem_in(paths[i], &answer, 404, "not-found", NULL, NO_OFFSET, NULL);
        check_text(paths[i], "Set-Cookie", header_of(&answer, "Set-Cookie"), NULL);
    }
    struct answer answer = check_problem(daemon_child, "quotes and newlines in a name", "/v1/convolve",
                                         "{'a\\u0022\\n\\r\\\\<b>':1,'input':[1],'kernel':[1]}", 422, "unknown-member",
                                         "/a\"\n\r\\<b>", NO_OFFSET, NULL);
    for (const char *c = answer.body; *c; c++)
        if (iscntrl((unsigned char)*c) && c[1])
            complain("quotes and newlines in a name", "a raw control character 0x%02x in the document", *c);
}

static void cors(void **state)
{
    (void)state;
    static const char preflight[] = "OPTIONS /v1/convolve HTTP/1.1\r\nHost: h\r\nOrigin: %s\r\n"
                                    "Access-Control-Request-Method: POST\r\n"
                                    "Access-Control-Request-Headers: content-type\r\n\r\n";
    struct answer answer = raw_exchange(daemon_child, textf(preflight, "https://a.example"));
    if (answer.status / 100 != 2)
        check_number("preflight, none allowed", "status", answer.status, 204);
    check_text("none by default", "allowed", header_of(&answer, "Access-Control-Allow-Origin"), NULL);

    static const char *const flags[] = {"--cors-origins", "https://a.example,https://b.example", NULL};
    static const char *const all_flags[] = {"--cors-origins", "*", NULL};
    struct child *some = child_start(flags, NULL, NULL), *all = child_start(all_flags, NULL, NULL);
    answer = raw_exchange(some, textf(preflight, "https://b.example"));
    if (answer.status / 100 != 2)
        check_number("preflight", "status", answer.status, 204);
    check_text("one of the list", "allowed", header_of(&answer, "Access-Control-Allow-Origin"), "https://b.example");
    check_holds("one of the list", "methods", header_of(&answer, "Access-Control-Allow-Methods"), "POST");
    static const char *const others[] = {
        "https://c.example", "https://a.example.evil.example", "http://a.example", "https://a.example:443", "null",
        "HTTPS://A.EXAMPLE"};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        answer = raw_exchange(some, textf(preflight, others[i]));
        check_text(others[i], "allowed", header_of(&answer, "Access-Control-Allow-Origin"), NULL);
    }
    const char *request = textf(POST HOST "Origin: https://a.example\r\n" LENGTH "\r\n" BODY);
    answer = raw_exchange(some, request);
    check_number("the call itself", "status", answer.status, 200);
    check_text("the call itself", "allowed", header_of(&answer, "Access-Control-Allow-Origin"), "https://a.example");
    check_holds("the call itself", "exposed", header_of(&answer, "Access-Control-Expose-Headers"), "Server-Timing");
    check_holds("the call itself", "exposed", header_of(&answer, "Access-Control-Expose-Headers"), "X-Request-Id");
    check_holds("the call itself", "Vary", header_of(&answer, "Vary"), "Origin");
    check_text("the call itself", "credentials", header_of(&answer, "Access-Control-Allow-Credentials"), NULL);
    answer = raw_exchange(all, request);
    check_text("all", "allowed", header_of(&answer, "Access-Control-Allow-Origin"), "*");
    check_text("all", "credentials", header_of(&answer, "Access-Control-Allow-Credentials"), NULL);
    answer = raw_exchange(some, "POST /v1/convolve HTTP/1.1\r\nHost: h\r\nOrigin: https://a.example\r\n"
                                "Content-Length: 1\r\n\r\n{");
    check_text("a problem", "allowed", header_of(&answer, "Access-Control-Allow-Origin"), "https://a.example");
    check_number("some", "exit status", child_stop(some), 0);
    check_number("all", "exit status", child_stop(all), 0);
}

static void server_timing(void **state)
{
    (void)state;
    struct answer answer = http_post(daemon_child, "/v1/convolve", "{'input':[1],'kernel':[2]}");
    static const char *const phases[] = {"decode;dur=", "queue;dur=", "compute;dur="};
    for (size_t i = 0; i < 3; i++)
        check_holds("an answer", "Server-Timing", header_of(&answer, "Server-Timing"), phases[i]);
}

/* 8 KiB of request line and headers always suffice, in however many headers a caller may have use for, and 32 KiB where those
 * are larger; on a connection's first request and on a later one. */
static void many_headers(void **state)
{
    (void)state;
    static const struct {
        size_t bytes, each;
    } cases[] = {{8 << 10, 20}, {8 << 10, 100}, {8 << 10, 8000}, {16 << 10, 64}, {32 << 10, 256}, {32 << 10, 16000}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *name = textf("%zu bytes of headers of %zu bytes", cases[i].bytes, cases[i].each);
        static const char begin[] = "GET /healthz HTTP/1.1\r\n" HOST;
        char *request = text_room(cases[i].bytes + 1), *at = stpcpy(request, begin);
        for (unsigned number = 0; (size_t)(at - request) + cases[i].each + 2 <= cases[i].bytes; number++) {
            char *end = at + cases[i].each - 2;
            at += sprintf(at, "x%u:", number);
            memset(at, 'v', (size_t)(end - at));
            at = stpcpy(end, "\r\n");
        }
        strcpy(at, "\r\n");
        int fd = raw_open(daemon_child);
        for (int round = 0; round < 2; round++) {
            raw_send_text(fd, request);
            check_number(name, "status", raw_read_answer(fd, false).status, 200);
        }
        close(fd);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        HTTP_TEST(many_headers),
        HTTP_TEST(framing_faults),
        HTTP_TEST(no_request_at_all),
        HTTP_TEST(eight_kib_of_headers_suffice),
        HTTP_TEST(old_clients),
        HTTP_TEST(large_answers_to_old_clients),
        HTTP_TEST(a_post_without_a_length_is_empty),
        HTTP_TEST(chunks),
        HTTP_TEST(a_pipeline_of_a_hundred),
        HTTP_TEST(pieces_of_one_byte),
        HTTP_TEST(head_is_get_without_a_body),
        HTTP_TEST(request_ids),
        HTTP_TEST(nothing_is_injected),
        HTTP_TEST(cors),
        HTTP_TEST(server_timing),
    };
    return cmocka_run_group_tests(tests, daemon_start, daemon_stop);
}
