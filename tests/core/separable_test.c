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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_last_pass_is_in_the_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
