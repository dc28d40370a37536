/* SPDX-License-Identifier: MIT */
/* Fills the table of one instruction set, from the list of routines. */
#include "core/simd/routines.h"

#define FILL_NAME(isa) SIMD_EXPAND(simd_fill, isa)

void FILL_NAME(ISA)(struct simd_routines *table)
{
    table->block_rows_f32 = ROUTINE(block_rows_f32);
    table->block_rows_f64 = ROUTINE(block_rows_f64);
    table->block_rows_u64 = ROUTINE(block_rows_u64);
    table->strip_kernels = ROUTINE(strip_kernels);
#define FILL(result, name, parameters) table->name = ROUTINE(name);
    FOR_EACH_ROUTINE(FILL)
    FOR_EACH_FFT_ROUTINE(FILL)
    FOR_EACH_WINOGRAD_ROUTINE(FILL)
#undef FILL
}
