/* SPDX-License-Identifier: MIT */
/* Blocks of 64-bit integers, modulo 2^64. Without a vector multiplication of that width the products take registers of
 * their own, so the blocks are smaller. */
#include "core/simd/routines.h"
#include "core/simd/vec.h"

#define ELEMENT         uint64_t
#define SUFFIX          u64
#define BLOCK           ROUTINE(block_u64)
#define BLOCK_ROWS_BEST ROUTINE(block_rows_u64)
#if defined VEC_SCALAR
#define BLOCK_ROWS    2
#define BLOCK_VECTORS 1
#elif VEC_SANITIZED
#define BLOCK_ROWS    2
#define BLOCK_VECTORS 2
#else
#define BLOCK_ROWS    4
#define BLOCK_VECTORS 2
#endif
#define BLOCK_FIXED 0
#include "core/simd/blocks.inc"
