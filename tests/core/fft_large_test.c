/* SPDX-License-Identifier: MIT */
/* fft and overlap_add where promises_test does not come: jobs, or spectra, so large that they run in stages, and arrays of more
 * than three axes whose rows are longer than a vector. What that test holds every method to, of samples of the outputs. And
 * holes, which every output has to be made again for: no method does so in few tiles. */
#include "tests/core/fewer.h"
#include "tests/core/request.h"

#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

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

struct sized {
    enum convolve_dtype dtype;
    unsigned rank;
    size_t input[5], kernel[5];
    enum convolve_mode mode;
    enum convolve_boundary boundary;
    enum convolve_method method;
};

/* Each case with all kinds of values, on two threads, its plan in more than `stages_min` stages. */
static void check_cases(const char *name, const struct sized *cases, size_t case_count, unsigned stages_min)
{
    const size_t all = case_count * KIND_COUNT;
    for (size_t turn = 0; turn < fewer(all); turn++) {
        const uint64_t seed = turn * 17 % all; /* where there are fewer, some of each */
        const struct sized *one = &cases[seed / KIND_COUNT];
        const enum kind kind = (enum kind)(seed % KIND_COUNT);
        uint64_t state = seed + 1;
        struct request request = {.spec = {.method = one->method,
                                           .operation = seed & 1 ? CONVOLVE_OP_CORRELATE : CONVOLVE_OP_CONVOLVE,
                                           .dtype = one->dtype,
                                           .mode = one->mode,
                                           .boundary = one->boundary}};
        struct convolve_plan *plan;
        struct convolve_error error;
        request.spec.input.rank = request.spec.kernel.rank = one->rank;
        memcpy(request.spec.input.size, one->input, sizeof one->input);
        memcpy(request.spec.kernel.size, one->kernel, sizeof one->kernel);
        request_begin(&request);
        request_fill(&request, &state, kind, false);
        snprintf(request.name, sizeof request.name, "%s case %zu, %s", name, seed / KIND_COUNT, kind_names[kind]);
        assert_true(convolve_plan_create(&plan, &request.spec, NULL, NULL));
        assert_true(convolve_plan_stage_count(plan) > stages_min);
        convolve_plan_destroy(plan);
        if (!request_run(&request, 2, &state, &error))
            fail_request(&request, error.detail);
        check_outputs(&request, 40);
        request_end(&request);
    }
}

/* Both types, where input and kernel keep their places and where they change them. */
static void test_staged_requests(void **context)
{
    static const struct sized cases[] = {
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
    check_cases("staged", cases, sizeof cases / sizeof cases[0], 3);
}

static void test_many_axes(void **context)
{
    static const struct sized cases[] = {
        {CONVOLVE_FLOAT64, 4, {8, 8, 8, 8}, {3, 3, 3, 3}, CONVOLVE_FULL, CONVOLVE_CONSTANT, CONVOLVE_FFT},
        {CONVOLVE_FLOAT64, 4, {10, 10, 10, 10}, {6, 6, 6, 6}, CONVOLVE_SAME, CONVOLVE_WRAP, CONVOLVE_OVERLAP_ADD},
        {CONVOLVE_FLOAT32, 4, {5, 6, 8, 20}, {3, 2, 3, 5}, CONVOLVE_FULL, CONVOLVE_CONSTANT, CONVOLVE_FFT},
        {CONVOLVE_COMPLEX128, 4, {3, 4, 6, 9}, {2, 3, 2, 4}, CONVOLVE_SAME, CONVOLVE_EDGE, CONVOLVE_FFT},
        {CONVOLVE_COMPLEX64, 4, {3, 2, 3, 4}, {5, 4, 6, 30}, CONVOLVE_VALID, CONVOLVE_CONSTANT, CONVOLVE_FFT},
        {CONVOLVE_FLOAT64, 5, {6, 6, 6, 6, 6}, {3, 3, 3, 3, 3}, CONVOLVE_FULL, CONVOLVE_CONSTANT, CONVOLVE_FFT},
        {CONVOLVE_FLOAT32, 5, {4, 5, 3, 6, 18}, {2, 2, 2, 3, 4}, CONVOLVE_FULL, CONVOLVE_CONSTANT, CONVOLVE_FFT},
    };
    (void)context;
    check_cases("many axes,", cases, sizeof cases / sizeof cases[0], 0);
}

static double thread_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* What the longest of its tiles takes of all of them. */
static double longest_share(const struct convolve_plan *plan, const struct request *request)
{
    unsigned char *const scratch = aligned_alloc(64, convolve_plan_scratch_bytes(plan) / 64 * 64 + 64);
    unsigned char *const tile_scratch = aligned_alloc(64, convolve_plan_tile_scratch_bytes(plan) / 64 * 64 + 64);
    const struct convolve_run run = {
        .input = request->input, .kernel = request->kernel, .output = request->output, .scratch = scratch};
    double all = 0, longest = 0;
    for (unsigned stage = 0; stage < convolve_plan_stage_count(plan); stage++)
        for (size_t tile = 0; tile < convolve_plan_tile_count(plan, stage); tile++) {
            const double since = thread_seconds();
            convolve_plan_run_tile(plan, &run, stage, tile, tile_scratch);
            const double took = thread_seconds() - since;
            all += took;
            longest = took > longest ? took : longest;
        }
    free(scratch);
    free(tile_scratch);
    return longest / all;
}

/* Who waits for a worker, and a deadline, wait for a tile. */
static void test_holes_take_many_tiles(void **context)
{
    static const struct sized cases[] = {
        {CONVOLVE_FLOAT32, 2, {192, 192}, {31, 31}, CONVOLVE_FULL, CONVOLVE_CONSTANT, CONVOLVE_DIRECT},
        {CONVOLVE_FLOAT32, 2, {192, 192}, {31, 31}, CONVOLVE_FULL, CONVOLVE_CONSTANT, CONVOLVE_FFT},
        {CONVOLVE_FLOAT64, 2, {192, 192}, {31, 31}, CONVOLVE_FULL, CONVOLVE_CONSTANT, CONVOLVE_OVERLAP_ADD},
        {CONVOLVE_FLOAT64, 2, {192, 192}, {31, 31}, CONVOLVE_FULL, CONVOLVE_CONSTANT, CONVOLVE_SEPARABLE},
        {CONVOLVE_FLOAT32, 1, {60000}, {500}, CONVOLVE_FULL, CONVOLVE_CONSTANT, CONVOLVE_FFT},
    };
    (void)context;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint64_t state = i + 1;
        struct request request = {.spec = {.method = cases[i].method, .dtype = cases[i].dtype, .ignore_missing = true}};
        struct convolve_plan *plan;
        struct convolve_error error;
        request.spec.input.rank = request.spec.kernel.rank = cases[i].rank;
        memcpy(request.spec.input.size, cases[i].input, sizeof cases[i].input);
        memcpy(request.spec.kernel.size, cases[i].kernel, sizeof cases[i].kernel);
        request_begin(&request);
        request_fill(&request, &state, KIND_POSITIVE, true);
        for (size_t hole = 0; hole < request.input_count; hole += 3)
            set_part(request.spec.dtype, request.input, hole, NAN);
        if (!convolve_plan_create(&plan, &request.spec, request.kernel, &error))
            fail_msg("%s: %s", convolve_method_name(cases[i].method), error.detail);
        const double share = longest_share(plan, &request);
        convolve_plan_destroy(plan);
        if (share > 0.125)
            fail_msg("%s, rank %u: one tile takes %g of the time of all", convolve_method_name(cases[i].method),
                     cases[i].rank, share);
        request_end(&request);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_staged_requests),
        cmocka_unit_test(test_many_axes),
        cmocka_unit_test(test_holes_take_many_tiles),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
