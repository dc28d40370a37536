/* SPDX-License-Identifier: MIT */
/* What holds for every request, whatever the values: plans agree with the definition bit for bit, on every instruction
 * set, whatever the order and the threads of the tiles; and the laws of convolution itself. */
#include "core/simd/routines.h"
#include "tests/core/fewer.h"
#include "tests/core/random_spec.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char *const value_names[RANDOM_VALUES_COUNT] = {"small integers", "reals", "wild", "holes",
                                                             "large integers"};

static size_t count_of(const struct convolve_shape *shape)
{
    size_t count = 0;
    assert_true(convolve_shape_count(shape, &count));
    return count;
}

static void check_random_request(uint64_t seed, size_t elements_max)
{
    uint64_t state = seed;
    struct convolve_spec spec;
    struct convolve_cost cost;
    char name[96];
    random_spec(&state, &spec, elements_max);
    assert_true(convolve_cost(&cost, &spec, 1, NULL));
    const enum random_values values = random_below(&state, RANDOM_VALUES_COUNT);
    const size_t input_count = count_of(&spec.input), kernel_count = count_of(&spec.kernel);
    void *const input = allocate_values(spec.dtype, input_count), *const kernel =
                                                                      allocate_values(spec.dtype, kernel_count);
    void *const output = allocate_values(spec.dtype, cost.output_count);
    void *const other = allocate_values(spec.dtype, cost.output_count);
    random_fill(&state, spec.dtype, values, input, input_count);
    random_fill(&state, spec.dtype, values == RANDOM_HOLES ? RANDOM_REALS : values, kernel, kernel_count);
    snprintf(name, sizeof name, "seed %llu, %s", (unsigned long long)seed, value_names[values]);

    struct convolve_outcome outcome = {0};
    const struct simd_routines *set;
    for (size_t i = 0; (set = simd_routines_at(i)); i++) {
        struct convolve_error error = {0};
        struct convolve_outcome found = {0};
        void *const made = i ? other : output;
        assert_true(convolve_simd_select(set->name));
        const bool succeeded =
            run_plan(&spec, input, kernel, made, 1 + (unsigned)(seed % 16 == 0), &state, &found, &error);
        if (i == 0) {
            check_against_explain(&spec, input, kernel, made, succeeded, &error, 200, name);
            outcome = found;
            if (!succeeded)
                break;
        }
        assert_true(succeeded);
        for (size_t o = 0; o < cost.output_count; o++)
            if (!same_value(spec.dtype, output, made, o))
                fail_msg("%s: %s\noutput %zu differs between scalar and %s", name, describe_spec(&spec), o, set->name);
        if (found.nonfinite != outcome.nonfinite || found.nonfinite_index != outcome.nonfinite_index ||
            memcmp(&found.error_bound, &outcome.error_bound, sizeof found.error_bound) != 0)
            fail_msg("%s: %s\nthe outcomes of scalar and %s differ", name, describe_spec(&spec), set->name);
    }
    assert_true(convolve_simd_select("auto"));
    free(input), free(kernel), free(output), free(other);
}

static void test_random_requests(void **context)
{
    (void)context;
    for (uint64_t seed = 1; seed <= fewer(4000); seed++)
        check_random_request(seed, 60);
}

static void test_larger_random_requests(void **context)
{
    (void)context;
    for (uint64_t seed = 100001; seed <= 100000 + fewer(250); seed++)
        check_random_request(seed, 3000);
}

/* ---- Laws ------------------------------------------------------------------------------------------------------------- */

enum { SIDE = 37, TAPS = 5, FULL = SIDE + TAPS - 1, CELLS = FULL * FULL };

static void convolve_square(enum convolve_mode mode, size_t input, size_t kernel, const double *x, const double *k,
                            double *output)
{
    const struct convolve_spec spec = {.method = CONVOLVE_DIRECT,
                                       .mode = mode,
                                       .input = {.rank = 2, .size = {input, input}},
                                       .kernel = {.rank = 2, .size = {kernel, kernel}}};
    struct convolve_plan *plan;
    struct convolve_outcome outcome;
    assert_true(convolve_plan_create(&plan, &spec, k, NULL));
    assert_true(convolve_plan_execute(plan, x, k, output, &outcome, NULL));
    convolve_plan_destroy(plan);
}

static void expect_same(const char *law, const double *found, const double *expected, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (memcmp(&found[i], &expected[i], sizeof found[i]) != 0)
            fail_msg("%s: output %zu: found %a, expected %a", law, i, found[i], expected[i]);
}

/* With integers that are exact, so that the law holds to the bit. */
static void test_linear(void **context)
{
    static double x[SIDE * SIDE], y[SIDE * SIDE], both[SIDE * SIDE], k[TAPS * TAPS], a[CELLS], b[CELLS], found[CELLS];
    uint64_t state = 11;
    (void)context;
    random_fill(&state, CONVOLVE_FLOAT64, RANDOM_SMALL_INTEGERS, x, SIDE * SIDE);
    random_fill(&state, CONVOLVE_FLOAT64, RANDOM_SMALL_INTEGERS, y, SIDE * SIDE);
    random_fill(&state, CONVOLVE_FLOAT64, RANDOM_SMALL_INTEGERS, k, TAPS * TAPS);
    for (size_t i = 0; i < SIDE * SIDE; i++)
        both[i] = 3 * x[i] - 7 * y[i];
    convolve_square(CONVOLVE_FULL, SIDE, TAPS, x, k, a);
    convolve_square(CONVOLVE_FULL, SIDE, TAPS, y, k, b);
    convolve_square(CONVOLVE_FULL, SIDE, TAPS, both, k, found);
    for (size_t i = 0; i < CELLS; i++)
        a[i] = 3 * a[i] - 7 * b[i];
    expect_same("linear", found, a, CELLS);
}

static void test_commutes(void **context)
{
    static double x[SIDE * SIDE], k[TAPS * TAPS], a[CELLS], b[CELLS];
    uint64_t state = 12;
    (void)context;
    random_fill(&state, CONVOLVE_FLOAT64, RANDOM_SMALL_INTEGERS, x, SIDE * SIDE);
    random_fill(&state, CONVOLVE_FLOAT64, RANDOM_SMALL_INTEGERS, k, TAPS * TAPS);
    convolve_square(CONVOLVE_FULL, SIDE, TAPS, x, k, a);
    convolve_square(CONVOLVE_FULL, TAPS, SIDE, k, x, b);
    expect_same("commutative", b, a, CELLS);
    convolve_square(CONVOLVE_VALID, SIDE, TAPS, x, k, a);
    convolve_square(CONVOLVE_VALID, TAPS, SIDE, k, x, b);
    expect_same("commutative, valid", b, a, (SIDE - TAPS + 1) * (SIDE - TAPS + 1));
}

/* An impulse gives the kernel back, at its place, bit for bit. */
static void test_impulse(void **context)
{
    static double x[SIDE * SIDE], k[TAPS * TAPS], found[CELLS], expected[CELLS];
    uint64_t state = 13;
    (void)context;
    random_fill(&state, CONVOLVE_FLOAT64, RANDOM_REALS, k, TAPS * TAPS);
    for (size_t place = 0; place < SIDE * SIDE; place += 29) {
        memset(x, 0, sizeof x);
        memset(expected, 0, sizeof expected);
        x[place] = 1;
        for (size_t i = 0; i < TAPS * TAPS; i++)
            expected[(place / SIDE + i / TAPS) * FULL + place % SIDE + i % TAPS] = k[i];
        convolve_square(CONVOLVE_FULL, SIDE, TAPS, x, k, found);
        expect_same("impulse", found, expected, CELLS);
    }
}

/* A part of the input, cut out with what its windows need, gives that part of the output: tiles put together equal the
 * whole, and what is shifted comes out shifted. */
static void test_parts_equal_the_whole(void **context)
{
    enum { PART = 19, INNER = PART - TAPS + 1, WHOLE = SIDE - TAPS + 1 };
    static double x[SIDE * SIDE], part[PART * PART], k[TAPS * TAPS], whole[CELLS], found[CELLS], expected[CELLS];
    uint64_t state = 14;
    (void)context;
    random_fill(&state, CONVOLVE_FLOAT64, RANDOM_WILD, x, SIDE * SIDE);
    random_fill(&state, CONVOLVE_FLOAT64, RANDOM_REALS, k, TAPS * TAPS);
    convolve_square(CONVOLVE_VALID, SIDE, TAPS, x, k, whole);
    for (size_t top = 0; top + PART <= SIDE; top += 3) {
        for (size_t left = 0; left + PART <= SIDE; left++) {
            for (size_t i = 0; i < PART * PART; i++)
                part[i] = x[(top + i / PART) * SIDE + left + i % PART];
            for (size_t i = 0; i < INNER * INNER; i++)
                expected[i] = whole[(top + i / INNER) * WHOLE + left + i % INNER];
            convolve_square(CONVOLVE_VALID, PART, TAPS, part, k, found);
            for (size_t i = 0; i < INNER * INNER; i++)
                if (!same_value(CONVOLVE_FLOAT64, found, expected, i))
                    fail_msg("part at %zu, %zu: output %zu: found %a, expected %a", top, left, i, found[i],
                             expected[i]);
        }
    }
}

/* Each slice gets the bits it would get alone. */
static void test_slices_are_alone(void **context)
{
    enum { SLICES = 7, CELLS_EACH = 23 * 29, OUT_EACH = 21 * 27 };
    static double x[SLICES * CELLS_EACH], k[9], all[SLICES * OUT_EACH], alone[OUT_EACH];
    struct convolve_spec spec = {.method = CONVOLVE_DIRECT,
                                 .mode = CONVOLVE_VALID,
                                 .input = {.rank = 3, .size = {SLICES, 23, 29}},
                                 .kernel = {.rank = 2, .size = {3, 3}},
                                 .axes_given = true,
                                 .axis_count = 2,
                                 .axes = {1, 2}};
    struct convolve_outcome outcome;
    struct convolve_error error;
    uint64_t state = 15;
    (void)context;
    random_fill(&state, CONVOLVE_FLOAT64, RANDOM_REALS, x, SLICES * CELLS_EACH);
    random_fill(&state, CONVOLVE_FLOAT64, RANDOM_REALS, k, 9);
    assert_true(run_plan(&spec, x, k, all, 2, &state, &outcome, &error));
    spec.input = (struct convolve_shape){.rank = 2, .size = {23, 29}};
    spec.axes_given = false;
    for (size_t i = 0; i < SLICES; i++) {
        assert_true(run_plan(&spec, x + i * CELLS_EACH, k, alone, 1, &state, &outcome, &error));
        expect_same("slice", all + i * OUT_EACH, alone, OUT_EACH);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_requests),  cmocka_unit_test(test_larger_random_requests),
        cmocka_unit_test(test_linear),           cmocka_unit_test(test_commutes),
        cmocka_unit_test(test_impulse),          cmocka_unit_test(test_parts_equal_the_whole),
        cmocka_unit_test(test_slices_are_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
