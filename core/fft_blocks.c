/* SPDX-License-Identifier: MIT */
/* The two ends of a job: cells are fetched and looked at, and outputs leave for their places in the tensor. */
#include "core/fft_blocks.h"

#include <math.h>
#include <string.h>

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* ---- In --------------------------------------------------------------------------------------------------------------- */

size_t fft_cells_needed(const struct fft_axis *axis, size_t outputs)
{
    return outputs ? (outputs - 1) * axis->cell_stride + axis->taps : 0;
}

void fft_look_at(struct fft_job *job, bool single, const void *values, size_t pitch, size_t rows, size_t count)
{
    if (single)
        job->plan->routines->fft_facts_f32(&job->judgement.facts, values, pitch, rows, count);
    else
        job->plan->routines->fft_facts_f64(&job->judgement.facts, values, pitch, rows, count);
}

/* Zeros of the boundary are told from those of the input: most windows that hold one hold the other too. */
static void look_at_row(struct fft_job *job, bool single, struct fft_span span, const void *values, size_t count)
{
    const size_t bytes = single ? sizeof(float) : sizeof(double);
    const struct convolve_scalar fill = job->plan->spec.fillvalue;
    if (fill.real != 0 || fill.imag != 0)
        span = (struct fft_span){0, count};
    fft_look_at(job, single, (const unsigned char *)values + span.first * bytes, 0, 1, span.end - span.first);
    job->judgement.constant_zeros += count - (span.end - span.first);
}

static void scale_values(bool single, void *values, size_t count, int exponent)
{
    for (size_t i = 0; i < count; i++) {
        if (single)
            ((float *)values)[i] = scalbnf(((float *)values)[i], exponent);
        else
            ((double *)values)[i] = scalbn(((double *)values)[i], exponent);
    }
}

static void clear(bool single, void *values, size_t first, size_t end)
{
    const size_t bytes = single ? sizeof(float) : sizeof(double);
    memset((unsigned char *)values + first * bytes, 0, (end - first) * bytes);
}

void fft_fetch_row(struct fft_job *job, bool look, const int64_t *begin, size_t count, size_t room, void *re, void *im)
{
    const struct fft_layout *layout = &job->state->layout;
    const bool single = fft_in_single(job);
    void *const parts[2] = {re, im};
    struct fft_span span = {0, 0};
    if (count)
        span = fft_fetch(job, begin, count, single, re, im);
    for (unsigned part = 0; part < layout->parts; part++) {
        if (look && count)
            look_at_row(job, single, span, parts[part], count);
        if (job->judgement.exponent)
            scale_values(single, parts[part], count, -job->judgement.exponent);
        clear(single, parts[part], count, room);
    }
}

/* Where row `row` of the arrays begins in a block, and how many of its cells are of use. */
static size_t row_begin(const struct fft_job *job, const struct fft_block *block, size_t row, int64_t *begin)
{
    const struct fft_layout *layout = &job->state->layout;
    size_t count = fft_cells_needed(&layout->axis[layout->row], block->outputs[layout->row]), skipped = 0;
    for (unsigned i = 0; i < layout->axis_count; i++)
        begin[i] = block->begin[i];
    for (unsigned i = layout->dims - 1; i-- > 0; row /= layout->dim[i]) {
        const unsigned number = layout->dim_axis[i];
        const struct fft_axis *axis = &layout->axis[number];
        const size_t index = row % layout->dim[i];
        if (layout->split)
            skipped = index * layout->dim[1];
        else if (index >= fft_cells_needed(axis, block->outputs[number]))
            return 0;
        begin[number] += (int64_t)((layout->split ? skipped : index) * axis->step);
    }
    return skipped < count ? least(count - skipped, layout->dim[layout->dims - 1]) : 0;
}

/* Rows that lie in the signal as they are wanted, one below the other in one plane of the block. */
struct plain_rows {
    const void *cells;
    size_t pitch, rows;
    size_t first, count; /* the cells of each row that are the signal's; zeros of the boundary before and behind them */
};

/* How many rows from `row` on are plain, at most `limit`. */
static struct plain_rows find_plain_rows(const struct fft_job *job, const struct fft_block *block, size_t row,
                                         size_t limit)
{
    const struct fft_layout *layout = &job->state->layout;
    const struct fft_axis *axis = &layout->axis[layout->row];
    const unsigned line = layout->dims - 2;
    const struct convolve_scalar fill = job->plan->spec.fillvalue;
    struct plain_rows plain = {0};
    int64_t begin[CONVOLVE_RANK_MAX];
    const size_t cells = row_begin(job, block, row, begin);
    struct fft_span span;
    const void *const signal = cells ? fft_plain(job, begin, cells, &span) : NULL;
    if (!signal || ((layout->wraps || fill.real != 0) && span.end - span.first < cells))
        return plain;
    plain = (struct plain_rows){.cells = signal, .rows = 1, .first = span.first, .count = span.end - span.first};
    limit = least(limit, layout->dim[line] - row % layout->dim[line]);
    if (layout->split) {
        /* The row goes on: as long as whole rows of it lie within the signal. */
        const uint64_t left = axis->signal - (uint64_t)begin[layout->row];
        size_t needed = fft_cells_needed(axis, block->outputs[layout->row]) - row * layout->dim[1];
        needed = left < needed ? (size_t)left : needed;
        plain.pitch = layout->dim[1];
        if (begin[layout->row] >= 0 && cells == layout->dim[1])
            plain.rows = least(limit, needed / layout->dim[1] ? needed / layout->dim[1] : 1);
        return plain;
    }
    const struct fft_axis *across = &layout->axis[layout->dim_axis[line]];
    const size_t within = fft_cells_needed(across, block->outputs[layout->dim_axis[line]]) - row % layout->dim[line];
    const uint64_t left = across->signal - (uint64_t)begin[layout->dim_axis[line]];
    plain.pitch = across->step * across->signal_pitch;
    if (begin[layout->dim_axis[line]] < 0 || (uint64_t)begin[layout->dim_axis[line]] >= across->signal)
        return plain; /* folded back by the boundary */
    limit = least(limit, within);
    plain.rows = least(limit, (size_t)((left - 1) / across->step + 1));
    return plain;
}

/* Copies plain rows into an array, and looks at them. */
static void copy_rows(struct fft_job *job, struct simd_fft_facts *facts, const struct plain_rows *plain, void *to)
{
    const struct fft_layout *layout = &job->state->layout;
    const size_t pitch = layout->pitch[layout->dims - 2], end = plain->first + plain->count;
    const bool single = layout->single;
    if (single)
        job->plan->routines->fft_copy_f32(facts, (float *)to + plain->first, pitch, plain->cells, plain->pitch,
                                          plain->rows, plain->count);
    else
        job->plan->routines->fft_copy_f64(facts, (double *)to + plain->first, pitch, plain->cells, plain->pitch,
                                          plain->rows, plain->count);
    for (size_t row = 0; row < plain->rows; row++) {
        void *const cells = fft_at(job, to, row * pitch);
        if (plain->first)
            clear(single, cells, 0, plain->first);
        clear(single, cells, end, pitch);
    }
}

/* The rows of one block, into one array. */
static void gather_block(struct fft_job *job, bool look, size_t number, size_t first, size_t end)
{
    const struct fft_layout *layout = &job->state->layout;
    const struct fft_block *block = &job->work.blocks[number];
    const bool as_it_is = fft_in_single(job) == layout->single && job->judgement.exponent == 0;
    struct simd_fft_facts unused = {.fractional = true};
    for (size_t row = first; row < end;) {
        const size_t offset = fft_row_offset(layout, row), room = layout->pitch[layout->dims - 2];
        void *const to = fft_at(job, number ? job->im : job->re, offset);
        const struct plain_rows plain =
            as_it_is ? find_plain_rows(job, block, row, end - row) : (struct plain_rows){.rows = 0};
        int64_t begin[CONVOLVE_RANK_MAX];
        if (plain.rows) {
            copy_rows(job, look ? &job->judgement.facts : &unused, &plain, to);
            if (look)
                job->judgement.constant_zeros += plain.rows * (row_begin(job, block, row, begin) - plain.count);
            row += plain.rows;
            continue;
        }
        const size_t count = row_begin(job, block, row, begin);
        fft_fetch_row(job, look, begin, count, room, to, fft_at(job, job->im, offset));
        row++;
    }
}

void fft_gather(struct fft_job *job, bool look, size_t first, size_t end)
{
    for (size_t b = 0; b < job->state->layout.blocks_per_job; b++)
        gather_block(job, look, b, first, end);
}

/* ---- Out -------------------------------------------------------------------------------------------------------------- */

/* Axes but the row: how many output rows a block has. */
static size_t output_rows(const struct fft_layout *layout)
{
    size_t rows = 1;
    for (unsigned i = 0; i < layout->axis_count; i++)
        rows *= i == layout->row ? 1 : layout->axis[i].hop;
    return rows;
}

static size_t row_pieces(const struct fft_layout *layout, size_t piece)
{
    return (layout->axis[layout->row].hop + piece - 1) / piece;
}

enum { EMIT_OUTPUTS = 4096 };
size_t fft_emit_piece(const struct fft_layout *layout)
{
    return least(layout->axis[layout->row].hop, EMIT_OUTPUTS);
}

size_t fft_emit_items(const struct fft_layout *layout, size_t piece)
{
    return layout->blocks_per_job * output_rows(layout) * row_pieces(layout, piece);
}

bool fft_find_piece(const struct fft_job *job, size_t item, size_t length, struct fft_piece *piece)
{
    const struct fft_layout *layout = &job->state->layout;
    const size_t pieces = row_pieces(layout, length), rows = output_rows(layout);
    size_t rest = item / pieces;
    piece->number = rest / rows;
    rest %= rows;
    piece->block = &job->work.blocks[piece->number];
    for (unsigned i = layout->axis_count; i-- > 0;) {
        if (i == layout->row)
            continue;
        piece->h[i] = rest % layout->axis[i].hop;
        rest /= layout->axis[i].hop;
        if (piece->h[i] >= piece->block->outputs[i])
            return false;
    }
    const size_t first = item % pieces * length, outputs = piece->block->outputs[layout->row];
    piece->h[layout->row] = first;
    piece->count = first < outputs ? least(length, outputs - first) : 0;
    return piece->count > 0;
}

bool fft_is_plain(const struct fft_job *job)
{
    const struct fft_layout *layout = &job->state->layout;
    return job->judgement.verdict == FFT_FLOAT && !layout->complex && job->judgement.exponent == 0 &&
           job->taps->exponent == 0;
}

void fft_emit_plain(const struct fft_job *job, size_t index, size_t out_pitch, const void *from, size_t pitch,
                    size_t rows, size_t count)
{
    const struct simd_routines *routines = job->plan->routines;
    const bool cut = job->judgement.cut;
    if (job->state->layout.single)
        routines->fft_cut_f32((float *)job->run->output + index, out_pitch, from, pitch, cut ? 0 : -INFINITY, rows,
                              count);
    else
        routines->fft_cut_f64((double *)job->run->output + index, out_pitch, from, pitch, cut ? 0 : -INFINITY, rows,
                              count);
}

static double value_of(const struct fft_source *source, unsigned part, size_t i)
{
    const void *const values = part ? source->im : source->re;
    return source->single ? (double)((const float *)values)[i * source->apart]
                          : ((const double *)values)[i * source->apart];
}

/* One by one, scaled and rounded. Returns the largest absolute value. */
static double emit_values(const struct fft_job *job, size_t index, size_t apart, size_t count,
                          const struct fft_source *source)
{
    const struct fft_layout *layout = &job->state->layout;
    const struct fft_judgement *judgement = &job->judgement;
    const int exponent = judgement->exponent + job->taps->exponent;
    const bool round = judgement->verdict == FFT_ROUND;
    double largest = 0;
    for (size_t i = 0; i < count; i++) {
        for (unsigned part = 0; part < layout->parts; part++) {
            double value = value_of(source, part, i);
            const size_t place = (index + i * apart) * layout->parts + part;
            value = exponent ? scalbn(value, exponent) : value;
            value = round ? rint(value) + 0.0 : value;
            value = judgement->cut && !(value > 0) ? 0 : value;
            largest = fmax(largest, fabs(value));
            if (layout->single)
                ((float *)job->run->output)[place] = (float)value;
            else
                ((double *)job->run->output)[place] = value;
        }
    }
    return largest;
}

double fft_emit_run(const struct fft_job *job, size_t index, size_t count, const struct fft_source *source)
{
    const struct fft_layout *layout = &job->state->layout;
    const struct fft_axis *axis = &layout->axis[layout->row];
    const size_t apart = axis->class_pitch * axis->output_pitch;
    if (apart != 1 || source->apart != 1 || !fft_is_plain(job))
        return emit_values(job, index, apart, count, source);
    fft_emit_plain(job, index, 0, source->re, 0, 1, count);
    return 0;
}

/* The cells of a piece: of a split row they lie in several rows of the arrays. */
static double emit_piece(const struct fft_job *job, const struct fft_piece *piece)
{
    const struct fft_layout *layout = &job->state->layout;
    const struct fft_axis *axis = &layout->axis[layout->row];
    void *const base = piece->number ? job->im : job->re;
    const size_t index = fft_output_index(job, piece->block, piece->h), stride = axis->cell_stride;
    size_t offset = 0, done = 0;
    double largest = 0;
    for (unsigned i = 0; i + 1 < layout->dims && !layout->split; i++)
        offset += piece->h[layout->dim_axis[i]] * layout->axis[layout->dim_axis[i]].cell_stride * layout->pitch[i];
    while (done < piece->count) {
        size_t cell = (piece->h[layout->row] + done) * stride, count = piece->count - done;
        if (layout->split) {
            const size_t within = cell % layout->dim[1], left = (layout->dim[1] - within + stride - 1) / stride;
            count = least(count, left);
            cell = cell / layout->dim[1] * layout->pitch[0] + within;
        }
        const struct fft_source source = {fft_at(job, base, offset + cell), fft_at(job, job->im, offset + cell),
                                          fft_in_single(job), stride};
        largest =
            fmax(largest, fft_emit_run(job, index + done * axis->class_pitch * axis->output_pitch, count, &source));
        done += count;
    }
    return largest;
}

void fft_emit(struct fft_job *job, size_t first, size_t end)
{
    const size_t length = fft_emit_piece(&job->state->layout);
    double largest = 0;
    for (size_t item = first; item < end; item++) {
        struct fft_piece piece;
        if (fft_find_piece(job, item, length, &piece))
            largest = fmax(largest, emit_piece(job, &piece));
    }
    fft_note_transformed(job, largest);
}
