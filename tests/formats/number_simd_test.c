/* SPDX-License-Identifier: MIT */
/* Every instruction set writes arrays as number_write.c writes each number: values of every kind, alone and mixed, in every count
 * up to several batches, in rows of every length. */
#include <inttypes.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "core/convolve.h"
#include "server/formats/number_write.h"

enum { COUNT_MAX = 150, TEXT_BYTES = COUNT_MAX * (NUMBER_BYTES_MAX + 16), ROUNDS = 30000 };

static uint64_t random_state = 0x2545f4914f6cdd1du;

static uint64_t random_bits(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

static double from_bits(uint64_t bits)
{
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

enum { KINDS = 12 };

static double random_value(unsigned kind)
{
    const double sign = random_bits() & 1 ? -1 : 1;
    const uint64_t bits = random_bits();
    switch (kind) {
    case 0: /* anything */
        return from_bits(bits);
    case 1: /* integers of every size */
        return sign * (double)(bits >> (random_bits() & 63));
    case 2: /* few decimals */
        return sign * (double)(bits % 100000000) / pow(10, (double)(random_bits() % 12));
    case 3: /* few bits */
        return sign * ldexp((double)(bits % 4096), (int)(random_bits() % 80) - 40);
    case 4:
        return sign * (double)(bits >> 11) * 0x1p-53;
    case 5: /* many zeros of either sign */
        return bits % 3 ? sign * 0 : (double)(bits >> 11) * 0x1p-53;
    case 6:
        return sign * (double)(bits % 100000);
    case 7: /* around 10^8, where integers stop being written as such, and 2^24 */
        return sign * ((bits & 1 ? 1e8 : 0x1p24) + (double)(random_bits() % 8) - 4);
    case 8: /* powers of two, denormals among them, and what is no number */
        return bits % 5 ? sign * ldexp(1, (int)(random_bits() % 2098) - 1074) : sign * (bits % 2 ? NAN : INFINITY);
    case 9: /* round in decimal */
        return sign * (double)(1 + bits % 1000) * pow(10, (double)(random_bits() % 640) - 330);
    case 10: /* thousands */
        return sign * (double)(bits % 1000) * 1000;
    default: /* denormals of float32 */
        return sign * ldexp((double)(bits % (1u << 24)), -149);
    }
}

static void fill_values(enum convolve_dtype dtype, void *values, size_t count, unsigned round)
{
    const unsigned one_kind = (unsigned)(random_bits() % KINDS);
    for (size_t i = 0; i < count; i++) {
        const double value = random_value(round % 4 == 0 ? (unsigned)(random_bits() % KINDS) : one_kind);
        const uint32_t bits = (uint32_t)random_bits();
        if (dtype == CONVOLVE_FLOAT64)
            ((double *)values)[i] = value;
        else if (dtype == CONVOLVE_FLOAT32)
            ((float *)values)[i] = (float)value;
        else
            ((int64_t *)values)[i] = fabs(value) < 0x1p62 ? (int64_t)value : (int64_t)random_bits();
        if (dtype == CONVOLVE_FLOAT32 && one_kind == 0)
            memcpy((float *)values + i, &bits, sizeof bits);
    }
}

static char *put_one(char *out, enum convolve_dtype dtype, const void *values, size_t i)
{
    if (dtype == CONVOLVE_INT64)
        return number_write_int64(out, ((const int64_t *)values)[i]);
    if (dtype == CONVOLVE_FLOAT32) {
        const float value = ((const float *)values)[i];
        return isfinite(value) ? number_write_float32(out, value) : stpcpy(out, "null");
    }
    const double value = ((const double *)values)[i];
    return isfinite(value) ? number_write_float64(out, value) : stpcpy(out, "null");
}

/* A matrix, number by number. */
static void put_rows(char *out, enum convolve_dtype dtype, const void *values, size_t rows, size_t columns)
{
    *out++ = '[';
    for (size_t i = 0; i < rows * columns; i++) {
        if (i % columns == 0)
            *out++ = '[';
        out = put_one(out, dtype, values, i);
        if (i % columns == columns - 1)
            *out++ = ']';
        if (i + 1 < rows * columns)
            *out++ = ',';
    }
    strcpy(out, "]");
}

static void check_instruction_set(const char *name)
{
    static char expected[TEXT_BYTES];
    for (unsigned round = 0; round < ROUNDS; round++) {
        const enum convolve_dtype dtype = (enum convolve_dtype)(round % 3);
        const size_t columns = 1 + random_bits() % (round % 2 ? 5 : COUNT_MAX);
        const size_t rows = 1 + random_bits() % (COUNT_MAX / columns);
        const size_t count = rows * columns, room = count * (NUMBER_BYTES_MAX + 4);
        const struct convolve_shape shape = {2, {rows, columns}};
        const size_t bytes = convolve_dtype_bytes(dtype);
        /* Exactly as much memory as is read and promised, for the sanitizers. */
        void *const values = malloc(count * bytes);
        char *const found = malloc(room + 1);
        assert_true(values != NULL && found != NULL);
        fill_values(dtype, values, count, round);
        put_rows(expected, dtype, values, rows, columns);
        memset(found, '#', room + 1);
        char *const end = number_write_nested(found, dtype, values, &shape, 0, count);
        assert_true(end <= found + room && found[room] == '#');
        *end = 0;
        if (strcmp(found, expected) != 0) {
            size_t at = 0;
            while (found[at] == expected[at])
                at++;
            at = at > 20 ? at - 20 : 0;
            fail_msg("%s, %s, %zu x %zu: found ...%.60s, expected ...%.60s", name, convolve_dtype_name(dtype), rows,
                     columns, found + at, expected + at);
        }
        free(values);
        free(found);
    }
}

static void check_named(const char *name)
{
    if (!convolve_simd_select(name))
        skip();
    check_instruction_set(name);
    convolve_simd_select("auto");
}

static void test_scalar(void **state)
{
    (void)state;
    check_named("scalar");
}

static void test_avx2(void **state)
{
    (void)state;
    check_named("avx2");
}

static void test_avx512(void **state)
{
    (void)state;
    check_named("avx512");
}

static void test_neon(void **state)
{
    (void)state;
    check_named("neon");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scalar),
        cmocka_unit_test(test_avx2),
        cmocka_unit_test(test_avx512),
        cmocka_unit_test(test_neon),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
