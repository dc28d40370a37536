/* SPDX-License-Identifier: MIT */
/* The tables for the instruction set that the core has found and the configuration allows. */
#include <string.h>

#include "core/convolve.h"
#include "server/formats/simd/base64.h"
#include "server/formats/simd/read.h"
#include "server/formats/simd/routines.h"
#include "server/formats/simd/typed.h"

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

/* A function that gives the one of the tables table_scalar, ... that the core's choice names. */
#define DEFINE_CHOICE(storage, function, table)                                                                        \
    storage const struct table *function(void)                                                                         \
    {                                                                                                                  \
        static const struct table *const tables[] = {&table##_scalar WITH_avx2(table) WITH_avx512(table)               \
                                                         WITH_neon(table)};                                            \
        const char *const name = convolve_simd_name();                                                                 \
        for (size_t i = sizeof tables / sizeof *tables; i-- > 1;)                                                      \
            if (strcmp(tables[i]->name, name) == 0)                                                                    \
                return tables[i];                                                                                      \
        return tables[0];                                                                                              \
    }

DEFINE_CHOICE(, number_routines, number_routines)
DEFINE_CHOICE(, base64_blocks, base64_blocks)
DEFINE_CHOICE(, typed_blocks, typed_blocks)
DEFINE_CHOICE(static, choose_reader, number_reader)

/* Reading under avx512 also moves bytes about as only later CPUs of that set can. */
const struct number_reader *number_reader(void)
{
    const struct number_reader *const reader = choose_reader();
#ifdef HAVE_ISA_avx512
    if (reader == &number_reader_avx512 &&
        !(__builtin_cpu_supports("avx512vbmi") && __builtin_cpu_supports("avx512vbmi2")))
        return &number_reader_avx2;
#endif
    return reader;
}
