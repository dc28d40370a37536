/* SPDX-License-Identifier: MIT */
/* The taps of a slice: what they tell, and their spectrum. It is made in double whatever the dtype, of taps that run
 * backwards from cell 0, for then the cyclic convolution's cell i is the sum over tap t times cell i + t. */
#include "core/fft_state.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The next row of taps; false after the last. */
static bool next_row(const struct fft_layout *layout, size_t *tap)
{
    for (unsigned i = layout->axis_count; i-- > 0;) {
        if (i == layout->row)
            continue;
        if (++tap[i] < layout->axis[i].taps)
            return true;
        tap[i] = 0;
    }
    return false;
}

/* Four sums at a time; the rounding errors are covered in fft_scan_taps. */
static double absolute_sum(const double *values, size_t count)
{
    double sums[4] = {0};
    size_t i = 0;
    for (; i + 4 <= count; i += 4)
        for (size_t j = 0; j < 4; j++)
            sums[j] += fabs(values[i + j]);
    for (; i < count; i++)
        sums[0] += fabs(values[i]);
    return sums[0] + sums[1] + (sums[2] + sums[3]);
}

void fft_scan_taps(struct fft_job *job)
{
    const struct fft_layout *layout = &job->state->layout;
    const size_t count = layout->axis[layout->row].taps;
    size_t tap[CONVOLVE_RANK_MAX] = {0};
    struct simd_fft_facts facts = {0};
    double *const re = job->work.row, *const im = re + count;
    double sum = 0;
    do {
        fft_fetch_taps(job, tap, re, im);
        job->plan->routines->fft_facts_f64(&facts, re, 0, 1, count * layout->parts);
        sum += absolute_sum(re, count * layout->parts);
    } while (next_row(layout, tap));
    *job->taps = (struct fft_taps){
        .sum = sum * (1 + (double)layout->tap_count * layout->parts * 0x1p-50),
        .largest = fmax(facts.most, -facts.least),
        .fractional = facts.fractional,
        .nonfinite = facts.nonfinite,
        .negative = facts.least<0, .zeros = facts.zeros> 0,
    };
    const int range = layout->single ? 40 : 300; /* powers of two within which nothing over- or underflows */
    if (!facts.nonfinite && sum > 0 && isfinite(sum) && abs(ilogb(sum)) > range)
        job->taps->exponent = ilogb(sum);
    if (!facts.nonfinite && !isfinite(sum))
        job->taps->exponent = 1024 + ilogb((double)layout->tap_count * layout->parts);
}

void fft_place_taps(struct fft_job *job)
{
    const struct fft_layout *layout = &job->state->layout;
    const struct fft_axis *row = &layout->axis[layout->row];
    const unsigned last = layout->dims - 1;
    size_t tap[CONVOLVE_RANK_MAX] = {0};
    double *const re = job->work.row, *const im = re + row->taps;
    memset(job->re, 0, layout->cells * sizeof(double));
    memset(job->im, 0, layout->cells * sizeof(double));
    do {
        size_t offset = 0;
        fft_fetch_taps(job, tap, re, im);
        for (unsigned i = 0; i < last && layout->mode == FFT_BLOCK && !layout->split; i++) {
            const struct fft_axis *axis = &layout->axis[layout->dim_axis[i]];
            offset += (axis->length - tap[layout->dim_axis[i]]) % axis->length * layout->pitch[i];
        }
        for (size_t t = 0; t < row->taps; t++) {
            size_t cell = (row->length - t) % row->length;
            if (layout->split)
                cell = cell / layout->dim[1] * layout->pitch[0] + cell % layout->dim[1];
            ((double *)job->re)[offset + cell] = scalbn(re[t], -job->taps->exponent);
            if (layout->complex)
                ((double *)job->im)[offset + cell] = scalbn(im[t], -job->taps->exponent);
        }
    } while (next_row(layout, tap));
}

void fft_tap_columns(const struct fft_job *job, unsigned dim, size_t first, size_t end)
{
    for (size_t item = first; item < end; item++)
        if (fft_columns_hold_taps(&job->state->layout, dim, item))
            fft_columns(job, false, dim, false, item, item + 1);
}

void fft_make_spectra(struct fft_job *job)
{
    const struct fft_layout *layout = &job->state->layout;
    const size_t groups = fft_group_items(layout, false);
    const bool integral = !job->taps->fractional && !job->taps->nonfinite;
    fft_place_taps(job);
    for (unsigned dim = 0; dim + 1 < layout->dims && layout->mode == FFT_BLOCK; dim++)
        fft_tap_columns(job, dim, 0, fft_column_items(layout, dim));
    if (layout->single) {
        fft_use_spectrum(job, true);
        fft_tap_groups(job, true, 0, groups);
    }
    if (layout->single && !integral)
        return;
    fft_use_spectrum(job, false);
    fft_tap_groups(job, false, 0, groups);
}
