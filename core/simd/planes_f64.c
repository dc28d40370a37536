/* SPDX-License-Identifier: MIT */
/* Planes of float64. */
#include "core/simd/routines.h"
#include "core/simd/vec.h"

#define ELEMENT    double
#define SUFFIX     f64
#define UINT       uint64_t
#define BITS       u64
#define INFINITE   UINT64_C(0x7ff0000000000000)
#define PLANE      ROUTINE(plane_f64)
#define PLANE_COPY ROUTINE(plane_copy_f64)
#define SCAN       ROUTINE(scan_f64)
#include "core/simd/planes.inc"
