/* SPDX-License-Identifier: MIT */
/* What `missing` = "ignore" does to one output, in the order of operations that every routine keeps, so that the bits agree.
 *
 * A hole is an input element with a NaN (in either part); the boundary's copies of it are holes too, the constant never is.
 * An output whose window holds none is the plain sum, in its own dtype. Any other is, in double whatever the dtype,
 *
 *     sum         one chain of fma as always, but over the present terms only
 *     whole       missing_add over every weight of the kernel', in its order
 *     remaining   missing_add over those but the weights that lie on a hole, in that order
 *     result      missing_scaled(sum, whole, remaining), rounded to the dtype once; NaN where no term is left
 *
 * Weights outside the input count as remaining: the boundary's cells are not missing. */
#ifndef CORE_MISSING_H
#define CORE_MISSING_H

#include "core/convolve.h"

#include <math.h>

/* A sum that carries its own rounding errors, so that weights that cancel do sum to 0. */
struct missing_sum {
    double high, low;
};

static inline void missing_add(struct missing_sum *sum, double weight)
{
    const double high = sum->high + weight, part = high - sum->high;
    sum->low += (sum->high - (high - part)) + (weight - part);
    sum->high = high;
}

static inline double missing_total(const struct missing_sum *sum)
{
    return sum->high + sum->low;
}

/* Multiplied first: small integers then come out correctly rounded. Where that leaves the range of double, divided first. */
static inline double missing_scaled(double sum, double whole, double remaining)
{
    const double product = sum * whole;
    if (remaining == 0)
        return NAN;
    if (product == 0 || (fabs(product) >= 0x1p-900 && fabs(product) <= 0x1p900))
        return product / remaining;
    return sum * (whole / remaining);
}

/* Likewise for complex numbers: real weights scale each part alone. */
static inline struct convolve_scalar missing_scaled_complex(struct convolve_scalar sum, struct convolve_scalar whole,
                                                            struct convolve_scalar remaining)
{
    if (remaining.real == 0 && remaining.imag == 0)
        return (struct convolve_scalar){.real = NAN, .imag = NAN};
    if (whole.imag == 0 && remaining.imag == 0)
        return (struct convolve_scalar){.real = missing_scaled(sum.real, whole.real, remaining.real),
                                        .imag = missing_scaled(sum.imag, whole.real, remaining.real)};
    /* The divisor brought near 1, so that its square stays in range. */
    const double largest = fmax(fabs(remaining.real), fabs(remaining.imag));
    const int exponent = isfinite(largest) ? ilogb(largest) : 0;
    const double r = scalbn(remaining.real, -exponent), i = scalbn(remaining.imag, -exponent);
    const double a = scalbn(whole.real, -exponent), b = scalbn(whole.imag, -exponent);
    const double square = fma(r, r, i * i);
    const double ratio_real = fma(a, r, b * i) / square, ratio_imag = fma(b, r, -(a * i)) / square;
    return (struct convolve_scalar){.real = fma(sum.real, ratio_real, -(sum.imag * ratio_imag)),
                                    .imag = fma(sum.real, ratio_imag, sum.imag * ratio_real)};
}

#endif
