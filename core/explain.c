/* SPDX-License-Identifier: MIT */
/* One output by the definition in core/convolve.h: walk the kernel's taps in order, find for each the input value or what
 * the boundary supplies, multiply and add. One tap at a time, one dtype at a time; slow on purpose, so that it can be
 * checked by reading. */
#include "core/explain.h"

#include "core/boundary.h"
#include "core/geometry.h"
#include "core/missing.h"

#include <math.h>

__extension__ typedef __int128 wide;
__extension__ typedef unsigned __int128 unsigned_wide;

/* An exact sum of int64 products: 192 bits hold 2^64 of them. */
struct exact_sum {
    unsigned_wide low;
    int64_t high;
};

static void exact_add(struct exact_sum *sum, wide product)
{
    sum->low += (unsigned_wide)product;
    sum->high += (sum->low < (unsigned_wide)product) - (product < 0);
}

static bool exact_fits(const struct exact_sum *sum, int64_t *value)
{
    *value = (int64_t)sum->low;
    const wide extended = *value;
    return sum->low == (unsigned_wide)extended && sum->high == (*value < 0 ? -1 : 0);
}

/* What the taps add up to. Each dtype has its chain; only the one asked for is filled. */
struct sums {
    struct exact_sum integer;
    double real, imag;
    float real32, imag32;
    /* With `ignore_missing`: the same chain over the present terms, and the weights. */
    double present_real, present_imag;
    struct missing_sum whole_real, whole_imag, remaining_real, remaining_imag;
    size_t present_count, hole_count;
};

static struct convolve_scalar scalar_at(enum convolve_dtype dtype, const void *tensor, size_t element)
{
    switch (dtype) {
    case CONVOLVE_FLOAT64:
        return (struct convolve_scalar){.real = ((const double *)tensor)[element]};
    case CONVOLVE_FLOAT32:
        return (struct convolve_scalar){.real = ((const float *)tensor)[element]};
    case CONVOLVE_INT64:
        return (struct convolve_scalar){.integer = ((const int64_t *)tensor)[element]};
    case CONVOLVE_COMPLEX128:
        return (struct convolve_scalar){.real = ((const double *)tensor)[2 * element],
                                        .imag = ((const double *)tensor)[2 * element + 1]};
    case CONVOLVE_COMPLEX64:
        return (struct convolve_scalar){.real = ((const float *)tensor)[2 * element],
                                        .imag = ((const float *)tensor)[2 * element + 1]};
    }
    __builtin_unreachable();
}

/* The constant beyond the ends, in the dtype that is computed in. */
static struct convolve_scalar constant_of(const struct convolve_spec *spec)
{
    const struct convolve_scalar fill = spec->fillvalue;
    switch (spec->dtype) {
    case CONVOLVE_INT64:
        return (struct convolve_scalar){.integer = fill.integer};
    case CONVOLVE_FLOAT64:
        return (struct convolve_scalar){.real = fill.real};
    case CONVOLVE_FLOAT32:
        return (struct convolve_scalar){.real = (float)fill.real};
    case CONVOLVE_COMPLEX128:
        return (struct convolve_scalar){.real = fill.real, .imag = fill.imag};
    case CONVOLVE_COMPLEX64:
        return (struct convolve_scalar){.real = (float)fill.real, .imag = (float)fill.imag};
    }
    __builtin_unreachable();
}

/* `term->product` is the rounded product, for the reader; the sum is fused, and does not use it. */
static void add_product(struct sums *sums, const struct convolve_spec *spec, struct convolve_term *term)
{
    const struct convolve_scalar w = term->kernel, x = term->input;
    switch (spec->dtype) {
    case CONVOLVE_INT64: {
        const wide product = (wide)w.integer * x.integer;
        term->product.integer = (int64_t)(uint64_t)product;
        term->product_high = (int64_t)(product >> 64);
        exact_add(&sums->integer, product);
        break;
    }
    case CONVOLVE_FLOAT64:
        term->product.real = w.real * x.real;
        sums->real = fma(w.real, x.real, sums->real);
        break;
    case CONVOLVE_FLOAT32:
        term->product.real = (float)w.real * (float)x.real;
        sums->real32 = fmaf((float)w.real, (float)x.real, sums->real32);
        break;
    case CONVOLVE_COMPLEX128:
        term->product.real = fma(-w.imag, x.imag, w.real * x.real);
        term->product.imag = fma(w.imag, x.real, w.real * x.imag);
        sums->real = fma(-w.imag, x.imag, fma(w.real, x.real, sums->real));
        sums->imag = fma(w.imag, x.real, fma(w.real, x.imag, sums->imag));
        break;
    case CONVOLVE_COMPLEX64: {
        const float w_real = (float)w.real, w_imag = (float)w.imag, x_real = (float)x.real, x_imag = (float)x.imag;
        term->product.real = fmaf(-w_imag, x_imag, w_real * x_real);
        term->product.imag = fmaf(w_imag, x_real, w_real * x_imag);
        sums->real32 = fmaf(-w_imag, x_imag, fmaf(w_real, x_real, sums->real32));
        sums->imag32 = fmaf(w_imag, x_real, fmaf(w_real, x_imag, sums->imag32));
        break;
    }
    }
}

/* Every weight counts in the whole, and in the remaining one but on a hole. */
static void add_weight(struct sums *sums, struct convolve_scalar weight, bool on_hole)
{
    missing_add(&sums->whole_real, weight.real);
    missing_add(&sums->whole_imag, weight.imag);
    if (on_hole)
        return;
    missing_add(&sums->remaining_real, weight.real);
    missing_add(&sums->remaining_imag, weight.imag);
}

static void add_present(struct sums *sums, const struct convolve_term *term)
{
    const struct convolve_scalar w = term->kernel, x = term->input;
    sums->present_count++;
    sums->present_real = fma(-w.imag, x.imag, fma(w.real, x.real, sums->present_real));
    sums->present_imag = fma(w.imag, x.real, fma(w.real, x.imag, sums->present_imag));
}

/* Where tap `tap` of the window of output `output` lies: the elements of both tensors, and the indexes for the term. False
 * where it is no term. A tensor of lower rank has the convolved axes only, so each counts its own. */
static bool locate_term(const struct geometry *geometry, const struct convolve_spec *spec, const size_t *output,
                        const size_t *tap, struct convolve_term *term, size_t *input_element, size_t *kernel_element)
{
    unsigned input_axis = 0, kernel_axis = 0;
    bool is_term = true;
    term->inside = true;
    *input_element = *kernel_element = 0;
    for (unsigned i = 0; i < geometry->rank; i++) {
        const struct geometry_axis *axis = &geometry->axis[i];
        size_t input_index = axis->input == 1 ? 0 : output[i], kernel_index = axis->kernel == 1 ? 0 : output[i];
        if (axis->convolved) {
            const int64_t place = (int64_t)(output[i] * axis->stride + tap[i] * axis->dilation) - (int64_t)axis->before;
            const bool within = place >= 0 && (size_t)place < axis->input;
            term->inside = term->inside && within;
            is_term = is_term && (within || !geometry->exchanged);
            input_index = boundary_index(spec->boundary, place, axis->input);
            kernel_index = geometry->flipped ? axis->kernel - 1 - tap[i] : tap[i];
        }
        /* One axis beyond the ends makes it the constant; the element is then never read. */
        if (input_index == BOUNDARY_NONE)
            *input_element = BOUNDARY_NONE;
        else if (*input_element != BOUNDARY_NONE)
            *input_element += input_index * axis->input_pitch;
        *kernel_element += kernel_index * axis->kernel_pitch;
        if (axis->convolved || spec->input.rank == geometry->rank)
            term->input_index[input_axis++] = input_index;
        if (axis->convolved || spec->kernel.rank == geometry->rank)
            term->kernel_index[kernel_axis++] = kernel_index;
    }
    return is_term;
}

/* The next tap in row-major order; false after the last. */
static bool next_tap(const struct geometry *geometry, size_t *tap)
{
    for (unsigned i = geometry->rank; i-- > 0;) {
        if (!geometry->axis[i].convolved)
            continue;
        if (++tap[i] < geometry->axis[i].kernel)
            return true;
        tap[i] = 0;
    }
    return false;
}

static bool conclude_missing(const struct sums *sums, const struct convolve_spec *spec, struct convolve_scalar *value,
                             struct convolve_error *error)
{
    const bool complex = convolve_dtype_is_complex(spec->dtype);
    const struct convolve_scalar whole = {.real = missing_total(&sums->whole_real),
                                          .imag = missing_total(&sums->whole_imag)};
    const struct convolve_scalar remaining = {.real = missing_total(&sums->remaining_real),
                                              .imag = missing_total(&sums->remaining_imag)};
    if (whole.real == 0 && whole.imag == 0)
        return convolve_fail(error, "invalid-value", "/missing",
                             "the kernel sums to 0, so the weights beside a hole cannot be scaled to its sum: missing "
                             "must be propagate for such a kernel");
    if (sums->hole_count == 0)
        return true;
    if (sums->present_count == 0)
        *value = (struct convolve_scalar){.real = NAN, .imag = complex ? NAN : 0};
    else if (complex)
        *value = missing_scaled_complex(
            (struct convolve_scalar){.real = sums->present_real, .imag = sums->present_imag}, whole, remaining);
    else
        *value = (struct convolve_scalar){.real = missing_scaled(sums->present_real, whole.real, remaining.real)};
    if (spec->dtype == CONVOLVE_FLOAT32 || spec->dtype == CONVOLVE_COMPLEX64) {
        value->real = (float)value->real;
        value->imag = (float)value->imag;
    }
    return true;
}

bool convolve_explain(const struct convolve_spec *spec, const void *input, const void *kernel, size_t index,
                      void (*each)(void *context, const struct convolve_term *term), void *context,
                      struct convolve_scalar *value, struct convolve_error *error)
{
    struct geometry geometry;
    if (!geometry_derive(&geometry, spec, error))
        return false;
    if (index >= geometry.output_count)
        return convolve_fail(error, "invalid-value", "/index", "the output has %zu values: there is none at %zu",
                             geometry.output_count, index);
    size_t output[CONVOLVE_RANK_MAX] = {0}, tap[CONVOLVE_RANK_MAX] = {0};
    for (unsigned i = geometry.rank; i-- > 0; index /= geometry.axis[i].output)
        output[i] = index % geometry.axis[i].output;

    const bool ignore_missing = spec->ignore_missing && spec->dtype != CONVOLVE_INT64;
    struct sums sums = {0};
    do {
        struct convolve_term term = {0};
        size_t input_element, kernel_element;
        const bool is_term = locate_term(&geometry, spec, output, tap, &term, &input_element, &kernel_element);
        term.kernel = scalar_at(spec->dtype, kernel, kernel_element);
        if (geometry.conjugated)
            term.kernel.imag = -term.kernel.imag;
        if (is_term) {
            const bool constant = input_element == BOUNDARY_NONE;
            term.input = constant ? constant_of(spec) : scalar_at(spec->dtype, input, input_element);
            term.missing = ignore_missing && !constant && (isnan(term.input.real) || isnan(term.input.imag));
            add_product(&sums, spec, &term);
            if (term.missing)
                sums.hole_count++;
            else if (ignore_missing)
                add_present(&sums, &term);
            if (each)
                each(context, &term);
        }
        add_weight(&sums, term.kernel, term.missing);
    } while (next_tap(&geometry, tap));

    *value = (struct convolve_scalar){.real = sums.real, .imag = sums.imag};
    if (spec->dtype == CONVOLVE_FLOAT32 || spec->dtype == CONVOLVE_COMPLEX64)
        *value = (struct convolve_scalar){.real = sums.real32, .imag = sums.imag32};
    if (spec->dtype == CONVOLVE_INT64 && !exact_fits(&sums.integer, &value->integer))
        return convolve_fail(error, "integer-overflow", "",
                             "the exact output does not fit int64: dtype float64 holds it approximately");
    return !ignore_missing || conclude_missing(&sums, spec, value, error);
}
