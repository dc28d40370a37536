/* SPDX-License-Identifier: MIT */
/* The most fused multiply-adds a core does in a second, measured: independent chains in registers, nothing else. What
 * benchmarks divide by; measured beside them, in the same run, since clocks vary. */
#ifndef TESTS_BENCH_FMA_PEAK_H
#define TESTS_BENCH_FMA_PEAK_H

#include <string.h>
#include <time.h>

#if defined __x86_64__
#include <immintrin.h>
#endif

static inline double bench_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* 12 chains hide a latency of 4 on two ports, and leave registers for the operands. They are named one by one to stay in
 * registers at every level of optimisation. The best of some rounds: a peak has no noise downwards. */
#define FMA_PEAK_CHAINS(each)                                                                                          \
    each(0) each(1) each(2) each(3) each(4) each(5) each(6) each(7) each(8) each(9) each(10) each(11)
#define FMA_PEAK_LOOP(name, attributes, vector, splat)                                                                 \
    attributes static inline double name(void)                                                                         \
    {                                                                                                                  \
        double best = 0;                                                                                               \
        for (int attempt = 0; attempt < 20; attempt++) {                                                               \
            const vector x = splat(1.0001f), y = splat(0.9999f);                                                       \
            FMA_PEAK_CHAINS(FMA_PEAK_BEGIN_##vector)                                                                   \
            const double begin = bench_seconds();                                                                      \
            for (int round = 0; round < 10000; round++) {                                                              \
                FMA_PEAK_CHAINS(FMA_PEAK_STEP_##vector)                                                                \
            }                                                                                                          \
            const double seconds = bench_seconds() - begin;                                                            \
            volatile vector kept;                                                                                      \
            FMA_PEAK_CHAINS(FMA_PEAK_KEEP)                                                                             \
            (void)kept;                                                                                                \
            const double rate = 12.0 * 10000 * (double)(sizeof(vector) / sizeof(float)) / seconds;                     \
            best = rate > best ? rate : best;                                                                          \
        }                                                                                                              \
        return best;                                                                                                   \
    }
#define FMA_PEAK_BEGIN___m512(i) __m512 a##i = _mm512_set1_ps((float)i);
#define FMA_PEAK_BEGIN___m256(i) __m256 a##i = _mm256_set1_ps((float)i);
#define FMA_PEAK_STEP___m512(i)                                                                                        \
    a##i = _mm512_fmadd_ps(a##i, x, y);                                                                                \
    __asm__ volatile("" : "+v"(a##i));
#define FMA_PEAK_STEP___m256(i)                                                                                        \
    a##i = _mm256_fmadd_ps(a##i, x, y);                                                                                \
    __asm__ volatile("" : "+x"(a##i));
#define FMA_PEAK_KEEP(i) kept = a##i;

#if defined __x86_64__
FMA_PEAK_LOOP(fma_peak_avx512, __attribute__((target("avx512f"))), __m512, _mm512_set1_ps)
FMA_PEAK_LOOP(fma_peak_avx2, __attribute__((target("avx2,fma"))), __m256, _mm256_set1_ps)
#endif

/* Multiply-adds of float32 in a second with that set; of float64 half as many; 0 where there is no vector to measure. */
static inline double fma_peak(const char *set)
{
#if defined __x86_64__
    if (strcmp(set, "avx512") == 0)
        return fma_peak_avx512();
    if (strcmp(set, "avx2") == 0)
        return fma_peak_avx2();
#endif
    (void)set;
    return 0;
}

#endif
