/* SPDX-License-Identifier: MIT */
/* Numbers of tensors: the same bits as strtod for every notation and cut, exact int64 whatever came before or after it, and the
 * negative zero that only floats have. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "tests/formats/json_feed.h"

static int failures; /* of the running test */

static void expect_text(const char *name, uint64_t way, const char *found, const char *expected)
{
    if (strcmp(found, expected) != 0) {
        fprintf(stderr, "%s, fed %" PRIu64 ": found \"%s\", expected \"%s\"\n", name, way, found, expected);
        failures++;
    }
}

/* ---- Random numbers against strtod ---- */

static size_t random_digits(char *out, size_t count, uint64_t *state)
{
    for (size_t i = 0; i < count; i++)
        out[i] = (char)('0' + feed_random(state) % 10);
    return count;
}

/* A valid JSON number of any length, finite as a double. */
static size_t random_number(char *out, uint64_t *state)
{
    const uint64_t kind = feed_random(state) % 8;
    size_t count = 0;
    if (feed_random(state) % 3 == 0)
        out[count++] = '-';
    if (kind < 2) {
        out[count++] = '0';
    } else {
        out[count++] = (char)('1' + feed_random(state) % 9);
        count += random_digits(out + count, kind == 7 ? feed_random(state) % 60 : feed_random(state) % 20, state);
    }
    if (kind != 2 && kind != 3) {
        out[count++] = '.';
        if (kind == 1) {
            const size_t zeros = feed_random(state) % 30;
            memset(out + count, '0', zeros);
            count += zeros;
        }
        count += random_digits(out + count, 1 + feed_random(state) % (kind == 7 ? 800 : 20), state);
    }
    if (feed_random(state) % 4 == 0)
        count +=
            (size_t)sprintf(out + count, "%s%d", feed_random(state) % 2 ? "e" : "E+", (int)(feed_random(state) % 200));
    else if (feed_random(state) % 6 == 0)
        count += (size_t)sprintf(out + count, "e-%d", (int)(feed_random(state) % 400));
    out[count] = '\0';
    return count;
}

enum { NUMBERS = 5000, ROUNDS = 20 };

static char *random_list(double *expected, uint64_t *state, size_t *count)
{
    static const char *const commas[] = {",", ", ", " ,", "\n  ,\t"};
    char *text = malloc((size_t)NUMBERS * 1000), *at = stpcpy(text, "{\"input\":[");
    for (size_t i = 0; i < NUMBERS; i++) {
        if (i > 0)
            at = stpcpy(at, commas[feed_random(state) % 16 < 12 ? feed_random(state) % 2 : feed_random(state) % 4]);
        const size_t bytes = random_number(at, state);
        expected[i] = strtod(at, NULL);
        at += bytes;
    }
    at = stpcpy(at, "]}");
    *count = (size_t)(at - text);
    return text;
}

static void compare_values(enum convolve_dtype dtype, const void *values, const double *expected)
{
    for (size_t i = 0; i < NUMBERS && failures < 20; i++) {
        const float single = (float)expected[i];
        const bool same = dtype == CONVOLVE_FLOAT64
                              ? memcmp((const double *)values + i, &expected[i], sizeof(double)) == 0
                              : memcmp((const float *)values + i, &single, sizeof(float)) == 0;
        if (!same) {
            fprintf(stderr, "number %zu: found %.17g, expected %.17g\n", i,
                    dtype == CONVOLVE_FLOAT64 ? ((const double *)values)[i] : (double)((const float *)values)[i],
                    expected[i]);
            failures++;
        }
    }
}

static void test_random_numbers(void **state)
{
    (void)state;
    failures = 0;
    static double expected[NUMBERS];
    uint64_t random = 42;
    for (unsigned round = 0; round < ROUNDS; round++) {
        size_t count;
        char *text = random_list(expected, &random, &count);
        struct feed feed;
        struct convolve_shape shape;
        bool shape_only;
        void *values;
        feed_body(&feed, text, count, round == 0 ? FEED_WHOLE : round == 1 ? FEED_BYTES : 100 + round);
        assert_non_null(feed.body);
        const struct json_value *input = json_member(feed.body, "input");
        assert_true(json_tensor_shape(input, "/input", false, &shape_only, &shape, &feed.error));
        assert_int_equal(shape.size[0], NUMBERS);
        assert_true(json_tensor_values(input, "/input", CONVOLVE_FLOAT64, false, &feed.arena, &values, &feed.error));
        compare_values(CONVOLVE_FLOAT64, values, expected);
        feed_release(&feed);
        free(text);
    }
    assert_int_equal(failures, 0);
}

/* Straight to float32 and later give the same bits. */
static void test_random_float32(void **state)
{
    (void)state;
    failures = 0;
    static double expected[NUMBERS];
    uint64_t random = 7;
    for (unsigned round = 0; round < 6; round++) {
        char *text = malloc((size_t)NUMBERS * 40 + 64);
        char *at = stpcpy(text, round % 2 ? "{\"dtype\":\"float32\",\"input\":[" : "{\"input\":[");
        for (size_t i = 0; i < NUMBERS; i++) {
            const int64_t digits = (int64_t)feed_random(&random) >> feed_random(&random) % 50;
            const int exponent = (int)(feed_random(&random) % 70) - 55; /* within float32's range */
            char *number = i > 0 ? stpcpy(at, ",") : at;
            at = number + snprintf(number, 39, "%" PRId64 "e%d", digits, exponent);
            expected[i] = strtod(number, NULL);
        }
        at = stpcpy(at, "]}");
        struct feed feed;
        struct convolve_shape shape;
        bool shape_only;
        void *values;
        feed_body(&feed, text, (size_t)(at - text), round < 2 ? FEED_WHOLE : round);
        assert_non_null(feed.body);
        const struct json_value *input = json_member(feed.body, "input");
        assert_true(json_tensor_shape(input, "/input", false, &shape_only, &shape, &feed.error));
        assert_true(json_tensor_values(input, "/input", CONVOLVE_FLOAT32, false, &feed.arena, &values, &feed.error));
        compare_values(CONVOLVE_FLOAT32, values, expected);
        feed_release(&feed);
        free(text);
    }
    assert_int_equal(failures, 0);
}

/* ---- Exactness, whatever the order ---- */

static const struct {
    const char *numbers;
    const char *float64, *float32, *int64; /* what follows "input=[N]", or the fault behind it */
} lists[] = {
    {"1,2,3", " 1 2 3", " 1 2 3", " 1 2 3"},
    {"-0", " -0", " -0", " 0"},
    {"-0.0,0,-0e5,0.0e-7", " -0 0 -0 0", " -0 0 -0 0", " 0 0 0 0"},
    {"-0,0.5", " -0 0.5", " -0 0.5", " invalid-value /input/1"},
    {"0.5,-0", " 0.5 -0", " 0.5 -0", " invalid-value /input/0"},
    {"9007199254740993,-0", " 9007199254740992 -0", " 9.00719925e+15 -0", " 9007199254740993 0"},
    {"9223372036854775807", " 9.2233720368547758e+18", " 9.22337204e+18", " 9223372036854775807"},
    {"-9223372036854775808", " -9.2233720368547758e+18", " -9.22337204e+18", " -9223372036854775808"},
    {"-0,-9223372036854775808,-0,1,-9223372036854775808", " -0 -9.2233720368547758e+18 -0 1 -9.2233720368547758e+18",
     " -0 -9.22337204e+18 -0 1 -9.22337204e+18", " 0 -9223372036854775808 0 1 -9223372036854775808"},
    {"-9223372036854775808,-0,0.25", " -9.2233720368547758e+18 -0 0.25", " -9.22337204e+18 -0 0.25",
     " invalid-value /input/2"},
    {"9223372036854775808", " 9.2233720368547758e+18", " 9.22337204e+18", " integer-overflow /input/0"},
    {"-9223372036854775809", " -9.2233720368547758e+18", " -9.22337204e+18", " integer-overflow /input/0"},
    {"1,18446744073709551616,0.5", " 1 1.8446744073709552e+19 0.5", " 1 1.84467441e+19 0.5",
     " integer-overflow /input/1"},
    {"1.0,1e3,1.50e1,120e-1,0.001e3", " 1 1000 15 12 1", " 1 1000 15 12 1", " 1 1000 15 12 1"},
    {"922337203685477580.7e1,9223372036854775807000e-3", " 9.2233720368547758e+18 9.2233720368547758e+18",
     " 9.22337204e+18 9.22337204e+18", " 9223372036854775807 9223372036854775807"},
    {"1.00000000000000000000000000000000000000", " 1", " 1", " 1"},
    {"1.00000000000000000000000000000000000001", " 1", " 1", " invalid-value /input/0"},
    {"100000000000000000000000000000000e-30", " 100", " 100", " 100"},
    {"0.00000000000000000000000000000000001e36", " 10", " 10", " 10"},
    {"0e999999999999999999999,-0e-99999999999", " 0 -0", " 0 -0", " 0 0"},
    {"1e-999", " 0", " 0", " invalid-value /input/0"},
    {"1e39,2", " 9.9999999999999994e+38 2", " invalid-value /input/0", " integer-overflow /input/0"},
    {"2,-1e300", " 2 -1.0000000000000001e+300", " invalid-value /input/1", " integer-overflow /input/1"},
    {"0.5,3.5e38,1e39", " 0.5 3.5e+38 9.9999999999999994e+38", " invalid-value /input/1", " invalid-value /input/0"},
    {"16777217,1152921504606847041", " 16777217 1.152921504606847e+18", " 16777216 1.1529215e+18",
     " 16777217 1152921504606847041"},
    {"1,1e999", "E invalid-value /input/1", "E invalid-value /input/1", "E invalid-value /input/1"},
    {"1,-1e309,x", "S", "S", "S"},
    {"0.5,1,1234567890123456789012345678901234567890e400", "E invalid-value /input/2", "E invalid-value /input/2",
     "E invalid-value /input/2"},
    {"null", " not-a-number /input/0", " not-a-number /input/0", " not-a-number /input/0"},
    {"1,null,0.5", " not-a-number /input/1", " not-a-number /input/1", " not-a-number /input/1"},
    {"0.5,null,1", " not-a-number /input/1", " not-a-number /input/1", " invalid-value /input/0"},
};

static void check_list(const char *numbers, const char *before, const char *behind, const char *expected,
                       enum convolve_dtype dtype)
{
    char text[400], whole[400];
    const size_t count = (size_t)snprintf(text, sizeof text, "{%s\"input\":[%s]%s}", before, numbers, behind);
    size_t numbers_count = 1;
    for (const char *at = numbers; *at; at++)
        numbers_count += *at == ',';
    for (unsigned way = 0; way < FEED_WAYS; way++) {
        char *found = feed_outcome(text, count, feed_ways[way], dtype, false, false);
        char *input = strstr(found, "input=");
        if (*expected == 'E')
            snprintf(whole, sizeof whole, "input=%s", expected + 2);
        else
            snprintf(whole, sizeof whole, "input=[%zu]%s", numbers_count, expected);
        if (*expected == 'S')
            expect_text(text, feed_ways[way], strncmp(found, "malformed-json ", 15) == 0 ? "" : found, "");
        else
            expect_text(text, feed_ways[way], input ? input : found, whole);
        free(found);
    }
}

static void test_lists(void **state)
{
    (void)state;
    failures = 0;
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
        const struct {
            enum convolve_dtype dtype;
            const char *expected;
        } dtypes[] = {{CONVOLVE_FLOAT64, lists[i].float64},
                      {CONVOLVE_FLOAT32, lists[i].float32},
                      {CONVOLVE_INT64, lists[i].int64}};
        for (unsigned d = 0; d < 3; d++) {
            char member[64];
            snprintf(member, sizeof member, ",\"dtype\":\"%s\"", convolve_dtype_name(dtypes[d].dtype));
            check_list(lists[i].numbers, "", member, dtypes[d].expected, dtypes[d].dtype);
            check_list(lists[i].numbers, "", "", dtypes[d].expected, dtypes[d].dtype);
            snprintf(member, sizeof member, "\"dt\\u0079pe\" : \"%s\",", convolve_dtype_name(dtypes[d].dtype));
            /* Where the type is known beforehand, only null and 1e999 stand out, or what the type cannot hold. */
            check_list(lists[i].numbers, member, "", dtypes[d].expected, dtypes[d].dtype);
        }
    }
    assert_int_equal(failures, 0);
}

static void test_complex(void **state)
{
    static const struct {
        const char *text;
        enum convolve_dtype dtype;
        const char *expected;
    } cases[] = {
        {"{\"input\":[1,-0,0.5]}", CONVOLVE_COMPLEX128, "input=[3] 1+0i -0+0i 0.5+0i"},
        {"{\"input\":[1,-0,0.5]}", CONVOLVE_COMPLEX64, "input=[3] 1+0i -0+0i 0.5+0i"},
        {"{\"dtype\":\"complex64\",\"input\":[[1],[2]]}", CONVOLVE_COMPLEX64,
         "dtype=a string complex64; input=[2,1] 1+0i 2+0i"},
        {"{\"dtype\":\"complex128\",\"input\":3}", CONVOLVE_COMPLEX128, "dtype=a string complex128; input=[] 3+0i"},
        {"{\"input\":{\"shape\":[2],\"real\":[1,2],\"imag\":[-0,0.5]}}", CONVOLVE_COMPLEX128, "input=[2] 1-0i 2+0.5i"},
        {"{\"input\":{\"imag\":[-0,0.5],\"shape\":[2],\"real\":[1,2]}}", CONVOLVE_COMPLEX64, "input=[2] 1-0i 2+0.5i"},
        {"{\"input\":{\"shape\":[2],\"real\":[1,2],\"imag\":[3,1e39]}}", CONVOLVE_COMPLEX64,
         "input=[2] invalid-value /input/imag/1"},
        {"{\"input\":{\"shape\":[2],\"real\":[1,2],\"imag\":[0,0]}}", CONVOLVE_FLOAT64,
         "input=[2] invalid-value /input/imag"},
        {"{\"input\":{\"shape\":[2],\"real\":[1,null],\"imag\":[0,0]}}", CONVOLVE_COMPLEX128,
         "input=[2] not-a-number /input/real/1"},
    };
    (void)state;
    failures = 0;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        for (unsigned way = 0; way < FEED_WAYS; way++) {
            char *found =
                feed_outcome(cases[i].text, strlen(cases[i].text), feed_ways[way], cases[i].dtype, false, false);
            expect_text(cases[i].text, feed_ways[way], found, cases[i].expected);
            free(found);
        }
    }
    assert_int_equal(failures, 0);
}

static void test_missing(void **state)
{
    static const struct {
        const char *text;
        enum convolve_dtype dtype;
        const char *expected;
    } cases[] = {
        {"{\"input\":[1,null,-0]}", CONVOLVE_FLOAT64, "input=[3] 1 nan -0"},
        {"{\"input\":[[null],[0.5]]}", CONVOLVE_FLOAT32, "input=[2,1] nan 0.5"},
        {"{\"input\":{\"shape\":[2],\"data\":[null,1]}}", CONVOLVE_FLOAT64, "input=[2] nan 1"},
        {"{\"input\":[1,null]}", CONVOLVE_INT64, "input=[2] invalid-value /input/1"},
        {"{\"dtype\":\"float32\",\"input\":[1,null]}", CONVOLVE_FLOAT32, "dtype=a string float32; input=[2] 1 nan"},
    };
    (void)state;
    failures = 0;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        for (unsigned way = 0; way < FEED_WAYS; way++) {
            char *found =
                feed_outcome(cases[i].text, strlen(cases[i].text), feed_ways[way], cases[i].dtype, true, false);
            expect_text(cases[i].text, feed_ways[way], found, cases[i].expected);
            free(found);
        }
    }
    assert_int_equal(failures, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_numbers), cmocka_unit_test(test_random_float32), cmocka_unit_test(test_lists),
        cmocka_unit_test(test_complex),        cmocka_unit_test(test_missing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
