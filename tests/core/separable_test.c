/* SPDX-License-Identifier: MIT */
/* What only `separable` has: passes, each of which has its part in the bound; promises_test holds it against what is promised of
 * every method. */
#include "tests/core/random_spec.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { ROWS = 3, COLUMNS = 3200, TAPS = 3000, OUTPUTS = COLUMNS - TAPS + 1 };

/* A kernel whose first factor is 1 and 0, which costs no rounding: all of the error is the long last factor's. Kernels are
 * `scale` times that, input values between half of `size` and it. */
static void check_long_factor(int scale, int size)
{
    static double input[ROWS][COLUMNS], kernel[2][TAPS], output[ROWS - 1][OUTPUTS];
    const struct convolve_spec spec = {.method = CONVOLVE_SEPARABLE,
                                       .operation = CONVOLVE_OP_CORRELATE,
                                       .mode = CONVOLVE_VALID,
                                       .input = {.rank = 2, .size = {ROWS, COLUMNS}},
                                       .kernel = {.rank = 2, .size = {2, TAPS}}};
    struct convolve_plan *plan;
    struct convolve_outcome outcome;
    struct convolve_error error;
    long double worst = 0;
    uint64_t state = 1;
    for (size_t i = 0; i < ROWS; i++)
        for (size_t j = 0; j < COLUMNS; j++) {
            const double value = 0x1p-54 * (double)(random_bits(&state) >> 11);
            input[i][j] = ldexp(0.5 + value, size);
        }
    for (size_t j = 0; j < TAPS; j++)
        kernel[0][j] = ldexp(1, scale);
    if (!convolve_plan_create(&plan, &spec, kernel, &error))
        fail_msg("kernel of 2^%d: %s", scale, error.detail);
    assert_true(convolve_plan_execute(plan, input, kernel, output, &outcome, NULL));
    convolve_plan_destroy(plan);
    for (size_t i = 0; i + 1 < ROWS; i++)
        for (size_t o = 0; o < OUTPUTS; o++) {
            long double sum = 0;
            for (size_t t = 0; t < TAPS; t++)
                sum += (long double)input[i][o + t] * kernel[0][t];
            worst = fmaxl(worst, fabsl(sum - output[i][o]));
        }
    if (!(worst <= outcome.error_bound))
        fail_msg("kernel of 2^%d, input of 2^%d: %Lg off, bound %g", scale, size, worst, outcome.error_bound);
}

static void the_last_pass_is_in_the_bound(void **context)
{
    (void)context;
    check_long_factor(0, 0);
    check_long_factor(-1030, 0);
    check_long_factor(-1065, 1000);
    check_long_factor(-1074, 1020);
    check_long_factor(40, -1060);
}

/* ---- Kernels of large integers ---------------------------------------------------------------------------------------- */

/* Doubles from 2^53 on are all integers, and floats from 2^24 on: most of them by accident. */
static const struct {
    const char *name;
    enum convolve_dtype dtype;
    double column[3], row[3];
    bool separable;
} large[] = {
    {"integers whose products are exact", CONVOLVE_FLOAT64, {1, 0x1p30, 3}, {3, 0x1p30 + 2, 1}, true},
    {"gaussian integers", CONVOLVE_COMPLEX128, {1, 0x1p30, 3}, {3, 0x1p30 + 2, 1}, true},
    {"large values", CONVOLVE_FLOAT64, {1.1e10, 2.3e10, 1.7e10}, {1.3e11, 1.9e11, 1.7e11}, true},
    {"very large ones", CONVOLVE_FLOAT64, {1.1e100, 2.3e100, 1.7e100}, {-1.3e100, 1.9e100, 1.7e100}, true},
    {"with zeros", CONVOLVE_FLOAT64, {1.1e10, 0, 1.7e10}, {1.3e11, 0, 1.7e11}, true},
    {"large floats", CONVOLVE_FLOAT32, {1.1e6, 2.3e6, 1.7e6}, {1.3e5, 1.9e5, 1.7e5}, true},
    {"large complex values", CONVOLVE_COMPLEX64, {1.1e6, 2.3e6, 1.7e6}, {1.3e5, 1.9e5, 1.7e5}, true},
    /* Where only 3 * 2^20 meets something its product has to be exact, which it would not be. */
    {"rounded, beside small ones", CONVOLVE_FLOAT64, {0x1p20, 0x1p40 + 1, 1}, {3, 0x1p40 + 1, 1}, false},
};

static void set_part(enum convolve_dtype dtype, void *tensor, size_t index, double value)
{
    const size_t at = index * (convolve_dtype_is_complex(dtype) ? 2 : 1);
    if (dtype == CONVOLVE_FLOAT32 || dtype == CONVOLVE_COMPLEX64)
        ((float *)tensor)[at] = (float)value;
    else
        ((double *)tensor)[at] = value;
}

static double get_part(enum convolve_dtype dtype, const void *tensor, size_t index)
{
    const size_t at = index * (convolve_dtype_is_complex(dtype) ? 2 : 1);
    return dtype == CONVOLVE_FLOAT32 || dtype == CONVOLVE_COMPLEX64 ? (double)((const float *)tensor)[at]
                                                                    : ((const double *)tensor)[at];
}

/* An impulse gives back the kernel: exactly, where its value is one that is promised. */
static void large_integers_are_found_separable(void **context)
{
    (void)context;
    for (size_t i = 0; i < sizeof large / sizeof large[0]; i++) {
        const enum convolve_dtype dtype = large[i].dtype;
        const bool single = dtype == CONVOLVE_FLOAT32 || dtype == CONVOLVE_COMPLEX64;
        const struct convolve_spec spec = {.method = CONVOLVE_SEPARABLE,
                                           .dtype = dtype,
                                           .input = {.rank = 2, .size = {2, 2}},
                                           .kernel = {.rank = 2, .size = {3, 3}}};
        double input[8] = {0}, kernel[18] = {0}, output[32];
        struct convolve_plan *plan;
        struct convolve_outcome outcome;
        struct convolve_error error;
        set_part(dtype, input, 0, 1);
        for (size_t t = 0; t < 9; t++)
            set_part(dtype, kernel, t, large[i].column[t / 3] * large[i].row[t % 3]);
        if (convolve_plan_create(&plan, &spec, kernel, &error) != large[i].separable)
            fail_msg("%s: %s", large[i].name, large[i].separable ? error.detail : "found separable");
        if (!large[i].separable)
            continue;
        assert_true(convolve_plan_execute(plan, input, kernel, output, &outcome, NULL));
        convolve_plan_destroy(plan);
        for (size_t t = 0; t < 9; t++) {
            const double expected = get_part(dtype, kernel, t), found = get_part(dtype, output, t / 3 * 4 + t % 3);
            const double allowed = fabs(expected) < (single ? 0x1p24 : 0x1p53) ? 0 : outcome.error_bound;
            if (!(fabs(found - expected) <= allowed))
                fail_msg("%s: %g where %g was expected", large[i].name, found, expected);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_last_pass_is_in_the_bound),
        cmocka_unit_test(large_integers_are_found_separable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
