/* SPDX-License-Identifier: MIT */
/* The measured costs of every instruction set, and which of them count. */
#include "core/cost_table.h"

#include "core/simd/routines.h"

#include <string.h>

const unsigned cost_row_taps[COST_ROW_POINTS] = {1, 2, 3, 4, 6, 8, 12, 16, 32};
const unsigned cost_line_taps[COST_LINE_POINTS] = {2, 4, 8, 11, 16, 32, 128, 512, 4096};

#include "core/cost_table_avx2.inc"
#include "core/cost_table_avx512.inc"
#include "core/cost_table_scalar.inc"

const struct cost_set *cost_set(void)
{
    static const struct cost_set *const sets[] = {&cost_scalar, &cost_avx2, &cost_avx512};
    const char *const name = simd_routines()->name;
    for (size_t i = 0; i < sizeof sets / sizeof sets[0]; i++)
        if (strcmp(sets[i]->name, name) == 0)
            return sets[i];
    return &cost_avx2;
}
