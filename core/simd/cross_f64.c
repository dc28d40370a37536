/* SPDX-License-Identifier: MIT */
/* Sums of float64 over places. */
#include "core/simd/routines.h"
#include "core/simd/vec.h"

#define ELEMENT double
#define SUFFIX  f64
#define CROSS   ROUTINE(cross_f64)
#include "core/simd/cross.inc"
