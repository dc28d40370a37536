/* SPDX-License-Identifier: MIT */
/* The FFT's inner steps. A vector's lanes are as many independent transforms, so nothing is shuffled but by the transposition
 * that turns rows into lanes and back (fft_rows.c). Forward transforms leave their output in the order of their digits
 * reversed, inverse ones take it so: what lies between, a product of spectra, does not mind. (Decimation in frequency and in
 * time: Gentleman and Sande 1966, Cooley and Tukey 1965.) */
#include "core/simd/routines.h"
#include "core/simd/vec.h"

/* Here the order of roundings is free, so `scalar` need not call fma(). */
#ifdef VEC_SCALAR
#define MULTIPLY_ADD_f32(a, b, c) ((a) * (b) + (c))
#define MULTIPLY_ADD_f64(a, b, c) ((a) * (b) + (c))
#else
#define MULTIPLY_ADD_f32 fma_f32
#define MULTIPLY_ADD_f64 fma_f64
#endif
#define MULTIPLY_ADD_OF(bits) MULTIPLY_ADD_##bits
#define MULTIPLY_ADD(bits)    MULTIPLY_ADD_OF(bits)

enum { NEAR_BYTES = 24 << 10 }; /* of a first cache of 32 KiB or more, which factors and turns pass through too */

#if VEC_SANITIZED
#define UNROLL
#else
#define UNROLL _Pragma("GCC unroll 2")
#endif

/* Keeps the compiler from reading an element again where it is used a second time. */
#if defined ISA_avx2 || defined ISA_avx512
#define HOLD(v) __asm__("" : "+v"(v))
#else
#define HOLD(v) (void)(v)
#endif

#define ROUTINE_OF(name) ROUTINE(name) /* expands `name` first */

#define REAL float
#define BITS f32
#include "core/simd/butterflies.inc"
#undef REAL
#undef BITS

#define REAL double
#define BITS f64
#include "core/simd/butterflies.inc"
#undef REAL
#undef BITS
