/* SPDX-License-Identifier: MIT */
/* Single numbers as text: known hard cases, and random bits against the C library's printf and strtod. */
#include <float.h>

#include "tests/formats/number_check.h"

enum { RANDOM_VALUES = 1000000, SEARCHED_VALUES = 100000 };

static void test_known_values(void **state)
{
    static const struct {
        double value;
        const char *text;
    } cases[] = {
        {0, "0"},
        {-0.0, "-0"},
        {1, "1"},
        {-1, "-1"},
        {9, "9"},
        {10, "10"},
        {255, "255"},
        {999, "999"},
        {100, "100"},
        {1000, "1000"},
        {1200, "1200"},
        {120000, "120000"},
        {100100, "100100"},
        {99999999, "99999999"},
        {100000000, "100000000"},
        {100000001, "100000001"},
        {0.5, "0.5"},
        {-0.25, "-0.25"},
        {0.1, "0.1"},
        {0.3, "0.3"},
        {0.1 + 0.2, "0.30000000000000004"},
        {1.0 / 3, "0.3333333333333333"},
        {2.0 / 3, "0.6666666666666666"},
        {100.0 / 3, "33.333333333333336"},
        {0.01, "0.01"},
        {0.012, "0.012"},
        {0.001, "1e-3"},
        {0.0012, "0.0012"},
        {0.0012345, "0.0012345"},
        {0.0012345678, "0.0012345678"},
        {0.001234567, "0.001234567"},
        {0.00012345678901, "1.2345678901e-4"},
        {1.5e-7, "1.5e-7"},
        {3.141592653589793, "3.141592653589793"},
        {123456.789, "123456.789"},
        {1e15, "1000000000000000"},
        {1e21, "1e21"},
        {1e22, "1e22"},
        {1e23, "1e23"},
        {9007199254740991, "9007199254740991"},
        {9007199254740992, "9007199254740992"},
        {9007199254740994, "9007199254740994"},
        {-9007199254740993.0, "-9007199254740992"},
        {4611686018427387904, "4611686018427388000"},
        {9223372036854775808.0, "9223372036854776000"},
        {18446744073709551616.0, "18446744073709552000"},
        {12345678901234567.0, "12345678901234568"},
        {1234567890123456.7, "1234567890123456.8"},
        {5e-324, "5e-324"},
        {-5e-324, "-5e-324"},
        {1e-323, "1e-323"},
        {2.2250738585072014e-308, "2.2250738585072014e-308"},
        {2.2250738585072009e-308, "2.225073858507201e-308"},
        {1.7976931348623157e308, "1.7976931348623157e308"},
        {-1.7976931348623157e308, "-1.7976931348623157e308"},
        {2.98023223876953125e-8, "2.9802322387695312e-8"},
        {9.5367431640625e-7, "9.5367431640625e-7"},
        {4.35, "4.35"},
        {1.7800590868057611e-307, "1.7800590868057611e-307"},
        {2.8480945388892178e-306, "2.848094538889218e-306"},
        {9.409340012568248e18, "9409340012568248000"},
        {1.2345678901234567e-100, "1.2345678901234567e-100"},
        {6.02214076e23, "6.02214076e23"},
    };
    (void)state;
    unsigned failures = 0;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct text found = write_text(cases[i].value, false);
        if (strcmp(found.bytes, cases[i].text) != 0) {
            print_error("%.17g: found %s, expected %s\n", cases[i].value, found.bytes, cases[i].text);
            failures++;
        }
    }
    assert_int_equal(failures, 0);
}

static void test_known_float32(void **state)
{
    static const struct {
        float value;
        const char *text;
    } cases[] = {
        {0.0f, "0"},
        {-0.0f, "-0"},
        {1.0f, "1"},
        {0.1f, "0.1"},
        {0.3f, "0.3"},
        {1.0f / 3, "0.33333334"},
        {16777215.0f, "16777215"},
        {16777216.0f, "16777216"},
        {33554432.0f, "33554432"},
        {8388608.5f, "8388608"},
        {8388607.5f, "8388607.5"},
        {3.4028235e38f, "3.4028235e38"},
        {1.17549435e-38f, "1.1754944e-38"},
        {1.17549421e-38f, "1.1754942e-38"},
        {1e-45f, "1e-45"},
        {-1e-45f, "-1e-45"},
        {3e-45f, "3e-45"},
        {9.8e-45f, "1e-44"},
        {1e10f, "10000000000"},
        {5e9f, "5000000000"},
        {0.001f, "1e-3"},
        {0.01f, "0.01"},
        {1.5e-7f, "1.5e-7"},
        {123456.79f, "123456.79"},
        {4.7223665e21f, "4.7223665e21"},
        {2.4414062e-4f, "2.4414062e-4"},
        {67108864.0f, "67108864"},
    };
    (void)state;
    unsigned failures = 0;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct text found = write_text((double)cases[i].value, true);
        if (strcmp(found.bytes, cases[i].text) != 0) {
            print_error("%.9g: found %s, expected %s\n", (double)cases[i].value, found.bytes, cases[i].text);
            failures++;
        }
    }
    assert_int_equal(failures, 0);
}

static void test_int64(void **state)
{
    static const int64_t around[] = {0,     1,        9,           10,         99,          100,          1000,
                                     65535, 99999999, 100000000,   4294967295, 10000000000, INT64_MAX,    INT64_MIN,
                                     -1,    -1000,    -9999999999, 1234567890, 1u << 31,    1000000000000};
    (void)state;
    for (size_t i = 0; i < sizeof around / sizeof *around + 1000000; i++) {
        const int64_t value =
            i < sizeof around / sizeof *around ? around[i] : (int64_t)random_bits() >> (random_bits() & 63);
        char found[NUMBER_BYTES_MAX + 1], expected[32];
        *number_write_int64(found, value) = 0;
        snprintf(expected, sizeof expected, "%" PRId64, value);
        assert_string_equal(found, expected);
    }
}

static void test_random_float64(void **state)
{
    (void)state;
    for (unsigned i = 0; i < RANDOM_VALUES; i++) {
        const double value = double_from_bits(random_bits());
        if (!isfinite(value))
            continue;
        const struct text found = write_text(value, false);
        if (!reads_back(found.bytes, value, false))
            fail_msg("%.17g: %s does not read back", value, found.bytes);
    }
    for (unsigned i = 0; i < SEARCHED_VALUES; i++) {
        const double value = double_from_bits(random_bits());
        if (isfinite(value))
            check_shortest(value, false);
    }
}

/* Few bits, few decimals, integers of every size, and neighbours of all of them. */
static void test_round_float64(void **state)
{
    (void)state;
    for (unsigned i = 0; i < SEARCHED_VALUES; i++) {
        double value = (double)(int64_t)(random_bits() >> (random_bits() & 63));
        if (i % 4 == 1)
            value = ldexp(value, (int)(random_bits() % 200) - 150);
        if (i % 4 == 2)
            value = (double)(random_bits() % 100000000) / pow(10, (double)(random_bits() % 12));
        if (i % 4 == 3)
            value *= pow(10, (double)(random_bits() % 40) - 20);
        check_shortest(value, false);
        check_shortest(nextafter(value, INFINITY), false);
        check_shortest(nextafter(value, -INFINITY), false);
    }
}

static void test_powers(void **state)
{
    (void)state;
    for (int power = -1074; power < 1024; power++) {
        const double value = ldexp(1, power);
        check_shortest(value, false);
        check_shortest(nextafter(value, INFINITY), false);
        check_shortest(nextafter(value, 0), false);
    }
    for (int power = -149; power < 128; power++) {
        const float value = ldexpf(1, power);
        check_shortest((double)value, true);
        check_shortest((double)nextafterf(value, INFINITY), true);
        check_shortest((double)nextafterf(value, 0), true);
    }
    for (int power = -323; power < 309; power++) {
        char text[16];
        snprintf(text, sizeof text, "1e%d", power);
        const double value = strtod(text, NULL);
        check_shortest(value, false);
        check_shortest(nextafter(value, INFINITY), false);
        check_shortest(nextafter(value, 0), false);
    }
}

static void test_random_float32(void **state)
{
    (void)state;
    for (unsigned i = 0; i < RANDOM_VALUES; i++) {
        const float value = float_from_bits((uint32_t)random_bits());
        if (!isfinite(value))
            continue;
        const struct text found = write_text((double)value, true);
        if (!reads_back(found.bytes, (double)value, true))
            fail_msg("%.9g: %s does not read back", (double)value, found.bytes);
        if (i % 10 == 0)
            check_shortest((double)value, true);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_values),   cmocka_unit_test(test_known_float32), cmocka_unit_test(test_int64),
        cmocka_unit_test(test_random_float64), cmocka_unit_test(test_round_float64), cmocka_unit_test(test_powers),
        cmocka_unit_test(test_random_float32),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
