/* SPDX-License-Identifier: MIT */
/* Every float32 there is, and many doubles: each text reads back, some are searched for a shorter one, and every instruction set
 * writes the same bytes. Without arguments a small part of them.
 * number_every_test --float32 PART PARTS: the values of one of so many parts (all take half an hour on one core)
 * number_every_test --float64 MILLIONS SEED: as many million doubles */
#include "tests/formats/number_check.h"

enum { AT_ONCE = 1 << 16, SEARCHED_EVERY = 997, TEXT_BYTES = AT_ONCE * (NUMBER_BYTES_MAX + 2) };

static union {
    float single[AT_ONCE];
    double wide[AT_ONCE];
} values;
static char expected[TEXT_BYTES], found[TEXT_BYTES];

/* The list of `values`, its numbers written one by one. */
static size_t put_list(bool single)
{
    char *end = expected;
    *end++ = '[';
    for (size_t i = 0; i < AT_ONCE; i++) {
        const double value = single ? (double)values.single[i] : values.wide[i];
        char *const begin = end;
        end = put_element(end, single ? CONVOLVE_FLOAT32 : CONVOLVE_FLOAT64, value);
        *end = 0;
        if (isfinite(value) && !reads_back(begin, value, single))
            fail_msg("%a: %s does not read back", value, begin);
        if (isfinite(value) && random_bits() % SEARCHED_EVERY == 0)
            check_shortest(value, single);
        *end++ = ',';
    }
    end[-1] = ']';
    return (size_t)(end - expected);
}

static void check_list(bool single)
{
    static const char *const sets[] = {"scalar", "avx2", "avx512", "neon"};
    const enum convolve_dtype dtype = single ? CONVOLVE_FLOAT32 : CONVOLVE_FLOAT64;
    const size_t length = put_list(single);
    for (size_t i = 0; i < sizeof sets / sizeof *sets; i++) {
        if (!convolve_simd_select(sets[i]))
            continue;
        const char *const end = number_write_flat(found, dtype, &values, 1, AT_ONCE, 0, AT_ONCE);
        if ((size_t)(end - found) != length || memcmp(found, expected, length) != 0)
            fail_msg("%s differs in the list that begins with %a", sets[i],
                     single ? (double)values.single[0] : values.wide[0]);
    }
    convolve_simd_select("auto");
}

static void check_float32(uint32_t first)
{
    for (uint32_t i = 0; i < AT_ONCE; i++)
        values.single[i] = float_from_bits(first + i);
    check_list(true);
}

/* Any bits; and what is usual: between 0 and 1, and with few decimals. */
static void check_float64(void)
{
    for (size_t i = 0; i < AT_ONCE; i++) {
        const uint64_t bits = random_bits();
        values.wide[i] = i % 4 == 0   ? (double)(bits >> 11) * 0x1p-53
                         : i % 4 == 1 ? (double)(bits >> 40) / pow(10, (double)(bits % 10))
                                      : double_from_bits(bits);
    }
    check_list(false);
}

/* The first blocks of each of 64 parts, which are those of the exponents as well. */
static void test_some_float32(void **state)
{
    (void)state;
    for (uint32_t part = 0; part < 64; part++)
        check_float32(part << 26 | (uint32_t)(random_bits() & 0x3ff) << 16);
}

static void test_some_float64(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 32; i++)
        check_float64();
}

static uint64_t part, parts = 1, millions;

static void test_float32_part(void **state)
{
    const uint64_t blocks = ((uint64_t)1 << 32) / AT_ONCE;
    (void)state;
    for (uint64_t block = blocks * part / parts; block < blocks * (part + 1) / parts; block++)
        check_float32((uint32_t)(block * AT_ONCE));
}

static void test_float64_millions(void **state)
{
    (void)state;
    for (uint64_t done = 0; done < millions * 1000000; done += AT_ONCE)
        check_float64();
}

int main(int count, char **arguments)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_some_float32), cmocka_unit_test(test_some_float64)};
    const struct CMUnitTest float32_tests[] = {cmocka_unit_test(test_float32_part)};
    const struct CMUnitTest float64_tests[] = {cmocka_unit_test(test_float64_millions)};
    if (count > 3 && strcmp(arguments[1], "--float32") == 0) {
        part = strtoull(arguments[2], NULL, 10);
        parts = strtoull(arguments[3], NULL, 10);
        if (parts == 0 || part >= parts)
            return 2;
        return cmocka_run_group_tests(float32_tests, NULL, NULL);
    }
    if (count > 3 && strcmp(arguments[1], "--float64") == 0) {
        millions = strtoull(arguments[2], NULL, 10);
        random_state ^= strtoull(arguments[3], NULL, 10) << 20;
        return cmocka_run_group_tests(float64_tests, NULL, NULL);
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
