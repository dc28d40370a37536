/* SPDX-License-Identifier: MIT */
/* Blocks of float64. The block fills the registers: its accumulators, the vectors of one input row, and one tap. */
#include "core/simd/routines.h"
#include "core/simd/vec.h"

#define ELEMENT         double
#define SUFFIX          f64
#define BLOCK           ROUTINE(block_f64)
#define BLOCK_ROWS_BEST ROUTINE(block_rows_f64)
#if defined VEC_SCALAR
#define BLOCK_ROWS    1
#define BLOCK_VECTORS 1
#elif VEC_SANITIZED
#define BLOCK_ROWS    2
#define BLOCK_VECTORS 2
#elif VEC_REGISTERS >= 32
#define BLOCK_ROWS    6
#define BLOCK_VECTORS 4
#else
#define BLOCK_ROWS    4
#define BLOCK_VECTORS 3
#endif
#define BLOCK_FIXED (BLOCK_ROWS > 1 && !VEC_SANITIZED)
#include "core/simd/blocks.inc"
