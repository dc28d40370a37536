/* SPDX-License-Identifier: MIT */
/* Sums of float32 whose lanes are output channels. */
#include "core/simd/routines.h"
#include "core/simd/vec.h"

#define ELEMENT float
#define SUFFIX  f32
#define OUTER   ROUTINE(outer_f32)
#include "core/simd/outer.inc"
