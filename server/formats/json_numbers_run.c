/* SPDX-License-Identifier: MIT */
/* The fast way for "number, number, number": eight digits at a time, no state kept between bytes. Whatever is not simple (20
 * digits, a value beyond its form, a fault of syntax) is left at its first byte to the byte machine, which knows it all. */
#include "server/formats/json_numbers.h"

#include <math.h>
#include <string.h>

#include "server/formats/number_read.h"

enum { DIGITS_MAX = 19, EXPONENT_DIGITS_MAX = 4, POWER_EXACT_MAX = 22 };

static const uint64_t integer_powers[] = {
    1,
    10,
    100,
    1000,
    10000,
    100000,
    1000000,
    10000000,
    100000000,
    1000000000,
    10000000000,
    100000000000,
    1000000000000,
    10000000000000,
    100000000000000,
    1000000000000000,
    10000000000000000,
    100000000000000000,
    1000000000000000000,
    10000000000000000000u,
};
static const double real_powers[POWER_EXACT_MAX + 1] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                                        1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                                        1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

static inline bool is_digit(char c)
{
    return (unsigned char)(c - '0') <= 9;
}

static inline const char *skip_space(const char *at, const char *limit)
{
    while (at < limit && (*at == ' ' || *at == '\n' || *at == '\r' || *at == '\t'))
        at++;
    return at;
}

/* The value of eight decimal digits, the first in the lowest byte, as 0 to 9. */
static inline uint64_t eight_digits_value(uint64_t digits)
{
    digits = digits * 10 + (digits >> 8); /* pairs, in every other byte */
    const uint64_t pairs = 0x000000ff000000ff;
    return ((digits & pairs) * 0x000f424000000064 + (digits >> 16 & pairs) * 0x0000271000000001) >> 32;
}

/* Appends the digits at `at` to *value, which may wrap around, and returns what is behind them. A byte that is no digit comes
 * before `end`. */
static inline const char *take_digits(const char *at, const char *end, uint64_t *value)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    while (end - at >= 8) {
        uint64_t word;
        memcpy(&word, at, 8);
        word ^= 0x3030303030303030;
        /* A byte's top bit is set where it is no digit; a carry spoils only bytes after such a one. */
        const uint64_t others = (word | (word + 0x7676767676767676)) & 0x8080808080808080;
        if (others == 0) {
            *value = *value * integer_powers[8] + eight_digits_value(word);
            at += 8;
            continue;
        }
        const unsigned bits = (unsigned)__builtin_ctzll(others) & ~7u; /* of the digits before it, below 64 */
        const uint64_t digits = word << (56 - bits) << 8; /* zeros in front */
        *value = *value * integer_powers[bits / 8] + eight_digits_value(digits);
        return at + bits / 8;
    }
#endif
    for (; is_digit(*at); at++)
        *value = *value * 10 + (uint64_t)(*at - '0');
    return at;
}

struct scanned {
    uint64_t digits;
    int exponent;
    bool negative;
};

static const char *take_exponent(const char *at, int *exponent)
{
    const bool negative = *at == '-';
    at += *at == '-' || *at == '+';
    const char *first = at;
    int value = 0;
    for (; is_digit(*at); at++) {
        if (at - first >= EXPONENT_DIGITS_MAX)
            return NULL;
        value = value * 10 + (*at - '0');
    }
    if (at == first)
        return NULL;
    *exponent += negative ? -value : value;
    return at;
}

/* Whether digits with a point among them are at most 19 but for zeros in front. */
static bool digits_fit(const char *first, const char *end)
{
    bool point = false;
    for (; *first == '0' || *first == '.'; first++)
        point = point || *first == '.';
    return end - first - !point <= DIGITS_MAX;
}

/* What is behind the number at `at`, or NULL where it is not simple. */
static inline __attribute__((always_inline)) const char *scan_number(const char *at, const char *end,
                                                                     struct scanned *scanned)
{
    scanned->negative = *at == '-';
    at += scanned->negative;
    const char *first = at;
    uint64_t digits = 0;
    if (is_digit(*at) && at[1] == '.') { /* most reals */
        digits = (uint64_t)(*at - '0');
        at++;
    } else {
        at = take_digits(at, end, &digits);
    }
    const ptrdiff_t whole = at - first;
    scanned->exponent = 0;
    if (__builtin_expect(whole == 0 || (*first == '0' && whole > 1) || whole > DIGITS_MAX, 0))
        return NULL;
    if (*at == '.') {
        const char *point = at;
        at = take_digits(at + 1, end, &digits);
        const ptrdiff_t places = at - point - 1;
        if (__builtin_expect(places == 0 || places > INT16_MAX, 0))
            return NULL;
        if (__builtin_expect(whole + places > DIGITS_MAX, 0) && !digits_fit(first, at))
            return NULL;
        scanned->exponent = -(int)places;
    }
    scanned->digits = digits;
    if (__builtin_expect((*at | 0x20) == 'e', 0))
        return take_exponent(at + 1, &scanned->exponent);
    return at;
}

enum fit { FITS, FRACTION, UNKNOWN };

/* digits * 10^exponent as an integer. */
static inline enum fit scanned_to_integer(const struct scanned *scanned, int64_t *integer)
{
    uint64_t digits = scanned->digits;
    if (scanned->exponent == -1) {
        if (digits % 10 != 0)
            return FRACTION;
        digits /= 10;
    } else if (scanned->exponent < 0 && digits != 0) {
        if (scanned->exponent < -DIGITS_MAX || digits % integer_powers[-scanned->exponent] != 0)
            return FRACTION;
        digits /= integer_powers[-scanned->exponent];
    } else if (scanned->exponent > 0 && digits != 0) {
        if (scanned->exponent > DIGITS_MAX ||
            __builtin_mul_overflow(digits, integer_powers[scanned->exponent], &digits))
            return UNKNOWN;
    }
    if (digits > INT64_MAX)
        return UNKNOWN;
    *integer = scanned->negative ? -(int64_t)digits : (int64_t)digits;
    return FITS;
}

static inline bool scanned_to_real(const struct scanned *scanned, double *real)
{
    const uint64_t exact = (uint64_t)1 << 53;
    if (scanned->digits <= exact && (unsigned)-scanned->exponent <= POWER_EXACT_MAX) {
        const double magnitude = (double)(int64_t)scanned->digits / real_powers[-scanned->exponent];
        /* Signs come at random: by arithmetic, not by a branch. */
        uint64_t bits;
        memcpy(&bits, &magnitude, sizeof bits);
        bits |= (uint64_t)scanned->negative << 63;
        memcpy(real, &bits, sizeof bits);
        return true;
    }
    return number_from_digits(scanned->digits, scanned->exponent, scanned->negative, real) && !isinf(*real);
}

/* Behind a number: over the comma to the next value. False: there is none before `limit`, or no comma. */
static inline bool next_value(const char **at, const char *limit, bool *after)
{
    const char *p = *at;
    if (__builtin_expect(*p != ',', 0))
        p = skip_space(p, limit);
    *after = p >= limit || *p != ',';
    if (*after) {
        *at = p;
        return false;
    }
    p += p[1] == ' ' ? 2 : 1; /* p[1] is at most the byte at `limit` */
    if (p < limit && (unsigned char)*p <= ' ')
        p = skip_space(p, limit);
    *at = p;
    return p < limit;
}

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
/* The shortest way, for what pixels and counts are: up to seven digits, a comma right behind them, a space perhaps. Everything is
 * decided by one word, and no branch by how many digits there are. Returns the value it could not take so, or where it would
 * begin. */
static const char *run_small_integers(struct json_numbers *numbers, const char *at, const char *limit, const char *end)
{
    int64_t *out = (int64_t *)numbers->values + numbers->count,
            *out_end = (int64_t *)numbers->values + numbers->capacity;
    const char *last = end - at >= 8 ? end - 8 : at; /* before it nine bytes may be read */
    while (at < limit && at < last && out < out_end) {
        uint64_t word;
        memcpy(&word, at, 8);
        const uint64_t digits = word ^ 0x3030303030303030;
        const uint64_t others = (digits | (digits + 0x7676767676767676)) & 0x8080808080808080;
        const unsigned bits = others ? (unsigned)__builtin_ctzll(others) & ~7u : 0; /* of the digits */
        const bool zero_first = (digits & 0xff) == 0 && bits > 8;
        if (bits == 0 || zero_first || (word >> bits & 0xff) != ',')
            break;
        *out++ = (int64_t)eight_digits_value(digits << (64 - bits));
        at += bits / 8 + 1;
        if (*at == ' ')
            at++;
    }
    numbers->count = (size_t)(out - (int64_t *)numbers->values);
    return at;
}
#else
static const char *run_small_integers(struct json_numbers *numbers, const char *at, const char *limit, const char *end)
{
    (void)numbers, (void)limit, (void)end;
    return at;
}
#endif

static const char *run_integers(struct json_numbers *numbers, const char *at, const char *limit, const char *end,
                                bool *after)
{
    if (!json_numbers_reserve(numbers, 1))
        return NULL;
    do {
        struct scanned scanned;
        int64_t integer;
        at = skip_space(run_small_integers(numbers, at, limit, end), limit);
        if (at >= limit)
            return at;
        const char *behind = scan_number(at, end, &scanned);
        if (!behind)
            return at;
        if (__builtin_expect(scanned.exponent == 0 && scanned.digits <= INT64_MAX, 1)) {
            integer = (int64_t)((scanned.digits ^ -(uint64_t)scanned.negative) + scanned.negative);
        } else {
            const enum fit fit = scanned_to_integer(&scanned, &integer);
            if (fit == UNKNOWN)
                return at;
            if (fit == FRACTION) {
                numbers->inexact_index = numbers->count;
                numbers->inexact_kind = JSON_NUMBER_FRACTION;
                json_numbers_to_float64(numbers);
                return at;
            }
        }
        if (__builtin_expect(integer == 0 && scanned.negative, 0)) {
            numbers->negative_zero = true;
            integer = INT64_MIN;
        }
        if (__builtin_expect(numbers->count == numbers->capacity, 0) && !json_numbers_reserve(numbers, 1))
            return NULL;
        ((int64_t *)numbers->values)[numbers->count++] = integer;
        at = behind;
    } while (next_value(&at, limit, after));
    return at;
}

static const char *run_reals(struct json_numbers *numbers, const char *at, const char *limit, const char *end,
                             bool *after)
{
    const bool single = numbers->form == JSON_FLOAT32S;
    do {
        struct scanned scanned;
        double real;
        const char *behind = scan_number(at, end, &scanned);
        if (!behind || !scanned_to_real(&scanned, &real))
            return at;
        if (__builtin_expect(numbers->count == numbers->capacity, 0) && !json_numbers_reserve(numbers, 1))
            return NULL;
        if (single) {
            const float value = (float)real;
            if (isinf(value) && numbers->beyond_float32_index == SIZE_MAX)
                numbers->beyond_float32_index = numbers->count;
            ((float *)numbers->values)[numbers->count++] = value;
        } else {
            ((double *)numbers->values)[numbers->count++] = real;
        }
        at = behind;
    } while (next_value(&at, limit, after));
    return at;
}

/* `*after` is false wherever a run returns at the number it could not take. */
const char *json_numbers_run(struct json_numbers *numbers, const char *at, const char *limit, const char *end,
                             bool *after)
{
    *after = false;
    if (numbers->form == JSON_INTEGERS) {
        at = run_integers(numbers, at, limit, end, after);
        if (!at || *after || numbers->form == JSON_INTEGERS)
            return at;
    }
    return at < limit ? run_reals(numbers, at, limit, end, after) : at;
}
