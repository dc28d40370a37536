/* SPDX-License-Identifier: MIT */
/* From geometry to layout: which axis is the row and which is shared, whether rows must be copied, and how large units,
 * tiles and passes are. Nothing here decides any bit of the result: every cut goes between outputs, or lets a chain go on. */
#include "core/direct_layout.h"

#include "core/layout_math.h"
#include "core/plan.h"

enum {
    TILE_MULTIPLY_ADDS = 6000000, /* some tenths of a millisecond with vectors of float32 */
    UNIT_OVERHEAD = 8000, /* of a unit, in multiply-adds */
    PLAIN_TILE_TERMS = 50000,
    CHECK_TILE_TERMS = 1000000, /* seldom are any of them looked at */
    PASS_TAPS_MAX = 24576,
    ROW_GRANULE = 12, /* blocks hold 1, 4 or 6 rows */
    /* Of a unit in place: what it reads is still near when its ends are made, and was just looked at. More rows where they are
     * short, since neighbouring units read some rows twice. */
    PLACE_ROWS = 24,
    PLACE_ROWS_MAX = 48,
    PLACE_BYTES = 96 << 10,
    SEGMENT_ELEMENTS = 4096, /* a row of at least twice as many is cut */
    SEGMENT_ELEMENTS_MIN = 256,
    COPY_BYTES_MAX = 384 << 10, /* stays within L2, beside the output */
    PHASES = 4,
    PHASES_TAPS_MIN = 12, /* fewer are not worth the dealing */
    LINE_TAPS_MAX = 96, /* nor are more where taps can pass along the row in place */
    CHUNK_ELEMENTS = 4096,
};

/* ---- Axes ------------------------------------------------------------------------------------------------------------- */

/* Whether an axis that is not convolved can be part of the row's cells. */
static bool joins_cell(const struct geometry_axis *axis)
{
    return !axis->convolved && axis->kernel_pitch == 0 && axis->input == axis->output;
}

/* The row: the last convolved axis. Returns its index, or -1 where there is none, and sets the cell. */
static int find_row(struct direct_layout *layout, const struct geometry *geometry)
{
    int row = (int)geometry->rank - 1;
    size_t cell = 1;
    while (row >= 0 && !geometry->axis[row].convolved)
        row--;
    unsigned joined = geometry->rank;
    while ((int)joined - 1 > row && joins_cell(&geometry->axis[joined - 1]))
        cell *= geometry->axis[--joined].output;
    layout->cell = cell * layout->parts;
    return row;
}

static void lay_row(struct direct_layout *layout, const struct geometry *geometry, int row, size_t output_pitch)
{
    const struct geometry_axis *axis = &geometry->axis[row];
    layout->cells_out = axis->output;
    layout->cells_in = axis->input;
    layout->taps = axis->kernel;
    layout->stride = stride_of(axis);
    layout->dilation = dilation_of(axis);
    layout->before = axis->before;
    layout->pitch_in = axis->input_pitch * layout->parts;
    layout->pitch_out = output_pitch * layout->parts;
}

/* A row of one cell: what a rank of 0, or a cell that is long enough by itself, comes to. */
static void lay_single_cell(struct direct_layout *layout)
{
    layout->cells_out = layout->cells_in = layout->taps = layout->stride = layout->dilation = 1;
    layout->before = 0;
    layout->pitch_in = layout->pitch_out = layout->cell;
}

static void lay_axes(struct direct_layout *layout, const struct geometry *geometry)
{
    const int row = find_row(layout, geometry);
    size_t output_pitch[CONVOLVE_RANK_MAX], kernel_group[CONVOLVE_RANK_MAX], input_group[CONVOLVE_RANK_MAX];
    size_t input_groups = 1;
    bool other_taps = false;
    layout->kernel_groups = lay_slices(geometry, output_pitch, kernel_group);
    for (unsigned i = geometry->rank; i-- > 0;) {
        const struct geometry_axis *axis = &geometry->axis[i];
        input_group[i] = axis->convolved || axis->input_pitch == 0 ? 0 : input_groups;
        input_groups *= input_group[i] ? axis->output : 1;
        other_taps = other_taps || ((int)i != row && axis->kernel > 1 && axis->convolved);
    }
    layout->input_groups = input_groups;
    /* One convolved axis with long cells: the cells are rows, and the axis is shared. */
    const bool single_cell = row < 0 || (layout->cell / layout->parts >= 64 && !other_taps);
    if (single_cell)
        lay_single_cell(layout);
    else
        lay_row(layout, geometry, row, output_pitch[row]);
    size_t inner = layout->cell / layout->parts;
    unsigned end = geometry->rank;
    while (inner > 1) {
        inner /= geometry->axis[--end].output;
    }
    for (unsigned i = 0; i < end; i++) {
        const struct geometry_axis *axis = &geometry->axis[i];
        if ((int)i == row && !single_cell)
            continue;
        if (axis->output == 1 && axis->kernel == 1 && axis->before == 0)
            continue; /* reads element 0 and adds no tap */
        layout->outer[layout->outer_count++] = (struct direct_axis){
            .output = axis->output,
            .taps = axis->convolved ? axis->kernel : 1,
            .stride = stride_of(axis),
            .dilation = dilation_of(axis),
            .before = axis->before,
            .input = axis->convolved || axis->input_pitch != 0 ? axis->input : axis->output,
            .input_pitch = axis->input_pitch,
            .output_pitch = output_pitch[i],
            .kernel_groups_pitch = kernel_group[i],
            .input_groups_pitch = input_group[i],
        };
    }
}

/* The shared axis is the last one with taps, for its taps must be the inner ones of the canonical order; where none has
 * taps it is the longest, of those with one kernel, whose rows then share at least the taps' values. */
static void choose_shared(struct direct_layout *layout)
{
    layout->shared = -1;
    for (unsigned i = 0; i < layout->outer_count; i++)
        if (layout->outer[i].taps > 1)
            layout->shared = (int)i;
    const bool with_taps = layout->shared >= 0;
    for (unsigned i = 0; i < layout->outer_count && !with_taps; i++)
        if (layout->outer[i].kernel_groups_pitch == 0 &&
            (layout->shared < 0 || layout->outer[i].output >= layout->outer[layout->shared].output))
            layout->shared = (int)i;
    layout->planes = layout->loop_count = 1;
    for (unsigned i = 0; i < layout->outer_count; i++) {
        if ((int)i == layout->shared)
            continue;
        layout->planes *= layout->outer[i].taps;
        layout->loop_count *= layout->outer[i].output;
    }
    layout->shared_output = layout->row_taps = layout->row_step = layout->row_apart = layout->row_unit = 1;
    if (layout->shared < 0)
        return;
    const struct direct_axis *axis = &layout->outer[layout->shared];
    layout->shared_output = axis->output;
    layout->row_taps = axis->taps;
    layout->row_unit = axis->taps > 1 ? axis->dilation : axis->stride;
    find_sharing(axis->output, axis->stride, layout->row_unit, &layout->row_apart, &layout->row_step);
}

/* ---- Modes ------------------------------------------------------------------------------------------------------------ */

/* Whether enough outputs of a row have their windows wholly inside it. */
static bool inner_outputs(const struct direct_layout *layout)
{
    const size_t reach = (layout->taps - 1) * layout->dilation;
    const size_t first = least(layout->before, layout->cells_out);
    const size_t inside = layout->cells_in + layout->before;
    if (inside <= reach || inside - reach <= first)
        return false;
    const bool all = first == 0 && inside - reach >= layout->cells_out; /* then nothing is copied */
    return all || (inside - reach - first) * layout->cell >= 64;
}

static void choose_mode(struct direct_layout *layout, const struct geometry *geometry)
{
    const bool sharing = layout->shared >= 0 && layout->row_taps > 1 && layout->shared_output > 1;
    const bool in_place = layout->stride == 1 && layout->parts == 1 && layout->pitch_in == layout->cell &&
                          layout->pitch_out == layout->cell && inner_outputs(layout);
    const bool line = in_place && layout->cell == 1 && layout->taps <= LINE_TAPS_MAX;
    layout->phases = 1;
    if (geometry->exchanged)
        layout->mode = DIRECT_PLAIN;
    else if (!sharing && !line && layout->row_taps == 1 && layout->taps >= PHASES_TAPS_MIN && layout->dilation == 1 &&
             layout->taps / 4 >= layout->stride && layout->cells_out >= PHASES * 16) {
        layout->mode = DIRECT_PHASES;
        layout->phases = PHASES;
    } else if (in_place)
        layout->mode = DIRECT_IN_PLACE;
    else
        layout->mode = DIRECT_COPIED;
}

/* ---- Units, tiles, passes --------------------------------------------------------------------------------------------- */

size_t direct_slot_start(const struct direct_layout *layout, size_t slot)
{
    return layout->slot_each_tap ? slot * layout->dilation : slot * layout->dilation % layout->stride;
}

/* The outputs that a copied row serves: in place, those whose windows cross an end. */
static size_t copied_cells(const struct direct_layout *layout)
{
    if (layout->mode != DIRECT_IN_PLACE || layout->pass_taps < layout->taps)
        return layout->unit_cells;
    const size_t reach = (layout->taps - 1) * layout->dilation;
    const size_t first = least(layout->before, layout->cells_out);
    const size_t last = least(layout->cells_in + layout->before - reach, layout->cells_out);
    return least(layout->unit_cells, most(most(first, layout->cells_out - last), 1));
}

/* The slots a copied row of that many outputs needs. Either one per distinct remainder of the taps by the stride, or,
 * where taps lie far apart, one per tap. */
static bool size_copies(struct direct_layout *layout)
{
    const size_t taps = layout->pass_taps, cells = copied_cells(layout);
    size_t elements;
    if (layout->mode == DIRECT_PHASES) {
        const size_t modulus = layout->phases * layout->stride; /* fits: both come from a geometry that does */
        layout->slots = modulus;
        layout->slot_cells = divide_up(cells, layout->phases) + (layout->pass_rows - 1) / modulus + 2;
    } else {
        const size_t period = layout->stride / common_divisor(layout->stride, layout->dilation);
        const size_t slots = least(taps, period);
        const size_t slot_cells = cells + (taps - 1) * layout->dilation / layout->stride + 1;
        size_t each_tap;
        const bool narrow = !__builtin_mul_overflow(taps, cells, &each_tap) &&
                            (__builtin_mul_overflow(slots, slot_cells, &elements) || elements > each_tap + 2 * taps);
        layout->slot_each_tap = narrow;
        layout->slots = narrow ? taps : slots;
        layout->slot_cells = narrow ? cells : slot_cells;
    }
    return !__builtin_mul_overflow(layout->slots, layout->slot_cells, &elements) &&
           !__builtin_mul_overflow(elements, layout->cell, &layout->turn_offset) &&
           !__builtin_mul_overflow(layout->turn_offset, (size_t)layout->parts, &layout->row_elements);
}

static bool size_table(struct direct_layout *layout)
{
    size_t rows = layout->pass_rows;
    if (layout->mode == DIRECT_PHASES) /* counted for each phase's first tap too */
        return !__builtin_add_overflow(rows, (layout->phases - 1) * layout->stride, &rows) &&
               !__builtin_mul_overflow(rows, layout->pass_planes, &layout->table_rows);
    size_t steps;
    return !__builtin_mul_overflow(layout->unit_rows - 1, layout->row_step, &steps) &&
           !__builtin_add_overflow(rows, steps, &rows) &&
           !__builtin_mul_overflow(rows, layout->pass_planes, &layout->table_rows);
}

/* Ends of rows are made as columns where the rows of a block are neighbours, and so are the taps. */
static bool size_edges(struct direct_layout *layout)
{
    layout->edge_cells = layout->edge_table_rows = 0;
    if (layout->mode != DIRECT_IN_PLACE || layout->cell != 1 || layout->dilation != 1 || layout->row_step != 1 ||
        layout->pass_taps < layout->taps || (layout->pass_planes > 1 && layout->pass_rows < layout->row_taps))
        return true;
    layout->edge_cells = copied_cells(layout);
    return !__builtin_mul_overflow(layout->edge_cells + layout->taps - 1, layout->pass_rows,
                                   &layout->edge_table_rows) &&
           !__builtin_mul_overflow(layout->edge_table_rows, layout->pass_planes, &layout->edge_table_rows);
}

bool direct_unit_counts(const struct direct_layout *layout, struct direct_scratch_counts *counts)
{
    const bool phases = layout->mode == DIRECT_PHASES;
    const size_t rows = phases ? layout->phases : layout->unit_rows;
    /* Segments may be cut where the phases' last one is not whole, so each phase has a cell to spare. */
    const size_t cells = phases ? divide_up(layout->unit_cells, layout->phases) + 1 : layout->unit_cells;
    const size_t reach = (layout->pass_taps - 1) * layout->dilation;
    size_t place = 0;
    *counts = (struct direct_scratch_counts){.bases = layout->table_rows,
                                             .table = layout->table_rows * (layout->strips ? 3 : 1),
                                             .edge_table = layout->edge_table_rows,
                                             .outputs = most(rows, layout->edge_cells)};
    if (layout->mode == DIRECT_IN_PLACE && __builtin_mul_overflow(layout->unit_cells + reach, layout->cell, &place))
        return false;
    counts->constant = most(place, layout->row_elements);
    if ((layout->pitch_out != layout->cell || phases) &&
        (__builtin_mul_overflow(cells, layout->cell, &counts->temporary) ||
         __builtin_mul_overflow(counts->temporary, rows, &counts->temporary)))
        return false;
    const size_t row_elements = most(layout->row_elements, layout->strips ? layout->strip_copies : 0);
    return !__builtin_mul_overflow(phases ? layout->pass_planes : layout->table_rows, row_elements, &counts->copies) &&
           !__builtin_mul_overflow(layout->edge_cells, layout->unit_rows, &counts->edge_outputs);
}

bool direct_unit_scratch(const struct direct_layout *layout, size_t *bytes)
{
    struct direct_scratch_counts counts;
    *bytes = 0;
    if (layout->mode == DIRECT_PLAIN)
        return true;
    const size_t element = layout->element_bytes;
    return direct_unit_counts(layout, &counts) && plan_size_add(bytes, counts.bases, sizeof(void *)) &&
           plan_size_add(bytes, counts.table, sizeof(void *)) &&
           plan_size_add(bytes, counts.edge_table, sizeof(void *)) &&
           plan_size_add(bytes, counts.outputs, sizeof(void *)) && plan_size_add(bytes, counts.copies, element) &&
           plan_size_add(bytes, counts.constant, element) && plan_size_add(bytes, counts.temporary, element) &&
           plan_size_add(bytes, counts.edge_outputs, element);
}

/* The multiply-adds of a tile: of wider elements fewer take as long, and 64-bit products are made of parts. */
static size_t tile_work(const struct direct_layout *layout)
{
    static const size_t times[] = {[DIRECT_F32] = 1, [DIRECT_F64] = 2, [DIRECT_U64] = 10};
    return TILE_MULTIPLY_ADDS / times[layout->element];
}

/* What one row of a unit costs in one pass, saturating. */
static size_t row_work(const struct direct_layout *layout, size_t cells)
{
    size_t work = cells;
    if (__builtin_mul_overflow(work, layout->cell * layout->parts, &work) ||
        __builtin_mul_overflow(work, layout->pass_planes, &work) ||
        __builtin_mul_overflow(work, layout->pass_rows, &work) ||
        __builtin_mul_overflow(work, layout->pass_taps, &work))
        return SIZE_MAX;
    return work;
}

/* Whole planes if they fit, else rows of one plane, else taps of one row. */
static void cut_passes(struct direct_layout *layout, size_t taps_max)
{
    layout->pass_taps = least(layout->taps, taps_max);
    layout->pass_rows =
        layout->pass_taps < layout->taps ? 1 : least(layout->row_taps, most(taps_max / layout->taps, 1));
    layout->pass_planes = layout->pass_taps < layout->taps || layout->pass_rows < layout->row_taps
                              ? 1
                              : least(layout->planes, most(taps_max / (layout->taps * layout->row_taps), 1));
}

static bool size_unit(struct direct_layout *layout)
{
    if (!size_copies(layout) || !size_table(layout) || !size_edges(layout))
        return false;
    direct_find_strips(layout);
    return true;
}

static bool fits_scratch(struct direct_layout *layout)
{
    size_t bytes;
    return size_unit(layout) && direct_unit_scratch(layout, &bytes) && bytes <= COPY_BYTES_MAX;
}

static void even_rows(struct direct_layout *layout, size_t rows)
{
    if (layout->mode == DIRECT_PHASES) {
        layout->unit_rows = 1;
        return;
    }
    const size_t all = divide_up(layout->shared_output, layout->row_apart);
    const size_t groups = divide_up(all, most(rows, 1));
    rows = divide_up(all, groups);
    layout->unit_rows = least(all, divide_up(rows, ROW_GRANULE) * ROW_GRANULE);
}

static size_t place_rows(const struct direct_layout *layout)
{
    const size_t row_bytes = layout->unit_cells * layout->cell * layout->element_bytes; /* fits: rows are in memory */
    return most(PLACE_ROWS, least(PLACE_ROWS_MAX, PLACE_BYTES / row_bytes));
}

/* First a size by work alone; then whatever is most easily had back until tables and copies fit: planes, rows, cells, and
 * at last taps. Where even the least does not fit, it is taken as it is. */
static bool cut_units(struct direct_layout *layout)
{
    const size_t element_cells = divide_up(SEGMENT_ELEMENTS_MIN, layout->cell);
    size_t segment = SEGMENT_ELEMENTS;
    if (layout->mode == DIRECT_PHASES)
        segment = least(most(2 * SEGMENT_ELEMENTS, 4 * layout->taps), 8 * SEGMENT_ELEMENTS);
    size_t taps_max = PASS_TAPS_MAX;
    layout->unit_cells = layout->cells_out;
    if (layout->cells_out / 2 >= divide_up(segment, layout->cell))
        layout->unit_cells = divide_up(segment, layout->cell);
    cut_passes(layout, taps_max);
    while (layout->unit_cells > element_cells &&
           row_work(layout, layout->unit_cells) > 2 * tile_work(layout) / ROW_GRANULE)
        layout->unit_cells = divide_up(layout->unit_cells, 2);
    size_t rows = tile_work(layout) / most(row_work(layout, layout->unit_cells), 1);
    if (layout->mode == DIRECT_IN_PLACE)
        rows = least(rows, most(place_rows(layout), 2 * layout->row_taps));
    even_rows(layout, rows);
    while (!fits_scratch(layout)) {
        if (layout->pass_planes > 1)
            layout->pass_planes = divide_up(layout->pass_planes, 2);
        else if (layout->unit_rows > ROW_GRANULE)
            layout->unit_rows = divide_up(layout->unit_rows / 2, ROW_GRANULE) * ROW_GRANULE;
        else if (layout->unit_cells > element_cells)
            layout->unit_cells = divide_up(layout->unit_cells, 2);
        else if (taps_max > 512 && layout->pass_rows * layout->pass_taps > 512)
            cut_passes(layout, taps_max /= 2);
        else
            break;
    }
    return size_unit(layout);
}

static bool count_tiles(struct direct_layout *layout)
{
    size_t bytes;
    layout->segments = divide_up(layout->cells_out, layout->unit_cells);
    layout->row_groups = divide_up(divide_up(layout->shared_output, layout->row_apart), layout->unit_rows);
    if (__builtin_mul_overflow(layout->loop_count, layout->segments, &layout->unit_count) ||
        __builtin_mul_overflow(layout->unit_count, least(layout->row_apart, layout->shared_output),
                               &layout->unit_count) ||
        __builtin_mul_overflow(layout->unit_count, layout->row_groups, &layout->unit_count))
        return false;
    size_t unit;
    if (__builtin_mul_overflow(row_work(layout, layout->unit_cells), layout->unit_rows, &unit) ||
        __builtin_add_overflow(unit, UNIT_OVERHEAD, &unit))
        unit = SIZE_MAX;
    layout->units_per_tile = most(tile_work(layout) / unit, 1);
    layout->tile_count = divide_up(layout->unit_count, layout->units_per_tile);
    layout->pass_count = divide_up(layout->planes, layout->pass_planes) *
                         divide_up(layout->row_taps, layout->pass_rows) * divide_up(layout->taps, layout->pass_taps);
    return direct_unit_scratch(layout, &bytes);
}

/* ---- Values ----------------------------------------------------------------------------------------------------------- */

/* Whether the slices along axes that are not convolved lie one after another in memory. */
static bool slices_together(const struct geometry *geometry, bool of_input)
{
    bool inside = false;
    for (unsigned i = 0; i < geometry->rank; i++) {
        const struct geometry_axis *axis = &geometry->axis[i];
        const size_t pitch = of_input ? axis->input_pitch : axis->kernel_pitch;
        const size_t length = of_input ? axis->input : axis->kernel;
        if (axis->convolved)
            inside = inside || length > 1;
        else if (inside && pitch != 0 && length > 1)
            return false;
    }
    return true;
}

static void group_values(struct direct_layout *layout, const struct convolve_spec *spec,
                         const struct geometry *geometry)
{
    size_t input = 0, kernel = 0;
    convolve_shape_count(&spec->input, &input);
    convolve_shape_count(&spec->kernel, &kernel);
    if (!slices_together(geometry, true)) {
        layout->input_groups = 1;
        for (unsigned i = 0; i < layout->outer_count; i++)
            layout->outer[i].input_groups_pitch = 0;
    }
    /* Slices within the cells of a row are one group as well: a block makes them together. */
    size_t reached = 1;
    for (unsigned i = 0; i < layout->outer_count; i++)
        reached *= layout->outer[i].input_groups_pitch ? layout->outer[i].output : 1;
    if (reached != layout->input_groups) {
        const size_t joined = layout->input_groups / reached;
        for (unsigned i = 0; i < layout->outer_count; i++)
            layout->outer[i].input_groups_pitch /= joined;
        layout->input_groups = reached;
    }
    layout->input_group_elements = input / layout->input_groups * layout->parts;
    layout->kernel_group_elements = kernel / layout->kernel_groups * layout->parts;
    layout->chunk_elements = CHUNK_ELEMENTS;
    layout->input_chunks = divide_up(layout->input_group_elements, CHUNK_ELEMENTS);
    layout->kernel_chunks = divide_up(layout->kernel_group_elements, CHUNK_ELEMENTS);
}

bool direct_layout_derive(struct direct_layout *layout, const struct convolve_spec *spec,
                          const struct geometry *geometry)
{
    *layout = (struct direct_layout){0};
    layout->parts = convolve_dtype_is_complex(spec->dtype) ? 2 : 1;
    layout->element_bytes = convolve_dtype_bytes(spec->dtype) / layout->parts;
    layout->element = spec->dtype == CONVOLVE_INT64 ? DIRECT_U64 : layout->element_bytes == 4 ? DIRECT_F32 : DIRECT_F64;
    lay_axes(layout, geometry);
    choose_shared(layout);
    choose_mode(layout, geometry);
    if (layout->mode == DIRECT_PHASES) {
        /* The row's taps take the place of rows; a value's parts are the taps of each. */
        layout->row_taps = layout->taps;
        layout->taps = 1;
    }
    group_values(layout, spec, geometry);
    layout->plain_outputs = most(PLAIN_TILE_TERMS / geometry->tap_count, 1);
    layout->plain_tile_count = divide_up(geometry->output_count, layout->plain_outputs);
    layout->check_outputs = most(CHECK_TILE_TERMS / geometry->tap_count, 1);
    layout->check_tile_count = divide_up(geometry->output_count, layout->check_outputs);
    layout->pass_count = 1;
    return layout->mode == DIRECT_PLAIN || (cut_units(layout) && count_tiles(layout));
}
