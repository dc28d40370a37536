/* SPDX-License-Identifier: MIT */
/* Numbers of a list one by one, eight digits at a time. Whatever is not simple (20 digits, a value beyond its form, a fault of
 * syntax) is left at its first byte to the byte machine, which knows it all. */
#include <math.h>

#include "server/formats/json_digits.h"
#include "server/formats/json_numbers_one.h"
#include "server/formats/number_read.h"

enum { EXPONENT_DIGITS_MAX = 4 };

const uint64_t json_powers[JSON_DIGITS_MAX + 1] = {
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
const double json_real_powers[JSON_POWER_EXACT_MAX + 1] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                                           1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                                           1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

/* Appends the digits at `at` to *value, which may wrap around, and returns what is behind them. A byte that is no digit comes
 * before `end`. */
static inline const char *take_digits(const char *at, const char *end, uint64_t *value)
{
    while (end - at >= 8) {
        uint64_t word;
        memcpy(&word, at, 8);
        word ^= json_zeros;
        const uint64_t others = json_others(word);
        if (others == 0) {
            *value = *value * json_powers[8] + json_eight_digits(word);
            at += 8;
            continue;
        }
        const unsigned bits = (unsigned)__builtin_ctzll(others) & ~7u; /* of the digits before it, below 64 */
        const uint64_t digits = word << (56 - bits) << 8; /* zeros in front */
        *value = *value * json_powers[bits / 8] + json_eight_digits(digits);
        return at + bits / 8;
    }
    for (; json_is_digit(*at); at++)
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
    for (; json_is_digit(*at); at++) {
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
    return end - first - !point <= JSON_DIGITS_MAX;
}

/* What is behind the number at `at`, or NULL where it is not simple. */
static inline __attribute__((always_inline)) const char *scan_number(const char *at, const char *end,
                                                                     struct scanned *scanned)
{
    scanned->negative = *at == '-';
    at += scanned->negative;
    const char *first = at;
    uint64_t digits = 0;
    if (json_is_digit(*at) && at[1] == '.') { /* most reals */
        digits = (uint64_t)(*at - '0');
        at++;
    } else {
        at = take_digits(at, end, &digits);
    }
    const ptrdiff_t whole = at - first;
    scanned->exponent = 0;
    if (__builtin_expect(whole == 0 || (*first == '0' && whole > 1) || whole > JSON_DIGITS_MAX, 0))
        return NULL;
    if (*at == '.') {
        const char *point = at;
        at = take_digits(at + 1, end, &digits);
        const ptrdiff_t places = at - point - 1;
        if (__builtin_expect(places == 0 || places > INT16_MAX, 0))
            return NULL;
        if (__builtin_expect(whole + places > JSON_DIGITS_MAX, 0) && !digits_fit(first, at))
            return NULL;
        scanned->exponent = -(int)places;
    }
    scanned->digits = digits;
    if (__builtin_expect((*at | 0x20) == 'e', 0))
        return take_exponent(at + 1, &scanned->exponent);
    return at;
}

/* ---- Integers ---- */

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
        if (scanned->exponent < -JSON_DIGITS_MAX || digits % json_powers[-scanned->exponent] != 0)
            return FRACTION;
        digits /= json_powers[-scanned->exponent];
    } else if (scanned->exponent > 0 && digits != 0) {
        if (scanned->exponent > JSON_DIGITS_MAX ||
            __builtin_mul_overflow(digits, json_powers[scanned->exponent], &digits))
            return UNKNOWN;
    }
    if (digits > INT64_MAX)
        return UNKNOWN;
    *integer = scanned->negative ? -(int64_t)digits : (int64_t)digits;
    return FITS;
}

static inline bool scanned_to_real(const struct scanned *scanned, double *real)
{
    if (scanned->digits <= json_exact_max && (unsigned)-scanned->exponent <= JSON_POWER_EXACT_MAX) {
        *real =
            json_with_sign((double)(int64_t)scanned->digits / json_real_powers[-scanned->exponent], scanned->negative);
        return true;
    }
    return number_from_digits(scanned->digits, scanned->exponent, scanned->negative, real) && !isinf(*real);
}

/* A fraction, or an integer that float64 does not hold, ends the whole numbers. */
static inline enum json_stop append_whole(struct json_numbers *numbers, const struct scanned *scanned)
{
    int64_t integer = (int64_t)scanned->digits;
    if (__builtin_expect(scanned->exponent != 0 || scanned->digits > json_exact_max, 0)) {
        const enum fit fit = scanned_to_integer(scanned, &integer);
        if (fit == UNKNOWN)
            return STOP_VALUE;
        if (fit == FRACTION) {
            numbers->inexact_index = numbers->count;
            numbers->inexact_kind = JSON_NUMBER_FRACTION;
            json_numbers_to_float64(numbers);
            return STOP_FORM;
        }
        integer = scanned->negative ? -integer : integer;
        if ((uint64_t)integer > json_exact_max) {
            json_numbers_to_int64(numbers);
            return STOP_FORM;
        }
    }
    ((double *)numbers->values)[numbers->count++] = json_with_sign((double)integer, scanned->negative);
    return STOP_COUNT;
}

static inline enum json_stop append_int64(struct json_numbers *numbers, const struct scanned *scanned)
{
    int64_t integer;
    switch (scanned_to_integer(scanned, &integer)) {
    case UNKNOWN:
        return STOP_VALUE;
    case FRACTION:
        numbers->inexact_index = numbers->count;
        numbers->inexact_kind = JSON_NUMBER_FRACTION;
        json_numbers_to_float64(numbers);
        return STOP_FORM;
    case FITS:
        break;
    }
    if (__builtin_expect(integer == 0 && scanned->negative, 0)) {
        numbers->negative_zero = true;
        integer = INT64_MIN;
    }
    ((int64_t *)numbers->values)[numbers->count++] = integer;
    return STOP_COUNT;
}

static inline __attribute__((always_inline)) enum json_stop run_integers(struct json_run *run, const char **place,
                                                                         bool whole)
{
    struct json_numbers *numbers = run->numbers;
    const char *at = *place, *limit = run->stretch->limit;
    bool after = false;
    size_t wanted;
    if (__builtin_add_overflow(numbers->count, run->budget, &wanted))
        wanted = SIZE_MAX;
    if (!json_run_room(run, at, 1))
        return STOP_MEMORY;
    do {
        struct scanned scanned;
        const char *behind;
        if (run->budget == SIZE_MAX)
            at = json_quick_integers(run, at);
        *place = at = json_skip_space(at, limit);
        if (at >= limit)
            return STOP_VALUE;
        behind = scan_number(at, run->stretch->end, &scanned);
        if (!behind)
            return STOP_VALUE;
        if (__builtin_expect(numbers->count == numbers->capacity, 0) && !json_run_room(run, at, 1))
            return STOP_MEMORY;
        const enum json_stop stop = whole ? append_whole(numbers, &scanned) : append_int64(numbers, &scanned);
        if (stop != STOP_COUNT)
            return stop;
        *place = at = behind;
        if (numbers->count >= wanted)
            return STOP_COUNT;
    } while (json_next_value(&at, limit, &after));
    *place = at;
    return after ? STOP_AFTER : STOP_VALUE;
}

/* ---- Reals ---- */

static enum json_stop run_reals(struct json_run *run, const char **place)
{
    struct json_numbers *numbers = run->numbers;
    const bool single = numbers->form == NUMBERS_FLOAT32;
    const char *at = *place, *limit = run->stretch->limit;
    bool after = false;
    size_t wanted;
    if (__builtin_add_overflow(numbers->count, run->budget, &wanted))
        wanted = SIZE_MAX;
    if (!json_run_room(run, at, 1))
        return STOP_MEMORY;
    do {
        struct scanned scanned;
        double real;
        if (run->budget == SIZE_MAX)
            at = json_quick_reals(run, at);
        *place = at = json_skip_space(at, limit);
        if (at >= limit)
            return STOP_VALUE;
        const char *behind = scan_number(at, run->stretch->end, &scanned);
        if (!behind || !scanned_to_real(&scanned, &real))
            return STOP_VALUE;
        if (__builtin_expect(numbers->count == numbers->capacity, 0) && !json_run_room(run, at, 1))
            return STOP_MEMORY;
        if (single) {
            const float value = (float)real;
            if (isinf(value) && numbers->beyond_float32_index == SIZE_MAX)
                numbers->beyond_float32_index = numbers->count;
            ((float *)numbers->values)[numbers->count++] = value;
        } else {
            ((double *)numbers->values)[numbers->count++] = real;
        }
        *place = at = behind;
        if (numbers->count >= wanted)
            return STOP_COUNT;
    } while (json_next_value(&at, limit, &after));
    *place = at;
    return after ? STOP_AFTER : STOP_VALUE;
}

enum json_stop json_numbers_one_by_one(struct json_run *run, const char **place)
{
    enum json_stop stop;
    do {
        if (run->numbers->form == NUMBERS_WHOLE)
            stop = run_integers(run, place, true);
        else if (run->numbers->form == NUMBERS_INT64)
            stop = run_integers(run, place, false);
        else
            stop = run_reals(run, place);
    } while (stop == STOP_FORM);
    return stop;
}
