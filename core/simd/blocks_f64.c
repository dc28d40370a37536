/* SPDX-License-Identifier: MIT */
/* Blocks of float64. */
#include "core/simd/routines.h"
#include "core/simd/vec.h"

#define ELEMENT         double
#define SUFFIX          f64
#define BLOCK           ROUTINE(block_f64)
#define BLOCK_ROWS_BEST ROUTINE(block_rows_f64)
#include "core/simd/block_shape.inc"
#include "core/simd/blocks.inc"
