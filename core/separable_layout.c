/* SPDX-License-Identifier: MIT */
/* From geometry to layout: which axes have passes, and units that keep what they work on within the caches. */
#include "core/separable_layout.h"

#include "core/layout_math.h"
#include "core/plan.h"

enum {
    TILE_MULTIPLY_ADDS = 6000000, /* some tenths of a millisecond with vectors of float32 */
    UNIT_OVERHEAD = 8000, /* of a unit, in multiply-adds */
    CELL_ROW_ELEMENTS = 64, /* so many elements in a cell are a row by themselves */
    SEGMENT_ELEMENTS = 1024,
    SEGMENT_ELEMENTS_MIN = 256,
    CHUNK_ELEMENTS = 8192, /* over which the taps of a row reach in one part */
    BLOCK_ROWS = 12, /* a multiple of every block's rows */
    SCRATCH_BYTES = 288 << 10, /* within L2, beside what is read */
    SCRATCH_BYTES_MAX = 32 << 20,
    GATHER_TAPS = 256,
};

/* ---- Axes ------------------------------------------------------------------------------------------------------------- */

static bool has_taps(const struct geometry_axis *axis)
{
    return axis->convolved && axis->kernel > 1;
}

unsigned separable_axis_count(const struct geometry *geometry)
{
    unsigned count = 0;
    for (unsigned i = 0; i < geometry->rank; i++)
        count += has_taps(&geometry->axis[i]);
    return count;
}

/* Whether an axis is the same in input and output and has one kernel throughout. */
static bool joins_cell(const struct geometry_axis *axis)
{
    if (has_taps(axis) || axis->input != axis->output)
        return false;
    return axis->convolved ? axis->before == 0 && stride_of(axis) == 1 : axis->kernel_pitch == 0;
}

static void lay_axis(struct separable_axis *to, const struct geometry_axis *axis, size_t output_pitch)
{
    *to = (struct separable_axis){
        .output = axis->output,
        .taps = axis->kernel,
        .stride = stride_of(axis),
        .dilation = axis->dilation,
        .before = axis->before,
        .input = axis->input,
        .input_pitch = axis->input_pitch,
        .output_pitch = output_pitch,
        .kernel_pitch = axis->kernel_pitch,
    };
    find_sharing(to->output, to->stride, to->dilation, &to->apart, &to->step);
}

static void lay_loop(struct separable_loop *to, const struct geometry_axis *axis, size_t output_pitch,
                     size_t kernel_groups_pitch)
{
    *to = (struct separable_loop){
        .output = axis->output,
        .stride = stride_of(axis),
        .before = axis->before,
        .input = axis->convolved || axis->input_pitch != 0 ? axis->input : axis->output,
        .input_pitch = axis->input_pitch,
        .output_pitch = output_pitch,
        .kernel_groups_pitch = kernel_groups_pitch,
    };
}

static void lay_axes(struct separable_layout *layout, const struct geometry *geometry)
{
    size_t output_pitch[CONVOLVE_RANK_MAX], kernel_group[CONVOLVE_RANK_MAX];
    layout->kernel_groups = lay_slices(geometry, output_pitch, kernel_group);
    layout->loop_count = 1;
    unsigned end = geometry->rank;
    layout->cell = layout->parts;
    while (end > 0 && joins_cell(&geometry->axis[end - 1]))
        layout->cell *= geometry->axis[--end].output;
    for (unsigned i = 0; i < end; i++) {
        const struct geometry_axis *axis = &geometry->axis[i];
        if (has_taps(axis)) {
            lay_axis(&layout->axis[layout->axis_count++], axis, output_pitch[i]);
            layout->factor_taps += axis->kernel;
        } else if (axis->output > 1 || axis->before > 0) {
            lay_loop(&layout->loop[layout->loop_axes++], axis, output_pitch[i], kernel_group[i]);
            layout->loop_count *= axis->output;
        }
    }
    layout->row_pass = layout->cell / layout->parts < CELL_ROW_ELEMENTS;
    layout->pass_count = layout->axis_count - layout->row_pass;
}

/* ---- The row ---------------------------------------------------------------------------------------------------------- */

static void lay_row(struct separable_layout *layout)
{
    if (!layout->row_pass) {
        layout->cells_out = layout->cell;
        layout->cell = layout->pitch_in = layout->pitch_out = 1;
        layout->chunk_taps = 1;
        return;
    }
    const struct separable_axis *row = &layout->axis[layout->axis_count - 1];
    layout->cells_out = row->output;
    layout->pitch_in = row->input_pitch * layout->parts;
    layout->pitch_out = row->output_pitch * layout->parts;
    size_t reach;
    if (__builtin_mul_overflow(row->dilation, layout->cell, &reach))
        reach = SIZE_MAX;
    layout->chunk_taps = least(row->taps, most(CHUNK_ELEMENTS / reach, 1));
}

/* What a segment needs of a row. */
static bool size_row(struct separable_layout *layout)
{
    layout->segments = divide_up(layout->cells_out, layout->segment_cells);
    layout->span = layout->segment_cells;
    layout->slots = layout->slot_cells = 0;
    size_t elements;
    if (layout->row_pass) {
        const struct separable_axis *row = &layout->axis[layout->axis_count - 1];
        const size_t reach = (layout->chunk_taps - 1) * row->dilation; /* fits: the window lies in the padded input */
        if (__builtin_mul_overflow(layout->segment_cells - 1, row->stride, &layout->span) ||
            __builtin_add_overflow(layout->span, reach + 1, &layout->span))
            return false;
        if (row->stride > 1) {
            layout->slots = least(layout->chunk_taps, row->stride / common_divisor(row->stride, row->dilation));
            layout->slot_cells = layout->segment_cells + reach / row->stride + 1;
        }
    }
    if (__builtin_mul_overflow(layout->span, layout->cell, &elements) ||
        __builtin_add_overflow(elements, 31, &elements))
        return false;
    /* Rows a multiple of a page apart would meet in the same sets of the cache. */
    layout->row_pitch = elements / 16 * 16;
    if (layout->row_pitch * layout->element_bytes % 1024 == 0)
        layout->row_pitch += 16;
    return true;
}

/* ---- Units ------------------------------------------------------------------------------------------------------------ */

static bool size_axes(struct separable_layout *layout)
{
    for (unsigned i = 0; i < layout->pass_count; i++) {
        struct separable_axis *axis = &layout->axis[i];
        if (__builtin_mul_overflow(axis->rows - 1, axis->step, &axis->positions) ||
            __builtin_add_overflow(axis->positions, axis->taps, &axis->positions))
            return false;
        axis->groups = divide_up(divide_up(axis->output, axis->apart), axis->rows);
    }
    /* After pass j: outputs along the axes up to j, positions along the others. */
    layout->buffer_rows[0] = layout->buffer_rows[1] = 0;
    const unsigned kept = layout->row_pass ? layout->pass_count : layout->pass_count - 1;
    for (unsigned j = 0; j < kept; j++) {
        size_t rows = 1;
        for (unsigned i = 0; i < layout->pass_count; i++)
            if (__builtin_mul_overflow(rows, i <= j ? layout->axis[i].rows : layout->axis[i].positions, &rows))
                return false;
        layout->buffer_rows[j % 2] = most(layout->buffer_rows[j % 2], rows);
    }
    layout->gather_taps = least(layout->axis[0].taps, GATHER_TAPS);
    layout->gather_rows = layout->axis[0].positions - layout->axis[0].taps + layout->gather_taps;
    layout->gather_cells = most(SEPARABLE_GATHER_CELLS / layout->cell, 1);
    return true;
}

static size_t rows_most(const struct separable_layout *layout)
{
    size_t rows = 1;
    for (unsigned i = 0; i < layout->pass_count; i++)
        rows = most(rows, layout->axis[i].rows);
    return rows;
}

bool separable_unit_scratch(const struct separable_layout *layout, size_t *bytes)
{
    const size_t element = layout->element_bytes, rows = rows_most(layout);
    size_t buffers[2], gathered, turned = 0, slots, positions = 0, table = 0, outputs;
    *bytes = 0;
    for (unsigned i = 0; i < layout->pass_count; i++) {
        table = most(table, layout->axis[i].positions);
        if (__builtin_add_overflow(positions, layout->axis[i].positions, &positions))
            return false;
    }
    /* The last pass takes all its rows at once. */
    outputs = most(rows, most(layout->buffer_rows[0], layout->buffer_rows[1]));
    table = most(table, outputs);
    return !__builtin_mul_overflow(layout->buffer_rows[0], layout->row_pitch, &buffers[0]) &&
           !__builtin_mul_overflow(layout->buffer_rows[1], layout->row_pitch, &buffers[1]) &&
           !__builtin_mul_overflow(layout->gather_rows, layout->gather_cells * layout->cell, &gathered) &&
           (layout->parts == 1 || !__builtin_mul_overflow(SEPARABLE_TURNED_ROWS + 1, layout->row_pitch, &turned)) &&
           !__builtin_mul_overflow(layout->slots, layout->slot_cells, &slots) &&
           !__builtin_mul_overflow(slots, layout->cell, &slots) && plan_size_add(bytes, positions, sizeof(size_t)) &&
           plan_size_add(bytes, table, sizeof(void *)) && plan_size_add(bytes, outputs, sizeof(void *)) &&
           plan_size_add(bytes, buffers[0], element) && plan_size_add(bytes, buffers[1], element) &&
           plan_size_add(bytes, gathered, element) && plan_size_add(bytes, layout->row_pitch, element) &&
           plan_size_add(bytes, turned, element) && plan_size_add(bytes, slots, element) &&
           plan_size_add(bytes, layout->segment_cells, layout->cell * element);
}

static bool size_unit(struct separable_layout *layout, size_t *bytes)
{
    return size_row(layout) && size_axes(layout) && separable_unit_scratch(layout, bytes);
}

/* By 16 where there are so many: complex values then stay whole. */
static size_t halved(size_t cells)
{
    const size_t half = divide_up(cells, 2);
    return half > 64 ? divide_up(half, 16) * 16 : half;
}

/* As many rows of the outermost axis as a block holds, all of the others, and long segments: then halved until they fit. */
static bool cut_units(struct separable_layout *layout)
{
    const size_t least_cells = most(SEGMENT_ELEMENTS_MIN / layout->cell, 1);
    const size_t segments = divide_up(layout->cells_out, most(SEGMENT_ELEMENTS * 3 / 2 / layout->cell, 1));
    layout->segment_cells = divide_up(layout->cells_out, segments);
    if (segments > 1)
        layout->segment_cells = divide_up(layout->segment_cells, 16) * 16;
    for (unsigned i = 0; i < layout->pass_count; i++) {
        struct separable_axis *axis = &layout->axis[i];
        axis->rows = axis->step >= axis->taps ? 1 : divide_up(axis->output, axis->apart);
    }
    if (layout->axis[0].rows > BLOCK_ROWS)
        layout->axis[0].rows = BLOCK_ROWS;
    for (;;) {
        size_t bytes;
        const bool counted = size_unit(layout, &bytes);
        if (counted && bytes <= SCRATCH_BYTES)
            return true;
        unsigned longest = 0;
        for (unsigned i = 1; i < layout->pass_count; i++)
            if (longest == 0 || layout->axis[i].rows > layout->axis[longest].rows)
                longest = i;
        size_t *const rows = &layout->axis[longest].rows;
        if (longest > 0 && *rows > BLOCK_ROWS)
            *rows = divide_up(divide_up(*rows, 2), BLOCK_ROWS) * BLOCK_ROWS;
        else if (layout->segment_cells > least_cells)
            layout->segment_cells = halved(layout->segment_cells);
        else if (layout->axis[0].rows > 1)
            layout->axis[0].rows = divide_up(layout->axis[0].rows, 2);
        else if (longest > 0 && *rows > 1)
            *rows = divide_up(*rows, 2);
        else if (layout->segment_cells > 1 && layout->span * layout->cell > 2 * (size_t)CHUNK_ELEMENTS)
            layout->segment_cells = halved(layout->segment_cells);
        else
            return counted && bytes <= SCRATCH_BYTES_MAX;
    }
}

/* The multiply-adds of a unit, saturating. */
static size_t unit_work(const struct separable_layout *layout)
{
    size_t work = 0;
    for (unsigned j = 0; j < layout->axis_count; j++) {
        size_t pass = layout->axis[j].taps;
        for (unsigned i = 0; i < layout->pass_count; i++)
            if (__builtin_mul_overflow(pass, i <= j ? layout->axis[i].rows : layout->axis[i].positions, &pass))
                return SIZE_MAX;
        if (__builtin_mul_overflow(pass, j < layout->pass_count ? layout->span : layout->segment_cells, &pass) ||
            __builtin_mul_overflow(pass, layout->cell, &pass) || __builtin_add_overflow(work, pass, &work))
            return SIZE_MAX;
    }
    return __builtin_add_overflow(work, UNIT_OVERHEAD, &work) ? SIZE_MAX : work;
}

static bool count_tiles(struct separable_layout *layout)
{
    if (__builtin_mul_overflow(layout->loop_count, layout->segments, &layout->unit_count))
        return false;
    for (unsigned i = 0; i < layout->pass_count; i++)
        if (__builtin_mul_overflow(layout->unit_count, layout->axis[i].groups, &layout->unit_count) ||
            __builtin_mul_overflow(layout->unit_count, layout->axis[i].apart, &layout->unit_count))
            return false;
    layout->units_per_tile = most(TILE_MULTIPLY_ADDS / unit_work(layout), 1);
    layout->tile_count = divide_up(layout->unit_count, layout->units_per_tile);
    return true;
}

/* Whether more is written, once, than caches hold. */
static bool streams(const struct separable_layout *layout, const struct geometry *geometry)
{
    enum { CACHED_BYTES = 2 << 20 }; /* about what L2 caches hold */
    const struct separable_axis *const row = &layout->axis[layout->axis_count - 1];
    return layout->row_pass && layout->parts == 1 && layout->chunk_taps == row->taps &&
           layout->pitch_out == layout->cell && geometry->output_count >= CACHED_BYTES / layout->element_bytes;
}

bool separable_layout_derive(struct separable_layout *layout, const struct convolve_spec *spec,
                             const struct geometry *geometry)
{
    *layout = (struct separable_layout){0};
    layout->parts = convolve_dtype_is_complex(spec->dtype) ? 2 : 1;
    layout->element_bytes = convolve_dtype_bytes(spec->dtype) / layout->parts;
    layout->element = spec->dtype == CONVOLVE_INT64 ? DIRECT_U64 : layout->element_bytes == 4 ? DIRECT_F32 : DIRECT_F64;
    lay_axes(layout, geometry);
    lay_row(layout);
    layout->streams = streams(layout, geometry);
    return cut_units(layout) && count_tiles(layout);
}
