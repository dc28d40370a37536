/* SPDX-License-Identifier: MIT */
/* Second looks at a job's signal, where its values call for them: the largest among values some of which are not finite, and
 * which windows hold zeros only. Blocks are walked as they lie in the signal, not as they are arranged for the transform. */
#include "core/fft_state.h"

#include <limits.h>
#include <math.h>
#include <string.h>

/* A block's cells, as far as its windows reach. */
struct cells {
    const struct fft_block *block;
    size_t extent[CONVOLVE_RANK_MAX];
    size_t at[CONVOLVE_RANK_MAX]; /* the row that was fetched */
    void *re, *im;
};

static bool begin_cells(const struct fft_job *job, size_t number, struct cells *cells)
{
    const struct fft_layout *layout = &job->state->layout;
    cells->block = &job->work.blocks[number];
    for (unsigned i = 0; i < layout->axis_count; i++) {
        const struct fft_axis *axis = &layout->axis[i];
        cells->at[i] = 0;
        cells->extent[i] = (cells->block->outputs[i] - 1) * axis->cell_stride + axis->taps;
    }
    cells->re = job->work.row;
    cells->im = (unsigned char *)job->work.row +
                layout->axis[layout->row].length * (layout->single ? sizeof(float) : sizeof(double));
    return cells->block->outputs[0] > 0;
}

static void fetch_cells(const struct fft_job *job, const struct cells *cells)
{
    const struct fft_layout *layout = &job->state->layout;
    int64_t begin[CONVOLVE_RANK_MAX];
    for (unsigned i = 0; i < layout->axis_count; i++)
        begin[i] = cells->block->begin[i] + (int64_t)(cells->at[i] * layout->axis[i].step);
    fft_fetch(job, begin, cells->extent[layout->row], layout->single, cells->re, cells->im);
}

/* The next row within `extent`, in the order of memory; false after the last. */
static bool next_row(const struct fft_layout *layout, const size_t *extent, size_t *at)
{
    for (unsigned i = layout->axis_count; i-- > 0;) {
        if (i == layout->row)
            continue;
        if (++at[i] < extent[i])
            return true;
        at[i] = 0;
    }
    return false;
}

static double value_at(bool single, const void *values, size_t i)
{
    return single ? (double)((const float *)values)[i] : ((const double *)values)[i];
}

void fft_find_largest(struct fft_job *job)
{
    const struct fft_layout *layout = &job->state->layout;
    struct cells cells;
    double most = 0, least = 0;
    for (size_t number = 0; number < layout->blocks_per_job; number++) {
        if (!begin_cells(job, number, &cells))
            continue;
        do {
            fetch_cells(job, &cells);
            for (size_t i = 0; i < cells.extent[layout->row] * layout->parts; i++) {
                const size_t count = cells.extent[layout->row];
                const double value = value_at(layout->single, i < count ? cells.re : cells.im, i % count);
                most = isfinite(value) ? fmax(most, value) : most;
                least = isfinite(value) ? fmin(least, value) : least;
            }
        } while (next_row(layout, cells.extent, cells.at));
    }
    job->judgement.facts.most = most;
    job->judgement.facts.least = least;
}

/* ---- Windows of zeros ------------------------------------------------------------------------------------------------- */

/* One for each cell that is not 0; axes in order, rows without gaps (the layout's row is the last with more than one cell). */
static void count_cells(const struct fft_job *job, struct cells *cells, uint32_t *counts)
{
    const struct fft_layout *layout = &job->state->layout;
    const size_t length = cells->extent[layout->row];
    do {
        fetch_cells(job, cells);
        for (size_t i = 0; i < length; i++)
            counts[i] = value_at(layout->single, cells->re, i) != 0 ||
                        (layout->complex && value_at(layout->single, cells->im, i) != 0);
        counts += length;
    } while (next_row(layout, cells->extent, cells->at));
}

/* Each count becomes the sum of those of `taps` neighbours: sums of all that follow, then their differences. Elements are
 * `pitch` apart, and as many stand side by side. (Modulo 2^32, which no window's count reaches.) */
static void add_neighbours(uint32_t *counts, size_t length, size_t pitch, size_t taps)
{
    for (size_t i = length - 1; i-- > 0;)
        for (size_t x = 0; x < pitch; x++)
            counts[i * pitch + x] += counts[(i + 1) * pitch + x];
    for (size_t i = 0; i + taps < length; i++)
        for (size_t x = 0; x < pitch; x++)
            counts[i * pitch + x] -= counts[(i + taps) * pitch + x];
}

static void add_windows(const struct fft_layout *layout, const struct cells *cells, uint32_t *counts)
{
    size_t pitch = 1, outer = 1;
    for (unsigned i = 0; i < layout->axis_count; i++)
        outer *= cells->extent[i];
    for (unsigned i = layout->axis_count; i-- > 0;) {
        const size_t length = cells->extent[i];
        outer /= length;
        for (size_t o = 0; o < outer && layout->axis[i].taps > 1; o++)
            add_neighbours(counts + o * length * pitch, length, pitch, layout->axis[i].taps);
        pitch *= length;
    }
}

static void clear_outputs(const struct fft_job *job, const struct cells *cells, const uint32_t *counts)
{
    const struct fft_layout *layout = &job->state->layout;
    const struct fft_axis *row = &layout->axis[layout->row];
    const size_t bytes = (layout->single ? sizeof(float) : sizeof(double)) * layout->parts;
    size_t h[CONVOLVE_RANK_MAX] = {0};
    do {
        size_t cell = 0;
        for (unsigned i = 0; i < layout->axis_count; i++)
            cell = cell * cells->extent[i] + h[i] * layout->axis[i].cell_stride;
        const size_t index = fft_output_index(job, cells->block, h);
        for (size_t i = 0; i < cells->block->outputs[layout->row]; i++)
            if (counts[cell + i * row->cell_stride] == 0)
                memset((unsigned char *)job->run->output + (index + i * row->class_pitch * row->output_pitch) * bytes,
                       0, bytes);
    } while (next_row(layout, cells->block->outputs, h));
}

/* Exchanged, the window's values are the taps, those that meet an element of the dilated kernel. Whether all are 0 depends on
 * the output's place modulo the dilation. */
static bool meets_zeros(const struct fft_job *job, const struct cells *cells, const size_t *h)
{
    const struct fft_layout *layout = &job->state->layout;
    size_t first[CONVOLVE_RANK_MAX], at[CONVOLVE_RANK_MAX], offset = 0, rest = job->tap_slice;
    for (unsigned i = layout->outer_count; i-- > 0;) {
        if (layout->outer[i].tap_slice_pitch == 0)
            continue;
        offset += rest % layout->outer[i].outputs * layout->outer[i].taps_pitch;
        rest /= layout->outer[i].outputs;
    }
    for (unsigned i = 0; i < layout->axis_count; i++) {
        const struct fft_axis *axis = &layout->axis[i];
        const size_t place = (cells->block->first[i] + h[i]) * axis->stride + axis->taps - axis->signal % axis->spread;
        first[i] = at[i] = place % axis->spread;
        if (first[i] >= axis->taps)
            return true;
    }
    for (;;) {
        size_t element = offset;
        for (unsigned i = 0; i < layout->axis_count; i++)
            element += at[i] * layout->axis[i].taps_pitch;
        for (unsigned part = 0; part < layout->parts; part++)
            if (value_at(layout->single, job->run->input, element * layout->parts + part) != 0)
                return false;
        unsigned i = layout->axis_count;
        while (i-- > 0) {
            at[i] += layout->axis[i].spread;
            if (at[i] < layout->axis[i].taps)
                break;
            at[i] = first[i];
        }
        if (i == UINT_MAX)
            return true;
    }
}

static void clear_exchanged(const struct fft_job *job, const struct cells *cells)
{
    const struct fft_layout *layout = &job->state->layout;
    const size_t bytes = (layout->single ? sizeof(float) : sizeof(double)) * layout->parts;
    size_t h[CONVOLVE_RANK_MAX] = {0};
    do
        for (h[layout->row] = 0; h[layout->row] < cells->block->outputs[layout->row]; h[layout->row]++)
            if (meets_zeros(job, cells, h))
                memset((unsigned char *)job->run->output + fft_output_index(job, cells->block, h) * bytes, 0, bytes);
    while (next_row(layout, cells->block->outputs, h));
}

void fft_mend_zero_windows(struct fft_job *job)
{
    const struct fft_layout *layout = &job->state->layout;
    if (!job->judgement.zero_windows || job->judgement.verdict != FFT_FLOAT)
        return;
    for (size_t number = 0; number < layout->blocks_per_job; number++) {
        struct cells cells;
        if (!begin_cells(job, number, &cells))
            continue;
        if (layout->exchanged) {
            clear_exchanged(job, &cells);
            continue;
        }
        count_cells(job, &cells, job->re);
        add_windows(layout, &cells, job->re);
        clear_outputs(job, &cells, job->re);
    }
}
