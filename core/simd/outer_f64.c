/* SPDX-License-Identifier: MIT */
/* Sums of float64 whose lanes are output channels. */
#include "core/simd/routines.h"
#include "core/simd/vec.h"

#define ELEMENT double
#define SUFFIX  f64
#define OUTER   ROUTINE(outer_f64)
#include "core/simd/outer.inc"
