/* SPDX-License-Identifier: MIT */
/* Reading numbers against strtod: known hard cases, random texts of every length, and the middles between doubles.
 * number_read_test --random MILLIONS SEED tries other random ones, as many million. */
#include <locale.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "server/formats/number_read.h"

enum { TEXT_BYTES = 2048 };

static unsigned random_texts = 1000000, middles = 100000;

static uint64_t random_state = 0x9e3779b97f4a7c15u;

static uint64_t random_bits(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

static bool same_bits(double a, double b)
{
    return memcmp(&a, &b, sizeof a) == 0;
}

/* In memory that ends where the text does, so that a sanitizer sees a read beyond. */
static double read_exactly(const char *text, size_t length)
{
    char *const copy = malloc(length);
    assert_non_null(copy);
    memcpy(copy, text, length);
    const double value = number_read_text(copy, length);
    free(copy);
    return value;
}

static void check_text(const char *text)
{
    const double expected = strtod(text, NULL);
    const double found = read_exactly(text, strlen(text));
    if (!same_bits(found, expected))
        fail_msg("%s: found %a, expected %a", text, found, expected);
}

static void test_known_texts(void **state)
{
    static const struct {
        const char *text;
        double value;
    } cases[] = {
        {"0", 0},
        {"-0", -0.0},
        {"-0.0e5", -0.0},
        {"0e999999999999999999999999", 0},
        {"0.000", 0},
        {"1", 1},
        {"-1", -1},
        {"1E2", 100},
        {"1e+2", 100},
        {"1e-2", 0.01},
        {"100e-2", 1},
        {"0.1e1", 1},
        {"9007199254740993", 0x1p53},
        {"9007199254740993.0000000000000000000000000001", 0x1.0000000000001p53},
        {"9007199254740992.9999999999999999999999999999", 0x1p53},
        {"9007199254740995", 0x1.0000000000002p53},
        {"2.2250738585072012e-308", 0x1p-1022},
        {"2.2250738585072011e-308", 0x0.fffffffffffffp-1022},
        {"4.9406564584124654e-324", 0x1p-1074},
        {"2.4703282292062327e-324", 0},
        {"2.4703282292062328e-324", 0x1p-1074},
        {"1e-400", 0},
        {"-1e-400", -0.0},
        {"1e400", INFINITY},
        {"-1e400", -INFINITY},
        {"1e309", INFINITY},
        {"1.7976931348623157e308", 0x1.fffffffffffffp1023},
        {"1.7976931348623158e308", 0x1.fffffffffffffp1023},
        {"1.7976931348623159e308", INFINITY},
        {"0.3", 0.3},
        {"18446744073709551615", 0x1p64},
        {"18446744073709551616", 0x1p64},
        {"9999999999999999999", 1e19},
        {"99999999999999999999", 1e20},
        {"7.2057594037927933e16", 0x1p56},
        {"1e23", 1e23},
        {"8.5e22", 8.5e22},
        {"1e99999999999999999999999999999999", INFINITY},
        {"1e-99999999999999999999999999999999", 0},
        {"100000000000000016777215", 0x1.52d02c7e14af7p+76},
        {"100000000000000016777216", 0x1.52d02c7e14af8p+76},
        {"6250000000000000000000000000000000000000e-41", 62.5e-3},
    };
    (void)state;
    unsigned failures = 0;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const double found = read_exactly(cases[i].text, strlen(cases[i].text));
        if (!same_bits(found, cases[i].value) || !same_bits(found, strtod(cases[i].text, NULL))) {
            print_error("%s: found %a, expected %a\n", cases[i].text, found, cases[i].value);
            failures++;
        }
    }
    assert_int_equal(failures, 0);
}

/* Zeros and exponents that cancel each other over lengths that no exponent field of 16 bits could hold. */
static void test_long_zeros(void **state)
{
    static const struct {
        const char *head;
        size_t zeros;
        const char *tail;
        double value;
    } cases[] = {
        {"0.", 100000, "1e100001", 1},
        {"1", 100000, "e-100000", 1},
        {"1.", 100000, "", 1},
        {"1.", 100000, "1", 1},
        {"9007199254740993.", 5000, "1", 0x1.0000000000001p53},
        {"9007199254740993.", 5000, "", 0x1p53},
        {"0.", 1000000, "1", 0},
        {"1", 1000000, "", INFINITY},
        {"-1", 400, "e-91", -INFINITY},
        {"5", 300, "e-324", 5e-24},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const size_t head = strlen(cases[i].head), tail = strlen(cases[i].tail);
        char *const text = malloc(head + cases[i].zeros + tail);
        assert_non_null(text);
        memcpy(text, cases[i].head, head);
        memset(text + head, '0', cases[i].zeros);
        memcpy(text + head + cases[i].zeros, cases[i].tail, tail);
        const double found = number_read_text(text, head + cases[i].zeros + tail);
        if (!same_bits(found, cases[i].value))
            fail_msg("%s, %zu zeros, %s: found %a, expected %a", cases[i].head, cases[i].zeros, cases[i].tail, found,
                     cases[i].value);
        free(text);
    }
}

/* A valid JSON number of random digits; every hundredth a long one. */
static void make_text(char *text, unsigned round)
{
    const unsigned count = 1 + (unsigned)(random_bits() % (round % 100 == 0 ? 800 : 25));
    const unsigned point = (unsigned)(random_bits() % 3 ? random_bits() % count : count);
    char *at = text;
    if (random_bits() & 1)
        *at++ = '-';
    for (unsigned i = 0; i < count; i++) {
        const bool zero_alone = i == 0 && point == 0;
        *at++ = zero_alone ? '0' : (char)('0' + (i == 0 ? 1 + random_bits() % 9 : random_bits() % 10));
        if (i == point && i + 1 < count)
            *at++ = '.';
    }
    *at = 0;
    if (random_bits() & 1)
        sprintf(at, "%c%d", random_bits() & 1 ? 'e' : 'E', (int)(random_bits() % 700) - 350);
}

static void test_random_texts(void **state)
{
    (void)state;
    for (unsigned round = 0; round < random_texts; round++) {
        char text[TEXT_BYTES];
        make_text(text, round);
        check_text(text);
    }
}

static void test_random_digits(void **state)
{
    (void)state;
    for (unsigned round = 0; round < random_texts; round++) {
        const uint64_t digits = (random_bits() >> (random_bits() % 64)) % UINT64_C(10000000000000000000);
        const int exponent = (int)(random_bits() % (round & 1 ? 60 : 800)) - (round & 1 ? 30 : 420);
        const bool negative = random_bits() & 1;
        char text[64];
        double found;
        snprintf(text, sizeof text, "%s%llue%d", negative ? "-" : "", (unsigned long long)digits, exponent);
        if (number_from_digits(digits, exponent, negative, &found) && !same_bits(found, strtod(text, NULL)))
            fail_msg("%s: found %a, expected %a", text, found, strtod(text, NULL));
    }
}

/* The exact middle between two doubles, the same with a digit more (just above) and one less (just below). */
static void test_middles(void **state)
{
    (void)state;
    for (unsigned round = 0; round < middles; round++) {
        uint64_t bits = random_bits() >> 1;
        double below, above;
        char text[TEXT_BYTES];
        if (round % 4 == 0)
            bits >>= 11; /* denormals */
        if (round % 4 == 1)
            bits = (bits >> 11) + ((uint64_t)(1023 + round % 64) << 52); /* integers, ties within 19 digits */
        memcpy(&below, &bits, sizeof below);
        above = nextafter(below, INFINITY);
        if (!isfinite(above))
            continue;
        const int length =
            snprintf(text, sizeof text, "%.*Le", round % 3 ? 780 : 1100, ((long double)below + (long double)above) / 2);
        assert_true(length > 0 && length < TEXT_BYTES);
        check_text(text);
        char *const last = strchr(text, 'e') - 1;
        *last = '1';
        check_text(text);
        char *digit = last;
        *digit = '0';
        while (*digit == '0' || *digit == '.')
            digit--;
        --*digit;
        check_text(text);
    }
}

static void test_locale(void **state)
{
    (void)state;
    /* Where the system has such a locale, its point is a comma. */
    setlocale(LC_ALL, "de_DE.UTF-8");
    const double found = number_read_text("9007199254740992.99999999999999999999", 37);
    setlocale(LC_ALL, "C");
    assert_true(found == 0x1p53);
}

int main(int count, char **arguments)
{
    const struct CMUnitTest random_tests[] = {
        cmocka_unit_test(test_random_texts),
        cmocka_unit_test(test_random_digits),
        cmocka_unit_test(test_middles),
    };
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_texts),   cmocka_unit_test(test_long_zeros), cmocka_unit_test(test_random_texts),
        cmocka_unit_test(test_random_digits), cmocka_unit_test(test_middles),    cmocka_unit_test(test_locale),
    };
    if (count > 3 && strcmp(arguments[1], "--random") == 0) {
        random_texts = 1000000 * (unsigned)atoi(arguments[2]);
        middles = random_texts / 20;
        random_state ^= strtoull(arguments[3], NULL, 10) << 20;
        return cmocka_run_group_tests(random_tests, NULL, NULL);
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
