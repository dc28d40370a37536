/* SPDX-License-Identifier: MIT */
/* Strips of float64. */
#include "core/simd/routines.h"
#include "core/simd/vec.h"

#define ELEMENT double
#define SUFFIX  f64
#define UINT    uint64_t
#define UBITS   u64
#define STRIPS  ROUTINE(strips_f64)
#define SCAN    ROUTINE(scan_f64)
#include "core/simd/strips.inc"
