/* SPDX-License-Identifier: MIT */
/* What transforms cost, in nanoseconds of one core, from the table that `make calibrate` measures (fft_cost_table.inc); and the
 * block lengths that cost least. All of it follows from shapes and dtype alone. */
#ifndef CORE_FFT_COST_H
#define CORE_FFT_COST_H

#include "core/fft_layout.h"

/* Of one complex element of a transform of `length`, there and back: along columns, and along rows with their transposition
 * and the product of the spectra between. */
struct fft_cost_row {
    unsigned length;
    float column_f32, row_f32, column_f64, row_f64;
};

/* The same for every length. */
struct fft_cost_rest {
    float gather_f32, gather_f64; /* of a cell of a block */
    float emit_f32, emit_f64; /* of an output */
    float twist_f32, twist_f64; /* of an element of a split transform, there and back */
    float row_ns, job_ns; /* of a row of a block, of a job */
    float beyond_l2, beyond_l3; /* of a byte that passes, where a job's memory exceeds ... */
    float l2_bytes, l3_bytes; /* ... so much */
};

/* Sets the mode, the row and the lengths of the axes, which are otherwise filled in. False where nothing fits size_t. */
bool fft_cost_choose(struct fft_layout *layout, enum convolve_method method);

/* Of a layout that is filled in: one job, and all of it. */
double fft_job_ns(const struct fft_layout *layout);
double fft_layout_ns(const struct fft_layout *layout);

/* ---- fft_layout.c, for the search ---- */

/* Cuts an axis into blocks of `length` cells, at least the taps. */
void fft_axis_cut(struct fft_axis *axis, size_t length);

/* From mode, row and lengths to arrays and jobs. False where a size does not fit. */
bool fft_layout_lay(struct fft_layout *layout);

#endif
