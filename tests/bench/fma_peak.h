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

/* 12 chains hide a latency of 4 on two ports, and leave registers for the operands. */
#define FMA_PEAK_LOOP(name, attributes, vector, splat, fma)                                                            \
    attributes static inline double name(size_t rounds)                                                                \
    {                                                                                                                  \
        vector a[12], x = splat(1.0001f), y = splat(0.9999f);                                                          \
        for (int i = 0; i < 12; i++)                                                                                   \
            a[i] = splat((float)i);                                                                                    \
        const double begin = bench_seconds();                                                                          \
        for (size_t round = 0; round < rounds; round++) {                                                              \
            _Pragma("GCC unroll 12") for (int i = 0; i < 12; i++) a[i] = fma(a[i], x, y);                              \
            __asm__ volatile("" : "+m"(rounds));                                                                       \
        }                                                                                                              \
        const double seconds = bench_seconds() - begin;                                                                \
        for (int i = 0; i < 12; i++) {                                                                                 \
            volatile vector kept = a[i];                                                                               \
            (void)kept;                                                                                                \
        }                                                                                                              \
        return 12.0 * (double)rounds * (double)(sizeof(vector) / sizeof(float)) / seconds;                             \
    }

#if defined __x86_64__
FMA_PEAK_LOOP(fma_peak_avx512, __attribute__((target("avx512f"))), __m512, _mm512_set1_ps, _mm512_fmadd_ps)
FMA_PEAK_LOOP(fma_peak_avx2, __attribute__((target("avx2,fma"))), __m256, _mm256_set1_ps, _mm256_fmadd_ps)
#endif

/* Multiply-adds of float32 in a second with that set; of float64 half as many; 0 where there is no vector to measure. */
static inline double fma_peak(const char *set)
{
#if defined __x86_64__
    if (strcmp(set, "avx512") == 0)
        return fma_peak_avx512(1000000);
    if (strcmp(set, "avx2") == 0)
        return fma_peak_avx2(1000000);
#endif
    (void)set;
    return 0;
}

#endif
