/* SPDX-License-Identifier: MIT */
/* Sums of float32 over places. */
#include "core/simd/routines.h"
#include "core/simd/vec.h"

#define ELEMENT float
#define SUFFIX  f32
#define CROSS   ROUTINE(cross_f32)
#include "core/simd/cross.inc"
