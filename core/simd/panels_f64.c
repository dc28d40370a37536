/* SPDX-License-Identifier: MIT */
/* Panels of float64. Accumulators, the vectors of one step and one weight fill the registers. */
#include "core/simd/routines.h"
#include "core/simd/vec.h"

#define ELEMENT double
#define SUFFIX  f64
#define PANEL   ROUTINE(panel_f64)
#if defined VEC_SCALAR
#define PANEL_ROWS        2
#define PANEL_ROWS_NARROW 2
#elif VEC_REGISTERS >= 32
#define PANEL_ROWS        8
#define PANEL_ROWS_NARROW 8
#else
#define PANEL_ROWS        4
#define PANEL_ROWS_NARROW 8
#endif
#include "core/simd/panels.inc"
