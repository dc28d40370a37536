/* SPDX-License-Identifier: MIT */
/* One output at a time, term by term, in the canonical order: for what the blocks cannot do. Input and kernel exchanged,
 * int64 that may overflow, windows with holes, and the question whether integers are exact. */
#include "core/boundary.h"
#include "core/direct_state.h"
#include "core/missing.h"

#include <float.h>
#include <math.h>
#include <string.h>

__extension__ typedef __int128 wide;
__extension__ typedef unsigned __int128 unsigned_wide;

/* ---- The walk over one output's terms --------------------------------------------------------------------------------- */

/* Where the axes before `axis` have led to. */
struct place {
    size_t input, kernel; /* elements */
    bool constant; /* beyond an end where the constant stands */
    bool term; /* false: exchanged, and this tap meets no element */
};

struct walk {
    const struct geometry *geometry;
    enum convolve_boundary boundary;
    bool over_input; /* the taps are the input's elements: exchanged, the shorter way */
    size_t output[CONVOLVE_RANK_MAX], tap[CONVOLVE_RANK_MAX];
    struct place place[CONVOLVE_RANK_MAX + 1]; /* the last is the term */
};

static void walk_from(struct walk *walk, unsigned axis_index)
{
    const struct geometry *geometry = walk->geometry;
    for (unsigned i = axis_index; i < geometry->rank; i++) {
        const struct geometry_axis *axis = &geometry->axis[i];
        struct place place = walk->place[i];
        size_t input = walk->output[i], kernel = walk->output[i];
        if (axis->convolved && walk->over_input) {
            input = walk->tap[i];
            if (!geometry_exchanged_element(geometry, i, walk->output[i], input, &kernel))
                place.term = false;
        } else if (axis->convolved) {
            const int64_t index =
                (int64_t)(walk->output[i] * axis->stride + walk->tap[i] * axis->dilation) - (int64_t)axis->before;
            input = boundary_index(walk->boundary, index, axis->input);
            if (geometry->exchanged && (index < 0 || (size_t)index >= axis->input))
                place.term = false;
            kernel = geometry->flipped ? axis->kernel - 1 - walk->tap[i] : walk->tap[i];
        }
        place.constant = place.constant || input == BOUNDARY_NONE;
        place.input += place.constant ? 0 : input * axis->input_pitch;
        place.kernel += place.term ? kernel * axis->kernel_pitch : 0;
        /* Weights count even where they meet nothing. */
        if (!place.term && !walk->over_input)
            place.kernel = walk->place[i].kernel + kernel * axis->kernel_pitch;
        walk->place[i + 1] = place;
    }
}

static void walk_begin(struct walk *walk, const struct convolve_plan *plan, size_t index, bool over_kernel)
{
    const struct geometry *geometry = &plan->geometry;
    *walk = (struct walk){
        .geometry = geometry, .boundary = plan->spec.boundary, .over_input = geometry->exchanged && !over_kernel};
    for (unsigned i = geometry->rank; i-- > 0; index /= geometry->axis[i].output)
        walk->output[i] = index % geometry->axis[i].output;
    walk->place[0].term = true;
    walk_from(walk, 0);
}

static bool walk_next(struct walk *walk)
{
    for (unsigned i = walk->geometry->rank; i-- > 0;) {
        const struct geometry_axis *axis = &walk->geometry->axis[i];
        const size_t taps = !axis->convolved ? 1 : walk->over_input ? axis->input : axis->kernel;
        if (++walk->tap[i] < taps) {
            walk_from(walk, i);
            return true;
        }
        walk->tap[i] = 0;
    }
    return false;
}

/* Terms along the last axis, where all of its taps are some: no choice between them, and as long apart. In elements. */
struct terms {
    size_t input, kernel, count;
    ptrdiff_t input_pitch, kernel_pitch;
};

/* Takes all taps of the last axis at once, if the walk stands at the first: it then stands at the last. */
static bool walk_row(struct walk *walk, struct terms *terms)
{
    const struct geometry *geometry = walk->geometry;
    const unsigned last = geometry->rank - 1;
    if (geometry->rank == 0 || walk->tap[last] != 0 || !geometry->axis[last].convolved)
        return false;
    const struct geometry_axis *axis = &geometry->axis[last];
    const struct place *place = &walk->place[last];
    const ptrdiff_t input_pitch = (ptrdiff_t)axis->input_pitch, kernel_pitch = (ptrdiff_t)axis->kernel_pitch;
    if (!place->term || place->constant || geometry->exchanged != walk->over_input)
        return false;
    *terms = (struct terms){.input = place->input, .kernel = place->kernel};
    if (walk->over_input) {
        size_t first, end;
        if (axis->dilation != 1 || !geometry_exchanged_element(geometry, last, walk->output[last], 0, &first) ||
            !geometry_exchanged_element(geometry, last, walk->output[last], axis->input - 1, &end))
            return false;
        terms->count = axis->input;
        terms->kernel += first * axis->kernel_pitch;
        terms->input_pitch = input_pitch;
        terms->kernel_pitch = first < end ? kernel_pitch : -kernel_pitch;
    } else {
        const size_t first = walk->output[last] * axis->stride, end = first + (axis->kernel - 1) * axis->dilation;
        if (first < axis->before || end - axis->before >= axis->input)
            return false;
        terms->count = axis->kernel;
        terms->input += (first - axis->before) * axis->input_pitch;
        terms->kernel += geometry->flipped ? (axis->kernel - 1) * axis->kernel_pitch : 0;
        terms->input_pitch = input_pitch * (ptrdiff_t)axis->dilation;
        terms->kernel_pitch = geometry->flipped ? -kernel_pitch : kernel_pitch;
    }
    walk->tap[last] = terms->count - 1;
    return true;
}

/* ---- Values ----------------------------------------------------------------------------------------------------------- */

static struct convolve_scalar value_at(const struct direct_layout *layout, const void *tensor, size_t element)
{
    const size_t at = element * layout->parts;
    struct convolve_scalar value = {0};
    switch (layout->element) {
    case DIRECT_F32:
        value.real = (double)((const float *)tensor)[at];
        value.imag = layout->parts == 2 ? (double)((const float *)tensor)[at + 1] : 0;
        break;
    case DIRECT_F64:
        value.real = ((const double *)tensor)[at];
        value.imag = layout->parts == 2 ? ((const double *)tensor)[at + 1] : 0;
        break;
    case DIRECT_U64:
        value.integer = ((const int64_t *)tensor)[at];
        break;
    }
    return value;
}

/* To float32 and back. Through memory, for GCC 12 forgets the rounding where it vectorises a pair of them. */
static double rounded_f32(double value)
{
    volatile float rounded = (float)value;
    return (double)rounded;
}

static void store_value(const struct direct_layout *layout, void *tensor, size_t element, struct convolve_scalar value)
{
    const size_t at = element * layout->parts;
    if (layout->element == DIRECT_U64)
        ((int64_t *)tensor)[at] = value.integer;
    else if (layout->element == DIRECT_F32) {
        ((float *)tensor)[at] = (float)value.real;
        if (layout->parts == 2)
            ((float *)tensor)[at + 1] = (float)value.imag;
    } else {
        ((double *)tensor)[at] = value.real;
        if (layout->parts == 2)
            ((double *)tensor)[at + 1] = value.imag;
    }
}

static void term_values(const struct walk *walk, const struct convolve_plan *plan, const struct convolve_run *run,
                        struct convolve_scalar *x, struct convolve_scalar *w)
{
    const struct direct_layout *layout = &direct_state(plan)->layout;
    const struct place *place = &walk->place[walk->geometry->rank];
    *w = value_at(layout, run->kernel, place->kernel);
    if (walk->geometry->conjugated)
        w->imag = -w->imag;
    *x = (struct convolve_scalar){0};
    if (!place->term)
        return;
    *x = place->constant ? plan->spec.fillvalue : value_at(layout, run->input, place->input);
    if (layout->parts == 1)
        x->imag = 0;
    if (place->constant && layout->element == DIRECT_F32) {
        x->real = rounded_f32(x->real);
        x->imag = rounded_f32(x->imag);
    }
}

static void row_term(const struct terms *terms, size_t i, const struct convolve_plan *plan,
                     const struct convolve_run *run, struct convolve_scalar *x, struct convolve_scalar *w)
{
    const struct direct_layout *layout = &direct_state(plan)->layout;
    *x = value_at(layout, run->input, terms->input + i * (size_t)terms->input_pitch);
    *w = value_at(layout, run->kernel, terms->kernel + i * (size_t)terms->kernel_pitch);
    if (plan->geometry.conjugated)
        w->imag = -w->imag;
}

/* ---- Outputs ---------------------------------------------------------------------------------------------------------- */

/* An exact sum of int64 products: 192 bits hold 2^64 of them. */
struct exact_sum {
    unsigned_wide low;
    int64_t high;
};

static void exact_add(struct exact_sum *sum, int64_t a, int64_t b)
{
    const wide product = (wide)a * b;
    sum->low += (unsigned_wide)product;
    sum->high += (sum->low < (unsigned_wide)product) - (product < 0);
}

static bool exact_fits(const struct exact_sum *sum)
{
    const wide low = (int64_t)sum->low;
    return sum->low == (unsigned_wide)low && sum->high == (low < 0 ? -1 : 0);
}

static struct convolve_scalar sum_integers(struct walk *walk, const struct convolve_plan *plan,
                                           const struct convolve_run *run)
{
    struct exact_sum sum = {0};
    struct convolve_scalar x, w;
    struct terms row;
    do {
        if (walk_row(walk, &row)) {
            const int64_t *input = (const int64_t *)run->input + row.input;
            const int64_t *kernel = (const int64_t *)run->kernel + row.kernel;
            for (size_t i = 0; i < row.count; i++, input += row.input_pitch, kernel += row.kernel_pitch)
                exact_add(&sum, *input, *kernel);
            continue;
        }
        if (!walk->place[walk->geometry->rank].term)
            continue;
        term_values(walk, plan, run, &x, &w);
        exact_add(&sum, x.integer, w.integer);
    } while (walk_next(walk));
    if (!exact_fits(&sum))
        direct_note(&direct_scratch_parts(&direct_state(plan)->layout, run->scratch).findings->overflow);
    return (struct convolve_scalar){.integer = (int64_t)sum.low};
}

static struct convolve_scalar sum_f32(struct walk *walk, const struct convolve_plan *plan,
                                      const struct convolve_run *run)
{
    float real = 0, imag = 0;
    struct convolve_scalar x, w;
    const bool complex = direct_state(plan)->layout.parts == 2;
    struct terms row;
    do {
        if (!complex && walk_row(walk, &row)) {
            const float *input = (const float *)run->input + row.input;
            const float *kernel = (const float *)run->kernel + row.kernel;
            for (size_t i = 0; i < row.count; i++, input += row.input_pitch, kernel += row.kernel_pitch)
                real = fmaf(*kernel, *input, real);
            continue;
        }
        if (!walk->place[walk->geometry->rank].term)
            continue;
        term_values(walk, plan, run, &x, &w);
        real = fmaf((float)w.real, (float)x.real, real);
        if (!complex)
            continue;
        real = fmaf(-(float)w.imag, (float)x.imag, real);
        imag = fmaf((float)w.imag, (float)x.real, fmaf((float)w.real, (float)x.imag, imag));
    } while (walk_next(walk));
    return (struct convolve_scalar){.real = (double)real, .imag = (double)imag};
}

static struct convolve_scalar sum_f64(struct walk *walk, const struct convolve_plan *plan,
                                      const struct convolve_run *run)
{
    double real = 0, imag = 0;
    struct convolve_scalar x, w;
    const bool complex = direct_state(plan)->layout.parts == 2;
    struct terms row;
    do {
        if (!complex && walk_row(walk, &row)) {
            const double *input = (const double *)run->input + row.input;
            const double *kernel = (const double *)run->kernel + row.kernel;
            for (size_t i = 0; i < row.count; i++, input += row.input_pitch, kernel += row.kernel_pitch)
                real = fma(*kernel, *input, real);
            continue;
        }
        if (!walk->place[walk->geometry->rank].term)
            continue;
        term_values(walk, plan, run, &x, &w);
        real = fma(w.real, x.real, real);
        if (!complex)
            continue;
        real = fma(-w.imag, x.imag, real);
        imag = fma(w.imag, x.real, fma(w.real, x.imag, imag));
    } while (walk_next(walk));
    return (struct convolve_scalar){.real = real, .imag = imag};
}

void direct_plain_output(const struct convolve_plan *plan, const struct convolve_run *run, size_t index)
{
    const struct direct_layout *layout = &direct_state(plan)->layout;
    struct walk walk;
    walk_begin(&walk, plan, index, false);
    const struct convolve_scalar value = layout->element == DIRECT_U64   ? sum_integers(&walk, plan, run)
                                         : layout->element == DIRECT_F32 ? sum_f32(&walk, plan, run)
                                                                         : sum_f64(&walk, plan, run);
    store_value(layout, run->output, index, value);
}

double direct_absolute_sum(const struct convolve_plan *plan, const struct convolve_run *run, size_t index)
{
    struct walk walk;
    struct convolve_scalar x, w;
    struct terms row;
    double sum = 0;
    walk_begin(&walk, plan, index, false);
    do {
        if (walk_row(&walk, &row)) {
            for (size_t i = 0; i < row.count; i++) {
                row_term(&row, i, plan, run, &x, &w);
                sum = fma(fabs(w.real) + fabs(w.imag), fabs(x.real) + fabs(x.imag), sum);
            }
            continue;
        }
        if (!walk.place[walk.geometry->rank].term)
            continue;
        term_values(&walk, plan, run, &x, &w);
        sum = fma(fabs(w.real) + fabs(w.imag), fabs(x.real) + fabs(x.imag), sum);
    } while (sum < 0x1p53 && walk_next(&walk));
    return sum;
}

/* ---- Holes ------------------------------------------------------------------------------------------------------------ */

bool direct_whole_is_zero(const struct convolve_plan *plan, const void *values, size_t slice)
{
    const struct direct_layout *layout = &direct_state(plan)->layout;
    const size_t taps = layout->kernel_group_elements / layout->parts;
    struct missing_sum real = {0}, imag = {0};
    for (size_t i = 0; i < taps; i++) {
        const struct convolve_scalar weight = value_at(layout, values, slice * taps + i);
        missing_add(&real, weight.real);
        missing_add(&imag, weight.imag);
    }
    return missing_total(&real) == 0 && missing_total(&imag) == 0;
}

/* What a window with holes adds up to. */
struct mended {
    struct missing_sum whole_real, whole_imag, remaining_real, remaining_imag;
    struct convolve_scalar sum;
    double products, weights; /* sums of absolute values, for the bound */
    size_t present, holes;
};

static void add_mended(struct mended *m, struct convolve_scalar x, struct convolve_scalar w, bool term, bool hole)
{
    missing_add(&m->whole_real, w.real);
    missing_add(&m->whole_imag, w.imag);
    m->weights += fabs(w.real) + fabs(w.imag);
    m->holes += hole;
    if (hole)
        return;
    missing_add(&m->remaining_real, w.real);
    missing_add(&m->remaining_imag, w.imag);
    if (!term)
        return;
    m->present++;
    m->products += (fabs(w.real) + fabs(w.imag)) * (fabs(x.real) + fabs(x.imag));
    m->sum.real = fma(-w.imag, x.imag, fma(w.real, x.real, m->sum.real));
    m->sum.imag = fma(w.imag, x.real, fma(w.real, x.imag, m->sum.imag));
}

/* How far a mended output may be off. The sum carries the error e of its chain (see direct_facts.c), both weight sums
 * that of compensated summation, 2u of themselves and 2(nu)^2 of their absolute values; a relative error r of the divisor
 * costs r/(1-r) of the quotient. Products and quotients of complex numbers are within 16u of themselves. */
static double mended_bound(const struct convolve_plan *plan, const struct mended *m, struct convolve_scalar whole,
                           struct convolve_scalar remaining, struct convolve_scalar result)
{
    const struct direct_state *state = direct_state(plan);
    const double u = 0x1p-53, n = (double)(m->present + m->holes) * state->layout.parts + 2;
    const double w = hypot(whole.real, whole.imag), r = hypot(remaining.real, remaining.imag);
    const double size = hypot(result.real, result.imag), terms = 2 * n * n * u * u * m->weights * 2;
    const double error_w = 4 * u + terms / w, error_r = 4 * u + terms / r;
    const double chain = 2 * (expm1(n * u) * m->products + n * DBL_TRUE_MIN);
    if (!(error_r < 0.5))
        return DBL_MAX;
    const double bound = w / r * chain * (1 + error_w) / (1 - error_r) +
                         size * ((error_w + error_r) / (1 - error_r) + 16 * u + 2 * state->unit_roundoff) +
                         4 * state->tiny;
    return bound * 1.0001 < DBL_MAX ? bound * 1.0001 : DBL_MAX;
}

static void mend(const struct convolve_plan *plan, const struct convolve_run *run, size_t index, const struct mended *m)
{
    const struct direct_layout *layout = &direct_state(plan)->layout;
    struct direct_findings *const findings = direct_scratch_parts(layout, run->scratch).findings;
    const struct convolve_scalar whole = {.real = missing_total(&m->whole_real), .imag = missing_total(&m->whole_imag)};
    const struct convolve_scalar remaining = {.real = missing_total(&m->remaining_real),
                                              .imag = missing_total(&m->remaining_imag)};
    const bool empty = m->present == 0 || (remaining.real == 0 && remaining.imag == 0);
    struct convolve_scalar value;
    if (m->present == 0)
        value = (struct convolve_scalar){.real = NAN, .imag = layout->parts == 2 ? NAN : 0};
    else if (layout->parts == 2)
        value = missing_scaled_complex(m->sum, whole, remaining);
    else
        value = (struct convolve_scalar){.real = missing_scaled(m->sum.real, whole.real, remaining.real)};
    if (layout->element == DIRECT_F32) {
        value.real = rounded_f32(value.real);
        value.imag = rounded_f32(value.imag);
    }
    store_value(layout, run->output, index, value);
    if (empty)
        direct_note(&findings->empty_windows);
    else if (isfinite(value.real) && isfinite(value.imag))
        direct_note_bound(findings, mended_bound(plan, m, whole, remaining, value));
    else
        direct_note_nonfinite(findings, index);
}

void direct_mend_output(const struct convolve_plan *plan, const struct convolve_run *run, size_t index)
{
    struct walk walk;
    struct mended m = {0};
    struct terms row;
    struct convolve_scalar x, w;
    walk_begin(&walk, plan, index, true);
    do {
        if (walk_row(&walk, &row)) {
            for (size_t i = 0; i < row.count; i++) {
                row_term(&row, i, plan, run, &x, &w);
                add_mended(&m, x, w, true, isnan(x.real) || isnan(x.imag));
            }
            continue;
        }
        const struct place *place = &walk.place[walk.geometry->rank];
        term_values(&walk, plan, run, &x, &w);
        add_mended(&m, x, w, place->term, place->term && !place->constant && (isnan(x.real) || isnan(x.imag)));
    } while (walk_next(&walk));
    if (m.holes)
        mend(plan, run, index, &m);
    else
        direct_note_nonfinite(direct_scratch_parts(&direct_state(plan)->layout, run->scratch).findings, index);
}
