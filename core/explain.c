/* SPDX-License-Identifier: MIT */
/* One output by the definition in core/convolve.h: walk the kernel's taps in order, find for each the input value or what
 * the boundary supplies, multiply and add. One tap at a time, one dtype at a time; slow on purpose, so that it can be
 * checked by reading. */
#include "core/explain.h"

#include "core/boundary.h"

#include <math.h>

struct convolve_scalar explain_scalar_at(enum convolve_dtype dtype, const void *tensor, size_t element)
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
static void add_product(struct explain_sums *sums, const struct convolve_spec *spec, struct convolve_term *term)
{
    const struct convolve_scalar w = term->kernel, x = term->input;
    switch (spec->dtype) {
    case CONVOLVE_INT64: {
        const exact_wide product = (exact_wide)w.integer * x.integer;
        term->product.integer = (int64_t)(uint64_t)product;
        term->product_high = (int64_t)(product >> 64);
        exact_sum_add(&sums->integer, product);
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
static void add_weight(struct explain_sums *sums, struct convolve_scalar weight, bool on_hole)
{
    missing_add(&sums->whole_real, weight.real);
    missing_add(&sums->whole_imag, weight.imag);
    if (on_hole)
        return;
    missing_add(&sums->remaining_real, weight.real);
    missing_add(&sums->remaining_imag, weight.imag);
}

static void add_present(struct explain_sums *sums, const struct convolve_term *term)
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

static bool is_zero(struct convolve_scalar number)
{
    return number.real == 0 && number.imag == 0;
}

static struct convolve_scalar scaled(const struct explain_walk *walk, struct convolve_scalar sum)
{
    if (convolve_dtype_is_complex(walk->spec->dtype))
        return missing_scaled_complex(sum, walk->whole, walk->remaining);
    return (struct convolve_scalar){.real = missing_scaled(sum.real, walk->whole.real, walk->remaining.real)};
}

/* A product as it counts where there are holes: not at all, or scaled, and rounded once. */
static void scale_product(const struct explain_walk *walk, struct convolve_term *term)
{
    const struct convolve_scalar w = term->kernel, x = term->input;
    term->product = (struct convolve_scalar){0};
    if (term->missing)
        return;
    if (convolve_dtype_is_complex(walk->spec->dtype))
        term->product = scaled(walk, (struct convolve_scalar){.real = fma(-w.imag, x.imag, w.real * x.real),
                                                              .imag = fma(w.imag, x.real, w.real * x.imag)});
    else
        term->product = scaled(walk, (struct convolve_scalar){.real = w.real * x.real});
}

static void round_to_dtype(struct convolve_scalar *number, enum convolve_dtype dtype)
{
    if (dtype != CONVOLVE_FLOAT32 && dtype != CONVOLVE_COMPLEX64)
        return;
    number->real = (float)number->real;
    number->imag = (float)number->imag;
}

static bool conclude_missing(struct explain_walk *walk, struct convolve_explained *found, struct convolve_error *error)
{
    const struct explain_sums *sums = &walk->sums;
    walk->whole =
        (struct convolve_scalar){.real = missing_total(&sums->whole_real), .imag = missing_total(&sums->whole_imag)};
    walk->remaining = (struct convolve_scalar){.real = missing_total(&sums->remaining_real),
                                               .imag = missing_total(&sums->remaining_imag)};
    if (is_zero(walk->whole))
        return convolve_fail(error, "invalid-value", "/missing",
                             "the kernel sums to 0, so the weights beside a hole cannot be scaled to its sum: missing "
                             "must be propagate for such a kernel");
    if (sums->hole_count == 0)
        return true;
    walk->scaling = found->scaled = true;
    found->undefined = sums->present_count == 0 || is_zero(walk->remaining);
    if (sums->present_count == 0)
        found->value = found->scale =
            (struct convolve_scalar){.real = NAN, .imag = convolve_dtype_is_complex(walk->spec->dtype) ? NAN : 0};
    else {
        found->value = scaled(walk, (struct convolve_scalar){.real = sums->present_real, .imag = sums->present_imag});
        found->scale = scaled(walk, (struct convolve_scalar){.real = 1});
    }
    round_to_dtype(&found->value, walk->spec->dtype);
    round_to_dtype(&found->scale, walk->spec->dtype);
    return true;
}

bool explain_begin(struct explain_walk *walk, const struct convolve_spec *spec, const struct convolve_run *tensors,
                   size_t index, struct convolve_error *error)
{
    *walk = (struct explain_walk){
        .spec = spec, .tensors = tensors, .ignore_missing = spec->ignore_missing && spec->dtype != CONVOLVE_INT64};
    if (!geometry_derive(&walk->geometry, spec, error))
        return false;
    if (index >= walk->geometry.output_count)
        return convolve_fail(error, "invalid-value", "/index", "the output has %zu values: there is none at %zu",
                             walk->geometry.output_count, index);
    for (unsigned i = walk->geometry.rank; i-- > 0; index /= walk->geometry.axis[i].output)
        walk->output[i] = index % walk->geometry.axis[i].output;
    return true;
}

bool explain_step(struct explain_walk *walk, struct convolve_term *term)
{
    const struct convolve_spec *spec = walk->spec;
    size_t input_element, kernel_element;
    *term = (struct convolve_term){0};
    const bool is_term =
        locate_term(&walk->geometry, spec, walk->output, walk->tap, term, &input_element, &kernel_element);
    term->kernel = explain_scalar_at(spec->dtype, walk->tensors->kernel, kernel_element);
    if (walk->geometry.conjugated)
        term->kernel.imag = -term->kernel.imag;
    if (is_term) {
        const bool constant = input_element == BOUNDARY_NONE;
        term->input =
            constant ? constant_of(spec) : explain_scalar_at(spec->dtype, walk->tensors->input, input_element);
        term->missing = walk->ignore_missing && !constant && (isnan(term->input.real) || isnan(term->input.imag));
        add_product(&walk->sums, spec, term);
        if (term->missing)
            walk->sums.hole_count++;
        else if (walk->ignore_missing)
            add_present(&walk->sums, term);
    }
    add_weight(&walk->sums, term->kernel, term->missing);
    if (walk->scaling) {
        scale_product(walk, term);
        round_to_dtype(&term->product, spec->dtype);
    }
    walk->ended = !next_tap(&walk->geometry, walk->tap);
    return is_term;
}

bool explain_conclude(struct explain_walk *walk, struct convolve_explained *found, struct convolve_error *error)
{
    const struct explain_sums *sums = &walk->sums;
    const enum convolve_dtype dtype = walk->spec->dtype;
    *found = (struct convolve_explained){.value = {.real = sums->real, .imag = sums->imag}, .scale = {.real = 1}};
    if (dtype == CONVOLVE_FLOAT32 || dtype == CONVOLVE_COMPLEX64)
        found->value = (struct convolve_scalar){.real = sums->real32, .imag = sums->imag32};
    if (dtype == CONVOLVE_INT64 && !exact_sum_fits(&sums->integer, &found->value.integer))
        return convolve_fail(error, "integer-overflow", "",
                             "the exact output does not fit int64: dtype float64 holds it approximately");
    if (walk->ignore_missing && !conclude_missing(walk, found, error))
        return false;
    walk->sums = (struct explain_sums){0}; /* the taps have come round to the first */
    walk->ended = false;
    return true;
}

bool convolve_explain(const struct convolve_spec *spec, const void *input, const void *kernel, size_t index,
                      void (*each)(void *context, const struct convolve_term *term), void *context,
                      struct convolve_scalar *value, struct convolve_error *error)
{
    const struct convolve_run tensors = {.input = input, .kernel = kernel};
    struct explain_walk walk;
    struct convolve_explained found;
    struct convolve_term term;
    if (!explain_begin(&walk, spec, &tensors, index, error))
        return false;
    while (!walk.ended)
        if (explain_step(&walk, &term) && each)
            each(context, &term);
    const bool concluded = explain_conclude(&walk, &found, error);
    *value = found.value;
    return concluded;
}
