/* SPDX-License-Identifier: MIT */
/* The numbers that most lists are made of, each decided by a few words of eight bytes and by no branch on how many digits there
 * are: integers of few digits, and reals with one digit before the point. For instruction sets without anything better. */
#include <math.h>

#include "server/formats/json_digits.h"
#include "server/formats/json_numbers_one.h"
#include "server/formats/number_read.h"

enum {
    QUICK_BYTES = 40, /* that may be read from the first byte of a number on */
    PLACES = 15, /* behind the point: with one digit before it nearly always a double */
    PLACES_LONG = 16,
    MORE_MAX = 3, /* places beyond these */
    EXPONENT_MORE_MAX = 2, /* digits behind an exponent's first */
};

/* Behind the comma at `at`, and one space behind that: by a branch, which is foretold well, so that the next number is begun
 * before this one's length is known. */
static inline const char *skip_comma(const char *at)
{
    at++;
    if (__builtin_expect(*at == ' ', 0))
        at++;
    return at;
}

/* ---- Integers ---- */

static inline __attribute__((always_inline)) const char *take_integers(const struct json_run *run, const char *at,
                                                                       bool whole)
{
    struct json_numbers *const numbers = run->numbers;
    const char *const limit = run->stretch->limit, *const end = run->stretch->end;
    const char *const last = end - at >= QUICK_BYTES ? end - QUICK_BYTES : at;
    size_t count = numbers->count;
    while (at < limit && at < last && count < numbers->capacity) {
        const bool negative = *at == '-';
        const uint64_t digits = json_load_digits(at + negative), others = json_others(digits);
        const unsigned bits = others ? (unsigned)__builtin_ctzll(others) & ~7u : 0; /* of the digits */
        const char *const behind = at + negative + bits / 8;
        const bool zero_first = (digits & 0xff) == 0 && (bits > 8 || (negative && !whole));
        if (bits == 0 || zero_first || *behind != ',')
            break;
        const int64_t integer = (int64_t)json_eight_digits(digits << (64 - bits));
        if (whole)
            ((double *)numbers->values)[count++] = json_with_sign((double)integer, negative);
        else
            ((int64_t *)numbers->values)[count++] = (integer ^ -(int64_t)negative) + negative;
        at = skip_comma(behind);
    }
    numbers->count = count;
    return at;
}

const char *json_quick_integers(const struct json_run *run, const char *at)
{
    return run->numbers->form == NUMBERS_WHOLE ? take_integers(run, at, true) : take_integers(run, at, false);
}

/* ---- Reals ---- */

/* The digits at the start of eight bytes: how many, and a mask of their bytes. */
struct some_digits {
    uint64_t digits, mask;
    unsigned count;
};

static inline struct some_digits load_some_digits(const char *at)
{
    const uint64_t digits = json_load_digits(at), others = json_others(digits);
    /* Up to the top bit of the first byte that is no digit, less that byte. */
    const uint64_t mask = others ? (others ^ (others - 1)) >> 8 : UINT64_MAX;
    const unsigned count = others ? (unsigned)__builtin_ctzll(others) / 8 : 8;
    return (struct some_digits){digits, mask, count};
}

/* digits * 10^exponent where the digits are at most 19. */
static inline bool to_real(uint64_t digits, int exponent, bool negative, double *real)
{
    if (digits <= json_exact_max && (unsigned)-exponent <= JSON_POWER_EXACT_MAX) {
        *real = json_with_sign((double)(int64_t)digits / json_real_powers[-exponent], negative);
        return true;
    }
    return number_from_digits(digits, exponent, negative, real) && !isinf(*real);
}

/* An exponent of at most three digits behind its e. NULL: it has none, or more. By branches, since exponents are mostly alike. */
static inline const char *take_exponent(const char *at, int *exponent)
{
    const bool negative = *at == '-';
    if (negative || *at == '+')
        at++;
    if (!json_is_digit(*at))
        return NULL;
    int value = *at++ - '0';
    for (unsigned more = 0; more < EXPONENT_MORE_MAX && json_is_digit(*at); more++)
        value = 10 * value + (*at++ - '0');
    *exponent += negative ? -value : value;
    return at;
}

/* d.ddd with an exponent, `some` the digits behind the point, fewer than eight. NULL: not for here. */
static inline const char *take_scientific(const char *at, struct some_digits some, bool negative, double *real)
{
    int exponent = -(int)some.count;
    const uint64_t first = (uint64_t)(*at - '0');
    const uint64_t digits = first * json_powers[some.count] + json_eight_digits(some.digits << (64 - 8 * some.count));
    at = take_exponent(at + 2 + some.count + 1, &exponent);
    return at && to_real(digits, exponent, negative, real) ? at : NULL;
}

/* d.ddd with sixteen digits and more behind the point, `some` and `next` all digits. */
static inline const char *take_long(const char *at, struct some_digits some, struct some_digits next, bool negative,
                                    double *real)
{
    const uint64_t first = (uint64_t)(*at - '0');
    const struct some_digits more = load_some_digits(at + 18);
    if (more.count > (first == 0 ? MORE_MAX : MORE_MAX - 1))
        return NULL;
    uint64_t digits = json_eight_digits(some.digits) * json_powers[8] + json_eight_digits(next.digits);
    digits += first * json_powers[PLACES_LONG];
    digits = digits * json_powers[more.count] + json_eight_digits(more.digits << (56 - 8 * more.count) << 8);
    return to_real(digits, -PLACES_LONG - (int)more.count, negative, real) ? at + 18 + more.count : NULL;
}

/* As if the digits behind the point were fifteen, zeros at the end: then all have one scale. */
static inline __attribute__((always_inline)) const char *take_real(const char *at, double *real)
{
    const bool negative = *at == '-';
    at += negative;
    if (!json_is_digit(*at) || at[1] != '.')
        return NULL;
    const struct some_digits some = load_some_digits(at + 2), next = load_some_digits(at + 10);
    const bool full = some.count == 8;
    const char *const behind = at + 2 + some.count + (full ? next.count : 0);
    double unusual = 0; /* so that `real` need not lie in memory */
    if (some.count == 0)
        return NULL;
    if (*behind != ',' || (full && next.count == 8)) {
        if (full && next.count == 8)
            at = take_long(at, some, next, negative, &unusual);
        else if (!full && (*behind | 0x20) == 'e')
            at = take_scientific(at, some, negative, &unusual);
        else
            return NULL;
        *real = unusual;
        return at;
    }
    const uint64_t next_mask = full ? next.mask : 0;
    const uint64_t digits =
        ((uint64_t)(*at - '0') * json_powers[8] + json_eight_digits(some.digits & some.mask)) * json_powers[7] +
        json_eight_digits((next.digits & next_mask) << 8);
    if (__builtin_expect(digits > json_exact_max, 0)) {
        double large = 0;
        number_from_digits(digits, -PLACES, negative, &large);
        *real = large;
        return behind;
    }
    *real = json_with_sign((double)(int64_t)digits / 1e15, negative);
    return behind;
}

static inline __attribute__((always_inline)) const char *take_reals(const struct json_run *run, const char *at,
                                                                    bool single)
{
    struct json_numbers *const numbers = run->numbers;
    const char *const limit = run->stretch->limit, *const end = run->stretch->end;
    const char *const last = end - at >= QUICK_BYTES ? end - QUICK_BYTES : at;
    size_t count = numbers->count;
    while (at < limit && at < last && count < numbers->capacity) {
        double real;
        const char *const behind = take_real(at, &real);
        if (behind == NULL || *behind != ',' || (single && isinf((float)real)))
            break;
        if (single)
            ((float *)numbers->values)[count++] = (float)real;
        else
            ((double *)numbers->values)[count++] = real;
        at = skip_comma(behind);
    }
    numbers->count = count;
    return at;
}

const char *json_quick_reals(const struct json_run *run, const char *at)
{
    return run->numbers->form == NUMBERS_FLOAT32 ? take_reals(run, at, true) : take_reals(run, at, false);
}
