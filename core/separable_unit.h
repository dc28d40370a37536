/* SPDX-License-Identifier: MIT */
/* What the files of a unit share: where it lies, and its part of the tile's scratch. */
#ifndef CORE_SEPARABLE_UNIT_H
#define CORE_SEPARABLE_UNIT_H

#include "core/separable_state.h"

struct separable_unit {
    const struct convolve_plan *plan;
    const struct separable_state *state;
    const struct separable_layout *layout;
    const struct factors *factors;
    size_t first[CONVOLVE_RANK_MAX], rows[CONVOLVE_RANK_MAX], positions[CONVOLVE_RANK_MAX]; /* of each pass axis */
    size_t cell_first, cells; /* of the row's outputs */
    size_t input_offset; /* in values, of the axes without taps */
    bool constant; /* one of them lies beyond an end */
    size_t slice, output_index; /* output_index: of the first output, in values */
    size_t tap_first, taps, span; /* of the part of the row */
    const unsigned char *input;
    unsigned char *output; /* the whole tensor */
    size_t *position[CONVOLVE_RANK_MAX]; /* in values, or BOUNDARY_NONE */
    const void **table;
    void **outputs;
    unsigned char *buffer[2], *gathered, *constants, *turned, *slots, *temporary;
    bool constants_made;
};

/* Runs the block with the factor of one axis, from tap `first` on. */
void separable_run_factor(const struct separable_unit *u, unsigned axis, size_t first, struct simd_block *block);

/* separable_first.c: from the input's rows to buffer 0. */
void separable_first_pass(struct separable_unit *u);

#endif
