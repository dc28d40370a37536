/* SPDX-License-Identifier: MIT */
/* One output by the definition in core/convolve.h. A step of the walk finds where it is in the three tensors, `take` reads the
 * two values of a term there, and adds their product to the chain. */
#include "core/layer_explain.h"

#include "core/boundary.h"
#include "core/explain.h"
#include "core/plan.h"

#include <math.h>

/* ---- One term --------------------------------------------------------------------------------------------------------- */

/* The index of a place in x or y as the request's layout has it. */
static void write_index(size_t *index, const struct layer_walk *walk, bool x, const size_t *place)
{
    const struct layer_geometry *geometry = walk->geometry;
    const struct layer_side *side = x ? &geometry->x : &geometry->y;
    const size_t channel = walk->group * side->channels + (x ? walk->x_channel : walk->y_channel);
    if (geometry->batched)
        *index++ = walk->item;
    if (!geometry->channels_last)
        *index++ = channel;
    for (unsigned i = LAYER_AXES - geometry->spatial; i < LAYER_AXES; i++)
        *index++ = place[i];
    if (geometry->channels_last)
        *index++ = channel;
}

static void write_weight_index(size_t *index, const struct layer_walk *walk, const size_t *tap)
{
    const struct layer_geometry *geometry = walk->geometry;
    *index++ = walk->group * geometry->y.channels + walk->y_channel;
    if (!geometry->channels_last)
        *index++ = walk->x_channel;
    for (unsigned i = LAYER_AXES - geometry->spatial; i < LAYER_AXES; i++)
        *index++ = tap[i];
    if (geometry->channels_last)
        *index++ = walk->x_channel;
}

static size_t side_element(const struct layer_walk *walk, bool x, const size_t *place)
{
    const struct layer_side *side = x ? &walk->geometry->x : &walk->geometry->y;
    const size_t channel = walk->group * side->channels + (x ? walk->x_channel : walk->y_channel);
    size_t element = walk->item * side->item_pitch + channel * side->channel_pitch;
    for (unsigned i = 0; i < LAYER_AXES; i++)
        element += place[i] * side->axis_pitch[i];
    return element;
}

static size_t weight_element(const struct layer_walk *walk, const size_t *tap)
{
    const struct layer_weight *w = &walk->geometry->w;
    size_t element =
        (walk->group * walk->geometry->y.channels + walk->y_channel) * w->y_pitch + walk->x_channel * w->x_pitch;
    for (unsigned i = 0; i < LAYER_AXES; i++)
        element += tap[i] * w->axis_pitch[i];
    return element;
}

static void add_product(struct layer_walk *walk, struct convolve_scalar x, struct convolve_scalar w)
{
    struct layer_chain *const chain = &walk->chain;
    switch (walk->geometry->dtype) {
    case CONVOLVE_INT64:
        exact_sum_add(&walk->integer, (exact_wide)x.integer * w.integer);
        break;
    case CONVOLVE_FLOAT64:
    case CONVOLVE_COMPLEX128:
        chain->real = fma(w.real, x.real, chain->real);
        if (walk->geometry->dtype == CONVOLVE_FLOAT64)
            break;
        chain->real = fma(-w.imag, x.imag, chain->real);
        chain->imag = fma(w.imag, x.real, chain->imag);
        chain->imag = fma(w.real, x.imag, chain->imag);
        break;
    case CONVOLVE_FLOAT32:
    case CONVOLVE_COMPLEX64:
        chain->real32 = fmaf((float)w.real, (float)x.real, chain->real32);
        if (walk->geometry->dtype == CONVOLVE_FLOAT32)
            break;
        chain->real32 = fmaf((float)-w.imag, (float)x.imag, chain->real32);
        chain->imag32 = fmaf((float)w.imag, (float)x.real, chain->imag32);
        chain->imag32 = fmaf((float)w.real, (float)x.imag, chain->imag32);
        break;
    }
    walk->absolute += (fabs(w.real) + fabs(w.imag)) * (fabs(x.real) + fabs(x.imag));
}

/* The rounded product, for the reader; the sum is fused, and does not use it. */
static void tell_product(struct convolve_term *term, enum convolve_dtype dtype)
{
    const struct convolve_scalar x = term->input, w = term->kernel;
    const exact_wide product = (exact_wide)x.integer * w.integer;
    if (dtype == CONVOLVE_INT64) {
        term->product.integer = (int64_t)product;
        term->product_high = (int64_t)(product >> 64);
        return;
    }
    term->product.real = w.real * x.real;
    if (convolve_dtype_is_complex(dtype)) {
        term->product.real -= w.imag * x.imag;
        term->product.imag = w.real * x.imag + w.imag * x.real;
    }
    if (dtype == CONVOLVE_FLOAT32 || dtype == CONVOLVE_COMPLEX64) {
        term->product.real = (double)(float)term->product.real;
        term->product.imag = (double)(float)term->product.imag;
    }
}

/* Where a term is: a place in x, one in y, and a tap. Two of them have its values. */
struct spot {
    const size_t *x_place, *y_place, *tap;
    bool zero; /* x_place is none but the padding's */
    bool inside; /* x_place is no padding's */
};

static void tell(struct convolve_term *term, const struct layer_walk *walk, const struct spot *spot,
                 struct convolve_scalar x, struct convolve_scalar w)
{
    *term = (struct convolve_term){.inside = spot->inside, .input = x, .kernel = w};
    if (layer_reads_y(walk->geometry))
        write_index(term->input_index, walk, false, spot->y_place);
    else if (spot->inside)
        write_index(term->input_index, walk, true, spot->x_place);
    if (walk->geometry->operation == CONVOLVE_LAYER_BACKWARD_WEIGHT)
        write_index(term->kernel_index, walk, false, spot->y_place);
    else
        write_weight_index(term->kernel_index, walk, spot->tap);
    tell_product(term, walk->geometry->dtype);
}

/* `term` may be NULL. */
static void take(struct layer_walk *walk, struct convolve_term *term, const struct spot *spot)
{
    const struct layer_geometry *geometry = walk->geometry;
    const struct convolve_run *tensors = walk->tensors;
    const enum convolve_dtype dtype = geometry->dtype;
    struct convolve_scalar x = {0}, w;
    if (layer_reads_y(geometry))
        x = explain_scalar_at(dtype,
                              geometry->operation == CONVOLVE_LAYER_TRANSPOSE ? tensors->input : tensors->grad_output,
                              side_element(walk, false, spot->y_place));
    else if (!spot->zero)
        x = explain_scalar_at(dtype, tensors->input, side_element(walk, true, spot->x_place));
    if (geometry->operation == CONVOLVE_LAYER_BACKWARD_WEIGHT)
        w = explain_scalar_at(dtype, tensors->grad_output, side_element(walk, false, spot->y_place));
    else
        w = explain_scalar_at(dtype, tensors->kernel, weight_element(walk, spot->tap));
    add_product(walk, x, w);
    if (term)
        tell(term, walk, spot, x, w);
}

/* The next of `counts` places in row-major order; false after the last. */
static bool next_place(size_t *place, const size_t *counts)
{
    for (unsigned i = LAYER_AXES; i-- > 0;) {
        if (++place[i] < counts[i])
            return true;
        place[i] = 0;
    }
    return false;
}

/* The place in x that output place and tap name, padding resolved; false for a zero. `inside`: there was nothing to resolve. */
static bool locate_x(const struct layer_geometry *geometry, const size_t *y_place, const size_t *tap, size_t *x_place,
                     bool *inside)
{
    *inside = true;
    for (unsigned i = 0; i < LAYER_AXES; i++) {
        const struct layer_axis *axis = &geometry->axis[i];
        const int64_t place = (int64_t)(y_place[i] * axis->stride + tap[i] * axis->dilation) - axis->before;
        x_place[i] = boundary_index(geometry->boundary, place, axis->x);
        if (place < 0 || (size_t)place >= axis->x)
            *inside = false;
        if (x_place[i] == BOUNDARY_NONE)
            return false;
    }
    return true;
}

/* The place in y whose window has tap `tap` on cell `cell` of the padded x (counted from its first); false where there is none. */
static bool locate_y(const struct layer_geometry *geometry, const size_t *cell, const size_t *tap, size_t *y_place)
{
    for (unsigned i = 0; i < LAYER_AXES; i++) {
        const struct layer_axis *axis = &geometry->axis[i];
        const int64_t distance = (int64_t)cell[i] - (int64_t)(tap[i] * axis->dilation);
        if (distance < 0 || distance % (int64_t)axis->stride != 0)
            return false;
        y_place[i] = (size_t)distance / axis->stride;
        if (y_place[i] >= axis->y)
            return false;
    }
    return true;
}

/* Whether a cell of the padded x stands for the output. */
static bool stands_for_home(const struct layer_walk *walk, const size_t *cell)
{
    for (unsigned i = 0; i < LAYER_AXES; i++) {
        const struct layer_axis *axis = &walk->geometry->axis[i];
        if (boundary_index(walk->geometry->boundary, (int64_t)cell[i] - axis->before, axis->x) != walk->home[i])
            return false;
    }
    return true;
}

static void find_cell(const struct layer_walk *walk, size_t *cell)
{
    for (unsigned i = 0; i < LAYER_AXES; i++)
        cell[i] = walk->first_cell[i] + walk->cell[i];
}

/* At a cell's first term. */
static void enter_cell(struct layer_walk *walk)
{
    size_t cell[LAYER_AXES];
    find_cell(walk, cell);
    walk->here = !layer_reads_y(walk->geometry) || stands_for_home(walk, cell);
    walk->chain = (struct layer_chain){0};
}

/* Each cell is a chain; they are added up, the first as it is. */
static void leave_cell(struct layer_walk *walk)
{
    const struct layer_chain *chain = &walk->chain, *total = &walk->total;
    if (walk->here && walk->any)
        walk->total = (struct layer_chain){total->real + chain->real, total->imag + chain->imag,
                                           total->real32 + chain->real32, total->imag32 + chain->imag32};
    else if (walk->here)
        walk->total = *chain;
    walk->any = walk->any || walk->here;
    walk->ended = !next_place(walk->cell, walk->cell_counts);
    if (!walk->ended)
        enter_cell(walk);
}

/* The term where the walk is, if there is one. */
static bool meet(struct layer_walk *walk, struct convolve_term *term)
{
    const struct layer_geometry *geometry = walk->geometry;
    size_t x_place[LAYER_AXES], y_place[LAYER_AXES], cell[LAYER_AXES];
    struct spot spot = {.x_place = x_place, .y_place = walk->home, .tap = walk->inner, .inside = true};
    switch (geometry->operation) {
    case CONVOLVE_LAYER_CONV:
        walk->x_channel = walk->middle;
        spot.zero = !locate_x(geometry, spot.y_place, spot.tap, x_place, &spot.inside);
        break;
    case CONVOLVE_LAYER_TRANSPOSE:
    case CONVOLVE_LAYER_BACKWARD_INPUT:
        walk->y_channel = walk->middle;
        spot.y_place = y_place;
        find_cell(walk, cell);
        if (!locate_y(geometry, cell, spot.tap, y_place))
            return false;
        break;
    case CONVOLVE_LAYER_BACKWARD_WEIGHT:
        walk->item = walk->middle;
        spot.y_place = walk->inner;
        spot.tap = walk->home;
        spot.zero = !locate_x(geometry, spot.y_place, spot.tap, x_place, &spot.inside);
        break;
    }
    take(walk, term, &spot);
    return true;
}

bool layer_walk_step(struct layer_walk *walk, struct convolve_term *term)
{
    bool met = false;
    if (walk->here) {
        met = meet(walk, term);
        if (next_place(walk->inner, walk->inner_counts) || ++walk->middle < walk->middle_count)
            return met;
        walk->middle = 0;
    }
    leave_cell(walk);
    return met;
}

/* ---- One output ------------------------------------------------------------------------------------------------------- */

/* Splits the index of an output that is x or y into item, group, channel and place. */
static void place_side(struct layer_walk *walk, bool x, size_t index, size_t *place)
{
    const struct layer_geometry *geometry = walk->geometry;
    const struct layer_side *side = x ? &geometry->x : &geometry->y;
    const size_t channels = side->channels * geometry->groups, channel = index / side->channel_pitch % channels;
    walk->item = index / side->item_pitch;
    walk->group = channel / side->channels;
    *(x ? &walk->x_channel : &walk->y_channel) = channel % side->channels;
    for (unsigned i = 0; i < LAYER_AXES; i++)
        place[i] = index / side->axis_pitch[i] % (x ? geometry->axis[i].x : geometry->axis[i].y);
}

static void place_weight(struct layer_walk *walk, size_t index, size_t *tap)
{
    const struct layer_geometry *geometry = walk->geometry;
    const size_t y = index / geometry->w.y_pitch;
    walk->group = y / geometry->y.channels;
    walk->y_channel = y % geometry->y.channels;
    walk->x_channel = index / geometry->w.x_pitch % geometry->x.channels;
    for (unsigned i = 0; i < LAYER_AXES; i++)
        tap[i] = index / geometry->w.axis_pitch[i] % geometry->axis[i].kernel;
}

static void add_bias(struct layer_walk *walk, struct layer_value *found)
{
    const struct layer_geometry *geometry = walk->geometry;
    const size_t channel = layer_reads_y(geometry) ? walk->group * geometry->x.channels + walk->x_channel
                                                   : walk->group * geometry->y.channels + walk->y_channel;
    const struct convolve_scalar bias = explain_scalar_at(geometry->dtype, walk->tensors->bias, channel);
    exact_sum_add(&walk->integer, bias.integer);
    walk->chain.real += bias.real;
    walk->chain.imag += bias.imag;
    walk->chain.real32 += (float)bias.real;
    walk->chain.imag32 += (float)bias.imag;
    walk->absolute += fabs(bias.real) + fabs(bias.imag);
    found->bias = bias;
}

void layer_walk_begin(struct layer_walk *walk, const struct layer_geometry *geometry,
                      const struct convolve_run *tensors, size_t index)
{
    const bool reads_y = layer_reads_y(geometry), gradient = geometry->operation == CONVOLVE_LAYER_BACKWARD_WEIGHT;
    *walk = (struct layer_walk){.geometry = geometry, .tensors = tensors};
    if (gradient)
        place_weight(walk, index, walk->home);
    else
        place_side(walk, reads_y, index, walk->home);
    walk->middle_count = gradient ? geometry->items : reads_y ? geometry->y.channels : geometry->x.channels;
    for (unsigned i = 0; i < LAYER_AXES; i++) {
        const struct layer_axis *axis = &geometry->axis[i];
        const bool folds = reads_y && geometry->boundary != CONVOLVE_CONSTANT;
        walk->inner_counts[i] = gradient ? axis->y : axis->kernel;
        walk->cell_counts[i] = folds ? (axis->y - 1) * axis->stride + (axis->kernel - 1) * axis->dilation + 1 : 1;
        walk->first_cell[i] = folds ? 0 : (size_t)((int64_t)walk->home[i] + axis->before);
    }
    enter_cell(walk);
}

struct layer_value layer_walk_value(struct layer_walk *walk)
{
    const struct layer_geometry *geometry = walk->geometry;
    struct layer_value found = {0};
    walk->chain = walk->total;
    /* The walk has left the summed channel behind; the output's own still stands. */
    if (geometry->bias)
        add_bias(walk, &found);
    found.value = (struct convolve_scalar){.real = walk->chain.real, .imag = walk->chain.imag};
    if (geometry->dtype == CONVOLVE_FLOAT32 || geometry->dtype == CONVOLVE_COMPLEX64)
        found.value = (struct convolve_scalar){.real = (double)walk->chain.real32, .imag = (double)walk->chain.imag32};
    if (geometry->dtype == CONVOLVE_INT64)
        found.overflow = !exact_sum_fits(&walk->integer, &found.value.integer);
    found.absolute = walk->absolute;
    return found;
}

struct layer_value layer_define(const struct layer_geometry *geometry, const struct convolve_run *tensors, size_t index)
{
    struct layer_walk walk;
    layer_walk_begin(&walk, geometry, tensors, index);
    while (!walk.ended)
        layer_walk_step(&walk, NULL);
    return layer_walk_value(&walk);
}

/* ---- How many there are ----------------------------------------------------------------------------------------------- */

/* Of one axis of an operation that sums over y: the cells that stand for the output, and with how many pairs of a tap and a
 * place of y those are met. Axes too long to look at count whole. */
static void count_axis(const struct layer_walk *walk, unsigned i, uint64_t *cells, uint64_t *pairs)
{
    enum { LOOKED_AT = 1 << 16 };
    const struct layer_axis *axis = &walk->geometry->axis[i];
    const enum convolve_boundary boundary = walk->geometry->boundary;
    uint64_t found = 0;
    *cells = walk->cell_counts[i];
    *pairs = boundary == CONVOLVE_CONSTANT ? axis->kernel : plan_count_multiply(axis->kernel, axis->y);
    if (*cells > 1 && *cells <= LOOKED_AT) {
        for (size_t cell = 0; cell < walk->cell_counts[i]; cell++)
            found += boundary_index(boundary, (int64_t)cell - axis->before, axis->x) == walk->home[i];
        *cells = found;
    }
    if (plan_count_multiply(axis->kernel, axis->y) > LOOKED_AT)
        return;
    *pairs = 0;
    for (size_t tap = 0; tap < axis->kernel; tap++)
        for (size_t y = 0; y < axis->y; y++) {
            const int64_t place = (int64_t)(y * axis->stride + tap * axis->dilation) - axis->before;
            *pairs += boundary_index(boundary, place, axis->x) == walk->home[i];
        }
}

void layer_walk_counts(const struct layer_walk *walk, uint64_t *steps, uint64_t *terms)
{
    uint64_t all_cells = 1, all_pairs = 1, passed = 1;
    *steps = *terms = walk->middle_count;
    for (unsigned i = 0; i < LAYER_AXES; i++) {
        uint64_t cells = 1, pairs = walk->inner_counts[i];
        if (layer_reads_y(walk->geometry))
            count_axis(walk, i, &cells, &pairs);
        *steps = plan_count_multiply(*steps, walk->inner_counts[i]);
        all_cells = plan_count_multiply(all_cells, cells);
        all_pairs = plan_count_multiply(all_pairs, pairs);
        passed = plan_count_multiply(passed, walk->cell_counts[i]);
    }
    *terms = plan_count_multiply(*terms, all_pairs);
    *steps = plan_count_multiply(*steps, all_cells);
    *steps = plan_count_add(*steps, passed);
}
