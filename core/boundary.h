/* SPDX-License-Identifier: MIT */
/* Which input index stands for one outside the input. */
#ifndef CORE_BOUNDARY_H
#define CORE_BOUNDARY_H

#include "core/convolve.h"

#define BOUNDARY_NONE SIZE_MAX /* no input index: the constant */

/* The index in 0 .. length-1 whose value stands at `index` (any), or BOUNDARY_NONE where it is the constant. `length` is
 * at least 1 and below 2^62. Repeats as often as needed, however far outside; reflect of length 1 is that one value. */
size_t boundary_index(enum convolve_boundary boundary, int64_t index, size_t length);

#endif
