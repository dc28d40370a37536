/* SPDX-License-Identifier: MIT */
/* fft_fill for either type, by the names of macros that are made for both. */
#ifndef TESTS_CORE_FFT_FILL_H
#define TESTS_CORE_FFT_FILL_H

#include "core/fft.h"

#include <stdlib.h>

static inline void fill_f64(struct simd_fft *fft, size_t length, double *turns)
{
    fft_fill(fft, length, turns);
}

/* The table in double is needed no longer than it takes to narrow it. */
static inline void fill_f32(struct simd_fft *fft, size_t length, float *turns)
{
    struct simd_fft twice;
    const size_t bytes = (fft_turns_count(length) + 1) * sizeof(double);
    double *const wide = aligned_alloc(64, (bytes + 63) / 64 * 64);
    if (!wide)
        abort();
    fft_fill(&twice, length, wide);
    fft_narrow(fft, &twice, turns);
    free(wide);
}

#endif
