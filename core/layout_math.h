/* SPDX-License-Identifier: MIT */
/* What layouts are reckoned with: sizes, and how an axis is stepped through. */
#ifndef CORE_LAYOUT_MATH_H
#define CORE_LAYOUT_MATH_H

#include "core/geometry.h"

__extension__ typedef unsigned __int128 wide;

static inline size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

static inline size_t most(size_t a, size_t b)
{
    return a > b ? a : b;
}

static inline size_t divide_up(size_t a, size_t b)
{
    return a / b + (a % b != 0);
}

static inline size_t common_divisor(size_t a, size_t b)
{
    while (b) {
        const size_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

/* Of one output the stride is never stepped, of one tap the dilation: 1 keeps products small. */
static inline size_t stride_of(const struct geometry_axis *axis)
{
    return axis->output == 1 ? 1 : axis->stride;
}

static inline size_t dilation_of(const struct geometry_axis *axis)
{
    return axis->kernel == 1 ? 1 : axis->dilation;
}

/* How far apart along an axis two outputs are that read the same positions, and by how many positions they then differ; every
 * output is apart from the others (`output`) where none does. */
static inline void find_sharing(size_t output, size_t stride, size_t unit, size_t *apart, size_t *step)
{
    *apart = unit / common_divisor(unit, stride);
    *step = 1;
    if (*apart >= output)
        *apart = output;
    else
        *step = *apart * stride / unit;
}

/* The elements of the output from one place to the next along each axis, and the number of a place's slice of the kernel. Returns
 * how many slices there are. */
static inline size_t lay_slices(const struct geometry *geometry, size_t *output_pitch, size_t *kernel_group)
{
    size_t pitch = 1, groups = 1;
    for (unsigned i = geometry->rank; i-- > 0;) {
        const struct geometry_axis *axis = &geometry->axis[i];
        output_pitch[i] = pitch;
        pitch *= axis->output;
        kernel_group[i] = axis->convolved || axis->kernel_pitch == 0 ? 0 : groups;
        groups *= kernel_group[i] ? axis->output : 1;
    }
    return groups;
}

#endif
