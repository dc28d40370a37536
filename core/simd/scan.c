/* SPDX-License-Identifier: MIT */
/* Facts about values, one pass each. Absolute values are compared as integers: for floats that are no NaN the order is the
 * same, and infinity and NaN lie above every finite value. Lanes are independent, and what is gathered is a maximum or a
 * disjunction, so that their order cannot show. */
#include "core/simd/routines.h"
#include "core/simd/vec.h"

/* A scan takes values in strips. As long as all were integers a strip looks for fractions too; a strip with values that are
 * not finite, which is rare, is gone through value by value. */
enum { STRIP = 2048 };

#define DEFINE_SCAN(type, suffix, uint, ubits, infinity)                                                               \
    VEC_INLINE uint top_##suffix(vec_##ubits a)                                                                        \
    {                                                                                                                  \
        uint lanes[LANES_##suffix], top = 0;                                                                           \
        store_##ubits(lanes, a);                                                                                       \
        for (size_t i = 0; i < LANES_##suffix; i++)                                                                    \
            top = lanes[i] > top ? lanes[i] : top;                                                                     \
        return top;                                                                                                    \
    }                                                                                                                  \
                                                                                                                       \
    /* The bits of the largest absolute value; `fraction`, where given, is not 0 after it if some value has one. */    \
    VEC_INLINE uint largest_##suffix(const type *values, size_t count, uint *fraction)                                 \
    {                                                                                                                  \
        enum { LANES = LANES_##suffix, WIDE = 4 };                                                                     \
        const vec_##ubits mask = all_##ubits((uint)-1 >> 1);                                                           \
        vec_##ubits largest[WIDE], odd[WIDE];                                                                          \
        size_t x = 0;                                                                                                  \
        for (int i = 0; i < WIDE; i++)                                                                                 \
            largest[i] = odd[i] = all_##ubits(0);                                                                      \
        for (; x + WIDE * LANES <= count; x += WIDE * LANES)                                                           \
            for (int i = 0; i < WIDE; i++) {                                                                           \
                const vec_##suffix value = load_##suffix(values + x + (size_t)i * LANES);                              \
                largest[i] = larger_##ubits(largest[i], bits_##suffix(value) & mask);                                  \
                if (fraction)                                                                                          \
                    odd[i] |= bits_##suffix(value) ^ bits_##suffix(round_##suffix(value));                             \
            }                                                                                                          \
        for (; x < count; x += LANES) {                                                                                \
            const vec_##suffix value =                                                                                 \
                x + LANES <= count ? load_##suffix(values + x) : load_part_##suffix(values + x, count - x);            \
            largest[0] = larger_##ubits(largest[0], bits_##suffix(value) & mask);                                      \
            if (fraction)                                                                                              \
                odd[0] |= bits_##suffix(value) ^ bits_##suffix(round_##suffix(value));                                 \
        }                                                                                                              \
        if (fraction)                                                                                                  \
            *fraction = top_##suffix(odd[0] | odd[1] | odd[2] | odd[3]);                                               \
        return top_##suffix(                                                                                           \
            larger_##ubits(larger_##ubits(largest[0], largest[1]), larger_##ubits(largest[2], largest[3])));           \
    }                                                                                                                  \
                                                                                                                       \
    static                                                                                                             \
        __attribute__((noinline)) void scan_each_##suffix(struct simd_facts *facts, const type *values, size_t count)  \
    {                                                                                                                  \
        for (size_t i = 0; i < count; i++) {                                                                           \
            const double magnitude = __builtin_fabs((double)values[i]);                                                \
            if (!(magnitude <= __DBL_MAX__)) {                                                                         \
                facts->nonfinite = true;                                                                               \
                continue;                                                                                              \
            }                                                                                                          \
            facts->largest = magnitude > facts->largest ? magnitude : facts->largest;                                  \
            facts->fractional |= magnitude != rint(magnitude);                                                         \
        }                                                                                                              \
    }                                                                                                                  \
                                                                                                                       \
    void ROUTINE(scan_##suffix)(struct simd_facts * facts, const type *values, size_t count)                           \
    {                                                                                                                  \
        for (size_t x = 0; x < count; x += STRIP) {                                                                    \
            const size_t strip = count - x < STRIP ? count - x : STRIP;                                                \
            uint fraction = 0;                                                                                         \
            const uint largest = facts->fractional ? largest_##suffix(values + x, strip, NULL)                         \
                                                   : largest_##suffix(values + x, strip, &fraction);                   \
            if (largest >= infinity) {                                                                                 \
                scan_each_##suffix(facts, values + x, strip);                                                          \
                continue;                                                                                              \
            }                                                                                                          \
            type value;                                                                                                \
            memcpy(&value, &largest, sizeof value);                                                                    \
            facts->largest = (double)value > facts->largest ? (double)value : facts->largest;                          \
            facts->fractional |= fraction != 0;                                                                        \
        }                                                                                                              \
    }                                                                                                                  \
                                                                                                                       \
    bool ROUTINE(finite_##suffix)(const type *values, size_t count)                                                    \
    {                                                                                                                  \
        return largest_##suffix(values, count, NULL) < infinity;                                                       \
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
