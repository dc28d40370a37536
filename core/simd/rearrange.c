/* SPDX-License-Identifier: MIT */
/* Moves values about so that the blocks' rows are contiguous: phases of a row apart and together again, complex numbers
 * turned by a quarter. Nothing is computed but signs. */
#include "core/simd/routines.h"
#include "core/simd/vec.h"

/* What is moved may be floats of that size. */
typedef uint32_t __attribute__((may_alias)) any_u32;
typedef uint64_t __attribute__((may_alias)) any_u64;

/* Two phases, whose rows are mostly short: also what is less than a vector goes by vectors. */
#if defined ISA_avx512
VEC_INLINE void merge_two_u32(void *out, const void *in, size_t pitch, size_t count)
{
    const __m512i first = _mm512_set_epi32(23, 7, 22, 6, 21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
    const __m512i second = _mm512_or_si512(first, _mm512_set1_epi32(8));
    const any_u32 *from = in;
    any_u32 *to = out;
    for (; count >= 32; count -= 32, from += 16, to += 32) {
        const __m512i a = _mm512_loadu_si512(from), b = _mm512_loadu_si512(from + pitch);
        _mm512_storeu_si512(to, _mm512_permutex2var_epi32(a, first, b));
        _mm512_storeu_si512(to + 16, _mm512_permutex2var_epi32(a, second, b));
    }
    const uint32_t lanes = (uint32_t)((UINT64_C(1) << count) - 1), high = (1u << (count + 1) / 2) - 1;
    const __m512i a = _mm512_maskz_loadu_epi32((__mmask16)high, from);
    const __m512i b = _mm512_maskz_loadu_epi32((__mmask16)((1u << count / 2) - 1), from + pitch);
    _mm512_mask_storeu_epi32(to, (__mmask16)lanes, _mm512_permutex2var_epi32(a, first, b));
    _mm512_mask_storeu_epi32(to + 16, (__mmask16)(lanes >> 16), _mm512_permutex2var_epi32(a, second, b));
}
VEC_INLINE void merge_two_u64(void *out, const void *in, size_t pitch, size_t count)
{
    const __m512i first = _mm512_set_epi64(11, 3, 10, 2, 9, 1, 8, 0);
    const __m512i second = _mm512_or_si512(first, _mm512_set1_epi64(4));
    const any_u64 *from = in;
    any_u64 *to = out;
    for (; count >= 16; count -= 16, from += 8, to += 16) {
        const __m512i a = _mm512_loadu_si512(from), b = _mm512_loadu_si512(from + pitch);
        _mm512_storeu_si512(to, _mm512_permutex2var_epi64(a, first, b));
        _mm512_storeu_si512(to + 8, _mm512_permutex2var_epi64(a, second, b));
    }
    const uint32_t lanes = (1u << count) - 1, high = (1u << (count + 1) / 2) - 1;
    const __m512i a = _mm512_maskz_loadu_epi64((__mmask8)high, from);
    const __m512i b = _mm512_maskz_loadu_epi64((__mmask8)((1u << count / 2) - 1), from + pitch);
    _mm512_mask_storeu_epi64(to, (__mmask8)lanes, _mm512_permutex2var_epi64(a, first, b));
    _mm512_mask_storeu_epi64(to + 8, (__mmask8)(lanes >> 8), _mm512_permutex2var_epi64(a, second, b));
}
#define DEFINE_MERGE_TWO(suffix)
#else
#define DEFINE_MERGE_TWO(suffix)                                                                                       \
    VEC_INLINE void merge_two_##suffix(void *out, const void *in, size_t pitch, size_t count)                          \
    {                                                                                                                  \
        merge_phases_##suffix(out, in, pitch, count, 2);                                                               \
    }
#endif

#define DEFINE_PHASES(suffix)                                                                                          \
    VEC_INLINE void split_phases_##suffix(any_##suffix *restrict out, size_t pitch, const any_##suffix *restrict in,   \
                                          size_t count, size_t phases)                                                 \
    {                                                                                                                  \
        const size_t whole = count / phases;                                                                           \
        for (size_t i = 0; i < whole; i++)                                                                             \
            for (size_t phase = 0; phase < phases; phase++)                                                            \
                out[phase * pitch + i] = in[i * phases + phase];                                                       \
        for (size_t phase = 0; whole * phases + phase < count; phase++)                                                \
            out[phase * pitch + whole] = in[whole * phases + phase];                                                   \
    }                                                                                                                  \
    VEC_INLINE void merge_phases_##suffix(any_##suffix *restrict out, const any_##suffix *restrict in, size_t pitch,   \
                                          size_t count, size_t phases)                                                 \
    {                                                                                                                  \
        const size_t whole = count / phases;                                                                           \
        for (size_t i = 0; i < whole; i++)                                                                             \
            for (size_t phase = 0; phase < phases; phase++)                                                            \
                out[i * phases + phase] = in[phase * pitch + i];                                                       \
        for (size_t phase = 0; whole * phases + phase < count; phase++)                                                \
            out[whole * phases + phase] = in[phase * pitch + whole];                                                   \
    }                                                                                                                  \
    DEFINE_MERGE_TWO(suffix)                                                                                           \
    void ROUTINE(split_##suffix)(void *out, size_t pitch, const void *in, size_t count, size_t phases)                 \
    {                                                                                                                  \
        if (phases == 2)                                                                                               \
            split_phases_##suffix(out, pitch, in, count, 2);                                                           \
        else if (phases == 4)                                                                                          \
            split_phases_##suffix(out, pitch, in, count, 4);                                                           \
        else                                                                                                           \
            split_phases_##suffix(out, pitch, in, count, phases);                                                      \
    }                                                                                                                  \
    void ROUTINE(merge_##suffix)(void *out, const void *in, size_t pitch, size_t count, size_t phases)                 \
    {                                                                                                                  \
        if (phases == 2)                                                                                               \
            merge_two_##suffix(out, in, pitch, count);                                                                 \
        else if (phases == 4)                                                                                          \
            merge_phases_##suffix(out, in, pitch, count, 4);                                                           \
        else                                                                                                           \
            merge_phases_##suffix(out, in, pitch, count, phases);                                                      \
    }
DEFINE_PHASES(u32)
DEFINE_PHASES(u64)

/* `count` values, at most half a vector of them, two apart, between which nothing is written. */
#if defined ISA_avx512
VEC_INLINE void spread_half_u32(any_u32 *out, const any_u32 *in, size_t count)
{
    const __m512i a = _mm512_maskz_loadu_epi32((__mmask16)((1u << count) - 1), in);
    const __m512i twice = _mm512_cvtepu32_epi64(_mm512_castsi512_si256(a));
    _mm512_mask_storeu_epi32(out, (__mmask16)(0x5555u & ((1u << 2 * count) - 1)), twice);
}
VEC_INLINE void spread_half_u64(any_u64 *out, const any_u64 *in, size_t count)
{
    const __m512i twice = _mm512_maskz_expandloadu_epi64((__mmask8)(0x55u & ((1u << 2 * count) - 1)), in);
    _mm512_mask_storeu_epi64(out, (__mmask8)(0x55u & ((1u << 2 * count) - 1)), twice);
}
enum { SPREAD_u32 = 8, SPREAD_u64 = 4 };
#else
VEC_INLINE void spread_half_u32(any_u32 *out, const any_u32 *in, size_t count)
{
    for (size_t i = 0; i < count; i++)
        out[2 * i] = in[i];
}
VEC_INLINE void spread_half_u64(any_u64 *out, const any_u64 *in, size_t count)
{
    for (size_t i = 0; i < count; i++)
        out[2 * i] = in[i];
}
enum { SPREAD_u32 = 8, SPREAD_u64 = 4 };
#endif

#define DEFINE_SPREAD(suffix)                                                                                          \
    void ROUTINE(spread_##suffix)(void *out, size_t step, const void *in, size_t count)                                \
    {                                                                                                                  \
        any_##suffix *const to = out;                                                                                  \
        const any_##suffix *const from = in;                                                                           \
        size_t i = 0;                                                                                                  \
        if (step == 2) {                                                                                               \
            for (; i + SPREAD_##suffix <= count; i += SPREAD_##suffix)                                                 \
                spread_half_##suffix(to + 2 * i, from + i, SPREAD_##suffix);                                           \
            if (i < count)                                                                                             \
                spread_half_##suffix(to + 2 * i, from + i, count - i);                                                 \
            return;                                                                                                    \
        }                                                                                                              \
        for (; i < count; i++)                                                                                         \
            to[i * step] = from[i];                                                                                    \
    }
DEFINE_SPREAD(u32)
DEFINE_SPREAD(u64)

/* Rows that have a whole vector, and whose zeros do not reach further than one from either end. */
#if defined ISA_avx512
/* Zeros and values by one store: a vector from `at` on, of which lanes between the zeros are loaded. */
#define DEFINE_PAD_LONG(type, suffix, mask, load)                                                                      \
    VEC_INLINE mask pad_lanes_##suffix(size_t at, size_t before, size_t end)                                           \
    {                                                                                                                  \
        enum { LANES = LANES_##suffix };                                                                               \
        const size_t low = before > at ? before - at : 0, high = end < at ? 0 : end - at < LANES ? end - at : LANES;   \
        return (mask)(((1u << high) - 1) & ~((1u << low) - 1));                                                        \
    }                                                                                                                  \
    VEC_INLINE void pad_long_##suffix(type *to, size_t out_pitch, const type *from, size_t in_pitch, size_t rows,      \
                                      size_t before, size_t count, size_t after)                                       \
    {                                                                                                                  \
        enum { LANES = LANES_##suffix };                                                                               \
        const size_t end = before + count, last = end + after - LANES, whole = end / LANES * LANES;                    \
        const mask first_lanes = pad_lanes_##suffix(0, before, end),                                                   \
                   last_lanes = pad_lanes_##suffix(last, before, end);                                                 \
        const mask end_lanes = pad_lanes_##suffix(whole, before, end);                                                 \
        from -= before;                                                                                                \
        for (size_t row = 0; row < rows; row++, to += out_pitch, from += in_pitch) {                                   \
            store_##suffix(to, (vec_##suffix)load(first_lanes, from));                                                 \
            for (size_t i = LANES; i < whole; i += LANES)                                                              \
                store_##suffix(to + i, load_##suffix(from + i));                                                       \
            if (whole < last)                                                                                          \
                store_##suffix(to + whole, (vec_##suffix)load(end_lanes, from + whole));                               \
            store_##suffix(to + last, (vec_##suffix)load(last_lanes, from + last));                                    \
        }                                                                                                              \
    }
DEFINE_PAD_LONG(uint32_t, u32, __mmask16, _mm512_maskz_loadu_epi32)
DEFINE_PAD_LONG(uint64_t, u64, __mmask8, _mm512_maskz_loadu_epi64)
#undef DEFINE_PAD_LONG
#else
/* By vectors: zeros first, and the values over them, the last vector beginning earlier. */
#define DEFINE_PAD_LONG(type, suffix)                                                                                  \
    VEC_INLINE void pad_long_##suffix(type *to, size_t out_pitch, const type *from, size_t in_pitch, size_t rows,      \
                                      size_t before, size_t count, size_t after)                                       \
    {                                                                                                                  \
        enum { LANES = LANES_##suffix };                                                                               \
        for (size_t row = 0; row < rows; row++, to += out_pitch, from += in_pitch) {                                   \
            store_##suffix(to, all_##suffix(0));                                                                       \
            store_##suffix(to + before + count + after - LANES, all_##suffix(0));                                      \
            for (size_t i = 0; i + LANES <= count; i += LANES)                                                         \
                store_##suffix(to + before + i, load_##suffix(from + i));                                              \
            store_##suffix(to + before + count - LANES, load_##suffix(from + count - LANES));                          \
        }                                                                                                              \
    }
DEFINE_PAD_LONG(uint32_t, u32)
DEFINE_PAD_LONG(uint64_t, u64)
#undef DEFINE_PAD_LONG
#endif

#define DEFINE_PAD(type, suffix)                                                                                       \
    VEC_INLINE void pad_short_##suffix(any_##suffix *out, const any_##suffix *in, size_t before, size_t count,         \
                                       size_t after)                                                                   \
    {                                                                                                                  \
        for (size_t i = 0; i < before; i++)                                                                            \
            out[i] = 0;                                                                                                \
        for (size_t i = 0; i < count; i++)                                                                             \
            out[before + i] = in[i];                                                                                   \
        for (size_t i = 0; i < after; i++)                                                                             \
            out[before + count + i] = 0;                                                                               \
    }                                                                                                                  \
    void ROUTINE(pad_##suffix)(void *out, size_t out_pitch, const void *in, size_t in_pitch, size_t rows,              \
                               size_t before, size_t count, size_t after)                                              \
    {                                                                                                                  \
        enum { LANES = LANES_##suffix };                                                                               \
        if (count >= LANES && before <= LANES && after <= LANES) {                                                     \
            pad_long_##suffix(out, out_pitch, in, in_pitch, rows, before, count, after);                               \
            return;                                                                                                    \
        }                                                                                                              \
        for (size_t row = 0; row < rows; row++)                                                                        \
            pad_short_##suffix((any_##suffix *)out + row * out_pitch, (const any_##suffix *)in + row * in_pitch,       \
                               before, count, after);                                                                  \
    }
DEFINE_PAD(uint32_t, u32)
DEFINE_PAD(uint64_t, u64)

#define DEFINE_TURN(type, suffix)                                                                                      \
    void ROUTINE(turn_##suffix)(type *restrict out, const type *restrict in, size_t count)                             \
    {                                                                                                                  \
        for (size_t i = 0; i < count; i++) {                                                                           \
            out[2 * i] = -in[2 * i + 1];                                                                               \
            out[2 * i + 1] = in[2 * i];                                                                                \
        }                                                                                                              \
    }
DEFINE_TURN(float, f32)
DEFINE_TURN(double, f64)
