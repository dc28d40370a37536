/* SPDX-License-Identifier: MIT */
/* A program's tests once for each instruction set that the CPU has. */
#ifndef TESTS_FORMATS_EVERY_SET_H
#define TESTS_FORMATS_EVERY_SET_H

#include "core/convolve.h"

/* `tests` is an array; how many failed. */
#define RUN_ON_EVERY_SET(tests) run_on_every_set(tests, sizeof(tests) / sizeof *(tests))

static inline int run_on_every_set(const struct CMUnitTest *tests, size_t count)
{
    static const char *const sets[] = {"scalar", "avx2", "avx512", "neon"};
    int failed = 0;
    for (size_t i = 0; i < sizeof sets / sizeof *sets; i++)
        if (convolve_simd_select(sets[i]))
            failed += _cmocka_run_group_tests(sets[i], tests, count, NULL, NULL);
    return failed;
}

#endif
