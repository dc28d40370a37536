/* SPDX-License-Identifier: MIT */
/* For the tests of numbers as text: random bits, one number's text, and whether it is as short as it can be. In a header, since
 * the helpers that are linked into every test must not need the server. */
#ifndef TESTS_FORMATS_NUMBER_CHECK_H
#define TESTS_FORMATS_NUMBER_CHECK_H

#include <inttypes.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "server/formats/number_write.h"

static uint64_t random_state = 88172645463325252u;

static inline uint64_t random_bits(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

static inline double double_from_bits(uint64_t bits)
{
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static inline float float_from_bits(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* A text of ours, NUL-terminated; checks that no byte beyond NUMBER_BYTES_MAX is touched. */
struct text {
    char bytes[NUMBER_BYTES_MAX + 8];
};

static inline struct text write_text(double value, bool single)
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

static inline bool reads_back(const char *text, double value, bool single)
{
    if (single) {
        const float read = strtof(text, NULL), expected = (float)value;
        return memcmp(&read, &expected, sizeof read) == 0;
    }
    const double read = strtod(text, NULL);
    return memcmp(&read, &value, sizeof read) == 0;
}

static inline char *put_element(char *out, enum convolve_dtype dtype, double value)
{
    if (dtype == CONVOLVE_INT64)
        return number_write_int64(out, (int64_t)value);
    if (dtype == CONVOLVE_FLOAT32)
        value = (double)(float)value;
    if (!isfinite(value))
        return stpcpy(out, "null");
    return dtype == CONVOLVE_FLOAT32 ? number_write_float32(out, (float)value) : number_write_float64(out, value);
}

/* The length of the text of digits * 10^exponent, where `digits` has `count` digits and no zero at its end: the shorter of the
 * plain one and that with one digit before the point and an exponent; plain for integers below 10^16. */
static inline size_t shortest_length(int count, int exponent)
{
    char exponent_text[16];
    const int point = count + exponent; /* digits before the point */
    const int scientific = count + (count > 1) + snprintf(exponent_text, sizeof exponent_text, "e%d", point - 1);
    const int plain = exponent >= 0 ? point : point > 0 ? count + 1 : 2 - exponent;
    const bool small_integer = exponent >= 0 && point <= 16;
    return (size_t)(small_integer || plain <= scientific ? plain : scientific);
}

/* As short and as near as printf finds by trying every precision. */
static inline void check_shortest(double value, bool single)
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

#endif
