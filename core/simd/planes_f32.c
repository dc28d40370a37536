/* SPDX-License-Identifier: MIT */
/* Planes of float32. */
#include "core/simd/routines.h"
#include "core/simd/vec.h"

#define ELEMENT    float
#define SUFFIX     f32
#define UINT       uint32_t
#define BITS       u32
#define INFINITE   UINT32_C(0x7f800000)
#define PLANE      ROUTINE(plane_f32)
#define PLANE_COPY ROUTINE(plane_copy_f32)
#define SCAN       ROUTINE(scan_f32)
#include "core/simd/planes.inc"
