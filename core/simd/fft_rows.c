/* SPDX-License-Identifier: MIT */
/* Rows on their way into and out of a transform: transposed so that each is a lane, looked at for what their values tell,
 * and cut off at zero on the way out; and spectra of taps, on their way to where they are kept. */
#include "core/simd/routines.h"
#include "core/simd/vec.h"

/* ---- Transposition ---- */

#ifdef VEC_SCALAR
#define transpose_f32(v) (void)(v)
#define transpose_f64(v) (void)(v)
#else
#ifdef __clang__
#define SHUFFLE(a, b, bits, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define SHUFFLE(a, b, bits, ...) __builtin_shuffle(a, b, (vec_##bits){__VA_ARGS__})
#endif
/* log2(lanes) rounds; in the round of `step`, rows `step` apart swap their halves of every group of 2*step lanes. */
#define ROUND(v, bits, lanes, step, low, high)                                                                         \
    for (unsigned r = 0; r < (lanes); r++)                                                                             \
        if (!(r & (step))) {                                                                                           \
            const vec_##bits a = (v)[r], b = (v)[r + (step)];                                                          \
            (v)[r] = low;                                                                                              \
            (v)[r + (step)] = high;                                                                                    \
        }
#if VEC_BYTES == 64
VEC_INLINE void transpose_f32(vec_f32 *v){
    ROUND(v, f32, 16, 8, SHUFFLE(a, b, u32, 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23),
          SHUFFLE(a, b, u32, 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31))
        ROUND(v, f32, 16, 4, SHUFFLE(a, b, u32, 0, 1, 2, 3, 16, 17, 18, 19, 8, 9, 10, 11, 24, 25, 26, 27),
              SHUFFLE(a, b, u32, 4, 5, 6, 7, 20, 21, 22, 23, 12, 13, 14, 15, 28, 29, 30, 31))
            ROUND(v, f32, 16, 2, SHUFFLE(a, b, u32, 0, 1, 16, 17, 4, 5, 20, 21, 8, 9, 24, 25, 12, 13, 28, 29),
                  SHUFFLE(a, b, u32, 2, 3, 18, 19, 6, 7, 22, 23, 10, 11, 26, 27, 14, 15, 30, 31))
                ROUND(v, f32, 16, 1, SHUFFLE(a, b, u32, 0, 16, 2, 18, 4, 20, 6, 22, 8, 24, 10, 26, 12, 28, 14, 30),
                      SHUFFLE(a, b, u32, 1, 17, 3, 19, 5, 21, 7, 23, 9, 25, 11, 27, 13, 29, 15, 31))} VEC_INLINE
    void transpose_f64(vec_f64 *v){ROUND(v, f64, 8, 4, SHUFFLE(a, b, u64, 0, 1, 2, 3, 8, 9, 10, 11),
                                         SHUFFLE(a, b, u64, 4, 5, 6, 7, 12, 13, 14, 15))
                                       ROUND(v, f64, 8, 2, SHUFFLE(a, b, u64, 0, 1, 8, 9, 4, 5, 12, 13),
                                             SHUFFLE(a, b, u64, 2, 3, 10, 11, 6, 7, 14, 15))
                                           ROUND(v, f64, 8, 1, SHUFFLE(a, b, u64, 0, 8, 2, 10, 4, 12, 6, 14),
                                                 SHUFFLE(a, b, u64, 1, 9, 3, 11, 5, 13, 7, 15))}
#elif VEC_BYTES == 32
VEC_INLINE void transpose_f32(vec_f32 *v){
    ROUND(v, f32, 8, 4, SHUFFLE(a, b, u32, 0, 1, 2, 3, 8, 9, 10, 11), SHUFFLE(a, b, u32, 4, 5, 6, 7, 12, 13, 14, 15))
        ROUND(v, f32, 8, 2, SHUFFLE(a, b, u32, 0, 1, 8, 9, 4, 5, 12, 13),
              SHUFFLE(a, b, u32, 2, 3, 10, 11, 6, 7, 14, 15))
            ROUND(v, f32, 8, 1, SHUFFLE(a, b, u32, 0, 8, 2, 10, 4, 12, 6, 14),
                  SHUFFLE(a, b, u32, 1, 9, 3, 11, 5, 13, 7, 15))} VEC_INLINE void transpose_f64(vec_f64 *v){
    ROUND(v, f64, 4, 2, SHUFFLE(a, b, u64, 0, 1, 4, 5), SHUFFLE(a, b, u64, 2, 3, 6, 7))
        ROUND(v, f64, 4, 1, SHUFFLE(a, b, u64, 0, 4, 2, 6), SHUFFLE(a, b, u64, 1, 5, 3, 7))}
#else
VEC_INLINE void transpose_f32(vec_f32 *v){
    ROUND(v, f32, 4, 2, SHUFFLE(a, b, u32, 0, 1, 4, 5), SHUFFLE(a, b, u32, 2, 3, 6, 7))
        ROUND(v, f32, 4, 1, SHUFFLE(a, b, u32, 0, 4, 2, 6), SHUFFLE(a, b, u32, 1, 5, 3, 7))} VEC_INLINE
    void transpose_f64(vec_f64 *v)
{
    ROUND(v, f64, 2, 1, SHUFFLE(a, b, u64, 0, 2), SHUFFLE(a, b, u64, 1, 3))
}
#endif
#endif

/* Squares of lanes x lanes; a strip may be several vectors wide. */
#define DEFINE_TRANSPOSITIONS(type, bits)                                                                              \
    void ROUTINE(gather_rows_##bits)(type * strip, const type *const *rows, size_t count)                              \
    {                                                                                                                  \
        enum { LANES = LANES_##bits, WIDTH = SIMD_FFT_WIDTH_##bits };                                                  \
        size_t x = 0;                                                                                                  \
        for (; x + LANES <= count; x += LANES)                                                                         \
            for (size_t lane = 0; lane < WIDTH; lane += LANES) {                                                       \
                vec_##bits v[LANES];                                                                                   \
                for (size_t r = 0; r < LANES; r++)                                                                     \
                    v[r] = load_##bits(rows[lane + r] + x);                                                            \
                transpose_##bits(v);                                                                                   \
                for (size_t r = 0; r < LANES; r++)                                                                     \
                    store_##bits(strip + (x + r) * WIDTH + lane, v[r]);                                                \
            }                                                                                                          \
        for (; x < count; x++)                                                                                         \
            for (size_t lane = 0; lane < WIDTH; lane++)                                                                \
                strip[x * WIDTH + lane] = rows[lane][x];                                                               \
    }                                                                                                                  \
    VEC_INLINE void scatter_##bits(type *const *rows, const type *strip, size_t count, bool stream)                    \
    {                                                                                                                  \
        enum { LANES = LANES_##bits, WIDTH = SIMD_FFT_WIDTH_##bits };                                                  \
        size_t x = 0;                                                                                                  \
        for (; x + LANES <= count; x += LANES)                                                                         \
            for (size_t lane = 0; lane < WIDTH; lane += LANES) {                                                       \
                vec_##bits v[LANES];                                                                                   \
                for (size_t r = 0; r < LANES; r++)                                                                     \
                    v[r] = load_##bits(strip + (x + r) * WIDTH + lane);                                                \
                transpose_##bits(v);                                                                                   \
                for (size_t r = 0; r < LANES; r++)                                                                     \
                    if (stream)                                                                                        \
                        stream_##bits(rows[lane + r] + x, v[r]);                                                       \
                    else                                                                                               \
                        store_##bits(rows[lane + r] + x, v[r]);                                                        \
            }                                                                                                          \
        for (; x < count; x++)                                                                                         \
            for (size_t lane = 0; lane < WIDTH; lane++)                                                                \
                rows[lane][x] = strip[x * WIDTH + lane];                                                               \
        if (stream)                                                                                                    \
            stream_end();                                                                                              \
    }                                                                                                                  \
    void ROUTINE(scatter_rows_##bits)(type *const *rows, const type *strip, size_t count, bool stream)                 \
    {                                                                                                                  \
        for (size_t lane = 0; lane < SIMD_FFT_WIDTH_##bits; lane++)                                                    \
            stream &= (uintptr_t)rows[lane] % (LANES_##bits * sizeof(type)) == 0;                                      \
        if (stream)                                                                                                    \
            scatter_##bits(rows, strip, count, true);                                                                  \
        else                                                                                                           \
            scatter_##bits(rows, strip, count, false);                                                                 \
    }
DEFINE_TRANSPOSITIONS(float, f32)
DEFINE_TRANSPOSITIONS(double, f64)

/* ---- What values tell ---- */

#if defined ISA_avx512
#define LARGER_f32(a, b)  ((vec_f32)_mm512_max_ps((__m512)(a), (__m512)(b)))
#define SMALLER_f32(a, b) ((vec_f32)_mm512_min_ps((__m512)(a), (__m512)(b)))
#define LARGER_f64(a, b)  ((vec_f64)_mm512_max_pd((__m512d)(a), (__m512d)(b)))
#define SMALLER_f64(a, b) ((vec_f64)_mm512_min_pd((__m512d)(a), (__m512d)(b)))
#elif defined ISA_avx2
#define LARGER_f32(a, b)  ((vec_f32)_mm256_max_ps((__m256)(a), (__m256)(b)))
#define SMALLER_f32(a, b) ((vec_f32)_mm256_min_ps((__m256)(a), (__m256)(b)))
#define LARGER_f64(a, b)  ((vec_f64)_mm256_max_pd((__m256d)(a), (__m256d)(b)))
#define SMALLER_f64(a, b) ((vec_f64)_mm256_min_pd((__m256d)(a), (__m256d)(b)))
#elif defined ISA_neon
#define LARGER_f32(a, b)  ((vec_f32)vmaxq_f32((float32x4_t)(a), (float32x4_t)(b)))
#define SMALLER_f32(a, b) ((vec_f32)vminq_f32((float32x4_t)(a), (float32x4_t)(b)))
#define LARGER_f64(a, b)  ((vec_f64)vmaxq_f64((float64x2_t)(a), (float64x2_t)(b)))
#define SMALLER_f64(a, b) ((vec_f64)vminq_f64((float64x2_t)(a), (float64x2_t)(b)))
#else
#define LARGER_f32(a, b)  ((a) > (b) ? (a) : (b))
#define SMALLER_f32(a, b) ((a) < (b) ? (a) : (b))
#define LARGER_f64(a, b)  ((a) > (b) ? (a) : (b))
#define SMALLER_f64(a, b) ((a) < (b) ? (a) : (b))
#endif

enum { ROWS_AHEAD = 4 }; /* what is prefetched */

#ifdef VEC_SCALAR
#define ZERO_LANES(ubits, value) ((vec_##ubits)((value) == 0 ? -1 : 0))
#else
#define ZERO_LANES(ubits, value) ((vec_##ubits)((value) == 0))
#endif

/* x * 0 is 0 for finite x alone, and stays a NaN in the sum. Once a fraction was met nobody asks for another. */
#define DEFINE_FACTS(type, bits, ubits, uint)                                                                          \
    VEC_INLINE void facts_step_##bits(vec_##bits value, vec_##bits *most, vec_##bits *least, vec_##bits *finite,       \
                                      vec_##ubits *zeros, vec_##ubits *fraction, bool integral)                        \
    {                                                                                                                  \
        *most = LARGER_##bits(value, *most);                                                                           \
        *least = SMALLER_##bits(value, *least);                                                                        \
        *finite = *finite + value * all_##bits(0);                                                                     \
        *zeros -= ZERO_LANES(ubits, value);                                                                            \
        if (integral)                                                                                                  \
            *fraction |= bits_##bits(value) ^ bits_##bits(round_##bits(value));                                        \
    }                                                                                                                  \
    VEC_INLINE void facts_pass_##bits(struct simd_fft_facts *facts, type *out, size_t out_pitch, const type *values,   \
                                      size_t pitch, size_t rows, size_t count, bool integral, bool copy)               \
    {                                                                                                                  \
        enum { LANES = LANES_##bits };                                                                                 \
        vec_##bits most = all_##bits(0), least = most, finite = most;                                                  \
        vec_##ubits zeros = all_##ubits(0), fraction = zeros;                                                          \
        for (size_t row = 0; row < rows; row++, values += pitch, out += copy ? out_pitch : 0) {                        \
            /* Far rows lie in pages of their own, which the processor does not foresee. */                            \
            const size_t ahead = row + ROWS_AHEAD < rows ? ROWS_AHEAD * pitch : 0;                                     \
            size_t x = 0;                                                                                              \
            for (; x + LANES <= count; x += LANES) {                                                                   \
                const vec_##bits value = load_##bits(values + x);                                                      \
                __builtin_prefetch(values + ahead + x);                                                                \
                facts_step_##bits(value, &most, &least, &finite, &zeros, &fraction, integral);                         \
                if (copy)                                                                                              \
                    store_##bits(out + x, value);                                                                      \
            }                                                                                                          \
            if (x < count) {                                                                                           \
                const vec_##bits value = load_part_##bits(values + x, count - x);                                      \
                facts_step_##bits(value, &most, &least, &finite, &zeros, &fraction, integral);                         \
                facts->zeros -= LANES - (count - x);                                                                   \
                if (copy)                                                                                              \
                    store_part_##bits(out + x, value, count - x);                                                      \
            }                                                                                                          \
        }                                                                                                              \
        type high[LANES], low[LANES], sum[LANES];                                                                      \
        uint zero[LANES], part[LANES];                                                                                 \
        store_##bits(high, most);                                                                                      \
        store_##bits(low, least);                                                                                      \
        store_##bits(sum, finite);                                                                                     \
        store_##ubits(zero, zeros);                                                                                    \
        store_##ubits(part, fraction);                                                                                 \
        for (size_t i = 0; i < LANES; i++) {                                                                           \
            facts->most = (double)high[i] > facts->most ? (double)high[i] : facts->most;                               \
            facts->least = (double)low[i] < facts->least ? (double)low[i] : facts->least;                              \
            facts->nonfinite |= sum[i] != 0;                                                                           \
            facts->zeros += (size_t)zero[i];                                                                           \
            facts->fractional |= part[i] != 0;                                                                         \
        }                                                                                                              \
    }                                                                                                                  \
    void ROUTINE(fft_facts_##bits)(struct simd_fft_facts * facts, const type *values, size_t pitch, size_t rows,       \
                                   size_t count)                                                                       \
    {                                                                                                                  \
        if (facts->fractional)                                                                                         \
            facts_pass_##bits(facts, NULL, 0, values, pitch, rows, count, false, false);                               \
        else                                                                                                           \
            facts_pass_##bits(facts, NULL, 0, values, pitch, rows, count, true, false);                                \
    }                                                                                                                  \
    void ROUTINE(fft_copy_##bits)(struct simd_fft_facts * facts, type * out, size_t out_pitch, const type *values,     \
                                  size_t pitch, size_t rows, size_t count)                                             \
    {                                                                                                                  \
        if (facts->fractional)                                                                                         \
            facts_pass_##bits(facts, out, out_pitch, values, pitch, rows, count, false, true);                         \
        else                                                                                                           \
            facts_pass_##bits(facts, out, out_pitch, values, pitch, rows, count, true, true);                          \
    }
DEFINE_FACTS(float, f32, u32, uint32_t)
DEFINE_FACTS(double, f64, u64, uint64_t)

/* ---- Out ---- */

#define DEFINE_CUT(type, bits)                                                                                         \
    void ROUTINE(fft_cut_##bits)(type * out, size_t out_pitch, const type *in, size_t in_pitch, type least,            \
                                 size_t rows, size_t count)                                                            \
    {                                                                                                                  \
        enum { LANES = LANES_##bits };                                                                                 \
        const vec_##bits limit = all_##bits(least);                                                                    \
        for (size_t row = 0; row < rows; row++, out += out_pitch, in += in_pitch) {                                    \
            const size_t ahead = row + ROWS_AHEAD < rows ? ROWS_AHEAD * out_pitch : 0;                                 \
            size_t x = 0;                                                                                              \
            for (; x + LANES <= count; x += LANES) {                                                                   \
                __builtin_prefetch(out + ahead + x, 1);                                                                \
                store_##bits(out + x, LARGER_##bits(load_##bits(in + x), limit));                                      \
            }                                                                                                          \
            if (x < count)                                                                                             \
                store_part_##bits(out + x, LARGER_##bits(load_part_##bits(in + x, count - x), limit), count - x);      \
        }                                                                                                              \
    }
DEFINE_CUT(float, f32)
DEFINE_CUT(double, f64)

/* ---- Spectra of taps ---- */

#ifdef VEC_SCALAR
#define PUT_f32(to, a) (*(to) = (float)(a))
#else
typedef float vec_half_f32 __attribute__((vector_size(VEC_BYTES / 2), aligned(4), may_alias));
#define PUT_f32(to, a) (*(vec_half_f32 *)(void *)(to) = __builtin_convertvector(a, vec_half_f32))
#endif
#define PUT_f64(to, a) store_f64(to, a)

#define DEFINE_SPECTRUM(type, bits)                                                                                    \
    double ROUTINE(fft_spectrum_##bits)(type * re, type * im, size_t pitch, const double *from_re,                     \
                                        const double *from_im, size_t count, double scale)                             \
    {                                                                                                                  \
        enum { LANES = LANES_f64, WIDTH = SIMD_FFT_WIDTH_f64 };                                                        \
        const vec_f64 by = all_f64(scale);                                                                             \
        vec_f64 largest = all_f64(0);                                                                                  \
        for (size_t i = 0; i < count; i++)                                                                             \
            for (size_t lane = 0; lane < WIDTH; lane += LANES) {                                                       \
                const vec_f64 a = load_f64(from_re + i * WIDTH + lane), b = load_f64(from_im + i * WIDTH + lane);      \
                largest = LARGER_f64(a * a + b * b, largest);                                                          \
                PUT_##bits(re + i * pitch + lane, a * by);                                                             \
                PUT_##bits(im + i * pitch + lane, b * by);                                                             \
            }                                                                                                          \
        double lanes[LANES], most = 0;                                                                                 \
        store_f64(lanes, largest);                                                                                     \
        for (size_t i = 0; i < LANES; i++)                                                                             \
            most = lanes[i] > most ? lanes[i] : most;                                                                  \
        return most;                                                                                                   \
    }
DEFINE_SPECTRUM(float, f32)
DEFINE_SPECTRUM(double, f64)
