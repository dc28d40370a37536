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

void fft_find_largest_of_rows(struct fft_job *job, size_t first, size_t end)
{
    const struct fft_layout *layout = &job->state->layout;
    double most = 0, least = 0;
    for (size_t row = first; row < end; row++)
        for (size_t i = 0; i < layout->dim[layout->dims - 1]; i++)
            for (unsigned part = 0; part < 2; part++) {
                const double value =
                    value_at(layout->single, part ? job->im : job->re, fft_row_offset(layout, row) + i);
                most = isfinite(value) ? fmax(most, value) : most;
                least = isfinite(value) ? fmin(least, value) : least;
            }
    job->judgement.facts.most = most;
    job->judgement.facts.least = least;
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

/* Which of an axis' first `extent` cells are the signal's; beyond its ends is the constant. */
static struct fft_span cells_within(const struct fft_axis *axis, int64_t begin, size_t extent)
{
    const int64_t step = (int64_t)axis->step, left = (int64_t)axis->signal - begin;
    const size_t first = begin < 0 ? (size_t)((step - 1 - begin) / step) : 0;
    const size_t end = left > 0 ? (size_t)((left + step - 1) / step) : 0;
    return (struct fft_span){first < extent ? first : extent, end < extent ? end : extent};
}

/* How many of them a window meets whose first is `cell`. */
static size_t cells_met(struct fft_span within, size_t cell, size_t taps)
{
    const size_t first = cell > within.first ? cell : within.first;
    const size_t end = cell + taps < within.end ? cell + taps : within.end;
    return end > first ? end - first : 0;
}

static bool is_zero(const struct fft_layout *layout, const struct cells *cells, size_t i)
{
    return value_at(layout->single, cells->re, i) == 0 &&
           (!layout->complex || value_at(layout->single, cells->im, i) == 0);
}

/* Whether so many cells of the row are 0 one after the other: of each stretch the end is looked at first, and the next one
 * begins behind what is not 0. */
static bool has_run(const struct fft_layout *layout, const struct cells *cells, struct fft_span within, size_t length)
{
    for (size_t end = within.first + length; end <= within.end;) {
        size_t zeros = 0;
        while (zeros < length && is_zero(layout, cells, end - 1 - zeros))
            zeros++;
        if (zeros == length)
            return true;
        end += length - zeros;
    }
    return false;
}

/* A window meets so many cells of the signal along each axis, one after the other: the fewest at an end of the block. So
 * it has a row among every so many, and in it a run of so many. */
static bool find_in_block(const struct fft_job *job, struct cells *cells)
{
    const struct fft_layout *layout = &job->state->layout;
    struct fft_span within[CONVOLVE_RANK_MAX];
    size_t fewest[CONVOLVE_RANK_MAX], rows[CONVOLVE_RANK_MAX], row[CONVOLVE_RANK_MAX] = {0}, product = 1;
    for (unsigned i = 0; i < layout->axis_count; i++) {
        const struct fft_axis *axis = &layout->axis[i];
        within[i] = cells_within(axis, cells->block->begin[i], cells->extent[i]);
        const size_t first = cells_met(within[i], 0, axis->taps);
        const size_t last = cells_met(within[i], cells->extent[i] - axis->taps, axis->taps);
        fewest[i] = first < last ? first : last;
        if (fewest[i] == 0)
            return true;
        rows[i] = (within[i].end - within[i].first) / fewest[i];
        product *= fewest[i];
    }
    if (job->judgement.facts.zeros < product)
        return false;
    do {
        for (unsigned i = 0; i < layout->axis_count; i++)
            cells->at[i] = i == layout->row ? 0 : within[i].first + (row[i] + 1) * fewest[i] - 1;
        fetch_cells(job, cells);
        if (has_run(layout, cells, within[layout->row], fewest[layout->row]))
            return true;
    } while (next_row(layout, rows, row));
    return false;
}

bool fft_find_zero_windows(const struct fft_job *job)
{
    struct cells cells;
    for (size_t number = 0; number < job->state->layout.blocks_per_job; number++)
        if (begin_cells(job, number, &cells) && find_in_block(job, &cells))
            return true;
    return false;
}

/* The cells of an axis that the outputs of a whole block see. Counts of every block lie as if it were whole. */
static size_t extent_of(const struct fft_axis *axis)
{
    return (axis->hop - 1) * axis->cell_stride + axis->taps;
}

/* The product of the extents of the axes from `first` up to `end`, without that of the row where `rows`. */
static size_t extents(const struct fft_layout *layout, unsigned first, unsigned end, bool rows)
{
    size_t product = 1;
    for (unsigned i = first; i < end; i++)
        product *= rows && i == layout->row ? 1 : extent_of(&layout->axis[i]);
    return product;
}

/* Two blocks are counted side by side in the arrays, more of them one after the other. */
static uint32_t *counts_of(const struct fft_job *job, size_t number)
{
    return number && job->state->layout.mode == FFT_BLOCK ? job->im : job->re;
}

/* A row of cells: 1 for each that is not 0. (The layout's row is the last axis with more than one cell.) */
static void count_row(const struct fft_job *job, size_t number, size_t row)
{
    const struct fft_layout *layout = &job->state->layout;
    const size_t length = extent_of(&layout->axis[layout->row]);
    uint32_t *const counts = counts_of(job, number) + row * length;
    struct cells cells;
    memset(counts, 0, length * sizeof *counts);
    if (!begin_cells(job, number, &cells))
        return;
    for (unsigned i = layout->axis_count; i-- > 0;) {
        if (i == layout->row)
            continue;
        cells.at[i] = row % extent_of(&layout->axis[i]);
        row /= extent_of(&layout->axis[i]);
        if (cells.at[i] >= cells.extent[i])
            return;
    }
    fetch_cells(job, &cells);
    for (size_t i = 0; i < cells.extent[layout->row]; i++)
        counts[i] = value_at(layout->single, cells.re, i) != 0 ||
                    (layout->complex && value_at(layout->single, cells.im, i) != 0);
}

/* Each count becomes the sum of those of `taps` neighbours: sums of all that follow, then their differences. Elements are
 * `pitch` apart, and `width` stand side by side. (Modulo 2^32, which no window's count reaches.) */
static void add_neighbours(uint32_t *counts, size_t length, size_t pitch, size_t width, size_t taps)
{
    for (size_t i = length - 1; i-- > 0;)
        for (size_t x = 0; x < width; x++)
            counts[i * pitch + x] += counts[(i + 1) * pitch + x];
    for (size_t i = 0; i + taps < length; i++)
        for (size_t x = 0; x < width; x++)
            counts[i * pitch + x] -= counts[(i + taps) * pitch + x];
}

enum { ADDED_TOGETHER = 256 };

static void add_columns(const struct fft_job *job, size_t number, unsigned axis, size_t item)
{
    const struct fft_layout *layout = &job->state->layout;
    const size_t pitch = extents(layout, axis + 1, layout->axis_count, false), length = extent_of(&layout->axis[axis]);
    const size_t chunks = (pitch + ADDED_TOGETHER - 1) / ADDED_TOGETHER, at = item % chunks * ADDED_TOGETHER;
    const size_t width = pitch - at < ADDED_TOGETHER ? pitch - at : ADDED_TOGETHER;
    if (layout->axis[axis].taps > 1)
        add_neighbours(counts_of(job, number) + item / chunks * length * pitch + at, length, pitch, width,
                       layout->axis[axis].taps);
}

/* Exchanged, the window's values are the taps, those that meet an element of the dilated kernel. Whether all are 0 depends on
 * the output's place modulo the dilation. */
static bool meets_zeros(const struct fft_job *job, const struct fft_block *block, const size_t *h)
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
        const size_t place = (block->first[i] + h[i]) * axis->stride + axis->taps - axis->signal % axis->spread;
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

/* A row of outputs: those whose windows hold nothing but zeros. */
static void clear_row(const struct fft_job *job, size_t number, size_t row)
{
    const struct fft_layout *layout = &job->state->layout;
    const struct fft_axis *axis = &layout->axis[layout->row];
    const struct fft_block *block = &job->work.blocks[number];
    const size_t bytes = (layout->single ? sizeof(float) : sizeof(double)) * layout->parts;
    const uint32_t *const counts = counts_of(job, number);
    size_t h[CONVOLVE_RANK_MAX], cell = 0, pitch = 1;
    for (unsigned i = layout->axis_count; i-- > 0; pitch *= extent_of(&layout->axis[i])) {
        h[i] = i == layout->row ? 0 : row % layout->axis[i].hop;
        row /= i == layout->row ? 1 : layout->axis[i].hop;
        cell += h[i] * layout->axis[i].cell_stride * pitch;
        if (h[i] >= block->outputs[i])
            return;
    }
    const size_t index = fft_output_index(job, block, h), apart = axis->class_pitch * axis->output_pitch;
    for (size_t i = 0; i < block->outputs[layout->row]; i++) {
        h[layout->row] = i;
        if (layout->exchanged ? meets_zeros(job, block, h) : counts[cell + i * axis->cell_stride] == 0)
            memset((unsigned char *)job->run->output + (index + i * apart) * bytes, 0, bytes);
    }
}

/* ---- Steps ------------------------------------------------------------------------------------------------------------ */

/* First cells are counted, then counts added along each axis, then outputs cleared. */
unsigned fft_window_steps(const struct fft_layout *layout)
{
    return layout->axis_count + 2;
}

static size_t block_items(const struct fft_layout *layout, unsigned step)
{
    size_t items = 1;
    if (step == 0)
        return extents(layout, 0, layout->axis_count, true);
    if (step <= layout->axis_count)
        return extents(layout, 0, step - 1, false) *
               ((extents(layout, step, layout->axis_count, false) + ADDED_TOGETHER - 1) / ADDED_TOGETHER);
    for (unsigned i = 0; i < layout->axis_count; i++)
        items *= i == layout->row ? 1 : layout->axis[i].hop;
    return items;
}

size_t fft_window_items(const struct fft_layout *layout, unsigned step)
{
    return layout->blocks_per_job * block_items(layout, step);
}

bool fft_windows_matter(const struct fft_judgement *judgement)
{
    return judgement->zero_windows && judgement->verdict == FFT_FLOAT;
}

void fft_mend_windows(const struct fft_job *job, unsigned step, size_t first, size_t end)
{
    const struct fft_layout *layout = &job->state->layout;
    const size_t items = block_items(layout, step);
    const bool clears = step > layout->axis_count;
    for (size_t item = first; item < end && (clears || !layout->exchanged); item++) {
        const size_t number = item / items;
        if (clears)
            clear_row(job, number, item % items);
        else if (step == 0)
            count_row(job, number, item % items);
        else
            add_columns(job, number, step - 1, item % items);
    }
}

void fft_mend_zero_windows(const struct fft_job *job)
{
    const struct fft_layout *layout = &job->state->layout;
    for (size_t number = 0; number < layout->blocks_per_job && fft_windows_matter(&job->judgement); number++)
        for (unsigned step = 0; step < fft_window_steps(layout) && job->work.blocks[number].outputs[0]; step++) {
            const size_t items = block_items(layout, step);
            fft_mend_windows(job, step, number * items, (number + 1) * items);
        }
}
