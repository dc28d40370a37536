/* SPDX-License-Identifier: MIT */
/* int64 to its ends, by each method that has it: results are exact however far their partial sums leave the range, and refused
 * exactly where a result does not fit. */
#include "tests/core/fewer.h"
#include "tests/core/request.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const enum convolve_method direct = CONVOLVE_DIRECT, separable = CONVOLVE_SEPARABLE, automatic = CONVOLVE_AUTO;

/* Values at the ends of int64 and taps of -1, 0 and 1, now and then a large one: most sums leave the range on their way, and
 * some of them end there. What comes is exact, and refused exactly where one output does not fit. */
static void int64_is_exact_to_its_ends(void **context)
{
    const enum convolve_method method = *(const enum convolve_method *)*context;
    size_t fits = 0, overflows = 0;
    for (uint64_t seed = 1; seed <= fewer(1000); seed++) {
        uint64_t state = seed;
        struct request request;
        struct convolve_error error;
        do {
            request_random(&request, &state, method, KIND_SMALL_INTEGERS, 60);
            snprintf(request.name, sizeof request.name, "seed %llu, %s", (unsigned long long)seed,
                     convolve_method_name(method));
            if (request.spec.dtype == CONVOLVE_INT64)
                break;
            request_end(&request);
        } while (true);
        int64_t *const input = request.input, *const kernel = request.kernel;
        const bool ends = seed % 2, large = seed % 8 == 1;
        for (size_t i = 0; i < request.input_count; i++) {
            const int64_t some = (int64_t)random_below(&state, 9);
            input[i] = !ends                     ? (int64_t)(random_bits(&state) >> (1 + random_below(&state, 4)))
                       : random_below(&state, 2) ? INT64_MAX - some
                                                 : INT64_MIN + some;
        }
        /* Rows of 1 and -1 in turn are outer products. */
        for (size_t i = 0; i < request.kernel_count && method != CONVOLVE_SEPARABLE; i++)
            kernel[i] = i % 2 ? 1 : -1;
        for (size_t i = 0; large && i < request.kernel_count; i += 1 + random_below(&state, 5))
            kernel[i] = method == CONVOLVE_SEPARABLE ? kernel[i] : random_below(&state, 2) ? 0 : INT64_MIN;
        const bool ran = request_run(&request, 1, &state, &error);
        bool overflow = false;
        for (size_t i = 0; i < request.cost.output_count; i++) {
            const struct truth truth = request_truth(&request, i);
            overflow |= truth.overflow;
            if (ran && truth.overflow)
                fail_output(&request, i, "it does not fit", &truth);
            if (ran && request_output(&request, i).integer != truth.defined.integer)
                fail_output(&request, i, "not exact", &truth);
        }
        if (!ran && (!overflow || strcmp(error.slug, "integer-overflow") != 0))
            fail_request(&request, error.detail);
        fits += ran;
        overflows += !ran;
        request_end(&request);
    }
    assert_true(fits > fewer(100) && overflows > fewer(100));
}

/* One sum ends at an end of the range, or one beyond it, after a partial sum far outside; all others fit. */
static void one_output_overflows_or_none(void **context)
{
    enum { LENGTH = 70 };
    const enum convolve_method method = *(const enum convolve_method *)*context;
    static int64_t input[LENGTH][LENGTH], output[LENGTH][LENGTH];
    static const int64_t kernel[3][3] = {{0}, {1, 1, -1}, {0}};
    const struct convolve_spec spec = {.method = method,
                                       .operation = CONVOLVE_OP_CORRELATE,
                                       .mode = CONVOLVE_SAME,
                                       .dtype = CONVOLVE_INT64,
                                       .input = {.rank = 2, .size = {LENGTH, LENGTH}},
                                       .kernel = {.rank = 2, .size = {3, 3}}};
    for (unsigned i = 0; i < fewer(200); i++) {
        uint64_t state = i + 1;
        struct convolve_plan *plan;
        struct convolve_error error = {0};
        const bool beyond = i & 1, least = i & 2;
        const int64_t sign = least ? -1 : 1, first = sign * INT64_MAX;
        const int64_t more = (least ? -1 : 0) + (beyond ? sign : 0); /* than `first` is the sum */
        const size_t y = random_below(&state, LENGTH), x = random_below(&state, LENGTH - 2);
        memset(input, 0, sizeof input);
        input[y][x] = first;
        input[y][x + 1] = first / 2;
        input[y][x + 2] = first / 2 - more;
        assert_true(convolve_plan_create(&plan, &spec, kernel, NULL));
        const bool done = convolve_plan_execute(plan, input, kernel, output, NULL, &error);
        convolve_plan_destroy(plan);
        if (done == beyond || (!done && strcmp(error.slug, "integer-overflow") != 0))
            fail_msg("case %u at %zu, %zu: %s", i, y, x, done ? "an output that does not fit" : error.slug);
        if (done)
            assert_int_equal(output[y][x + 1], least ? INT64_MIN : INT64_MAX);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define EACH(test)                                                                                                     \
    {#test " (direct)", test, NULL, NULL, (void *)&direct},                                                            \
        {#test " (separable)", test, NULL, NULL, (void *)&separable},                                                  \
        {#test " (auto)", test, NULL, NULL, (void *)&automatic}
        EACH(int64_is_exact_to_its_ends),
        EACH(one_output_overflows_or_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
