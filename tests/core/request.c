/* SPDX-License-Identifier: MIT */
#include "tests/core/request.h"

#include "core/explain.h"

#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

const char *const kind_names[KIND_COUNT] = {
    "small integers", "reals", "wild",           "holes",      "large integers", "sparse",       "positive",
    "huge",           "tiny",  "near the limit", "cancelling", "any exponent",   "not negative", "near overflow"};

bool is_single(enum convolve_dtype dtype)
{
    return dtype == CONVOLVE_FLOAT32 || dtype == CONVOLVE_COMPLEX64;
}

static unsigned parts_of(enum convolve_dtype dtype)
{
    return convolve_dtype_is_complex(dtype) ? 2 : 1;
}

double part_at(enum convolve_dtype dtype, const void *values, size_t i)
{
    if (dtype == CONVOLVE_INT64)
        return (double)((const int64_t *)values)[i];
    return is_single(dtype) ? (double)((const float *)values)[i] : ((const double *)values)[i];
}

void set_part(enum convolve_dtype dtype, void *values, size_t i, double value)
{
    if (dtype == CONVOLVE_INT64)
        ((int64_t *)values)[i] = (int64_t)value;
    else if (is_single(dtype))
        ((float *)values)[i] = (float)value;
    else
        ((double *)values)[i] = value;
}

/* ---- Values ----------------------------------------------------------------------------------------------------------- */

/* Any exponent of the type, as likely as any other. */
static int random_exponent(uint64_t *state, enum convolve_dtype dtype)
{
    const int least = is_single(dtype) ? -149 : -1074, count = is_single(dtype) ? 277 : 2098;
    return least + (int)random_below(state, (size_t)count);
}

static double limit_of(enum convolve_dtype dtype)
{
    return is_single(dtype) ? 0x1p24 : 0x1p53;
}

void fill_kind(uint64_t *state, enum convolve_dtype dtype, enum kind kind, void *values, size_t count, double limit)
{
    if (kind < KIND_SPARSE || dtype == CONVOLVE_INT64) {
        random_fill(state, dtype, (enum random_values)(kind < KIND_SPARSE ? kind : KIND_SMALL_INTEGERS), values, count);
        return;
    }
    random_fill(state, dtype, RANDOM_REALS, values, count);
    for (size_t i = 0; i < count * parts_of(dtype); i++) {
        double value = part_at(dtype, values, i);
        if (kind == KIND_SPARSE)
            value = random_below(state, 12) ? copysign(0, value) : value;
        else if (kind == KIND_POSITIVE)
            value = random_below(state, 3) ? fabs(value) : 0;
        else if (kind == KIND_HUGE)
            value *= is_single(dtype) ? 0x1p126 : 0x1p1020;
        else if (kind == KIND_TINY)
            value *= is_single(dtype) ? 0x1p-120 : 0x1p-1010;
        else if (kind == KIND_CANCELLING)
            value = (i & 1 ? -1 : 1) * (limit + value);
        else if (kind == KIND_ANY_EXPONENT)
            value = ldexp(value, random_exponent(state, dtype));
        else if (kind == KIND_NOT_NEGATIVE)
            value = random_below(state, 4) ? ldexp(fabs(value), random_exponent(state, dtype)) : copysign(0, value);
        else if (kind == KIND_NEAR_OVERFLOW)
            value *= (is_single(dtype) ? 0x1p127 : 0x1p1023) / limit;
        else
            value = trunc(value * limit);
        set_part(dtype, values, i, value);
    }
}

/* The axes of the kernel tensor that are convolved. */
static unsigned kernel_axes(const struct convolve_spec *spec, bool *convolved)
{
    const unsigned rank = spec->input.rank > spec->kernel.rank ? spec->input.rank : spec->kernel.rank;
    bool named[CONVOLVE_RANK_MAX] = {false};
    unsigned with_taps = 0;
    for (unsigned i = 0; i < spec->axis_count; i++)
        named[spec->axes[i] < 0 ? spec->axes[i] + (int64_t)rank : spec->axes[i]] = true;
    for (unsigned i = 0; i < spec->kernel.rank; i++) {
        convolved[i] = !spec->axes_given || spec->kernel.rank < rank || named[i];
        with_taps += convolved[i] && spec->kernel.size[i] > 1;
    }
    return with_taps;
}

static bool has_integers(const struct request *request, enum kind kind)
{
    return request->spec.dtype == CONVOLVE_INT64 || kind == KIND_SMALL_INTEGERS || kind == KIND_LARGE_INTEGERS ||
           kind == KIND_NEAR_LIMIT;
}

/* One entry of a factor; the whole kernel is scaled afterwards. */
static void random_factor(uint64_t *state, const struct request *request, enum kind kind, bool denormal, double *factor)
{
    const enum convolve_dtype dtype = request->spec.dtype;
    const bool complex = parts_of(dtype) == 2;
    random_fill(state, CONVOLVE_COMPLEX128, RANDOM_REALS, factor, 1);
    for (unsigned part = 0; part < 2; part++) {
        if (denormal) /* such values have few digits: products of others are rounded, and no outer product any more */
            factor[part] = copysign((double)random_below(state, 3), factor[part]);
        else if (has_integers(request, kind))
            factor[part] = (double)random_below(state, 7) - 3;
        else if (kind == KIND_POSITIVE || kind == KIND_NOT_NEGATIVE)
            factor[part] = fabs(factor[part]);
        if (!denormal && (kind == KIND_ANY_EXPONENT || kind == KIND_NOT_NEGATIVE))
            factor[part] = ldexp(factor[part], -(int)random_below(state, 12));
        if (is_single(dtype)) /* so that products of two are exact */
            factor[part] = (double)(float)ldexp(rint(ldexp(factor[part], 11)), -11);
    }
    if (!complex || random_below(state, 4) == 0)
        factor[1] = 0;
}

/* The exponent of the kernel as a whole: any, and often one that makes it denormal. */
static int random_scale(uint64_t *state, const struct request *request, enum kind kind)
{
    const bool single = is_single(request->spec.dtype);
    if (kind == KIND_TINY)
        return single ? -130 : -1020;
    if (kind != KIND_ANY_EXPONENT && kind != KIND_NOT_NEGATIVE)
        return 0;
    if (kind == KIND_ANY_EXPONENT && random_below(state, 2))
        return (single ? -149 : -1074) + (int)random_below(state, single ? 22 : 51);
    return random_exponent(state, request->spec.dtype);
}

/* Makes every slice an outer product. */
static void fill_outer(struct request *request, uint64_t *state, enum kind kind)
{
    const struct convolve_spec *const spec = &request->spec;
    const size_t count = request->kernel_count;
    const unsigned parts = parts_of(spec->dtype);
    bool convolved[CONVOLVE_RANK_MAX];
    double *const product = calloc(count * 2, sizeof *product), factor[2];
    size_t pitch = 1;
    const int scale = random_scale(state, request, kind);
    const bool denormal = kind == KIND_ANY_EXPONENT && scale < (is_single(spec->dtype) ? -126 : -1022);
    kernel_axes(spec, convolved);
    for (size_t i = 0; i < count; i++)
        product[2 * i] = 1;
    for (unsigned axis = spec->kernel.rank; axis-- > 0;) {
        const size_t length = spec->kernel.size[axis];
        for (size_t t = 0; t < length && convolved[axis]; t++) {
            random_factor(state, request, kind, denormal, factor);
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
    for (size_t i = 0; i < count * parts; i++)
        set_part(spec->dtype, request->kernel, i, ldexp(product[parts == 2 ? i : 2 * i], scale));
    free(product);
}

static double absolute_sum(enum convolve_dtype dtype, const void *values, size_t count)
{
    double sum = 0;
    for (size_t i = 0; i < count * parts_of(dtype); i++)
        sum += fabs(part_at(dtype, values, i));
    return sum;
}

void request_fill(struct request *request, uint64_t *state, enum kind kind, bool outer)
{
    const enum convolve_dtype dtype = request->spec.dtype;
    const double taps = (double)request->kernel_count, each = sqrt(limit_of(dtype) / (4 * taps));
    enum kind weights = kind;
    if (kind == KIND_HOLES || kind == KIND_HUGE || kind == KIND_NEAR_OVERFLOW || kind == KIND_WILD)
        weights = random_below(state, 4) || kind != KIND_WILD || outer ? KIND_REALS : KIND_WILD;
    else if (kind == KIND_TINY && random_below(state, 2))
        weights = KIND_REALS;
    if (outer)
        fill_outer(request, state, weights);
    else
        fill_kind(state, dtype, weights, request->kernel, request->kernel_count, each);
    double limit = each;
    if (kind == KIND_NEAR_OVERFLOW)
        limit = ldexp(taps, -(int)random_below(state, 6));
    else if (kind == KIND_NEAR_LIMIT)
        limit = limit_of(dtype) / 2 / fmax(absolute_sum(dtype, request->kernel, request->kernel_count), 1);
    fill_kind(state, dtype, kind, request->input, request->input_count, limit);
}

/* ---- Requests --------------------------------------------------------------------------------------------------------- */

static size_t count_of(const struct convolve_shape *shape)
{
    size_t count = 0;
    assert_true(convolve_shape_count(shape, &count));
    return count;
}

void request_begin(struct request *request)
{
    assert_true(convolve_cost(&request->cost, &request->spec, 1, NULL));
    request->input_count = count_of(&request->spec.input);
    request->kernel_count = count_of(&request->spec.kernel);
    request->input = allocate_values(request->spec.dtype, request->input_count);
    request->kernel = allocate_values(request->spec.dtype, request->kernel_count);
    request->output = allocate_values(request->spec.dtype, request->cost.output_count);
}

void request_end(struct request *request)
{
    free(request->input), free(request->kernel), free(request->output);
}

static bool suits(struct convolve_spec *spec, enum convolve_method method)
{
    bool convolved[CONVOLVE_RANK_MAX];
    struct convolve_cost cost;
    spec->method = method;
    if (method == CONVOLVE_SEPARABLE && kernel_axes(spec, convolved) < 2)
        return false;
    return convolve_cost(&cost, spec, 1, NULL);
}

void request_random(struct request *request, uint64_t *state, enum convolve_method method, enum kind kind,
                    size_t elements_max)
{
    bool convolved[CONVOLVE_RANK_MAX];
    *request = (struct request){.spec = {0}};
    do
        random_spec(state, &request->spec, elements_max);
    while (!suits(&request->spec, method));
    struct convolve_scalar *const constant = &request->spec.fillvalue;
    if (kind == KIND_NEAR_LIMIT || kind == KIND_SPARSE || kind == KIND_POSITIVE || kind == KIND_NOT_NEGATIVE)
        *constant = (struct convolve_scalar){0};
    else if ((kind == KIND_SMALL_INTEGERS || kind == KIND_LARGE_INTEGERS) &&
             (constant->real != 0 || constant->imag != 0))
        *constant = (struct convolve_scalar){.integer = 7, .real = 7, .imag = -2};
    request_begin(request);
    request_fill(request, state, kind,
                 method == CONVOLVE_SEPARABLE ||
                     (method == CONVOLVE_AUTO && kernel_axes(&request->spec, convolved) > 1 && random_below(state, 2)));
}

bool request_run(struct request *request, unsigned threads, uint64_t *state, struct convolve_error *error)
{
    memset(request->output, 0xff, request->cost.output_count * convolve_dtype_bytes(request->spec.dtype));
    request->outcome = (struct convolve_outcome){0};
    *error = (struct convolve_error){0};
    return run_plan(&request->spec, request->input, request->kernel, request->output, threads, state, &request->outcome,
                    error);
}

/* ---- What an output should be ----------------------------------------------------------------------------------------- */

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
}

struct truth request_truth(const struct request *request, size_t index)
{
    struct truth truth = {.zeros = true};
    struct convolve_error error = {0};
    truth.overflow = !convolve_explain(&request->spec, request->input, request->kernel, index, add_term, &truth,
                                       &truth.defined, &error);
    if (truth.overflow && strcmp(error.slug, "integer-overflow") != 0)
        fail_msg("%s: %s\nexplain says %s", request->name, describe_spec(&request->spec), error.detail);
    return truth;
}

struct convolve_scalar request_output(const struct request *request, size_t index)
{
    const enum convolve_dtype dtype = request->spec.dtype;
    if (dtype == CONVOLVE_INT64)
        return (struct convolve_scalar){.integer = ((const int64_t *)request->output)[index]};
    const unsigned parts = parts_of(dtype);
    return (struct convolve_scalar){.real = part_at(dtype, request->output, index * parts),
                                    .imag = parts == 2 ? part_at(dtype, request->output, index * 2 + 1) : 0};
}

long double request_error(const struct request *request, size_t index, const struct truth *truth)
{
    const struct convolve_scalar found = request_output(request, index);
    return hypotl((long double)found.real - truth->real, (long double)found.imag - truth->imag);
}

/* Whether every value of the tensors, and the constant, passes. */
static bool all_values(const struct request *request, bool (*passes)(double))
{
    const enum convolve_dtype dtype = request->spec.dtype;
    const struct convolve_scalar constant = request->spec.fillvalue;
    bool all = request->spec.boundary != CONVOLVE_CONSTANT || (passes(constant.real) && passes(constant.imag));
    for (size_t i = 0; all && i < request->input_count * parts_of(dtype); i++)
        all = passes(part_at(dtype, request->input, i));
    for (size_t i = 0; all && i < request->kernel_count * parts_of(dtype); i++)
        all = passes(part_at(dtype, request->kernel, i));
    return all;
}

static bool is_integer(double value)
{
    return isfinite(value) && value == rint(value);
}

static bool is_finite(double value)
{
    return isfinite(value) != 0;
}

static bool is_not_negative(double value)
{
    return value >= 0;
}

bool request_is_integral(const struct request *request)
{
    return all_values(request, is_integer);
}

bool request_is_finite(const struct request *request)
{
    return all_values(request, is_finite);
}

bool request_is_nowhere_negative(const struct request *request)
{
    return !convolve_dtype_is_complex(request->spec.dtype) && all_values(request, is_not_negative);
}

/* ---- Failures --------------------------------------------------------------------------------------------------------- */

void fail_output(const struct request *request, size_t index, const char *what, const struct truth *truth)
{
    const struct convolve_scalar found = request_output(request, index);
    if (request->spec.dtype == CONVOLVE_INT64)
        fail_msg("%s: %s\noutput %zu: %s: found %lld, expected %lld", request->name, describe_spec(&request->spec),
                 index, what, (long long)found.integer, (long long)truth->defined.integer);
    fail_msg("%s: %s\noutput %zu: %s: found %.17g %.17g, exactly %.20Lg %.20Lg, direct %.17g %.17g, bound %g",
             request->name, describe_spec(&request->spec), index, what, found.real, found.imag, truth->real,
             truth->imag, truth->defined.real, truth->defined.imag, request->outcome.error_bound);
}

void fail_request(const struct request *request, const char *what)
{
    fail_msg("%s: %s\n%s, bound %g", request->name, describe_spec(&request->spec), what, request->outcome.error_bound);
}
