/* SPDX-License-Identifier: MIT */
/* A layer's request as numbers, from its spec alone: every operation is one relation between three tensors. x is what conv
 * reads, y what conv writes, w the weight; along each spatial axis
 *
 *     place in x = place in y * stride + tap * dilation - before
 *
 * conv sums over x's channels and taps, conv_transpose and backward_input over y's, backward_weight over items and places
 * of y. conv_transpose thus reads y and writes x. There are always three axes, leading ones of length 1 filled in. Every
 * number fits int64_t, and so does every place. */
#ifndef CORE_LAYER_GEOMETRY_H
#define CORE_LAYER_GEOMETRY_H

#include "core/convolve.h"

enum { LAYER_AXES = 3 };

struct layer_axis {
    size_t x, y, kernel;
    size_t stride, dilation;
    int64_t before; /* below 0 where conv_transpose adds rows of zeros */
};

/* Pitches count values of the tensor. */
struct layer_side {
    size_t channels; /* of a group */
    size_t item_pitch, channel_pitch, axis_pitch[LAYER_AXES];
    size_t count; /* values of the whole tensor */
};

struct layer_weight {
    size_t y_pitch, x_pitch, axis_pitch[LAYER_AXES]; /* y counts all channels of y, x those of a group */
    size_t count;
};

struct layer_geometry {
    enum convolve_layer_operation operation;
    enum convolve_dtype dtype;
    enum convolve_boundary boundary; /* around x */
    unsigned spatial; /* axes of the request: the last of `axis` */
    bool batched, channels_last;
    size_t items, groups;
    struct layer_axis axis[LAYER_AXES];
    struct layer_side x, y;
    struct layer_weight w;
    bool bias; /* of every channel of the output */
    struct convolve_shape output;
    size_t output_count;
    size_t terms; /* of one output, at most */
    uint64_t multiply_adds;
};

/* Faults as geometry_derive: "invalid-value", "empty-tensor", "shape-mismatch", and where sizes cannot be counted "too-large". */
bool layer_geometry_derive(struct layer_geometry *geometry, const struct convolve_layer_spec *spec,
                           struct convolve_error *error);

/* Whether the operation sums over y: conv_transpose and backward_input. */
static inline bool layer_reads_y(const struct layer_geometry *geometry)
{
    return geometry->operation == CONVOLVE_LAYER_TRANSPOSE || geometry->operation == CONVOLVE_LAYER_BACKWARD_INPUT;
}

#endif
