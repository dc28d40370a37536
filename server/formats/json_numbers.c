/* SPDX-License-Identifier: MIT */
/* One number by its text, and the growing list of numbers in its three forms. The fast way in is json_numbers_run.c. */
#include "server/formats/json_numbers.h"

#include <math.h>
#include <string.h>

#include "server/formats/number_read.h"

enum { FIRST_CAPACITY = 32, DIGITS_EXACT_MAX = 19, EXPONENT_MAX = 1 << 28, TRIM_MIN = 1 << 12 };

/* ---- One number ---- */

/* A number's text as digits * 10^exponent: no zeros at either end of the digits but for 0 itself. The digits are those from
 * `first` to `last` with perhaps a point among them. */
struct decimal {
    bool negative;
    const char *first, *last; /* the outermost digits that are not 0; NULL: the number is 0 */
    size_t digit_count; /* from first to last */
    int64_t exponent; /* of the digit at last */
};

static int64_t read_exponent(const char *at, const char *end)
{
    int64_t exponent = 0;
    const bool negative = *at == '-';
    at += *at == '-' || *at == '+';
    for (; at < end; at++) {
        if (exponent < EXPONENT_MAX)
            exponent = exponent * 10 + (*at - '0');
    }
    return negative ? -exponent : exponent;
}

static struct decimal read_decimal(const char *text, size_t count)
{
    struct decimal decimal = {.negative = *text == '-'};
    const char *end = text + count, *point = NULL, *at = text + decimal.negative;
    size_t zeros = 0; /* since the last digit that is not 0 */
    size_t after_point = 0, last_after_point = 0;
    size_t whole = 0, last_whole = 0;
    for (; at < end && (*at | 0x20) != 'e'; at++) {
        if (*at == '.') {
            point = at;
            continue;
        }
        if (point)
            after_point++;
        else
            whole++;
        if (*at == '0') {
            zeros++;
            continue;
        }
        decimal.digit_count = decimal.first ? decimal.digit_count + zeros + 1 : 1;
        decimal.first = decimal.first ? decimal.first : at;
        decimal.last = at;
        zeros = 0;
        last_after_point = after_point;
        last_whole = whole;
    }
    decimal.exponent = point && last_after_point ? -(int64_t)last_after_point : (int64_t)(whole - last_whole);
    if (at < end)
        decimal.exponent += read_exponent(at + 1, end);
    return decimal;
}

/* The digits as an integer, at most 19 of them. */
static uint64_t decimal_digits(const struct decimal *decimal)
{
    uint64_t digits = 0;
    for (const char *at = decimal->first; at <= decimal->last; at++) {
        if (*at != '.')
            digits = digits * 10 + (uint64_t)(*at - '0');
    }
    return digits;
}

/* The exponent is not negative. */
static bool decimal_to_int64(const struct decimal *decimal, int64_t *integer)
{
    if (decimal->exponent + (int64_t)decimal->digit_count > DIGITS_EXACT_MAX)
        return false;
    uint64_t magnitude = decimal_digits(decimal);
    for (int64_t i = 0; i < decimal->exponent; i++)
        magnitude *= 10;
    if (magnitude > (uint64_t)INT64_MAX + decimal->negative)
        return false;
    *integer = (int64_t)(decimal->negative ? -magnitude : magnitude);
    return true;
}

struct json_number json_number_parse(const char *text, size_t count)
{
    const struct decimal decimal = read_decimal(text, count);
    struct json_number number = {JSON_NUMBER_INTEGER, 0, decimal.negative ? -0.0 : 0.0};
    if (!decimal.first)
        return number;
    if (decimal.exponent >= 0) {
        if (decimal_to_int64(&decimal, &number.integer)) {
            number.real = (double)number.integer;
            return number;
        }
        number.kind = JSON_NUMBER_BEYOND_INT64;
    } else {
        number.kind = JSON_NUMBER_FRACTION;
    }
    if (decimal.digit_count > DIGITS_EXACT_MAX ||
        !number_from_digits(decimal_digits(&decimal), decimal.exponent, decimal.negative, &number.real))
        number.real = number_read_text(text, count);
    if (isinf(number.real))
        number.kind = JSON_NUMBER_BEYOND_DOUBLE;
    return number;
}

/* ---- The list ---- */

void json_numbers_init(struct json_numbers *numbers, struct arena *arena, enum number_form form)
{
    *numbers = (struct json_numbers){.arena = arena,
                                     .form = form,
                                     .null_index = SIZE_MAX,
                                     .inexact_index = SIZE_MAX,
                                     .beyond_float32_index = SIZE_MAX};
}

void json_numbers_discard(struct json_numbers *numbers)
{
    arena_block_free(numbers->arena, numbers->values);
    arena_block_free(numbers->arena, numbers->minimums);
    json_numbers_init(numbers, numbers->arena, numbers->form);
}

static size_t element_bytes(const struct json_numbers *numbers)
{
    return numbers->form == NUMBERS_FLOAT32 ? sizeof(float) : sizeof(double);
}

/* `expected`: how many there will probably be. */
static bool set_capacity(struct json_numbers *numbers, size_t capacity, size_t expected)
{
    size_t bytes, expected_bytes;
    if (__builtin_mul_overflow(capacity, element_bytes(numbers), &bytes))
        return false;
    if (__builtin_mul_overflow(expected, element_bytes(numbers), &expected_bytes))
        expected_bytes = 0;
    void *values = arena_block_grow(numbers->arena, numbers->values, bytes, expected_bytes);
    if (!values)
        return false;
    numbers->values = values;
    numbers->capacity = capacity;
    return true;
}

bool json_numbers_reserve(struct json_numbers *numbers, size_t count, size_t expected)
{
    size_t needed, grown;
    if (__builtin_add_overflow(numbers->count, count, &needed))
        return false;
    if (needed <= numbers->capacity)
        return true;
    if (__builtin_add_overflow(numbers->count, expected, &expected))
        expected = 0;
    /* Large blocks grow without a copy: by a quarter, so that little is charged that has not come. */
    const size_t more = numbers->capacity < (1 << 16) ? numbers->capacity : numbers->capacity / 4;
    if (__builtin_add_overflow(numbers->capacity, more, &grown))
        return false;
    grown = grown > expected && expected > needed ? expected : grown;
    grown = grown < FIRST_CAPACITY ? FIRST_CAPACITY : grown;
    return set_capacity(numbers, grown < needed ? needed : grown, expected);
}

void json_numbers_trim(struct json_numbers *numbers)
{
    if (numbers->capacity - numbers->count >= TRIM_MIN && numbers->count > 0)
        set_capacity(numbers, numbers->count, 0); /* a block that cannot shrink stays as it is */
}

static bool note_minimum(struct json_numbers *numbers)
{
    if (numbers->minimum_count == numbers->minimum_capacity) {
        size_t capacity, bytes;
        if (__builtin_mul_overflow(numbers->minimum_capacity, 2, &capacity))
            return false;
        capacity = capacity < 16 ? 16 : capacity;
        if (__builtin_mul_overflow(capacity, sizeof *numbers->minimums, &bytes))
            return false;
        size_t *minimums = arena_block_resize(numbers->arena, numbers->minimums, bytes);
        if (!minimums)
            return false;
        numbers->minimums = minimums;
        numbers->minimum_capacity = capacity;
    }
    numbers->minimums[numbers->minimum_count++] = numbers->count;
    return true;
}

static bool append_integer(struct json_numbers *numbers, int64_t integer, bool negative_zero)
{
    if (negative_zero) {
        numbers->negative_zero = true;
        integer = INT64_MIN;
    } else if (integer == INT64_MIN && !note_minimum(numbers)) {
        return false;
    }
    ((int64_t *)numbers->values)[numbers->count++] = integer;
    return true;
}

static bool is_beyond_exact(int64_t integer)
{
    const int64_t exact = (int64_t)1 << JSON_INTEGER_EXACT_MAX_BITS;
    return integer > exact || integer < -exact;
}

static void append_float32(struct json_numbers *numbers, double real)
{
    const float single = (float)real;
    if (isinf(single) && numbers->beyond_float32_index == SIZE_MAX)
        numbers->beyond_float32_index = numbers->count;
    ((float *)numbers->values)[numbers->count++] = single;
}

bool json_numbers_append(struct json_numbers *numbers, const struct json_number *number)
{
    const bool null = number->kind == JSON_NUMBER_NULL;
    if (!json_numbers_reserve(numbers, 1, 0))
        return false;
    if (null && numbers->null_index == SIZE_MAX)
        numbers->null_index = numbers->count;
    if (numbers->form == NUMBERS_WHOLE && number->kind == JSON_NUMBER_INTEGER && is_beyond_exact(number->integer))
        json_numbers_to_int64(numbers);
    if (numbers->form == NUMBERS_INT64 && number->kind == JSON_NUMBER_INTEGER)
        return append_integer(numbers, number->integer, number->integer == 0 && signbit(number->real));
    if (numbers->form == NUMBERS_INT64 || (numbers->form == NUMBERS_WHOLE && number->kind != JSON_NUMBER_INTEGER)) {
        numbers->inexact_index = numbers->count;
        numbers->inexact_kind = number->kind;
        json_numbers_to_float64(numbers);
    }
    const double real = null ? NAN : number->real;
    if (numbers->form == NUMBERS_FLOAT32)
        append_float32(numbers, real);
    else
        ((double *)numbers->values)[numbers->count++] = real;
    return true;
}

/* Elements of both types are copied, since either may be what the memory holds. */
void json_numbers_to_int64(struct json_numbers *numbers)
{
    char *bytes = numbers->values;
    bool negative_zero = false;
    for (size_t i = 0; i < numbers->count; i++) {
        double real;
        memcpy(&real, bytes + i * sizeof real, sizeof real);
        const bool minus_zero = real == 0 && signbit(real);
        const int64_t integer = minus_zero ? INT64_MIN : (int64_t)real;
        negative_zero |= minus_zero;
        memcpy(bytes + i * sizeof integer, &integer, sizeof integer);
    }
    numbers->negative_zero = negative_zero;
    numbers->form = NUMBERS_INT64;
}

void json_numbers_to_float64(struct json_numbers *numbers)
{
    char *bytes = numbers->values;
    for (size_t i = 0; i < numbers->count && numbers->form == NUMBERS_INT64; i++) {
        int64_t integer;
        memcpy(&integer, bytes + i * sizeof integer, sizeof integer);
        const double real = integer == INT64_MIN ? -0.0 : (double)integer;
        memcpy(bytes + i * sizeof real, &real, sizeof real);
    }
    for (size_t i = 0; i < numbers->minimum_count; i++) {
        const double minimum = (double)INT64_MIN;
        memcpy(bytes + numbers->minimums[i] * sizeof minimum, &minimum, sizeof minimum);
    }
    arena_block_free(numbers->arena, numbers->minimums);
    numbers->minimums = NULL;
    numbers->minimum_count = numbers->minimum_capacity = 0;
    numbers->form = NUMBERS_FLOAT64;
}

void json_numbers_settle_integers(struct json_numbers *numbers)
{
    if (!numbers->negative_zero)
        return;
    int64_t *integers = numbers->values;
    for (size_t i = 0; i < numbers->count; i++)
        integers[i] = integers[i] == INT64_MIN ? 0 : integers[i];
    for (size_t i = 0; i < numbers->minimum_count; i++)
        integers[numbers->minimums[i]] = INT64_MIN;
    numbers->negative_zero = false;
}
