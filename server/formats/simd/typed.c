/* SPDX-License-Identifier: MIT */
/* Loops plain enough for the compiler to turn into vectors of each instruction set. */
#include "server/formats/simd/typed.h"

#include <float.h>
#include <stdint.h>
#include <string.h>

#define DEFINE_CONVERT(name, from_type, to_type)                                                                       \
    static bool name(const void *restrict from_bytes, void *restrict to_bytes, size_t count)                           \
    {                                                                                                                  \
        const from_type *restrict from = from_bytes;                                                                   \
        to_type *restrict to = to_bytes;                                                                               \
        for (size_t i = 0; i < count; i++)                                                                             \
            to[i] = (to_type)from[i];                                                                                  \
        return true;                                                                                                   \
    }

/* From an integer type to each of the three. */
#define DEFINE_INTEGER(name, type)                                                                                     \
    DEFINE_CONVERT(name##_to_float64, type, double)                                                                    \
    DEFINE_CONVERT(name##_to_float32, type, float)                                                                     \
    DEFINE_CONVERT(name##_to_int64, type, int64_t)

DEFINE_INTEGER(int64, int64_t)
DEFINE_INTEGER(int32, int32_t)
DEFINE_INTEGER(int16, int16_t)
DEFINE_INTEGER(int8, int8_t)
DEFINE_INTEGER(uint32, uint32_t)
DEFINE_INTEGER(uint16, uint16_t)
DEFINE_INTEGER(uint8, uint8_t)
DEFINE_CONVERT(uint64_to_float64, uint64_t, double)
DEFINE_CONVERT(uint64_to_float32, uint64_t, float)
DEFINE_CONVERT(float64_to_float64, double, double)
DEFINE_CONVERT(float32_to_float32, float, float)
DEFINE_CONVERT(float32_to_float64, float, double)

static bool uint64_to_int64(const void *restrict from_bytes, void *restrict to_bytes, size_t count)
{
    const uint64_t *restrict from = from_bytes;
    uint64_t *restrict to = to_bytes;
    uint64_t all = 0;
    for (size_t i = 0; i < count; i++) {
        all |= from[i];
        to[i] = from[i];
    }
    return all >> 63 == 0;
}

static bool float64_to_float32(const void *restrict from_bytes, void *restrict to_bytes, size_t count)
{
    const double *restrict from = from_bytes;
    float *restrict to = to_bytes;
    int64_t beyond = 0;
    for (size_t i = 0; i < count; i++) {
        const double size = __builtin_fabs(from[i]);
        /* Halfway between the largest float32 and the next that there would be rounds away. */
        beyond |= (int64_t)(size >= 0x1.ffffffp127) & (int64_t)(size <= DBL_MAX);
        to[i] = (float)from[i];
    }
    return beyond == 0;
}

/* Numbers with a full exponent by moving the fields and scaling; the smallest, which have none, by an addition that puts their digits
 * at the end of a number of known exponent (Maratyszcza, FP16). */
static inline float read_float16(uint16_t half)
{
    const uint32_t word = (uint32_t)half << 16, sign = word & 0x80000000u, doubled = word + word;
    const uint32_t normal_bits = (doubled >> 4) + ((uint32_t)0xe0 << 23), small_bits = (doubled >> 17) | (126u << 23);
    float normal, small, value;
    memcpy(&normal, &normal_bits, sizeof normal);
    memcpy(&small, &small_bits, sizeof small);
    normal *= 0x1p-112f;
    small -= 0.5f;
    uint32_t normal_result, small_result;
    memcpy(&normal_result, &normal, sizeof normal);
    memcpy(&small_result, &small, sizeof small);
    const uint32_t bits = sign | (doubled < (1u << 27) ? small_result : normal_result);
    memcpy(&value, &bits, sizeof value);
    return value;
}

static inline float read_bfloat16(uint16_t half)
{
    const uint32_t bits = (uint32_t)half << 16;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static inline int read_bool(uint8_t byte)
{
    return byte != 0;
}

#define DEFINE_READ(name, from_type, to_type, read)                                                                    \
    static bool name(const void *restrict from_bytes, void *restrict to_bytes, size_t count)                           \
    {                                                                                                                  \
        const from_type *restrict from = from_bytes;                                                                   \
        to_type *restrict to = to_bytes;                                                                               \
        for (size_t i = 0; i < count; i++)                                                                             \
            to[i] = (to_type)read(from[i]);                                                                            \
        return true;                                                                                                   \
    }

DEFINE_READ(float16_to_float64, uint16_t, double, read_float16)
DEFINE_READ(float16_to_float32, uint16_t, float, read_float16)
DEFINE_READ(bfloat16_to_float64, uint16_t, double, read_bfloat16)
DEFINE_READ(bfloat16_to_float32, uint16_t, float, read_bfloat16)
DEFINE_READ(bool_to_float64, uint8_t, double, read_bool)
DEFINE_READ(bool_to_float32, uint8_t, float, read_bool)
DEFINE_READ(bool_to_int64, uint8_t, int64_t, read_bool)

#define WITH_ISA_AGAIN(name, isa) name##_##isa
#define WITH_ISA(name, isa)       WITH_ISA_AGAIN(name, isa)
#define TEXT_AGAIN(text)          #text
#define TEXT(text)                TEXT_AGAIN(text)

#define INTEGER_ROW(name)                                                                                              \
    {                                                                                                                  \
        name##_to_float64, name##_to_float32, name##_to_int64                                                          \
    }

const struct typed_blocks WITH_ISA(typed_blocks, ISA) = {
    TEXT(ISA),
    {
        [TYPED_FROM_FLOAT64] = {float64_to_float64, float64_to_float32, NULL},
        [TYPED_FROM_FLOAT32] = {float32_to_float64, float32_to_float32, NULL},
        [TYPED_FROM_FLOAT16] = {float16_to_float64, float16_to_float32, NULL},
        [TYPED_FROM_BFLOAT16] = {bfloat16_to_float64, bfloat16_to_float32, NULL},
        [TYPED_FROM_INT64] = INTEGER_ROW(int64),
        [TYPED_FROM_INT32] = INTEGER_ROW(int32),
        [TYPED_FROM_INT16] = INTEGER_ROW(int16),
        [TYPED_FROM_INT8] = INTEGER_ROW(int8),
        [TYPED_FROM_UINT64] = INTEGER_ROW(uint64),
        [TYPED_FROM_UINT32] = INTEGER_ROW(uint32),
        [TYPED_FROM_UINT16] = INTEGER_ROW(uint16),
        [TYPED_FROM_UINT8] = INTEGER_ROW(uint8),
        [TYPED_FROM_BOOL] = INTEGER_ROW(bool),
    },
};
