/* SPDX-License-Identifier: MIT */
/* Whether the members and shapes of a layer's spec fit each other, and the words for it. Used by layer_geometry.c alone. */
#ifndef CORE_LAYER_SHAPES_H
#define CORE_LAYER_SHAPES_H

#include "core/convolve.h"

__extension__ typedef __int128 layer_wide;

/* A length that may exceed 64 bits, for details. */
struct layer_wide_text {
    char text[41];
};
struct layer_wide_text layer_wide_text(layer_wide value);

/* The members by which the two tensors are known: "/input" or "/input_shape", "/weight" or "/weight_shape". */
const char *layer_input_pointer(const struct convolve_layer_spec *spec);
const char *layer_weight_pointer(const struct convolve_layer_spec *spec);

/* Ranks, groups, channels and bias; no length along a spatial axis but that none is 0. */
bool layer_check_shapes(const struct convolve_layer_spec *spec, struct convolve_error *error);

/* Of a gradient: whether grad_output has the shape `expected` that conv would give. */
bool layer_check_grad_output(const struct convolve_layer_spec *spec, const struct convolve_shape *expected,
                             struct convolve_error *error);

static inline bool layer_batched(const struct convolve_layer_spec *spec)
{
    return spec->input.rank == spec->weight.rank;
}

static inline size_t layer_per_axis(const struct convolve_per_axis *member, unsigned place)
{
    return member->given ? member->value[member->scalar ? 0 : place] : 1;
}

/* The channels of a shape whose axis `axis` they are under channels_first; under channels_last they are the last. */
static inline size_t layer_channels(const struct convolve_shape *shape, unsigned axis, bool channels_last)
{
    return shape->size[channels_last ? shape->rank - 1 : axis];
}

/* The length along spatial axis `place`; under channels_first the spatial axes begin at `first`. */
static inline size_t layer_spatial_size(const struct convolve_shape *shape, unsigned first, bool channels_last,
                                        unsigned place)
{
    return shape->size[first + place - (channels_last ? 1 : 0)];
}

#endif
