/* SPDX-License-Identifier: MIT */
/* What only larger requests meet: segments, phases, passes, tiles of many units; compared with `explain` at some outputs.
 * Then what the outcome tells: exactness, bounds, where the first NaN is, overflow, and what is refused. */
#include "tests/core/random_spec.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SHAPE(...)                                                                                                     \
    {                                                                                                                  \
        .rank = sizeof((size_t[]){__VA_ARGS__}) / sizeof(size_t), .size = { __VA_ARGS__ }                              \
    }
#define EACH(n)                                                                                                        \
    {                                                                                                                  \
        .given = true, .scalar = true, .count = 1, .value = { n }                                                      \
    }
#define AXES(...)                                                                                                      \
    .axes_given = true, .axis_count = sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t), .axes = {__VA_ARGS__}
#define F32       .dtype = CONVOLVE_FLOAT32
#define I64       .dtype = CONVOLVE_INT64
#define C64       .dtype = CONVOLVE_COMPLEX64
#define C128      .dtype = CONVOLVE_COMPLEX128
#define CORRELATE .operation = CONVOLVE_OP_CORRELATE
#define SAME      .mode = CONVOLVE_SAME
#define VALID     .mode = CONVOLVE_VALID
#define FILLED    .fillvalue = {.integer = 3, .real = 0.3, .imag = 2}

static const struct {
    const char *name;
    struct convolve_spec spec;
    size_t samples;
} large[] = {
    {"one axis in phases, many segments", {F32, .input = SHAPE(100000), .kernel = SHAPE(700)}, 300},
    {"one axis in phases, double", {.input = SHAPE(30011), .kernel = SHAPE(64), SAME, FILLED}, 300},
    {"phases with a stride", {.input = SHAPE(50000), .kernel = SHAPE(33), .stride = EACH(3), SAME}, 300},
    {"phases of complex values", {C64, CORRELATE, .input = SHAPE(9001), .kernel = SHAPE(40), FILLED}, 300},
    {"phases of complex doubles", {C128, .input = SHAPE(5003), .kernel = SHAPE(33), .boundary = CONVOLVE_WRAP}, 300},
    {"phases of integers", {I64, .input = SHAPE(20000), .kernel = SHAPE(50), .boundary = CONVOLVE_EDGE}, 300},
    {"a row in phases for each slice", {F32, .input = SHAPE(30, 2000), .kernel = SHAPE(31), AXES(1), SAME}, 300},
    {"phases of cells", {F32, .input = SHAPE(4000, 3), .kernel = SHAPE(25), AXES(0), SAME}, 300},
    {"a flat kernel in phases", {F32, .input = SHAPE(40, 3000), .kernel = SHAPE(1, 45), FILLED}, 300},
    {"phases in passes", {F32, .input = SHAPE(70000), .kernel = SHAPE(60000), VALID}, 40},
    {"phases of strided complex values in passes",
     {C64, .input = SHAPE(70000), .kernel = SHAPE(50000), VALID, .stride = EACH(7)},
     40},
    {"rows in segments", {F32, .input = SHAPE(30, 20000), .kernel = SHAPE(3, 3), FILLED}, 500},
    {"rows in segments, reflected",
     {.input = SHAPE(17, 9001), .kernel = SHAPE(5, 7), .boundary = CONVOLVE_REFLECT},
     500},
    {"many rows", {F32, .input = SHAPE(2000, 300), .kernel = SHAPE(5, 5), SAME, FILLED}, 500},
    {"strips of whole vectors", {F32, .input = SHAPE(55, 512), .kernel = SHAPE(7, 7), SAME, FILLED}, 3000},
    {"strips with a last part", {.input = SHAPE(61, 331), .kernel = SHAPE(11, 9), .boundary = CONVOLVE_WRAP}, 3000},
    {"strips, streamed", {F32, .input = SHAPE(600, 1024), .kernel = SHAPE(3, 3), SAME, FILLED}, 3000},
    {"bands", {F32, .input = SHAPE(515, 1024), .kernel = SHAPE(3, 3), FILLED}, 3000},
    {"bands, rows across lines", {F32, .input = SHAPE(549, 1001), .kernel = SHAPE(3, 3), SAME, FILLED}, 3000},
    {"strips, planes across lines", {.input = SHAPE(31, 95, 101), .kernel = SHAPE(3, 3, 3), SAME, FILLED}, 3000},
    {"strips in segments", {.input = SHAPE(35, 9000), .kernel = SHAPE(9, 9), .boundary = CONVOLVE_SYMMETRIC}, 3000},
    {"strips with one end padded",
     {F32, .input = SHAPE(33, 377), .kernel = SHAPE(3, 3), .padding = {.given = true, .scalar = true, .before = {2}}},
     3000},
    {"strips, reflected", {F32, .input = SHAPE(70, 270), .kernel = SHAPE(5, 16), .boundary = CONVOLVE_REFLECT}, 3000},
    {"strips of short rows", {F32, .input = SHAPE(40, 97), .kernel = SHAPE(7, 7), .boundary = CONVOLVE_WRAP}, 3000},
    {"strips of many planes", {F32, .input = SHAPE(7, 40, 130), .kernel = SHAPE(4, 3, 3), SAME, FILLED}, 3000},
    {"strips of planes that wrap",
     {.input = SHAPE(6, 33, 50), .kernel = SHAPE(3, 5, 9), .boundary = CONVOLVE_WRAP},
     3000},
    {"strips of planes apart",
     {F32, .input = SHAPE(9, 30, 100), .kernel = SHAPE(3, 5, 5),
      .dilation = {.given = true, .count = 3, .value = {2, 1, 1}}, SAME},
     3000},
    {"ends of rows", {F32, .input = SHAPE(40, 80), .kernel = SHAPE(3, 5), .boundary = CONVOLVE_REFLECT}, 9000},
    {"wide ends of rows", {.input = SHAPE(61, 90), .kernel = SHAPE(6, 13), .boundary = CONVOLVE_WRAP}, 9000},
    {"ends of rows, by many planes", {F32, .input = SHAPE(9, 30, 70), .kernel = SHAPE(3, 4, 5), SAME, FILLED}, 9000},
    {"ends of rows of integers",
     {I64, .input = SHAPE(30, 99), .kernel = SHAPE(7, 4), .boundary = CONVOLVE_SYMMETRIC},
     9000},
    {"one end of rows",
     {F32, .input = SHAPE(33, 77), .kernel = SHAPE(3, 3), .padding = {.given = true, .scalar = true, .before = {2}}},
     9000},
    {"a large square kernel", {.input = SHAPE(300, 300), .kernel = SHAPE(21, 21), FILLED}, 200},
    {"a kernel in passes", {F32, .input = SHAPE(230, 300), .kernel = SHAPE(190, 190), VALID}, 30},
    {"a kernel in passes, beyond the ends", {F32, .input = SHAPE(60, 90), .kernel = SHAPE(190, 190), SAME, FILLED}, 30},
    {"a long row of taps in passes", {.input = SHAPE(3, 60000), .kernel = SHAPE(2, 30000), SAME}, 30},
    {"complex values in passes", {C64, .input = SHAPE(200, 200), .kernel = SHAPE(180, 170), VALID}, 30},
    {"integers", {I64, .input = SHAPE(300, 400), .kernel = SHAPE(5, 5), .boundary = CONVOLVE_SYMMETRIC}, 500},
    {"colours in cells", {F32, .input = SHAPE(200, 300, 3), .kernel = SHAPE(5, 5), AXES(0, 1), SAME}, 500},
    {"one axis with long cells", {F32, .input = SHAPE(300, 100), .kernel = SHAPE(9), AXES(0), FILLED}, 500},
    {"slices inside, each with its kernel",
     {F32, .input = SHAPE(50, 60, 7), .kernel = SHAPE(3, 3, 7), AXES(0, 1), SAME},
     500},
    {"three axes", {F32, .input = SHAPE(40, 41, 42), .kernel = SHAPE(7, 7, 7), FILLED}, 100},
    {"three axes, complex and large", {C128, .input = SHAPE(12, 90, 42), .kernel = SHAPE(9, 80, 40), VALID}, 30},
    {"dilated by 50", {F32, .input = SHAPE(400, 400), .kernel = SHAPE(3, 3), .dilation = EACH(50), SAME}, 500},
    {"dilated beyond the ends",
     {F32, .input = SHAPE(90, 90), .kernel = SHAPE(3, 3), .dilation = EACH(70), FILLED},
     500},
    {"stride 2", {F32, .input = SHAPE(257, 300), .kernel = SHAPE(3, 3), .stride = EACH(2), SAME}, 500},
    {"stride 7, dilation 3",
     {.input = SHAPE(400, 400), .kernel = SHAPE(5, 5), .stride = EACH(7), .dilation = EACH(3)},
     500},
    {"stride 6, dilation 4",
     {F32, .input = SHAPE(400, 600), .kernel = SHAPE(5, 5), .stride = EACH(6), .dilation = EACH(4)},
     500},
    {"stride 100", {F32, .input = SHAPE(1000, 900), .kernel = SHAPE(3, 3), .stride = EACH(100), SAME}, 100},
    {"many small slices", {.input = SHAPE(3000, 6, 6), .kernel = SHAPE(3, 3), AXES(1, 2), VALID}, 900},
    {"one input, many kernels", {.input = SHAPE(32, 32), .kernel = SHAPE(100, 3, 3), AXES(1, 2)}, 900},
    {"many kernels for one small row", {.input = SHAPE(5, 1), .kernel = SHAPE(5, 9000), AXES(0)}, 900},
    {"short rows", {F32, .input = SHAPE(20000, 5), .kernel = SHAPE(3, 3), SAME}, 500},
    {"far beyond the ends",
     {F32, .input = SHAPE(20, 20), .kernel = SHAPE(3, 3), .boundary = CONVOLVE_WRAP,
      .padding = {.given = true, .scalar = true, .before = {300}, .after = {200}}},
     500},
    {"exchanged", {F32, .input = SHAPE(5, 5), .kernel = SHAPE(200, 300), VALID}, 500},
};

static void check_large(size_t index)
{
    struct convolve_spec chosen = large[index].spec;
    const struct convolve_spec *const spec = &chosen;
    struct convolve_cost cost;
    struct convolve_error error = {0};
    struct convolve_outcome outcome;
    uint64_t state = index;
    size_t input_count, kernel_count;
    chosen.method = CONVOLVE_DIRECT;
    if (!convolve_cost(&cost, spec, 1, &error))
        fail_msg("%s: %s", large[index].name, error.detail);
    assert_true(convolve_shape_count(&spec->input, &input_count));
    assert_true(convolve_shape_count(&spec->kernel, &kernel_count));
    void *const input = allocate_values(spec->dtype, input_count), *const kernel =
                                                                       allocate_values(spec->dtype, kernel_count);
    void *const output = allocate_values(spec->dtype, cost.output_count);
    random_fill(&state, spec->dtype, RANDOM_REALS, input, input_count);
    random_fill(&state, spec->dtype, RANDOM_REALS, kernel, kernel_count);
    const bool done = run_plan(spec, input, kernel, output, 2, &state, &outcome, &error);
    check_against_explain(spec, input, kernel, output, done, &error, large[index].samples, large[index].name);
    free(input), free(kernel), free(output);
}

static void test_large_requests(void **context)
{
    (void)context;
    for (size_t i = 0; i < sizeof large / sizeof large[0]; i++)
        check_large(i);
}

/* ---- Outcomes --------------------------------------------------------------------------------------------------------- */

static struct convolve_outcome execute(const struct convolve_spec *spec, const void *input, const void *kernel,
                                       void *output)
{
    struct convolve_plan *plan;
    struct convolve_outcome outcome = {0};
    struct convolve_error error = {0};
    if (!convolve_plan_create(&plan, spec, NULL, &error) ||
        !convolve_plan_execute(plan, input, kernel, output, &outcome, &error))
        fail_msg("%s: %s", describe_spec(spec), error.detail);
    convolve_plan_destroy(plan);
    return outcome;
}

/* The bound holds, measured in long double, and is no wild guess. */
static void test_bounds_hold(void **context)
{
    enum { LENGTH = 400, TAPS = 150 };
    (void)context;
    for (unsigned f32 = 0; f32 < 2; f32++) {
        const struct convolve_spec spec = {
            .dtype = f32 ? CONVOLVE_FLOAT32 : CONVOLVE_FLOAT64, .input = SHAPE(LENGTH), .kernel = SHAPE(TAPS), VALID};
        double input[LENGTH], kernel[TAPS], output[LENGTH];
        uint64_t state = 7 + f32;
        random_fill(&state, spec.dtype, RANDOM_REALS, input, LENGTH);
        random_fill(&state, spec.dtype, RANDOM_REALS, kernel, TAPS);
        const struct convolve_outcome outcome = execute(&spec, input, kernel, output);
        long double worst = 0;
        for (size_t o = 0; o + TAPS <= LENGTH; o++) {
            long double sum = 0;
            for (size_t t = 0; t < TAPS; t++)
                sum += f32 ? (long double)((float *)kernel)[TAPS - 1 - t] * ((float *)input)[o + t]
                           : (long double)kernel[TAPS - 1 - t] * input[o + t];
            const long double error = fabsl(sum - (f32 ? (long double)((float *)output)[o] : output[o]));
            worst = error > worst ? error : worst;
        }
        assert_true(worst <= outcome.error_bound);
        assert_true(outcome.error_bound < (f32 ? 2e-3 : 4e-12));
    }
}

static const struct {
    const char *name;
    double input[3], kernel[2], fillvalue;
    bool f32, exact;
} exactness[] = {
    {"small integers", {1, 2, 3}, {4, 5}, 0, false, true},
    {"a fraction", {1, 2.5, 3}, {4, 5}, 0, false, false},
    {"a fractional tap", {1, 2, 3}, {4, 0.5}, 0, false, false},
    {"a fractional fillvalue", {1, 2, 3}, {4, 5}, 0.5, false, false},
    {"products below 2^53 though the largest values do not meet", {0x1p52, 0, 0}, {1, 3}, 0, false, false},
    {"the largest values meet only zeros", {0x1p50, 0, 0}, {0, 7}, 0, false, true},
    {"sums below 2^53, the cheap bound above", {0x1p51, 0, 0}, {3, 3}, 0, false, true},
    {"float32 below 2^24", {0x1p20, 1, 1}, {3, 4}, 0, true, true},
    {"float32 beyond 2^24", {0x1p20, 1, 1}, {3, 16}, 0, true, false},
    {"float32, the cheap bound above 2^24", {0x1p23, 0, 0}, {1, 1}, 0, true, true},
};

static void test_exactness(void **context)
{
    (void)context;
    for (size_t i = 0; i < sizeof exactness / sizeof exactness[0]; i++) {
        const bool f32 = exactness[i].f32;
        const struct convolve_spec spec = {.dtype = f32 ? CONVOLVE_FLOAT32 : CONVOLVE_FLOAT64,
                                           .input = SHAPE(3),
                                           .kernel = SHAPE(2),
                                           .fillvalue = {.real = exactness[i].fillvalue}};
        float input[3], kernel[2], output32[4];
        double output[4];
        for (size_t j = 0; j < 3; j++)
            input[j] = (float)exactness[i].input[j];
        for (size_t j = 0; j < 2; j++)
            kernel[j] = (float)exactness[i].kernel[j];
        const struct convolve_outcome outcome = f32 ? execute(&spec, input, kernel, output32)
                                                    : execute(&spec, exactness[i].input, exactness[i].kernel, output);
        if ((outcome.error_bound == 0) != exactness[i].exact)
            fail_msg("%s: error_bound %g, expected %s", exactness[i].name, outcome.error_bound,
                     exactness[i].exact ? "0" : "more");
    }
}

static void test_nonfinite(void **context)
{
    double input[400], output[401];
    const double kernel[2] = {1, 2};
    const struct convolve_spec spec = {.input = SHAPE(20, 20), .kernel = SHAPE(1, 2)};
    (void)context;
    for (size_t i = 0; i < 400; i++)
        input[i] = 1;
    input[131] = NAN;
    input[250] = INFINITY;
    double wide[420];
    const struct convolve_outcome outcome = execute(&spec, input, kernel, wide);
    assert_true(outcome.nonfinite);
    assert_int_equal(outcome.nonfinite_index, 131 / 20 * 21 + 131 % 20);
    assert_true(isnan(outcome.error_bound));
    struct convolve_spec ignoring = spec;
    ignoring.mode = CONVOLVE_SAME;
    ignoring.ignore_missing = true;
    input[250] = 1;
    const struct convolve_outcome mended = execute(&ignoring, input, kernel, output);
    assert_false(mended.nonfinite);
    assert_true(mended.error_bound >= 0 && mended.error_bound < 1e-12);
    input[130] = NAN;
    const struct convolve_outcome emptied = execute(&ignoring, input, kernel, output);
    assert_false(emptied.nonfinite); /* a NaN was asked for */
    assert_true(isnan(emptied.error_bound));
    assert_true(isnan(output[131]));
}

static const struct {
    const char *name;
    int64_t input[3], kernel[2];
    bool overflows;
} integers[] = {
    {"at the upper end", {INT64_MAX, 0, 0}, {1, 0}, false},
    {"above it", {INT64_MAX, 1, 0}, {1, 1}, true},
    {"at the lower end", {INT64_MIN, 0, 0}, {1, 0}, false},
    {"the least, negated", {INT64_MIN, 0, 0}, {-1, 0}, true},
    {"beyond and back again", {INT64_MAX, INT64_MAX, 0}, {2, 1}, true},
    {"products that cancel", {INT64_MAX, INT64_MAX, INT64_MAX}, {-1, 1}, false},
    {"a product of 2^126", {INT64_MIN, 0, 0}, {INT64_MIN, 0}, true},
};

static void test_integer_overflow(void **context)
{
    (void)context;
    for (size_t i = 0; i < sizeof integers / sizeof integers[0]; i++) {
        const struct convolve_spec spec = {I64, .input = SHAPE(3), .kernel = SHAPE(2)};
        struct convolve_plan *plan;
        struct convolve_error error = {0};
        struct convolve_outcome outcome;
        int64_t output[4];
        assert_true(convolve_plan_create(&plan, &spec, NULL, NULL));
        const bool done = convolve_plan_execute(plan, integers[i].input, integers[i].kernel, output, &outcome, &error);
        convolve_plan_destroy(plan);
        if (done == integers[i].overflows || (!done && strcmp(error.slug, "integer-overflow") != 0))
            fail_msg("%s: found %s, expected %s", integers[i].name, done ? "a result" : error.slug,
                     integers[i].overflows ? "integer-overflow" : "a result");
    }
}

static void test_refusals(void **context)
{
    struct convolve_spec spec = {.input = SHAPE(3), .kernel = SHAPE(2)};
    struct convolve_plan *plan;
    struct convolve_error error = {0};
    struct convolve_outcome outcome;
    struct convolve_cost cost;
    const double input[3] = {0.1, 0.2, 0.3}, kernel[2] = {0.7, 0.9};
    double output[4];
    (void)context;
    spec.max_error_given = true;
    spec.max_error = 1e-30;
    assert_true(convolve_plan_create(&plan, &spec, NULL, NULL));
    assert_false(convolve_plan_execute(plan, input, kernel, output, &outcome, &error));
    assert_string_equal(error.slug, "invalid-value");
    assert_string_equal(error.pointer, "/max_error");
    convolve_plan_destroy(plan);
    spec.input.size[0] = 0;
    assert_false(convolve_cost(&cost, &spec, 1, &error));
    assert_string_equal(error.slug, "empty-tensor");
    convolve_plan_destroy(NULL);
}

/* A cost is what the plan then asks for, and needs no more for more threads than their own scratch. */
static void test_cost(void **context)
{
    (void)context;
    for (size_t i = 0; i < sizeof large / sizeof large[0]; i++) {
        struct convolve_cost one, two;
        struct convolve_plan *plan;
        struct convolve_spec spec = large[i].spec;
        spec.method = CONVOLVE_DIRECT;
        assert_true(convolve_cost(&one, &spec, 1, NULL));
        assert_true(convolve_cost(&two, &spec, 2, NULL));
        assert_true(convolve_plan_create(&plan, &spec, NULL, NULL));
        assert_int_equal(two.scratch_bytes - one.scratch_bytes, convolve_plan_tile_scratch_bytes(plan));
        assert_true(one.scratch_bytes >= convolve_plan_scratch_bytes(plan) + convolve_plan_tile_scratch_bytes(plan));
        assert_int_equal(one.method, CONVOLVE_DIRECT);
        if (convolve_plan_tile_scratch_bytes(plan) > (2u << 20))
            fail_msg("%s: %zu bytes for a tile", large[i].name, convolve_plan_tile_scratch_bytes(plan));
        convolve_plan_destroy(plan);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_large_requests),
        cmocka_unit_test(test_bounds_hold),
        cmocka_unit_test(test_exactness),
        cmocka_unit_test(test_nonfinite),
        cmocka_unit_test(test_integer_overflow),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_cost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
