/* SPDX-License-Identifier: MIT */
/* The method separable: which kernels it takes, and that what it makes of them keeps every promise: within the error bound of
 * the exact sums, integers exact, what is not finite contained, the same bits on every set, whatever shares the batch. */
#include "core/simd/routines.h"
#include "tests/core/random_spec.h"

#include "core/explain.h"

#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static size_t count_of(const struct convolve_shape *shape)
{
    size_t count = 0;
    assert_true(convolve_shape_count(shape, &count));
    return count;
}

/* ---- Kernels ---------------------------------------------------------------------------------------------------------- */

/* The axes of the kernel tensor that are convolved. */
static void kernel_axes(const struct convolve_spec *spec, bool *convolved)
{
    const unsigned rank = spec->input.rank > spec->kernel.rank ? spec->input.rank : spec->kernel.rank;
    bool named[CONVOLVE_RANK_MAX] = {false};
    for (unsigned i = 0; i < spec->axis_count; i++)
        named[spec->axes[i] < 0 ? spec->axes[i] + (int64_t)rank : spec->axes[i]] = true;
    for (unsigned i = 0; i < spec->kernel.rank; i++)
        convolved[i] = !spec->axes_given || spec->kernel.rank < rank || named[i];
}

/* Makes every slice an outer product, from factors of the given kind. */
static void fill_outer_products(uint64_t *state, const struct convolve_spec *spec, enum random_values values,
                                void *kernel)
{
    bool convolved[CONVOLVE_RANK_MAX];
    const size_t count = count_of(&spec->kernel), parts = convolve_dtype_is_complex(spec->dtype) ? 2 : 1;
    double *const product = calloc(count * 2, sizeof *product);
    double factor[2];
    size_t pitch = 1;
    kernel_axes(spec, convolved);
    for (size_t i = 0; i < count; i++)
        product[2 * i] = 1;
    for (unsigned axis = spec->kernel.rank; axis-- > 0;) {
        const size_t length = spec->kernel.size[axis];
        for (size_t t = 0; t < length && convolved[axis]; t++) {
            random_fill(state, parts == 2 ? CONVOLVE_COMPLEX128 : CONVOLVE_FLOAT64, values, factor, 1);
            for (unsigned part = 0; part < 2; part++) {
                if (values == RANDOM_SMALL_INTEGERS)
                    factor[part] = (double)random_below(state, 7) - 3;
                if (spec->dtype == CONVOLVE_FLOAT32 || spec->dtype == CONVOLVE_COMPLEX64)
                    factor[part] = (double)(float)factor[part];
            }
            if (parts == 1 || random_below(state, 4) == 0)
                factor[1] = 0;
            for (size_t i = 0; i < count; i++) {
                if (i / pitch % length != t)
                    continue;
                const double real = product[2 * i], imag = product[2 * i + 1];
                product[2 * i] = real * factor[0] - imag * factor[1];
                product[2 * i + 1] = real * factor[1] + imag * factor[0];
            }
        }
        pitch *= length;
    }
    for (size_t i = 0; i < count * parts; i++) {
        const double value = product[parts == 2 ? i : 2 * i];
        if (spec->dtype == CONVOLVE_INT64)
            ((int64_t *)kernel)[i] = (int64_t)value;
        else if (spec->dtype == CONVOLVE_FLOAT32 || spec->dtype == CONVOLVE_COMPLEX64)
            ((float *)kernel)[i] = (float)value;
        else
            ((double *)kernel)[i] = value;
    }
    free(product);
}

/* ---- The exact sums --------------------------------------------------------------------------------------------------- */

struct exact {
    long double real, imag, products; /* products: the sum of absolute values */
    bool finite; /* every value of the window */
};

static void add_term(void *context, const struct convolve_term *term)
{
    struct exact *exact = context;
    const long double a = (long double)term->input.real, b = (long double)term->input.imag;
    const long double c = (long double)term->kernel.real, d = (long double)term->kernel.imag;
    exact->finite &= isfinite(a) && isfinite(b);
    exact->real += a * c - b * d;
    exact->imag += a * d + b * c;
    exact->products += (fabsl(a) + fabsl(b)) * (fabsl(c) + fabsl(d));
}

static double part_of(enum convolve_dtype dtype, const void *tensor, size_t index, unsigned part)
{
    switch (dtype) {
    case CONVOLVE_FLOAT64:
        return part ? 0 : ((const double *)tensor)[index];
    case CONVOLVE_FLOAT32:
        return part ? 0 : (double)((const float *)tensor)[index];
    case CONVOLVE_COMPLEX128:
        return ((const double *)tensor)[2 * index + part];
    case CONVOLVE_COMPLEX64:
        return (double)((const float *)tensor)[2 * index + part];
    default:
        return 0;
    }
}

static void check_output(const struct convolve_spec *spec, const void *input, const void *kernel, const void *output,
                         size_t index, const struct convolve_outcome *outcome, bool exact_integers, const char *name)
{
    struct exact exact = {.finite = true};
    struct convolve_scalar value;
    assert_true(convolve_explain(spec, input, kernel, index, add_term, &exact, &value, NULL));
    if (spec->dtype == CONVOLVE_INT64) {
        if (((const int64_t *)output)[index] != value.integer)
            fail_msg("%s: %s\noutput %zu: found %lld, expected %lld", name, describe_spec(spec), index,
                     (long long)((const int64_t *)output)[index], (long long)value.integer);
        return;
    }
    const double real = part_of(spec->dtype, output, index, 0), imag = part_of(spec->dtype, output, index, 1);
    if (!exact.finite) {
        if (isfinite(real) && isfinite(imag) && !spec->ignore_missing)
            fail_msg("%s: %s\noutput %zu is finite in spite of its window", name, describe_spec(spec), index);
        return;
    }
    if (!isfinite(real) || !isfinite(imag)) {
        fail_msg("%s: %s\noutput %zu is not finite, its window is", name, describe_spec(spec), index);
        return;
    }
    const double bound = isnan(outcome->error_bound) ? 1e-4 : outcome->error_bound;
    const long double slack = exact_integers ? 0 : exact.products * 0x1p-58L;
    const long double off = hypotl((long double)real - exact.real, (long double)imag - exact.imag);
    if (!(off <= (long double)bound + slack))
        fail_msg("%s: %s\noutput %zu: found %.17g %.17g, exactly %.20Lg %.20Lg; %Lg off, bound %g", name,
                 describe_spec(spec), index, real, imag, exact.real, exact.imag, off, bound);
}

/* ---- Random requests -------------------------------------------------------------------------------------------------- */

enum kind { KIND_INTEGERS, KIND_REALS, KIND_HOLES, KIND_WILD, KIND_COUNT };
static const char *const kind_names[KIND_COUNT] = {"integers", "reals", "holes", "wild"};

static bool has_taps_on_two_axes(const struct convolve_spec *spec)
{
    bool convolved[CONVOLVE_RANK_MAX];
    unsigned axes = 0;
    kernel_axes(spec, convolved);
    for (unsigned i = 0; i < spec->kernel.rank; i++)
        axes += convolved[i] && spec->kernel.size[i] > 1;
    return axes >= 2;
}

static bool kernel_sums_to_zero(const struct convolve_spec *spec, const struct convolve_error *error)
{
    return spec->ignore_missing && error->slug && strcmp(error->pointer, "/missing") == 0;
}

static void check_random_request(uint64_t seed, size_t elements_max)
{
    static const enum random_values inputs[KIND_COUNT] = {RANDOM_SMALL_INTEGERS, RANDOM_REALS, RANDOM_HOLES,
                                                          RANDOM_WILD};
    uint64_t state = seed;
    struct convolve_spec spec;
    struct convolve_cost cost;
    struct convolve_error error = {0};
    char name[96];
    do {
        random_spec(&state, &spec, elements_max);
        spec.method = CONVOLVE_SEPARABLE;
    } while (!convolve_cost(&cost, &spec, 1, NULL) || !has_taps_on_two_axes(&spec));
    const enum kind kind = spec.dtype == CONVOLVE_INT64 ? KIND_INTEGERS : random_below(&state, KIND_COUNT);
    if (kind == KIND_INTEGERS)
        spec.fillvalue = (struct convolve_scalar){.integer = 7, .real = 7, .imag = -2};
    const size_t input_count = count_of(&spec.input), kernel_count = count_of(&spec.kernel);
    void *const input = allocate_values(spec.dtype, input_count);
    void *const kernel = allocate_values(spec.dtype, kernel_count);
    void *const output = allocate_values(spec.dtype, cost.output_count);
    void *const other = allocate_values(spec.dtype, cost.output_count);
    random_fill(&state, spec.dtype, inputs[kind], input, input_count);
    fill_outer_products(&state, &spec, kind == KIND_INTEGERS ? RANDOM_SMALL_INTEGERS : RANDOM_REALS, kernel);
    snprintf(name, sizeof name, "seed %llu, %s", (unsigned long long)seed, kind_names[kind]);

    struct convolve_outcome outcome = {0};
    const struct simd_routines *set;
    for (size_t i = 0; (set = simd_routines_at(i)); i++) {
        struct convolve_outcome found = {0};
        void *const made = i ? other : output;
        assert_true(convolve_simd_select(set->name));
        if (!run_plan(&spec, input, kernel, made, 1 + (unsigned)(seed % 16 == 0), &state, &found, &error)) {
            if (!kernel_sums_to_zero(&spec, &error))
                fail_msg("%s: %s\n%s", name, describe_spec(&spec), error.detail);
            break;
        }
        if (i == 0)
            outcome = found;
        for (size_t o = 0; o < cost.output_count; o++)
            if (!same_value(spec.dtype, output, made, o))
                fail_msg("%s: %s\noutput %zu differs between scalar and %s", name, describe_spec(&spec), o, set->name);
        assert_memory_equal(&found.error_bound, &outcome.error_bound, sizeof found.error_bound);
    }
    assert_true(convolve_simd_select("auto"));
    if (!error.slug) {
        double predicted;
        enum convolve_method method;
        const bool integers = kind == KIND_INTEGERS;
        assert_true(convolve_predict(&spec, input, kernel, &predicted, &method, NULL));
        assert_int_equal(method, CONVOLVE_SEPARABLE);
        if (predicted < outcome.error_bound)
            fail_msg("%s: %s\npredicted %g, found %g", name, describe_spec(&spec), predicted, outcome.error_bound);
        if (integers && outcome.error_bound != 0)
            fail_msg("%s: %s\nintegers are not exact: %g", name, describe_spec(&spec), outcome.error_bound);
        const size_t step = 1 + cost.output_count / 200;
        for (size_t o = random_below(&state, step); kind != KIND_WILD && o < cost.output_count; o += step)
            check_output(&spec, input, kernel, output, o, &outcome, integers, name);
    }
    free(input), free(kernel), free(output), free(other);
}

static void test_random_requests(void **context)
{
    (void)context;
    for (uint64_t seed = 1; seed <= 3000; seed++)
        check_random_request(seed, 200);
    for (uint64_t seed = 100001; seed <= 100200; seed++)
        check_random_request(seed, 6000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_requests),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
