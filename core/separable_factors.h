/* SPDX-License-Identifier: MIT */
/* Whether a kernel is an outer product, and of what. A slice of the kernel is separable where the product of one factor per
 * axis gives back its values: every value exactly where they are integers, for int64 always so; else so nearly that what is
 * missing, summed over all taps, is at most FACTORS_TOLERANCE roundings of the sum of absolute values. What is missing
 * then is known and goes into the error bound. Floats that are integers because they are large, all of them from 2^53 (2^24) on
 * or 0, are in no product that has to be exact: they are compared like fractions where they are not found exactly.
 *
 * Factors of integers are Gaussian integers before they are scaled, so every intermediate sum is one too, and no larger than
 * the sum of the absolute products: integers stay exact. Of floats all factors but the last are scaled by a power of 2 such that
 * their absolute values sum to between 1/4 and 1/2: intermediate sums then never overflow. Of a slice that is nowhere
 * negative no factor is. */
#ifndef CORE_SEPARABLE_FACTORS_H
#define CORE_SEPARABLE_FACTORS_H

#include "core/convolve.h"

enum { FACTORS_TOLERANCE = 32 };

/* One slice: its values lie `pitch` elements apart along each axis, from `values` on, which is the first tap in the canonical
 * order; pitches are negative where that order runs backwards. */
struct factors_slice {
    enum convolve_dtype dtype;
    bool conjugated;
    const void *values;
    unsigned axis_count;
    size_t taps[CONVOLVE_RANK_MAX];
    ptrdiff_t pitch[CONVOLVE_RANK_MAX];
};

/* What was found. `real` and `imag` of an axis have its taps, in the dtype's real type. */
struct factors {
    void *real[CONVOLVE_RANK_MAX], *imag[CONVOLVE_RANK_MAX];
    bool complex[CONVOLVE_RANK_MAX]; /* false: imag is all zeros */
    double sum[CONVOLVE_RANK_MAX]; /* at least the sum of |real| + |imag| */
    long double missing; /* at least the sum of |kernel - product of factors|, real and imaginary parts alike */
    double kernel_sum; /* of |kernel|, likewise */
};

/* Fills `factors`, whose arrays are the caller's; false where the slice is not separable. `work` has room for
 * factors_work_bytes. */
bool factors_find(struct factors *factors, const struct factors_slice *slice, void *work);
bool factors_work_bytes(const size_t *taps, unsigned axis_count, size_t *bytes);

#endif
