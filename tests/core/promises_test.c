/* SPDX-License-Identifier: MIT */
/* What is promised about values, each promise a test of its own for every method: exact integers, NaN and infinity contained,
 * nothing negative of nothing negative, 0 of zeros, the same bits whatever the threads, the order of tiles and the slices
 * beside, error bounds that hold, `max_error`, `plan` and `missing`. Random requests of every member, with
 * the values most likely to break the promise, are held against the definition summed in long double.
 * That `direct` has the same bits on every instruction set and in every tiling is properties_test's; layers have
 * layer_methods_test, int64 at the ends of its range int64_test. */
#include "core/simd/routines.h"
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

static const enum convolve_method methods[] = {CONVOLVE_DIRECT, CONVOLVE_SEPARABLE, CONVOLVE_FFT, CONVOLVE_OVERLAP_ADD,
                                               CONVOLVE_AUTO};
enum { METHOD_COUNT = sizeof methods / sizeof methods[0] };

/* ---- The promises: each gets a request that has run ------------------------------------------------------------------- */

/* Of integers whose products' absolute values sum to less than 2^53, 2^24; of int64 all that fit. */
static void integers_are_exact(struct request *request, uint64_t *state)
{
    const bool int64 = request->spec.dtype == CONVOLVE_INT64;
    const long double limit = is_single(request->spec.dtype) ? 0x1p24L : 0x1p53L;
    bool all_exact = true;
    (void)state;
    if (!int64 && !request_is_integral(request))
        return;
    for (size_t i = 0; i < request->cost.output_count; i++) {
        const struct truth truth = request_truth(request, i);
        const bool exact = int64 ? request_output(request, i).integer == truth.defined.integer
                                 : request_error(request, i, &truth) == 0;
        if ((int64 || truth.products < limit) && !exact)
            fail_output(request, i, "an integer", &truth);
        all_exact &= int64 || truth.products < limit;
    }
    if (all_exact && request->outcome.error_bound != 0)
        fail_request(request, "every output is exact, but not the bound");
}

/* Outputs are finite where their windows are and sums stay in range; `direct`, `fft` and `overlap_add` also tell a NaN from
 * an infinity as the definition does. */
static void nonfinite_values_are_contained(struct request *request, uint64_t *state)
{
    const long double most = is_single(request->spec.dtype) ? (long double)FLT_MAX : (long double)DBL_MAX;
    const enum convolve_method method = request->spec.method;
    const bool tells = method != CONVOLVE_SEPARABLE && method != CONVOLVE_AUTO;
    size_t first = request->cost.output_count;
    (void)state;
    for (size_t i = 0; i < request->cost.output_count; i++) {
        const struct truth truth = request_truth(request, i);
        const struct convolve_scalar found = request_output(request, i), defined = truth.defined;
        const bool finite = isfinite(found.real) && isfinite(found.imag);
        if (!truth.nonfinite && !finite && truth.products < most / 2)
            fail_output(request, i, "not finite, but its window is", &truth);
        if (truth.nonfinite && finite != (isfinite(defined.real) && isfinite(defined.imag)))
            fail_output(request, i, "finite in spite of its window, or not finite", &truth);
        if (truth.nonfinite && tells &&
            (!isnan(found.real) != !isnan(defined.real) || !isnan(found.imag) != !isnan(defined.imag)))
            fail_output(request, i, "another kind", &truth);
        if (!finite && first > i)
            first = i;
    }
    const bool any = first < request->cost.output_count;
    if (request->spec.ignore_missing)
        return;
    if (request->outcome.nonfinite != any || (any && request->outcome.nonfinite_index != first))
        fail_request(request, "the first output that is not finite is not named");
    if (any != !!isnan(request->outcome.error_bound))
        fail_request(request, "a bound of what is not finite, or none of what is");
}

static void nothing_negative_gives_nothing_negative(struct request *request, uint64_t *state)
{
    (void)state;
    if (!request_is_nowhere_negative(request))
        return;
    for (size_t i = 0; i < request->cost.output_count; i++) {
        const double found = request_output(request, i).real;
        const struct truth truth = {.zeros = true};
        if (found < 0 || signbit(found))
            fail_output(request, i, "negative", &truth);
    }
}

static void windows_of_zeros_give_zero(struct request *request, uint64_t *state)
{
    (void)state;
    for (size_t i = 0; i < request->cost.output_count; i++) {
        const struct truth truth = request_truth(request, i);
        const struct convolve_scalar found = request_output(request, i);
        if (truth.zeros && !truth.nonfinite &&
            (found.real != 0 || found.imag != 0 || signbit(found.real) || signbit(found.imag)))
            fail_output(request, i, "a window of zeros", &truth);
    }
}

/* Every run takes its tiles in a random order. `direct` and `separable` have the same bits on every instruction set. */
static void bits_are_the_same_again(struct request *request, uint64_t *state)
{
    const bool every_set = request->spec.method == CONVOLVE_DIRECT || request->spec.method == CONVOLVE_SEPARABLE;
    struct request again = *request;
    struct convolve_error error;
    const struct simd_routines *set;
    again.output = allocate_values(request->spec.dtype, request->cost.output_count);
    for (size_t s = 0; (set = simd_routines_at(s)) && (every_set || s == 0); s++) {
        assert_true(!every_set || convolve_simd_select(set->name));
        assert_true(request_run(&again, 1 + s % 2, state, &error));
        for (size_t i = 0; i < request->cost.output_count; i++)
            if (!same_value(request->spec.dtype, request->output, again.output, i)) {
                const struct truth truth = request_truth(request, i);
                fail_output(&again, i, "another in another order, or on another set", &truth);
            }
        assert_memory_equal(&again.outcome.error_bound, &request->outcome.error_bound, sizeof(double));
        assert_int_equal(again.outcome.nonfinite, request->outcome.nonfinite);
        assert_int_equal(again.outcome.nonfinite_index, request->outcome.nonfinite_index);
    }
    free(again.output);
}

static void check_bound(const struct request *request)
{
    for (size_t i = 0; i < request->cost.output_count && !isnan(request->outcome.error_bound); i++) {
        const struct truth truth = request_truth(request, i);
        /* long double has roundings of its own. */
        const long double own = truth.products * 0x1p-58L * (request->outcome.error_bound > 0);
        if (!(request_error(request, i, &truth) <= (long double)request->outcome.error_bound + own))
            fail_output(request, i, "further off than the bound", &truth);
    }
}

static double largest_part(const struct request *request)
{
    double largest = fmax(fabs(request->spec.fillvalue.real), fabs(request->spec.fillvalue.imag));
    for (size_t i = 0; i < request->input_count * (convolve_dtype_is_complex(request->spec.dtype) ? 2 : 1); i++)
        largest = fmax(largest, fabs(part_at(request->spec.dtype, request->input, i)));
    return largest;
}

/* A sum of n products loses n roundings of the largest sum at most; a transform of each axis some dozens, but of its whole block. */
static void check_looseness(const struct request *request)
{
    const enum convolve_dtype dtype = request->spec.dtype;
    const bool single = is_single(dtype);
    const size_t taps = request->kernel_count * (convolve_dtype_is_complex(dtype) ? 2 : 1);
    const double u = single ? 0x1p-24 : 0x1p-53, tiny = single ? (double)FLT_TRUE_MIN : DBL_TRUE_MIN;
    const double most = request->spec.method == CONVOLVE_DIRECT || request->spec.method == CONVOLVE_SEPARABLE ? 2 : 300;
    double sum = 0;
    for (size_t i = 0; i < taps; i++)
        sum += fabs(part_at(dtype, request->kernel, i));
    const double rounding = largest_part(request) * sum * u + (double)taps * tiny * fmax(sum, 1);
    /* Where sums come near the end of the range there may be nothing to tell. */
    if (largest_part(request) * sum < (single ? (double)FLT_MAX : DBL_MAX) * 0x1p-40 &&
        request->outcome.error_bound > most * ((double)taps + 64) * rounding)
        fail_request(request, "the bound is a wild guess");
}

static void error_bounds_hold(struct request *request, uint64_t *state)
{
    (void)state;
    if (request->spec.ignore_missing || !request_is_finite(request))
        return;
    check_bound(request);
    check_looseness(request);
}

/* A named method keeps what it said without max_error; auto keeps whatever direct can. */
static void max_error_is_kept_or_refused(struct request *request, uint64_t *state)
{
    const double bound = request->outcome.error_bound;
    const double limits[] = {bound, bound * 0.999, bound / 3, 0};
    struct convolve_error error, other;
    if (isnan(bound))
        return;
    request->spec.max_error_given = true;
    for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
        request->spec.max_error = limits[i];
        const bool kept = request_run(request, 1, state, &error);
        if (kept && !(request->outcome.error_bound <= limits[i]))
            fail_request(request, "a bound above max_error");
        if (kept && !request->spec.ignore_missing)
            check_bound(request);
        if (!kept && (strcmp(error.slug, "invalid-value") != 0 || strcmp(error.pointer, "/max_error") != 0))
            fail_request(request, error.detail);
        if (request->spec.method != CONVOLVE_AUTO) {
            if (kept != (bound <= limits[i]))
                fail_request(request, kept ? "accepted, against its bound" : "refused, against its bound");
        } else if (!kept) {
            request->spec.method = CONVOLVE_DIRECT;
            if (request_run(request, 1, state, &other))
                fail_request(request, "auto refuses what direct can do");
            request->spec.method = CONVOLVE_AUTO;
        }
    }
}

/* What `plan` tells: shape, method and bytes as they are then, and a bound that is never too small. */
static void a_plan_answers_what_is_then_done(struct request *request, uint64_t *state)
{
    const struct convolve_spec *const spec = &request->spec;
    struct convolve_cost *const cost = &request->cost;
    struct convolve_plan *plan;
    enum convolve_method method;
    double predicted;
    (void)state;
    assert_true(convolve_cost(cost, spec, 1, NULL)); /* again, with the routines that ran */
    assert_true(convolve_plan_create(&plan, spec, request->kernel, NULL));
    assert_true(convolve_predict(spec, request->input, request->kernel, &predicted, &method, NULL));
    assert_int_equal(method, convolve_plan_method(plan));
    if (spec->method != CONVOLVE_AUTO)
        assert_int_equal(method, spec->method);
    else if (method != CONVOLVE_SEPARABLE)
        assert_int_equal(method, cost->method);
    assert_int_equal(convolve_plan_output(plan)->rank, cost->output.rank);
    assert_memory_equal(convolve_plan_output(plan)->size, cost->output.size, cost->output.rank * sizeof(size_t));
    assert_int_equal(cost->tensor_bytes, (request->input_count + request->kernel_count + cost->output_count) *
                                             convolve_dtype_bytes(spec->dtype));
    if (cost->scratch_bytes < convolve_plan_scratch_bytes(plan) + convolve_plan_tile_scratch_bytes(plan))
        fail_request(request, "the plan needs more bytes than were told");
    convolve_plan_destroy(plan);
    if (predicted < request->outcome.error_bound)
        fail_request(request, "the bound was told smaller");
    if (isnan(predicted) && (spec->dtype == CONVOLVE_INT64 || request_is_finite(request)))
        fail_request(request, "no bound was told");
}

/* Outputs whose windows have holes are what the definition makes of the rest; those without are sums like any other. */
static void missing_values_are_left_out(struct request *request, uint64_t *state)
{
    (void)state;
    if (request->spec.dtype == CONVOLVE_INT64)
        return;
    for (size_t i = 0; i < request->cost.output_count; i++) {
        struct truth truth = request_truth(request, i);
        const struct convolve_scalar found = request_output(request, i);
        if (!isnan(found.real) != !isnan(truth.defined.real))
            fail_output(request, i, "a NaN, or none", &truth);
        if (isnan(truth.defined.real) || isnan(request->outcome.error_bound))
            continue; /* nothing is left of a window: no bound */
        if (truth.hole) {
            truth.real = truth.defined.real;
            truth.imag = truth.defined.imag;
        }
        if (!(request_error(request, i, &truth) <= (long double)request->outcome.error_bound * (1 + 1e-3L)))
            fail_output(request, i, "a hole is left out", &truth);
    }
    if (request->outcome.nonfinite)
        fail_request(request, "a NaN that was asked for is not finite");
}

#define KINDS(...)                                                                                                     \
    {                                                                                                                  \
        __VA_ARGS__, KIND_COUNT                                                                                        \
    }
static const struct promise {
    const char *name;
    enum kind kinds[KIND_COUNT + 1];
    bool int64; /* whether it is one of int64 too */
    unsigned small, large; /* how many requests of up to 60 and up to 3000 elements, for each method */
    void (*check)(struct request *request, uint64_t *state);
} promises[] = {
    {"integers are exact", KINDS(KIND_SMALL_INTEGERS, KIND_LARGE_INTEGERS, KIND_NEAR_LIMIT), true, 300, 15,
     integers_are_exact},
    {"NaN and infinity are contained", KINDS(KIND_WILD, KIND_HOLES, KIND_NEAR_OVERFLOW), false, 300, 15,
     nonfinite_values_are_contained},
    {"nothing negative gives nothing negative", KINDS(KIND_POSITIVE, KIND_NOT_NEGATIVE), false, 300, 15,
     nothing_negative_gives_nothing_negative},
    {"windows of zeros give 0", KINDS(KIND_SPARSE), false, 300, 15, windows_of_zeros_give_zero},
    {"bits are the same again", KINDS(KIND_REALS, KIND_WILD, KIND_NEAR_OVERFLOW, KIND_HOLES), true, 100, 15,
     bits_are_the_same_again},
    {"error bounds hold",
     KINDS(KIND_REALS, KIND_SPARSE, KIND_POSITIVE, KIND_HUGE, KIND_TINY, KIND_CANCELLING, KIND_ANY_EXPONENT,
           KIND_NOT_NEGATIVE, KIND_NEAR_OVERFLOW),
     false, 900, 30, error_bounds_hold},
    {"max_error is kept or refused", KINDS(KIND_REALS, KIND_TINY, KIND_ANY_EXPONENT, KIND_NEAR_LIMIT), false, 150, 10,
     max_error_is_kept_or_refused},
    {"a plan answers what is then done",
     KINDS(KIND_REALS, KIND_NEAR_LIMIT, KIND_ANY_EXPONENT, KIND_WILD, KIND_SMALL_INTEGERS), true, 300, 15,
     a_plan_answers_what_is_then_done},
    {"missing values are left out", KINDS(KIND_HOLES), false, 300, 15, missing_values_are_left_out},
};
enum { PROMISE_COUNT = sizeof promises / sizeof promises[0] };

/* ---- Running them ----------------------------------------------------------------------------------------------------- */

/* What may be refused: a kernel that is no outer product by `separable`, one that sums to 0 beside holes, int64 that leaves
 * its range. */
static void check_refusal(const struct request *request, const struct convolve_error *error)
{
    const bool separable = request->spec.method == CONVOLVE_SEPARABLE && strcmp(error->pointer, "/method") == 0;
    const bool whole = request->spec.ignore_missing && strcmp(error->pointer, "/missing") == 0;
    const bool overflow = request->spec.dtype == CONVOLVE_INT64 && strcmp(error->slug, "integer-overflow") == 0;
    if (!separable && !whole && !overflow)
        fail_request(request, error->detail);
}

static bool check_one(const struct promise *promise, enum convolve_method method, uint64_t seed, size_t elements_max)
{
    size_t kinds = 0, sets = 0;
    while (promise->kinds[kinds] != KIND_COUNT)
        kinds++;
    while (simd_routines_at(sets))
        sets++;
    uint64_t state = seed;
    struct request request = {0};
    struct convolve_error error;
    do {
        request_end(&request);
        request_random(&request, &state, method, promise->kinds[seed % kinds], elements_max);
        snprintf(request.name, sizeof request.name, "seed %llu, %s, %s", (unsigned long long)seed,
                 kind_names[promise->kinds[seed % kinds]], convolve_method_name(method));
    } while (request.spec.dtype == CONVOLVE_INT64 && !promise->int64);
    if (promise->check == missing_values_are_left_out)
        request.spec.ignore_missing = true;
    assert_true(convolve_simd_select(simd_routines_at(seed / kinds % sets)->name));
    const bool ran = request_run(&request, 1 + (seed % 16 == 0), &state, &error);
    if (ran)
        promise->check(&request, &state);
    else
        check_refusal(&request, &error);
    assert_true(convolve_simd_select("auto"));
    request_end(&request);
    return ran;
}

struct pair {
    const struct promise *promise;
    enum convolve_method method;
    char name[80];
};

static void check_promise(void **context)
{
    const struct pair *const pair = *context;
    const size_t small = fewer(pair->promise->small), large = fewer(pair->promise->large);
    size_t ran = 0;
    for (uint64_t seed = 1; seed <= small; seed++)
        ran += check_one(pair->promise, pair->method, seed, 60);
    for (uint64_t seed = 100001; seed <= 100000 + large; seed++)
        ran += check_one(pair->promise, pair->method, seed, 3000);
    if (ran < (small + large) / 2)
        fail_msg("%s: only %zu of %zu requests were not refused", pair->name, ran, small + large);
}

/* ---- Slices ----------------------------------------------------------------------------------------------------------- */

/* Each slice gets the bits, and each the exactness, that it gets alone, whatever lies in the slices beside it: values that
 * are not finite, huge ones, integers; and whatever kernels those have. */
static void slices_get_what_they_get_alone(void **context)
{
    enum { SLICES_MAX = 12 };
    static const size_t lengths[] = {50, 700, 4000}, taps[] = {3, 40, 300};
    const enum convolve_method method = *(const enum convolve_method *)*context;
    for (uint64_t seed = 1; seed <= fewer(60); seed++) {
        uint64_t state = seed;
        const size_t slices = 2 + random_below(&state, SLICES_MAX - 2), length = lengths[seed % 3];
        const size_t kernel = taps[seed % 3 ? random_below(&state, seed % 3 + 1) : 0];
        const bool square = seed % 2 || method == CONVOLVE_SEPARABLE, own = seed % 4 < 2; /* a kernel for each slice */
        struct request request = {.spec = {.method = method,
                                           .dtype = seed & 16 ? CONVOLVE_FLOAT32 : CONVOLVE_FLOAT64,
                                           .mode = CONVOLVE_SAME,
                                           .axes_given = true,
                                           .axis_count = square ? 2 : 1,
                                           .axes = {1, 2}}};
        struct convolve_spec *const spec = &request.spec;
        struct convolve_error error;
        spec->input = square ? (struct convolve_shape){.rank = 3, .size = {slices, length / 10, 45}}
                             : (struct convolve_shape){.rank = 2, .size = {slices, length}};
        spec->kernel = square
                           ? (struct convolve_shape){.rank = 3, .size = {own ? slices : 1, 3 + seed % 9, 4 + seed % 7}}
                           : (struct convolve_shape){.rank = 2, .size = {own ? slices : 1, kernel}};
        request_begin(&request);
        snprintf(request.name, sizeof request.name, "slices by %s, seed %llu", convolve_method_name(method),
                 (unsigned long long)seed);
        const size_t kernels = own ? slices : 1, bytes = convolve_dtype_bytes(spec->dtype);
        const size_t cells = request.input_count / slices, each_taps = request.kernel_count / kernels;
        const size_t outputs = request.cost.output_count / slices;
        const enum kind kernel_kind = seed & 32 ? KIND_REALS : KIND_SMALL_INTEGERS;
        request_fill(&request, &state, kernel_kind, method == CONVOLVE_SEPARABLE || (seed & 8));
        if (own && method != CONVOLVE_SEPARABLE) /* one that is no outer product among those that are */
            fill_kind(&state, spec->dtype, KIND_REALS, request.kernel, each_taps, 0);
        for (size_t i = 0; i < slices; i++)
            fill_kind(&state, spec->dtype, (enum kind)random_below(&state, KIND_COUNT),
                      (unsigned char *)request.input + i * cells * bytes, cells, 1000);
        if (!request_run(&request, 2, &state, &error))
            fail_request(&request, error.detail);
        struct request alone = {.spec = *spec};
        alone.spec.input.size[0] = alone.spec.kernel.size[0] = 1;
        request_begin(&alone);
        double most = 0;
        for (size_t i = 0; i < slices; i++) {
            memcpy(alone.input, (unsigned char *)request.input + i * cells * bytes, cells * bytes);
            memcpy(alone.kernel, (unsigned char *)request.kernel + (own ? i : 0) * each_taps * bytes,
                   each_taps * bytes);
            assert_true(request_run(&alone, 1, &state, &error));
            most = isnan(alone.outcome.error_bound) ? (double)INFINITY : fmax(most, alone.outcome.error_bound);
            for (size_t o = 0; o < outputs; o++)
                if (!same_value(spec->dtype, (unsigned char *)request.output + i * outputs * bytes, alone.output, o))
                    fail_msg("%s: %s\nslice %zu, output %zu: %.17g, alone %.17g", request.name, describe_spec(spec), i,
                             o, part_at(spec->dtype, request.output, i * outputs + o),
                             part_at(spec->dtype, alone.output, o));
        }
        if (isfinite(most) && request.outcome.error_bound != most)
            fail_request(&request, "the bound is not the largest of the slices'");
        request_end(&alone);
        request_end(&request);
    }
}

/* Likewise of slices that lie side by side, so that neighbours of one slice are not neighbours in memory. */
static void slices_side_by_side(void **context)
{
    enum { SLICES_MAX = 4 };
    const enum convolve_method method = *(const enum convolve_method *)*context;
    for (uint64_t seed = 1; seed <= fewer(40); seed++) {
        uint64_t state = seed;
        const size_t slices = 2 + random_below(&state, SLICES_MAX - 1), length = 30 + random_below(&state, 900);
        const size_t taps = 1 + random_below(&state, seed % 2 ? 60 : 9);
        const unsigned axes = method == CONVOLVE_SEPARABLE || seed % 4 == 0 ? 2 : 1;
        static const enum convolve_dtype dtypes[] = {CONVOLVE_FLOAT64, CONVOLVE_FLOAT32, CONVOLVE_COMPLEX64,
                                                     CONVOLVE_COMPLEX128};
        struct request alone = {.spec = {.method = method,
                                         .dtype = dtypes[random_below(&state, method == CONVOLVE_SEPARABLE ? 2 : 4)],
                                         .input = {.rank = axes, .size = {length / (axes == 2 ? 20 : 1) + 1, 25}},
                                         .kernel = {.rank = axes, .size = {taps / (axes == 2 ? 9 : 1) + 1, 5}}}};
        struct request request = {.spec = alone.spec};
        struct convolve_error error;
        request.spec.axes_given = true;
        request.spec.axis_count = axes;
        request.spec.axes[0] = 0, request.spec.axes[1] = 1;
        request.spec.input.size[request.spec.input.rank++] = slices;
        request.spec.kernel.size[request.spec.kernel.rank++] = 1;
        request_begin(&alone);
        request_begin(&request);
        snprintf(request.name, sizeof request.name, "side by side by %s, seed %llu", convolve_method_name(method),
                 (unsigned long long)seed);
        request_fill(&request, &state, seed % 3 ? KIND_REALS : KIND_SPARSE, method == CONVOLVE_SEPARABLE);
        if (!request_run(&request, 2, &state, &error))
            fail_request(&request, error.detail);
        const size_t bytes = convolve_dtype_bytes(request.spec.dtype);
        memcpy(alone.kernel, request.kernel, request.kernel_count * bytes);
        for (size_t s = 0; s < slices; s++) {
            for (size_t i = 0; i < alone.input_count; i++)
                memcpy((unsigned char *)alone.input + i * bytes,
                       (unsigned char *)request.input + (i * slices + s) * bytes, bytes);
            assert_true(request_run(&alone, 1, &state, &error));
            for (size_t o = 0; o < alone.cost.output_count; o++)
                if (memcmp((unsigned char *)request.output + (o * slices + s) * bytes,
                           (unsigned char *)alone.output + o * bytes, bytes) != 0)
                    fail_msg("%s: %s\nslice %zu, output %zu is another than alone", request.name,
                             describe_spec(&request.spec), s, o);
        }
        request_end(&alone);
        request_end(&request);
    }
}

/* ---- All of them ------------------------------------------------------------------------------------------------------ */

/* An argument says which tests to run: "*bounds*". */
int main(int count_arguments, char **arguments)
{
    static struct pair pairs[PROMISE_COUNT * METHOD_COUNT];
    static struct CMUnitTest tests[PROMISE_COUNT * METHOD_COUNT + 2 * METHOD_COUNT];
    static char names[METHOD_COUNT][80], beside_names[METHOD_COUNT][80];
    size_t count = 0;
    for (size_t p = 0; p < PROMISE_COUNT; p++)
        for (size_t m = 0; m < METHOD_COUNT; m++) {
            struct pair *const pair = &pairs[count];
            *pair = (struct pair){.promise = &promises[p], .method = methods[m]};
            snprintf(pair->name, sizeof pair->name, "%s (%s)", promises[p].name, convolve_method_name(methods[m]));
            tests[count++] = (struct CMUnitTest){.name = pair->name, .test_func = check_promise, .initial_state = pair};
        }
    for (size_t m = 0; m < METHOD_COUNT; m++) {
        snprintf(names[m], sizeof names[m], "slices get what they get alone (%s)", convolve_method_name(methods[m]));
        tests[count++] = (struct CMUnitTest){
            .name = names[m], .test_func = slices_get_what_they_get_alone, .initial_state = (void *)&methods[m]};
        snprintf(beside_names[m], sizeof beside_names[m], "slices side by side (%s)", convolve_method_name(methods[m]));
        tests[count++] = (struct CMUnitTest){
            .name = beside_names[m], .test_func = slices_side_by_side, .initial_state = (void *)&methods[m]};
    }
    cmocka_set_test_filter(count_arguments > 1 ? arguments[1] : NULL);
    return _cmocka_run_group_tests("promises", tests, count, NULL, NULL);
}
