/* SPDX-License-Identifier: MIT */
/* From a spec alone: which axes are convolved, the output's shape, where the windows lie, and the cost. Allocates nothing;
 * every product is checked for overflow. Everything after this file works on the geometry, never on the spec's members.
 *
 * One formula holds on every axis: output o is the sum over the kernel's elements t of kernel'[t] times the input at
 *
 *     o*stride + t*dilation - before
 *
 * where kernel' is the kernel tensor, read backwards along convolved axes where `flipped`. `before` is never negative, and
 * every number in the formula fits int64_t. Along an axis that is not convolved the index into input and kernel is o
 * itself, or 0 where the tensor's pitch is 0.
 *
 * Where input and kernel have changed places (`exchanged`) the formula still holds, with a `before` such that the whole
 * input lies within the dilated kernel for every output, but a t whose input index falls outside the input is no term: the
 * boundary never applies. It is then cheaper to walk the input's elements i, which are the taps (`taps` is `input`): along
 * each axis i meets at most one kernel element, which geometry_exchanged_element finds. Rising i along every axis,
 * row-major, is rising t, so both walks add the same terms in the same order. */
#ifndef CORE_GEOMETRY_H
#define CORE_GEOMETRY_H

#include "core/convolve.h"

/* One axis of the output. Along an axis that is not convolved taps, stride and dilation are 1 and before is 0. */
struct geometry_axis {
    bool convolved;
    size_t input, kernel, output; /* lengths; input or kernel 1 where it broadcasts */
    size_t taps; /* of the window along this axis: kernel, or input where they have changed places */
    size_t stride, dilation;
    size_t before; /* cells of boundary in front of the input */
    size_t input_pitch, kernel_pitch; /* elements between neighbours in the tensor as given; 0 where it broadcasts */
};

struct geometry {
    unsigned rank;
    struct geometry_axis axis[CONVOLVE_RANK_MAX];
    struct convolve_shape output;
    size_t output_count, tap_count; /* tap_count: of one window, over all axes */
    bool flipped; /* taps run backwards through the kernel tensor along convolved axes (convolve) */
    bool conjugated; /* the kernel's values are conjugated (correlate with complex values) */
    bool exchanged; /* `valid` with a shorter input: see above */
    bool
        empty; /* a zero-length axis was met: only fft and overlap_add answer that, with output [0]; nothing else is set */
    uint64_t multiply_adds; /* output_count * tap_count */
};

/* Fails with "invalid-value" at a member, "empty-tensor", "shape-mismatch", and last, where a size cannot be counted in 64
 * bits, with "too-large": `limit` names the configuration's member, `requested` is UINT64_MAX, `allowed` is 0, for the
 * caller to fill in. (A plan reports that as "invalid-value".) */
bool geometry_derive(struct geometry *geometry, const struct convolve_spec *spec, struct convolve_error *error);

/* Exchanged only: the index in the kernel tensor that input element `input` meets in output `output`, along one axis. False
 * where it lies between two elements of the dilated kernel, and so is no term. */
static inline bool geometry_exchanged_element(const struct geometry *geometry, unsigned axis_index, size_t output,
                                              size_t input, size_t *kernel)
{
    const struct geometry_axis *axis = &geometry->axis[axis_index];
    if (!axis->convolved) {
        *kernel = axis->kernel == 1 ? 0 : output;
        return true;
    }
    const size_t place = input + axis->before - output * axis->stride; /* in the dilated kernel'; never below 0 */
    if (place % axis->dilation != 0)
        return false;
    const size_t tap = place / axis->dilation;
    *kernel = geometry->flipped ? axis->kernel - 1 - tap : tap;
    return true;
}

#endif
