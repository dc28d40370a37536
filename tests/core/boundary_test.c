/* SPDX-License-Identifier: MIT */
/* boundary_index against what numpy.pad gives for arange(length) with 12 cells on either side, and far outside against the
 * repetition that the definition demands. */
#include "core/boundary.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

enum { CELLS = 12 };

/* The 12 cells before, then the 12 after: numpy.pad(numpy.arange(length), 12, mode). */
/* clang-format off */
static const struct {
    enum convolve_boundary boundary;
    size_t length;
    size_t expected[2 * CELLS];
} padded[] = {
    {CONVOLVE_WRAP, 1, {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,  0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}},
    {CONVOLVE_WRAP, 2, {0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1,  0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1}},
    {CONVOLVE_WRAP, 3, {0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2,  0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2}},
    {CONVOLVE_WRAP, 5, {3, 4, 0, 1, 2, 3, 4, 0, 1, 2, 3, 4,  0, 1, 2, 3, 4, 0, 1, 2, 3, 4, 0, 1}},
    {CONVOLVE_SYMMETRIC, 1, {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,  0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}},
    {CONVOLVE_SYMMETRIC, 2, {0, 1, 1, 0, 0, 1, 1, 0, 0, 1, 1, 0,  1, 0, 0, 1, 1, 0, 0, 1, 1, 0, 0, 1}},
    {CONVOLVE_SYMMETRIC, 3, {0, 1, 2, 2, 1, 0, 0, 1, 2, 2, 1, 0,  2, 1, 0, 0, 1, 2, 2, 1, 0, 0, 1, 2}},
    {CONVOLVE_SYMMETRIC, 5, {1, 0, 0, 1, 2, 3, 4, 4, 3, 2, 1, 0,  4, 3, 2, 1, 0, 0, 1, 2, 3, 4, 4, 3}},
    {CONVOLVE_REFLECT, 1, {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,  0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}},
    {CONVOLVE_REFLECT, 2, {0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1,  0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1}},
    {CONVOLVE_REFLECT, 3, {0, 1, 2, 1, 0, 1, 2, 1, 0, 1, 2, 1,  1, 0, 1, 2, 1, 0, 1, 2, 1, 0, 1, 2}},
    {CONVOLVE_REFLECT, 5, {4, 3, 2, 1, 0, 1, 2, 3, 4, 3, 2, 1,  3, 2, 1, 0, 1, 2, 3, 4, 3, 2, 1, 0}},
    {CONVOLVE_EDGE, 1, {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,  0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}},
    {CONVOLVE_EDGE, 2, {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,  1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1}},
    {CONVOLVE_EDGE, 3, {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,  2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2}},
    {CONVOLVE_EDGE, 5, {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,  4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4}},
};
/* clang-format on */

static void check(enum convolve_boundary boundary, int64_t index, size_t length, size_t expected)
{
    const size_t found = boundary_index(boundary, index, length);
    if (found != expected)
        fail_msg("boundary %d, length %zu, index %lld: found %zu, expected %zu", boundary, length, (long long)index,
                 found, expected);
}

static void the_cells_beside_the_input_are_numpys(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof padded / sizeof padded[0]; i++) {
        const int64_t length = (int64_t)padded[i].length;
        for (int64_t cell = 0; cell < CELLS; cell++) {
            check(padded[i].boundary, cell - CELLS, padded[i].length, padded[i].expected[cell]);
            check(padded[i].boundary, length + cell, padded[i].length, padded[i].expected[CELLS + cell]);
        }
    }
}

static void inside_every_index_is_itself(void **state)
{
    (void)state;
    for (int boundary = CONVOLVE_CONSTANT; boundary <= CONVOLVE_EDGE; boundary++)
        for (size_t length = 1; length <= 5; length++)
            for (size_t index = 0; index < length; index++)
                check((enum convolve_boundary)boundary, (int64_t)index, length, index);
}

static void the_constant_has_no_index(void **state)
{
    (void)state;
    check(CONVOLVE_CONSTANT, -1, 3, BOUNDARY_NONE);
    check(CONVOLVE_CONSTANT, 3, 3, BOUNDARY_NONE);
    check(CONVOLVE_CONSTANT, INT64_MIN, 3, BOUNDARY_NONE);
    check(CONVOLVE_CONSTANT, INT64_MAX, 3, BOUNDARY_NONE);
}

static void far_outside_it_still_repeats(void **state)
{
    static const int64_t turns = 1000000000000000;
    (void)state;
    for (size_t i = 0; i < sizeof padded / sizeof padded[0]; i++) {
        const int64_t length = (int64_t)padded[i].length;
        int64_t period = length;
        if (padded[i].boundary == CONVOLVE_SYMMETRIC)
            period = 2 * length;
        else if (padded[i].boundary == CONVOLVE_REFLECT)
            period = length == 1 ? 1 : 2 * (length - 1);
        if (padded[i].boundary == CONVOLVE_EDGE)
            period = 1;
        for (int64_t cell = 0; cell < CELLS; cell++) {
            check(padded[i].boundary, cell - CELLS - turns * period, padded[i].length, padded[i].expected[cell]);
            check(padded[i].boundary, length + cell + turns * period, padded[i].length,
                  padded[i].expected[CELLS + cell]);
        }
    }
    check(CONVOLVE_EDGE, INT64_MIN, 7, 0);
    check(CONVOLVE_EDGE, INT64_MAX, 7, 6);
    check(CONVOLVE_WRAP, INT64_MIN, 4, 0); /* -2^63 is a multiple of 4 */
    check(CONVOLVE_SYMMETRIC, INT64_MIN, 4, 0); /* and of 8 */
    check(CONVOLVE_REFLECT, INT64_MAX, 2, 1); /* odd, with period 2 */
    check(CONVOLVE_SYMMETRIC, -1, ((size_t)1 << 62) - 1, 0);
    check(CONVOLVE_SYMMETRIC, INT64_MAX - 2, ((size_t)1 << 62) - 1, 0); /* 2^63 - 3 = 2n - 1 */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_cells_beside_the_input_are_numpys),
        cmocka_unit_test(inside_every_index_is_itself),
        cmocka_unit_test(the_constant_has_no_index),
        cmocka_unit_test(far_outside_it_still_repeats),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
