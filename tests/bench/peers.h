/* SPDX-License-Identifier: MIT */
/* What tests/bench/peers_bench.py calls: filters of up to three axes, mode `same`, zeros outside, on one thread. Lengths are
 * always three, 1 for axes that are not there; tensors are row-major and aligned to 64 bytes. Ours is timed with everything
 * a caller pays: plan, execution, scratch. */
#ifndef TESTS_BENCH_PEERS_H
#define TESTS_BENCH_PEERS_H

#include <stdbool.h>
#include <stddef.h>

/* Ours. The method is `auto` or another of convolve_method_name. NULL where there is none of that name. */
struct bench_ours;
struct bench_ours *bench_ours_create(const size_t *input, const size_t *kernel, bool f64, const char *method);
bool bench_ours_run(struct bench_ours *ours, const void *input, const void *kernel, void *output);
const char *bench_ours_method(const struct bench_ours *ours); /* that the last run took */
void bench_ours_destroy(struct bench_ours *ours);

/* Fused multiply-adds a second of one core in registers, float32. */
double bench_fma_peak(void);

/* The loop that one writes, built for this very CPU. */
void bench_plain_run(const void *input, const void *kernel, void *output, const size_t *n, const size_t *m, bool f64);

/* Overlap-save with FFTW, the fastest of some block lengths; its planning is not timed, the kernel's transform is. NULL where
 * the build found no FFTW. */
struct bench_fftw;
struct bench_fftw *bench_fftw_create(const size_t *input, const size_t *kernel, bool f64);
void bench_fftw_run(struct bench_fftw *fftw, const void *input, const void *kernel, void *output);
void bench_fftw_destroy(struct bench_fftw *fftw);

#endif
