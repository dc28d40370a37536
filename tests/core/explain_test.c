/* SPDX-License-Identifier: MIT */
/* The definition, digit for digit: what people ask about convolution most, in every dtype; then terms, exact integers,
 * the order of the chains, conjugation and holes. */
#include "core/explain.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <math.h>
#include <string.h>

enum { VALUES_MAX = 160 };

#define SHAPE(...)                                                                                                     \
    {                                                                                                                  \
        .rank = sizeof((size_t[]){__VA_ARGS__}) / sizeof(size_t), .size = { __VA_ARGS__ }                              \
    }
#define EACH(n)                                                                                                        \
    {                                                                                                                  \
        .given = true, .scalar = true, .count = 1, .value = { n }                                                      \
    }
#define CORRELATE .operation = CONVOLVE_OP_CORRELATE

/* Digits for the tables. */
#define VALS     2, 1, -3, -4, -4, 2, -3, 3, 1, 2, 2, 5, -6, 6, -2, -5, 4, 1, 5, 4, 0, 0, 1, -3, -4
#define W0       0, 1, -1, 1, -1, 0, 0, 0, 0, 1, 0, 0, 0, -1, 1, 1, 0, 1, 1, -1, 0, -1, 0, -1, -1, 0, 1
#define HALF_ROW 10, 10, 10, 0, 0, 0
#define EDGE_ROW 0, 30, 30, 0
#define STRIDED                                                                                                        \
    2, 3, 7, 4, 6, 2, 9, 6, 6, 9, 8, 7, 4, 3, 3, 4, 8, 3, 8, 9, 7, 7, 8, 3, 6, 6, 3, 4, 4, 2, 1, 8, 3, 4, 6, 3, 2, 4,  \
        1, 9, 8, 3, 0, 1, 3, 9, 2, 1, 4
#define RGB                                                                                                            \
    0, 1, 2, 3, 4, 5, 6, 0, 1, 2, 3, 4, 5, 6, 0, 1, 2, 3, 4, 5, 6, 0, 1, 2, 3, 4, 5, 6, 0, 1, 2, 3, 4, 5, 6, 0, 1, 2,  \
        3, 4, 5, 6, 0, 1, 2, 3, 4, 5, 6, 0, 1, 2, 3, 4, 5, 6, 0, 1, 2, 3, 4, 5, 6, 0, 1, 2, 3, 4, 5, 6, 0, 1, 2, 3, 4
#define FULL_VALS_W0                                                                                                   \
    0, 2, -1, -4, -1, 0, 4, 2, 1, -9, 5, -2, 5, -2, 2, -3, 9, -13, 13, -10, 2, 2, -2, -2, 9, -4, 1, -4, -5, 9, -3, 5,  \
        -5, -5, 4, 0, 0, 1, -4, -1, 4, 0, 0, 0, 0, 0, 0, 0, 0, 2, 1, -3, -4, -4, 0, 0, 2, -5, 4, 5, 3, 0, -4, 4, 4,    \
        -2, -3, -7, -5, -2, -3, -1, 3, 14, -3, 9, 0, 2, 10, -12, 11, -16, 7, 2, -5, 4, -4, 8, 9, 6, 0, 0, 0, 1, -3,    \
        -3, -3, -4, 2, -1, -4, -1, 0, 4, 0, 0, -6, 7, 1, 8, 2, 4, -2, 5, -11, 19, -12, -3, -6, -9, 7, 0, -11, 8, -9,   \
        4, 3, -9, 13, -14, -10, 5, -6, 5, -4, -7, 2, 0, 8, 8, 0, 0, -1, 3, 5, -3, -4
#define INSIDE_VALS_W0                                                                                                 \
    1, -9, 5, -2, 5, -3, 9, -13, 13, -10, -2, -2, 9, -4, 1, 9, -3, 5, -5, -5, 0, 1, -4, -1, 4, -5, 4, 5, 3, 0, 4, -2,  \
        -3, -7, -5, -1, 3, 14, -3, 9, 10, -12, 11, -16, 7, 4, -4, 8, 9, 6, -6, 7, 1, 8, 2, 5, -11, 19, -12, -3, 7, 0,  \
        -11, 8, -9, -9, 13, -14, -10, 5, -4, -7, 2, 0, 8

static const struct {
    const char *name;
    struct convolve_spec spec;
    double input[VALUES_MAX], kernel[VALUES_MAX], output[VALUES_MAX];
} cases[] = {
    {"correlate 3x3 by 3x3, valid",
     {CORRELATE, .input = SHAPE(3, 3), .kernel = SHAPE(3, 3), .mode = CONVOLVE_VALID},
     {0, 0, 0, 1, 1, 2, 1, 3, 0},
     {4, 1, 1, 0, 3, 3, 2, 1, 2},
     {14}},
    {"convolve 3x3 by 3x3, valid",
     {.input = SHAPE(3, 3), .kernel = SHAPE(3, 3), .mode = CONVOLVE_VALID},
     {0, 0, 0, 1, 1, 2, 1, 3, 0},
     {4, 1, 1, 0, 3, 3, 2, 1, 2},
     {10}},
    {"convolve with the kernel reversed, full",
     {.input = SHAPE(3, 3), .kernel = SHAPE(3, 3)},
     {0, 0, 0, 1, 1, 2, 1, 3, 0},
     {2, 1, 2, 3, 3, 0, 1, 1, 4},
     {0, 0, 0, 0, 0, 2, 3, 7, 4, 4, 5, 13, 14, 12, 0, 4, 14, 16, 6, 8, 1, 4, 7, 12, 0}},
    {"backwards correlation: three filters by one array",
     {.input = SHAPE(5, 5), .kernel = SHAPE(3, 3, 3), .axes_given = true, .axis_count = 2, .axes = {1, 2}},
     {VALS},
     {W0},
     {FULL_VALS_W0}},
    {"its inside",
     {.input = SHAPE(5, 5),
      .kernel = SHAPE(3, 3, 3),
      .mode = CONVOLVE_SAME,
      .axes_given = true,
      .axis_count = 2,
      .axes = {1, 2}},
     {VALS},
     {W0},
     {INSIDE_VALS_W0}},
    {"its counterpart for the filter: slices padded by 1",
     {CORRELATE, .input = SHAPE(3, 5, 5), .kernel = SHAPE(5, 5), .axes_given = true, .axis_count = 2, .axes = {1, 2},
      .padding = {.given = true, .scalar = true, .count = 1, .before = {1}, .after = {1}}},
     {INSIDE_VALS_W0},
     {VALS},
     {-181, 302, -162, 184, -321, 122,  51, 21,   -19, 142,  63,   41, -62, -334,
      245,  378, -66,  258, 385,  -289, 58, -309, 203, -422, -206, 60, 222}},
    {"an RGB image: the filter's channels are reversed",
     {.input = SHAPE(3, 5, 5), .kernel = SHAPE(3, 2, 2), .mode = CONVOLVE_VALID},
     {RGB},
     {1, 2, 3, 4, 0, -1, 1, 0, 2, 0, 0, -2},
     {37, 19, 22, 32, 38, 20, 37, 19, 32, 42, 38, 20, 19, 22, 32, 42}},
    {"vertical edges",
     {CORRELATE, .input = SHAPE(6, 6), .kernel = SHAPE(3, 3), .mode = CONVOLVE_VALID},
     {HALF_ROW, HALF_ROW, HALF_ROW, HALF_ROW, HALF_ROW, HALF_ROW},
     {1, 0, -1, 1, 0, -1, 1, 0, -1},
     {EDGE_ROW, EDGE_ROW, EDGE_ROW, EDGE_ROW}},
    {"stride 2",
     {CORRELATE, .input = SHAPE(7, 7), .kernel = SHAPE(3, 3), .mode = CONVOLVE_VALID, .stride = EACH(2)},
     {STRIDED},
     {3, 4, 4, 1, 0, 2, -1, 0, 3},
     {91, 100, 88, 69, 91, 117, 44, 72, 74}},
    {"same, kernel of 4, convolve",
     {.input = SHAPE(5), .kernel = SHAPE(4), .mode = CONVOLVE_SAME},
     {1, 2, 3, 4, 5},
     {1, 10, 100, 1000},
     {12, 123, 1234, 2345, 3450}},
    {"same, kernel of 4, correlate",
     {CORRELATE, .input = SHAPE(5), .kernel = SHAPE(4), .mode = CONVOLVE_SAME},
     {1, 2, 3, 4, 5},
     {1, 10, 100, 1000},
     {2100, 3210, 4321, 5432, 543}},
    {"same, kernel of 2, convolve",
     {.input = SHAPE(5), .kernel = SHAPE(2), .mode = CONVOLVE_SAME},
     {1, 2, 3, 4, 5},
     {1, 10},
     {1, 12, 23, 34, 45}},
    {"same, kernel of 2, correlate",
     {CORRELATE, .input = SHAPE(5), .kernel = SHAPE(2), .mode = CONVOLVE_SAME},
     {1, 2, 3, 4, 5},
     {1, 10},
     {10, 21, 32, 43, 54}},
    {"same, a longer kernel, convolve",
     {.input = SHAPE(2), .kernel = SHAPE(4), .mode = CONVOLVE_SAME},
     {1, 2},
     {1, 10, 100, 1000},
     {12, 120}},
    {"valid changes places, convolve",
     {.input = SHAPE(2), .kernel = SHAPE(4), .mode = CONVOLVE_VALID},
     {1, 2},
     {1, 10, 100, 1000},
     {12, 120, 1200}},
    {"valid changes places, correlate: the order stays that of full",
     {CORRELATE, .input = SHAPE(2), .kernel = SHAPE(4), .mode = CONVOLVE_VALID},
     {1, 2},
     {1, 10, 100, 1000},
     {2100, 210, 21}},
    {"valid changes places, and no boundary applies",
     {.input = SHAPE(2),
      .kernel = SHAPE(4),
      .mode = CONVOLVE_VALID,
      .boundary = CONVOLVE_EDGE,
      .fillvalue = {.integer = 7, .real = 7}},
     {1, 2},
     {1, 10, 100, 1000},
     {12, 120, 1200}},
    {"valid changes places with a dilated kernel: 1 0 10 0 100",
     {.input = SHAPE(2), .kernel = SHAPE(3), .mode = CONVOLVE_VALID, .dilation = EACH(2)},
     {1, 2},
     {1, 10, 100},
     {2, 10, 20, 100}},
    {"two numbers", {.input = {0}, .kernel = {0}}, {6}, {7}, {42}},
    {"a constant of 5 beyond the ends",
     {.input = SHAPE(2), .kernel = SHAPE(3), .fillvalue = {.integer = 5, .real = 5}},
     {1, 2},
     {1, 1, 1},
     {11, 8, 8, 12}},
    {"wrapped around",
     {CORRELATE, .input = SHAPE(3), .kernel = SHAPE(3), .mode = CONVOLVE_SAME, .boundary = CONVOLVE_WRAP},
     {1, 2, 3},
     {1, 10, 100},
     {213, 321, 132}},
};

/* ---- Every dtype ------------------------------------------------------------------------------------------------------ */

static size_t element_count(const struct convolve_shape *shape)
{
    size_t count = 0;
    assert_true(convolve_shape_count(shape, &count));
    return count;
}

/* As a tensor of `dtype` with imaginary parts 0. */
static void convert(void *tensor, enum convolve_dtype dtype, const double *values, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        switch (dtype) {
        case CONVOLVE_FLOAT64:
            ((double *)tensor)[i] = values[i];
            break;
        case CONVOLVE_FLOAT32:
            ((float *)tensor)[i] = (float)values[i];
            break;
        case CONVOLVE_INT64:
            ((int64_t *)tensor)[i] = (int64_t)values[i];
            break;
        case CONVOLVE_COMPLEX128:
            ((double *)tensor)[2 * i] = values[i];
            ((double *)tensor)[2 * i + 1] = 0;
            break;
        case CONVOLVE_COMPLEX64:
            ((float *)tensor)[2 * i] = (float)values[i];
            ((float *)tensor)[2 * i + 1] = 0;
            break;
        }
    }
}

static void what_confuses_people(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        for (int dtype = 0; dtype < CONVOLVE_DTYPE_COUNT; dtype++) {
            struct convolve_spec spec = cases[i].spec;
            struct convolve_error error = {0};
            struct convolve_scalar value;
            double input[2 * VALUES_MAX], kernel[2 * VALUES_MAX];
            spec.dtype = (enum convolve_dtype)dtype;
            convert(input, spec.dtype, cases[i].input, element_count(&spec.input));
            convert(kernel, spec.dtype, cases[i].kernel, element_count(&spec.kernel));
            size_t index = 0;
            while (convolve_explain(&spec, input, kernel, index, NULL, NULL, &value, &error)) {
                const double found = spec.dtype == CONVOLVE_INT64 ? (double)value.integer : value.real;
                if (found != cases[i].output[index] || value.imag != 0)
                    fail_msg("%s, %s: output %zu is %g, expected %g", cases[i].name, convolve_dtype_name(spec.dtype),
                             index, found, cases[i].output[index]);
                index++;
            }
            assert_string_equal(error.pointer, "/index"); /* beyond the last */
            for (; index < VALUES_MAX; index++)
                if (cases[i].output[index] != 0)
                    fail_msg("%s: output %zu is missing", cases[i].name, index);
        }
    }
}

/* ---- Terms ------------------------------------------------------------------------------------------------------------ */

struct collected {
    size_t count;
    struct convolve_term terms[32];
};

static void collect(void *context, const struct convolve_term *term)
{
    struct collected *collected = context;
    assert_true(collected->count < 32);
    collected->terms[collected->count++] = *term;
}

static void terms_tell_their_places(void **state)
{
    const struct convolve_spec spec = {
        .input = SHAPE(2, 3), .kernel = SHAPE(2), .axes_given = true, .axis_count = 1, .axes = {1}};
    const double input[] = {1, 2, 3, 4, 5, 6}, kernel[] = {10, 100};
    struct collected found = {0};
    struct convolve_scalar value;
    (void)state;
    /* Output [1, 0]: one place outside, then 4 * 10. */
    assert_true(convolve_explain(&spec, input, kernel, 4, collect, &found, &value, NULL));
    assert_int_equal(found.count, 2);
    assert_true(value.real == 40);
    assert_false(found.terms[0].inside);
    assert_int_equal(found.terms[0].kernel_index[0], 1);
    assert_true(found.terms[0].kernel.real == 100 && found.terms[0].input.real == 0);
    assert_true(found.terms[1].inside);
    assert_int_equal(found.terms[1].input_index[0], 1);
    assert_int_equal(found.terms[1].input_index[1], 0);
    assert_int_equal(found.terms[1].kernel_index[0], 0);
    assert_true(found.terms[1].product.real == 40);
}

static void the_boundarys_terms_are_not_inside(void **state)
{
    const struct convolve_spec spec = {CORRELATE,          .dtype = CONVOLVE_INT64, .input = SHAPE(3),
                                       .kernel = SHAPE(3), .mode = CONVOLVE_SAME,   .boundary = CONVOLVE_REFLECT};
    const int64_t input[] = {1, 2, 3}, kernel[] = {1, 10, 100};
    struct collected found = {0};
    struct convolve_scalar value;
    (void)state;
    assert_true(convolve_explain(&spec, input, kernel, 0, collect, &found, &value, NULL));
    assert_int_equal(found.count, 3);
    assert_int_equal(value.integer, 212);
    assert_false(found.terms[0].inside);
    assert_int_equal(found.terms[0].input.integer, 2);
}

/* ---- Values ----------------------------------------------------------------------------------------------------------- */

static void only_results_overflow(void **state)
{
    const struct convolve_spec spec = {CORRELATE, .dtype = CONVOLVE_INT64, .input = SHAPE(6), .kernel = SHAPE(6),
                                       .mode = CONVOLVE_VALID};
    const int64_t most = INT64_MAX, least = INT64_MIN, half = (int64_t)1 << 62;
    const struct {
        const char *name;
        int64_t input[6], kernel[6];
        bool fits;
        int64_t value;
    } rows[] = {
        {"beyond 128 bits and back", {least, least, most, most, -4, 7}, {least, least, least, least, half, 1}, true, 7},
        {"beyond 128 bits", {least, least, 0, 0}, {least, least, 0, 0}, false, 0},
        {"products that cancel", {least, least, least, 5}, {least, most, 1, 1}, true, 5},
        {"the largest", {most, 0, 0, 0}, {1, 0, 0, 0}, true, most},
        {"one more", {most, 1, 0, 0}, {1, 1, 0, 0}, false, 0},
        {"the least", {least, 0, 0, 0}, {1, 0, 0, 0}, true, least},
        {"one less", {least, 1, 0, 0}, {1, -1, 0, 0}, false, 0},
        {"there and back", {most, most, -most, -most + 1}, {most, most, most, most}, true, most},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct convolve_scalar value;
        struct convolve_error error = {0};
        const bool fits = convolve_explain(&spec, rows[i].input, rows[i].kernel, 0, NULL, NULL, &value, &error);
        if (fits != rows[i].fits || (fits && value.integer != rows[i].value))
            fail_msg("%s: found %d, %lld; expected %d, %lld", rows[i].name, fits, (long long)value.integer,
                     rows[i].fits, (long long)rows[i].value);
        if (!fits)
            assert_string_equal(error.slug, "integer-overflow");
    }
}

static void a_product_beyond_int64_is_told_in_two_halves(void **state)
{
    const struct convolve_spec spec = {.dtype = CONVOLVE_INT64, .input = SHAPE(2), .kernel = SHAPE(2)};
    const int64_t input[] = {INT64_MAX, INT64_MAX}, kernel[] = {4, -4};
    struct collected found = {0};
    struct convolve_scalar value;
    (void)state;
    assert_true(convolve_explain(&spec, input, kernel, 1, collect, &found, &value, NULL));
    assert_int_equal(value.integer, 0);
    /* Minus and plus 4 * (2^63 - 1) = 2 * 2^64 - 4. */
    assert_true(found.terms[0].product_high == -2 && found.terms[0].product.integer == 4);
    assert_true(found.terms[1].product_high == 1 && found.terms[1].product.integer == -4);
}

static void floats_are_one_fused_chain(void **state)
{
    /* (1 + e) * (1 - e) = 1 - e^2 rounds to 1 unless it is fused with the -1 before it. */
    const double e = 0x1p-30;
    const double input[] = {-1, 1 + e}, kernel[] = {1, 1 - e};
    const struct convolve_spec spec = {CORRELATE, .input = SHAPE(2), .kernel = SHAPE(2), .mode = CONVOLVE_VALID};
    struct convolve_scalar value;
    (void)state;
    assert_true(convolve_explain(&spec, input, kernel, 0, NULL, NULL, &value, NULL));
    assert_true(value.real == -e * e);
    const float e32 = 0x1p-15f;
    const float input32[] = {-1, 1 + e32}, kernel32[] = {1, 1 - e32};
    struct convolve_spec spec32 = spec;
    spec32.dtype = CONVOLVE_FLOAT32;
    assert_true(convolve_explain(&spec32, input32, kernel32, 0, NULL, NULL, &value, NULL));
    assert_true(value.real == -(double)e32 * (double)e32);
}

static void correlate_conjugates_the_kernel(void **state)
{
    /* scipy.signal.correlate([1+2j, 3-1j], [1j, 2, 3-1j], mode) and convolve. */
    const double input[] = {1, 2, 3, -1}, kernel[] = {0, 1, 2, 0, 3, -1};
    static const struct {
        enum convolve_operation operation;
        enum convolve_mode mode;
        size_t count;
        double expected[8];
    } rows[] = {
        {CONVOLVE_OP_CORRELATE, CONVOLVE_FULL, 4, {1, 7, 12, 4, 8, -3, -1, -3}},
        {CONVOLVE_OP_CORRELATE, CONVOLVE_VALID, 2, {12, 4, 8, -3}},
        {CONVOLVE_OP_CONVOLVE, CONVOLVE_FULL, 4, {-2, 1, 3, 7, 11, 3, 8, -6}},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct convolve_spec spec = {.operation = rows[i].operation,
                                           .dtype = CONVOLVE_COMPLEX128,
                                           .mode = rows[i].mode,
                                           .input = SHAPE(2),
                                           .kernel = SHAPE(3)};
        for (size_t index = 0; index < rows[i].count; index++) {
            struct convolve_scalar value;
            assert_true(convolve_explain(&spec, input, kernel, index, NULL, NULL, &value, NULL));
            if (value.real != rows[i].expected[2 * index] || value.imag != rows[i].expected[2 * index + 1])
                fail_msg("row %zu, output %zu: found %g%+gi, expected %g%+gi", i, index, value.real, value.imag,
                         rows[i].expected[2 * index], rows[i].expected[2 * index + 1]);
        }
    }
}

/* ---- Holes ------------------------------------------------------------------------------------------------------------ */

static void holes_are_left_out(void **state)
{
    static const struct {
        const char *name;
        enum convolve_boundary boundary;
        double input[5], kernel[3], expected[5];
    } rows[] = {
        {"a hole scales the rest", CONVOLVE_EDGE, {1, 2, NAN, 4, 5}, {1, 1, 1}, {4, 4.5, 9, 13.5, 14}},
        {"zeros beyond the ends are no holes", CONVOLVE_CONSTANT, {NAN, 2, 3, 4, 5}, {1, 1, 1}, {3, 7.5, 9, 12, 9}},
        {"a window of holes is NaN", CONVOLVE_EDGE, {NAN, NAN, NAN, 4, 5}, {1, 1, 1}, {NAN, NAN, 12, 13.5, 14}},
        {"a mirrored hole is a hole", CONVOLVE_REFLECT, {1, NAN, 3, 4, 5}, {1, 2, 1}, {4, 8, 40. / 3, 16, 18}},
        {"remaining weights of 0 are NaN", CONVOLVE_CONSTANT, {1, 2, NAN, 4, 5}, {1, -1, 2}, {3, NAN, 20. / 3, 12, -1}},
    };
    (void)state;
    for (int dtype = 0; dtype < CONVOLVE_DTYPE_COUNT; dtype++) {
        if (dtype == CONVOLVE_INT64)
            continue;
        for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
            const struct convolve_spec spec = {CORRELATE,
                                               .dtype = (enum convolve_dtype)dtype,
                                               .input = SHAPE(5),
                                               .kernel = SHAPE(3),
                                               .mode = CONVOLVE_SAME,
                                               .boundary = rows[i].boundary,
                                               .ignore_missing = true};
            double input[10], kernel[6];
            convert(input, spec.dtype, rows[i].input, 5);
            convert(kernel, spec.dtype, rows[i].kernel, 3);
            for (size_t index = 0; index < 5; index++) {
                struct convolve_scalar value;
                const bool single = dtype == CONVOLVE_FLOAT32 || dtype == CONVOLVE_COMPLEX64;
                const double expected = single ? (float)rows[i].expected[index] : rows[i].expected[index];
                assert_true(convolve_explain(&spec, input, kernel, index, NULL, NULL, &value, NULL));
                if (isnan(expected) ? !isnan(value.real) : value.real != expected)
                    fail_msg("%s, %s: output %zu is %.17g, expected %.17g", rows[i].name,
                             convolve_dtype_name(spec.dtype), index, value.real, expected);
            }
        }
    }
}

static void weights_that_sum_to_0_cannot_be_scaled(void **state)
{
    const struct convolve_spec spec = {.input = SHAPE(6), .kernel = SHAPE(6), .ignore_missing = true};
    const double input[] = {1, 2, 3, 4, 5, 6}, kernel[] = {0.1, 0.2, 0.3, -0.1, -0.2, -0.3};
    struct convolve_scalar value;
    struct convolve_error error = {0};
    (void)state;
    assert_false(convolve_explain(&spec, input, kernel, 0, NULL, NULL, &value, &error));
    assert_string_equal(error.slug, "invalid-value");
    assert_string_equal(error.pointer, "/missing");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_confuses_people),
        cmocka_unit_test(terms_tell_their_places),
        cmocka_unit_test(the_boundarys_terms_are_not_inside),
        cmocka_unit_test(only_results_overflow),
        cmocka_unit_test(a_product_beyond_int64_is_told_in_two_halves),
        cmocka_unit_test(floats_are_one_fused_chain),
        cmocka_unit_test(correlate_conjugates_the_kernel),
        cmocka_unit_test(holes_are_left_out),
        cmocka_unit_test(weights_that_sum_to_0_cannot_be_scaled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
