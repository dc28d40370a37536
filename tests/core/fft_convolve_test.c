/* SPDX-License-Identifier: MIT */
/* fft and overlap_add against the definition, summed in long double: random requests of every member they accept, and every
 * promise about values as a property of each output. The bound that a run reports is never below the error that it made. */
#include "core/explain.h"
#include "core/simd/routines.h"
#include "tests/core/random_spec.h"

#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* ---- Values ----------------------------------------------------------------------------------------------------------- */

enum kind {
    KIND_SMALL_INTEGERS,
    KIND_REALS,
    KIND_WILD,
    KIND_HOLES,
    KIND_LARGE_INTEGERS,
    KIND_SPARSE, /* mostly zeros: windows of nothing else */
    KIND_POSITIVE, /* nothing negative, much that is 0 */
    KIND_HUGE,
    KIND_TINY,
    KIND_NEAR_LIMIT, /* integers whose products add up to just below 2^53, 2^24 */
    KIND_CANCELLING, /* large, and each but for a little the opposite of the one before */
    KIND_ANY_EXPONENT, /* from the least denormal to the largest number */
    KIND_NOT_NEGATIVE, /* likewise, with zeros of both signs, but nothing below them */
    KIND_NEAR_OVERFLOW, /* sums that leave the range, or nearly */
    KIND_COUNT
};
static const char *const kind_names[KIND_COUNT] = {
    "small integers", "reals", "wild",           "holes",      "large integers", "sparse",       "positive",
    "huge",           "tiny",  "near the limit", "cancelling", "any exponent",   "not negative", "near overflow"};

static bool is_single(enum convolve_dtype dtype)
{
    return dtype == CONVOLVE_FLOAT32 || dtype == CONVOLVE_COMPLEX64;
}

/* Any exponent of the type, as likely as any other. */
static double random_exponent(uint64_t *state, enum convolve_dtype dtype, double value)
{
    const int least = is_single(dtype) ? -149 : -1074, count = is_single(dtype) ? 277 : 2098;
    return ldexp(value, least + (int)random_below(state, (size_t)count));
}

static double part_at(enum convolve_dtype dtype, const void *values, size_t i)
{
    return is_single(dtype) ? (double)((const float *)values)[i] : ((const double *)values)[i];
}

static void set_part(enum convolve_dtype dtype, void *values, size_t i, double value)
{
    if (is_single(dtype))
        ((float *)values)[i] = (float)value;
    else
        ((double *)values)[i] = value;
}

static void fill(uint64_t *state, enum convolve_dtype dtype, enum kind kind, void *values, size_t count, double limit)
{
    if (kind < KIND_SPARSE) {
        random_fill(state, dtype, (enum random_values)kind, values, count);
        return;
    }
    random_fill(state, dtype, RANDOM_REALS, values, count);
    for (size_t i = 0; i < count * (convolve_dtype_is_complex(dtype) ? 2 : 1); i++) {
        double value = part_at(dtype, values, i);
        if (kind == KIND_SPARSE)
            value = random_below(state, 12) ? 0 : value;
        else if (kind == KIND_POSITIVE)
            value = random_below(state, 3) ? fabs(value) : 0;
        else if (kind == KIND_HUGE)
            value *= is_single(dtype) ? 0x1p126 : 0x1p1020;
        else if (kind == KIND_TINY)
            value *= is_single(dtype) ? 0x1p-120 : 0x1p-1010;
        else if (kind == KIND_CANCELLING)
            value = (i & 1 ? -1 : 1) * (limit + value);
        else if (kind == KIND_ANY_EXPONENT)
            value = random_exponent(state, dtype, value);
        else if (kind == KIND_NOT_NEGATIVE)
            value = random_below(state, 4) ? random_exponent(state, dtype, fabs(value)) : copysign(0, value);
        else if (kind == KIND_NEAR_OVERFLOW)
            value *= (is_single(dtype) ? 0x1p127 : 0x1p1023) / limit;
        else
            value = trunc(value * limit);
        set_part(dtype, values, i, value);
    }
}

/* ---- The definition ---------------------------------------------------------------------------------------------------- */

struct truth {
    long double real, imag, products; /* products: sum of absolute values, of all parts */
    bool nonfinite, zeros, hole, negative;
};

static void add_term(void *context, const struct convolve_term *term)
{
    struct truth *const truth = context;
    const long double x = term->input.real, y = term->input.imag, a = term->kernel.real, b = term->kernel.imag;
    truth->real += x * a - y * b;
    truth->imag += x * b + y * a;
    truth->products += (fabsl(x) + fabsl(y)) * (fabsl(a) + fabsl(b));
    truth->nonfinite |= !isfinite(x) || !isfinite(y) || !isfinite(a) || !isfinite(b);
    truth->zeros &= x == 0 && y == 0;
    truth->hole |= term->missing;
    truth->negative |= x < 0 || a < 0;
}

struct request {
    struct convolve_spec spec;
    struct convolve_cost cost;
    void *input, *kernel, *output;
    size_t input_count, kernel_count;
    struct convolve_outcome outcome;
    char name[128];
};

/* Loose figures for the report: how far the bound lies above the largest error. */
static double looseness[100000];
static size_t looseness_count;

static bool all_integral(const struct request *request)
{
    const unsigned parts = convolve_dtype_is_complex(request->spec.dtype) ? 2 : 1;
    const struct convolve_scalar fill_value = request->spec.fillvalue;
    bool integral = request->spec.boundary != CONVOLVE_CONSTANT || (fill_value.real == 0 && fill_value.imag == 0);
    for (size_t i = 0; i < request->input_count * parts; i++) {
        const double value = part_at(request->spec.dtype, request->input, i);
        integral &= isfinite(value) && value == rint(value);
    }
    for (size_t i = 0; i < request->kernel_count * parts; i++) {
        const double value = part_at(request->spec.dtype, request->kernel, i);
        integral &= isfinite(value) && value == rint(value);
    }
    return integral;
}

static bool nothing_negative(const struct request *request)
{
    if (convolve_dtype_is_complex(request->spec.dtype) || request->spec.fillvalue.real < 0)
        return false;
    for (size_t i = 0; i < request->input_count; i++)
        if (!(part_at(request->spec.dtype, request->input, i) >= 0))
            return false;
    for (size_t i = 0; i < request->kernel_count; i++)
        if (!(part_at(request->spec.dtype, request->kernel, i) >= 0))
            return false;
    return true;
}

static bool same_kind(double found, double expected)
{
    return isnan(expected) ? isnan(found) : isinf(expected) ? found == expected : isfinite(found);
}

static void fail_output(const struct request *request, size_t index, const char *what, double real, double imag,
                        long double expected_real, long double expected_imag)
{
    fail_msg("%s: %s\n%s output %zu: %s: found %.17g %.17g, expected %.17Lg %.17Lg, bound %g", request->name,
             describe_spec(&request->spec), convolve_method_name(request->spec.method), index, what, real, imag,
             expected_real, expected_imag, request->outcome.error_bound);
}

/* Holds one output against everything that is promised. Returns the error. */
static long double check_output(const struct request *request, size_t index, bool integral, bool positive,
                                bool *all_exact)
{
    const struct convolve_spec *spec = &request->spec;
    const bool complex = convolve_dtype_is_complex(spec->dtype), single = is_single(spec->dtype);
    struct truth truth = {.zeros = true};
    struct convolve_scalar expected;
    assert_true(convolve_explain(spec, request->input, request->kernel, index, add_term, &truth, &expected, NULL));
    const double real = part_at(spec->dtype, request->output, complex ? 2 * index : index);
    const double imag = complex ? part_at(spec->dtype, request->output, 2 * index + 1) : 0;
    const double limit = single ? 0x1p24 : 0x1p53;
    if (truth.hole || truth.nonfinite) {
        if (!same_kind(real, expected.real) || !same_kind(imag, expected.imag))
            fail_output(request, index, "not finite alike", real, imag, expected.real, expected.imag);
        if (!truth.hole || !isfinite(expected.real) || !isfinite(expected.imag))
            return 0;
        truth.real = expected.real; /* mended outputs are direct's */
        truth.imag = expected.imag;
        return hypotl(real - truth.real, imag - truth.imag);
    }
    if (!isfinite(real) || !isfinite(imag)) {
        const long double most = single ? FLT_MAX : DBL_MAX;
        if (truth.products < most / 2)
            fail_output(request, index, "not finite", real, imag, truth.real, truth.imag);
        return 0;
    }
    if (truth.zeros && (real != 0 || imag != 0 || signbit(real) || signbit(imag)))
        fail_output(request, index, "a window of zeros", real, imag, 0, 0);
    if (positive && (real < 0 || signbit(real)))
        fail_output(request, index, "negative", real, imag, truth.real, truth.imag);
    if (integral && truth.products < (long double)limit && (truth.real != real || truth.imag != imag))
        fail_output(request, index, "an integer", real, imag, truth.real, truth.imag);
    *all_exact &= truth.products < (long double)limit;
    return hypotl(real - truth.real, imag - truth.imag);
}

static void check_request(struct request *request, size_t samples)
{
    const bool integral = all_integral(request), positive = nothing_negative(request);
    const size_t step = request->cost.output_count > samples ? request->cost.output_count / samples : 1;
    bool all_exact = integral && step == 1; /* nobody has looked at the others */
    long double worst = 0;
    for (size_t i = 0; i < request->cost.output_count; i += step) {
        const long double error = check_output(request, i, integral, positive, &all_exact);
        /* 80 bits leave the sum's own errors beside those of float64. */
        if (!isnan(request->outcome.error_bound) && !(error <= request->outcome.error_bound * (1 + 1e-3)))
            fail_msg("%s: %s\n%s output %zu: error %Lg above the bound %g", request->name,
                     describe_spec(&request->spec), convolve_method_name(request->spec.method), i, error,
                     request->outcome.error_bound);
        worst = fmaxl(worst, error);
    }
    if (all_exact && request->outcome.error_bound != 0)
        fail_msg("%s: %s: every output is exact, but the bound is %g", request->name, describe_spec(&request->spec),
                 request->outcome.error_bound);
    if (worst > 0 && isfinite(request->outcome.error_bound) && looseness_count < 100000)
        looseness[looseness_count++] = (double)(request->outcome.error_bound / worst);
}

/* ---- Requests --------------------------------------------------------------------------------------------------------- */

static size_t count_of(const struct convolve_shape *shape)
{
    size_t count = 0;
    assert_true(convolve_shape_count(shape, &count));
    return count;
}

static void begin_request(struct request *request)
{
    assert_true(convolve_cost(&request->cost, &request->spec, 1, NULL));
    request->input_count = count_of(&request->spec.input);
    request->kernel_count = count_of(&request->spec.kernel);
    request->input = allocate_values(request->spec.dtype, request->input_count);
    request->kernel = allocate_values(request->spec.dtype, request->kernel_count);
    request->output = allocate_values(request->spec.dtype, request->cost.output_count);
}

static void end_request(struct request *request)
{
    free(request->input), free(request->kernel), free(request->output);
}

/* What can be told beforehand: never less than the bound of the result, and something wherever all is finite. */
static void check_prediction(const struct request *request)
{
    const unsigned parts = convolve_dtype_is_complex(request->spec.dtype) ? 2 : 1;
    enum convolve_method method;
    double predicted;
    bool finite = isfinite(request->spec.fillvalue.real) && isfinite(request->spec.fillvalue.imag);
    for (size_t i = 0; i < request->input_count * parts; i++)
        finite &= isfinite(part_at(request->spec.dtype, request->input, i)) != 0;
    for (size_t i = 0; i < request->kernel_count * parts; i++)
        finite &= isfinite(part_at(request->spec.dtype, request->kernel, i)) != 0;
    assert_true(convolve_predict(&request->spec, request->input, request->kernel, &predicted, &method, NULL));
    if (finite && isnan(predicted))
        fail_msg("%s: %s: nothing predicted", request->name, describe_spec(&request->spec));
    if (predicted < request->outcome.error_bound)
        fail_msg("%s: %s: predicted %g, found %g", request->name, describe_spec(&request->spec), predicted,
                 request->outcome.error_bound);
}

static bool run(struct request *request, unsigned threads, uint64_t *state)
{
    struct convolve_error error = {0};
    const size_t bytes = request->cost.output_count * convolve_dtype_bytes(request->spec.dtype);
    memset(request->output, 0xff, bytes);
    request->outcome = (struct convolve_outcome){0};
    if (run_plan(&request->spec, request->input, request->kernel, request->output, threads, state, &request->outcome,
                 &error))
        return true;
    /* Only a kernel that sums to 0 is refused. */
    if (!request->spec.ignore_missing || strcmp(error.slug, "invalid-value") != 0)
        fail_msg("%s: %s: %s", request->name, describe_spec(&request->spec), error.detail);
    return false;
}

static void check_random_request(uint64_t seed, size_t elements_max)
{
    uint64_t state = seed;
    struct request request = {0};
    do
        random_spec(&state, &request.spec, elements_max);
    while (request.spec.dtype == CONVOLVE_INT64);
    const enum kind kind = (enum kind)random_below(&state, KIND_COUNT);
    const bool near = kind == KIND_NEAR_LIMIT;
    request.spec.method = seed % 8 == 0 ? CONVOLVE_DIRECT : seed & 1 ? CONVOLVE_FFT : CONVOLVE_OVERLAP_ADD;
    if (near || kind == KIND_SPARSE || kind == KIND_POSITIVE || kind == KIND_NOT_NEGATIVE)
        request.spec.fillvalue = (struct convolve_scalar){0};
    begin_request(&request);
    const double taps = (double)request.kernel_count;
    /* Of values up to a, b, n products of both parts stay below 4 * n * a * b. */
    const double each = kind == KIND_NEAR_OVERFLOW
                            ? ldexp(taps, -(int)random_below(&state, 6))
                            : sqrt((is_single(request.spec.dtype) ? 0x1p24 : 0x1p53) / (4 * taps));
    fill(&state, request.spec.dtype, kind, request.input, request.input_count, each);
    fill(&state, request.spec.dtype, kind == KIND_HOLES ? KIND_REALS : kind, request.kernel, request.kernel_count,
         each);
    if (kind == KIND_HUGE || kind == KIND_TINY || kind == KIND_NEAR_OVERFLOW) /* products stay in range, or nearly */
        random_fill(&state, request.spec.dtype, RANDOM_REALS, request.kernel, request.kernel_count);
    const struct simd_routines *set;
    for (size_t i = 0; (set = simd_routines_at(i)); i++) {
        snprintf(request.name, sizeof request.name, "seed %llu, %s, %s", (unsigned long long)seed, kind_names[kind],
                 set->name);
        assert_true(convolve_simd_select(set->name));
        if (run(&request, 1 + (unsigned)(seed % 16 == 0), &state)) {
            check_request(&request, 300);
            check_prediction(&request);
        }
    }
    assert_true(convolve_simd_select("auto"));
    end_request(&request);
}

static void test_random_requests(void **context)
{
    (void)context;
    check_random_request(1000223, 60); /* its bound was lost to underflow */
    for (uint64_t seed = 1; seed <= 3000; seed++)
        check_random_request(seed, 60);
}

static void test_larger_random_requests(void **context)
{
    (void)context;
    for (uint64_t seed = 100001; seed <= 100300; seed++)
        check_random_request(seed, 3000);
}

/* Jobs so large that they run in stages: both types, all kinds of values, on two threads, where input and kernel keep their
 * places and where they change them. */
static void test_staged_requests(void **context)
{
    static const struct {
        enum convolve_dtype dtype;
        unsigned rank;
        size_t input[3], kernel[3];
        enum convolve_mode mode;
        enum convolve_boundary boundary;
    } cases[] = {
        {CONVOLVE_FLOAT32, 1, {300000}, {40}, CONVOLVE_FULL, CONVOLVE_CONSTANT},
        {CONVOLVE_FLOAT64, 1, {280001}, {61}, CONVOLVE_SAME, CONVOLVE_WRAP},
        {CONVOLVE_FLOAT32, 2, {700, 431}, {5, 7}, CONVOLVE_SAME, CONVOLVE_REFLECT},
        {CONVOLVE_FLOAT64, 2, {1400, 203}, {3, 31}, CONVOLVE_VALID, CONVOLVE_CONSTANT},
        {CONVOLVE_FLOAT64, 3, {65, 64, 70}, {3, 2, 3}, CONVOLVE_FULL, CONVOLVE_CONSTANT},
        {CONVOLVE_COMPLEX64, 2, {400, 390}, {4, 5}, CONVOLVE_SAME, CONVOLVE_SYMMETRIC},
        {CONVOLVE_COMPLEX128, 1, {150000}, {33}, CONVOLVE_VALID, CONVOLVE_CONSTANT},
        {CONVOLVE_FLOAT32, 1, {33}, {270000}, CONVOLVE_VALID, CONVOLVE_CONSTANT},
    };
    (void)context;
    for (uint64_t seed = 0; seed < sizeof cases / sizeof cases[0] * KIND_COUNT; seed++) {
        const size_t i = seed / KIND_COUNT;
        const enum kind kind = (enum kind)(seed % KIND_COUNT);
        uint64_t state = seed + 1;
        struct request request = {.spec = {.method = CONVOLVE_FFT,
                                           .operation = seed & 1 ? CONVOLVE_OP_CORRELATE : CONVOLVE_OP_CONVOLVE,
                                           .dtype = cases[i].dtype,
                                           .mode = cases[i].mode,
                                           .boundary = cases[i].boundary}};
        struct convolve_plan *plan;
        request.spec.input.rank = request.spec.kernel.rank = cases[i].rank;
        memcpy(request.spec.input.size, cases[i].input, sizeof cases[i].input);
        memcpy(request.spec.kernel.size, cases[i].kernel, sizeof cases[i].kernel);
        begin_request(&request);
        const size_t taps = request.kernel_count < request.input_count ? request.kernel_count : request.input_count;
        const double each = sqrt((is_single(request.spec.dtype) ? 0x1p24 : 0x1p53) / (4 * (double)taps));
        fill(&state, request.spec.dtype, kind, request.input, request.input_count, each);
        fill(&state, request.spec.dtype,
             kind == KIND_HOLES || kind == KIND_HUGE || kind == KIND_TINY || kind == KIND_NEAR_OVERFLOW ? KIND_REALS
                                                                                                        : kind,
             request.kernel, request.kernel_count, each);
        snprintf(request.name, sizeof request.name, "staged case %zu, %s", i, kind_names[kind]);
        assert_true(convolve_plan_create(&plan, &request.spec, NULL, NULL));
        assert_true(convolve_plan_stage_count(plan) > 3);
        convolve_plan_destroy(plan);
        assert_true(run(&request, 2, &state));
        check_request(&request, 40);
        check_prediction(&request);
        end_request(&request);
    }
}

/* Each slice gets the bits, and each the exactness, that it gets alone, whatever lies in the slices beside it: values that
 * are not finite, huge ones, integers. */
static void test_slices_are_alone(void **context)
{
    enum { SLICES_MAX = 40, LENGTH_MAX = 4000 };
    static const size_t lengths[] = {50, 700, 4000}, taps[] = {3, 40, 300};
    (void)context;
    for (uint64_t seed = 1; seed <= 120; seed++) {
        uint64_t state = seed;
        const size_t slices = 2 + random_below(&state, SLICES_MAX - 2), length = lengths[seed % 3];
        const size_t kernel = taps[seed % 3 ? random_below(&state, seed % 3 + 1) : 0];
        const bool square = seed % 5 == 0, own = seed % 4 == 0; /* own: a kernel for each slice */
        struct request request = {.spec = {.method = seed & 8 ? CONVOLVE_FFT : CONVOLVE_OVERLAP_ADD,
                                           .dtype = seed & 16 ? CONVOLVE_FLOAT32 : CONVOLVE_FLOAT64,
                                           .mode = CONVOLVE_SAME,
                                           .axes_given = true,
                                           .axis_count = square ? 2 : 1,
                                           .axes = {1, 2}}};
        struct convolve_spec *const spec = &request.spec;
        spec->input = square ? (struct convolve_shape){.rank = 3, .size = {slices, length / 10, 45}}
                             : (struct convolve_shape){.rank = 2, .size = {slices, length}};
        spec->kernel = square ? (struct convolve_shape){.rank = 3, .size = {own ? slices : 1, 3, 4}}
                              : (struct convolve_shape){.rank = 2, .size = {own ? slices : 1, kernel}};
        begin_request(&request);
        const size_t cells = request.input_count / slices, each_taps = request.kernel_count / (own ? slices : 1);
        const size_t bytes = convolve_dtype_bytes(spec->dtype), outputs = request.cost.output_count / slices;
        for (size_t i = 0; i < slices; i++)
            fill(&state, spec->dtype, (enum kind)random_below(&state, KIND_COUNT),
                 (unsigned char *)request.input + i * cells * bytes, cells, 1000);
        random_fill(&state, spec->dtype, seed & 32 ? RANDOM_REALS : RANDOM_SMALL_INTEGERS, request.kernel,
                    request.kernel_count);
        snprintf(request.name, sizeof request.name, "slices, seed %llu", (unsigned long long)seed);
        assert_true(run(&request, 2, &state));
        struct request alone = {.spec = *spec};
        alone.spec.input.size[0] = alone.spec.kernel.size[0] = 1;
        begin_request(&alone);
        for (size_t i = 0; i < slices; i++) {
            memcpy(alone.input, (unsigned char *)request.input + i * cells * bytes, cells * bytes);
            memcpy(alone.kernel, (unsigned char *)request.kernel + (own ? i : 0) * each_taps * bytes,
                   each_taps * bytes);
            assert_true(run(&alone, 1, &state));
            for (size_t o = 0; o < outputs; o++)
                if (!same_value(spec->dtype, (unsigned char *)request.output + i * outputs * bytes, alone.output, o))
                    fail_msg("%s: %s\nslice %zu, output %zu: %.17g, alone %.17g", request.name, describe_spec(spec), i,
                             o, part_at(spec->dtype, request.output, i * outputs + o),
                             part_at(spec->dtype, alone.output, o));
        }
        end_request(&alone);
        end_request(&request);
    }
}

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void report_looseness(void **context)
{
    (void)context;
    qsort(looseness, looseness_count, sizeof looseness[0], by_value);
    assert_true(looseness_count > 100);
    printf("bound over largest error: median %.1f, least %.2f, of %zu runs\n", looseness[looseness_count / 2],
           looseness[0], looseness_count);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_requests), cmocka_unit_test(test_larger_random_requests),
        cmocka_unit_test(test_staged_requests), cmocka_unit_test(test_slices_are_alone),
        cmocka_unit_test(report_looseness),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
