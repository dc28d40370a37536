/* SPDX-License-Identifier: MIT */
/* Blocks of float32. */
#include "core/simd/routines.h"
#include "core/simd/vec.h"

#define ELEMENT         float
#define SUFFIX          f32
#define BLOCK           ROUTINE(block_f32)
#define BLOCK_ROWS_BEST ROUTINE(block_rows_f32)
#include "core/simd/block_shape.inc"
#include "core/simd/blocks.inc"
