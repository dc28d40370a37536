/* SPDX-License-Identifier: MIT */
/* Typed bytes by value, a block at a time through a small buffer, so that they can become what they are to be where they lie. What
 * is asked for most, the same type on both sides, is no work at all. */
#include "server/formats/json_typed.h"

#include <math.h>
#include <string.h>

static const struct json_typed types[] = {
    {"float64", TYPED_FLOAT, 8, TYPED_FROM_FLOAT64},      {"float32", TYPED_FLOAT, 4, TYPED_FROM_FLOAT32},
    {"int64", TYPED_SIGNED, 8, TYPED_FROM_INT64},         {"complex128", TYPED_COMPLEX, 16, TYPED_FROM_FLOAT64},
    {"complex64", TYPED_COMPLEX, 8, TYPED_FROM_FLOAT32},  {"bool", TYPED_BOOL, 1, TYPED_FROM_BOOL},
    {"int8", TYPED_SIGNED, 1, TYPED_FROM_INT8},           {"int16", TYPED_SIGNED, 2, TYPED_FROM_INT16},
    {"int32", TYPED_SIGNED, 4, TYPED_FROM_INT32},         {"uint8", TYPED_UNSIGNED, 1, TYPED_FROM_UINT8},
    {"uint16", TYPED_UNSIGNED, 2, TYPED_FROM_UINT16},     {"uint32", TYPED_UNSIGNED, 4, TYPED_FROM_UINT32},
    {"uint64", TYPED_UNSIGNED, 8, TYPED_FROM_UINT64},     {"float16", TYPED_FLOAT, 2, TYPED_FROM_FLOAT16},
    {"bfloat16", TYPED_BFLOAT16, 2, TYPED_FROM_BFLOAT16},
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

/* ---- Blocks ---- */

enum { BLOCK = 512, PARTS = 2 /* of a complex element */ };

/* The parts of one block, on their way. `real` has room for what each becomes. */
struct block {
    _Alignas(64) unsigned char from[BLOCK * PARTS * sizeof(double)];
    _Alignas(64) unsigned char real[BLOCK * PARTS * sizeof(double)];
};

/* Values with fractions to int64; on a fault *index is the first. */
static enum json_typed_fault to_int64(const double *from, size_t count, int64_t *to, size_t *index)
{
    for (size_t i = 0; i < count; i++) {
        *index = i;
        if (!isfinite(from[i]) || from[i] != trunc(from[i]))
            return TYPED_NOT_INTEGRAL;
        if (from[i] < -0x1p63 || from[i] >= 0x1p63)
            return TYPED_BEYOND_INT64;
        to[i] = (int64_t)from[i];
    }
    return TYPED_FINE;
}

/* Which element a block could not be converted for: only these two conversions have any. */
static enum json_typed_fault find_beyond(const void *from, size_t count, enum typed_target target, size_t *index)
{
    const uint64_t *const integers = from;
    const double *const reals = from;
    for (*index = 0; *index + 1 < count; ++*index)
        if (target == TYPED_TO_INT64 ? integers[*index] > INT64_MAX
                                     : isinf((float)reals[*index]) && !isinf(reals[*index]))
            break;
    return target == TYPED_TO_INT64 ? TYPED_BEYOND_INT64 : TYPED_BEYOND_FLOAT32;
}

/* `count` parts of block->from to one of the three real types. */
static enum json_typed_fault convert_parts(struct block *block, enum typed_source source, size_t count,
                                           enum typed_target target, void *to, size_t *index)
{
    const struct typed_blocks *routines = typed_blocks();
    if (routines->convert[source][target])
        return routines->convert[source][target](block->from, to, count)
                   ? TYPED_FINE
                   : find_beyond(block->from, count, target, index);
    routines->convert[source][TYPED_TO_FLOAT64](block->from, block->real, count);
    return to_int64((const double *)(const void *)block->real, count, to, index);
}

/* Real values to complex ones without an imaginary part. */
static void add_zeros(const unsigned char *real, size_t count, size_t part_bytes, unsigned char *to)
{
    memset(to, 0, PARTS * count * part_bytes);
    for (size_t i = 0; i < count; i++)
        memcpy(to + PARTS * i * part_bytes, real + i * part_bytes, part_bytes);
}

static enum json_typed_fault convert_block(struct block *block, const struct json_typed *typed, size_t count,
                                           enum convolve_dtype dtype, void *to, size_t *index)
{
    static const enum typed_target targets[CONVOLVE_DTYPE_COUNT] = {
        [CONVOLVE_FLOAT64] = TYPED_TO_FLOAT64,   [CONVOLVE_FLOAT32] = TYPED_TO_FLOAT32,
        [CONVOLVE_INT64] = TYPED_TO_INT64,       [CONVOLVE_COMPLEX128] = TYPED_TO_FLOAT64,
        [CONVOLVE_COMPLEX64] = TYPED_TO_FLOAT32,
    };
    enum json_typed_fault fault;
    if (typed->kind == TYPED_COMPLEX) {
        fault = convert_parts(block, typed->source, PARTS * count, targets[dtype], to, index);
        *index /= PARTS;
        return fault;
    }
    if (!convolve_dtype_is_complex(dtype))
        return convert_parts(block, typed->source, count, targets[dtype], to, index);
    fault = convert_parts(block, typed->source, count, targets[dtype], block->real, index);
    add_zeros(block->real, count, convolve_dtype_bytes(dtype) / PARTS, to);
    return fault;
}

enum json_typed_fault json_typed_convert(const struct json_typed *typed, const unsigned char *from, size_t count,
                                         enum convolve_dtype dtype, void *to, size_t *index)
{
    const size_t bytes = convolve_dtype_bytes(dtype), blocks = (count + BLOCK - 1) / BLOCK;
    if (strcmp(typed->name, convolve_dtype_name(dtype)) == 0) {
        if (to != from)
            memcpy(to, from, count * bytes);
        return TYPED_FINE;
    }
    /* In place, wider elements are written from the end, so that none is overwritten before it is read; the first fault is then
     * the last one found. */
    const bool backwards = bytes > typed->bytes;
    enum json_typed_fault fault = TYPED_FINE;
    struct block block;
    for (size_t i = 0; i < blocks; i++) {
        const size_t at = (backwards ? blocks - 1 - i : i) * BLOCK;
        const size_t there = count - at < BLOCK ? count - at : BLOCK;
        size_t place = 0;
        memcpy(block.from, from + at * typed->bytes, there * typed->bytes);
        const enum json_typed_fault found =
            convert_block(&block, typed, there, dtype, (unsigned char *)to + at * bytes, &place);
        if (found == TYPED_FINE)
            continue;
        fault = found;
        *index = at + place;
        if (!backwards)
            break;
    }
    return fault;
}
