/* SPDX-License-Identifier: MIT */
/* Malformed JSON: 400 with the byte at fault, nothing computed, the connection kept. Every truncation and every byte of a
 * request replaced by one that can stand nowhere; then what lenient parsers take for JSON and RFC 8259 does not. */
#include "tests/http/harness.h"

#include <stdlib.h>
#include <string.h>

static void check_malformed(const char *name, const char *body, size_t bytes, long long offset)
{
    struct call call = {.path = "/v1/convolve", .body = body, .body_bytes = bytes};
    struct answer answer = http_call(daemon_child, &call);
    check_problem_in(name, &answer, 400, "malformed-json", ANY_POINTER, offset, NULL);
    check_number(name, "new connections", answer.connects, 0);
}

/* Every kind of token, in and around tensors. */
static const char *whole_request(void)
{
    return json("{'input':[[1,-2.5e1],[0,4]],'kernel':{'shape':[1,1],'data':[3]},'mode':'f\\u0075ll','plan':false,"
                "'stride':[1, 1]}");
}

static void cut_at_every_byte(void **state)
{
    (void)state;
    const char *request = whole_request();
    http_get(daemon_child, "/healthz");
    for (size_t bytes = 1; bytes < strlen(request); bytes++)
        check_malformed(textf("the first %zu bytes", bytes), request, bytes, (long long)bytes);
    struct answer answer = http_call(daemon_child, &(struct call){.path = "/v1/convolve", .body = request});
    check_number("whole", "status", answer.status, 200);
}

static void wrong_at_every_byte(void **state)
{
    (void)state;
    static const unsigned char wrong[] = {0x01, 0xff, 0x00};
    http_get(daemon_child, "/healthz");
    for (size_t kind = 0; kind < sizeof wrong; kind++)
        for (size_t at = 0; at < strlen(whole_request()); at++) {
            const char *request = whole_request();
            size_t bytes = strlen(request);
            char *broken = text_copy(request, bytes);
            broken[at] = (char)wrong[kind];
            check_malformed(textf("byte %zu is 0x%02x", at, wrong[kind]), broken, bytes, (long long)at);
        }
}

static void what_is_no_json(void **state)
{
    (void)state;
    static const struct {
        const char *text; /* ' for " */
        long long offset;
    } cases[] = {
        {"{'input':[NaN],'kernel':[1]}", 10},
        {"{'input':[1,Infinity],'kernel':[1]}", 12},
        {"{'input':[-Infinity],'kernel':[1]}", ANY_OFFSET},
        {"{'input':[-NaN],'kernel':[1]}", ANY_OFFSET},
        {"{'input':NaN,'kernel':[1]}", 9},
        {"{'input':[1,],'kernel':[1]}", 12},
        {"{'input':[,1],'kernel':[1]}", 10},
        {"{'input':[1,,2],'kernel':[1]}", 12},
        {"{'input':[1 2],'kernel':[1]}", 12},
        {"{'input':[[1,2],[3,x]],'kernel':[1]}", 19},
        {"{'input':[01],'kernel':[1]}", ANY_OFFSET},
        {"{'input':[-01],'kernel':[1]}", ANY_OFFSET},
        {"{'input':[1.],'kernel':[1]}", ANY_OFFSET},
        {"{'input':[.5],'kernel':[1]}", 10},
        {"{'input':[+1],'kernel':[1]}", 10},
        {"{'input':[1e],'kernel':[1]}", ANY_OFFSET},
        {"{'input':[1e+],'kernel':[1]}", ANY_OFFSET},
        {"{'input':[1.e3],'kernel':[1]}", ANY_OFFSET},
        {"{'input':[-],'kernel':[1]}", ANY_OFFSET},
        {"{'input':[--1],'kernel':[1]}", ANY_OFFSET},
        {"{'input':[0x10],'kernel':[1]}", ANY_OFFSET},
        {"{'input':[1_000],'kernel':[1]}", ANY_OFFSET},
        {"{'input':[1,5 0],'kernel':[1]}", 14},
        {"{'input':[1)],'kernel':[1]}", 11},
        {"{'input':[1},'kernel':[1]}", 11},
        {"{'input':[[1],'kernel':[1]}", ANY_OFFSET},
        {"{'input':[1]],'kernel':[1]}", 12},
        {"{'input':[1],'kernel':[1],}", 26},
        {"{'input':[1],,'kernel':[1]}", 13},
        {"{,'input':[1],'kernel':[1]}", 1},
        {"{'input' [1],'kernel':[1]}", 9},
        {"{'input'::[1],'kernel':[1]}", 9},
        {"{'input':[1] 'kernel':[1]}", 13},
        {"{input:[1],'kernel':[1]}", 1},
        {"{'input':[1],'kernel':[1]}}", 26},
        {"{'input':[1],'kernel':[1]} x", 27},
        {"{'input':[1],'kernel':[1]}{}", 26},
        {"{'input':[1],'kernel':[1]}//", 26},
        {"{'input':[1],/* */'kernel':[1]}", 13},
        {"{'input':[1],'kernel':[1],'mode':full}", ANY_OFFSET},
        {"{'input':[1],'kernel':[1],'plan':True}", 33},
        {"{'input':[1],'kernel':[1],'plan':tru}", ANY_OFFSET},
        {"{'input':[1],'kernel':[1],'plan':truex}", ANY_OFFSET},
        {"{'input':[1],'kernel':[1],'plan':nul}", ANY_OFFSET},
        {"{'input':[1],'kernel':[1],'mode':'a\nb'}", 35},
        {"{'input':[1],'kernel':[1],'mode':'a\tb'}", 35},
        {"{'input':[1],'kernel':[1],'mode':'\\x41'}", ANY_OFFSET},
        {"{'input':[1],'kernel':[1],'mode':'\\u00g0'}", ANY_OFFSET},
        {"{'input':[1],'kernel':[1],'mode':'\\u12'}", ANY_OFFSET},
        {"{'input':[1],'kernel':[1],'mode':'\\'}", ANY_OFFSET},
        {"{'input':[1],\f'kernel':[1]}", 13},
        {"{'input':[1],\v'kernel':[1]}", 13},
        {"{'input':[1],\xc2\xa0'kernel':[1]}", 13},
        {"\xef\xbb\xbf{'input':[1],'kernel':[1]}", 0},
        {" ", 1},
        {"\n\n", 2},
        {"]", 0},
        {"}", 0},
        {"input=[1]&kernel=[1]", 0},
        {"{'input':[1],'kernel':[1],'mode':'\xff'}", 34},
        {"{'input':[1],'kernel':[1],'mode':'\xc0\xaf'}", ANY_OFFSET},
        {"{'input':[1],'kernel':[1],'mode':'\xe2\x82'}", ANY_OFFSET},
        {"{'input':[1],'kernel':[1],'mode':'\xed\xa0\x80'}", ANY_OFFSET},
        {"{'input':[1],'kernel':[1],'mode':'\xf4\x90\x80\x80'}", ANY_OFFSET},
        {"{'input':[1],'kernel':[1],'\x80':1}", 27},
        {"{'input':[1],'kernel':[1],'foo':[1,2,nul]}", ANY_OFFSET},
    };
    http_get(daemon_child, "/healthz");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *body = json(cases[i].text);
        check_malformed(textf("%zu: %s", i, cases[i].text), body, strlen(body), cases[i].offset);
    }
    struct call call = {.method = "POST", .path = "/v1/convolve", .body = ""};
    struct answer answer = http_call(daemon_child, &call);
    check_problem_in("nothing", &answer, 400, "malformed-json", ANY_POINTER, 0, NULL);
}

/* `open` as often as `count`, `middle`, `shut` as often. */
static char *nested(const char *before, char open, const char *middle, char shut, size_t count, const char *after)
{
    size_t bytes = strlen(before) + strlen(middle) + strlen(after) + 2 * count;
    char *text = malloc(bytes + 1), *to = text;
    assert_non_null(text);
    to = stpcpy(to, before);
    memset(to, open, count);
    to = stpcpy(to + count, middle);
    memset(to, shut, count);
    strcpy(to + count, after);
    return text;
}

static void nesting(void **state)
{
    (void)state;
    http_get(daemon_child, "/healthz");
    static const struct {
        const char *name, *before, *after;
        size_t depth;
        int status;
        const char *slug;
    } cases[] = {
        {"100,000 in a tensor", "{'input':", ",'kernel':[1]}", 100000, 422, "shape-mismatch"},
        {"nine in a tensor", "{'input':", ",'kernel':[1]}", 9, 422, "shape-mismatch"},
        {"nine in the data of a tensor", "{'input':{'shape':[1],'data':", "},'kernel':[1]}", 9, 422,
         "not-a-number|ragged-array|shape-mismatch|invalid-value"},
        {"100,000 in another member", "{'input':[1],'kernel':[1],'mode':", "}", 100000, 400, "malformed-json"},
        {"66 in an unknown member", "{'input':[1],'kernel':[1],'foo':", "}", 66, 400, "malformed-json"},
        {"64 with the request itself", "{'input':[1],'kernel':[1],'foo':", "}", 63, 422, "unknown-member"},
        {"65 with the request itself", "{'input':[1],'kernel':[1],'foo':", "}", 64, 400, "malformed-json"},
        {"65, and a fault of syntax", "{'input':[1],'kernel':[1],'foo':", "", 64, 400, "malformed-json"},
        {"100,000 as the whole", "", "", 100000, 400, "malformed-json"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *body = nested(json(cases[i].before), '[', "1", ']', cases[i].depth, json(cases[i].after));
        struct answer answer = http_call(daemon_child, &(struct call){.path = "/v1/convolve", .body = body});
        check_problem_in(cases[i].name, &answer, cases[i].status, cases[i].slug, ANY_POINTER,
                         cases[i].status == 400 ? ANY_OFFSET : NO_OFFSET, NULL);
        check_number(cases[i].name, "new connections", answer.connects, 0);
        free(body);
    }
    char *open = nested("{\"input\":", '[', "", '[', 50000, "");
    struct answer answer = http_call(daemon_child, &(struct call){.path = "/v1/convolve", .body = open});
    if (answer.status != 400 && answer.status != 422)
        check_number("100,000 never closed", "status", answer.status, 400);
    check_number("100,000 never closed", "new connections", answer.connects, 0);
    free(open);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        HTTP_TEST(cut_at_every_byte),
        HTTP_TEST(wrong_at_every_byte),
        HTTP_TEST(what_is_no_json),
        HTTP_TEST(nesting),
    };
    return cmocka_run_group_tests(tests, daemon_start, daemon_stop);
}
