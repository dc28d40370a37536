/* SPDX-License-Identifier: MIT */
/* Powers of ten to 128 bits, for reading (number_read.c) and writing (number_write.c) numbers. Generated. */
#ifndef SERVER_FORMATS_NUMBER_TABLES_H
#define SERVER_FORMATS_NUMBER_TABLES_H

#include <stdint.h>

enum { NUMBER_POWER_FIRST = -342, NUMBER_POWER_LAST = 326, NUMBER_POWER_EXACT_LAST = 55 };

/* 10^k is about (high * 2^64 + low) * 2^(floor(log2(10^k)) - 127), high with its top bit set: exact for k from 0 to
 * NUMBER_POWER_EXACT_LAST, rounded down above, rounded up below 0. */
struct number_power {
    uint64_t high, low;
};

extern const struct number_power number_powers[NUMBER_POWER_LAST - NUMBER_POWER_FIRST + 1]; /* of k = first, ... */

/* For a float32 of this biased exponent: 2^power / 10^k in units of 2^-60, rounded up, where 10^k is the power of ten next
 * below 2^power, or [1] next below three quarters of it. The value of the mantissa's last bit is 2^power. */
extern const uint64_t number_scales_float32[2][256];

/* floor(log2(10^k)) and floor(log10(2^e)) for every k and e of a double. */
static inline int number_log2_of_power(int k)
{
    return (k * 217706) >> 16;
}

static inline int number_log10_of_two(int e)
{
    return (e * 1262611) >> 22;
}

#endif
