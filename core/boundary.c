/* SPDX-License-Identifier: MIT */
/* The five ways to go on past the ends of an axis, each by arithmetic on the index alone, so that a tile far outside the
 * input costs no more than one beside it. They are numpy.pad's constant, wrap, symmetric, reflect and edge. */
#include "core/boundary.h"

#include <assert.h>

/* The remainder in 0 .. period-1, for negative indexes too. */
static size_t wrapped(int64_t index, size_t period)
{
    const int64_t signed_period = (int64_t)period;
    const int64_t remainder = index % signed_period;
    return (size_t)(remainder < 0 ? remainder + signed_period : remainder);
}

size_t boundary_index(enum convolve_boundary boundary, int64_t index, size_t length)
{
    assert(length >= 1 && length < (size_t)1 << 62);
    if (index >= 0 && (size_t)index < length)
        return (size_t)index;
    size_t place;
    switch (boundary) {
    case CONVOLVE_WRAP:
        return wrapped(index, length);
    case CONVOLVE_SYMMETRIC:
        place = wrapped(index, 2 * length);
        return place < length ? place : 2 * length - 1 - place;
    case CONVOLVE_REFLECT:
        if (length == 1)
            return 0;
        place = wrapped(index, 2 * (length - 1));
        return place < length ? place : 2 * (length - 1) - place;
    case CONVOLVE_EDGE:
        return index < 0 ? 0 : length - 1;
    case CONVOLVE_CONSTANT:
        break;
    }
    return BOUNDARY_NONE;
}
