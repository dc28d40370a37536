/* SPDX-License-Identifier: MIT */
/* RFC 8259 and nothing else: documents that must be taken and refused, alone, inside an unknown member and inside a tensor, whole
 * and cut everywhere; the byte at fault; and what is said about it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "tests/formats/json_documents.h"
#include "tests/formats/json_feed.h"
#include "tests/formats/json_recogniser.h"

static size_t document_bytes(const struct document *document)
{
    return document->count ? document->count : strlen(document->text);
}

static int failures; /* of the running test */

static void expect_text(const char *name, size_t number, const char *found, const char *expected)
{
    if (strcmp(found, expected) != 0) {
        fprintf(stderr, "%s %zu: found \"%s\", expected \"%s\"\n", name, number, found, expected);
        failures++;
    }
}

/* The document between a prefix and a suffix, fed in every way: each must agree with the first. */
static void check_document(const struct document *document, size_t number, const char *prefix, const char *suffix)
{
    char text[400], expected[64];
    const size_t before = strlen(prefix), inner = document_bytes(document), behind = strlen(suffix);
    memcpy(text, prefix, before);
    memcpy(text + before, document->text, inner);
    memcpy(text + before + inner, suffix, behind);
    const size_t count = before + inner + behind;
    char *whole = NULL;
    for (unsigned way = 0; way < FEED_WAYS; way++) {
        char *found = feed_outcome(text, count, feed_ways[way], CONVOLVE_FLOAT64, false, true);
        const bool malformed = strncmp(found, "malformed-json ", 15) == 0;
        if (malformed != (document->offset != FINE)) {
            fprintf(stderr, "document %zu %s%s%s: %s\n", number, prefix, document->text, suffix, found);
            failures++;
        }
        snprintf(expected, sizeof expected, "malformed-json @%zu:", before + (size_t)document->offset);
        if (malformed && strncmp(found, expected, strlen(expected)) != 0) {
            fprintf(stderr, "document %zu %s%s%s: found %s, expected %s\n", number, prefix, document->text, suffix,
                    found, expected);
            failures++;
        }
        if (whole)
            expect_text("cut document", number, found, whole);
        free(whole);
        whole = found;
    }
    free(whole);
}

static void test_documents(void **state)
{
    (void)state;
    failures = 0;
    assert_true(sizeof documents / sizeof documents[0] >= 150);
    for (size_t i = 0; i < sizeof documents / sizeof documents[0]; i++)
        check_document(&documents[i], i, "", "");
    assert_int_equal(failures, 0);
}

/* Documents that are right, or wrong elsewhere, inside another. */
static bool is_only_alone(const char *text)
{
    static const char *const texts[] = {" ", "\n\n", "1,000", "]", "[]]", "[1],", "{}}"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        if (strcmp(text, texts[i]) == 0)
            return true;
    }
    return false;
}

static void test_documents_inside(void **state)
{
    (void)state;
    failures = 0;
    for (size_t i = 0; i < sizeof documents / sizeof documents[0]; i++) {
        const struct document *document = &documents[i];
        const bool ends_early = document->offset == (int)document_bytes(document);
        if (document_bytes(document) == 0 || is_only_alone(document->text))
            continue;
        check_document(document, i, "{\"unknown\":[", ends_early ? "" : "]}");
        check_document(document, i, "{\"mode\": ", ends_early ? "" : " }");
        check_document(document, i, "{\"kernel\":{\"shape\":[], \"data\" :[0, ", ends_early ? "" : "]}}");
        check_document(document, i, "{\"input\":[[1,2,3,", ends_early ? "" : "]]}");
    }
    assert_int_equal(failures, 0);
}

/* ---- Cut and spoiled requests ---- */

static const char good_request[] =
    "{\"input\": [[1, -2.5e0, 3],[4,5,6]], \"kernel\" :{\"shape\":[2,2],\"dtype\":\"float32\",\"base64\":"
    "\"AACAPwAAAEAAAEBAAACAQA=\\u003D\"}, \"mode\":\"v\\u0061lid\", "
    "\"padding\":[[1,0],[2,3]],\"\xc3\xa9\\u00e9\":[true,null]}";

static void test_every_cut(void **state)
{
    (void)state;
    failures = 0;
    char expected[64];
    for (size_t count = 0; count + 1 < sizeof good_request; count++) {
        for (unsigned way = 0; way < FEED_WAYS; way++) {
            char *found = feed_outcome(good_request, count, feed_ways[way], CONVOLVE_FLOAT64, false, false);
            snprintf(expected, sizeof expected, "malformed-json @%zu", count);
            expect_text("cut at", count, found, expected);
            free(found);
        }
    }
    char *whole = feed_outcome(good_request, sizeof good_request - 1, FEED_WHOLE, CONVOLVE_FLOAT64, false, false);
    expect_text("whole", 0, whole, "unknown-member /\xc3\xa9\xc3\xa9");
    free(whole);
    assert_int_equal(failures, 0);
}

static void test_control_character_anywhere(void **state)
{
    (void)state;
    failures = 0;
    char text[sizeof good_request], expected[64];
    static const char bytes[] = {1, 0, '\f', 0x1f};
    for (size_t at = 0; at + 1 < sizeof good_request; at++) {
        for (size_t b = 0; b < sizeof bytes; b++) {
            memcpy(text, good_request, sizeof text);
            text[at] = bytes[b];
            for (unsigned way = 0; way < FEED_WAYS; way++) {
                char *found = feed_outcome(text, sizeof text - 1, feed_ways[way], CONVOLVE_FLOAT64, false, false);
                snprintf(expected, sizeof expected, "malformed-json @%zu", at);
                expect_text("control character at", at, found, expected);
                free(found);
            }
        }
    }
    assert_int_equal(failures, 0);
}

/* ---- Depth ---- */

static char *nest(size_t depth, const char *before, const char *open, const char *inner, const char *close,
                  const char *after, size_t *count)
{
    char *text = malloc(strlen(before) + depth * (strlen(open) + strlen(close)) + strlen(inner) + strlen(after) + 1);
    char *at = stpcpy(text, before);
    for (size_t i = 0; i < depth; i++)
        at = stpcpy(at, open);
    at = stpcpy(at, inner);
    for (size_t i = 0; i < depth; i++)
        at = stpcpy(at, close);
    at = stpcpy(at, after);
    *count = (size_t)(at - text);
    return text;
}

static void test_depth(void **state)
{
    static const struct {
        const char *name;
        size_t depth;
        const char *before, *open, *inner, *close, *after, *expected;
    } cases[] = {
        {"64 lists", 64, "", "[", "", "]", "", "invalid-value "},
        {"65 lists", 65, "", "[", "", "]", "", "malformed-json @64"},
        {"100,000 lists", 100000, "", "[", "", "]", "", "malformed-json @64"},
        {"100,000 lists that are never closed", 100000, "", "[", "", "", "", "malformed-json @64"},
        {"64 objects", 64, "", "{\"x\":", "1", "}", "", "unknown-member /x"},
        {"65 objects", 65, "", "{\"x\":", "1", "}", "", "malformed-json @320"},
        {"an unknown member of 63", 63, "{\"x\":", "[", "1", "]", "}", "unknown-member /x"},
        {"an unknown member of 64", 64, "{\"x\":", "[", "1", "]", "}", "malformed-json @68"},
        {"a member of 64", 64, "{\"mode\":", "[", "1", "]", "}", "malformed-json @71"},
        {"rank 8", 8, "{\"input\":", "[", "1", "]", "}", "input=[1,1,1,1,1,1,1,1] 1"},
        {"rank 9", 9, "{\"input\":", "[", "1", "]", "}", "input=shape-mismatch /input"},
        {"rank 9 and a fault of syntax", 9, "{\"input\":", "[", "1", "]", ",}", "malformed-json @29"},
        {"rank 100,000", 100000, "{\"input\":", "[", "1", "]", "}", "shape-mismatch /input"},
        {"rank 100,000, never closed", 100000, "{\"input\":", "[", "", "", "", "shape-mismatch /input"},
        {"rank 100,000 in data", 100000, "{\"input\":{\"data\":", "[", "1", "]", "}}", "not-a-number /input/data/0"},
        {"rank 100,000 and a duplicate", 100000, "{\"mode\":1,\"mode\":2,\"input\":", "[", "1", "]", "}",
         "duplicate-member /mode"},
        {"rank 100,000 and an unknown member", 100000, "{\"mood\":1,\"input\":", "[", "1", "]", "}",
         "unknown-member /mood"},
        {"100,000 objects in a tensor", 100000, "{\"input\":[", "{\"x\":", "1", "}", "]}", "not-a-number /input/0"},
        {"100,000 lists in a tensor's unknown member", 100000, "{\"input\":{\"x\":", "[", "1", "]", "}}",
         "malformed-json @76"},
    };
    (void)state;
    failures = 0;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        size_t count;
        char *text = nest(cases[i].depth, cases[i].before, cases[i].open, cases[i].inner, cases[i].close,
                          cases[i].after, &count);
        for (unsigned way = 0; way < FEED_WAYS; way++) {
            char *found = feed_outcome(text, count, feed_ways[way], CONVOLVE_FLOAT64, false, false);
            expect_text(cases[i].name, feed_ways[way], found, cases[i].expected);
            free(found);
        }
        free(text);
    }
    assert_int_equal(failures, 0);
}

/* ---- What is said ---- */

static void test_sentences(void **state)
{
    static const struct {
        const char *text, *sentence;
    } cases[] = {
        {"", "the text is empty"},
        {"{\"input\":[1 2]}", "expected a comma or ] after a number, found '2'"},
        {"{\"input\":[1,2x]}", "expected a comma or ] after a number, found 'x'"},
        {"{\"mode\":\"full\" \"x\"}", "expected a comma or } after a string, found '\"'"},
        {"{\"input\":[1,]}", "JSON allows no comma after the last one"},
        {"{\"input\":[1],}", "JSON allows no comma after the last member"},
        {"{\"input\":[NaN]}", "no NaN"},
        {"{\"input\":[nan]}", "no nan"},
        {"{\"input\":[Infinity]}", "no Infinity"},
        {"{\"input\":[-Infinity]}", "no -Infinity"},
        {"{\"input\":[1,2,3,-Infinity]}", "no -Infinity"},
        {"{\"plan\":True}", "small letters"},
        {"{'input':[1]}", "names stand in double quotes"},
        {"{input:[1]}", "names stand in double quotes"},
        {"{\"mode\":'full'}", "strings stand in double quotes"},
        {"{\"input\":[.5]}", "0.5, not .5"},
        {"{\"input\":[1.]}", "expected a digit after the decimal point of a number, found ']'"},
        {"{\"input\":[01]}", "begin with a 0"},
        {"{\"input\":[+1]}", "begin with +"},
        {"{\"input\" [1]}", "expected a colon"},
        {"{\"input\":[1]", "expected a comma or } after the end of a list, found the end of the text"},
        {"{\"input\":[1]} x", "nothing but white space"},
        {"{\"mode\":\"a\nb\"}", "control character"},
        {"{\"mode\":\"\xff\"}", "must be UTF-8"},
        {"{\"mode\":\"\\x\"}", "after a backslash"},
        {"{\"mode\":\"full", "ends inside a string"},
        {"{ // mode\n}", "no comments"},
        {"\xef\xbb\xbf{}", "byte order mark"},
        {"{\"mode\":,}", "expected a value after a colon, found ','"},
    };
    (void)state;
    failures = 0;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        for (unsigned way = 0; way < FEED_WAYS; way++) {
            char *found =
                feed_outcome(cases[i].text, strlen(cases[i].text), feed_ways[way], CONVOLVE_FLOAT64, false, true);
            if (!strstr(found, cases[i].sentence)) {
                fprintf(stderr, "%s: found \"%s\", expected \"%s\"\n", cases[i].text, found, cases[i].sentence);
                failures++;
            }
            free(found);
        }
    }
    assert_int_equal(failures, 0);
}

/* ---- Against a plain recogniser ---- */

enum { SPOILED_ROUNDS = 60000, SPOILED_BYTES = 600 };

/* A few bytes less, more, twice or other ones. */
static size_t spoil(char *text, size_t count, uint64_t *state)
{
    static const char likely[] = "{}[],:\"\\ntfu0123456789.eE+-\x80\xc3\xed\xff \n";
    for (uint64_t times = 1 + feed_random(state) % 3; times > 0 && count > 0; times--) {
        const size_t at = feed_random(state) % count, most = count - at < 9 ? count - at : 9;
        const size_t bytes = 1 + feed_random(state) % most;
        switch (feed_random(state) % 4) {
        case 0:
            memmove(text + at, text + at + bytes, count - at - bytes);
            count -= bytes;
            break;
        case 1:
            memmove(text + at + bytes, text + at, count - at); /* these bytes come twice */
            count += bytes;
            break;
        case 2:
            text[at] = (char)feed_random(state);
            break;
        default:
            text[at] = likely[feed_random(state) % (sizeof likely - 1)];
        }
    }
    return count;
}

static void test_spoiled(void **unused)
{
    (void)unused;
    failures = 0;
    uint64_t state = 9;
    unsigned refused = 0;
    const size_t listed = sizeof documents / sizeof documents[0];
    for (unsigned round = 0; round < SPOILED_ROUNDS && failures < 10; round++) {
        char text[SPOILED_BYTES + 64], expected[64] = "";
        struct recogniser r;
        const struct document *document = &documents[feed_random(&state) % listed];
        size_t count = document_bytes(document);
        memcpy(text, document->text, count);
        if (round % 2) {
            count = sizeof good_request - 1;
            memcpy(text, good_request, count);
        }
        count = spoil(text, count, &state);
        if (!recognise(&r, text, count))
            snprintf(expected, sizeof expected, "malformed-json @%zu", r.at);
        char *found = feed_outcome(text, count, round % 3 ? FEED_WHOLE : round, CONVOLVE_FLOAT64, false, false);
        refused += *expected != 0;
        if (*expected ? strcmp(found, expected) != 0 : strncmp(found, "malformed-json ", 15) == 0) {
            fprintf(stderr, "%.*s: found \"%s\", expected \"%s\"\n", (int)count, text, found, expected);
            failures++;
        }
        free(found);
    }
    assert_int_equal(failures, 0);
    assert_in_range(refused, SPOILED_ROUNDS / 10, SPOILED_ROUNDS * 99 / 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_documents), cmocka_unit_test(test_documents_inside),
        cmocka_unit_test(test_every_cut), cmocka_unit_test(test_control_character_anywhere),
        cmocka_unit_test(test_depth),     cmocka_unit_test(test_sentences),
        cmocka_unit_test(test_spoiled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
