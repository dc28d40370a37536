/* SPDX-License-Identifier: MIT */
/* The table for the instruction set that the core has found and the configuration allows. */
#include "server/formats/simd/routines.h"

#include <string.h>

#include "core/convolve.h"

static const struct number_routines *const tables[] = {
    &number_routines_scalar,
#ifdef HAVE_ISA_avx2
    &number_routines_avx2,
#endif
#ifdef HAVE_ISA_avx512
    &number_routines_avx512,
#endif
#ifdef HAVE_ISA_neon
    &number_routines_neon,
#endif
};

const struct number_routines *number_routines(void)
{
    const char *const name = convolve_simd_name();
    for (size_t i = sizeof tables / sizeof *tables; i-- > 1;)
        if (strcmp(tables[i]->name, name) == 0)
            return tables[i];
    return tables[0];
}
