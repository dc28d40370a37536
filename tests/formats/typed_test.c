/* SPDX-License-Identifier: MIT */
/* Typed values to the five dtypes, in place and beside: every float16, bfloat16 and byte, random others, every length around a
 * block, faults wherever they stand, under every instruction set; and the dtype that several types ask for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <math.h>
#include <cmocka.h>

#include "core/convolve.h"
#include "server/formats/json_typed.h"
#include "tests/formats/every_set.h"

enum { COUNT_MAX = 65536 };

static const char *const names[] = {"float64", "float32", "float16", "bfloat16",  "int64",
                                    "int32",   "int16",   "int8",    "uint64",    "uint32",
                                    "uint16",  "uint8",   "bool",    "complex64", "complex128"};
enum { NAMES = sizeof names / sizeof *names };

/* One part as an exact number: none needs more than 64 bits of fraction. */
static long double part_of(const struct json_typed *typed, const unsigned char *from)
{
    uint64_t word = 0;
    double real;
    float single;
    const unsigned bytes = typed->kind == TYPED_COMPLEX ? typed->bytes / 2 : typed->bytes;
    memcpy(&word, from, bytes);
    switch (typed->kind) {
    case TYPED_BOOL:
        return word != 0;
    case TYPED_UNSIGNED:
        return (long double)word;
    case TYPED_SIGNED:
        return (long double)((int64_t)(word << (64 - 8 * bytes)) >> (64 - 8 * bytes));
    case TYPED_BFLOAT16:
        word <<= 16;
        break;
    case TYPED_FLOAT:
    case TYPED_COMPLEX:
        if (bytes == 2) {
            const int exponent = (int)(word >> 10 & 31);
            const double fraction = (double)(word & 1023);
            real = exponent == 31  ? (fraction != 0 ? NAN : INFINITY)
                   : exponent == 0 ? ldexp(fraction, -24)
                                   : ldexp(1024 + fraction, exponent - 25);
            return word >> 15 ? -(long double)real : (long double)real;
        }
        break;
    }
    if (bytes == 8) {
        memcpy(&real, from, 8);
        return (long double)real;
    }
    const uint32_t bits = (uint32_t)word;
    memcpy(&single, &bits, 4);
    return (long double)single;
}

static bool same(long double a, long double b)
{
    return isnan(a) ? isnan(b) : a == b && signbit(a) == signbit(b);
}

/* What becomes of one part in a real type; false: it cannot be held. */
static enum json_typed_fault expect_part(long double value, enum convolve_dtype dtype, long double *expected)
{
    const bool single = dtype == CONVOLVE_FLOAT32 || dtype == CONVOLVE_COMPLEX64;
    *expected = value;
    if (dtype == CONVOLVE_INT64) {
        if (!isfinite(value) || value != truncl(value))
            return TYPED_NOT_INTEGRAL;
        *expected = value + 0.0L;
        return value < -0x1p63L || value >= 0x1p63L ? TYPED_BEYOND_INT64 : TYPED_FINE;
    }
    *expected = single ? (long double)(float)value : (long double)(double)value;
    return single && isinf(*expected) && isfinite(value) ? TYPED_BEYOND_FLOAT32 : TYPED_FINE;
}

static long double found_part(enum convolve_dtype dtype, const void *to, size_t index)
{
    switch (dtype) {
    case CONVOLVE_INT64:
        return (long double)((const int64_t *)to)[index];
    case CONVOLVE_FLOAT32:
    case CONVOLVE_COMPLEX64:
        return (long double)((const float *)to)[index];
    default:
        return (long double)((const double *)to)[index];
    }
}

/* Elements `from` (not changed) to `dtype`, in place and beside, against the definition. */
static void check(const struct json_typed *typed, const unsigned char *from, size_t count, enum convolve_dtype dtype)
{
    const unsigned parts = convolve_dtype_is_complex(dtype) ? 2 : 1, from_parts = typed->kind == TYPED_COMPLEX ? 2 : 1;
    const size_t bytes = convolve_dtype_bytes(dtype), larger = bytes > typed->bytes ? bytes : typed->bytes;
    size_t first = SIZE_MAX, index = SIZE_MAX;
    enum json_typed_fault fault = TYPED_FINE;
    unsigned char *place = aligned_alloc(64, (count * larger + 64) / 64 * 64);
    unsigned char *beside = aligned_alloc(64, (count * bytes + 64) / 64 * 64);
    assert_true(place != NULL && beside != NULL);
    for (size_t i = 0; i < count && first == SIZE_MAX; i++)
        for (unsigned part = 0; part < from_parts && first == SIZE_MAX; part++) {
            long double expected;
            fault = expect_part(part_of(typed, from + i * typed->bytes + part * typed->bytes / from_parts), dtype,
                                &expected);
            first = fault != TYPED_FINE ? i : SIZE_MAX;
        }
    memcpy(place, from, count * typed->bytes);
    for (unsigned way = 0; way < 2; way++) {
        unsigned char *to = way == 0 ? beside : place;
        const enum json_typed_fault found =
            json_typed_convert(typed, way == 0 ? from : place, count, dtype, to, &index);
        if (found != fault || (fault != TYPED_FINE && index != first))
            fail_msg("%s to %s, %zu elements: fault %d at %zu, expected %d at %zu", typed->name,
                     convolve_dtype_name(dtype), count, found, index, fault, first);
        for (size_t i = 0; fault == TYPED_FINE && i < count * parts; i++) {
            const size_t element = i / parts, part = i % parts;
            long double expected = 0;
            if (part < from_parts)
                expect_part(part_of(typed, from + element * typed->bytes + part * typed->bytes / from_parts), dtype,
                            &expected);
            if (dtype == CONVOLVE_INT64 && expected == 0)
                expected = 0; /* no -0 */
            if (!same(found_part(dtype, to, i), expected))
                fail_msg("%s to %s, element %zu: found %Lg, expected %Lg", typed->name, convolve_dtype_name(dtype),
                         element, found_part(dtype, to, i), expected);
        }
    }
    free(place);
    free(beside);
}

static void check_all(const struct json_typed *typed, const unsigned char *from, size_t count)
{
    for (unsigned dtype = 0; dtype < CONVOLVE_DTYPE_COUNT; dtype++)
        if (typed->kind != TYPED_COMPLEX || convolve_dtype_is_complex((enum convolve_dtype)dtype))
            check(typed, from, count, (enum convolve_dtype)dtype);
}

static uint64_t draw(void)
{
    static uint64_t state = 5;
    uint64_t z = state += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

/* All of the small types, one at a time, so that each has its own outcome. */
static void every_small_value(void **state)
{
    static const char *const small[] = {"float16", "bfloat16", "int16", "uint16", "int8", "uint8", "bool"};
    (void)state;
    unsigned char *all = malloc(COUNT_MAX * 2);
    for (size_t i = 0; i < sizeof small / sizeof *small; i++) {
        const struct json_typed *typed = json_typed_find(small[i]);
        const unsigned count = typed->bytes == 1 ? 256 : 65536;
        for (unsigned value = 0; value < count; value++)
            memcpy(all + value * typed->bytes, &value, typed->bytes);
        check_all(typed, all, count);
        for (unsigned value = 0; value < count; value += 97)
            check_all(typed, all + value * typed->bytes, 1);
    }
    free(all);
}

/* Small integers, which every type but bool holds, in every length; then random bits. */
static void lengths_and_bits(void **state)
{
    enum { LENGTH_MAX = 1100 };
    static _Alignas(64) unsigned char from[LENGTH_MAX * 16];
    (void)state;
    for (size_t n = 0; n < NAMES; n++) {
        const struct json_typed *typed = json_typed_find(names[n]);
        assert_non_null(typed);
        const unsigned bytes = typed->kind == TYPED_COMPLEX ? typed->bytes / 2 : typed->bytes;
        for (size_t i = 0; i < LENGTH_MAX * typed->bytes / bytes; i++) {
            const double real = (double)(draw() % 100);
            const float single = (float)real;
            const uint64_t integer = (uint64_t)real;
            const uint16_t half = (uint16_t)(real == 0 ? 0 : 0x3c00 + 0x400 * (int)(draw() % 6)); /* powers of two */
            uint32_t bits;
            memcpy(&bits, &single, 4);
            const uint16_t brain = (uint16_t)(bits >> 16);
            const bool fractions = typed->kind == TYPED_FLOAT || typed->kind == TYPED_COMPLEX;
            const void *value = typed->kind == TYPED_BFLOAT16 ? (const void *)&brain
                                : !fractions                  ? (const void *)&integer
                                : bytes == 8                  ? (const void *)&real
                                : bytes == 4                  ? (const void *)&single
                                                              : (const void *)&half;
            memcpy(from + i * bytes, value, bytes);
        }
        for (size_t count = 0; count < LENGTH_MAX;
             count += count < 40 || count % 512 > 500 || count % 512 < 10 ? 1 : 13)
            check_all(typed, from, count);
        for (unsigned round = 0; round < 60; round++) {
            const size_t count = 1 + draw() % LENGTH_MAX;
            for (size_t i = 0; i < count * typed->bytes; i++)
                from[i] = (unsigned char)draw();
            /* Some rounds within float32 and int64, so that values come through. */
            for (size_t i = 0; round % 2 && bytes == 8 && i < count * typed->bytes / 8; i++) {
                const double real = ldexp((double)(int64_t)draw(), (int)(draw() % 100) - 50);
                const int64_t integer = (int64_t)(draw() >> (1 + draw() % 60));
                memcpy(from + 8 * i,
                       typed->kind == TYPED_FLOAT || typed->kind == TYPED_COMPLEX ? (const void *)&real
                                                                                  : (const void *)&integer,
                       8);
            }
            check_all(typed, from, count);
        }
    }
}

/* The edges of what can be held, alone and behind others. */
static void edges(void **state)
{
    static const double reals[] = {0x1.fffffep127,
                                   0x1.fffffefffffffp127,
                                   0x1.ffffffp127,
                                   -0x1.ffffffp127,
                                   0x1p128,
                                   INFINITY,
                                   -INFINITY,
                                   NAN,
                                   0x1p63,
                                   -0x1p63,
                                   0x1.fffffffffffffp62,
                                   -0x1.0000000000001p63,
                                   0.5,
                                   -0.0,
                                   0x1p-149,
                                   0x1p-150,
                                   5e-324};
    static const uint64_t integers[] = {0,
                                        1,
                                        INT64_MAX,
                                        (uint64_t)INT64_MAX + 1,
                                        UINT64_MAX,
                                        (1ULL << 53) + 1,
                                        (1ULL << 24) + 1,
                                        0xffffff8000000000,
                                        0x7fffff4000000001};
    static unsigned char from[600 * 8];
    (void)state;
    for (size_t place = 0; place < 600; place += 511) {
        for (size_t i = 0; i < sizeof reals / sizeof *reals; i++) {
            memset(from, 0, sizeof from);
            memcpy(from + 8 * place, &reals[i], 8);
            check_all(json_typed_find("float64"), from, 600);
            check_all(json_typed_find("complex128"), from, 300);
        }
        for (size_t i = 0; i < sizeof integers / sizeof *integers; i++) {
            memset(from, 0, sizeof from);
            memcpy(from + 8 * place, &integers[i], 8);
            check_all(json_typed_find("uint64"), from, 600);
            check_all(json_typed_find("int64"), from, 600);
        }
    }
}

static void results(void **state)
{
    static const struct {
        const char *types[3];
        enum convolve_dtype expected;
    } cases[] = {
        {{NULL}, CONVOLVE_FLOAT64},
        {{"bool"}, CONVOLVE_INT64},
        {{"uint64"}, CONVOLVE_INT64},
        {{"float16"}, CONVOLVE_FLOAT32},
        {{"bfloat16"}, CONVOLVE_FLOAT32},
        {{"int8", "uint32"}, CONVOLVE_INT64},
        {{"int8", "uint64"}, CONVOLVE_FLOAT64},
        {{"bool", "uint64"}, CONVOLVE_INT64},
        {{"uint64", "int8", "float32"}, CONVOLVE_FLOAT64},
        {{"uint8", "float16"}, CONVOLVE_FLOAT32},
        {{"int16", "float32"}, CONVOLVE_FLOAT32},
        {{"int16", "uint16", "float32"}, CONVOLVE_FLOAT32},
        {{"int32", "float32"}, CONVOLVE_FLOAT64},
        {{"float32", "float64"}, CONVOLVE_FLOAT64},
        {{"complex64", "int16"}, CONVOLVE_COMPLEX64},
        {{"complex64", "int32"}, CONVOLVE_COMPLEX128},
        {{"float64", "complex64"}, CONVOLVE_COMPLEX128},
        {{"complex128", "bool"}, CONVOLVE_COMPLEX128},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct json_typed_sum sum = {.any = false};
        for (unsigned k = 0; k < 3 && cases[i].types[k]; k++)
            json_typed_add(&sum, json_typed_find(cases[i].types[k]));
        assert_int_equal(json_typed_result(&sum), cases[i].expected);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_small_value),
        cmocka_unit_test(lengths_and_bits),
        cmocka_unit_test(edges),
        cmocka_unit_test(results),
    };
    return RUN_ON_EVERY_SET(tests);
}
