/* SPDX-License-Identifier: MIT */
/* Strips of float32, and for which kernels strips are taken. */
#include "core/simd/routines.h"
#include "core/simd/vec.h"

#define ELEMENT float
#define SUFFIX  f32
#define UINT    uint32_t
#define UBITS   u32
#define STRIPS  ROUTINE(strips_f32)
#define SCAN    ROUTINE(scan_f32)
#include "core/simd/strips.inc"

void ROUTINE(stream_end)(void)
{
    stream_end();
}

const uint32_t ROUTINE(strip_kernels) = STRIP_KERNELS;
