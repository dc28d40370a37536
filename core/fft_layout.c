/* SPDX-License-Identifier: MIT */
/* From geometry to blocks: what the axes look like to a transform, then the arrays of the block lengths that cost least, or
 * that cover everything. */
#include "core/fft_layout.h"

#include "core/fft_cost.h"
#include "core/layout_math.h"

#include <string.h>

enum {
    TILE_NS = 250000, /* jobs are put together until a tile takes about as long */
    PIECE_TERMS = 1 << 22,
    TILES_LEAST = 16, /* where there are as many jobs, so that threads share them well */
    STAGED_CELLS = 1 << 17, /* a job of as many cells is run in stages where there are few of them ... */
    STAGED_JOBS = 12,
    STAGED_CELLS_ALWAYS = 1 << 19, /* ... and always from here on, or a tile would hold its thread for too long, ... */
    STAGED_TERMS = 1 << 30, /* ... as it would if it had to sum as much directly */
    STAGE_TILES_LEAST = 8,
    STAGE_TILES_MOST = 64,
    STAGE_NS = 300000, /* of a job, for each tile of a stage: there are a dozen stages */
    TAPS_STAGED_CELLS = 1 << 15, /* spectra of as many cells are made in stages where there are few of them */
    TAPS_STAGED_SLICES = 4,
    SCAN_TAPS = 1 << 15,
    SCAN_PARTS = 64,
};

/* ---- Axes ------------------------------------------------------------------------------------------------------------- */

static struct fft_axis axis_of(const struct geometry_axis *from, bool exchanged, size_t output_pitch)
{
    struct fft_axis axis = {.outputs = from->output, .output_pitch = output_pitch, .stride = from->stride};
    if (axis.outputs == 1)
        axis.stride = 1; /* never stepped */
    if (exchanged) {
        axis.signal = (from->kernel - 1) * from->dilation + 1; /* geometry has found that it fits */
        axis.signal_pitch = from->kernel_pitch;
        axis.taps = from->input;
        axis.taps_pitch = from->input_pitch;
        axis.spread = from->dilation;
        axis.step = 1;
    } else {
        axis.signal = from->input;
        axis.signal_pitch = from->input_pitch;
        axis.taps = from->kernel;
        axis.taps_pitch = from->kernel_pitch;
        axis.before = from->before;
        axis.spread = 1;
        axis.step = from->kernel == 1 ? 1 : from->dilation;
    }
    /* Output o begins at o*stride: those that agree modulo step / gcd(stride, step) begin at the same residue. */
    const size_t common = common_divisor(axis.stride, axis.step);
    axis.class_pitch = axis.step / common;
    axis.cell_stride = axis.stride / common;
    axis.classes = least(axis.class_pitch, axis.outputs);
    if (axis.taps == 1 && axis.spread == 1 && axis.outputs > 1) { /* cells between windows are never looked at */
        axis.step = axis.stride;
        axis.classes = axis.class_pitch = axis.cell_stride = 1;
    }
    return axis;
}

/* Every window meets the input: it begins before the input's end, ends behind its beginning, and steps over no input. */
static bool meets_input(const struct fft_axis *axis)
{
    return axis->before <= (axis->taps - 1) * axis->step &&
           (axis->outputs - 1) * axis->stride < axis->signal + axis->before &&
           (axis->taps == 1 || axis->step <= axis->signal);
}

static void lay_axes(struct fft_layout *layout, const struct geometry *geometry)
{
    size_t output_pitch = 1, kernel_slices = 1;
    layout->slices = layout->tap_slices = layout->tap_count = 1;
    for (unsigned i = geometry->rank; i-- > 0;) {
        const struct geometry_axis *axis = &geometry->axis[i];
        if (axis->convolved) {
            layout->axis[layout->axis_count++] = axis_of(axis, layout->exchanged, output_pitch);
        } else {
            const size_t signal = layout->exchanged ? axis->kernel_pitch : axis->input_pitch;
            const size_t taps = layout->exchanged ? axis->input_pitch : axis->kernel_pitch;
            layout->outer[layout->outer_count++] = (struct fft_outer){
                .outputs = axis->output,
                .output_pitch = output_pitch,
                .signal_pitch = signal,
                .taps_pitch = taps,
                .tap_slice_pitch = taps ? layout->tap_slices : 0,
                .kernel_slice_pitch = axis->kernel_pitch ? kernel_slices : 0,
            };
            layout->slices *= axis->output;
            layout->tap_slices *= taps ? axis->output : 1;
            kernel_slices *= axis->kernel_pitch ? axis->output : 1;
        }
        output_pitch *= axis->output;
    }
    if (layout->axis_count == 0)
        layout->axis[layout->axis_count++] = (struct fft_axis){.signal = 1,
                                                               .taps = 1,
                                                               .outputs = 1,
                                                               .output_pitch = 1,
                                                               .stride = 1,
                                                               .step = 1,
                                                               .spread = 1,
                                                               .classes = 1,
                                                               .class_pitch = 1,
                                                               .cell_stride = 1};
    /* Found from the last to the first; wanted the other way round. */
    for (unsigned i = 0; i < layout->axis_count / 2; i++) {
        const struct fft_axis last = layout->axis[layout->axis_count - 1 - i];
        layout->axis[layout->axis_count - 1 - i] = layout->axis[i];
        layout->axis[i] = last;
    }
    for (unsigned i = 0; i < layout->outer_count / 2; i++) {
        const struct fft_outer last = layout->outer[layout->outer_count - 1 - i];
        layout->outer[layout->outer_count - 1 - i] = layout->outer[i];
        layout->outer[i] = last;
    }
    layout->axis[layout->axis_count - 1].innermost = true;
    for (unsigned i = 0; i < layout->axis_count; i++) {
        layout->tap_count *= layout->axis[i].taps;
        layout->lonely |= !layout->exchanged && !meets_input(&layout->axis[i]);
    }
    layout->tap_elements = layout->tap_count;
}

size_t fft_block_outputs(const struct fft_axis *axis, size_t block, size_t *first)
{
    const size_t class = block / axis->blocks, begin = block % axis->blocks * axis->hop;
    const size_t all = divide_up(axis->outputs - class, axis->class_pitch);
    *first = class + begin * axis->class_pitch;
    return begin >= all ? 0 : least(axis->hop, all - begin);
}

/* ---- Blocks ----------------------------------------------------------------------------------------------------------- */

void fft_axis_cut(struct fft_axis *axis, size_t length)
{
    const size_t outputs = divide_up(axis->outputs, axis->class_pitch); /* of class 0, the largest */
    axis->length = length;
    axis->hop = (length - axis->taps) / axis->cell_stride + 1;
    axis->hop = least(axis->hop, outputs);
    /* Rows of outputs are written faster where they begin with a cache line: worth a fiftieth of them. Slices that lie side by
     * side are cut alike, or one would get other bits than alone. */
    for (size_t line = 16; line >= 8 && axis->hop < outputs && axis->innermost && axis->class_pitch == 1; line /= 2)
        if (axis->hop % line * 50 <= axis->hop)
            axis->hop -= axis->hop % line;
    axis->blocks = divide_up(outputs, axis->hop);
}

/* The two factors of a split length 2^a 3^b 5^c, the first the larger one; as near to each other as they get. */
static void split_length(size_t length, size_t *first, size_t *second)
{
    const size_t twos = length & -length;
    *second = 1;
    for (size_t fives = 1; length % fives == 0; fives *= 5)
        for (size_t odd = fives; length % odd == 0 && odd * odd <= length; odd *= 3) {
            size_t factor = odd;
            while (factor < odd * twos && 4 * factor * factor <= length)
                factor *= 2;
            *second = factor > *second ? factor : *second;
        }
    *first = length / *second;
}

static bool lay_array(struct fft_layout *layout)
{
    const size_t width = fft_width(layout->single);
    layout->dims = 0;
    layout->transformed = 1;
    for (unsigned i = 0; i < layout->axis_count; i++) {
        const struct fft_axis *axis = &layout->axis[i];
        if (layout->mode == FFT_ROWS ? i != layout->row : axis->length == 1)
            continue;
        layout->dim_axis[layout->dims] = i;
        layout->dim[layout->dims++] = axis->length;
        if (__builtin_mul_overflow(layout->transformed, axis->length, &layout->transformed))
            return false;
    }
    layout->split = false;
    if (layout->mode == FFT_ROWS) {
        layout->dim[1] = layout->dim[0];
        layout->dim_axis[1] = layout->dim_axis[0];
        layout->dim[0] = width; /* lanes */
        layout->dims = 2;
    } else if (layout->dims == 1) {
        layout->split = true;
        split_length(layout->dim[0], &layout->dim[0], &layout->dim[1]);
        layout->dim_axis[1] = layout->dim_axis[0];
        layout->dims = 2;
    }
    /* Distances of an odd number of cache lines, so that columns do not share a few sets of the cache. */
    unsigned last = layout->dims - 1;
    layout->pitch[last] = 1;
    size_t extent = layout->dim[last];
    layout->rows = 1;
    for (unsigned i = last; i-- > 0;) {
        layout->pitch[i] = (divide_up(extent, width) | 1) * width;
        if (__builtin_mul_overflow(layout->pitch[i], layout->dim[i], &extent))
            return false;
        layout->rows *= layout->dim[i];
    }
    /* Neither do the real and the imaginary part, whatever the type. */
    if (extent > SIZE_MAX / 64)
        return false;
    layout->cells = divide_up(extent, 1024) * 1024 + 272;
    layout->spectrum = layout->mode == FFT_ROWS ? divide_up(layout->dim[last], width) * width
                                                : divide_up(layout->rows, width) * width * layout->dim[last];
    if (layout->split) {
        layout->fine_count = 1;
        while (layout->fine_count * layout->fine_count < layout->dim[1])
            layout->fine_count++;
        layout->coarse_count = divide_up(layout->dim[1], layout->fine_count);
    }
    return true;
}

static bool count_jobs(struct fft_layout *layout)
{
    const size_t lanes = layout->mode == FFT_ROWS ? fft_width(layout->single) : 1;
    layout->blocks_per_job = lanes * (layout->complex ? 1 : 2);
    layout->blocks = 1;
    for (unsigned i = 0; i < layout->axis_count; i++) {
        size_t blocks;
        if (__builtin_mul_overflow(layout->axis[i].blocks, layout->axis[i].classes, &blocks) ||
            __builtin_mul_overflow(layout->blocks, blocks, &layout->blocks))
            return false;
    }
    layout->jobs_per_slice = divide_up(layout->blocks, layout->blocks_per_job);
    return !__builtin_mul_overflow(layout->jobs_per_slice, layout->slices, &layout->job_count);
}

bool fft_layout_lay(struct fft_layout *layout)
{
    return lay_array(layout) && count_jobs(layout);
}

/* What a job sums where it is summed directly. */
static double job_terms(const struct fft_layout *layout)
{
    double terms = (double)layout->blocks_per_job * (double)layout->tap_count;
    for (unsigned i = 0; i < layout->axis_count; i++)
        terms *= (double)layout->axis[i].hop;
    return terms;
}

static void cut_tiles(struct fft_layout *layout)
{
    const double job_ns = fft_job_ns(layout);
    layout->piece = least(layout->axis[layout->row].hop, PIECE_TERMS / least(layout->tap_count, PIECE_TERMS) + 64);
    layout->staged =
        layout->mode == FFT_BLOCK && (layout->transformed >= STAGED_CELLS_ALWAYS || job_terms(layout) >= STAGED_TERMS ||
                                      (layout->transformed >= STAGED_CELLS && layout->job_count < STAGED_JOBS));
    layout->stage_tiles = job_ns < (double)STAGE_TILES_MOST * STAGE_NS ? (size_t)(job_ns / STAGE_NS) : STAGE_TILES_MOST;
    layout->stage_tiles = layout->stage_tiles < STAGE_TILES_LEAST ? STAGE_TILES_LEAST : layout->stage_tiles;
    layout->taps_staged = layout->staged || (layout->mode == FFT_BLOCK && layout->transformed >= TAPS_STAGED_CELLS &&
                                             layout->tap_slices <= TAPS_STAGED_SLICES);
    layout->scan_taps = divide_up(layout->tap_count, SCAN_PARTS);
    layout->scan_taps = layout->scan_taps < SCAN_TAPS ? SCAN_TAPS : layout->scan_taps;
    layout->scan_parts = divide_up(layout->tap_count, layout->scan_taps);
    layout->jobs_per_tile = job_ns < TILE_NS ? (size_t)(TILE_NS / job_ns) + 1 : 1;
    /* Two threads share few jobs better in small tiles. */
    const size_t share = divide_up(layout->job_count, TILES_LEAST);
    layout->jobs_per_tile = least(layout->jobs_per_tile, share);
    while (layout->jobs_per_tile > 1 && (double)layout->jobs_per_tile * job_terms(layout) > STAGED_TERMS / 2)
        layout->jobs_per_tile--;
    layout->tile_count = divide_up(layout->job_count, layout->jobs_per_tile);
}

bool fft_layout_derive(struct fft_layout *layout, enum convolve_dtype dtype, enum convolve_boundary boundary,
                       const struct geometry *geometry, enum convolve_method method)
{
    *layout = (struct fft_layout){
        .single = dtype == CONVOLVE_FLOAT32 || dtype == CONVOLVE_COMPLEX64,
        .complex = convolve_dtype_is_complex(dtype),
        .exchanged = geometry->exchanged,
        .boundary = boundary,
        .wraps = boundary != CONVOLVE_CONSTANT,
    };
    layout->parts = layout->complex ? 2 : 1;
    lay_axes(layout, geometry);
    if (!fft_cost_choose(layout, method) || !fft_layout_lay(layout))
        return false;
    cut_tiles(layout);
    layout->cost_ns = fft_layout_ns(layout);
    return true;
}
