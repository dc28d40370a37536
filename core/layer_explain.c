/* SPDX-License-Identifier: MIT */
/* One output by the definition in core/convolve.h. A `walk` goes over the terms of the operation; `take` finds the two
 * values of a term, tells them, and adds their product to the chain. */
#include "core/layer_explain.h"

#include "core/boundary.h"
#include "core/exact_sum.h"

#include <math.h>

/* What the terms add up to. Each dtype has its chain; only the one asked for is filled. */
struct chain {
    double real, imag;
    float real32, imag32;
};

struct walk {
    const struct layer_geometry *geometry;
    const struct convolve_run *tensors;
    layer_term_callback *each;
    void *context;
    size_t item, group, x_channel, y_channel; /* channels of the group */
    struct chain chain;
    struct exact_sum integer;
    double absolute;
};

static struct convolve_scalar scalar_at(enum convolve_dtype dtype, const void *tensor, size_t element)
{
    switch (dtype) {
    case CONVOLVE_FLOAT64:
        return (struct convolve_scalar){.real = ((const double *)tensor)[element]};
    case CONVOLVE_FLOAT32:
        return (struct convolve_scalar){.real = (double)((const float *)tensor)[element]};
    case CONVOLVE_INT64:
        return (struct convolve_scalar){.integer = ((const int64_t *)tensor)[element]};
    case CONVOLVE_COMPLEX128:
        return (struct convolve_scalar){.real = ((const double *)tensor)[2 * element],
                                        .imag = ((const double *)tensor)[2 * element + 1]};
    case CONVOLVE_COMPLEX64:
        return (struct convolve_scalar){.real = (double)((const float *)tensor)[2 * element],
                                        .imag = (double)((const float *)tensor)[2 * element + 1]};
    }
    return (struct convolve_scalar){0};
}

/* ---- One term --------------------------------------------------------------------------------------------------------- */

/* The index of a place in x or y as the request's layout has it. */
static void write_index(size_t *index, const struct walk *walk, bool x, const size_t *place)
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

static void write_weight_index(size_t *index, const struct walk *walk, const size_t *tap)
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

static size_t side_element(const struct walk *walk, bool x, const size_t *place)
{
    const struct layer_side *side = x ? &walk->geometry->x : &walk->geometry->y;
    const size_t channel = walk->group * side->channels + (x ? walk->x_channel : walk->y_channel);
    size_t element = walk->item * side->item_pitch + channel * side->channel_pitch;
    for (unsigned i = 0; i < LAYER_AXES; i++)
        element += place[i] * side->axis_pitch[i];
    return element;
}

static size_t weight_element(const struct walk *walk, const size_t *tap)
{
    const struct layer_weight *w = &walk->geometry->w;
    size_t element =
        (walk->group * walk->geometry->y.channels + walk->y_channel) * w->y_pitch + walk->x_channel * w->x_pitch;
    for (unsigned i = 0; i < LAYER_AXES; i++)
        element += tap[i] * w->axis_pitch[i];
    return element;
}

static void add_product(struct walk *walk, struct convolve_layer_term *term)
{
    const struct convolve_scalar x = term->input, w = term->weight;
    struct chain *const chain = &walk->chain;
    const exact_wide product = (exact_wide)x.integer * w.integer;
    switch (walk->geometry->dtype) {
    case CONVOLVE_INT64:
        exact_sum_add(&walk->integer, product);
        term->product.integer = (int64_t)product;
        term->product_high = (int64_t)(product >> 64);
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
    if (walk->geometry->dtype != CONVOLVE_INT64) {
        term->product.real = w.real * x.real - w.imag * x.imag;
        term->product.imag = w.real * x.imag + w.imag * x.real;
    }
    walk->absolute += (fabs(w.real) + fabs(w.imag)) * (fabs(x.real) + fabs(x.imag));
}

/* The term of a place in x (`inside` false: a zero of the padding), a place in y, and a tap: two of them have the values. */
static void take(struct walk *walk, const size_t *x_place, bool inside, const size_t *y_place, const size_t *tap)
{
    const struct layer_geometry *geometry = walk->geometry;
    const enum convolve_dtype dtype = geometry->dtype;
    struct convolve_layer_term term = {.inside = inside};
    if (layer_reads_y(geometry)) {
        const void *const y =
            geometry->operation == CONVOLVE_LAYER_TRANSPOSE ? walk->tensors->input : walk->tensors->grad_output;
        term.input = scalar_at(dtype, y, side_element(walk, false, y_place));
        write_index(term.input_index, walk, false, y_place);
    } else if (inside) {
        term.input = scalar_at(dtype, walk->tensors->input, side_element(walk, true, x_place));
        write_index(term.input_index, walk, true, x_place);
    }
    if (geometry->operation == CONVOLVE_LAYER_BACKWARD_WEIGHT) {
        term.weight = scalar_at(dtype, walk->tensors->grad_output, side_element(walk, false, y_place));
        write_index(term.weight_index, walk, false, y_place);
    } else {
        term.weight = scalar_at(dtype, walk->tensors->kernel, weight_element(walk, tap));
        write_weight_index(term.weight_index, walk, tap);
    }
    add_product(walk, &term);
    if (walk->each)
        walk->each(walk->context, &term);
}

/* ---- Walks ------------------------------------------------------------------------------------------------------------ */

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

/* The place in x that output place and tap name, padding resolved; false for a zero. */
static bool locate_x(const struct layer_geometry *geometry, const size_t *y_place, const size_t *tap, size_t *x_place)
{
    for (unsigned i = 0; i < LAYER_AXES; i++) {
        const struct layer_axis *axis = &geometry->axis[i];
        const int64_t place = (int64_t)(y_place[i] * axis->stride + tap[i] * axis->dilation) - axis->before;
        x_place[i] = boundary_index(geometry->boundary, place, axis->x);
        if (x_place[i] == BOUNDARY_NONE)
            return false;
    }
    return true;
}

/* The place in y whose window has tap `tap` on cell `cell` of the padded x (counted from its first); false where there is none. */
static bool locate_y(const struct layer_geometry *geometry, const int64_t *cell, const size_t *tap, size_t *y_place)
{
    for (unsigned i = 0; i < LAYER_AXES; i++) {
        const struct layer_axis *axis = &geometry->axis[i];
        const int64_t distance = cell[i] - (int64_t)(tap[i] * axis->dilation);
        if (distance < 0 || distance % (int64_t)axis->stride != 0)
            return false;
        y_place[i] = (size_t)distance / axis->stride;
        if (y_place[i] >= axis->y)
            return false;
    }
    return true;
}

static void walk_conv(struct walk *walk, const size_t *y_place)
{
    const struct layer_geometry *geometry = walk->geometry;
    const size_t kernel[LAYER_AXES] = {geometry->axis[0].kernel, geometry->axis[1].kernel, geometry->axis[2].kernel};
    for (walk->x_channel = 0; walk->x_channel < geometry->x.channels; walk->x_channel++) {
        size_t tap[LAYER_AXES] = {0}, x_place[LAYER_AXES];
        do {
            const bool inside = locate_x(geometry, y_place, tap, x_place);
            take(walk, x_place, inside, y_place, tap);
        } while (next_place(tap, kernel));
    }
}

static void walk_cell(struct walk *walk, const int64_t *cell)
{
    const struct layer_geometry *geometry = walk->geometry;
    const size_t kernel[LAYER_AXES] = {geometry->axis[0].kernel, geometry->axis[1].kernel, geometry->axis[2].kernel};
    for (walk->y_channel = 0; walk->y_channel < geometry->y.channels; walk->y_channel++) {
        size_t tap[LAYER_AXES] = {0}, y_place[LAYER_AXES];
        do
            if (locate_y(geometry, cell, tap, y_place))
                take(walk, NULL, true, y_place, tap);
        while (next_place(tap, kernel));
    }
}

/* The cells of the padded x that stand for the element at `x_place`: each a chain, then added up. */
static void walk_cells(struct walk *walk, const size_t *x_place)
{
    const struct layer_geometry *geometry = walk->geometry;
    size_t counts[LAYER_AXES], place[LAYER_AXES] = {0};
    struct chain total = {0};
    bool first = true;
    for (unsigned i = 0; i < LAYER_AXES; i++)
        counts[i] = (geometry->axis[i].y - 1) * geometry->axis[i].stride +
                    (geometry->axis[i].kernel - 1) * geometry->axis[i].dilation + 1;
    do {
        int64_t cell[LAYER_AXES];
        bool here = true;
        for (unsigned i = 0; i < LAYER_AXES && here; i++) {
            cell[i] = (int64_t)place[i];
            here = boundary_index(geometry->boundary, cell[i] - geometry->axis[i].before, geometry->axis[i].x) ==
                   x_place[i];
        }
        if (!here)
            continue;
        walk->chain = (struct chain){0};
        walk_cell(walk, cell);
        if (first)
            total = walk->chain;
        else
            total = (struct chain){total.real + walk->chain.real, total.imag + walk->chain.imag,
                                   total.real32 + walk->chain.real32, total.imag32 + walk->chain.imag32};
        first = false;
    } while (next_place(place, counts));
    walk->chain = total;
}

static void walk_weight(struct walk *walk, const size_t *tap)
{
    const struct layer_geometry *geometry = walk->geometry;
    const size_t places[LAYER_AXES] = {geometry->axis[0].y, geometry->axis[1].y, geometry->axis[2].y};
    for (walk->item = 0; walk->item < geometry->items; walk->item++) {
        size_t y_place[LAYER_AXES] = {0}, x_place[LAYER_AXES];
        do {
            const bool inside = locate_x(geometry, y_place, tap, x_place);
            take(walk, x_place, inside, y_place, tap);
        } while (next_place(y_place, places));
    }
}

/* ---- One output ------------------------------------------------------------------------------------------------------- */

/* Splits the index of an output that is x or y into item, group, channel and place. */
static void place_side(struct walk *walk, bool x, size_t index, size_t *place)
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

static void place_weight(struct walk *walk, size_t index, size_t *tap)
{
    const struct layer_geometry *geometry = walk->geometry;
    const size_t y = index / geometry->w.y_pitch;
    walk->group = y / geometry->y.channels;
    walk->y_channel = y % geometry->y.channels;
    walk->x_channel = index / geometry->w.x_pitch % geometry->x.channels;
    for (unsigned i = 0; i < LAYER_AXES; i++)
        tap[i] = index / geometry->w.axis_pitch[i] % geometry->axis[i].kernel;
}

static void add_bias(struct walk *walk, struct layer_value *found)
{
    const struct layer_geometry *geometry = walk->geometry;
    const size_t channel = layer_reads_y(geometry) ? walk->group * geometry->x.channels + walk->x_channel
                                                   : walk->group * geometry->y.channels + walk->y_channel;
    const struct convolve_scalar bias = scalar_at(geometry->dtype, walk->tensors->bias, channel);
    exact_sum_add(&walk->integer, bias.integer);
    walk->chain.real += bias.real;
    walk->chain.imag += bias.imag;
    walk->chain.real32 += (float)bias.real;
    walk->chain.imag32 += (float)bias.imag;
    walk->absolute += fabs(bias.real) + fabs(bias.imag);
    found->bias = bias;
}

struct layer_value layer_define(const struct layer_geometry *geometry, const struct convolve_run *tensors, size_t index,
                                layer_term_callback *each, void *context)
{
    struct walk walk = {.geometry = geometry, .tensors = tensors, .each = each, .context = context};
    struct layer_value found = {0};
    size_t place[LAYER_AXES];
    switch (geometry->operation) {
    case CONVOLVE_LAYER_CONV:
        place_side(&walk, false, index, place);
        walk_conv(&walk, place);
        break;
    case CONVOLVE_LAYER_TRANSPOSE:
    case CONVOLVE_LAYER_BACKWARD_INPUT:
        place_side(&walk, true, index, place);
        if (geometry->boundary == CONVOLVE_CONSTANT)
            walk_cell(&walk, (int64_t[]){(int64_t)place[0] + geometry->axis[0].before,
                                         (int64_t)place[1] + geometry->axis[1].before,
                                         (int64_t)place[2] + geometry->axis[2].before});
        else
            walk_cells(&walk, place);
        break;
    case CONVOLVE_LAYER_BACKWARD_WEIGHT:
        place_weight(&walk, index, place);
        walk_weight(&walk, place);
        break;
    }
    /* The walk has left the summed channel behind; the output's own still stands. */
    if (geometry->bias)
        add_bias(&walk, &found);
    found.value = (struct convolve_scalar){.real = walk.chain.real, .imag = walk.chain.imag};
    if (geometry->dtype == CONVOLVE_FLOAT32 || geometry->dtype == CONVOLVE_COMPLEX64)
        found.value = (struct convolve_scalar){.real = (double)walk.chain.real32, .imag = (double)walk.chain.imag32};
    if (geometry->dtype == CONVOLVE_INT64)
        found.overflow = !exact_sum_fits(&walk.integer, &found.value.integer);
    found.absolute = walk.absolute;
    return found;
}

bool convolve_layer_explain(const struct convolve_layer_spec *spec, const struct convolve_run *tensors, size_t index,
                            layer_term_callback *each, void *context, struct convolve_scalar *value,
                            struct convolve_scalar *bias, struct convolve_error *error)
{
    struct layer_geometry geometry;
    if (!layer_geometry_derive(&geometry, spec, error))
        return false;
    if (index >= geometry.output_count)
        return convolve_fail(error, "invalid-value", "/index", "the output has %zu values: there is none at %zu",
                             geometry.output_count, index);
    const struct layer_value found = layer_define(&geometry, tensors, index, each, context);
    *value = found.value;
    *bias = found.bias;
    return !found.overflow ||
           convolve_fail(error, "integer-overflow", "",
                         "the exact output does not fit int64: dtype float64 holds it approximately");
}
