/* SPDX-License-Identifier: MIT */
/* The checks of Winograd's transforms, for check_simd.c. Of whole vectors only the tiles that are asked for are compared. */
#ifndef TESTS_SIMD_CHECK_WINOGRAD_H
#define TESTS_SIMD_CHECK_WINOGRAD_H

#include "core/simd/routines.h"
#include "tests/simd/check_simd.h"

#include <string.h>

enum { WINOGRAD_TILES_MAX = 40, WINOGRAD_ROWS_MAX = 19, WINOGRAD_ROUND = 16 };

/* Lanes behind the tiles may hold anything. */
#define CHECK_WINOGRAD(type, suffix)                                                                                   \
    static void check_tiles_##suffix(const struct simd_routines *set, const char *name, size_t count, size_t lines,    \
                                     size_t pitch, const type *expected, const type *found)                            \
    {                                                                                                                  \
        for (size_t i = 0; i < lines; i++)                                                                             \
            check_same(set->name, name, count, expected + i * pitch, found + i * pitch, count * sizeof(type));         \
    }                                                                                                                  \
    static void check_winograd_input_##suffix(const struct simd_routines *scalar, const struct simd_routines *set)     \
    {                                                                                                                  \
        enum { PITCH = WINOGRAD_TILES_MAX + WINOGRAD_ROUND, ROW = 4 * PITCH };                                         \
        static type cells[6 * ROW + PITCH], expected[36 * PITCH], found[36 * PITCH];                                   \
        for (unsigned m = 2; m <= 4; m += 2)                                                                           \
            for (size_t count = 1; count <= WINOGRAD_TILES_MAX; count++) {                                             \
                check_fill_##suffix(cells, sizeof cells / sizeof *cells);                                              \
                scalar->winograd_input_##suffix(m, expected, PITCH, cells, ROW, PITCH, count);                         \
                set->winograd_input_##suffix(m, found, PITCH, cells, ROW, PITCH, count);                               \
                check_tiles_##suffix(set, "winograd_input_" #suffix, count, (m + 2) * (m + 2), PITCH, expected,        \
                                     found);                                                                           \
            }                                                                                                          \
    }                                                                                                                  \
    static void check_winograd_output_##suffix(const struct simd_routines *scalar, const struct simd_routines *set)    \
    {                                                                                                                  \
        enum { PITCH = WINOGRAD_TILES_MAX + WINOGRAD_ROUND, ROW = 4 * PITCH };                                         \
        static type products[36 * PITCH], expected[4 * ROW], found[4 * ROW];                                           \
        for (unsigned m = 2; m <= 4; m += 2)                                                                           \
            for (size_t count = 1; count <= WINOGRAD_TILES_MAX; count++) {                                             \
                check_fill_##suffix(products, sizeof products / sizeof *products);                                     \
                scalar->winograd_output_##suffix(m, expected, ROW, PITCH, products, PITCH, count);                     \
                set->winograd_output_##suffix(m, found, ROW, PITCH, products, PITCH, count);                           \
                for (unsigned i = 0; i < m; i++)                                                                       \
                    check_tiles_##suffix(set, "winograd_output_" #suffix, count, m, PITCH, expected + i * ROW,         \
                                         found + i * ROW);                                                             \
            }                                                                                                          \
    }                                                                                                                  \
    static void check_winograd_weights_##suffix(const struct simd_routines *scalar, const struct simd_routines *set)   \
    {                                                                                                                  \
        static type expected[36 * (WINOGRAD_ROWS_MAX + 2)], found[36 * (WINOGRAD_ROWS_MAX + 2)];                       \
        for (unsigned m = 2; m <= 4; m += 2)                                                                           \
            for (size_t width = 1; width <= WINOGRAD_ROWS_MAX; width++) {                                              \
                const size_t pitch = width + check_random() % 3;                                                       \
                const bool flip = check_random() % 2;                                                                  \
                type *const taps = check_memory(0, 9 * width * sizeof(type));                                          \
                check_fill_##suffix(taps, 9 * width);                                                                  \
                check_fill_##suffix(expected, sizeof expected / sizeof *expected);                                     \
                memcpy(found, expected, sizeof found);                                                                 \
                scalar->winograd_weights_##suffix(m, expected, pitch, taps, width, flip);                              \
                set->winograd_weights_##suffix(m, found, pitch, taps, width, flip);                                    \
                check_same(set->name, "winograd_weights_" #suffix, width, expected, found, sizeof found);              \
            }                                                                                                          \
    }
CHECK_WINOGRAD(float, f32)
CHECK_WINOGRAD(double, f64)

#endif
