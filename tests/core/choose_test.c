/* SPDX-License-Identifier: MIT */
/* What `auto` stands for: where it cannot be in doubt, that a named method stays, that `max_error` is heeded, that the choice
 * is the same every time and for a slice as for the whole, and that a plan tells the method that then runs. */
#include "core/convolve.h"
#include "core/simd/routines.h"
#include "tests/core/random_spec.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define SHAPE(...)                                                                                                     \
    {                                                                                                                  \
        .rank = sizeof((size_t[]){__VA_ARGS__}) / sizeof(size_t), .size = { __VA_ARGS__ }                              \
    }

static enum convolve_method method_of(const struct convolve_spec *spec)
{
    struct convolve_cost cost;
    struct convolve_error error = {0};
    if (!convolve_cost(&cost, spec, 1, &error))
        fail_msg("%s: %s", describe_spec(spec), error.detail);
    return cost.method;
}

static bool is_transform(enum convolve_method method)
{
    return method == CONVOLVE_FFT || method == CONVOLVE_OVERLAP_ADD;
}

/* ---- What cannot be in doubt ------------------------------------------------------------------------------------------ */

/* scalar calls fma() for each term where the CPU may lack it, so that large sums may be dearer than transforms at any length. */
enum expected { SUMS, SUMS_OF_VECTORS, TRANSFORMS };
static const struct {
    const char *name;
    struct convolve_spec spec;
    enum expected expected;
} clear[] = {
    {"3 taps", {.input = SHAPE(1000000), .kernel = SHAPE(3)}, SUMS_OF_VECTORS},
    {"3 x 3", {.input = SHAPE(1024, 1024), .kernel = SHAPE(3, 3)}, SUMS_OF_VECTORS},
    {"3 x 3 x 3", {.input = SHAPE(64, 64, 64), .kernel = SHAPE(3, 3, 3)}, SUMS_OF_VECTORS},
    {"a tiny request", {.input = SHAPE(6, 6), .kernel = SHAPE(3, 3)}, SUMS},
    {"a single value", {.input = SHAPE(1), .kernel = SHAPE(1)}, SUMS},
    {"as long as the signal", {.input = SHAPE(100000), .kernel = SHAPE(100000)}, TRANSFORMS},
    {"as large as the image", {.input = SHAPE(500, 500), .kernel = SHAPE(500, 500)}, TRANSFORMS},
    {"63 x 63", {.input = SHAPE(1024, 1024), .kernel = SHAPE(63, 63)}, TRANSFORMS},
    {"integers have no transforms", {.dtype = CONVOLVE_INT64, .input = SHAPE(20000), .kernel = SHAPE(20000)}, SUMS},
    {"max_error",
     {.input = SHAPE(500, 500), .kernel = SHAPE(500, 500), .max_error_given = true, .max_error = 1e-9},
     TRANSFORMS},
    {"max_error, exchanged",
     {.input = SHAPE(200), .kernel = SHAPE(90000), .mode = CONVOLVE_VALID, .max_error_given = true, .max_error = 1e-9},
     SUMS},
    {"exchanged", {.input = SHAPE(3), .kernel = SHAPE(30), .mode = CONVOLVE_VALID}, SUMS},
};

static void test_clear_cases(void **context)
{
    (void)context;
    const struct simd_routines *set;
    for (size_t at = 0; (set = simd_routines_at(at)); at++) {
        assert_true(convolve_simd_select(set->name));
        for (size_t i = 0; i < sizeof clear / sizeof clear[0]; i++)
            for (unsigned dtype = 0; dtype < 2; dtype++) {
                struct convolve_spec spec = clear[i].spec;
                spec.dtype = spec.dtype == CONVOLVE_INT64 ? spec.dtype : dtype ? CONVOLVE_FLOAT32 : CONVOLVE_FLOAT64;
                const enum convolve_method method = method_of(&spec);
                if (clear[i].expected == SUMS_OF_VECTORS && at == 0)
                    continue;
                if (is_transform(method) != (clear[i].expected == TRANSFORMS))
                    fail_msg("%s, %s: %s", set->name, clear[i].name, convolve_method_name(method));
            }
    }
    assert_true(convolve_simd_select("auto"));
}

/* A longer kernel never goes back from transforms to sums. */
static void test_one_crossing(void **context)
{
    (void)context;
    for (unsigned rank = 1; rank <= 3; rank++) {
        static const size_t lengths[] = {0, 1 << 18, 600, 80};
        struct convolve_spec spec = {.dtype = CONVOLVE_FLOAT32, .input = {.rank = rank}, .kernel = {.rank = rank}};
        bool crossed = false;
        for (size_t taps = 2; taps <= lengths[rank] && taps <= 20000; taps += 1 + taps / 4) {
            for (unsigned i = 0; i < rank; i++) {
                spec.input.size[i] = lengths[rank];
                spec.kernel.size[i] = taps;
            }
            const bool transform = is_transform(method_of(&spec));
            if (crossed && !transform)
                fail_msg("rank %u: back to sums at %zu taps", rank, taps);
            crossed |= transform;
        }
        assert_true(crossed);
    }
}

/* ---- Random requests -------------------------------------------------------------------------------------------------- */

/* The same every time, whatever was asked in between, and what the plan then runs. */
static void test_same_every_time(void **context)
{
    enum { COUNT = 400 };
    static enum convolve_method first[COUNT];
    (void)context;
    for (unsigned round = 0; round < 2; round++)
        for (uint64_t seed = 0; seed < COUNT; seed++) {
            uint64_t state = seed;
            struct convolve_spec spec;
            struct convolve_cost cost;
            struct convolve_plan *plan;
            random_spec(&state, &spec, 2000);
            spec.method = CONVOLVE_AUTO;
            if (!convolve_cost(&cost, &spec, 1, NULL))
                continue;
            if (round && cost.method != first[seed])
                fail_msg("%s: %s, before %s", describe_spec(&spec), convolve_method_name(cost.method),
                         convolve_method_name(first[seed]));
            first[seed] = cost.method;
            assert_true(convolve_plan_create(&plan, &spec, NULL, NULL));
            assert_int_equal(convolve_plan_method(plan), cost.method);
            convolve_plan_destroy(plan);
        }
}

/* A slice gets the method that it would get alone. */
static void test_slices(void **context)
{
    (void)context;
    for (size_t taps = 2; taps < 400; taps += 1 + taps / 3) {
        struct convolve_spec alone = {.input = SHAPE(400, 400), .kernel = SHAPE(taps, taps)};
        struct convolve_spec many = {.input = SHAPE(7, 400, 400),
                                     .kernel = SHAPE(taps, taps),
                                     .axes_given = true,
                                     .axis_count = 2,
                                     .axes = {1, 2}};
        assert_int_equal(method_of(&alone), method_of(&many));
    }
}

static void test_named_methods_stay(void **context)
{
    static const enum convolve_method named[] = {CONVOLVE_DIRECT, CONVOLVE_SEPARABLE, CONVOLVE_FFT,
                                                 CONVOLVE_OVERLAP_ADD};
    (void)context;
    for (unsigned i = 0; i < sizeof named / sizeof named[0]; i++)
        for (size_t taps = 2; taps <= 50; taps += 24) {
            const struct convolve_spec spec = {.method = named[i], .input = SHAPE(50, 50), .kernel = SHAPE(taps, taps)};
            assert_int_equal(method_of(&spec), named[i]);
        }
}

/* ---- By the kernel's values ------------------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    enum convolve_dtype dtype;
    bool product; /* of one factor per axis */
    bool tight; /* max_error is given */
    enum convolve_method expected;
} by_values[] = {
    {"an outer product", CONVOLVE_FLOAT32, true, false, CONVOLVE_SEPARABLE},
    {"an outer product of doubles", CONVOLVE_FLOAT64, true, false, CONVOLVE_SEPARABLE},
    {"an outer product of integers", CONVOLVE_INT64, true, false, CONVOLVE_SEPARABLE},
    {"no product", CONVOLVE_FLOAT32, false, false, CONVOLVE_AUTO},
    {"no product of doubles, max_error", CONVOLVE_FLOAT64, false, true, CONVOLVE_AUTO},
};

static void set_value(enum convolve_dtype dtype, void *tensor, size_t index, double value)
{
    if (dtype == CONVOLVE_FLOAT32)
        ((float *)tensor)[index] = (float)value;
    else if (dtype == CONVOLVE_FLOAT64)
        ((double *)tensor)[index] = value;
    else
        ((int64_t *)tensor)[index] = (int64_t)value;
}

/* What a plan with the values runs is what convolve_predict says beforehand. */
static void test_by_values(void **context)
{
    enum { LENGTH = 256, TAPS = 15 };
    (void)context;
    for (unsigned i = 0; i < sizeof by_values / sizeof by_values[0]; i++) {
        const struct convolve_spec spec = {.dtype = by_values[i].dtype,
                                           .input = SHAPE(LENGTH, LENGTH),
                                           .kernel = SHAPE(TAPS, TAPS),
                                           .mode = CONVOLVE_SAME,
                                           .max_error_given = by_values[i].tight,
                                           .max_error = 1};
        void *const input = allocate_values(spec.dtype, LENGTH * LENGTH);
        void *const kernel = allocate_values(spec.dtype, TAPS * TAPS);
        struct convolve_plan *plan;
        enum convolve_method predicted;
        double bound;
        for (size_t j = 0; j < LENGTH * LENGTH; j++)
            set_value(spec.dtype, input, j, (double)(j % 7));
        for (size_t j = 0; j < TAPS * TAPS; j++)
            set_value(spec.dtype, kernel, j,
                      by_values[i].product ? (double)((1 + j / TAPS) * (3 + j % TAPS)) : (double)(j * j % 11));
        assert_true(convolve_plan_create(&plan, &spec, kernel, NULL));
        assert_true(convolve_predict(&spec, input, kernel, &bound, &predicted, NULL));
        const enum convolve_method runs = convolve_plan_method(plan);
        if (predicted != runs ||
            (by_values[i].expected == CONVOLVE_AUTO ? runs == CONVOLVE_SEPARABLE : runs != by_values[i].expected))
            fail_msg("%s: predicted %s, runs %s", by_values[i].name, convolve_method_name(predicted),
                     convolve_method_name(runs));
        convolve_plan_destroy(plan);
        free(input), free(kernel);
    }
}

/* ---- By max_error ----------------------------------------------------------------------------------------------------- */

enum { SIGNAL = 40000, TAPS = 3000, RESULT = SIGNAL + TAPS - 1 };

struct tensors {
    void *input, *kernel, *output, *other;
};

/* The bound, or -1 where max_error is refused. */
static double bound_of(const struct convolve_spec *spec, const struct tensors *tensors, void *output)
{
    struct convolve_plan *plan;
    struct convolve_outcome outcome;
    struct convolve_error error;
    assert_true(convolve_plan_create(&plan, spec, tensors->kernel, &error));
    const bool kept = convolve_plan_execute(plan, tensors->input, tensors->kernel, output, &outcome, &error);
    convolve_plan_destroy(plan);
    if (!kept)
        assert_string_equal(error.pointer, "/max_error");
    return kept ? outcome.error_bound : -1;
}

/* Transforms where they surely keep it, with the bits they have anyway; what sums can keep is kept as well; below that, nothing.
 * Of a slice of another size alike, whatever the slice beside it. */
static void test_max_error(void **context)
{
    (void)context;
    for (unsigned i = 0; i < 4; i++) {
        const enum convolve_dtype dtype = i % 2 ? CONVOLVE_FLOAT32 : CONVOLVE_FLOAT64;
        const size_t slices = i / 2 + 1, bytes = convolve_dtype_bytes(dtype);
        struct convolve_spec spec = {.dtype = dtype, .input = SHAPE(SIGNAL), .kernel = SHAPE(TAPS)};
        struct tensors tensors = {allocate_values(dtype, slices * SIGNAL), allocate_values(dtype, TAPS),
                                  allocate_values(dtype, slices * RESULT), allocate_values(dtype, slices * RESULT)};
        double bounds[2];
        for (size_t j = 0; j < slices * SIGNAL; j++)
            set_value(dtype, tensors.input, j, ((double)(j * j % 1013) / 1013 - 0.5) * (j < SIGNAL ? 1 : 1e-3));
        for (size_t j = 0; j < TAPS; j++) /* whose spectrum is as large as it can be */
            set_value(dtype, tensors.kernel, j, 0.1 + (double)(j * j % 1019) / 1019);
        if (slices == 2)
            spec = (struct convolve_spec){.dtype = dtype,
                                          .input = SHAPE(2, SIGNAL),
                                          .kernel = SHAPE(TAPS),
                                          .axes_given = true,
                                          .axis_count = 1,
                                          .axes = {1}};
        const enum convolve_method methods[] = {method_of(&spec), CONVOLVE_DIRECT};
        assert_true(is_transform(methods[0]));
        for (unsigned m = 0; m < 2; m++) {
            spec.method = methods[m];
            bounds[m] = bound_of(&spec, &tensors, m ? tensors.other : tensors.output);
        }
        assert_true(bounds[1] < bounds[0]);
        spec.method = CONVOLVE_AUTO;
        spec.max_error_given = true;
        spec.max_error = 2 * bounds[0];
        assert_true(is_transform(method_of(&spec)));
        assert_true(bound_of(&spec, &tensors, tensors.other) == bounds[0]);
        assert_memory_equal(tensors.other, tensors.output, slices * RESULT * bytes);
        for (unsigned step = 0; step <= 4; step++) {
            enum convolve_method method;
            double predicted;
            spec.max_error = bounds[1] + (bounds[0] - bounds[1]) * step / 4;
            const double bound = bound_of(&spec, &tensors, tensors.other);
            if (bound < 0 || bound > spec.max_error)
                fail_msg("%u: bound %g, max_error %g", i, bound, spec.max_error);
            assert_true(convolve_predict(&spec, tensors.input, tensors.kernel, &predicted, &method, NULL));
            assert_true(predicted >= bound && predicted <= spec.max_error);
            if (slices == 2) /* small enough for a transform */
                assert_memory_equal((unsigned char *)tensors.other + RESULT * bytes,
                                    (unsigned char *)tensors.output + RESULT * bytes, RESULT * bytes);
        }
        spec.max_error = bounds[1] * 0.999;
        assert_true(bound_of(&spec, &tensors, tensors.other) < 0);
        free(tensors.input), free(tensors.kernel), free(tensors.output), free(tensors.other);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_clear_cases),        cmocka_unit_test(test_one_crossing),
        cmocka_unit_test(test_same_every_time),    cmocka_unit_test(test_slices),
        cmocka_unit_test(test_named_methods_stay), cmocka_unit_test(test_by_values),
        cmocka_unit_test(test_max_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
