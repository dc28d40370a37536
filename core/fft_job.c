/* SPDX-License-Identifier: MIT */
/* All of a job that is not staged: a block there and back, or a strip of blocks, one in each lane. */
#include "core/fft_blocks.h"

#include <math.h>

/* Blocks whose rows lie in the arrays as they lie in the output leave plane by plane. */
static bool emit_planes(struct fft_job *job)
{
    const struct fft_layout *layout = &job->state->layout;
    const unsigned last = layout->dims - 1;
    if (layout->split || !fft_is_plain(job) ||
        layout->axis[layout->row].class_pitch * layout->axis[layout->row].output_pitch != 1)
        return false;
    for (unsigned i = 0; i < layout->axis_count; i++)
        if (layout->axis[i].cell_stride != 1)
            return false;
    const struct fft_axis *const line = &layout->axis[layout->dim_axis[last - 1]];
    for (size_t b = 0; b < layout->blocks_per_job; b++) {
        const struct fft_block *block = &job->work.blocks[b];
        size_t h[CONVOLVE_RANK_MAX] = {0};
        bool more = block->outputs[0] > 0;
        while (more) {
            size_t offset = 0;
            for (unsigned i = 0; i < last; i++)
                offset += h[layout->dim_axis[i]] * layout->pitch[i];
            fft_emit_plain(job, fft_output_index(job, block, h), line->class_pitch * line->output_pitch,
                           fft_at(job, b ? job->im : job->re, offset), layout->pitch[last - 1],
                           block->outputs[layout->dim_axis[last - 1]], block->outputs[layout->row]);
            more = false;
            for (unsigned i = last - 1; i-- > 0 && !more;) {
                more = ++h[layout->dim_axis[i]] < block->outputs[layout->dim_axis[i]];
                h[layout->dim_axis[i]] = more ? h[layout->dim_axis[i]] : 0;
            }
        }
    }
    fft_note_transformed(job, 0);
    return true;
}

static void run_block(struct fft_job *job)
{
    const struct fft_layout *layout = &job->state->layout;
    fft_gather(job, true, 0, layout->rows);
    fft_judge(job);
    if (job->judgement.verdict == FFT_DIRECT) {
        fft_emit_direct(job, 0, fft_emit_items(layout, layout->piece));
        return;
    }
    const bool single = fft_in_single(job);
    fft_use_spectrum(job, single);
    if (single != layout->single || job->judgement.exponent)
        fft_gather(job, false, 0, layout->rows);
    for (unsigned dim = 0; dim + 1 < layout->dims; dim++)
        fft_columns(job, single, dim, false, 0, fft_column_items(layout, dim));
    fft_groups(job, 0, fft_group_items(layout, single));
    for (unsigned dim = layout->dims - 1; dim-- > 0;)
        fft_columns(job, single, dim, true, 0, fft_column_items(layout, dim));
    if (!emit_planes(job))
        fft_emit(job, 0, fft_emit_items(layout, fft_emit_piece(layout)));
    fft_mend_zero_windows(job);
}

enum { LANES_MAX = SIMD_FFT_WIDTH_f32 };

/* The rows of FFT_ROWS: where they are read, and where they go. Blocks from the lanes' number on are imaginary parts. */
struct lanes {
    const void *from[2][LANES_MAX];
    void *to[2][LANES_MAX];
};

/* The memory of the block in the signal, where all of it is as it is wanted. */
static const void *borrow(const struct fft_job *job, const struct fft_block *block)
{
    const struct fft_layout *layout = &job->state->layout;
    const size_t length = layout->dim[1];
    struct fft_span span;
    if (fft_in_single(job) != layout->single || job->judgement.exponent || block->outputs[layout->row] == 0)
        return NULL;
    const void *const cells = fft_plain(job, block->begin, length, &span);
    return cells && span.end - span.first == length ? cells : NULL;
}

/* Looks at what was borrowed, blocks that follow each other at once. */
struct looking {
    const unsigned char *first, *end;
};
static void look_on(struct fft_job *job, struct looking *looking, const void *cells)
{
    const struct fft_layout *layout = &job->state->layout;
    const size_t bytes = layout->single ? sizeof(float) : sizeof(double);
    const unsigned char *const begin = cells;
    if (cells && begin >= looking->first && begin <= looking->end) {
        looking->end = begin + layout->dim[1] * bytes;
        return;
    }
    if (looking->first)
        fft_look_at(job, layout->single, looking->first, 0, 1, (size_t)(looking->end - looking->first) / bytes);
    *looking = (struct looking){begin, cells ? begin + layout->dim[1] * bytes : NULL};
}

/* The arrays' rows where the signal cannot be read in place. */
static void fetch_lanes(struct fft_job *job, struct lanes *lanes, bool look)
{
    const struct fft_layout *layout = &job->state->layout;
    const struct fft_axis *axis = &layout->axis[layout->row];
    const size_t count = fft_width(layout->single), pitch = layout->pitch[0];
    struct looking looking = {0};
    for (size_t b = 0; b < layout->blocks_per_job; b++) {
        const size_t lane = b % count;
        const struct fft_block *block = &job->work.blocks[b];
        void *const row = fft_at(job, b < count ? job->re : job->im, lane * pitch);
        void *const imag = fft_at(job, job->im, lane * pitch);
        const void *const borrowed = borrow(job, block);
        lanes->from[b / count][lane] = borrowed ? borrowed : row;
        if (layout->complex)
            lanes->from[1][lane] = imag;
        if (!borrowed)
            fft_fetch_row(job, look, block->begin, fft_cells_needed(axis, block->outputs[layout->row]), pitch, row,
                          imag);
        else if (look)
            look_on(job, &looking, borrowed);
    }
    look_on(job, &looking, NULL);
}

/* A whole row of outputs that needs nothing else goes straight to its place; the others through the arrays. */
static bool goes_straight(const struct fft_job *job, const struct fft_block *block)
{
    const struct fft_layout *layout = &job->state->layout;
    const struct fft_axis *axis = &layout->axis[layout->row];
    return fft_is_plain(job) && axis->class_pitch * axis->output_pitch == 1 && axis->cell_stride == 1 &&
           block->outputs[layout->row] == axis->hop;
}

static double emit_lane(const struct fft_job *job, const struct lanes *lanes, size_t b)
{
    const struct fft_layout *layout = &job->state->layout;
    const struct fft_axis *axis = &layout->axis[layout->row];
    const size_t h[CONVOLVE_RANK_MAX] = {0}, count = fft_width(layout->single);
    const struct fft_block *block = &job->work.blocks[b];
    const size_t outputs = block->outputs[layout->row];
    if (outputs == 0)
        return 0;
    const size_t index = fft_output_index(job, block, h);
    const struct fft_source source = {lanes->to[b / count][b % count], lanes->to[1][b % count], fft_in_single(job),
                                      axis->cell_stride};
    if (goes_straight(job, block)) {
        if (job->judgement.cut)
            fft_emit_plain(job, index, 0, source.re, 0, 1, outputs);
        return 0;
    }
    return fft_emit_run(job, index, outputs, &source);
}

static void transform_lanes(struct fft_job *job, struct lanes *lanes)
{
    const struct fft_layout *layout = &job->state->layout;
    const struct fft_axis *axis = &layout->axis[layout->row];
    const size_t h[CONVOLVE_RANK_MAX] = {0}, value_bytes = layout->single ? sizeof(float) : sizeof(double);
    const size_t count = fft_width(layout->single), at_once = fft_width(fft_in_single(job)), pitch = layout->pitch[0];
    for (size_t b = 0; b < layout->blocks_per_job; b++) {
        const size_t lane = b % count;
        lanes->to[b / count][lane] = fft_at(job, b < count ? job->re : job->im, lane * pitch);
        if (layout->complex)
            lanes->to[1][lane] = fft_at(job, job->im, lane * pitch);
        else if (goes_straight(job, &job->work.blocks[b]))
            lanes->to[b / count][lane] =
                (unsigned char *)job->run->output + fft_output_index(job, &job->work.blocks[b], h) * value_bytes;
    }
    for (size_t lane = 0; lane < count; lane += at_once)
        fft_lanes(job, lanes->from[0] + lane, lanes->from[1] + lane, lanes->to[0] + lane, lanes->to[1] + lane,
                  (axis->hop - 1) * axis->cell_stride + 1);
}

static void run_rows(struct fft_job *job)
{
    const struct fft_layout *layout = &job->state->layout;
    struct lanes lanes;
    double largest = 0;
    fetch_lanes(job, &lanes, true);
    fft_judge(job);
    if (job->judgement.verdict == FFT_DIRECT) {
        fft_emit_direct(job, 0, fft_emit_items(layout, layout->piece));
        return;
    }
    fft_use_spectrum(job, fft_in_single(job));
    if (fft_in_single(job) != layout->single || job->judgement.exponent)
        fetch_lanes(job, &lanes, false);
    transform_lanes(job, &lanes);
    for (size_t b = 0; b < layout->blocks_per_job; b++)
        largest = fmax(largest, emit_lane(job, &lanes, b));
    fft_note_transformed(job, largest);
    fft_mend_zero_windows(job);
}

void fft_run_job(struct fft_job *job)
{
    if (job->state->layout.mode == FFT_ROWS)
        run_rows(job);
    else
        run_block(job);
}
