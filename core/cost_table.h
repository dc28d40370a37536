/* SPDX-License-Identifier: MIT */
/* What the methods cost, measured with each instruction set: the numbers of cost_table_SET.inc, which `make calibrate` writes,
 * in nanoseconds of one core. They need not be those of the machine at hand: the choice rests on their ratios. */
#ifndef CORE_COST_TABLE_H
#define CORE_COST_TABLE_H

#include <stddef.h>

enum { COST_ROW_POINTS = 9, COST_LINE_POINTS = 9, COST_SQUARES = 5 };

/* The taps of a row, and of a one-dimensional kernel, at which costs are measured; between them they are interpolated. */
extern const unsigned cost_row_taps[COST_ROW_POINTS], cost_line_taps[COST_LINE_POINTS];

/* Of one element type, with one instruction set. */
struct cost_table {
    /* direct, where windows share rows: an output for each plane of its taps, and for each tap, by the taps of a row. */
    float plane[COST_ROW_POINTS], tap[COST_ROW_POINTS];
    float square[COST_SQUARES]; /* an output of 3 x 3, 5 x 5, ... taps, of one plane; from 9 x 9 on as strips */
    float line[COST_LINE_POINTS]; /* one-dimensional: a tap, by their number */
    float value; /* a value of input or output, whatever the kernel */
    float row; /* a row of a block */
    float copied; /* an element copied before it is read */
    float term; /* a term where outputs are made one by one */

    /* separable: an element of a pass, and each tap more, down columns and along rows. */
    float down, down_tap, along, along_tap;
    float along_apart; /* a tap along rows, where taps are no neighbours */
    float gathered; /* a cell copied from beyond the ends */
    float call; /* a block that is made */

    float direct_plan, separable_plan; /* what any request takes */
};

enum { COST_TURNS_MAX = 32768 }; /* longer axes are transformed in two parts */

/* What fft (0) and overlap_add (1) take, from what they estimate of themselves: plan + scale * estimate; and the plan of fft for
 * each cell of its longest axis `turn`. */
struct cost_transforms {
    float plan[2], turn, scale;
    float least_f32, least_f64; /* of an output, whatever the request */
};

struct cost_set {
    const char *name; /* of the instruction set */
    size_t block_bytes, vector_bytes; /* of a block's row */
    struct cost_table f32, f64, u64;
    struct cost_transforms transforms;
};

/* That of the set in use. neon has no numbers of its own: it goes by those of avx2, because a vector half as wide makes sums
 * and transforms alike take twice as long, and ratios are what counts. */
const struct cost_set *cost_set(void);

#endif
