/* SPDX-License-Identifier: MIT */
/* Lanes of one instruction set, over the vector extensions of GCC and Clang: load, store, one value in every lane, and the
 * fused multiply-add, which is one rounding everywhere (fma() where the set is scalar). In `scalar` a vector is one
 * value, so that the same source serves. `*_part` touch the first `count` lanes only, 0 < count <= lanes. */
#ifndef CORE_SIMD_VEC_H
#define CORE_SIMD_VEC_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined ISA_avx512
#define VEC_BYTES     64
#define VEC_REGISTERS 32
#include <immintrin.h>
#elif defined ISA_avx2
#define VEC_BYTES     32
#define VEC_REGISTERS 16
#include <immintrin.h>
#elif defined ISA_neon
#define VEC_BYTES     16
#define VEC_REGISTERS 32
#include <arm_neon.h>
#else
#define VEC_SCALAR    1
#define VEC_REGISTERS 16
#endif

/* Sanitizers instrument every load: unrolled code then takes compilers minutes. Routines leave it away there, and pointers
 * are not checked for overflow and alignment inside vectors; check_simd has pages behind its buffers that cannot be read. */
#if defined __has_feature
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(undefined_behavior_sanitizer)
#define VEC_SANITIZED 1
#endif
#elif defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__
#define VEC_SANITIZED 1
#endif
#ifndef VEC_SANITIZED
#define VEC_SANITIZED 0
#endif

#define VEC_INLINE static inline __attribute__((always_inline, unused, no_sanitize("undefined")))

#ifdef VEC_SCALAR

typedef float vec_f32;
typedef double vec_f64;
typedef uint32_t vec_u32;
typedef uint64_t vec_u64;
enum { LANES_f32 = 1, LANES_f64 = 1, LANES_u32 = 1, LANES_u64 = 1 };

#define VEC_BASICS(type, suffix)                                                                                       \
    VEC_INLINE vec_##suffix load_##suffix(const type *p)                                                               \
    {                                                                                                                  \
        return *p;                                                                                                     \
    }                                                                                                                  \
    VEC_INLINE void store_##suffix(type *p, vec_##suffix a)                                                            \
    {                                                                                                                  \
        *p = a;                                                                                                        \
    }                                                                                                                  \
    VEC_INLINE vec_##suffix load_part_##suffix(const type *p, size_t count)                                            \
    {                                                                                                                  \
        (void)count;                                                                                                   \
        return *p;                                                                                                     \
    }                                                                                                                  \
    VEC_INLINE void store_part_##suffix(type *p, vec_##suffix a, size_t count)                                         \
    {                                                                                                                  \
        (void)count;                                                                                                   \
        *p = a;                                                                                                        \
    }                                                                                                                  \
    VEC_INLINE vec_##suffix all_##suffix(type value)                                                                   \
    {                                                                                                                  \
        return value;                                                                                                  \
    }
VEC_BASICS(float, f32)
VEC_BASICS(double, f64)
VEC_BASICS(uint32_t, u32)
VEC_BASICS(uint64_t, u64)
#undef VEC_BASICS

VEC_INLINE vec_f32 fma_f32(vec_f32 a, vec_f32 b, vec_f32 c)
{
    return fmaf(a, b, c);
}
VEC_INLINE vec_f64 fma_f64(vec_f64 a, vec_f64 b, vec_f64 c)
{
    return fma(a, b, c);
}
VEC_INLINE vec_f32 round_f32(vec_f32 a)
{
    return rintf(a);
}
VEC_INLINE vec_f64 round_f64(vec_f64 a)
{
    return rint(a);
}
/* All ones in the lanes where a < b (unsigned). */
VEC_INLINE vec_u32 below_u32(vec_u32 a, vec_u32 b)
{
    return a < b ? UINT32_MAX : 0;
}
VEC_INLINE vec_u64 below_u64(vec_u64 a, vec_u64 b)
{
    return a < b ? UINT64_MAX : 0;
}
VEC_INLINE vec_u32 bits_f32(vec_f32 a)
{
    vec_u32 b;
    memcpy(&b, &a, sizeof b);
    return b;
}
VEC_INLINE vec_u64 bits_f64(vec_f64 a)
{
    vec_u64 b;
    memcpy(&b, &a, sizeof b);
    return b;
}

#else

typedef float vec_f32 __attribute__((vector_size(VEC_BYTES)));
typedef double vec_f64 __attribute__((vector_size(VEC_BYTES)));
typedef uint32_t vec_u32 __attribute__((vector_size(VEC_BYTES)));
typedef uint64_t vec_u64 __attribute__((vector_size(VEC_BYTES)));
typedef float vec_any_f32 __attribute__((vector_size(VEC_BYTES), aligned(4), may_alias));
typedef double vec_any_f64 __attribute__((vector_size(VEC_BYTES), aligned(8), may_alias));
typedef uint32_t vec_any_u32 __attribute__((vector_size(VEC_BYTES), aligned(4), may_alias));
typedef uint64_t vec_any_u64 __attribute__((vector_size(VEC_BYTES), aligned(8), may_alias));
enum { LANES_f32 = VEC_BYTES / 4, LANES_f64 = VEC_BYTES / 8, LANES_u32 = VEC_BYTES / 4, LANES_u64 = VEC_BYTES / 8 };

#define VEC_BASICS(type, suffix)                                                                                       \
    VEC_INLINE vec_##suffix load_##suffix(const type *p)                                                               \
    {                                                                                                                  \
        return *(const vec_any_##suffix *)p;                                                                           \
    }                                                                                                                  \
    VEC_INLINE void store_##suffix(type *p, vec_##suffix a)                                                            \
    {                                                                                                                  \
        *(vec_any_##suffix *)p = a;                                                                                    \
    }                                                                                                                  \
    VEC_INLINE vec_##suffix all_##suffix(type value)                                                                   \
    {                                                                                                                  \
        return value - (vec_##suffix){0};                                                                              \
    }
VEC_BASICS(float, f32)
VEC_BASICS(double, f64)
VEC_BASICS(uint32_t, u32)
VEC_BASICS(uint64_t, u64)
#undef VEC_BASICS

/* A comparison of the vector extensions gives all ones where it holds. */
VEC_INLINE vec_u32 below_u32(vec_u32 a, vec_u32 b)
{
    return (vec_u32)(a < b);
}
VEC_INLINE vec_u64 below_u64(vec_u64 a, vec_u64 b)
{
    return (vec_u64)(a < b);
}
VEC_INLINE vec_u32 bits_f32(vec_f32 a)
{
    return (vec_u32)a;
}
VEC_INLINE vec_u64 bits_f64(vec_f64 a)
{
    return (vec_u64)a;
}

#if defined ISA_avx512

VEC_INLINE vec_f32 fma_f32(vec_f32 a, vec_f32 b, vec_f32 c)
{
    return (vec_f32)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
}
VEC_INLINE vec_f64 fma_f64(vec_f64 a, vec_f64 b, vec_f64 c)
{
    return (vec_f64)_mm512_fmadd_pd((__m512d)a, (__m512d)b, (__m512d)c);
}
VEC_INLINE vec_f32 round_f32(vec_f32 a)
{
    return (vec_f32)_mm512_roundscale_ps((__m512)a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
VEC_INLINE vec_f64 round_f64(vec_f64 a)
{
    return (vec_f64)_mm512_roundscale_pd((__m512d)a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
#define VEC_PART(type, suffix, bits, intrinsic)                                                                        \
    VEC_INLINE vec_##suffix load_part_##suffix(const type *p, size_t count)                                            \
    {                                                                                                                  \
        return (vec_##suffix)_mm512_maskz_loadu_##intrinsic((__mmask##bits)((1u << count) - 1), p);                    \
    }                                                                                                                  \
    VEC_INLINE void store_part_##suffix(type *p, vec_##suffix a, size_t count)                                         \
    {                                                                                                                  \
        _mm512_mask_storeu_##intrinsic(p, (__mmask##bits)((1u << count) - 1), (__m512i)a);                             \
    }
VEC_PART(float, f32, 16, epi32)
VEC_PART(double, f64, 8, epi64)
VEC_PART(uint32_t, u32, 16, epi32)
VEC_PART(uint64_t, u64, 8, epi64)
#undef VEC_PART

#elif defined ISA_avx2

VEC_INLINE vec_f32 fma_f32(vec_f32 a, vec_f32 b, vec_f32 c)
{
    return (vec_f32)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
}
VEC_INLINE vec_f64 fma_f64(vec_f64 a, vec_f64 b, vec_f64 c)
{
    return (vec_f64)_mm256_fmadd_pd((__m256d)a, (__m256d)b, (__m256d)c);
}
VEC_INLINE vec_f32 round_f32(vec_f32 a)
{
    return (vec_f32)_mm256_round_ps((__m256)a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
VEC_INLINE vec_f64 round_f64(vec_f64 a)
{
    return (vec_f64)_mm256_round_pd((__m256d)a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
#define VEC_PART(type, suffix, element, mask, intrinsic, pointer)                                                      \
    VEC_INLINE __m256i part_mask_##suffix(size_t count)                                                                \
    {                                                                                                                  \
        return _mm256_cmpgt_##mask(_mm256_set1_##element((int)count), part_lanes_##mask());                            \
    }                                                                                                                  \
    VEC_INLINE vec_##suffix load_part_##suffix(const type *p, size_t count)                                            \
    {                                                                                                                  \
        return (vec_##suffix)_mm256_maskload_##intrinsic((const pointer *)p, part_mask_##suffix(count));               \
    }                                                                                                                  \
    VEC_INLINE void store_part_##suffix(type *p, vec_##suffix a, size_t count)                                         \
    {                                                                                                                  \
        _mm256_maskstore_##intrinsic((pointer *)p, part_mask_##suffix(count), (__m256i)a);                             \
    }
VEC_INLINE __m256i part_lanes_epi32(void)
{
    return _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
}
VEC_INLINE __m256i part_lanes_epi64(void)
{
    return _mm256_setr_epi64x(0, 1, 2, 3);
}
VEC_PART(float, f32, epi32, epi32, epi32, int)
VEC_PART(double, f64, epi64x, epi64, epi64, long long)
VEC_PART(uint32_t, u32, epi32, epi32, epi32, int)
VEC_PART(uint64_t, u64, epi64x, epi64, epi64, long long)
#undef VEC_PART

#else

VEC_INLINE vec_f32 fma_f32(vec_f32 a, vec_f32 b, vec_f32 c)
{
    return (vec_f32)vfmaq_f32((float32x4_t)c, (float32x4_t)a, (float32x4_t)b);
}
VEC_INLINE vec_f64 fma_f64(vec_f64 a, vec_f64 b, vec_f64 c)
{
    return (vec_f64)vfmaq_f64((float64x2_t)c, (float64x2_t)a, (float64x2_t)b);
}
VEC_INLINE vec_f32 round_f32(vec_f32 a)
{
    return (vec_f32)vrndnq_f32((float32x4_t)a);
}
VEC_INLINE vec_f64 round_f64(vec_f64 a)
{
    return (vec_f64)vrndnq_f64((float64x2_t)a);
}
#define VEC_PART(type, suffix)                                                                                         \
    VEC_INLINE vec_##suffix load_part_##suffix(const type *p, size_t count)                                            \
    {                                                                                                                  \
        vec_##suffix a = {0};                                                                                          \
        memcpy(&a, p, count * sizeof *p);                                                                              \
        return a;                                                                                                      \
    }                                                                                                                  \
    VEC_INLINE void store_part_##suffix(type *p, vec_##suffix a, size_t count)                                         \
    {                                                                                                                  \
        memcpy(p, &a, count * sizeof *p);                                                                              \
    }
VEC_PART(float, f32)
VEC_PART(double, f64)
VEC_PART(uint32_t, u32)
VEC_PART(uint64_t, u64)
#undef VEC_PART

#endif
#endif

/* What begins s elements after a where b follows it, s being 0 .. lanes-1 and not known before: where one instruction does
 * that, by a vector that tells it s. */
#if defined ISA_avx512
#define VEC_JOINS 1
#define VEC_4(s)  s, s + 1, s + 2, s + 3
#define VEC_8(s)  VEC_4(s), VEC_4(s + 4)
#define VEC_16(s) VEC_8(s), VEC_8(s + 8)
VEC_INLINE vec_u32 join_index_f32(size_t s)
{
    static const _Alignas(64) uint32_t lanes[16][16] = {
        {VEC_16(0)}, {VEC_16(1)}, {VEC_16(2)},  {VEC_16(3)},  {VEC_16(4)},  {VEC_16(5)},  {VEC_16(6)},  {VEC_16(7)},
        {VEC_16(8)}, {VEC_16(9)}, {VEC_16(10)}, {VEC_16(11)}, {VEC_16(12)}, {VEC_16(13)}, {VEC_16(14)}, {VEC_16(15)}};
    return load_u32(lanes[s]);
}
VEC_INLINE vec_u64 join_index_f64(size_t s)
{
    static const _Alignas(64) uint64_t lanes[8][8] = {{VEC_8(0)}, {VEC_8(1)}, {VEC_8(2)}, {VEC_8(3)},
                                                      {VEC_8(4)}, {VEC_8(5)}, {VEC_8(6)}, {VEC_8(7)}};
    return load_u64(lanes[s]);
}
#undef VEC_4
#undef VEC_8
#undef VEC_16
VEC_INLINE vec_f32 join_f32(vec_f32 a, vec_f32 b, vec_u32 index)
{
    return (vec_f32)_mm512_permutex2var_ps((__m512)a, (__m512i)index, (__m512)b);
}
VEC_INLINE vec_f64 join_f64(vec_f64 a, vec_f64 b, vec_u64 index)
{
    return (vec_f64)_mm512_permutex2var_pd((__m512d)a, (__m512i)index, (__m512d)b);
}
/* What lies at p in the lanes whose bits are set; the others are those of `other`, and memory is not touched there. */
VEC_INLINE vec_f32 load_lanes_f32(const float *p, uint32_t lanes, vec_f32 other)
{
    return (vec_f32)_mm512_mask_loadu_ps((__m512)other, (__mmask16)lanes, p);
}
VEC_INLINE vec_f64 load_lanes_f64(const double *p, uint32_t lanes, vec_f64 other)
{
    return (vec_f64)_mm512_mask_loadu_pd((__m512d)other, (__mmask8)lanes, p);
}
/* Begins to fetch a line that will be stored to, and need not exist: the store alone would wait for it in turn. */
VEC_INLINE void expect_store(uintptr_t address)
{
    __builtin_prefetch((const void *)address, 1, 3);
}
/* The larger of two absolute values; a NaN counts as none. */
VEC_INLINE vec_f32 larger_magnitude_f32(vec_f32 a, vec_f32 b)
{
    return (vec_f32)_mm512_range_ps((__m512)a, (__m512)b, 11);
}
VEC_INLINE vec_f64 larger_magnitude_f64(vec_f64 a, vec_f64 b)
{
    return (vec_f64)_mm512_range_pd((__m512d)a, (__m512d)b, 11);
}
#else
#define VEC_JOINS 0
#endif

/* Keeps a vector that was loaded in its register: a compiler that knows where it came from loads it again for every use. */
#if defined ISA_avx512
#define VEC_HOLD(a) __asm__("" : "+v"(a))
#elif defined ISA_avx2
#define VEC_HOLD(a) __asm__("" : "+x"(a))
#elif defined ISA_neon
#define VEC_HOLD(a) __asm__("" : "+w"(a))
#else
#define VEC_HOLD(a) (void)(a)
#endif

/* Stores past the caches, to multiples of VEC_BYTES, where there is more than one way; `stream_end` after the last of them makes
 * them seen in order. */
#if defined ISA_avx512
VEC_INLINE void stream_f32(float *p, vec_f32 a)
{
    _mm512_stream_ps(p, (__m512)a);
}
VEC_INLINE void stream_f64(double *p, vec_f64 a)
{
    _mm512_stream_pd(p, (__m512d)a);
}
VEC_INLINE void stream_u64(uint64_t *p, vec_u64 a)
{
    _mm512_stream_si512((void *)p, (__m512i)a);
}
VEC_INLINE void stream_end(void)
{
    _mm_sfence();
}
#else
VEC_INLINE void stream_f32(float *p, vec_f32 a)
{
    store_f32(p, a);
}
VEC_INLINE void stream_f64(double *p, vec_f64 a)
{
    store_f64(p, a);
}
VEC_INLINE void stream_u64(uint64_t *p, vec_u64 a)
{
    store_u64(p, a);
}
VEC_INLINE void stream_end(void)
{
}
#endif

/* Lanes `s` and on of a, then the first of b: what begins s elements after a where b follows it. s is a constant below the
 * number of lanes. */
#if defined VEC_SCALAR
#define shift_f32(a, b, s) (a)
#define shift_f64(a, b, s) (a)
#define shift_u64(a, b, s) (a)
#elif defined ISA_avx512
#define shift_f32(a, b, s) ((vec_f32)_mm512_alignr_epi32((__m512i)(b), (__m512i)(a), s))
#define shift_f64(a, b, s) ((vec_f64)_mm512_alignr_epi64((__m512i)(b), (__m512i)(a), s))
#define shift_u64(a, b, s) ((vec_u64)_mm512_alignr_epi64((__m512i)(b), (__m512i)(a), s))
#else
#define VEC_SHIFT_2(a, b, s) __builtin_shufflevector(a, b, s, (s) + 1)
#define VEC_SHIFT_4(a, b, s) __builtin_shufflevector(a, b, s, (s) + 1, (s) + 2, (s) + 3)
#define VEC_SHIFT_8(a, b, s)                                                                                           \
    __builtin_shufflevector(a, b, s, (s) + 1, (s) + 2, (s) + 3, (s) + 4, (s) + 5, (s) + 6, (s) + 7)
#if VEC_BYTES == 32
#define shift_f32(a, b, s) VEC_SHIFT_8(a, b, s)
#define shift_f64(a, b, s) VEC_SHIFT_4(a, b, s)
#define shift_u64(a, b, s) VEC_SHIFT_4(a, b, s)
#else
#define shift_f32(a, b, s) VEC_SHIFT_4(a, b, s)
#define shift_f64(a, b, s) VEC_SHIFT_2(a, b, s)
#define shift_u64(a, b, s) VEC_SHIFT_2(a, b, s)
#endif
#endif

/* Every second lane of a, then of b: the first and so on, the second and so on. */
#if defined VEC_SCALAR
#define even_f32(a, b) (a)
#define even_f64(a, b) (a)
#define odd_f32(a, b)  (b)
#define odd_f64(a, b)  (b)
#else
#define VEC_EACH_2(a, b, s) __builtin_shufflevector(a, b, s, (s) + 2)
#define VEC_EACH_4(a, b, s) __builtin_shufflevector(a, b, s, (s) + 2, (s) + 4, (s) + 6)
#define VEC_EACH_8(a, b, s)                                                                                            \
    __builtin_shufflevector(a, b, s, (s) + 2, (s) + 4, (s) + 6, (s) + 8, (s) + 10, (s) + 12, (s) + 14)
#define VEC_EACH_16(a, b, s)                                                                                           \
    __builtin_shufflevector(a, b, s, (s) + 2, (s) + 4, (s) + 6, (s) + 8, (s) + 10, (s) + 12, (s) + 14, (s) + 16,       \
                            (s) + 18, (s) + 20, (s) + 22, (s) + 24, (s) + 26, (s) + 28, (s) + 30)
#if VEC_BYTES == 64
#define VEC_EACH_f32 VEC_EACH_16
#define VEC_EACH_f64 VEC_EACH_8
#elif VEC_BYTES == 32
#define VEC_EACH_f32 VEC_EACH_8
#define VEC_EACH_f64 VEC_EACH_4
#else
#define VEC_EACH_f32 VEC_EACH_4
#define VEC_EACH_f64 VEC_EACH_2
#endif
#define even_f32(a, b) VEC_EACH_f32(a, b, 0)
#define even_f64(a, b) VEC_EACH_f64(a, b, 0)
#define odd_f32(a, b)  VEC_EACH_f32(a, b, 1)
#define odd_f64(a, b)  VEC_EACH_f64(a, b, 1)
#endif

/* Everywhere alike, being one multiplication and one addition modulo 2^64. */
VEC_INLINE vec_u64 fma_u64(vec_u64 a, vec_u64 b, vec_u64 c)
{
    return a * b + c;
}
/* The larger of two unsigned integers, by the instruction where there is one. */
#define VEC_LARGER(suffix)                                                                                             \
    VEC_INLINE vec_##suffix larger_##suffix(vec_##suffix a, vec_##suffix b)                                            \
    {                                                                                                                  \
        const vec_##suffix less = below_##suffix(a, b);                                                                \
        return (b & less) | (a & ~less);                                                                               \
    }
#define VEC_LARGER_BY(suffix, vector, instruction)                                                                     \
    VEC_INLINE vec_##suffix larger_##suffix(vec_##suffix a, vec_##suffix b)                                            \
    {                                                                                                                  \
        return (vec_##suffix)instruction((vector)a, (vector)b);                                                        \
    }
#if defined ISA_avx512
VEC_LARGER_BY(u32, __m512i, _mm512_max_epu32)
VEC_LARGER_BY(u64, __m512i, _mm512_max_epu64)
#elif defined ISA_avx2
VEC_LARGER_BY(u32, __m256i, _mm256_max_epu32)
VEC_LARGER(u64)
#elif defined ISA_neon
VEC_LARGER_BY(u32, uint32x4_t, vmaxq_u32)
VEC_LARGER(u64)
#else
VEC_LARGER(u32)
VEC_LARGER(u64)
#endif
#undef VEC_LARGER
#undef VEC_LARGER_BY

#endif
