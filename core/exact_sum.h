/* SPDX-License-Identifier: MIT */
/* An exact sum of int64 products: 192 bits hold 2^64 of them. */
#ifndef CORE_EXACT_SUM_H
#define CORE_EXACT_SUM_H

#include <stdbool.h>
#include <stdint.h>

__extension__ typedef __int128 exact_wide;
__extension__ typedef unsigned __int128 exact_unsigned_wide;

struct exact_sum {
    exact_unsigned_wide low;
    int64_t high;
};

static inline void exact_sum_add(struct exact_sum *sum, exact_wide product)
{
    sum->low += (exact_unsigned_wide)product;
    sum->high += (sum->low < (exact_unsigned_wide)product) - (product < 0);
}

/* The sum modulo 2^64; true where it is the sum itself. */
static inline bool exact_sum_fits(const struct exact_sum *sum, int64_t *value)
{
    *value = (int64_t)sum->low;
    const exact_wide extended = *value;
    return sum->low == (exact_unsigned_wide)extended && sum->high == (*value < 0 ? -1 : 0);
}

#endif
