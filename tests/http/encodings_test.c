/* SPDX-License-Identifier: MIT */
/* gzip both ways: bodies of any format packed, in members and pieces; what does not unpack; what unpacks to too much; and answers,
 * packed where that is asked for and pays. */
#include "tests/http/npy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

static struct child *small_child; /* max_body_bytes 10000 */

/* One member and nothing behind it; NULL (and a complaint) where it is none. */
static const char *unpacked(const char *name, const struct answer *answer, size_t *count)
{
    enum { ROOM = 64 << 20 };
    char *room = malloc(ROOM);
    z_stream stream = {.next_in = (unsigned char *)(uintptr_t)answer->body,
                       .avail_in = (unsigned)answer->body_bytes,
                       .next_out = (unsigned char *)room,
                       .avail_out = ROOM};
    assert_int_equal(inflateInit2(&stream, MAX_WBITS + 16), Z_OK);
    const bool whole = inflate(&stream, Z_FINISH) == Z_STREAM_END && stream.avail_in == 0;
    *count = stream.total_out;
    inflateEnd(&stream);
    const char *text = whole ? text_copy(room, *count) : NULL;
    free(room);
    if (!whole)
        complain(name, "not one gzip member");
    return text;
}

static struct bytes joined(struct bytes a, struct bytes b)
{
    char *out = text_room(a.count + b.count + 1);
    memcpy(out, a.bytes, a.count);
    memcpy(out + a.count, b.bytes, b.count);
    return (struct bytes){out, a.count + b.count};
}

static struct answer post(struct child *child, const char *type, struct bytes body, bool chunked)
{
    const char *const headers[] = {"Content-Encoding: gzip", type, NULL};
    return http_call(child, &(struct call){.path = "/v1/convolve?kernel=[2]",
                                           .body = body.bytes,
                                           .body_bytes = body.count,
                                           .headers = headers,
                                           .chunked = chunked});
}

static const char request[] = "{\"input\":[1,2,3],\"kernel\":[2]}";

static void bodies(void **state)
{
    (void)state;
    const float four[] = {1, 2, 3, 4};
    const struct bytes file = npy_file("<f4", "(4,)", four, sizeof four);
    static const char form[] = "--b\r\nContent-Disposition: form-data; name=input\r\n\r\n[1,2]\r\n--b--";
    const size_t count = strlen(request);
    const struct {
        const char *name, *type;
        struct bytes body;
        const char *output;
    } cases[] = {
        {"one member", NULL, gzip_of(request, count), "[2,4,6]"},
        {"two members", NULL, joined(gzip_of(request, 9), gzip_of(request + 9, count - 9)), "[2,4,6]"},
        {"an empty member", NULL, joined(gzip_of("", 0), gzip_of(request, count)), "[2,4,6]"},
        {"npy", "Content-Type: application/x-npy", gzip_of(file.bytes, file.count), "[2,4,6,8]"},
        {"multipart", "Content-Type: multipart/form-data; boundary=b", gzip_of(form, strlen(form)), "[2,4]"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (int chunked = 0; chunked < 2; chunked++) {
            struct answer answer = post(daemon_child, cases[i].type, cases[i].body, chunked);
            check_number(cases[i].name, "status", answer.status, 200);
            check_member(cases[i].name, &answer, "output", cases[i].output);
        }
}

static void broken_bodies(void **state)
{
    (void)state;
    const size_t count = strlen(request);
    const struct bytes whole = gzip_of(request, count);
    http_get(daemon_child, "/healthz");
    for (size_t cut = 1; cut < whole.count; cut++) {
        struct answer answer = post(daemon_child, NULL, (struct bytes){whole.bytes, cut}, false);
        check_problem_in(textf("the first %zu bytes", cut), &answer, 400, "malformed-encoding", NULL, NO_OFFSET, NULL);
        check_number(textf("the first %zu bytes", cut), "new connections", answer.connects, 0);
    }
    char *sum = text_copy(whole.bytes, whole.count), *length = text_copy(whole.bytes, whole.count);
    sum[whole.count - 5] ^= 1;
    length[whole.count - 1] ^= 1;
    const struct {
        const char *name;
        struct bytes body;
    } cases[] = {
        {"wrong check sum", {sum, whole.count}},
        {"wrong length", {length, whole.count}},
        {"a byte behind", joined(whole, (struct bytes){"x", 1})},
        {"a zero behind", joined(whole, (struct bytes){"", 1})},
        {"half a member behind", joined(whole, (struct bytes){whole.bytes, 10})},
        {"not packed", {request, count}},
        {"nothing", {"", 0}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct answer answer = post(daemon_child, NULL, cases[i].body, false);
        check_problem_in(cases[i].name, &answer, 400, "malformed-encoding", NULL, NO_OFFSET, NULL);
    }
    struct answer answer = post(daemon_child, NULL, gzip_of("[1,", 3), false);
    check_problem_in("no JSON within", &answer, 400, "malformed-json", NULL, 3, NULL);
}

static void too_much(void **state)
{
    (void)state;
    enum { BOMB = 50 << 20 };
    char *spaces = text_room(BOMB);
    memset(spaces, ' ', BOMB);
    memcpy(spaces, request, strlen(request));
    struct answer answer = post(small_child, NULL, gzip_of(spaces, 10000), false);
    check_number("as much as allowed", "status", answer.status, 200);
    for (int chunked = 0; chunked < 2; chunked++) {
        answer = post(small_child, NULL, gzip_of(spaces, 10001), chunked);
        check_problem_in("a byte more", &answer, 413, "too-large", NULL, NO_OFFSET, "max_body_bytes");
        check_member("a byte more", &answer, "limit", "'max_body_bytes'");
        check_member("a byte more", &answer, "allowed", "10000");
        check_member("a byte more", &answer, "requested", "10001");
    }
    answer = post(small_child, NULL, gzip_of(spaces, BOMB / 8), true);
    check_problem_in("a bomb", &answer, 413, "too-large", NULL, NO_OFFSET, NULL);
    const double before = now_ms();
    answer = post(small_child, NULL, joined(gzip_of(spaces, 9000), gzip_of(spaces, 9000)), false);
    check_problem_in("two members", &answer, 413, "too-large", NULL, NO_OFFSET, NULL);
    if (now_ms() - before > 2000 * slowness())
        complain("two members", "took %g ms", now_ms() - before);
}

/* ---- Answers ---- */

static struct answer ask(const char *path, const char *body, const char *encoding, const char *accept)
{
    const char *const headers[] = {encoding ? textf("Accept-Encoding: %s", encoding) : "X-A: 1",
                                   accept ? textf("Accept: %s", accept) : NULL, NULL};
    return http_call(daemon_child, &(struct call){.path = path, .body = body, .headers = headers});
}

/* A request of `count` numbers whose answer has as many. */
static const char *request_of(size_t count, bool noise, const char *more)
{
    char *body = text_room(count * 24 + 200), *at = body;
    uint64_t random = 7;
    at += sprintf(at, "{\"kernel\":[1],%s\"input\":[", json(more));
    for (size_t i = 0; i < count; i++) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        at += sprintf(at, i ? ",%.17g" : "%.17g", noise ? (double)(random >> 11) * 0x1p-53 : (double)(i % 3));
    }
    strcpy(at, "]}");
    return body;
}

static void answers(void **state)
{
    (void)state;
    const struct {
        const char *name, *path, *body, *accept;
        bool pays;
    } cases[] = {
        {"tiny", "/v1/convolve", request_of(10, true, ""), NULL, false},
        {"a kilobyte", "/v1/convolve", request_of(200, true, ""), NULL, true},
        {"at once", "/v1/convolve", request_of(1000, true, ""), NULL, true},
        {"two pieces", "/v1/convolve", request_of(9000, true, ""), NULL, true},
        {"a stream", "/v1/convolve", request_of(100000, true, ""), NULL, true},
        {"a stream that shrinks much", "/v1/convolve", request_of(200000, false, ""), NULL, true},
        {"base64", "/v1/convolve", request_of(50000, true, "'format':'base64',"), NULL, true},
        {"complex", "/v1/convolve", request_of(30000, true, "'dtype':'complex64',"), NULL, true},
        {"npy of noise", "/v1/convolve", request_of(50000, true, ""), "application/x-npy", false},
        {"npy of counts", "/v1/convolve", request_of(200000, false, ""), "application/x-npy", true},
        {"a short npy of counts", "/v1/convolve", request_of(1000, false, ""), "application/x-npy", true},
        {"a page", "/", NULL, "text/html", true},
        {"the reference", "/docs", NULL, "text/html", true},
        {"kernels", "/v1/kernels", NULL, NULL, true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *name = cases[i].name;
        struct answer plain = ask(cases[i].path, cases[i].body, NULL, cases[i].accept);
        struct answer answer = ask(cases[i].path, cases[i].body, "br, gzip", cases[i].accept);
        check_number(name, "status", answer.status, 200);
        check_text(name, "Content-Encoding", header_of(&plain, "Content-Encoding"), NULL);
        check_text(name, "Content-Encoding", header_of(&answer, "Content-Encoding"), cases[i].pays ? "gzip" : NULL);
        check_text(name, "Content-Type", header_of(&answer, "Content-Type"), header_of(&plain, "Content-Type"));
        if (!cases[i].pays)
            continue;
        const char *varies = cases[i].body ? "Accept, Accept-Encoding" : "Accept-Encoding";
        check_text(name, "Vary", header_of(&answer, "Vary"), varies);
        check_text(name, "Vary of the plain one", header_of(&plain, "Vary"), varies);
        size_t count;
        const char *text = unpacked(name, &answer, &count);
        if (text && (count != plain.body_bytes || memcmp(text, plain.body, count) != 0))
            complain(name, "other bytes: %zu and %zu", count, plain.body_bytes);
        if (answer.body_bytes * 10 > plain.body_bytes * 9)
            complain(name, "%zu bytes from %zu", answer.body_bytes, plain.body_bytes);
    }
}

static void whether_it_is_asked(void **state)
{
    (void)state;
    static const struct {
        const char *encoding;
        bool gzip;
    } cases[] = {
        {"gzip", true},          {"*", true},     {"deflate, gzip;q=0.5", true},        {"gzip;q=0", false},
        {"gzip;q=0, *", false},  {"br", false},   {"identity, gzip;q=0.1", false},      {"", false},
        {"identity;q=0", false}, {"GZIP ", true}, {"gzip;q=0.8, identity;q=0.8", true},
    };
    const char *body = request_of(1000, true, "");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct answer answer = ask("/v1/convolve", body, cases[i].encoding, NULL);
        check_number(cases[i].encoding, "status", answer.status, 200);
        check_text(cases[i].encoding, "Content-Encoding", header_of(&answer, "Content-Encoding"),
                   cases[i].gzip ? "gzip" : NULL);
    }
    static const char *const headers[] = {"Accept-Encoding: gzip", NULL};
    struct answer answer =
        http_call(daemon_child, &(struct call){.method = "HEAD", .path = "/v1/kernels", .headers = headers});
    check_number("HEAD", "status", answer.status, 200);
    check_text("HEAD", "Content-Encoding", header_of(&answer, "Content-Encoding"), "gzip");
}

static int start(void **state)
{
    static const char *const flags[] = {"--max-body-bytes", "10000", NULL};
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
        HTTP_TEST(bodies),  HTTP_TEST(broken_bodies),       HTTP_TEST(too_much),
        HTTP_TEST(answers), HTTP_TEST(whether_it_is_asked),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
