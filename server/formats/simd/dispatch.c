/* SPDX-License-Identifier: MIT */
/* The tables for the instruction set that the core has found and the configuration allows. */
#include <string.h>

#include "core/convolve.h"
#include "server/formats/simd/base64.h"
#include "server/formats/simd/routines.h"

#ifdef HAVE_ISA_avx2
#define WITH_avx2(table) , &table##_avx2
#else
#define WITH_avx2(table)
#endif
#ifdef HAVE_ISA_avx512
#define WITH_avx512(table) , &table##_avx512
#else
#define WITH_avx512(table)
#endif
#ifdef HAVE_ISA_neon
#define WITH_neon(table) , &table##_neon
#else
#define WITH_neon(table)
#endif

/* The function `table`, which gives the one of the tables table_scalar, ... that the core's choice names. */
#define DEFINE_CHOICE(table)                                                                                           \
    const struct table *table(void)                                                                                    \
    {                                                                                                                  \
        static const struct table *const tables[] = {&table##_scalar WITH_avx2(table) WITH_avx512(table)               \
                                                         WITH_neon(table)};                                            \
        const char *const name = convolve_simd_name();                                                                 \
        for (size_t i = sizeof tables / sizeof *tables; i-- > 1;)                                                      \
            if (strcmp(tables[i]->name, name) == 0)                                                                    \
                return tables[i];                                                                                      \
        return tables[0];                                                                                              \
    }

DEFINE_CHOICE(number_routines)
DEFINE_CHOICE(base64_blocks)
