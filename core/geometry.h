/* SPDX-License-Identifier: MIT */
/* From a spec alone: which axes are convolved, the output's shape, where the windows lie, and the cost. Allocates nothing;
 * every product is checked for overflow. Everything after this file works on the geometry, never on the spec's members. */
#ifndef CORE_GEOMETRY_H
#define CORE_GEOMETRY_H

#include "core/convolve.h"

/* One axis of the output. Along an axis that is not convolved, kernel_taps is 1, stride and dilation are 1 and before is 0. */
struct geometry_axis {
    bool convolved;
    size_t input, kernel, output; /* lengths; input or kernel 1 where it broadcasts */
    size_t taps; /* of the window along this axis: kernel, or input where they have changed places */
    size_t stride, dilation;
    size_t before; /* cells of boundary in front of the input: output o, tap t reads o*stride + t*dilation - before */
    size_t input_pitch,
        kernel_pitch; /* elements from one index to the next in the tensor as given; 0 where it broadcasts */
};

struct geometry {
    unsigned rank;
    struct geometry_axis axis[CONVOLVE_RANK_MAX];
    struct convolve_shape output;
    size_t output_count, tap_count; /* tap_count: of one window */
    bool flipped; /* taps run backwards through the kernel tensor (convolve) */
    bool conjugated; /* the kernel's values are conjugated (correlate with complex values) */
    bool
        exchanged; /* `valid` with a shorter input: windows lie in the dilated kernel, taps are the input's elements; what
                        lies between dilated kernel elements is no term */
    bool empty; /* a zero-length axis was met: only fft and overlap_add answer that, with shape [0] */
    uint64_t multiply_adds;
};

bool geometry_derive(struct geometry *geometry, const struct convolve_spec *spec, struct convolve_error *error);

#endif
