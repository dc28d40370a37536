/* SPDX-License-Identifier: MIT */
/* The definition of layers and their gradients: a plain walk over channels, taps and places, written to be read and never
 * optimised. Every method is tested against it; outputs that only values can judge are made by it too. */
#ifndef CORE_LAYER_EXPLAIN_H
#define CORE_LAYER_EXPLAIN_H

#include "core/exact_sum.h"
#include "core/layer_geometry.h"

/* What the terms add up to. Each dtype has its chain; only the one asked for is filled. */
struct layer_chain {
    double real, imag;
    float real32, imag32;
};

/* One output's terms, one after another. What runs has three wheels: cells of the padded x that stand for the output (of
 * backward_input, others have one), the summed channel or item, and taps or places, the last the fastest. */
struct layer_walk {
    const struct layer_geometry *geometry;
    const struct convolve_run *tensors;
    size_t item, group, x_channel, y_channel; /* channels of the group */
    size_t home[LAYER_AXES]; /* the output's place in x or y, or its tap */
    size_t cell[LAYER_AXES], cell_counts[LAYER_AXES], first_cell[LAYER_AXES];
    size_t middle, middle_count;
    size_t inner[LAYER_AXES], inner_counts[LAYER_AXES];
    bool here, ended; /* here: the cell stands for the output */
    bool any; /* a cell has been added to the total */
    struct layer_chain chain, total; /* of this cell, of those before */
    struct exact_sum integer;
    double absolute;
};

/* One output. */
struct layer_value {
    struct convolve_scalar value, bias;
    bool overflow; /* an int64 that does not fit; value holds it modulo 2^64 */
    double absolute; /* the absolute products and the bias added up: exact, or at least 2^53 */
};

/* Of the output at row-major `index`, which must exist. Reads no tensor. */
void layer_walk_begin(struct layer_walk *walk, const struct layer_geometry *geometry,
                      const struct convolve_run *tensors, size_t index);
/* Whether the step met a term, which is then filled; `term` may be NULL. */
bool layer_walk_step(struct layer_walk *walk, struct convolve_term *term);
/* Once it has ended. */
struct layer_value layer_walk_value(struct layer_walk *walk);

/* At most. */
void layer_walk_counts(const struct layer_walk *walk, uint64_t *steps, uint64_t *terms);

/* The same from begin to end. */
struct layer_value layer_define(const struct layer_geometry *geometry, const struct convolve_run *tensors,
                                size_t index);

#endif
