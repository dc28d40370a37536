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
/* Tiles and taps whose lanes are channels. */
#define CHECK_WINOGRAD_WEIGHT(type, suffix)                                                                            \
    static void check_lines_##suffix(const struct simd_routines *scalar, const struct simd_routines *set, bool cells)  \
    {                                                                                                                  \
        enum { LINE = 64 / sizeof(type), TILES_MAX = 5, ROOM = 36 * (TILES_MAX * 2 * LINE + 3) };                      \
        static type expected[ROOM], found[ROOM];                                                                       \
        for (unsigned m = 2; m <= 4; m += 2)                                                                           \
            for (size_t count = 1; count <= TILES_MAX; count++) {                                                      \
                const size_t side = cells ? m + 2 : m, wide = (count - 1) * m + side;                                  \
                const size_t row_pitch = wide * LINE + check_random() % 3, step = LINE * (1 + check_random() % 2);     \
                const size_t pitch = count * step + check_random() % 3;                                                \
                const size_t values = (side - 1) * row_pitch + wide * LINE;                                            \
                type *const in = check_memory(0, values * sizeof(type));                                               \
                check_fill_##suffix(in, values);                                                                       \
                check_fill_##suffix(expected, ROOM);                                                                   \
                memcpy(found, expected, sizeof found);                                                                 \
                (cells ? scalar->winograd_cells_##suffix : scalar->winograd_tiles_##suffix)(m, expected, pitch, step,  \
                                                                                            in, row_pitch, count);     \
                (cells ? set->winograd_cells_##suffix : set->winograd_tiles_##suffix)(m, found, pitch, step, in,       \
                                                                                      row_pitch, count);               \
                check_same(set->name, cells ? "winograd_cells_" #suffix : "winograd_tiles_" #suffix, count, expected,  \
                           found, sizeof found);                                                                       \
            }                                                                                                          \
    }                                                                                                                  \
    static void check_winograd_cells_##suffix(const struct simd_routines *scalar, const struct simd_routines *set)     \
    {                                                                                                                  \
        check_lines_##suffix(scalar, set, true);                                                                       \
    }                                                                                                                  \
    static void check_winograd_tiles_##suffix(const struct simd_routines *scalar, const struct simd_routines *set)     \
    {                                                                                                                  \
        check_lines_##suffix(scalar, set, false);                                                                      \
    }                                                                                                                  \
    static void check_winograd_taps_##suffix(const struct simd_routines *scalar, const struct simd_routines *set)      \
    {                                                                                                                  \
        enum { LINE = 64 / sizeof(type), LINES_MAX = 4, ROOM = 9 * (LINES_MAX * LINE + 3) };                           \
        static type expected[ROOM], found[ROOM];                                                                       \
        for (unsigned m = 2; m <= 4; m += 2)                                                                           \
            for (size_t count = LINE; count <= LINES_MAX * LINE; count += LINE) {                                      \
                const size_t in_pitch = count + check_random() % 3, pitch = count + check_random() % 3;                \
                const size_t values = ((m + 2) * (m + 2) - 1) * in_pitch + count;                                      \
                type *const in = check_memory(0, values * sizeof(type));                                               \
                check_fill_##suffix(in, values);                                                                       \
                check_fill_##suffix(expected, ROOM);                                                                   \
                memcpy(found, expected, sizeof found);                                                                 \
                scalar->winograd_taps_##suffix(m, expected, pitch, in, in_pitch, count);                               \
                set->winograd_taps_##suffix(m, found, pitch, in, in_pitch, count);                                     \
                check_same(set->name, "winograd_taps_" #suffix, count, expected, found, sizeof found);                 \
            }                                                                                                          \
    }
CHECK_WINOGRAD(float, f32)
CHECK_WINOGRAD(double, f64)
CHECK_WINOGRAD_WEIGHT(float, f32)
CHECK_WINOGRAD_WEIGHT(double, f64)

#endif
