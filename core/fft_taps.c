/* SPDX-License-Identifier: MIT */
/* The taps of a slice: what they tell, and their spectrum. It is made in double whatever the dtype, of taps that run
 * backwards from cell 0, for then the cyclic convolution's cell i is the sum over tap t times cell i + t. */
#include "core/fft_state.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Four sums at a time; the rounding errors are covered in fft_scale_taps. */
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

void fft_scan_taps(const struct fft_job *job, size_t part, struct fft_taps *found)
{
    const struct fft_layout *layout = &job->state->layout;
    const size_t row = layout->axis[layout->row].taps, begin = part * layout->scan_taps;
    const size_t left = layout->tap_count - begin, end = begin + (left < layout->scan_taps ? left : layout->scan_taps);
    struct simd_fft_facts facts = {0};
    double *const re = job->work.row, *const im = re + row;
    *found = (struct fft_taps){0};
    for (size_t at = begin; at < end;) {
        const size_t within = at % row, count = row - within < end - at ? row - within : end - at;
        size_t tap[CONVOLVE_RANK_MAX], rest = at / row;
        for (unsigned i = layout->axis_count; i-- > 0; rest /= i == layout->row ? 1 : layout->axis[i].taps)
            tap[i] = i == layout->row ? within : rest % layout->axis[i].taps;
        fft_fetch_taps(job, tap, count, re, im);
        job->plan->routines->fft_facts_f64(&facts, re, 0, 1, count);
        found->sum += absolute_sum(re, count);
        if (layout->complex) {
            job->plan->routines->fft_facts_f64(&facts, im, 0, 1, count);
            found->sum += absolute_sum(im, count);
        }
        at += count;
    }
    found->largest = fmax(facts.most, -facts.least);
    found->fractional = facts.fractional;
    found->nonfinite = facts.nonfinite;
    found->negative = facts.least < 0;
    found->zeros = facts.zeros > 0;
}

void fft_join_taps(struct fft_taps *into, const struct fft_taps *part)
{
    into->sum += part->sum;
    into->largest = fmax(into->largest, part->largest);
    into->fractional |= part->fractional;
    into->nonfinite |= part->nonfinite;
    into->negative |= part->negative;
    into->zeros |= part->zeros;
}

void fft_scale_taps(const struct fft_layout *layout, struct fft_taps *taps)
{
    const int range = layout->single ? 40 : 300; /* powers of two within which nothing over- or underflows */
    if (!taps->nonfinite && taps->sum > 0 && isfinite(taps->sum) && abs(ilogb(taps->sum)) > range)
        taps->exponent = ilogb(taps->sum);
    if (!taps->nonfinite && !isfinite(taps->sum))
        taps->exponent = 1024 + ilogb((double)layout->tap_count * layout->parts);
    taps->sum *= 1 + (double)layout->tap_count * layout->parts * 0x1p-50;
}

static double scaled(double value, int exponent)
{
    return exponent ? scalbn(value, -exponent) : value;
}

/* Taps `first` .. `end`-1 of a row of the kernel, the one at `tap`, backwards so that tap 0 would be at `re`, `im`. */
static void put_taps(const struct fft_job *job, size_t *tap, size_t first, size_t end, double *re, double *im)
{
    const struct fft_layout *layout = &job->state->layout;
    double *const from_re = job->work.row, *const from_im = from_re + (end - first);
    tap[layout->row] = first;
    fft_fetch_taps(job, tap, end - first, from_re, from_im);
    for (size_t t = first; t < end; t++) {
        *(re - t) = scaled(from_re[t - first], job->taps->exponent);
        if (layout->complex)
            *(im - t) = scaled(from_im[t - first], job->taps->exponent);
    }
}

/* The row of the kernel that lies in row `row` of the arrays; false where none does. A split row has a part of one. */
static bool find_tap_row(const struct fft_layout *layout, size_t row, size_t *tap)
{
    memset(tap, 0, CONVOLVE_RANK_MAX * sizeof *tap);
    if (layout->mode == FFT_ROWS)
        return row == 0;
    for (unsigned i = layout->dims - 1; i-- > 0 && !layout->split; row /= layout->dim[i]) {
        const struct fft_axis *axis = &layout->axis[layout->dim_axis[i]];
        const size_t at = (axis->length - row % layout->dim[i]) % axis->length;
        if (at >= axis->taps)
            return false;
        tap[layout->dim_axis[i]] = at;
    }
    return true;
}

void fft_place_taps(struct fft_job *job, size_t first, size_t end)
{
    const struct fft_layout *layout = &job->state->layout;
    const struct fft_axis *axis = &layout->axis[layout->row];
    const size_t pitch = layout->pitch[layout->dims - 2], cells = layout->dim[layout->dims - 1];
    for (size_t row = first; row < end; row++) {
        double *const re = (double *)job->re + fft_row_offset(layout, row);
        double *const im = (double *)job->im + fft_row_offset(layout, row);
        size_t tap[CONVOLVE_RANK_MAX];
        memset(re, 0, pitch * sizeof *re);
        memset(im, 0, pitch * sizeof *im);
        if (!find_tap_row(layout, row, tap))
            continue;
        /* Tap t lies in cell length - t of the axis, tap 0 in cell 0; the row begins at cell `begin`. */
        const size_t begin = layout->split ? row * cells : 0, behind = axis->length - begin;
        if (begin == 0)
            put_taps(job, tap, 0, 1, re, im);
        const size_t least = behind > cells ? behind - cells + 1 : 1,
                     most = behind < axis->taps ? behind + 1 : axis->taps;
        if (least < most)
            put_taps(job, tap, least, most, re + behind, im + behind);
    }
}

void fft_tap_columns(const struct fft_job *job, unsigned dim, size_t first, size_t end)
{
    for (size_t item = first; item < end; item++)
        if (fft_columns_hold_taps(&job->state->layout, dim, item))
            fft_columns(job, false, dim, false, item, item + 1);
}

void fft_store_spectra(struct fft_job *job, size_t first, size_t end)
{
    const bool single = job->state->layout.single, integral = !job->taps->fractional && !job->taps->nonfinite;
    if (single) {
        fft_use_spectrum(job, true);
        fft_tap_groups(job, true, first, end);
    }
    if (single && !integral)
        return;
    fft_use_spectrum(job, false);
    fft_tap_groups(job, false, first, end);
}

void fft_make_spectra(struct fft_job *job)
{
    const struct fft_layout *layout = &job->state->layout;
    fft_place_taps(job, 0, layout->rows);
    for (unsigned dim = 0; dim + 1 < layout->dims && layout->mode == FFT_BLOCK; dim++)
        fft_tap_columns(job, dim, 0, fft_column_items(layout, dim));
    fft_store_spectra(job, 0, fft_group_items(layout, false));
}
