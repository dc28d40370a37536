/* SPDX-License-Identifier: MIT */
/* Costs are counted so that what does not fit 64 bits stays above every limit. */
#ifndef SERVER_SATURATING_H
#define SERVER_SATURATING_H

#include <stdint.h>

static inline uint64_t saturating_add(uint64_t a, uint64_t b)
{
    return __builtin_add_overflow(a, b, &a) ? UINT64_MAX : a;
}

static inline uint64_t saturating_multiply(uint64_t a, uint64_t b)
{
    return __builtin_mul_overflow(a, b, &a) ? UINT64_MAX : a;
}

#endif
