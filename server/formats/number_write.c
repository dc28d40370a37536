/* SPDX-License-Identifier: MIT */
/* Numbers to the shortest JSON text. The digits are those of Schubfach (Giulietti, "The Schubfach way to render doubles", 2021):
 * scale by a power of ten so that the numbers that read back to the value span 1 to 10 units; at most one multiple of 10 is among
 * them, which has fewer digits, else the nearest whole one is taken. Unlike there one product suffices, because the half width is
 * a shifted power of ten; tools/prove_number_write.py shows that 64 bits behind the point decide every case.
 *
 * The text is plain (12.5, 0.012, 1000) unless one with an exponent is shorter (1e-3, 1.5e-8). Integers below 10^16 are always
 * plain, because readers that want an integer know no exponents. */
#include "server/formats/number_write.h"

#include <math.h>
#include <string.h>

#include "server/formats/number_tables.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the first of eight digits is a word's lowest byte");

/* digits * 10^exponent; digits below 10^17. */
struct decimal {
    uint64_t digits;
    int exponent;
};

static const uint64_t ascii_zeros = UINT64_C(0x3030303030303030);

/* ---- Which digits --------------------------------------------------------------------------------------------- */

/* Which of the three it is cannot be foreseen, so no jump may depend on it. */
static inline uint64_t choose_digits(uint64_t units, uint64_t last, bool down, bool up, bool nearer_up)
{
    const uint64_t ten = units - last + (10 & -(uint64_t)!down);
    const uint64_t nearest = units + nearer_up;
    return nearest ^ ((nearest ^ ten) & -(uint64_t)(down | up));
}

/* floor(log10(width)) of the interval that reads back: 2^power, or three quarters of it after a power of two. */
static int exponent_of_width(int power, bool narrow)
{
    return (power * 1262611 - (narrow ? 524031 : 0)) >> 22;
}

/* The value is mantissa * 2^power, mantissa at most 53 bits. `narrow`: the next value below is only half as far away. */
static inline struct decimal shortest_float64(uint64_t mantissa, int power, bool narrow)
{
    const int exponent = exponent_of_width(power, narrow);
    const struct number_power ten = number_powers[-exponent - NUMBER_POWER_FIRST];
    const int shift = power + number_log2_of_power(-exponent); /* 0 to 3 */
    const uint64_t scaled = mantissa << (shift + 1);
    /* The proof takes every power that is not exact to be rounded up. */
    const uint64_t ten_low = ten.low + (-exponent > NUMBER_POWER_EXACT_LAST);
    const unsigned __int128 low = (unsigned __int128)scaled * ten_low;
    const unsigned __int128 product = (unsigned __int128)scaled * ten.high + (uint64_t)(low >> 64);
    const uint64_t units = (uint64_t)(product >> 64), fraction = (uint64_t)product;
    const uint64_t last = units % 10;
    /* In units of 2^-60: the distance from the multiple of 10 below, and half the interval. Its ends belong to it where the
     * mantissa is even. */
    const uint64_t rest = (last << 60) + (fraction >> 4);
    const uint64_t above = ten.high >> (4 - shift), below = above >> narrow;
    const uint64_t odd = mantissa & 1, half = (uint64_t)1 << 63;
    const bool down = rest + odd <= below, up = above + 1 >= ((uint64_t)10 << 60) - rest + 2 * odd;
    const bool nearer_up = (fraction > half - (units & 1)) | (fraction >> 4 > below);
    return (struct decimal){choose_digits(units, last, down, up, nearer_up), exponent};
}

/* The same for at most 24 bits: the scale comes from a table, and units of 2^-36 do. Nothing but an end of the interval itself
 * comes within 4 of it, nothing but the half within 2 of the half. */
static inline struct decimal shortest_float32(uint32_t mantissa, unsigned biased, bool narrow)
{
    const int exponent = exponent_of_width((int)(biased > 0 ? biased : 1) - 150, narrow);
    const uint64_t scale = number_scales_float32[narrow][biased];
    const uint64_t product = (uint64_t)(((unsigned __int128)((uint64_t)mantissa << 8) * scale) >> 32);
    const uint32_t units = (uint32_t)(product >> 36), last = units % 10;
    const uint64_t fraction = product & (((uint64_t)1 << 36) - 1), half = (uint64_t)1 << 35;
    const uint64_t rest = ((uint64_t)last << 36) + fraction;
    const uint64_t above = scale >> 25, below = above >> narrow;
    const uint64_t odd = (mantissa & 1) * 8;
    const bool down = rest + odd <= below + 4, up = rest + above + 4 >= ((uint64_t)10 << 36) + odd;
    const bool nearer_up = (fraction + 4 * (units & 1) > half + 2) | (fraction > below);
    return (struct decimal){choose_digits(units, last, down, up, nearer_up), exponent};
}

/* ---- Digits to text ------------------------------------------------------------------------------------------- */

/* The eight digits of a number below 10^8, one in a byte, the first in the lowest. */
static inline uint64_t spread_digits(uint32_t number)
{
    const uint64_t fours = number / 10000 + ((uint64_t)(number % 10000) << 32);
    const uint64_t hundreds = ((fours * 10486) >> 20) & UINT64_C(0x7f0000007f);
    const uint64_t twos = hundreds + ((fours - 100 * hundreds) << 16);
    const uint64_t tens = ((twos * 103) >> 10) & UINT64_C(0x000f000f000f000f);
    return tens + ((twos - 10 * tens) << 8);
}

static unsigned leading_zero_digits(uint64_t spread)
{
    return (unsigned)__builtin_ctzll(spread) / 8;
}

static unsigned trailing_zero_digits(uint64_t spread)
{
    return (unsigned)__builtin_clzll(spread) / 8;
}

static char *write_exponent(char *out, int exponent)
{
    *out++ = 'e';
    if (exponent < 0) {
        *out++ = '-';
        exponent = -exponent;
    }
    if (exponent >= 100)
        *out++ = (char)('0' + exponent / 100);
    if (exponent >= 10)
        *out++ = (char)('0' + exponent / 10 % 10);
    *out++ = (char)('0' + exponent % 10);
    return out;
}

/* Seventeen digits and where they matter. */
struct text_digits {
    unsigned __int128 body; /* the first sixteen, ASCII */
    char last;
    unsigned count; /* without the zeros at the end */
    int point; /* how many stand before the point; above count: zeros are missing */
};

static inline struct text_digits place_digits(struct decimal decimal)
{
    const uint64_t high_digits = decimal.digits / 100000000;
    const uint32_t low = (uint32_t)(decimal.digits - high_digits * 100000000);
    const uint32_t top = (uint32_t)(high_digits / 100000000);
    const uint64_t high = spread_digits((uint32_t)high_digits - top * 100000000), tail = spread_digits(low);
    unsigned __int128 body = (unsigned __int128)tail << 64 | high;
    unsigned first = top == 0, end; /* of the digits that are not zero, among the seventeen */
    if (tail != 0)
        end = 17 - trailing_zero_digits(tail);
    else
        end = high != 0 ? 9 - trailing_zero_digits(high) : 1;
    /* The first digit pushes the last out; without jumps, since either is as likely. */
    const char last = (char)('0' + (tail >> 56 & -(uint64_t)(top != 0)));
    body = body << (first ? 0 : 8) | top;
    if (first && (high & 0xf) == 0) {
        const unsigned zeros = high != 0 ? leading_zero_digits(high) : 8 + leading_zero_digits(tail);
        first += zeros;
        body >>= 8 * zeros;
    }
    body |= (unsigned __int128)ascii_zeros << 64 | ascii_zeros;
    return (struct text_digits){body, last, end - first, 17 + decimal.exponent - (int)first};
}

/* One digit before the point, then the others: 1.5e-8. */
static char *write_scientific(char *out, const struct text_digits *text)
{
    const unsigned __int128 others = text->body >> 8;
    out[0] = (char)text->body;
    out[1] = '.';
    memcpy(out + 2, &others, 15);
    out[17] = text->last;
    return write_exponent(out + (text->count > 1 ? text->count + 1 : 1), text->point - 1);
}

/* decimal.digits not 0. Touches no more than NUMBER_BYTES_MAX - 1 bytes. */
static char *write_decimal(char *out, struct decimal decimal)
{
    struct text_digits text = place_digits(decimal);
    const int count = (int)text.count, point = text.point;
    if (point >= count) { /* an integer */
        const int scientific = count + (count > 1) + (point > 100 ? 4 : 3);
        if (point > 16 && point > scientific)
            return write_scientific(out, &text);
        memcpy(out, &text.body, 16);
        out[16] = text.last;
        memset(out + 17, '0', 4);
        return out + point;
    }
    if (point > 0) {
        memcpy(out, &text.body, 16);
        out[16] = text.last;
        out[point] = '.';
        if (point < 16) {
            text.body >>= 8 * point;
            memcpy(out + point + 1, &text.body, 8);
            text.body >>= 64;
        }
        if (point <= 8)
            memcpy(out + point + 9, &text.body, 8);
        out[17] = text.last;
        return out + count + 1;
    }
    if (point >= -1 || (point == -2 && count > 1)) {
        memcpy(out, "0.00", 4);
        out += 2 - point;
        memcpy(out, &text.body, 16);
        out[16] = text.last;
        return out + count;
    }
    return write_scientific(out, &text);
}

static char *write_small(char *out, uint32_t number)
{
    if (number < 10) {
        *out = (char)('0' + number);
        return out + 1;
    }
    uint64_t digits = spread_digits(number);
    const unsigned skip = leading_zero_digits(digits);
    digits = (digits | ascii_zeros) >> (8 * skip);
    memcpy(out, &digits, 8);
    return out + 8 - skip;
}

/* ---- One number ----------------------------------------------------------------------------------------------- */

char *number_write_int64(char *out, int64_t value)
{
    uint64_t rest = (uint64_t)value;
    *out = '-';
    out += value < 0;
    rest = value < 0 ? -rest : rest;
    if (rest < 100000000)
        return write_small(out, (uint32_t)rest);
    const uint64_t high = rest / 100000000;
    const uint64_t tail = spread_digits((uint32_t)(rest - high * 100000000)) | ascii_zeros;
    if (high < 100000000) {
        out = write_small(out, (uint32_t)high);
    } else {
        const uint64_t middle = spread_digits((uint32_t)(high % 100000000)) | ascii_zeros;
        out = write_small(out, (uint32_t)(high / 100000000));
        memcpy(out, &middle, 8);
        out += 8;
    }
    memcpy(out, &tail, 8);
    return out + 8;
}

char *number_write_float64(char *out, double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    *out = '-';
    out += bits >> 63;
    const double magnitude = fabs(value);
    if (magnitude < 1e8 && magnitude == (double)(uint32_t)magnitude)
        return write_small(out, (uint32_t)magnitude);
    const uint64_t fraction = bits & (((uint64_t)1 << 52) - 1);
    const int exponent = (int)(bits >> 52 & 0x7ff);
    if (exponent == 0)
        return write_decimal(out, shortest_float64(fraction, -1074, false));
    return write_decimal(
        out, shortest_float64(fraction | (uint64_t)1 << 52, exponent - 1075, fraction == 0 && exponent > 1));
}

char *number_write_float32(char *out, float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    *out = '-';
    out += bits >> 31;
    const float magnitude = fabsf(value);
    /* Above 2^24 fewer digits than the integer's may do. */
    if (magnitude < 0x1p24f && magnitude == (float)(uint32_t)magnitude)
        return write_small(out, (uint32_t)magnitude);
    const uint32_t fraction = bits & 0x7fffff;
    const unsigned biased = bits >> 23 & 0xff;
    const uint32_t mantissa = fraction | (uint32_t)(biased > 0) << 23;
    return write_decimal(out, shortest_float32(mantissa, biased, fraction == 0 && biased > 1));
}
