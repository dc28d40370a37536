/* SPDX-License-Identifier: MIT */
/* Facts about values, one pass each. Absolute values are compared as integers: for floats that are no NaN the order is the
 * same, and infinity and NaN lie above every finite value. */
#include "core/simd/routines.h"
#include "core/simd/vec.h"

/* Lanes are independent and what is gathered is a maximum or a disjunction, so their order cannot show. */
#define DEFINE_SCAN(type, suffix, uint, ubits, infinity)                                                               \
    VEC_INLINE void scan_step_##suffix(vec_##suffix value, vec_##ubits *largest, vec_##ubits *infinite,                \
                                       vec_##ubits *fraction)                                                          \
    {                                                                                                                  \
        const vec_##ubits bits = bits_##suffix(value), magnitude = bits & all_##ubits((uint)-1 >> 1);                  \
        const vec_##ubits finite = below_##ubits(magnitude, all_##ubits(infinity));                                    \
        *largest = larger_##ubits(*largest, magnitude & finite);                                                       \
        *infinite |= ~finite;                                                                                          \
        *fraction |= (bits ^ bits_##suffix(round_##suffix(value))) & finite;                                           \
    }                                                                                                                  \
    void ROUTINE(scan_##suffix)(struct simd_facts * facts, const type *values, size_t count)                           \
    {                                                                                                                  \
        enum { LANES = LANES_##suffix };                                                                               \
        vec_##ubits largest = all_##ubits(0), infinite = largest, fraction = largest;                                  \
        size_t x = 0;                                                                                                  \
        for (; x + LANES <= count; x += LANES)                                                                         \
            scan_step_##suffix(load_##suffix(values + x), &largest, &infinite, &fraction);                             \
        if (x < count)                                                                                                 \
            scan_step_##suffix(load_part_##suffix(values + x, count - x), &largest, &infinite, &fraction);             \
        uint lanes[3][LANES];                                                                                          \
        store_##ubits(lanes[0], largest);                                                                              \
        store_##ubits(lanes[1], infinite);                                                                             \
        store_##ubits(lanes[2], fraction);                                                                             \
        for (size_t i = 0; i < LANES; i++) {                                                                           \
            type value;                                                                                                \
            memcpy(&value, &lanes[0][i], sizeof value);                                                                \
            if (facts->largest < (double)value)                                                                        \
                facts->largest = (double)value;                                                                        \
            facts->nonfinite |= lanes[1][i] != 0;                                                                      \
            facts->fractional |= lanes[2][i] != 0;                                                                     \
        }                                                                                                              \
    }                                                                                                                  \
    bool ROUTINE(finite_##suffix)(const type *values, size_t count)                                                    \
    {                                                                                                                  \
        enum { LANES = LANES_##suffix };                                                                               \
        const vec_##ubits mask = all_##ubits((uint)-1 >> 1);                                                           \
        vec_##ubits largest = all_##ubits(0);                                                                          \
        size_t x = 0;                                                                                                  \
        for (; x + LANES <= count; x += LANES)                                                                         \
            largest = larger_##ubits(largest, bits_##suffix(load_##suffix(values + x)) & mask);                        \
        if (x < count)                                                                                                 \
            largest = larger_##ubits(largest, bits_##suffix(load_part_##suffix(values + x, count - x)) & mask);        \
        uint lanes[LANES];                                                                                             \
        store_##ubits(lanes, largest);                                                                                 \
        for (size_t i = 0; i < LANES; i++)                                                                             \
            if (lanes[i] >= infinity)                                                                                  \
                return false;                                                                                          \
        return true;                                                                                                   \
    }
DEFINE_SCAN(float, f32, uint32_t, u32, UINT32_C(0x7f800000))
DEFINE_SCAN(double, f64, uint64_t, u64, UINT64_C(0x7ff0000000000000))

uint64_t ROUTINE(largest_i64)(const int64_t *values, size_t count)
{
    uint64_t largest = 0;
    for (size_t x = 0; x < count; x++) {
        const uint64_t bits = (uint64_t)values[x];
        const uint64_t magnitude = values[x] < 0 ? 0 - bits : bits;
        largest = magnitude > largest ? magnitude : largest;
    }
    return largest;
}
