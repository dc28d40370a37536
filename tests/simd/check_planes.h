/* SPDX-License-Identifier: MIT */
/* The checks of the planes' routines, for check_simd.c: random planes forwards and backwards, square and not. */
#ifndef TESTS_SIMD_CHECK_PLANES_H
#define TESTS_SIMD_CHECK_PLANES_H

#include "core/simd/routines.h"
#include "tests/simd/check_simd.h"

#include <string.h>

enum { PLANE_TAPS_MAX = 49, PLANE_ROWS_MAX = 17, PLANE_COUNT_MAX = 130, PLANE_FILTERS_MAX = 7, PLANE_GUARD = 9 };

/* Offsets of taps in rows of `pitch`, as a square of the side where that is not 0; returns the largest. */
static inline size_t plane_offsets(struct simd_plane *plane, ptrdiff_t *offsets, size_t pitch, bool backwards)
{
    const size_t side = plane->side, delta = 1 + check_random() % 3;
    size_t reach = 0;
    for (size_t t = 0; t < plane->taps; t++) {
        const size_t row = side ? t / side : check_random() % 4, cell = side ? t % side : check_random() % 9;
        offsets[t] = side && backwards ? (ptrdiff_t)((side - 1 - row) * pitch + (side - 1 - cell) * delta)
                                       : (ptrdiff_t)(row * pitch + cell * (side ? delta : 1));
        reach = (size_t)offsets[t] > reach ? (size_t)offsets[t] : reach;
    }
    return reach;
}

#define CHECK_PLANE(type, suffix)                                                                                      \
    static void check_one_plane_##suffix(const struct simd_routines *scalar, const struct simd_routines *set,          \
                                         size_t count)                                                                 \
    {                                                                                                                  \
        static const size_t sides[] = {0, 3, 5, 7};                                                                    \
        static type expected[PLANE_FILTERS_MAX * PLANE_ROWS_MAX * (PLANE_COUNT_MAX + PLANE_GUARD) + PLANE_GUARD],      \
            found[sizeof expected / sizeof(type)];                                                                     \
        ptrdiff_t offsets[PLANE_TAPS_MAX];                                                                             \
        const bool backwards = check_random() % 2;                                                                     \
        const size_t side = sides[check_random() % 4], single = side && check_random() % 4;                            \
        struct simd_plane plane = {.channels = single ? 1 : 1 + check_random() % 4,                                    \
                                   .filters = single ? 1 : 1 + check_random() % PLANE_FILTERS_MAX,                     \
                                   .side = side,                                                                       \
                                   .taps = side ? side * side : 1 + check_random() % 12,                               \
                                   .offsets = offsets,                                                                 \
                                   .rows = 1 + check_random() % PLANE_ROWS_MAX,                                        \
                                   .count = count};                                                                    \
        const size_t pitch = count + check_random() % 20, row = count + check_random() % PLANE_GUARD;                  \
        const size_t step = side ? 1 : 1 + check_random() % 2, last = plane.rows - 1;                                  \
        plane.channel_pitch = last * step * pitch + plane_offsets(&plane, offsets, pitch, backwards) + count;          \
        plane.weight_pitch = plane.taps + check_random() % 3;                                                          \
        plane.filter_pitch = plane.channels * plane.weight_pitch;                                                      \
        plane.plane_pitch = plane.rows * row;                                                                          \
        const size_t elements = plane.channels * plane.channel_pitch + 64 / sizeof(type);                              \
        const size_t weights = plane.filters * plane.filter_pitch;                                                     \
        type *const input = check_memory(0, elements * sizeof(type));                                                  \
        type *const values = check_memory(1, weights * sizeof(type));                                                  \
        type *const bias = check_memory(2, plane.filters * sizeof(type));                                              \
        check_fill_##suffix(input, elements);                                                                          \
        check_fill_##suffix(values, weights);                                                                          \
        check_fill_##suffix(bias, plane.filters);                                                                      \
        if (check_random() % 4 == 0)                                                                                   \
            input[check_random() % elements] = (type)__builtin_inf();                                                  \
        plane.input = backwards ? input + last * step * pitch : input;                                                 \
        plane.input_pitch = backwards ? -(ptrdiff_t)(step * pitch) : (ptrdiff_t)(step * pitch);                        \
        plane.output_pitch = backwards ? -(ptrdiff_t)row : (ptrdiff_t)row;                                             \
        plane.weights = values;                                                                                        \
        plane.bias = check_random() % 2 ? bias : NULL;                                                                 \
        const size_t first = 1 + check_random() % 8 + (backwards ? last * row : 0);                                    \
        check_fill_##suffix(expected, sizeof expected / sizeof *expected);                                             \
        memcpy(found, expected, sizeof found);                                                                         \
        plane.output = expected + first;                                                                               \
        const bool finite = scalar->plane_##suffix(&plane);                                                            \
        plane.output = found + first;                                                                                  \
        if (set->plane_##suffix(&plane) != finite)                                                                     \
            check_failed(set->name, "plane_" #suffix, count, "what is finite differs");                                \
        check_same(set->name, "plane_" #suffix, count, expected, found, sizeof found);                                 \
    }                                                                                                                  \
    static void check_plane_##suffix(const struct simd_routines *scalar, const struct simd_routines *set)              \
    {                                                                                                                  \
        for (size_t count = 1; count <= PLANE_COUNT_MAX; count++)                                                      \
            for (unsigned i = 0; i < 12; i++)                                                                          \
                check_one_plane_##suffix(scalar, set, count);                                                          \
    }                                                                                                                  \
    static void check_plane_copy_##suffix(const struct simd_routines *scalar, const struct simd_routines *set)         \
    {                                                                                                                  \
        enum { ROWS = 3, PITCH = PLANE_COUNT_MAX + 5, HALF = PITCH / 2 };                                              \
        static type expected[ROWS * PITCH], found[ROWS * PITCH];                                                       \
        for (size_t count = 1; count <= PLANE_COUNT_MAX; count++) {                                                    \
            for (unsigned i = 0; i < 16; i++) {                                                                        \
                const size_t in_pitch = count + check_random() % 5, elements = (ROWS - 1) * in_pitch + count;          \
                const bool split = i % 2;                                                                              \
                type *const input = check_memory(0, elements * sizeof(type));                                          \
                fill_scan_##suffix(input, elements);                                                                   \
                memset(expected, 0x5a, sizeof expected);                                                               \
                memset(found, 0x5a, sizeof found);                                                                     \
                struct simd_facts facts = {.largest = 1, .fractional = i % 4 > 1}, others = facts;                     \
                scalar->plane_copy_##suffix(&facts, expected, split ? expected + HALF : NULL, PITCH, input, in_pitch,  \
                                            ROWS, count);                                                              \
                set->plane_copy_##suffix(&others, found, split ? found + HALF : NULL, PITCH, input, in_pitch, ROWS,    \
                                         count);                                                                       \
                if (facts.largest != others.largest || facts.fractional != others.fractional ||                        \
                    facts.nonfinite != others.nonfinite)                                                               \
                    check_failed(set->name, "plane_copy_" #suffix, count, "the facts differ");                         \
                check_same(set->name, "plane_copy_" #suffix, count, expected, found, sizeof found);                    \
            }                                                                                                          \
        }                                                                                                              \
    }
CHECK_PLANE(float, f32)
CHECK_PLANE(double, f64)

#endif
