/* SPDX-License-Identifier: MIT */
/* The fast way for "number, number, number". Here one by one, eight digits at a time; long stretches side by side, by the
 * routines of the instruction set in use (simd/read.h). Whatever is not simple (20 digits, a value beyond its form, a fault of
 * syntax) is left at its first byte to the byte machine, which knows it all. */
#include "server/formats/json_numbers.h"

#include <math.h>
#include <string.h>

#include "server/formats/number_read.h"

enum {
    DIGITS_MAX = 19,
    EXPONENT_DIGITS_MAX = 4,
    POWER_EXACT_MAX = 22,
    GUESS_COUNT_MIN = 256, /* numbers, before the rest is foretold from them */
    SIDE_BY_SIDE_BYTES_MIN = 192,
    BUDGET_MIN = 4,
    BUDGET_MAX = 64,
};

static const uint64_t exact_max = (uint64_t)1 << 53; /* all integers up to it are doubles */

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

/* What stopped numbers from being taken one by one. */
enum stop {
    STOP_COUNT, /* as many as wanted: behind a number */
    STOP_VALUE, /* at a value that is not for here, or that may be cut */
    STOP_AFTER, /* behind a number that no comma follows */
    STOP_MEMORY,
    STOP_FORM, /* at a value that has changed the form */
};

struct run {
    struct json_numbers *numbers;
    const struct json_stretch *stretch;
    const char *began; /* where this run did */
    size_t budget; /* how many to take one by one before the others are tried again */
};

/* How many numbers are likely to follow `at`, by how densely they stood so far; 0: who knows. */
static size_t guess_more(const struct run *run, const char *at)
{
    const struct json_numbers *numbers = run->numbers;
    if (numbers->count < GUESS_COUNT_MIN)
        return 0;
    const double left = (double)run->stretch->left + (double)(run->stretch->end - at);
    const double taken = (double)numbers->text_taken + (double)(at - run->began);
    const double more = left * (double)numbers->count / taken * 1.01;
    return (size_t)(more < left / 2 ? more : left / 2) + NUMBER_READ_ROOM;
}

static bool make_room(const struct run *run, const char *at, size_t count)
{
    return json_numbers_reserve(run->numbers, count, guess_more(run, at));
}

/* ---- Integers one by one ---- */

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

/* Signs come at random: by arithmetic, not by a branch. */
static inline double with_sign(double magnitude, bool negative)
{
    uint64_t bits;
    double real;
    memcpy(&bits, &magnitude, sizeof bits);
    bits |= (uint64_t)negative << 63;
    memcpy(&real, &bits, sizeof real);
    return real;
}

static inline bool scanned_to_real(const struct scanned *scanned, double *real)
{
    if (scanned->digits <= exact_max && (unsigned)-scanned->exponent <= POWER_EXACT_MAX) {
        *real = with_sign((double)(int64_t)scanned->digits / real_powers[-scanned->exponent], scanned->negative);
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
static inline __attribute__((always_inline)) const char *run_small_integers(const struct run *run, const char *at,
                                                                            bool whole)
{
    struct json_numbers *numbers = run->numbers;
    const char *limit = run->stretch->limit, *end = run->stretch->end;
    const char *last = end - at >= 8 ? end - 8 : at; /* before it nine bytes may be read */
    size_t count = numbers->count;
    while (at < limit && at < last && count < numbers->capacity) {
        uint64_t word;
        memcpy(&word, at, 8);
        const uint64_t digits = word ^ 0x3030303030303030;
        const uint64_t others = (digits | (digits + 0x7676767676767676)) & 0x8080808080808080;
        const unsigned bits = others ? (unsigned)__builtin_ctzll(others) & ~7u : 0; /* of the digits */
        const bool zero_first = (digits & 0xff) == 0 && bits > 8;
        if (bits == 0 || zero_first || (word >> bits & 0xff) != ',')
            break;
        const int64_t integer = (int64_t)eight_digits_value(digits << (64 - bits));
        if (whole)
            ((double *)numbers->values)[count++] = (double)integer;
        else
            ((int64_t *)numbers->values)[count++] = integer;
        at += bits / 8 + 1;
        if (*at == ' ')
            at++;
    }
    numbers->count = count;
    return at;
}
#else
static const char *run_small_integers(const struct run *run, const char *at, bool whole)
{
    (void)run, (void)whole;
    return at;
}
#endif

/* A fraction, or an integer that float64 does not hold, ends the whole numbers. */
static inline enum stop append_whole(struct json_numbers *numbers, const struct scanned *scanned)
{
    int64_t integer = (int64_t)scanned->digits;
    if (__builtin_expect(scanned->exponent != 0 || scanned->digits > exact_max, 0)) {
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
        if ((uint64_t)integer > exact_max) {
            json_numbers_to_int64(numbers);
            return STOP_FORM;
        }
    }
    ((double *)numbers->values)[numbers->count++] = with_sign((double)integer, scanned->negative);
    return STOP_COUNT;
}

static inline enum stop append_int64(struct json_numbers *numbers, const struct scanned *scanned)
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

static inline __attribute__((always_inline)) enum stop run_integers(struct run *run, const char **place, bool whole)
{
    struct json_numbers *numbers = run->numbers;
    const char *at = *place, *limit = run->stretch->limit;
    bool after = false;
    size_t wanted;
    if (__builtin_add_overflow(numbers->count, run->budget, &wanted))
        wanted = SIZE_MAX;
    if (!make_room(run, at, 1))
        return STOP_MEMORY;
    do {
        struct scanned scanned;
        const char *behind;
        if (run->budget == SIZE_MAX)
            at = run_small_integers(run, at, whole);
        *place = at = skip_space(at, limit);
        if (at >= limit)
            return STOP_VALUE;
        behind = scan_number(at, run->stretch->end, &scanned);
        if (!behind)
            return STOP_VALUE;
        if (__builtin_expect(numbers->count == numbers->capacity, 0) && !make_room(run, at, 1))
            return STOP_MEMORY;
        const enum stop stop = whole ? append_whole(numbers, &scanned) : append_int64(numbers, &scanned);
        if (stop != STOP_COUNT)
            return stop;
        *place = at = behind;
        if (numbers->count >= wanted)
            return STOP_COUNT;
    } while (next_value(&at, limit, &after));
    *place = at;
    return after ? STOP_AFTER : STOP_VALUE;
}

/* ---- Reals one by one ---- */

static enum stop run_reals(struct run *run, const char **place)
{
    struct json_numbers *numbers = run->numbers;
    const bool single = numbers->form == NUMBERS_FLOAT32;
    const char *at = *place, *limit = run->stretch->limit;
    bool after = false;
    size_t wanted;
    if (__builtin_add_overflow(numbers->count, run->budget, &wanted))
        wanted = SIZE_MAX;
    do {
        struct scanned scanned;
        double real;
        *place = at;
        const char *behind = scan_number(at, run->stretch->end, &scanned);
        if (!behind || !scanned_to_real(&scanned, &real))
            return STOP_VALUE;
        if (__builtin_expect(numbers->count == numbers->capacity, 0) && !make_room(run, at, 1))
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
    } while (next_value(&at, limit, &after));
    *place = at;
    return after ? STOP_AFTER : STOP_VALUE;
}

static enum stop run_one_by_one(struct run *run, const char **place)
{
    enum stop stop;
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

/* ---- Side by side ---- */

/* False: the list, or one that holds it, has more items than the shape allows. */
static bool rows_to_reading(struct number_reading *reading, const struct json_rows *rows)
{
    reading->axes = rows->depth;
    for (unsigned axis = 0; axis < rows->depth; axis++) {
        const bool inner = axis + 1 == rows->depth;
        if (rows->size_known[axis] && rows->index[axis] + !inner > rows->size[axis])
            return false;
        reading->size[axis] = rows->size_known[axis] ? rows->size[axis] : SIZE_MAX;
        reading->left[axis] = reading->size[axis] - (rows->size_known[axis] ? rows->index[axis] : 0);
    }
    return true;
}

/* `count` numbers more, in lists as long as the shape has them. */
static void rows_advance(struct json_rows *rows, size_t count)
{
    unsigned axis = rows->depth - 1;
    rows->index[axis] += count;
    if (!rows->size_known[axis] || rows->index[axis] <= rows->size[axis])
        return;
    size_t ended = (rows->index[axis] - 1) / rows->size[axis]; /* the last list is full, perhaps, but open */
    rows->index[axis] -= ended * rows->size[axis];
    while (ended > 0 && axis-- > 0) {
        rows->index[axis] += ended;
        ended = 0;
        if (rows->size_known[axis]) {
            ended = rows->index[axis] / rows->size[axis];
            rows->index[axis] %= rows->size[axis];
        }
    }
}

/* From behind a number to behind a number. NULL: no memory. */
static const char *run_side_by_side(const struct run *run, number_read_run *read, struct json_rows *rows,
                                    const char *at)
{
    struct json_numbers *numbers = run->numbers;
    struct number_reading reading;
    do {
        reading = (struct number_reading){.end = run->stretch->end, .axes = 1, .left = {SIZE_MAX}, .size = {SIZE_MAX}};
        if (rows && !rows_to_reading(&reading, rows))
            return at;
        const size_t room = NUMBER_READ_ROOM_FOR((size_t)(run->stretch->end - at));
        if (!make_room(run, at, room < NUMBER_READ_ROOM ? room : NUMBER_READ_ROOM))
            return NULL;
        reading.values = numbers->values;
        reading.count = numbers->count;
        reading.room = numbers->capacity;
        reading.form = numbers->form;
        reading.beyond_index = numbers->beyond_float32_index;
        at = read(&reading, at);
        if (reading.form != numbers->form) {
            numbers->inexact_index = reading.fraction_index;
            numbers->inexact_kind = JSON_NUMBER_FRACTION;
            numbers->form = reading.form;
        }
        if (rows)
            rows_advance(rows, reading.count - numbers->count);
        numbers->negative_zero |= reading.negative_zero;
        numbers->beyond_float32_index = reading.beyond_index;
        numbers->count = reading.count;
    } while (reading.full);
    return at;
}

const char *json_numbers_run(struct json_numbers *numbers, struct json_rows *rows, const struct json_stretch *stretch,
                             const char *at, bool *after)
{
    struct run run = {numbers, stretch, at, SIZE_MAX};
    number_read_run *read = NULL;
    *after = false;
    if (stretch->end - at >= SIDE_BY_SIDE_BYTES_MIN && (read = number_reader()->run))
        run.budget = BUDGET_MIN;
    for (;;) {
        const size_t before = numbers->count;
        const enum stop stop = run_one_by_one(&run, &at);
        if (rows)
            rows->index[rows->depth - 1] += numbers->count - before;
        *after = stop == STOP_AFTER;
        if (stop == STOP_MEMORY)
            return NULL;
        if (stop != STOP_COUNT)
            break;
        if (at - stretch->begin >= NUMBER_READ_BEHIND && stretch->end - at >= NUMBER_READ_AHEAD) {
            const size_t here = numbers->count;
            at = run_side_by_side(&run, read, rows, at);
            if (!at)
                return NULL;
            /* Where little is regular, the others are not tried so often. */
            if (numbers->count - here >= BUDGET_MAX)
                run.budget = BUDGET_MIN;
            else if (run.budget < BUDGET_MAX)
                run.budget *= 2;
        }
        if (stretch->end - at < NUMBER_READ_AHEAD)
            run.budget = SIZE_MAX;
        if (!next_value(&at, stretch->limit, after))
            break;
    }
    numbers->text_taken += (uint64_t)(at - run.began);
    return at;
}
