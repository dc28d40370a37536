/* SPDX-License-Identifier: MIT */
/* Decimal digits to the nearest double, ties to even. Up to 19 digits: Clinger's fast path ("How to read floating point
 * numbers accurately", 1990), then the multiplication by a 128-bit power of ten of Eisel and Lemire ("Number parsing at a
 * gigabyte per second", 2021), which Mushtak and Lemire ("Fast number parsing without fallback", 2023) proved to need no other
 * way out. More digits: both ends of what the first 19 leave open; only where these differ the digits go to strtod. */
#include "server/formats/number_read.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/formats/number_tables.h"

enum {
    DIGITS_IN_WORD = 19,
    DIGITS_DECISIVE = 768, /* a double, or the middle between two, has at most 767 significant digits */
    SMALLEST_POWER = -342, /* a 64-bit number times a smaller one is nearer to 0 than to any double */
    LARGEST_POWER = 308
};

static double double_from_bits(uint64_t bits)
{
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* The bits of digits * 10^power; digits not 0. */
static uint64_t bits_from_product(uint64_t digits, int power)
{
    const struct number_power ten = number_powers[power - NUMBER_POWER_FIRST];
    const int zeros = __builtin_clzll(digits);
    const uint64_t scaled = digits << zeros;
    unsigned __int128 product = (unsigned __int128)scaled * ten.high;
    /* The low word of the power matters only where its carry could ripple up to the bits that are kept: 55 of them. */
    if (((uint64_t)(product >> 64) & 0x1ff) == 0x1ff)
        product += (uint64_t)(((unsigned __int128)scaled * ten.low) >> 64);
    const uint64_t high = (uint64_t)(product >> 64), low = (uint64_t)product;
    const int upper = (int)(high >> 63);
    const int shift = 9 + upper;
    uint64_t mantissa = high >> shift; /* 54 bits: one for rounding */
    int exponent = number_log2_of_power(power) + 63 + upper - zeros + 1023;
    if (exponent <= 0) { /* denormal, or up to the first normal one; no tie is possible among so few digits */
        if (exponent <= -63)
            return 0;
        mantissa >>= 1 - exponent;
        return (mantissa + 1) >> 1;
    }
    /* Nothing below the rounding bit: a tie, which only these powers allow, goes to the even side. */
    if (low <= 1 && power >= -4 && power <= 23 && (mantissa & 3) == 1 && mantissa << shift == high)
        mantissa--;
    mantissa = (mantissa + 1) >> 1;
    if (mantissa >> 53) {
        mantissa >>= 1;
        exponent++;
    }
    if (exponent >= 0x7ff)
        return (uint64_t)0x7ff << 52;
    return ((uint64_t)exponent << 52) | (mantissa & (((uint64_t)1 << 52) - 1));
}

bool number_from_digits(uint64_t digits, int64_t exponent, bool negative, double *value)
{
    static const double exact_powers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                          1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    double result;
    if (exponent >= -22 && exponent <= 22 && digits <= (uint64_t)1 << 53) { /* both exact: one rounding */
        result = (double)digits;
        if (exponent < 0)
            result /= exact_powers[-exponent];
        else
            result *= exact_powers[exponent];
    } else if (digits == 0 || exponent < SMALLEST_POWER) {
        result = 0;
    } else if (exponent > LARGEST_POWER) {
        result = double_from_bits((uint64_t)0x7ff << 52);
    } else {
        result = double_from_bits(bits_from_product(digits, (int)exponent));
    }
    *value = negative ? -result : result;
    return true;
}

/* A number's digits without leading zeros, point and sign: 0.d1 d2 d3 ... * 10^point. */
struct decimal {
    char digits[DIGITS_DECISIVE + 1]; /* the last stands for all that do not fit: 1 where one of them is not 0 */
    size_t count;
    int64_t point;
    bool negative;
};

static bool is_digit(char character)
{
    return character >= '0' && character <= '9';
}

/* What follows the 'e'. No text is long enough to make up for an exponent that is cut short here. */
static int64_t read_exponent(const char *at, const char *end)
{
    const int64_t large = INT64_C(100000000000000000);
    bool negative = false;
    int64_t exponent = 0;
    if (at < end && (*at == '+' || *at == '-'))
        negative = *at++ == '-';
    for (; at < end && is_digit(*at); at++)
        if (exponent < large)
            exponent = 10 * exponent + (*at - '0');
    return negative ? -exponent : exponent;
}

static void read_decimal(struct decimal *decimal, const char *text, size_t length)
{
    const char *at = text, *const end = text + length;
    bool fraction = false, dropped = false;
    decimal->count = 0;
    decimal->point = 0;
    decimal->negative = at < end && *at == '-';
    if (decimal->negative)
        at++;
    for (; at < end; at++) {
        if (*at == '.') {
            fraction = true;
            continue;
        }
        if (!is_digit(*at))
            break;
        if (decimal->count == 0 && *at == '0') {
            decimal->point -= fraction;
            continue;
        }
        decimal->point += !fraction;
        if (decimal->count < DIGITS_DECISIVE)
            decimal->digits[decimal->count++] = *at;
        else
            dropped |= *at != '0';
    }
    if (at < end) /* 'e' or 'E' */
        decimal->point += read_exponent(at + 1, end);
    while (!dropped && decimal->count > 0 && decimal->digits[decimal->count - 1] == '0')
        decimal->count--;
    if (dropped)
        decimal->digits[decimal->count++] = '1';
}

/* Without a point, so that no locale matters. */
static double read_with_strtod(const struct decimal *decimal)
{
    char text[DIGITS_DECISIVE + 32];
    memcpy(text, decimal->digits, decimal->count);
    snprintf(text + decimal->count, sizeof text - decimal->count, "e%lld",
             (long long)(decimal->point - (int64_t)decimal->count));
    const double value = strtod(text, NULL);
    return decimal->negative ? -value : value;
}

double number_read_text(const char *text, size_t length)
{
    struct decimal decimal;
    double value, above;
    uint64_t digits = 0;
    size_t taken = 0;
    read_decimal(&decimal, text, length);
    for (; taken < decimal.count && taken < DIGITS_IN_WORD; taken++)
        digits = 10 * digits + (uint64_t)(decimal.digits[taken] - '0');
    const int64_t exponent = decimal.point - (int64_t)taken;
    const bool decided = number_from_digits(digits, exponent, decimal.negative, &value);
    if (decided && taken == decimal.count)
        return value;
    /* The whole lies between these two, and rounding is monotonic. */
    if (decided && number_from_digits(digits + 1, exponent, decimal.negative, &above) && value == above)
        return value;
    return read_with_strtod(&decimal);
}
