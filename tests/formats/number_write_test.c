/* SPDX-License-Identifier: MIT */
/* Numbers as text: known hard cases, random bits against the C library's printf and strtod, and arrays in every cut. With
 * --all-float32 as its argument, every one of the 2^32 values instead (half an hour on one core). */
#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "server/formats/number_write.h"

enum { RANDOM_VALUES = 1000000, SEARCHED_VALUES = 100000 };

static uint64_t random_state = 88172645463325252u;

static uint64_t random_bits(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

static double double_from_bits(uint64_t bits)
{
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static float float_from_bits(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* A text of ours, NUL-terminated; checks that no byte beyond NUMBER_BYTES_MAX is touched. */
struct text {
    char bytes[NUMBER_BYTES_MAX + 8];
};

static struct text write_text(double value, bool single)
{
    struct text text;
    memset(text.bytes, '#', sizeof text.bytes);
    char *end = single ? number_write_float32(text.bytes, (float)value) : number_write_float64(text.bytes, value);
    assert_true(end > text.bytes && end < text.bytes + NUMBER_BYTES_MAX);
    for (size_t i = NUMBER_BYTES_MAX; i < sizeof text.bytes; i++)
        assert_int_equal(text.bytes[i], '#');
    *end = 0;
    return text;
}

static bool reads_back(const char *text, double value, bool single)
{
    if (single) {
        const float read = strtof(text, NULL), expected = (float)value;
        return memcmp(&read, &expected, sizeof read) == 0;
    }
    const double read = strtod(text, NULL);
    return memcmp(&read, &value, sizeof read) == 0;
}

/* ---- Single numbers ------------------------------------------------------------------------------------------- */

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

/* The length of the text of digits * 10^exponent, where `digits` has `count` digits and no zero at its end: the shorter of the
 * plain one and that with one digit before the point and an exponent; plain for integers below 10^16. */
static size_t shortest_length(int count, int exponent)
{
    char exponent_text[16];
    const int point = count + exponent; /* digits before the point */
    const int scientific = count + (count > 1) + snprintf(exponent_text, sizeof exponent_text, "e%d", point - 1);
    const int plain = exponent >= 0 ? point : point > 0 ? count + 1 : 2 - exponent;
    const bool small_integer = exponent >= 0 && point <= 16;
    return (size_t)(small_integer || plain <= scientific ? plain : scientific);
}

/* As short and as near as printf finds by trying every precision. */
static void check_shortest(double value, bool single)
{
    const struct text found = write_text(value, single);
    if (!reads_back(found.bytes, value, single))
        fail_msg("%.17g: %s does not read back", value, found.bytes);
    if (value == 0)
        return;
    char tried[64];
    int precision = 0;
    do
        snprintf(tried, sizeof tried, "%.*e", precision, value);
    while (!reads_back(tried, value, single) && ++precision < 17);
    const int exponent = atoi(strchr(tried, 'e') + 1) - precision;
    const size_t length = shortest_length(precision + 1, exponent) + (signbit(value) != 0);
    int power;
    const bool narrow = frexp(fabs(value), &power) == 0.5;
    /* After a power of two the nearest short decimal may lie outside while one farther away is inside. */
    if (strlen(found.bytes) > length || (!narrow && strlen(found.bytes) != length))
        fail_msg("%.17g: found %s, length %zu expected, as %s", value, found.bytes, length, tried);
    if (!narrow && fabs(strtod(tried, NULL) - strtod(found.bytes, NULL)) > 0)
        fail_msg("%.17g: found %s, nearer is %s", value, found.bytes, tried);
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

/* ---- Arrays --------------------------------------------------------------------------------------------------- */

static double element_of(enum convolve_dtype dtype, size_t index)
{
    static const double values[] = {1, -2.5, NAN, 0, 1e300, 12, -INFINITY, 0.125, -0.0, 1e-5, 123456.75};
    static const double integers[] = {1, -2, 0, 1000, -123456789, 7};
    return dtype == CONVOLVE_INT64 ? integers[index % 6] : values[index % 11];
}

static void fill_elements(enum convolve_dtype dtype, void *values, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const double value = element_of(dtype, i);
        if (dtype == CONVOLVE_FLOAT64)
            ((double *)values)[i] = value;
        else if (dtype == CONVOLVE_FLOAT32)
            ((float *)values)[i] = (float)value;
        else
            ((int64_t *)values)[i] = (int64_t)value;
    }
}

static char *put_element(char *out, enum convolve_dtype dtype, double value)
{
    if (dtype == CONVOLVE_INT64)
        return number_write_int64(out, (int64_t)value);
    if (dtype == CONVOLVE_FLOAT32)
        value = (double)(float)value;
    if (!isfinite(value))
        return stpcpy(out, "null");
    return dtype == CONVOLVE_FLOAT32 ? number_write_float32(out, (float)value) : number_write_float64(out, value);
}

/* What the nested text must be, by recursion over the axes. */
static char *put_nested(char *out, enum convolve_dtype dtype, const struct convolve_shape *shape, unsigned axis,
                        size_t *index)
{
    if (axis == shape->rank)
        return put_element(out, dtype, element_of(dtype, (*index)++));
    *out++ = '[';
    for (size_t i = 0; i < shape->size[axis]; i++) {
        if (i > 0)
            *out++ = ',';
        out = put_nested(out, dtype, shape, axis + 1, index);
    }
    *out++ = ']';
    return out;
}

/* One piece, appended to `text`; exactly as much memory as the header promises to suffice. */
static size_t append_piece(char *text, size_t length, enum convolve_dtype dtype, const void *values,
                           const struct convolve_shape *shape, size_t begin, size_t end)
{
    const size_t bytes = (end - begin) * (NUMBER_BYTES_MAX + 2 * shape->rank);
    char *const piece = malloc(bytes + 1);
    assert_non_null(piece);
    piece[bytes] = '#';
    const size_t written = (size_t)(number_write_nested(piece, dtype, values, shape, begin, end) - piece);
    assert_true(written <= bytes && piece[bytes] == '#');
    memcpy(text + length, piece, written);
    free(piece);
    return length + written;
}

static void check_nested(enum convolve_dtype dtype, const struct convolve_shape *shape)
{
    static double values[512];
    static char expected[16384], found[16384];
    size_t count, index = 0;
    assert_true(convolve_shape_count(shape, &count) && count <= 512);
    fill_elements(dtype, values, count);
    *put_nested(expected, dtype, shape, 0, &index) = 0;
    for (size_t first = 0; first <= count; first++) {
        for (size_t second = first; second <= count; second += count > 40 ? 7 : 1) {
            size_t length = append_piece(found, 0, dtype, values, shape, 0, first);
            length = append_piece(found, length, dtype, values, shape, first, second);
            length = append_piece(found, length, dtype, values, shape, second, count);
            found[length] = 0;
            if (strcmp(found, expected) != 0)
                fail_msg("rank %u, cut at %zu and %zu: found %s, expected %s", shape->rank, first, second, found,
                         expected);
        }
    }
}

static void test_nested(void **state)
{
    static const struct convolve_shape shapes[] = {
        {0, {0}},
        {1, {1}},
        {1, {2}},
        {1, {11}},
        {1, {40}},
        {2, {1, 1}},
        {2, {3, 4}},
        {2, {4, 3}},
        {2, {1, 5}},
        {2, {5, 1}},
        {2, {2, 20}},
        {3, {2, 3, 4}},
        {3, {1, 1, 1}},
        {3, {2, 1, 3}},
        {4, {2, 2, 2, 2}},
        {8, {1, 1, 1, 1, 1, 1, 1, 1}},
        {8, {1, 2, 1, 2, 1, 2, 1, 2}},
        {2, {10, 33}},
    };
    (void)state;
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        for (unsigned dtype = CONVOLVE_FLOAT64; dtype <= CONVOLVE_INT64; dtype++)
            check_nested((enum convolve_dtype)dtype, &shapes[i]);
}

static void test_nested_empty(void **state)
{
    static const struct convolve_shape shapes[] = {{1, {0}}, {2, {3, 0}}, {2, {0, 3}}};
    (void)state;
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        char text[8];
        *number_write_nested(text, CONVOLVE_FLOAT64, NULL, &shapes[i], 0, 0) = 0;
        assert_string_equal(text, "[]");
    }
}

static void check_flat(enum convolve_dtype dtype, size_t pitch, size_t count)
{
    double values[64];
    char expected[4096], found[4096], *end = expected;
    fill_elements(dtype, values, count * pitch);
    *end++ = '[';
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            *end++ = ',';
        end = put_element(end, dtype, element_of(dtype, i * pitch));
    }
    strcpy(end, "]");
    for (size_t first = 0; first <= count; first++)
        for (size_t second = first; second <= count; second++) {
            end = number_write_flat(found, dtype, values, pitch, count, 0, first);
            if (count > 0) {
                end = number_write_flat(end, dtype, values, pitch, count, first, second);
                end = number_write_flat(end, dtype, values, pitch, count, second, count);
            }
            *end = 0;
            assert_string_equal(found, expected);
        }
}

static void test_flat(void **state)
{
    (void)state;
    for (unsigned dtype = CONVOLVE_FLOAT64; dtype <= CONVOLVE_INT64; dtype++)
        for (size_t pitch = 1; pitch <= 2; pitch++)
            for (size_t count = 0; count <= 25; count++)
                check_flat((enum convolve_dtype)dtype, pitch, count);
}

/* ---- All float32 ---------------------------------------------------------------------------------------------- */

enum { ALL_AT_ONCE = 1 << 16 };

/* Each by itself, and the same bytes from every instruction set. */
static bool check_run(const float *values, const char *expected, size_t length)
{
    static const char *const instruction_sets[] = {"scalar", "avx2", "avx512", "neon"};
    static char found[ALL_AT_ONCE * (NUMBER_BYTES_MAX + 2)];
    for (size_t i = 0; i < sizeof instruction_sets / sizeof *instruction_sets; i++) {
        if (!convolve_simd_select(instruction_sets[i]))
            continue;
        const char *const end = number_write_flat(found, CONVOLVE_FLOAT32, values, 1, ALL_AT_ONCE, 0, ALL_AT_ONCE);
        if ((size_t)(end - found) != length || memcmp(found, expected, length) != 0) {
            printf("%s differs after %.9g\n", instruction_sets[i], (double)values[0]);
            return false;
        }
    }
    return true;
}

static int check_all_float32(void)
{
    static char expected[ALL_AT_ONCE * (NUMBER_BYTES_MAX + 2)];
    static float values[ALL_AT_ONCE];
    for (uint64_t first = 0; first <= UINT32_MAX; first += ALL_AT_ONCE) {
        char *end = expected;
        *end++ = '[';
        for (uint64_t i = 0; i < ALL_AT_ONCE; i++) {
            const float value = values[i] = float_from_bits((uint32_t)(first + i));
            char *const begin = end;
            end = put_element(end, CONVOLVE_FLOAT32, (double)value);
            *end = 0;
            if (isfinite(value) && !reads_back(begin, (double)value, true)) {
                printf("0x%08" PRIx64 ": %s does not read back\n", first + i, begin);
                return 1;
            }
            if (isfinite(value) && (first + i) % 997 == 0)
                check_shortest((double)value, true);
            *end++ = ',';
        }
        end[-1] = ']';
        if (!check_run(values, expected, (size_t)(end - expected)))
            return 1;
        if (first % (1u << 28) == 0)
            fprintf(stderr, "%" PRIu64 " of 16\n", first >> 28);
    }
    return 0;
}

int main(int count, char **arguments)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_values),   cmocka_unit_test(test_known_float32),
        cmocka_unit_test(test_int64),          cmocka_unit_test(test_random_float64),
        cmocka_unit_test(test_round_float64),  cmocka_unit_test(test_powers),
        cmocka_unit_test(test_random_float32), cmocka_unit_test(test_nested),
        cmocka_unit_test(test_nested_empty),   cmocka_unit_test(test_flat),
    };
    if (count > 1 && strcmp(arguments[1], "--all-float32") == 0)
        return check_all_float32();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
