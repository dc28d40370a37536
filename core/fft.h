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

/* Describes a transform of `length` and fills its table, within 0.51 units in the last place. The table is the caller's. */
void fft_fill(struct simd_fft *fft, size_t length, double *turns);

/* The same in float, made of the one in double. */
void fft_narrow(struct simd_fft *fft, const struct simd_fft *twice, float *turns);

/* Where the forward transform leaves frequency `k`. */
size_t fft_place(const struct simd_fft *fft, size_t k);

/* e^(-2 pi i index / length), length below 2^53 */
struct fft_root {
    double re, im;
};
struct fft_root fft_root(size_t index, size_t length);

/* What many of them, of one length, are looked up in. */
enum { FFT_ROOT_LEVELS = 3, FFT_ROOT_DIGITS = 128, FFT_ROOT_FLAT = 1024 };
struct fft_roots {
    size_t length;
    unsigned shared; /* angles in 8ths of a length's part are multiples of 2^shared */
    unsigned bits; /* of a level's digit; 0 where the length is too large, and roots are computed one by one */
    bool flat; /* all roots of the first eighth of a turn are in `all` */
    struct fft_wide_root {
        long double re, im;
    } level[FFT_ROOT_LEVELS][FFT_ROOT_DIGITS];
    struct fft_root all[FFT_ROOT_FLAT];
};
void fft_fill_roots(struct fft_roots *roots, size_t length);
struct fft_root fft_find_root(const struct fft_roots *roots, size_t index); /* index below the length */

/* Bounds on the error of a transform, forward or inverse, in units of the type's unit roundoff: of the 2-norm of its output,
 * relative to that norm; and of each output, relative to the sum of the absolute values of the input. */
double fft_error_units(const struct simd_fft *fft);
double fft_path_error_units(const struct simd_fft *fft);

#endif
