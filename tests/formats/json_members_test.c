/* SPDX-License-Identifier: MIT */
/* Members: duplicates and unknown names at every level, the order of faults, what is too large to be a member, what is meant by a
 * wrong name; and a decoder that runs out of memory anywhere. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

#include "tests/formats/json_feed.h"

static int failures; /* of the running test */

static void expect_outcome(const char *text, const char *expected)
{
    for (unsigned way = 0; way < FEED_WAYS; way++) {
        char *found = feed_outcome(text, strlen(text), feed_ways[way], CONVOLVE_FLOAT64, false, false);
        if (strcmp(found, expected) != 0) {
            fprintf(stderr, "%.200s, fed %" PRIu64 ": found \"%s\", expected \"%s\"\n", text, feed_ways[way], found,
                    expected);
            failures++;
        }
        free(found);
    }
}

static void test_faults(void **state)
{
    static const struct {
        const char *text, *expected;
    } cases[] = {
        /* Duplicates: after unescaping, at every level, in what is thrown away too */
        {"{\"mode\":\"full\",\"mode\":\"same\"}", "duplicate-member /mode"},
        {"{\"mode\":\"full\",\"m\\u006fde\":\"same\"}", "duplicate-member /mode"},
        {"{\"input\":[1],\"input\":[1]}", "duplicate-member /input"},
        {"{\"x\":{\"y\":[0,{\"z\":1,\"z\":2}]}}", "duplicate-member /x/y/1/z"},
        {"{\"kernel\":{\"name\":\"box\",\"size\":3,\"size\":3}}", "duplicate-member /kernel/size"},
        {"{\"input\":{\"shape\":[1],\"data\":[1],\"data\":[2]}}", "duplicate-member /input/data"},
        {"{\"input\":[[1,2],[3,{\"a\":0,\"a\":0}]]}", "duplicate-member /input/1/1/a"},
        {"{\"input\":{\"shape\":[1],\"data\":[5,{\"a\":0,\"a\":0}]}}", "duplicate-member /input/data/1/a"},
        {"{\"fillvalue\":{\"real\":1,\"real\":2}}", "duplicate-member /fillvalue/real"},
        {"{\"\":1,\"\":2}", "duplicate-member /"},
        {"{\"a/b~c\":1,\"a/b~c\":2}", "duplicate-member /a~1b~0c"},
        {"{\"\\ud83d\\ude00\":1,\"\xf0\x9f\x98\x80\":2}", "duplicate-member /\xf0\x9f\x98\x80"},
        {"{\"\\u0000\":1,\"\\u0000\":2}", "duplicate-member /\\u0000"},
        {"{\"\\ud800\":1,\"\\ud800\":2}", "duplicate-member /\\ud800"},
        {"{\"a\":1,\"b\":1,\"c\":1,\"d\":1,\"e\":1,\"f\":1,\"g\":1,\"h\":1,\"i\":1,\"j\":1,\"a\":2}",
         "duplicate-member /a"},
        {"{\"a\":{\"a\":1},\"b\":{\"a\":1}}", "unknown-member /a"},
        {"[{\"a\":1,\"a\":2}]", "invalid-value "},
        /* Unknown */
        {"{\"Input\":[1]}", "unknown-member /Input"},
        {"{\"input \":[1]}", "unknown-member /input "},
        {"{\"mode\\u0000\":\"full\"}", "unknown-member /mode\\u0000"},
        {"{\"mode\\u0000x\":\"full\",\"mode\":\"full\"}", "unknown-member /mode\\u0000x"},
        {"{\"a\\u0022\\n\\r\\\\<b>\\u001f~/\":1}", "unknown-member /a\"\n\r\\<b>\037~0~1"},
        {"{\"mode\\ud800\":\"full\"}", "unknown-member /mode\\ud800"},
        {"{\"\\u0001\":\"\\u0001t0\"}", "unknown-member /\001"},
        {"{\"input\":{\"shape\":[1],\"dat\":[1]}}", "unknown-member /input/dat"},
        {"{\"input\":{\"shape\":[1],\"data\\u0000\":[1]}}", "unknown-member /input/data\\u0000"},
        {"{\"input\":{\"shape\":[1],\"data\":[1],\"order\":\"C\",\"strides\":[1]}}", "unknown-member /input/order"},
        {"{\"input\":{\"\\u0001\":\"\\u0001t0\",\"shape\":[1],\"data\":[1]}}", "unknown-member /input/\001"},
        /* What is no object */
        {"1", "invalid-value "},
        {"\"input\"", "invalid-value "},
        {"null", "invalid-value "},
        {"[[1,2],[3,4]]", "invalid-value "},
        /* The order of faults */
        {"{\"input\":[\"x\"],\"y\":1,\"mode\":1,\"mode\":2,}", "malformed-json @39"},
        {"{\"input\":[\"x\"],\"y\":1,\"mode\":1,\"mode\":2}", "duplicate-member /mode"},
        {"{\"input\":[\"x\"],\"y\":1,\"z\":1,\"mode\":1}", "unknown-member /y"},
        {"{\"input\":{\"foo\":1},\"y\":1}", "unknown-member /input/foo"},
        {"{\"input\":[\"x\"],\"y\":1}", "unknown-member /y"},
        {"{\"kernel\":[[1],2],\"input\":[\"x\"]}", "input=not-a-number /input/0; kernel=ragged-array /kernel/1"},
        /* Members, as the envelope has them */
        {"{}", ""},
        {"{\"mode\":null,\"plan\":true,\"stride\":[1,2.5,-0],\"dtype\":\"int64\"}",
         "dtype=a string int64; plan=true; mode=null; stride=a list(a number 1,a number 2.5,a number -0)"},
        {"{\"fillvalue\":{\"real\":1,\"imag\":-2},\"padding\":[[1,2],[3,4]]}",
         "padding=a list(a list(a number 1,a number 2),a list(a number 3,a number 4)); "
         "fillvalue=an object(real:a number 1,imag:a number -2)"},
        {"{\"mode\":\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\xc3\xa9\"}", "mode=a string \"\\/\b\f\n\r\t\xc3\xa9\xc3\xa9"},
        {"{\"mode\":\"full\\u0000\"}", "mode=a string full\001"
                                       "0"},
        {"{\"mode\":\"\\ud800\"}", "mode=a string \001sd800"},
        {"{\"mode\":\"\\u0001n5\"}", "mode=a string \001"
                                     "1n5"},
        {"{\"mode\":\"\\u0001t0\",\"input\":[1]}", "input=[1] 1; mode=a string \001"
                                                   "1t0"},
        {"{\"kernel\":\"sobel_x\"}", "kernel=a string sobel_x"},
        {"{\"kernel\":\"\\u0001t0\"}", "kernel=a string \001"
                                       "1t0"},
        {"{\"kernel\":{\"sigma\":1.5,\"name\":\"gaussian\"}}",
         "kernel=an object(sigma:a number 1.5,name:a string gaussian)"},
        {"{\"kernel\":{\"name\":\"box\",\"shape\":[3,3]}}", "kernel=an object(name:a string box,shape:a tensor)"},
        {"{\"kernel\":{\"name\":\"box\",\"mode\\u0000\":1}}", "kernel=an object(name:a string box,mode\001"
                                                              "0:a number 1)"},
        {"{\"timeout_ms\":\"5\",\"format\":{}}", "format=an object; timeout_ms=a string 5"},
    };
    (void)state;
    failures = 0;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        expect_outcome(cases[i].text, cases[i].expected);
    assert_int_equal(failures, 0);
}

static void test_hints(void **state)
{
    static const struct {
        const char *text, *hint;
    } cases[] = {
        {"{\"inptu\":[1]}", "did you mean \"input\"?"},
        {"{\"Mode\":1}", "did you mean \"mode\"?"},
        {"{\"timeout-ms\":1}", "did you mean \"timeout_ms\"?"},
        {"{\"weight\":[1]}", "/v1/conv"},
        {"{\"bias\":[1]}", "/v1/conv"},
        {"{\"groups\":1}", "/v1/conv"},
        {"{\"in1\":[1]}", "called input"},
        {"{\"data\":[1]}", "\"input\": {\"shape\""},
        {"{\"cval\":0}", "fillvalue"},
        {"{\"zzzzzz\":0}", "known are dtype, format"},
        {"{\"inpu\\u0000\":0}", "unknown member \"inpu\\u0000\""},
        {"{\"in\\nput\":0}", "unknown member \"in\\u000aput\""},
        {"{\"input\":{\"Data\":[1]}}", "did you mean \"data\"?"},
        {"{\"input\":{\"values\":[1]}}", "shape and data"},
    };
    (void)state;
    failures = 0;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char *found = feed_outcome(cases[i].text, strlen(cases[i].text), FEED_WHOLE, CONVOLVE_FLOAT64, false, true);
        if (!strstr(found, cases[i].hint)) {
            fprintf(stderr, "%s: found \"%s\", expected \"%s\"\n", cases[i].text, found, cases[i].hint);
            failures++;
        }
        free(found);
    }
    assert_int_equal(failures, 0);
}

/* ---- Large things ---- */

static char *repeat(const char *before, const char *item, size_t count, const char *after)
{
    char *text = malloc(strlen(before) + count * strlen(item) + strlen(after) + 1), *at = stpcpy(text, before);
    for (size_t i = 0; i < count; i++)
        at = stpcpy(at, item);
    stpcpy(at, after);
    return text;
}

static void test_oversize(void **state)
{
    static const struct {
        const char *before, *item;
        size_t count;
        const char *after, *expected;
    } cases[] = {
        {"{\"padding\":[1", ",1", 64, "]}", "invalid-value /padding"},
        {"{\"padding\":[[1", ",1", 64, "]]}", "invalid-value /padding"},
        {"{\"mode\":\"", "x", 300000, "\"}", "invalid-value /mode"},
        {"{\"mode\":\"", "\\n", 200000, "\"}", "invalid-value /mode"},
        {"{\"stride\":1", "0", 300000, "}", "invalid-value /stride"},
        {"{\"stride\":1", "0", 300000, ",\"x\":1}", "unknown-member /x"},
        {"{\"padding\":[1", ",1", 100000, "],\"x\":1,\"x\":2}", "duplicate-member /x"},
        {"{\"kernel\":{\"name\":\"", "x", 300000, "\"}}", "invalid-value /kernel"},
        {"{\"x\":[1", ",1", 300000, "]}", "unknown-member /x"},
        {"{\"x\":\"", "x", 300000, "\"}", "unknown-member /x"},
    };
    (void)state;
    failures = 0;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char *text = repeat(cases[i].before, cases[i].item, cases[i].count, cases[i].after);
        expect_outcome(text, cases[i].expected);
        free(text);
    }
    assert_int_equal(failures, 0);
    /* 64 items are fine, and a long name equals none. */
    char *text = repeat("{\"axes\":[1", ",1", 63, "]}");
    char *found = feed_outcome(text, strlen(text), FEED_WHOLE, CONVOLVE_FLOAT64, false, false);
    assert_memory_equal(found, "axes=a list(", 12);
    free(found);
    free(text);
    text = repeat("{\"", "mode", 1000, "\":1}");
    found = feed_outcome(text, strlen(text), FEED_WHOLE, CONVOLVE_FLOAT64, false, false);
    assert_memory_equal(found, "unknown-member /modemode", 24);
    free(found);
    free(text);
}

static char *many_names(size_t count, const char *last)
{
    char *text = malloc(count * 16 + 64), *at = stpcpy(text, "{\"x\":{");
    for (size_t i = 0; i < count; i++)
        at += sprintf(at, "%s\"n%zu\":0", i ? "," : "", i);
    sprintf(at, "%s}}", last);
    return text;
}

static double seconds_to_feed(const char *text, const char *expected)
{
    struct timespec begin, end;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &begin);
    char *found = feed_outcome(text, strlen(text), FEED_WHOLE, CONVOLVE_FLOAT64, false, false);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &end);
    assert_string_equal(found, expected);
    free(found);
    return (double)(end.tv_sec - begin.tv_sec) + 1e-9 * (double)(end.tv_nsec - begin.tv_nsec);
}

static void test_many_names(void **state)
{
    (void)state;
    char *few = many_names(10000, ""), *many = many_names(100000, ""), *twice = many_names(100000, ",\"n77777\":1");
    const double once = seconds_to_feed(few, "unknown-member /x"),
                 ten_times = seconds_to_feed(many, "unknown-member /x");
    /* Quadratic would be a hundred times as long; the floor keeps a busy machine's noise out. */
    assert_true(ten_times < 30 * once + 0.2);
    seconds_to_feed(twice, "duplicate-member /x/n77777");
    free(few);
    free(many);
    free(twice);
}

/* ---- Scalars ---- */

static void test_scalars(void **state)
{
    static const char *const modes[] = {"full", "same", "valid", NULL};
    static const struct {
        const char *value;
        char kind; /* what it is read as */
        double expected; /* NaN: invalid-value */
        const char *detail;
    } cases[] = {
        {"true", 'b', 1, ""},
        {"false", 'b', 0, ""},
        {"1", 'b', NAN, "expected true or false, found a number"},
        {"\"true\"", 'b', NAN, "found the string \"true\""},
        {"null", 'b', NAN, "found null"},
        {"1.5", 'n', 1.5, ""},
        {"-0", 'n', 0, ""},
        {"0.1", 'n', 0.1, ""},
        {"1e999", 'n', NAN, "too large for a double"},
        {"[1]", 'n', NAN, "found a list"},
        {"{}", 'n', NAN, "found an object"},
        {"3", 'i', 3, ""},
        {"3.0", 'i', 3, ""},
        {"3e0", 'i', 3, ""},
        {"30e-1", 'i', 3, ""},
        {"-5", 'i', -5, ""},
        {"3.5", 'i', NAN, "fraction"},
        {"11", 'i', NAN, "expected -5 to 10, found 11"},
        {"-6", 'i', NAN, "expected -5 to 10"},
        {"\"3\"", 'i', NAN, "found the string \"3\""},
        {"9007199254740992", 'I', 9007199254740992, ""},
        {"9007199254740993", 'I', NAN, "2^53"},
        {"9007199254740992.5", 'I', NAN, "fraction"},
        {"-9007199254740993", 'I', NAN, "2^53"},
        {"1e30", 'I', NAN, "2^53"},
        {"1e999", 'I', NAN, "2^53"},
        {"0", 'P', NAN, "expected at least 1"},
        {"\"same\"", 'c', 1, ""},
        {"\"Same\"", 'c', NAN, "did you mean \"same\"?"},
        {"\"\"", 'c', NAN, "known are \"full\", \"same\", \"valid\""},
        {"\"same\\u0000\"", 'c', NAN, "\"same\\u0000\""},
        {"0", 'c', NAN, "expected one of \"full\", \"same\", \"valid\", found a number"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[80];
        struct feed feed;
        bool boolean = false, fine = false;
        double number = NAN;
        int64_t integer = 0;
        unsigned choice = 0;
        snprintf(text, sizeof text, "{\"mode\":%s}", cases[i].value);
        feed_body(&feed, text, strlen(text), FEED_BYTES);
        assert_non_null(feed.body);
        const struct json_value *value = json_member(feed.body, "mode");
        switch (cases[i].kind) {
        case 'b':
            fine = json_read_boolean(value, "/mode", &boolean, &feed.error);
            number = boolean;
            break;
        case 'n':
            fine = json_read_number(value, "/mode", &number, &feed.error);
            break;
        case 'c':
            fine = json_read_choice(value, "/mode", modes, &choice, &feed.error);
            number = choice;
            break;
        default: {
            const bool wide = cases[i].kind != 'i';
            fine = json_read_integer(value, "/mode",
                                     cases[i].kind == 'P' ? 1
                                     : wide               ? INT64_MIN
                                                          : -5,
                                     wide ? INT64_MAX : 10, &integer, &feed.error);
            number = (double)integer;
        }
        }
        if (fine != !isnan(cases[i].expected) || (fine && number != cases[i].expected))
            fail_msg("%s read as %c: %s %.17g", cases[i].value, cases[i].kind, fine ? "fine" : feed.error.detail,
                     number);
        if (!fine && (strcmp(feed.error.slug, "invalid-value") != 0 || strcmp(feed.error.pointer, "/mode") != 0 ||
                      !strstr(feed.error.detail, cases[i].detail)))
            fail_msg("%s read as %c: found %s %s \"%s\", expected \"%s\"", cases[i].value, cases[i].kind,
                     feed.error.slug, feed.error.pointer, feed.error.detail, cases[i].detail);
        feed_release(&feed);
    }
}

static void test_values(void **state)
{
    struct feed feed;
    const char text[] =
        "{\"kernel\":{\"name\":\"box\",\"size\":3},\"padding\":[1,[2,3]],\"mode\":null,\"input\":{\"name\":\"box\"}}";
    const char *name = NULL;
    bool shape_only;
    struct convolve_shape shape;
    (void)state;
    feed_body(&feed, text, strlen(text), FEED_WHOLE);
    assert_non_null(feed.body);
    assert_null(json_member(feed.body, "stride"));
    assert_int_equal(json_type_of(json_member(feed.body, "mode")), JSON_NULL);
    const struct json_value *padding = json_member(feed.body, "padding"), *kernel = json_member(feed.body, "kernel");
    assert_int_equal(json_list_count(padding), 2);
    assert_int_equal(json_list_count(json_list_at(padding, 1)), 2);
    assert_null(json_list_at(padding, 2));
    assert_int_equal(json_list_count(kernel), 0);
    assert_true(json_names_kernel(kernel));
    assert_int_equal(json_object_count(kernel), 2);
    assert_int_equal(json_type_of(json_object_at(kernel, 1, &name)), JSON_NUMBER);
    assert_string_equal(name, "size");
    assert_null(json_object_at(kernel, 2, &name));
    assert_null(json_object_member(kernel, "Size"));
    assert_non_null(json_object_member(kernel, "size"));
    /* Only a kernel can be named. */
    assert_false(json_tensor_shape(json_member(feed.body, "input"), "/input", false, &shape_only, &shape, &feed.error));
    assert_string_equal(feed.error.slug, "unknown-member");
    assert_string_equal(feed.error.pointer, "/input/name");
    feed_release(&feed);
}

/* ---- Memory ---- */

/* With every ceiling from nothing to enough: a clean error, or the whole result, and everything given back. */
static void test_memory(void **state)
{
    static const char *const texts[] = {
        "{\"input\":[[1,2],[4,6.5]],\"kernel\":{\"shape\":[2],\"dtype\":\"int8\",\"base64\":\"AQI=\"}}",
        "{\"x\":{\"a\":1,\"b\":1,\"c\":1,\"d\":1,\"e\":1,\"f\":1,\"g\":1,\"h\":1,\"i\":1,\"j\":1}}",
        "{\"input\":[-9223372036854775808,0.1234567890123456789012345678901234567890,\"x\"]}",
        "{\"kernel\":{\"name\":\"gaussian\",\"sigma\":[1,2,{\"a\":[]}]},\"padding\":[[1,2],[3,4]]}",
    };
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        unsigned refused = 0, done = 0;
        for (size_t limit = 0; limit < 60000; limit += limit < 20000 ? 61 : 997) {
            struct feed feed;
            feed_begin(&feed, limit);
            if (feed.decoder)
                feed_pieces(&feed, texts[i], strlen(texts[i]), limit % 3);
            if (!feed.decoder || (feed.error.slug && strcmp(feed.error.slug, "too-large") == 0)) {
                refused++;
                assert_true(!feed.decoder || (strcmp(feed.error.limit, "max_memory_bytes") == 0 &&
                                              feed.error.allowed == limit && feed.error.requested > limit));
            } else {
                done++;
                assert_true(feed.body || strcmp(feed.error.slug, "unknown-member") == 0);
            }
            feed_release(&feed);
        }
        assert_true(refused > 0 && done > 0);
    }
}

static void test_overloaded(void **state)
{
    struct feed feed;
    (void)state;
    feed_begin(&feed, 1 << 20);
    assert_non_null(feed.decoder);
    struct arena others;
    arena_init(&others, &feed.budget);
    assert_true(arena_charge(&others, feed.budget.limit - feed.budget.used));
    char *text = repeat("{\"input\":[1", ",1", 10000, "]}");
    feed_pieces(&feed, text, strlen(text), FEED_WHOLE);
    assert_null(feed.body);
    assert_string_equal(feed.error.slug, "overloaded");
    free(text);
    arena_discharge(&others, others.charged);
    arena_release(&others);
    feed_release(&feed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_faults),     cmocka_unit_test(test_hints),      cmocka_unit_test(test_oversize),
        cmocka_unit_test(test_many_names), cmocka_unit_test(test_scalars),    cmocka_unit_test(test_values),
        cmocka_unit_test(test_memory),     cmocka_unit_test(test_overloaded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
