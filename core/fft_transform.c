/* SPDX-License-Identifier: MIT */
/* Arrays there and back: the columns of each dimension but the last, then the rows, strip by strip, each strip transformed,
 * multiplied by the spectrum of the taps and transformed back before it leaves the first cache. */
#include "core/fft_state.h"

#include <math.h>
#include <string.h>

enum { STREAM_BYTES_MIN = 6 << 20 }; /* of the output: what will have left the caches before anybody reads it */

static size_t round_up(size_t count, size_t unit)
{
    return (count + unit - 1) / unit * unit;
}

size_t fft_row_offset(const struct fft_layout *layout, size_t row)
{
    size_t offset = 0;
    for (unsigned i = layout->dims - 1; i-- > 0; row /= layout->dim[i])
        offset += row % layout->dim[i] * layout->pitch[i];
    return offset;
}

/* The cells within one index of a dimension: columns that lie side by side, the padding of rows among them. */
static size_t column_extent(const struct fft_layout *layout, unsigned dim)
{
    if (dim + 2 == layout->dims)
        return round_up(layout->dim[dim + 1], fft_width(layout->single));
    return layout->dim[dim + 1] * layout->pitch[dim + 1];
}

/* Columns that are transformed together: rows are a whole number of them apart. */
static size_t column_chunk(const struct fft_layout *layout)
{
    return fft_width(layout->single);
}

static size_t column_chunks(const struct fft_layout *layout, unsigned dim)
{
    return column_extent(layout, dim) / column_chunk(layout);
}

size_t fft_column_items(const struct fft_layout *layout, unsigned dim)
{
    size_t items = column_chunks(layout, dim);
    for (unsigned i = 0; i < dim; i++)
        items *= layout->dim[i];
    return items;
}

/* Whether a chunk that begins at `at` within one index of a dimension lies behind a row, or behind the last row of a plane.
 * Planes need not be a whole number of rows apart. */
static bool in_padding(const struct fft_layout *layout, unsigned dim, size_t at)
{
    for (unsigned i = dim + 1; i + 1 < layout->dims; at %= layout->pitch[i++])
        if (at / layout->pitch[i] >= layout->dim[i])
            return true;
    return at >= layout->dim[layout->dims - 1];
}

static bool between_taps(const struct fft_layout *layout, unsigned dim, size_t first, size_t end)
{
    const struct fft_axis *axis = &layout->axis[layout->dim_axis[dim]];
    return first > 0 && end + axis->taps <= axis->length + 1; /* they run backwards from cell 0 */
}

bool fft_columns_hold_taps(const struct fft_layout *layout, unsigned dim, size_t item)
{
    const unsigned last = layout->dims - 1;
    size_t at = item % column_chunks(layout, dim) * column_chunk(layout);
    if (layout->split)
        return true;
    for (unsigned i = dim + 1; i < last; at %= layout->pitch[i++])
        if (between_taps(layout, i, at / layout->pitch[i], at / layout->pitch[i] + 1))
            return false;
    return !between_taps(layout, last, at, at + column_chunk(layout));
}

size_t fft_group_items(const struct fft_layout *layout, bool single)
{
    const size_t width = fft_width(single);
    return layout->mode == FFT_ROWS ? 1 : (layout->rows + width - 1) / width;
}

/* What rows beyond the last are read from. */
static void clear_zeros(const struct fft_job *job)
{
    const struct fft_layout *layout = &job->state->layout;
    if (layout->rows % SIMD_FFT_WIDTH_f32 != 0)
        memset(job->work.zeros, 0, layout->pitch[layout->dims - 2] * sizeof(double));
}

#define REAL   float
#define BITS   f32
#define TABLES single
#include "core/fft_transform.inc"
#undef REAL
#undef BITS
#undef TABLES

#define REAL   double
#define BITS   f64
#define TABLES twice
#include "core/fft_transform.inc"
#undef REAL
#undef BITS
#undef TABLES

void fft_columns(const struct fft_job *job, bool single, unsigned dim, bool inverse, size_t first, size_t end)
{
    if (single)
        columns_f32(job, dim, inverse, first, end);
    else
        columns_f64(job, dim, inverse, first, end);
}

void fft_groups(const struct fft_job *job, size_t first, size_t end)
{
    clear_zeros(job);
    if (fft_in_single(job))
        groups_f32(job, first, end);
    else
        groups_f64(job, first, end);
}

void fft_lanes(const struct fft_job *job, const void *const *from_re, const void *const *from_im, void *const *to_re,
               void *const *to_im, size_t count)
{
    if (fft_in_single(job))
        lanes_f32(job, (const float *const *)from_re, (const float *const *)from_im, (float *const *)to_re,
                  (float *const *)to_im, count);
    else
        lanes_f64(job, (const double *const *)from_re, (const double *const *)from_im, (double *const *)to_re,
                  (double *const *)to_im, count);
}

/* Doubles that are not negative are ordered as their bits are. */
static void note_peak(uint64_t *peak, double value)
{
    uint64_t bits, seen = __atomic_load_n(peak, __ATOMIC_RELAXED);
    memcpy(&bits, &value, sizeof bits);
    while (seen < bits && !__atomic_compare_exchange_n(peak, &seen, bits, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
        ;
}

void fft_tap_groups(const struct fft_job *job, bool single, size_t first, size_t end)
{
    const struct fft_layout *layout = &job->state->layout;
    const double scale = 1.0 / (double)layout->transformed;
    clear_zeros(job);
    for (size_t group = first; group < end; group++) {
        group_in_f64(job, group);
        job->plan->routines->fft_forward_f64(&job->state->twice.fft[layout->dims - 1], job->work.strip_re,
                                             job->work.strip_im, SIMD_FFT_WIDTH_f64, SIMD_FFT_WIDTH_f64);
        note_peak(&job->taps->peak,
                  single ? store_spectrum_f32(job, group, scale) : store_spectrum_f64(job, group, scale));
    }
}
