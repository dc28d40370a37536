/* SPDX-License-Identifier: MIT */
/* How direct cuts a request up, from shapes alone. The last convolved axis is the row; axes inside it that are not
 * convolved and share one kernel join it as the elements of a cell. One of the other axes, the shared one, gives the rows
 * of a block: neighbouring output rows along it read the same input rows. What remains is looped over.
 *
 * A unit is some rows along the shared axis by some cells of each; a tile is some units. Kernels with very many taps are
 * walked in passes, each a stage of the plan, in which every output goes on where the pass before has left it. */
#ifndef CORE_DIRECT_LAYOUT_H
#define CORE_DIRECT_LAYOUT_H

#include "core/convolve.h"
#include "core/geometry.h"

enum direct_element { DIRECT_F32, DIRECT_F64, DIRECT_U64 };

enum direct_mode {
    DIRECT_IN_PLACE, /* rows are read where they lie; only what reaches beyond the ends is copied */
    DIRECT_COPIED, /* rows are copied, with their boundary: strides, complex values, short rows */
    DIRECT_PHASES, /* one-dimensional: a row is dealt out to `phases` rows, which then share their inputs like image rows */
    DIRECT_PLAIN, /* one output at a time: input and kernel exchanged */
};

/* An axis that is not the row. */
struct direct_axis {
    size_t output, taps, stride, dilation, before, input;
    size_t input_pitch, output_pitch; /* in elements of the tensor */
    size_t kernel_groups_pitch, input_groups_pitch; /* of the number of the kernel's and the input's slice */
};

struct direct_layout {
    enum direct_element element;
    size_t element_bytes; /* of a real number */
    unsigned parts; /* real numbers of one value: 2 where complex */
    enum direct_mode mode;

    unsigned outer_count;
    int shared; /* index in outer, or -1 */
    struct direct_axis outer[CONVOLVE_RANK_MAX];
    size_t loop_count; /* of the outer axes but the shared one: the product of their outputs */
    size_t planes, row_taps, taps; /* taps of the outer axes together, of the shared axis, of the row */
    size_t shared_output, row_step, row_apart, row_unit; /* block row r is output phase + r*row_apart; its input rows
                                                            begin at r*row_step and are row_unit apart */

    size_t cells_out, cells_in, cell; /* cell: real numbers */
    size_t stride, dilation, before;
    size_t pitch_in, pitch_out; /* from cell to cell, in real numbers */
    size_t phases;

    size_t unit_rows, unit_cells;
    size_t row_groups, segments, unit_count, units_per_tile, tile_count;
    size_t plain_outputs, plain_tile_count; /* of a tile that makes one output at a time */
    size_t check_outputs, check_tile_count; /* of a tile that looks at outputs again */
    size_t pass_planes, pass_rows, pass_taps, pass_count;

    /* A copied row: slot f holds the cells from slot_start[f] on, in steps of the stride. */
    size_t slots, slot_cells, row_elements, turn_offset;
    bool slot_each_tap;
    size_t table_rows; /* rows of one unit in one pass */
    bool strips, streams, large, looks_beside; /* whether units can be made as strips, and how */
    size_t strip_copies; /* cells beyond both ends of a row */
    size_t edge_cells, edge_table_rows; /* outputs at either end of a row that can be made as columns; 0: none */

    /* The values: slices of input and kernel, each alone where its elements lie together, else all as one. */
    size_t input_groups, input_group_elements, kernel_groups, kernel_group_elements;
    size_t chunk_elements, input_chunks, kernel_chunks; /* chunks of each group */
};

/* False where a size does not fit size_t. */
bool direct_layout_derive(struct direct_layout *layout, const struct convolve_spec *spec,
                          const struct geometry *geometry);

/* The tap of slot `slot` of a copied row, relative to the first: its place in steps of the input. */
size_t direct_slot_start(const struct direct_layout *layout, size_t slot);

/* direct_strips.c: whether strips can be made of the layout, which is whole but for what tells of them: of rows in place under small
 * kernels that have no holes. */
void direct_find_strips(struct direct_layout *layout);

/* The parts of a unit's scratch, in elements of what they hold. */
struct direct_scratch_counts {
    size_t bases, table, edge_table, outputs; /* pointers */
    size_t copies, constant, temporary, edge_outputs; /* real numbers */
};
bool direct_unit_counts(const struct direct_layout *layout, struct direct_scratch_counts *counts);

/* Their bytes, rounded up part by part; false where they do not fit. */
bool direct_unit_scratch(const struct direct_layout *layout, size_t *bytes);

#endif
