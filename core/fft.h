/* SPDX-License-Identifier: MIT */
/* Transforms of the lengths 2^a 3^b 5^c: which lengths there are, and the tables that the routines of
 * core/simd/butterflies.c work with. Forward transforms leave frequency k at place fft_place(k). */
#ifndef CORE_FFT_H
#define CORE_FFT_H

#include "core/simd/routines.h"

#define FFT_LENGTH_MAX ((size_t)1 << 40)

/* The least length of the form 2^a 3^b 5^c that is `least` or more; 0 where that exceeds FFT_LENGTH_MAX. */
size_t fft_length_next(size_t least);

/* How many real numbers the table of a length takes at most. */
size_t fft_turns_count(size_t length);

/* Describes a transform of `length` and fills its table: floats where `single`, else doubles, within
 * 0.51 units in the last place. The table is the caller's. */
void fft_fill(struct simd_fft *fft, size_t length, bool single, void *turns);

/* Where the forward transform leaves frequency `k`. */
size_t fft_place(const struct simd_fft *fft, size_t k);

/* e^(-2 pi i index / length), length below 2^53 */
struct fft_root {
    double re, im;
};
struct fft_root fft_root(size_t index, size_t length);

/* Bounds on the error of a transform, forward or inverse, in units of the type's unit roundoff: of the 2-norm of its output,
 * relative to that norm; and of each output, relative to the sum of the absolute values of the input. */
double fft_error_units(const struct simd_fft *fft);
double fft_path_error_units(const struct simd_fft *fft);

#endif
