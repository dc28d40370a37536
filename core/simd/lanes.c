/* SPDX-License-Identifier: MIT */
/* Sums of products lane by lane (struct simd_lanes). The sums of some taps stay in registers while all places pass. */
#include "core/simd/routines.h"
#include "core/simd/vec.h"

#define UNROLL _Pragma("GCC unroll 16")

enum { LANES_TAPS = 9 };

#define DEFINE_LANES(type, suffix)                                                                                     \
    VEC_INLINE void sum_taps_##suffix(const struct simd_lanes *lanes, size_t tap, size_t lane, const int T)            \
    {                                                                                                                  \
        vec_##suffix acc[LANES_TAPS];                                                                                  \
        const type *input[LANES_TAPS];                                                                                 \
        type *const sums = (type *)lanes->sums + tap * SIMD_LANES_##suffix + lane;                                     \
        const type *factors = (const type *)lanes->factors + lane;                                                     \
        UNROLL for (int t = 0; t < T; t++)                                                                             \
        {                                                                                                              \
            acc[t] = load_##suffix(sums + t * SIMD_LANES_##suffix);                                                    \
            input[t] = (const type *)lanes->input + lanes->offsets[tap + (size_t)t] + lane;                            \
        }                                                                                                              \
        for (size_t p = 0, at = 0; p < lanes->places; p++, at += lanes->step, factors += SIMD_LANES_##suffix) {        \
            const vec_##suffix factor = load_##suffix(factors);                                                        \
            UNROLL for (int t = 0; t < T; t++) acc[t] = fma_##suffix(load_##suffix(input[t] + at), factor, acc[t]);    \
        }                                                                                                              \
        UNROLL for (int t = 0; t < T; t++) store_##suffix(sums + t * SIMD_LANES_##suffix, acc[t]);                     \
    }                                                                                                                  \
    void ROUTINE(lanes_##suffix)(const struct simd_lanes *lanes)                                                       \
    {                                                                                                                  \
        for (size_t lane = 0; lane < SIMD_LANES_##suffix; lane += LANES_##suffix) {                                    \
            size_t tap = 0;                                                                                            \
            for (; tap + LANES_TAPS <= lanes->taps; tap += LANES_TAPS)                                                 \
                sum_taps_##suffix(lanes, tap, lane, LANES_TAPS);                                                       \
            for (; tap + 3 <= lanes->taps; tap += 3)                                                                   \
                sum_taps_##suffix(lanes, tap, lane, 3);                                                                \
            for (; tap < lanes->taps; tap++)                                                                           \
                sum_taps_##suffix(lanes, tap, lane, 1);                                                                \
        }                                                                                                              \
    }
DEFINE_LANES(float, f32)
DEFINE_LANES(double, f64)
