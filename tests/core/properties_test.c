/* SPDX-License-Identifier: MIT */
/* What holds for every request, whatever the values: plans agree with the definition bit for bit, on every instruction
 * set, whatever the order and the threads of the tiles; and the laws of convolution itself. */
#include "core/simd/routines.h"
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
    for (uint64_t seed = 1; seed <= 4000; seed++)
        check_random_request(seed, 60);
}

static void test_larger_random_requests(void **context)
{
    (void)context;
    for (uint64_t seed = 100001; seed <= 100250; seed++)
        check_random_request(seed, 3000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_requests),
        cmocka_unit_test(test_larger_random_requests),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
