/* SPDX-License-Identifier: MIT */
/* What the files that make a unit of direct share: where it lies in tensors and scratch, and how rows are copied. */
#ifndef CORE_DIRECT_UNIT_H
#define CORE_DIRECT_UNIT_H

#include "core/direct_state.h"

struct direct_unit {
    const struct convolve_plan *plan;
    const struct direct_state *state;
    const struct direct_layout *layout;
    size_t coordinate[CONVOLVE_RANK_MAX]; /* of the outer axes; of the shared one that of the first row */
    size_t rows, cell_first, cells;
    size_t plane_first, planes, row_tap_first, row_taps, tap_first, taps; /* of the pass */
    bool accumulate;
    size_t input_rows; /* of each plane */
    const unsigned char *input;
    unsigned char *output; /* the value of row 0 at cell 0 */
    size_t output_row_pitch, output_index; /* in values */
    size_t slice; /* of the kernel */
    const unsigned char *values;
    const unsigned char **bases; /* NULL: the constant */
    const void **table;
    void **outputs;
    const void **edge_table;
    unsigned char *copies, *constant, *temporary, *edge_outputs;
};

/* Fills `bases` with the input's rows, `rows` in each plane, each at its first cell. */
void direct_find_bases(struct direct_unit *u, size_t rows);

/* Hands a block to the routine of the element. */
void direct_run_block(const struct direct_unit *u, const struct simd_block *block);

/* The block of the pass whose rows are `table` and whose output is `outputs`; offsets and count are left to set. */
struct simd_block direct_describe_block(const struct direct_unit *u);

/* ---- direct_copy.c ---- */

/* Cells at start, start + step, ... of a row; those from `inside` up to `end` lie within it. */
struct direct_span {
    int64_t start, step;
    size_t count, inside, end;
};
struct direct_span direct_find_span(const struct direct_layout *layout, int64_t start, size_t step, size_t count);

void direct_fill_constant(const struct direct_unit *u, unsigned char *out, size_t elements);

/* A span of the row that begins at `base`. */
void direct_fill_span(const struct direct_unit *u, unsigned char *out, const unsigned char *base,
                      const struct direct_span *span);

/* The second copy of complex values, turned: then their product is two chains of real taps. */
void direct_turn_copy(const struct direct_unit *u, unsigned char *copy, size_t elements);

/* Copies all rows of the table whole, for `cells` outputs from `first` on; the constant too, where a row is that. */
void direct_copy_rows(const struct direct_unit *u, size_t first, size_t cells, bool with_constant);

/* ---- direct_edges.c ---- */

/* The outputs first .. first+cells of every row, which are few, by columns; false where the unit is not fit for that. */
bool direct_make_edge(struct direct_unit *u, size_t first, size_t cells);

/* ---- direct_strips.c ---- */

/* The whole unit, by rows in `bases`, if it has rows and cells enough; else false. What its input tells is added to the facts,
 * where they are asked for, in either case. */
bool direct_make_strips(struct direct_unit *u, struct simd_facts *facts);

/* ---- direct_phases.c ---- */
void direct_make_phases(struct direct_unit *u);

#endif
