/* SPDX-License-Identifier: MIT */
/* 64-bit lanes of one instruction set, where it is AVX2 or AVX-512. Sums, logic and shifts are those of the vector extensions of GCC
 * and Clang; here is what these lack: products of the lower halves, masks, and a few conversions. */
#ifndef SERVER_FORMATS_SIMD_LANES_H
#define SERVER_FORMATS_SIMD_LANES_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#if defined ISA_avx512 || defined ISA_avx2
#include <immintrin.h>

#if defined ISA_avx512
enum { LANES = 8 };
typedef __mmask8 lanes_mask;
#else
enum { LANES = 4 };
typedef __m256i lanes_mask;
#endif

typedef uint64_t lanes __attribute__((vector_size(8 * LANES)));
typedef double lanes_f64 __attribute__((vector_size(8 * LANES)));
typedef int32_t lanes_i32 __attribute__((vector_size(8 * LANES))); /* twice as many */

#define LANES_INLINE static inline __attribute__((always_inline, unused))

LANES_INLINE lanes load_lanes(const void *from)
{
    lanes a;
    memcpy(&a, from, sizeof a);
    return a;
}

LANES_INLINE void store_lanes(void *to, lanes a)
{
    memcpy(to, &a, sizeof a);
}

LANES_INLINE lanes all_lanes(uint64_t value)
{
    return value - (lanes){0};
}

/* A constant in every lane, from memory: GCC would make it anew from an immediate wherever it is used, which takes several
 * instructions. */
#define ALL(value)                                                                                                     \
    ({                                                                                                                 \
        static const uint64_t constant_ = (value);                                                                     \
        const uint64_t *constant_at_ = &constant_;                                                                     \
        __asm__("" : "+r"(constant_at_));                                                                              \
        all_lanes(*constant_at_);                                                                                      \
    })
#define ALL_I32(value) ((lanes_i32)ALL((uint64_t)(uint32_t)(value) << 32 | (uint32_t)(value)))

/* Whole numbers below 2^52 to doubles and back: exact. */
LANES_INLINE lanes_f64 lanes_to_f64(lanes a)
{
    const lanes one = ALL((uint64_t)0x433 << 52); /* 2^52, whose last bit counts ones */
    return (lanes_f64)(a | one) - (lanes_f64)one;
}
LANES_INLINE lanes f64_to_lanes(lanes_f64 a) /* rounded to the nearest */
{
    const lanes one = ALL((uint64_t)0x433 << 52);
    return (lanes)(a + (lanes_f64)one) ^ one;
}

#if defined ISA_avx512

/* The lower 32 bits of each, multiplied. */
LANES_INLINE lanes multiply_low(lanes a, lanes b)
{
    return (lanes)_mm512_mul_epu32((__m512i)a, (__m512i)b);
}
LANES_INLINE lanes_mask lanes_above(lanes a, lanes b) /* unsigned */
{
    return _mm512_cmpgt_epu64_mask((__m512i)a, (__m512i)b);
}
LANES_INLINE lanes_mask lanes_equal(lanes a, lanes b)
{
    return _mm512_cmpeq_epi64_mask((__m512i)a, (__m512i)b);
}
LANES_INLINE lanes_mask lanes_zero(lanes a)
{
    return _mm512_testn_epi64_mask((__m512i)a, (__m512i)a);
}
LANES_INLINE lanes_mask lanes_equal_f64(lanes_f64 a, lanes_f64 b)
{
    return _mm512_cmp_pd_mask((__m512d)a, (__m512d)b, _CMP_EQ_OQ);
}
LANES_INLINE bool mask_is_full(lanes_mask a)
{
    return a == 0xff;
}
/* a where the mask is set, else b */
LANES_INLINE lanes select_lanes(lanes_mask mask, lanes a, lanes b)
{
    return (lanes)_mm512_mask_blend_epi64(mask, (__m512i)b, (__m512i)a);
}
LANES_INLINE lanes keep_lanes(lanes_mask mask, lanes a) /* elsewhere 0 */
{
    return (lanes)_mm512_maskz_mov_epi64(mask, (__m512i)a);
}
LANES_INLINE lanes gather_lanes(const uint64_t *from, lanes index)
{
    return (lanes)_mm512_i64gather_epi64((__m512i)index, (const long long *)from, 8);
}
LANES_INLINE lanes_f64 multiply_add(lanes_f64 a, lanes_f64 b, lanes_f64 c)
{
    return (lanes_f64)_mm512_fmadd_pd((__m512d)a, (__m512d)b, (__m512d)c);
}
LANES_INLINE lanes_f64 load_f32(const float *from)
{
    return (lanes_f64)_mm512_cvtps_pd(_mm256_loadu_ps(from));
}
LANES_INLINE lanes load_u32(const void *from)
{
    return (lanes)_mm512_cvtepu32_epi64(_mm256_loadu_si256(from));
}
LANES_INLINE uint64_t sign_bits_i32(lanes_i32 a) /* one for each */
{
    return _mm512_movepi32_mask((__m512i)a);
}
LANES_INLINE lanes_i32 bytes_to_i32(const unsigned char *from)
{
    return (lanes_i32)_mm512_cvtepu8_epi32(_mm_loadu_si128((const void *)from));
}
LANES_INLINE void store_u32(uint32_t *to, lanes a)
{
    _mm256_storeu_si256((void *)to, _mm512_cvtepi64_epi32((__m512i)a));
}
LANES_INLINE lanes multiply_high_u16(lanes a, uint16_t b)
{
    return (lanes)_mm512_mulhi_epu16((__m512i)a, _mm512_set1_epi16((short)b));
}
LANES_INLINE lanes multiply_u16(lanes a, uint16_t b)
{
    return (lanes)_mm512_mullo_epi16((__m512i)a, _mm512_set1_epi16((short)b));
}
LANES_INLINE lanes_i32 larger_i32(lanes_i32 a, lanes_i32 b)
{
    return (lanes_i32)_mm512_max_epi32((__m512i)a, (__m512i)b);
}
LANES_INLINE lanes_i32 smaller_i32(lanes_i32 a, lanes_i32 b)
{
    return (lanes_i32)_mm512_min_epi32((__m512i)a, (__m512i)b);
}
/* x where a is above b, else y */
LANES_INLINE lanes_i32 select_above_i32(lanes_i32 a, lanes_i32 b, lanes_i32 x, lanes_i32 y)
{
    const __mmask16 mask = _mm512_cmpgt_epi32_mask((__m512i)a, (__m512i)b);
    return (lanes_i32)_mm512_mask_blend_epi32(mask, (__m512i)y, (__m512i)x);
}
/* Which byte is the last that is not 0; bytes are at most 9 and not all 0. */
LANES_INLINE lanes last_byte(lanes a)
{
    /* An exponent e of the double is stored as e + 1023, and (e + 1024) / 8 is 128 more than the byte. */
    const lanes as_double = (lanes)_mm512_cvtepu64_pd((__m512i)a);
    return ((as_double + ALL((uint64_t)1 << 52)) >> 55) - ALL(128);
}
/* Lane i of a, b, c and d side by side at to + 4 * i. */
LANES_INLINE void store_four(uint64_t *to, lanes a, lanes b, lanes c, lanes d)
{
    const __m512i ab0 = _mm512_unpacklo_epi64((__m512i)a, (__m512i)b); /* a0 b0 a2 b2 a4 b4 a6 b6 */
    const __m512i ab1 = _mm512_unpackhi_epi64((__m512i)a, (__m512i)b);
    const __m512i cd0 = _mm512_unpacklo_epi64((__m512i)c, (__m512i)d);
    const __m512i cd1 = _mm512_unpackhi_epi64((__m512i)c, (__m512i)d);
    for (int half = 0; half < 2; half++) {
        const __m512i pick =
            half ? _mm512_setr_epi64(4, 5, 12, 13, 6, 7, 14, 15) : _mm512_setr_epi64(0, 1, 8, 9, 2, 3, 10, 11);
        const __m512i even = _mm512_permutex2var_epi64(ab0, pick, cd0); /* rows 0 and 2, or 4 and 6 */
        const __m512i odd = _mm512_permutex2var_epi64(ab1, pick, cd1);
        _mm512_storeu_si512(to + 16 * half, _mm512_shuffle_i64x2(even, odd, 0x44));
        _mm512_storeu_si512(to + 16 * half + 8, _mm512_shuffle_i64x2(even, odd, 0xee));
    }
}

#else

LANES_INLINE lanes multiply_low(lanes a, lanes b)
{
    return (lanes)_mm256_mul_epu32((__m256i)a, (__m256i)b);
}
LANES_INLINE lanes_mask lanes_above(lanes a, lanes b)
{
    const lanes sign = ALL((uint64_t)1 << 63);
    return _mm256_cmpgt_epi64((__m256i)(a ^ sign), (__m256i)(b ^ sign));
}
LANES_INLINE lanes_mask lanes_equal(lanes a, lanes b)
{
    return _mm256_cmpeq_epi64((__m256i)a, (__m256i)b);
}
LANES_INLINE lanes_mask lanes_zero(lanes a)
{
    return _mm256_cmpeq_epi64((__m256i)a, _mm256_setzero_si256());
}
LANES_INLINE lanes_mask lanes_equal_f64(lanes_f64 a, lanes_f64 b)
{
    return (__m256i)_mm256_cmp_pd((__m256d)a, (__m256d)b, _CMP_EQ_OQ);
}
LANES_INLINE bool mask_is_full(lanes_mask a)
{
    return _mm256_movemask_epi8(a) == -1;
}
LANES_INLINE lanes select_lanes(lanes_mask mask, lanes a, lanes b)
{
    return (lanes)_mm256_blendv_epi8((__m256i)b, (__m256i)a, mask);
}
LANES_INLINE lanes keep_lanes(lanes_mask mask, lanes a)
{
    return a & (lanes)mask;
}
LANES_INLINE lanes gather_lanes(const uint64_t *from, lanes index)
{
    return (lanes)_mm256_i64gather_epi64((const long long *)from, (__m256i)index, 8);
}
LANES_INLINE lanes_f64 multiply_add(lanes_f64 a, lanes_f64 b, lanes_f64 c)
{
    return (lanes_f64)_mm256_fmadd_pd((__m256d)a, (__m256d)b, (__m256d)c);
}
LANES_INLINE lanes_f64 load_f32(const float *from)
{
    return (lanes_f64)_mm256_cvtps_pd(_mm_loadu_ps(from));
}
LANES_INLINE lanes load_u32(const void *from)
{
    return (lanes)_mm256_cvtepu32_epi64(_mm_loadu_si128(from));
}
LANES_INLINE uint64_t sign_bits_i32(lanes_i32 a)
{
    return (uint64_t)_mm256_movemask_ps((__m256)a);
}
LANES_INLINE lanes_i32 bytes_to_i32(const unsigned char *from)
{
    return (lanes_i32)_mm256_cvtepu8_epi32(_mm_loadl_epi64((const void *)from));
}
LANES_INLINE void store_u32(uint32_t *to, lanes a)
{
    const __m256i packed = _mm256_permutevar8x32_epi32((__m256i)a, _mm256_setr_epi32(0, 2, 4, 6, 0, 2, 4, 6));
    _mm_storeu_si128((void *)to, _mm256_castsi256_si128(packed));
}
LANES_INLINE lanes multiply_high_u16(lanes a, uint16_t b)
{
    return (lanes)_mm256_mulhi_epu16((__m256i)a, _mm256_set1_epi16((short)b));
}
LANES_INLINE lanes multiply_u16(lanes a, uint16_t b)
{
    return (lanes)_mm256_mullo_epi16((__m256i)a, _mm256_set1_epi16((short)b));
}
LANES_INLINE lanes_i32 larger_i32(lanes_i32 a, lanes_i32 b)
{
    return (lanes_i32)_mm256_max_epi32((__m256i)a, (__m256i)b);
}
LANES_INLINE lanes_i32 smaller_i32(lanes_i32 a, lanes_i32 b)
{
    return (lanes_i32)_mm256_min_epi32((__m256i)a, (__m256i)b);
}
LANES_INLINE lanes_i32 select_above_i32(lanes_i32 a, lanes_i32 b, lanes_i32 x, lanes_i32 y)
{
    return (lanes_i32)_mm256_blendv_epi8((__m256i)y, (__m256i)x, _mm256_cmpgt_epi32((__m256i)a, (__m256i)b));
}
LANES_INLINE lanes last_byte(lanes a)
{
    const lanes upper = a >> 32;
    const lanes_mask low = lanes_zero(upper);
    const lanes as_double = (lanes)lanes_to_f64(select_lanes(low, a, upper));
    return ((as_double + ALL((uint64_t)1 << 52)) >> 55) - select_lanes(low, ALL(128), ALL(124));
}
LANES_INLINE void store_four(uint64_t *to, lanes a, lanes b, lanes c, lanes d)
{
    const __m256i ab0 = _mm256_unpacklo_epi64((__m256i)a, (__m256i)b); /* a0 b0 a2 b2 */
    const __m256i ab1 = _mm256_unpackhi_epi64((__m256i)a, (__m256i)b);
    const __m256i cd0 = _mm256_unpacklo_epi64((__m256i)c, (__m256i)d);
    const __m256i cd1 = _mm256_unpackhi_epi64((__m256i)c, (__m256i)d);
    _mm256_storeu_si256((void *)to, _mm256_permute2x128_si256(ab0, cd0, 0x20));
    _mm256_storeu_si256((void *)(to + 4), _mm256_permute2x128_si256(ab1, cd1, 0x20));
    _mm256_storeu_si256((void *)(to + 8), _mm256_permute2x128_si256(ab0, cd0, 0x31));
    _mm256_storeu_si256((void *)(to + 12), _mm256_permute2x128_si256(ab1, cd1, 0x31));
}

#endif
#endif
#endif
