/* SPDX-License-Identifier: MIT */
/* How separable cuts a request up, from shapes alone. The axes with more than one tap are its pass axes, outermost first. The
 * first pass reads the rows of the input where they lie and makes, for a few outputs along the outermost pass axis, whole
 * rows; the next passes go on from there, axis by axis, in tile scratch; the last one goes along the row and writes the output.
 * Where the elements inside the last pass axis are many (channels last), they are the row, and no pass goes along it.
 *
 * A unit is, per pass axis but the row, some outputs of one phase (outputs whose windows share positions), by a segment of
 * the row; a tile is some units. A row with very many taps is done in parts: the chain goes on in the output. No cut decides
 * any bit: every value of every pass is one chain over the taps of that axis. */
#ifndef CORE_SEPARABLE_LAYOUT_H
#define CORE_SEPARABLE_LAYOUT_H

#include "core/direct_layout.h"

enum {
    SEPARABLE_TURNED_ROWS = 12, /* of a complex factor, at a time */
    SEPARABLE_GATHER_CELLS = 64, /* the most that are copied at a time */
};

/* An axis with taps. Output r of a phase reads the positions r*step .. r*step + taps - 1; position v lies at input index
 * o*stride + v*dilation - before, where o is the first output. */
struct separable_axis {
    size_t output, taps, stride, dilation, before, input;
    size_t input_pitch, output_pitch, kernel_pitch; /* in elements of the tensors */
    size_t step, apart; /* apart: from one output of a phase to the next */
    size_t rows, positions, groups; /* outputs of a unit and what they read; units of a phase */
};

/* An axis without: convolved with a single tap, or not at all. */
struct separable_loop {
    size_t output, stride, before, input;
    size_t input_pitch, output_pitch, kernel_groups_pitch;
};

struct separable_layout {
    enum direct_element element;
    size_t element_bytes; /* of a real number */
    unsigned parts; /* real numbers of one value: 2 where complex */

    unsigned axis_count, pass_count; /* pass_count: those that are not the row */
    struct separable_axis axis[CONVOLVE_RANK_MAX];
    unsigned loop_axes;
    struct separable_loop loop[CONVOLVE_RANK_MAX];
    size_t loop_count; /* the product of their outputs */

    bool row_pass; /* the last axis is the row's; else the row is the cell */
    size_t cell; /* real numbers that lie together and have the same taps */
    size_t pitch_in, pitch_out; /* from cell to cell along the row, in real numbers */
    size_t cells_out, segment_cells, segments; /* of the row; without a row pass cells are real numbers */
    size_t chunk_taps; /* of the row in one part */
    size_t span; /* the cells that a segment's windows reach over, in one part */
    size_t row_pitch; /* of rows in tile scratch, in real numbers */
    size_t slots, slot_cells; /* with a stride: the cells k, k + stride, ... of a row, brought together */

    size_t buffer_rows[2]; /* passes write to one and read from the other */
    size_t gather_cells,
        gather_taps; /* what reaches beyond the row's ends is copied, so many cells and taps at a time */
    size_t gather_rows;
    size_t unit_count, units_per_tile, tile_count;

    bool streams; /* outputs need not stay in caches, of which there are more than those hold */

    size_t kernel_groups, factor_taps; /* slices of the kernel; the taps of all axes together */
};

/* False where a size does not fit size_t, or scratch would be beyond reason: then taps lie too far apart for passes. */
bool separable_layout_derive(struct separable_layout *layout, const struct convolve_spec *spec,
                             const struct geometry *geometry);

/* The axes with taps in each slice of the kernel: with fewer than two there is nothing to separate. */
unsigned separable_axis_count(const struct geometry *geometry);

bool separable_unit_scratch(const struct separable_layout *layout, size_t *bytes);

#endif
