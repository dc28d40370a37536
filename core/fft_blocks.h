/* SPDX-License-Identifier: MIT */
/* How a job's cells come in and its outputs go out, piece by piece: what jobs that are run at once (fft_job.c) and those in
 * stages (fft_gather, fft_emit) have in common. */
#ifndef CORE_FFT_BLOCKS_H
#define CORE_FFT_BLOCKS_H

#include "core/fft_state.h"

/* Element `element` of one of the job's arrays. */
static inline void *fft_at(const struct fft_job *job, void *array, size_t element)
{
    return (unsigned char *)array + element * (fft_in_single(job) ? sizeof(float) : sizeof(double));
}

/* ---- In ---- */

/* The cells that so many outputs of an axis depend on. */
size_t fft_cells_needed(const struct fft_axis *axis, size_t outputs);

/* Adds what rows of values tell to the job's facts. */
void fft_look_at(struct fft_job *job, bool single, const void *values, size_t pitch, size_t rows, size_t count);

/* A row of `room` cells, of which the first `count` are of use and the others 0. */
void fft_fetch_row(struct fft_job *job, bool look, const int64_t *begin, size_t count, size_t room, void *re, void *im);

/* ---- Out ---- */

/* Where transformed cells lie. */
struct fft_source {
    const void *re, *im; /* im: of complex values */
    bool single;
    size_t apart;
};

/* Whether outputs are copied as they are, but for what lies below 0; and rows of such outputs. */
bool fft_is_plain(const struct fft_job *job);
void fft_emit_plain(const struct fft_job *job, size_t index, size_t out_pitch, const void *from, size_t pitch,
                    size_t rows, size_t count);

/* `count` outputs from `index` on along the row. Returns the largest absolute value where they are no plain ones. */
double fft_emit_run(const struct fft_job *job, size_t index, size_t count, const struct fft_source *source);

#endif
