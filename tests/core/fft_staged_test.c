/* SPDX-License-Identifier: MIT */
/* fft and overlap_add where jobs, or spectra, are so large that they run in stages: what promises_test holds every method to,
 * of samples of the outputs. */
#include "tests/core/fewer.h"
#include "tests/core/request.h"

#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void check_output(const struct request *request, size_t index, bool integral, bool positive)
{
    const bool single = is_single(request->spec.dtype);
    const struct truth truth = request_truth(request, index);
    const struct convolve_scalar found = request_output(request, index);
    const bool finite = isfinite(found.real) && isfinite(found.imag);
    if (truth.nonfinite) {
        if (finite != (isfinite(truth.defined.real) && isfinite(truth.defined.imag)))
            fail_output(request, index, "not finite alike", &truth);
        return;
    }
    if (!finite) {
        if (truth.products < (single ? (long double)FLT_MAX : (long double)DBL_MAX) / 2)
            fail_output(request, index, "not finite", &truth);
        return;
    }
    const long double error = request_error(request, index, &truth);
    if (truth.zeros && (found.real != 0 || found.imag != 0 || signbit(found.real) || signbit(found.imag)))
        fail_output(request, index, "a window of zeros", &truth);
    if (positive && signbit(found.real))
        fail_output(request, index, "negative", &truth);
    if (integral && truth.products < (single ? 0x1p24L : 0x1p53L) && error != 0)
        fail_output(request, index, "an integer", &truth);
    /* long double leaves the sum's own errors beside those of float64. */
    if (!isnan(request->outcome.error_bound) && !(error <= (long double)request->outcome.error_bound * (1 + 1e-3L)))
        fail_output(request, index, "further off than the bound", &truth);
}

static void check_outputs(const struct request *request, size_t samples)
{
    const bool integral = request_is_integral(request), positive = request_is_nowhere_negative(request);
    for (size_t i = 0; i < request->cost.output_count; i += 1 + request->cost.output_count / samples)
        check_output(request, i, integral, positive);
}

/* Jobs, or the spectra alone, so large that they run in stages: both types, all kinds of values, on two threads, where input and kernel keep their
 * places and where they change them. */
static void test_staged_requests(void **context)
{
    static const struct {
        enum convolve_dtype dtype;
        unsigned rank;
        size_t input[3], kernel[3];
        enum convolve_mode mode;
        enum convolve_boundary boundary;
        enum convolve_method method;
    } cases[] = {
        {CONVOLVE_FLOAT32, 1, {300000}, {40}, CONVOLVE_FULL, CONVOLVE_CONSTANT, CONVOLVE_FFT},
        {CONVOLVE_FLOAT64, 1, {280001}, {61}, CONVOLVE_SAME, CONVOLVE_WRAP, CONVOLVE_FFT},
        {CONVOLVE_FLOAT32, 2, {700, 431}, {5, 7}, CONVOLVE_SAME, CONVOLVE_REFLECT, CONVOLVE_FFT},
        {CONVOLVE_FLOAT64, 2, {1400, 203}, {3, 31}, CONVOLVE_VALID, CONVOLVE_CONSTANT, CONVOLVE_FFT},
        {CONVOLVE_FLOAT64, 3, {65, 64, 70}, {3, 2, 3}, CONVOLVE_FULL, CONVOLVE_CONSTANT, CONVOLVE_FFT},
        {CONVOLVE_COMPLEX64, 2, {400, 390}, {4, 5}, CONVOLVE_SAME, CONVOLVE_SYMMETRIC, CONVOLVE_FFT},
        {CONVOLVE_COMPLEX128, 1, {150000}, {33}, CONVOLVE_VALID, CONVOLVE_CONSTANT, CONVOLVE_FFT},
        {CONVOLVE_FLOAT32, 1, {33}, {270000}, CONVOLVE_VALID, CONVOLVE_CONSTANT, CONVOLVE_FFT},
        {CONVOLVE_FLOAT32, 2, {400, 420}, {70, 65}, CONVOLVE_VALID, CONVOLVE_CONSTANT, CONVOLVE_OVERLAP_ADD},
        {CONVOLVE_FLOAT64, 3, {50, 60, 90}, {13, 9, 17}, CONVOLVE_VALID, CONVOLVE_CONSTANT, CONVOLVE_OVERLAP_ADD},
    };
    (void)context;
    const size_t all = sizeof cases / sizeof cases[0] * KIND_COUNT;
    for (size_t turn = 0; turn < fewer(all); turn++) {
        const uint64_t seed = turn * 17 % all; /* where there are fewer, some of each */
        const size_t i = seed / KIND_COUNT;
        const enum kind kind = (enum kind)(seed % KIND_COUNT);
        uint64_t state = seed + 1;
        struct request request = {.spec = {.method = cases[i].method,
                                           .operation = seed & 1 ? CONVOLVE_OP_CORRELATE : CONVOLVE_OP_CONVOLVE,
                                           .dtype = cases[i].dtype,
                                           .mode = cases[i].mode,
                                           .boundary = cases[i].boundary}};
        struct convolve_plan *plan;
        struct convolve_error error;
        request.spec.input.rank = request.spec.kernel.rank = cases[i].rank;
        memcpy(request.spec.input.size, cases[i].input, sizeof cases[i].input);
        memcpy(request.spec.kernel.size, cases[i].kernel, sizeof cases[i].kernel);
        request_begin(&request);
        request_fill(&request, &state, kind, false);
        snprintf(request.name, sizeof request.name, "staged case %zu, %s", i, kind_names[kind]);
        assert_true(convolve_plan_create(&plan, &request.spec, NULL, NULL));
        assert_true(convolve_plan_stage_count(plan) > 3);
        convolve_plan_destroy(plan);
        if (!request_run(&request, 2, &state, &error))
            fail_request(&request, error.detail);
        check_outputs(&request, 40);
        request_end(&request);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_staged_requests),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
