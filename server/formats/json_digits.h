/* SPDX-License-Identifier: MIT */
/* Eight decimal digits at a time in one 64-bit word, for the files that read numbers one by one. */
#ifndef SERVER_FORMATS_JSON_DIGITS_H
#define SERVER_FORMATS_JSON_DIGITS_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the first of eight digits is a word's lowest byte");

enum { JSON_DIGITS_MAX = 19, JSON_POWER_EXACT_MAX = 22 };

static const uint64_t json_zeros = 0x3030303030303030;
static const uint64_t json_exact_max = (uint64_t)1 << 53; /* all integers up to it are doubles */

extern const uint64_t json_powers[JSON_DIGITS_MAX + 1]; /* of ten */
extern const double json_real_powers[JSON_POWER_EXACT_MAX + 1];

static inline bool json_is_digit(char c)
{
    return (unsigned char)(c - '0') <= 9;
}

/* Eight bytes, each less '0' if it is a digit. */
static inline uint64_t json_load_digits(const char *at)
{
    uint64_t word;
    memcpy(&word, at, sizeof word);
    return word ^ json_zeros;
}

/* Of such a word: the top bit of each byte that is no digit. A carry spoils only bytes after such a one. */
static inline uint64_t json_others(uint64_t digits)
{
    return (digits | (digits + 0x7676767676767676)) & 0x8080808080808080;
}

/* The value of eight digits, the first in the lowest byte. */
static inline uint64_t json_eight_digits(uint64_t digits)
{
    digits = digits * 10 + (digits >> 8); /* pairs, in every other byte */
    const uint64_t pairs = 0x000000ff000000ff;
    return ((digits & pairs) * 0x000f424000000064 + (digits >> 16 & pairs) * 0x0000271000000001) >> 32;
}

/* Signs come at random, so by no branch; and by a product, since the way through an integer register takes longer. */
static inline double json_with_sign(double magnitude, bool negative)
{
    static const double signs[] = {1, -1};
    return magnitude * signs[negative];
}

#endif
