/* SPDX-License-Identifier: MIT */
/* The reader of small bodies takes what is plain, leaves everything else to the decoder, and never says anything else than that
 * one: tables, and random bodies with random changes. Each text stands in memory of its own length. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "server/formats/json_small.h"
#include "tests/formats/json_feed.h"

enum { ROUNDS = 60000, TEXT_BYTES = 4096 };

static uint64_t random_state = 11;
static int failures; /* of the running test */

static uint64_t draw(uint64_t below)
{
    return feed_random(&random_state) % below;
}

/* ---- What is taken --------------------------------------------------------------------------------------------- */

static bool is_taken(const char *text, size_t count)
{
    struct memory_budget budget = {0, 1 << 20};
    struct arena arena;
    arena_init(&arena, &budget);
    char *copy = malloc(count ? count : 1);
    memcpy(copy, text, count);
    const bool taken = json_small_read(&arena, &feed_schema, copy, count) != NULL;
    free(copy);
    arena_release(&arena);
    return taken;
}

static void test_taken(void **state)
{
    static const struct {
        const char *text;
        bool taken;
    } cases[] = {
        {"{\"input\":[[3,0],[1,5]],\"kernel\":[[1,0],[-1,2]],\"mode\":\"valid\"}", true},
        {" \r\n\t{ \"input\" : [ [ 1 , 2.5 ] , [ -0 , 1e-3 ] ] , \"kernel\" : [ [ 7 ] ] } \n", true},
        {"{\"input\":[12345678901234567890, 0.1234567890123456789, 1E+2]}", true},
        {"{\"kernel\":\"sobel_x\",\"plan\":true,\"timeout_ms\":50,\"stride\":[1,2],\"fillvalue\":-1.5}", true},
        {"{\"input\":[[[[[[[[1]]]]]]]]}", true},
        {"{\"plan\":false}", true},
        /* Not JSON */
        {"", false},
        {" ", false},
        {"}", false},
        {"{", false},
        {"{\"input\":[1]", false},
        {"{\"input\":[1]}}", false},
        {"{\"input\":[1],}", false},
        {"{\"input\":[1,]}", false},
        {"{\"input\":[[1],]}", false},
        {"{\"input\":[1]\"kernel\":[1]}", false},
        {"{\"input\":[01]}", false},
        {"{\"input\":[1.]}", false},
        {"{\"input\":[-]}", false},
        {"{\"input\":[1e]}", false},
        {"{\"input\":[1 2]}", false},
        {"{\"input\":[1}", false},
        {"{\"input\":[}", false}, /* nothing is read behind it */
        {"{\"input\":[-}", false},
        {"{\"input\":[[1}", false},
        {"{\"plan\":tru}", false},
        {"{\"plan\":falsy}", false},
        {"{\"mode\":\"full}", false},
        {"{\"mode}", false},
        {"{\"mode\"}", false},
        {"{\"stride\":[1,2}", false},
        /* Faults, which are the decoder's to tell */
        {"{\"input\":[1],\"input\":[1]}", false},
        {"{\"inputs\":[1]}", false},
        {"{\"inpu\":[1]}", false},
        {"{\"\":[1]}", false},
        {"{\"input\":[[1,2],[3]]}", false},
        {"{\"input\":[[1],2]}", false},
        {"{\"input\":[1,[2]]}", false},
        {"{\"input\":[[1],[[2]]]}", false},
        {"{\"input\":[1e999]}", false},
        {"{\"input\":[[[[[[[[[1]]]]]]]]]}", false},
        {"[1]", false},
        /* Not plain */
        {"{}", false},
        {"{\"input\":[]}", false},
        {"{\"input\":5}", false},
        {"{\"input\":[null]}", false},
        {"{\"input\":null}", false},
        {"{\"input\":{\"shape\":[1],\"data\":[1]}}", false},
        {"{\"kernel\":{\"name\":\"box\"}}", false},
        {"{\"mode\":\"fu\\u006cl\"}", false},
        {"{\"mode\":\"f\xc3\xbcll\"}", false},
        {"{\"stride\":[]}", false},
        {"{\"stride\":[1,[2]]}", false},
        {"{\"stride\":[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]}", false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        if (is_taken(cases[i].text, strlen(cases[i].text)) != cases[i].taken) {
            fprintf(stderr, "%s: expected to be %s\n", cases[i].text, cases[i].taken ? "taken" : "left");
            failures++;
        }
    }
    assert_int_equal(failures, 0);
}

/* ---- The same outcome ------------------------------------------------------------------------------------------ */

static char *add_space(char *out)
{
    while (draw(8) == 0)
        *out++ = " \n\t\r"[draw(4)];
    return out;
}

static char *add_number(char *out)
{
    static const char *const odd[] = {
        "-0",   "-0.0",  "1e3", "2.0",  "9007199254740993", "-9223372036854775808", "0.1e-5",
        "1e22", "1e300", "1.5", "0.30", "123456789012345",  "0.123456789012345678", "1E-1"};
    switch (draw(12)) {
    case 0:
        return stpcpy(out, odd[draw(sizeof odd / sizeof *odd)]);
    case 1:
    case 2:
        return out + sprintf(out, "%.*f", (int)draw(18), (double)(int64_t)(draw(2000000) - 1000000) / 7);
    case 3:
        return out + sprintf(out, "%.17g", (double)feed_random(&random_state) * 1e-12);
    default:
        return out + sprintf(out, "%d", (int)draw(512) - 256);
    }
}

static char *add_nested(char *out, const size_t *size, unsigned rank)
{
    *out++ = '[';
    for (size_t i = 0; i < *size; i++) {
        if (i > 0)
            *out++ = ',';
        out = add_space(rank > 1 ? add_nested(add_space(out), size + 1, rank - 1) : add_number(add_space(out)));
    }
    *out++ = ']';
    return out;
}

static char *add_tensor(char *out)
{
    size_t size[3];
    for (unsigned axis = 0; axis < 3; axis++)
        size[axis] = 1 + draw(5);
    return add_nested(out, size, 1 + (unsigned)draw(3));
}

static char *add_member(char *out, const char *name)
{
    static const char *const others[] = {"\"full\"", "\"float32\"", "true", "false", "[1,2]",   "[ 3 ]",
                                         "12.5",     "\"int64\"",   "-7",   "null",  "\"x y\"", "{\"real\":1}"};
    out += sprintf(out, "\"%s\"", name);
    out = add_space(out);
    *out++ = ':';
    out = add_space(out);
    const bool tensor = strcmp(name, "input") == 0 || strcmp(name, "kernel") == 0;
    return add_space(tensor && draw(20) ? add_tensor(out) : stpcpy(out, others[draw(sizeof others / sizeof *others)]));
}

static size_t make_body(char *text)
{
    char *out = add_space(text);
    *out++ = '{';
    for (uint64_t left = 1 + draw(4); left > 0; left--) {
        const size_t kinds = feed_schema.count;
        const char *name = draw(2) ? (draw(2) ? "input" : "kernel") : feed_members[draw(kinds)].name;
        out = add_member(add_space(out), name);
        if (left > 1)
            *out++ = ',';
    }
    *out++ = '}';
    out = add_space(out);
    size_t count = (size_t)(out - text);
    while (draw(6) == 0 && count > 0) { /* a byte more, less, or another */
        static const char bytes[] = "[]{},:\"0123456789.-eE ntf\\\n\x01\xff";
        const size_t at = draw(count);
        const char byte = bytes[draw(sizeof bytes - 1)];
        switch (draw(3)) {
        case 0:
            memmove(text + at + 1, text + at, count++ - at);
            text[at] = byte;
            break;
        case 1:
            memmove(text + at, text + at + 1, --count - at);
            break;
        default:
            text[at] = byte;
        }
    }
    return count;
}

static void test_same(void **state)
{
    static char text[TEXT_BYTES];
    unsigned taken = 0, left = 0;
    (void)state;
    for (unsigned round = 0; round < ROUNDS; round++) {
        const size_t count = make_body(text);
        const enum convolve_dtype dtype = (enum convolve_dtype)draw(CONVOLVE_DTYPE_COUNT);
        const bool missing = draw(2);
        if (is_taken(text, count))
            taken++;
        else
            left++;
        char *expected = feed_outcome(text, count, FEED_WHOLE, dtype, missing, true);
        char *found = feed_outcome(text, count, FEED_KNOWN_WHOLE, dtype, missing, true);
        if (strcmp(found, expected) != 0) {
            fprintf(stderr, "%.*s: found \"%s\", expected \"%s\"\n", (int)count, text, found, expected);
            failures++;
        }
        free(expected);
        free(found);
    }
    assert_int_equal(failures, 0);
    assert_true(taken > ROUNDS / 4 && left > ROUNDS / 8);
}

/* ---- Without memory -------------------------------------------------------------------------------------------- */

static void test_memory(void **state)
{
    static const char text[] = "{\"input\":[[3,0],[1,5]],\"kernel\":[1],\"mode\":\"valid\",\"stride\":[1,1]}";
    unsigned refused = 0, done = 0;
    (void)state;
    for (size_t limit = 0; limit < 40000; limit += 1000) {
        struct feed feed;
        feed_begin(&feed, limit);
        if (feed.decoder)
            feed_pieces(&feed, text, sizeof text - 1, FEED_KNOWN_WHOLE);
        if (feed.decoder && feed.body)
            done++;
        else
            refused++;
        feed_release(&feed);
    }
    assert_true(refused > 0 && done > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_taken),
        cmocka_unit_test(test_same),
        cmocka_unit_test(test_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
