/* SPDX-License-Identifier: MIT */
/* Typed bytes by value. One element at a time through the widest type of its kind: this is not where time goes, since the bytes
 * came as base64. What is asked for most, the same type on both sides, is a copy. */
#include "server/formats/json_typed.h"

#include <math.h>
#include <string.h>

static const struct json_typed types[] = {
    {"float64", TYPED_FLOAT, 8},       {"float32", TYPED_FLOAT, 4},     {"int64", TYPED_SIGNED, 8},
    {"complex128", TYPED_COMPLEX, 16}, {"complex64", TYPED_COMPLEX, 8}, {"bool", TYPED_BOOL, 1},
    {"int8", TYPED_SIGNED, 1},         {"int16", TYPED_SIGNED, 2},      {"int32", TYPED_SIGNED, 4},
    {"uint8", TYPED_UNSIGNED, 1},      {"uint16", TYPED_UNSIGNED, 2},   {"uint32", TYPED_UNSIGNED, 4},
    {"uint64", TYPED_UNSIGNED, 8},     {"float16", TYPED_FLOAT, 2},     {"bfloat16", TYPED_BFLOAT16, 2},
};

const struct json_typed *json_typed_find(const char *name)
{
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        if (strcmp(types[i].name, name) == 0)
            return &types[i];
    }
    return NULL;
}

const char *json_typed_names(void)
{
    return "float64, float32, float16, bfloat16, int64, int32, int16, int8, uint64, uint32, uint16, uint8, bool, "
           "complex128, complex64";
}

void json_typed_add(struct json_typed_sum *sum, const struct json_typed *typed)
{
    /* float16 holds a byte, float32 two, float64 counts as enough for more. */
    const unsigned integer_bits = typed->bytes == 1 ? 16 : typed->bytes == 2 ? 32 : 64;
    const bool complex = typed->kind == TYPED_COMPLEX;
    const bool real = complex || typed->kind == TYPED_FLOAT || typed->kind == TYPED_BFLOAT16;
    const unsigned bits = real ? 8 * typed->bytes / (complex ? 2 : 1) : integer_bits;
    sum->any = true;
    sum->real |= real;
    sum->complex |= complex;
    sum->unsigned64 |= typed->kind == TYPED_UNSIGNED && typed->bytes == 8;
    sum->negative |= typed->kind == TYPED_SIGNED;
    sum->bits = bits > sum->bits ? bits : sum->bits;
}

enum convolve_dtype json_typed_result(const struct json_typed_sum *sum)
{
    if (!sum->any || (!sum->real && sum->unsigned64 && sum->negative))
        return CONVOLVE_FLOAT64;
    if (!sum->real)
        return CONVOLVE_INT64;
    if (sum->complex)
        return sum->bits <= 32 ? CONVOLVE_COMPLEX64 : CONVOLVE_COMPLEX128;
    return sum->bits <= 32 ? CONVOLVE_FLOAT32 : CONVOLVE_FLOAT64;
}

/* One element as read: an integer (`wide` where it is beyond int64) or a real number, and the imaginary part. */
struct element {
    bool integral, wide;
    int64_t integer;
    double real, imag;
};

static uint64_t load_word(const unsigned char *from, unsigned bytes)
{
    uint64_t word = 0;
    for (unsigned i = 0; i < bytes; i++)
        word |= (uint64_t)from[i] << (8 * i);
    return word;
}

static double load_float16(unsigned half)
{
    const unsigned exponent = half >> 10 & 31, fraction = half & 1023;
    double value;
    if (exponent == 31)
        value = fraction ? NAN : INFINITY;
    else if (exponent == 0)
        value = ldexp(fraction, -24);
    else
        value = ldexp(1024 + fraction, (int)exponent - 25);
    return half >> 15 ? -value : value;
}

static double load_float(const unsigned char *from, unsigned bytes)
{
    const uint64_t word = load_word(from, bytes);
    if (bytes == 2)
        return load_float16((unsigned)word);
    if (bytes == 4) {
        const uint32_t bits = (uint32_t)word;
        float value;
        memcpy(&value, &bits, sizeof value);
        return value;
    }
    double value;
    memcpy(&value, &word, sizeof value);
    return value;
}

static struct element load_element(const struct json_typed *typed, const unsigned char *from)
{
    struct element element = {0};
    const uint64_t word = load_word(from, typed->bytes < 8 ? typed->bytes : 8);
    const unsigned unused = 64 - 8 * (typed->bytes < 8 ? typed->bytes : 8);
    switch (typed->kind) {
    case TYPED_BOOL:
        element = (struct element){.integral = true, .integer = word != 0, .real = word != 0};
        break;
    case TYPED_SIGNED:
        element.integral = true;
        element.integer = (int64_t)(word << unused) >> unused;
        element.real = (double)element.integer;
        break;
    case TYPED_UNSIGNED:
        element.integral = true;
        element.wide = word > INT64_MAX;
        element.integer = (int64_t)word;
        element.real = (double)word;
        break;
    case TYPED_FLOAT:
        element.real = load_float(from, typed->bytes);
        break;
    case TYPED_BFLOAT16: {
        const uint32_t bits = (uint32_t)word << 16;
        float value;
        memcpy(&value, &bits, sizeof value);
        element.real = value;
        break;
    }
    case TYPED_COMPLEX:
        element.real = load_float(from, typed->bytes / 2);
        element.imag = load_float(from + typed->bytes / 2, typed->bytes / 2);
        break;
    }
    return element;
}

static enum json_typed_fault store_int64(const struct element *element, unsigned char *to)
{
    int64_t integer = element->integer;
    if (!element->integral) {
        if (!isfinite(element->real) || element->real != trunc(element->real))
            return TYPED_NOT_INTEGRAL;
        if (element->real < -0x1p63 || element->real >= 0x1p63)
            return TYPED_BEYOND_INT64;
        integer = (int64_t)element->real;
    } else if (element->wide) {
        return TYPED_BEYOND_INT64;
    }
    memcpy(to, &integer, sizeof integer);
    return TYPED_FINE;
}

static enum json_typed_fault store_float32(double real, unsigned char *to)
{
    const float single = (float)real;
    memcpy(to, &single, sizeof single);
    return isinf(single) && !isinf(real) ? TYPED_BEYOND_FLOAT32 : TYPED_FINE;
}

static enum json_typed_fault store_element(const struct element *element, enum convolve_dtype dtype, unsigned char *to)
{
    enum json_typed_fault fault;
    switch (dtype) {
    case CONVOLVE_INT64:
        return store_int64(element, to);
    case CONVOLVE_FLOAT32:
        return store_float32(element->real, to);
    case CONVOLVE_COMPLEX64:
        fault = store_float32(element->real, to);
        return fault != TYPED_FINE ? fault : store_float32(element->imag, to + sizeof(float));
    case CONVOLVE_COMPLEX128:
        memcpy(to + sizeof(double), &element->imag, sizeof(double));
        memcpy(to, &element->real, sizeof(double));
        return TYPED_FINE;
    default:
        memcpy(to, &element->real, sizeof(double));
        return TYPED_FINE;
    }
}

enum json_typed_fault json_typed_convert(const struct json_typed *typed, const unsigned char *from, size_t count,
                                         enum convolve_dtype dtype, void *to, size_t *index)
{
    const size_t bytes = convolve_dtype_bytes(dtype);
    if (strcmp(typed->name, convolve_dtype_name(dtype)) == 0) {
        if (to != from)
            memcpy(to, from, count * bytes);
        return TYPED_FINE;
    }
    /* In place, wider elements are written from the end, so that none is overwritten before it is read; the first fault is then
     * the last one found. */
    const bool backwards = bytes > typed->bytes;
    enum json_typed_fault fault = TYPED_FINE;
    for (size_t i = 0; i < count; i++) {
        const size_t at = backwards ? count - 1 - i : i;
        const struct element element = load_element(typed, from + at * typed->bytes);
        const enum json_typed_fault found = store_element(&element, dtype, (unsigned char *)to + at * bytes);
        if (found == TYPED_FINE)
            continue;
        fault = found;
        *index = at;
        if (!backwards)
            break;
    }
    return fault;
}
