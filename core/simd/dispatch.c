/* SPDX-License-Identifier: MIT */
/* Which instruction sets the CPU and its operating system support, and one table of routines for each. The tables are
 * filled once; after that only the choice among them can change, by convolve_simd_select. */
#include "core/convolve.h"
#include "core/simd/routines.h"

#include <pthread.h>
#include <string.h>

#if defined __x86_64__
#include <cpuid.h>

/* What the operating system saves on a task switch: without it the registers' upper parts would be lost. */
static uint64_t saved_state(void)
{
    uint32_t low, high;
    __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (uint64_t)high << 32 | low;
}

static bool cpu_has_avx2(void)
{
    unsigned a, b, c, d;
    const unsigned wanted = bit_FMA | bit_AVX | bit_OSXSAVE;
    if (!__get_cpuid(1, &a, &b, &c, &d) || (c & wanted) != wanted || (saved_state() & 0x6) != 0x6)
        return false;
    return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b & bit_AVX2) && (b & bit_BMI) && (b & bit_BMI2) &&
           __get_cpuid(0x80000001, &a, &b, &c, &d) && (c & bit_LZCNT);
}

static bool cpu_has_avx512(void)
{
    unsigned a, b, c, d;
    const unsigned wanted = bit_AVX512F | bit_AVX512BW | bit_AVX512DQ | bit_AVX512VL;
    return cpu_has_avx2() && (saved_state() & 0xe6) == 0xe6 && __get_cpuid_count(7, 0, &a, &b, &c, &d) &&
           (b & wanted) == wanted;
}
#endif

#ifdef HAVE_ISA_neon
static bool cpu_has_neon(void)
{
    return true; /* every arm64 */
}
#endif

static bool cpu_has_scalar(void)
{
    return true;
}

enum {
#define COUNT_ISA(isa) INDEX_##isa,
    FOR_EACH_ISA(COUNT_ISA)
#undef COUNT_ISA
        ISA_COUNT
};

static pthread_once_t filled = PTHREAD_ONCE_INIT;
static struct simd_routines tables[ISA_COUNT];
static size_t table_count;
static const struct simd_routines *chosen; /* written by convolve_simd_select and while filling */

static void fill_tables(void)
{
#define FILL(isa)                                                                                                      \
    if (cpu_has_##isa()) {                                                                                             \
        tables[table_count].name = #isa;                                                                               \
        simd_fill_##isa(&tables[table_count++]);                                                                       \
    }
    FOR_EACH_ISA(FILL)
#undef FILL
    __atomic_store_n(&chosen, &tables[table_count - 1], __ATOMIC_RELEASE);
}

const struct simd_routines *simd_routines(void)
{
    pthread_once(&filled, fill_tables);
    return __atomic_load_n(&chosen, __ATOMIC_ACQUIRE);
}

const struct simd_routines *simd_routines_at(size_t index)
{
    pthread_once(&filled, fill_tables);
    return index < table_count ? &tables[index] : NULL;
}

bool convolve_simd_select(const char *name)
{
    pthread_once(&filled, fill_tables);
    for (size_t i = table_count; i-- > 0;) {
        if (strcmp(name, "auto") != 0 && strcmp(name, tables[i].name) != 0)
            continue;
        __atomic_store_n(&chosen, &tables[i], __ATOMIC_RELEASE);
        return true;
    }
    return false;
}

const char *convolve_simd_name(void)
{
    return simd_routines()->name;
}
