/* SPDX-License-Identifier: MIT */
/* The library in a few lines: a step is blurred, its ends repeated outwards. Build it against an installed libconvolve with
 *     cc blur.c $(pkg-config --cflags --libs convolve)
 * and it prints 0 0 0.25 0.75 1 1. */
#include <convolve.h>
#include <stdio.h>

int main(void)
{
    _Alignas(CONVOLVE_ALIGNMENT) const double input[] = {0, 0, 0, 1, 1, 1}, kernel[] = {0.25, 0.5, 0.25};
    _Alignas(CONVOLVE_ALIGNMENT) double output[6];
    const struct convolve_spec spec = {.input = {.rank = 1, .size = {6}},
                                       .kernel = {.rank = 1, .size = {3}},
                                       .mode = CONVOLVE_SAME,
                                       .boundary = CONVOLVE_EDGE};
    struct convolve_error error = {0};
    struct convolve_plan *plan;
    if (!convolve_plan_create(&plan, &spec, kernel, &error) ||
        !convolve_plan_execute(plan, input, kernel, output, NULL, &error))
        return fprintf(stderr, "%s\n", error.detail), 1;
    for (size_t i = 0; i < 6; i++)
        printf("%g%c", output[i], i < 5 ? ' ' : '\n');
    convolve_plan_destroy(plan);
    return 0;
}
