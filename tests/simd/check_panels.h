/* SPDX-License-Identifier: MIT */
/* The checks of the panel routines, for check_simd.c: random panels whose input ends before the unreadable page, their
 * channels one behind the other. */
#ifndef TESTS_SIMD_CHECK_PANELS_H
#define TESTS_SIMD_CHECK_PANELS_H

#include "core/simd/routines.h"
#include "tests/simd/check_simd.h"

#include <string.h>

enum { PANEL_ROWS_MAX = 19, PANEL_TAPS_MAX = 10, PANEL_COUNT_MAX = 130, PANEL_GUARD = 24 };

#define CHECK_PANEL(type, suffix)                                                                                      \
    static void check_one_panel_##suffix(const struct simd_routines *scalar, const struct simd_routines *set,          \
                                         size_t count)                                                                 \
    {                                                                                                                  \
        ptrdiff_t offsets[PANEL_TAPS_MAX];                                                                             \
        struct simd_panel panel = {.channels = check_random() % 5,                                                     \
                                   .offsets = offsets,                                                                 \
                                   .taps = check_random() % PANEL_TAPS_MAX,                                            \
                                   .accumulate = check_random() % 3 == 0,                                              \
                                   .rows = 1 + check_random() % PANEL_ROWS_MAX,                                        \
                                   .skipped = check_random() % 3,                                                      \
                                   .output_pitch = count + check_random() % PANEL_GUARD,                               \
                                   .count = count,                                                                     \
                                   .stretch = check_random() % 2 * (check_random() % 100)};                            \
        size_t reach = 0;                                                                                              \
        for (size_t t = 0; t < panel.taps; t++) {                                                                      \
            offsets[t] = (ptrdiff_t)(check_random() % 12);                                                             \
            reach = (size_t)offsets[t] > reach ? (size_t)offsets[t] : reach;                                           \
        }                                                                                                              \
        panel.channel_pitch = count + reach;                                                                           \
        const size_t elements = panel.channels * panel.channel_pitch;                                                  \
        const size_t steps = panel.skipped + panel.channels * panel.taps, weights = steps * panel.rows;                \
        panel.block_pitch = steps * SIMD_PANEL_ROWS;                                                                   \
        type *const input = check_memory(0, elements * sizeof(type));                                                  \
        type *const values = check_memory(1, weights * sizeof(type));                                                  \
        type *const bias = check_memory(2, panel.rows * sizeof(type));                                                 \
        check_fill_##suffix(input, elements);                                                                          \
        check_fill_##suffix(values, weights);                                                                          \
        check_fill_##suffix(bias, panel.rows);                                                                         \
        panel.input = input;                                                                                           \
        panel.weights = values;                                                                                        \
        panel.bias = check_random() % 2 ? bias : NULL;                                                                 \
        static type expected[PANEL_ROWS_MAX * (PANEL_COUNT_MAX + PANEL_GUARD)], found[sizeof expected / sizeof(type)]; \
        const size_t shift = 1 + check_random() % 9;                                                                   \
        check_fill_##suffix(expected, sizeof expected / sizeof *expected);                                             \
        memcpy(found, expected, sizeof found);                                                                         \
        panel.output = expected + shift;                                                                               \
        scalar->panel_##suffix(&panel);                                                                                \
        panel.output = found + shift;                                                                                  \
        if (!set->panel_##suffix(&panel))                                                                              \
            check_failed(set->name, "panel_" #suffix, count, "all is finite");                                         \
        check_same(set->name, "panel_" #suffix, count, expected, found, sizeof found);                                 \
    }                                                                                                                  \
    static void check_panel_##suffix(const struct simd_routines *scalar, const struct simd_routines *set)              \
    {                                                                                                                  \
        for (size_t count = 1; count <= PANEL_COUNT_MAX; count++)                                                      \
            for (unsigned i = 0; i < 12; i++)                                                                          \
                check_one_panel_##suffix(scalar, set, count);                                                          \
    }
CHECK_PANEL(float, f32)
CHECK_PANEL(double, f64)
CHECK_PANEL(uint64_t, u64)

#define CHECK_OUTER(type, suffix)                                                                                      \
    static void check_outer_##suffix(const struct simd_routines *scalar, const struct simd_routines *set)              \
    {                                                                                                                  \
        enum { WIDTH = 64 / sizeof(type), LINES_MAX = 3, ROWS_MAX = 3, COUNT_MAX = 40 };                               \
        for (size_t i = 0; i < 20 * COUNT_MAX; i++) {                                                                  \
            ptrdiff_t offsets[PANEL_TAPS_MAX];                                                                         \
            struct simd_outer outer = {.channels = check_random() % 5,                                                 \
                                       .offsets = offsets,                                                             \
                                       .taps = check_random() % PANEL_TAPS_MAX,                                        \
                                       .lines = 1 + check_random() % LINES_MAX,                                        \
                                       .accumulate = check_random() % 3 == 0,                                          \
                                       .rows = 1 + check_random() % ROWS_MAX,                                          \
                                       .count = i % COUNT_MAX + 1,                                                     \
                                       .skip = check_random() % 2};                                                    \
            size_t reach = 0;                                                                                          \
            for (size_t t = 0; t < outer.taps; t++) {                                                                  \
                offsets[t] = (ptrdiff_t)(check_random() % 12);                                                         \
                reach = (size_t)offsets[t] > reach ? (size_t)offsets[t] : reach;                                       \
            }                                                                                                          \
            const size_t wide = (outer.count - 1) * (1 + outer.skip) + 1;                                              \
            outer.row_pitch = wide + check_random() % 5;                                                               \
            outer.channel_pitch = (outer.rows - 1) * outer.row_pitch + wide + reach;                                   \
            const size_t elements = outer.channels * outer.channel_pitch, width = outer.lines * WIDTH;                 \
            const size_t weights = outer.channels * outer.taps * width;                                                \
            type *const input = check_memory(0, elements * sizeof(type));                                              \
            type *const values = check_memory(1, weights * sizeof(type));                                              \
            type *const bias = check_memory(2, width * sizeof(type));                                                  \
            check_fill_##suffix(input, elements);                                                                      \
            check_fill_##suffix(values, weights);                                                                      \
            check_fill_##suffix(bias, width);                                                                          \
            outer.input = input;                                                                                       \
            outer.weights = values;                                                                                    \
            outer.bias = check_random() % 2 ? bias : NULL;                                                             \
            outer.ahead = input;                                                                                       \
            outer.ahead_pitch = check_random() % 1000;                                                                 \
            outer.ahead_lines = check_random() % 10;                                                                   \
            static type expected[LINES_MAX * WIDTH * ROWS_MAX * COUNT_MAX + PANEL_GUARD],                              \
                found[sizeof expected / sizeof(type)];                                                                 \
            const size_t shift = 1 + check_random() % 9;                                                               \
            check_fill_##suffix(expected, sizeof expected / sizeof *expected);                                         \
            memcpy(found, expected, sizeof found);                                                                     \
            outer.output = expected + shift;                                                                           \
            scalar->outer_##suffix(&outer);                                                                            \
            outer.output = found + shift;                                                                              \
            set->outer_##suffix(&outer);                                                                               \
            check_same(set->name, "outer_" #suffix, outer.count, expected, found, sizeof found);                       \
        }                                                                                                              \
    }
CHECK_OUTER(float, f32)
CHECK_OUTER(double, f64)

#define CHECK_LANES(type, suffix)                                                                                      \
    static void check_lanes_##suffix(const struct simd_routines *scalar, const struct simd_routines *set)              \
    {                                                                                                                  \
        enum { WIDTH = SIMD_LANES_##suffix, TAPS_MAX = 29, PLACES_MAX = 20 };                                          \
        for (size_t taps = 1; taps <= TAPS_MAX; taps++) {                                                              \
            ptrdiff_t offsets[TAPS_MAX];                                                                               \
            struct simd_lanes lanes = {                                                                                \
                .places = check_random() % PLACES_MAX, .step = check_random() % 40, .offsets = offsets, .taps = taps}; \
            size_t reach = 0;                                                                                          \
            for (size_t t = 0; t < taps; t++) {                                                                        \
                offsets[t] = (ptrdiff_t)(check_random() % 90);                                                         \
                reach = (size_t)offsets[t] > reach ? (size_t)offsets[t] : reach;                                       \
            }                                                                                                          \
            const size_t places = lanes.places ? lanes.places : 1;                                                     \
            const size_t elements = (places - 1) * lanes.step + reach + WIDTH;                                         \
            type *const input = check_memory(0, elements * sizeof(type));                                              \
            type *const factors = check_memory(1, places * WIDTH * sizeof(type));                                      \
            static type expected[TAPS_MAX * WIDTH], found[TAPS_MAX * WIDTH];                                           \
            check_fill_##suffix(input, elements);                                                                      \
            check_fill_##suffix(factors, places *WIDTH);                                                               \
            check_fill_##suffix(expected, TAPS_MAX *WIDTH);                                                            \
            memcpy(found, expected, sizeof found);                                                                     \
            lanes.input = input;                                                                                       \
            lanes.factors = factors;                                                                                   \
            lanes.sums = expected;                                                                                     \
            scalar->lanes_##suffix(&lanes);                                                                            \
            lanes.sums = found;                                                                                        \
            set->lanes_##suffix(&lanes);                                                                               \
            check_same(set->name, "lanes_" #suffix, taps, expected, found, sizeof found);                              \
        }                                                                                                              \
    }
CHECK_LANES(float, f32)
CHECK_LANES(double, f64)

#define CHECK_CROSS(type, suffix)                                                                                      \
    static void check_cross_##suffix(const struct simd_routines *scalar, const struct simd_routines *set)              \
    {                                                                                                                  \
        enum { WIDTH = 64 / sizeof(type), LINES_MAX = 6, CROSS_ROWS_MAX = 20, RUNS_MAX = 4, PLACES_MAX = 12 };         \
        for (size_t i = 0; i < 400; i++) {                                                                             \
            ptrdiff_t offsets[CROSS_ROWS_MAX];                                                                         \
            struct simd_cross cross = {.offsets = offsets,                                                             \
                                       .rows = i % CROSS_ROWS_MAX + 1,                                                 \
                                       .runs = 1 + check_random() % RUNS_MAX,                                          \
                                       .places = 1 + check_random() % PLACES_MAX,                                      \
                                       .step = 1 + check_random() % 3,                                                 \
                                       .ahead = check_random() % 50,                                                   \
                                       .width = (1 + check_random() % LINES_MAX) * WIDTH,                              \
                                       .accumulate = check_random() % 3 == 0};                                         \
            size_t reach = 0;                                                                                          \
            for (size_t r = 0; r < cross.rows; r++) {                                                                  \
                offsets[r] = (ptrdiff_t)(check_random() % 90);                                                         \
                reach = (size_t)offsets[r] > reach ? (size_t)offsets[r] : reach;                                       \
            }                                                                                                          \
            cross.run_pitch = check_random() % 3 ? check_random() % 40 : cross.places * cross.step;                    \
            cross.sums_pitch = cross.width + check_random() % 5;                                                       \
            const size_t elements = (cross.runs - 1) * cross.run_pitch + (cross.places - 1) * cross.step + reach + 1;  \
            const size_t factors = cross.runs * cross.places * cross.width;                                            \
            type *const input = check_memory(0, elements * sizeof(type));                                              \
            type *const lanes = check_memory(1, factors * sizeof(type));                                               \
            check_fill_##suffix(input, elements);                                                                      \
            check_fill_##suffix(lanes, factors);                                                                       \
            cross.input = input;                                                                                       \
            cross.lanes = lanes;                                                                                       \
            static type expected[CROSS_ROWS_MAX * (LINES_MAX * WIDTH + 5) + PANEL_GUARD],                              \
                found[sizeof expected / sizeof(type)];                                                                 \
            const size_t shift = 1 + check_random() % 9;                                                               \
            check_fill_##suffix(expected, sizeof expected / sizeof *expected);                                         \
            memcpy(found, expected, sizeof found);                                                                     \
            cross.sums = expected + shift;                                                                             \
            scalar->cross_##suffix(&cross);                                                                            \
            cross.sums = found + shift;                                                                                \
            set->cross_##suffix(&cross);                                                                               \
            check_same(set->name, "cross_" #suffix, cross.rows, expected, found, sizeof found);                        \
        }                                                                                                              \
    }
CHECK_CROSS(float, f32)
CHECK_CROSS(double, f64)

#define CHECK_TRANSPOSE(type, suffix)                                                                                  \
    static void check_transpose_##suffix(const struct simd_routines *scalar, const struct simd_routines *set)          \
    {                                                                                                                  \
        enum { SIDE = 40, PITCH_MAX = SIDE + 5 };                                                                      \
        static type expected[SIDE * PITCH_MAX], found[SIDE * PITCH_MAX];                                               \
        for (size_t rows = 1; rows <= SIDE; rows++) {                                                                  \
            for (size_t columns = 1; columns <= SIDE; columns++) {                                                     \
                const size_t in_pitch = columns + check_random() % 5, out_pitch = rows + check_random() % 5;           \
                const size_t elements = (rows - 1) * in_pitch + columns;                                               \
                type *const input = check_memory(0, elements * sizeof(type));                                          \
                for (size_t i = 0; i < elements; i++)                                                                  \
                    input[i] = (type)check_random();                                                                   \
                memset(expected, 0x5a, sizeof expected);                                                               \
                memset(found, 0x5a, sizeof found);                                                                     \
                scalar->transpose_##suffix(expected, out_pitch, input, in_pitch, rows, columns);                       \
                set->transpose_##suffix(found, out_pitch, input, in_pitch, rows, columns);                             \
                if (expected[(columns - 1) * out_pitch + rows - 1] != input[(rows - 1) * in_pitch + columns - 1])      \
                    check_failed("scalar", "transpose_" #suffix, rows, "the last is not the last");                    \
                check_same(set->name, "transpose_" #suffix, rows * 100 + columns, expected, found, sizeof found);      \
            }                                                                                                          \
        }                                                                                                              \
    }
CHECK_TRANSPOSE(uint32_t, u32)
CHECK_TRANSPOSE(uint64_t, u64)

#endif
