/* SPDX-License-Identifier: MIT */
/* The cost of a layout, and the search for the cheapest: axis by axis over the lengths of the table, until no change of one
 * length gains. Nothing is measured here, so the same shapes always get the same blocks. */
#include "core/fft_cost.h"

#include "core/fft_cost_table.inc"

#include <math.h>

enum {
    LENGTH_COUNT = sizeof fft_cost_rows / sizeof fft_cost_rows[0],
    ROWS_LENGTH_MAX = 4096, /* of a transform in lanes */
    SPLIT_LENGTH_MAX = 1 << 20, /* of one that is split, unless the taps need more */
    WHOLE_CELLS_MAX = 1 << 25, /* of a block that covers everything; beyond, fft is cut like overlap_add */
};

/* ---- One layout ------------------------------------------------------------------------------------------------------- */

struct element_ns {
    double column, row;
};

static struct element_ns element_ns(size_t length, bool single)
{
    unsigned low = 0, high = LENGTH_COUNT - 1; /* the first row that is long enough, or the last */
    while (low < high) {
        const unsigned middle = (low + high) / 2;
        if (fft_cost_rows[middle].length < length)
            low = middle + 1;
        else
            high = middle;
    }
    const struct fft_cost_row *row = &fft_cost_rows[low];
    const double longer = length > row->length ? log((double)length) / log((double)row->length) : 1;
    return single ? (struct element_ns){row->column_f32 * longer, row->row_f32 * longer}
                  : (struct element_ns){row->column_f64 * longer, row->row_f64 * longer};
}

/* What passing `bytes` costs more in an array of `size` bytes than in one that stays within L2. */
static double beyond_ns(double bytes, double size)
{
    const struct fft_cost_rest *rest = &fft_cost_rest;
    const double l3 = size > rest->l3_bytes ? rest->beyond_l3 : 0;
    const double l2 = size > rest->l2_bytes ? rest->beyond_l2 : 0;
    return bytes * (l2 + l3);
}

static double round_up(size_t count, size_t unit)
{
    return (double)((count + unit - 1) / unit * unit);
}

/* Of so many rows, in float where `single`. */
static double transform_ns(const struct fft_layout *layout, size_t rows, bool single)
{
    const size_t width = fft_width(single), last = layout->dim[layout->dims - 1];
    const double bytes = single ? 8 : 16, elements = (double)rows * (double)last;
    const struct fft_cost_rest *rest = &fft_cost_rest;
    double ns = 0;
    if (layout->mode == FFT_ROWS)
        return elements * element_ns(last, single).row;
    for (unsigned i = 0; i + 1 < layout->dims; i++)
        ns += elements / (double)last * round_up(last, width) * element_ns(layout->dim[i], single).column;
    ns += round_up(rows, width) * (double)last * element_ns(last, single).row;
    if (layout->split)
        ns += elements * (double)(single ? rest->twist_f32 : rest->twist_f64);
    /* There and back along each dimension; the spectrum is as large as the array. */
    return ns + beyond_ns(elements * bytes * (4 * layout->dims - 1), elements * bytes * 2);
}

double fft_job_ns(const struct fft_layout *layout)
{
    const struct fft_cost_rest *rest = &fft_cost_rest;
    double outputs = 1, rows = 1;
    for (unsigned i = 0; i < layout->axis_count; i++) {
        outputs *= (double)layout->axis[i].hop;
        rows *= i == layout->axis_count - 1 ? 1 : (double)layout->axis[i].length;
    }
    const double blocks = (double)layout->blocks_per_job * layout->parts, cells = (double)layout->transformed;
    return transform_ns(layout, layout->rows, layout->single) +
           blocks *
               (cells * (double)(layout->single ? rest->gather_f32 : rest->gather_f64) +
                outputs * (double)(layout->single ? rest->emit_f32 : rest->emit_f64) + rows * (double)rest->row_ns) +
           (double)rest->job_ns;
}

/* Spectra are made in double, from half a transform. */
static double spectrum_ns(const struct fft_layout *layout)
{
    const size_t rows = layout->mode == FFT_ROWS ? fft_width(false) : layout->rows;
    return 0.6 * transform_ns(layout, rows, false) + (double)layout->tap_count * 2;
}

/* Each slice counts as if it were alone, with a spectrum of its own: its blocks, and so its bits, must not depend on how many
 * there are. */
double fft_layout_ns(const struct fft_layout *layout)
{
    return (double)layout->slices * ((double)layout->jobs_per_slice * fft_job_ns(layout) + spectrum_ns(layout));
}

/* ---- The search ------------------------------------------------------------------------------------------------------- */

static bool try_layout(struct fft_layout *layout, double *ns)
{
    if (!fft_layout_lay(layout))
        return false;
    *ns = fft_layout_ns(layout);
    return true;
}

/* The longest block of any use: one that makes every output. */
static size_t whole_length(const struct fft_axis *axis)
{
    const size_t outputs = (axis->outputs - 1) / axis->class_pitch;
    size_t cells;
    if (__builtin_mul_overflow(outputs, axis->cell_stride, &cells) || __builtin_add_overflow(cells, axis->taps, &cells))
        return SIZE_MAX;
    return cells;
}

/* Tries the lengths of one axis in turn; beyond the table's end next smooth ones, each by a half longer. */
static bool improve_axis(struct fft_layout *best, double *best_ns, unsigned axis, size_t length_max)
{
    const size_t taps = best->axis[axis].taps, enough = fft_length_next(whole_length(&best->axis[axis]));
    struct fft_layout trial = *best;
    bool improved = false;
    size_t length = fft_length_next(taps);
    for (unsigned i = 0; length;) {
        double ns = INFINITY;
        fft_axis_cut(&trial.axis[axis], length);
        if (try_layout(&trial, &ns) && ns < *best_ns) {
            *best_ns = ns;
            *best = trial;
            improved = true;
        }
        if ((enough && length >= enough) || length >= length_max || ns > 2 * *best_ns)
            break;
        while (i < LENGTH_COUNT && fft_cost_rows[i].length <= length)
            i++;
        length = i < LENGTH_COUNT ? fft_cost_rows[i].length : fft_length_next(length + length / 8);
    }
    return improved;
}

/* As long as `wanted`, the taps and the outputs allow. */
static size_t clamp_length(const struct fft_axis *axis, size_t wanted)
{
    const size_t whole = whole_length(axis), length = wanted < whole ? wanted : whole;
    return axis->taps == 1 ? 1 : length < axis->taps ? axis->taps : length;
}

/* Whether blocks of such lengths differ. */
static bool differ(const struct fft_layout *layout, size_t wanted, size_t other)
{
    for (unsigned i = 0; i < layout->axis_count; i++)
        if (clamp_length(&layout->axis[i], wanted) != clamp_length(&layout->axis[i], other))
            return true;
    return false;
}

/* Blocks as long along every axis as `wanted`, a length of the table, the taps and the outputs allow. False where they do not
 * fit. */
static bool cut_evenly(struct fft_layout *layout, size_t wanted)
{
    for (unsigned i = 0; i < layout->axis_count; i++) {
        struct fft_axis *axis = &layout->axis[i];
        size_t length = clamp_length(axis, wanted);
        if (length != wanted && length != 1)
            length = fft_length_next(length);
        if (length == 0)
            return false;
        fft_axis_cut(axis, length);
    }
    return true;
}

static unsigned active_axes(const struct fft_layout *layout)
{
    unsigned active = 0;
    for (unsigned i = 0; i < layout->axis_count; i++)
        active += layout->axis[i].taps > 1;
    return active;
}

/* Whether the best even blocks are the best of all: of one axis they are, unless longer ones than the table has would be better. */
static bool all_were_tried(const struct fft_layout *layout)
{
    size_t longest = 0;
    for (unsigned i = 0; i < layout->axis_count; i++)
        longest = layout->axis[i].length > longest ? layout->axis[i].length : longest;
    return active_axes(layout) == 1 && longest < fft_cost_rows[LENGTH_COUNT - 1].length;
}

/* The best even blocks first, then axis by axis from there. */
static void search_blocks(struct fft_layout *best, double *best_ns)
{
    struct fft_layout layout = *best;
    double even_ns = INFINITY;
    layout.mode = FFT_BLOCK;
    struct fft_layout trial = layout;
    for (unsigned i = 0; i < LENGTH_COUNT; i++) {
        double ns = INFINITY;
        if (i > 0 && !differ(&layout, fft_cost_rows[i - 1].length, fft_cost_rows[i].length))
            continue;
        if (!cut_evenly(&trial, fft_cost_rows[i].length) || !try_layout(&trial, &ns) || ns >= even_ns)
            continue;
        even_ns = ns;
        layout = trial;
    }
    if (even_ns == (double)INFINITY)
        return;
    for (bool improved = !all_were_tried(&layout); improved;) {
        improved = false;
        for (unsigned i = 0; i < layout.axis_count; i++)
            if (layout.axis[i].taps > 1)
                improved |= improve_axis(&layout, &even_ns, i, SPLIT_LENGTH_MAX);
    }
    if (even_ns < *best_ns) {
        *best_ns = even_ns;
        *best = layout;
    }
}

/* One axis transformed, the others, which have no taps but one, looped over. */
static void search_rows(struct fft_layout *best, double *best_ns, unsigned row)
{
    struct fft_layout layout = *best;
    double ns = INFINITY;
    if (layout.axis[row].taps > ROWS_LENGTH_MAX)
        return;
    layout.mode = FFT_ROWS;
    layout.row = row;
    for (unsigned i = 0; i < layout.axis_count; i++)
        fft_axis_cut(&layout.axis[i], i == row ? fft_length_next(layout.axis[i].taps) : 1);
    if (try_layout(&layout, &ns))
        improve_axis(&layout, &ns, row, ROWS_LENGTH_MAX);
    if (ns < *best_ns) {
        *best_ns = ns;
        *best = layout;
    }
}

/* Two blocks that make everything: cut along the first axis that has something to cut. */
static bool cover_whole(struct fft_layout *layout)
{
    bool cut = layout->complex;
    double cells = 1;
    for (unsigned i = 0; i < layout->axis_count; i++) {
        struct fft_axis *axis = &layout->axis[i];
        size_t length = whole_length(axis);
        if (axis->taps == 1)
            length = 1;
        if (!cut && axis->taps > 1 && axis->outputs > axis->class_pitch) {
            struct fft_axis half = *axis;
            half.outputs = ((axis->outputs - 1) / axis->class_pitch + 2) / 2 * axis->class_pitch;
            length = whole_length(&half);
            cut = true;
        }
        length = fft_length_next(length);
        if (length == 0)
            return false;
        fft_axis_cut(axis, length);
        cells *= (double)length;
    }
    return cells <= WHOLE_CELLS_MAX;
}

bool fft_cost_choose(struct fft_layout *layout, enum convolve_method method)
{
    unsigned active = 0, row = layout->axis_count - 1;
    double ns = INFINITY;
    for (unsigned i = 0; i < layout->axis_count; i++)
        if (layout->axis[i].taps > 1) {
            active++;
            row = i;
        }
    layout->mode = FFT_BLOCK;
    layout->row = row;
    struct fft_layout best = *layout;
    if (method == CONVOLVE_FFT && cover_whole(&best) && active > 0) {
        struct fft_layout rows = best;
        rows.mode = FFT_ROWS;
        if (active == 1 && rows.axis[row].length <= ROWS_LENGTH_MAX && try_layout(&rows, &ns) && try_layout(&best, &ns))
            *layout = fft_layout_ns(&rows) < ns ? rows : best;
        else
            *layout = best;
        return true;
    }
    best = *layout;
    if (active <= 1)
        search_rows(&best, &ns, row);
    if (active >= 1)
        search_blocks(&best, &ns);
    *layout = best;
    return ns < (double)INFINITY;
}
