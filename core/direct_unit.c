/* SPDX-License-Identifier: MIT */
/* One unit in one pass: finds the input rows, has copied what has to be copied, and hands the rows to the block routine. A row
 * in place needs copies only for the outputs whose windows reach beyond its ends; rows beyond the ends of the other axes
 * are other rows of the input, or the constant. */
#include "core/direct_unit.h"

#include "core/boundary.h"
#include "core/layout_math.h"

#include <string.h>

/* ---- Where the unit lies ---------------------------------------------------------------------------------------------- */

/* False where the unit is empty: phases of the shared axis may differ by a row, and so by a group. */
static bool place_unit(struct direct_unit *u, size_t unit)
{
    const struct direct_layout *layout = u->layout;
    const size_t apart = least(layout->row_apart, layout->shared_output);
    size_t segment = 0, group = 0, phase = 0;
    if (unit > 0) { /* of a small array there is the first alone, which is worth no divisions */
        segment = unit % layout->segments;
        unit /= layout->segments;
        group = unit % layout->row_groups;
        unit /= layout->row_groups;
        phase = unit % apart;
        unit /= apart;
    }
    for (unsigned i = layout->outer_count; unit > 0 && i-- > 0;) {
        if ((int)i == layout->shared)
            continue;
        u->coordinate[i] = unit % layout->outer[i].output;
        unit /= layout->outer[i].output;
    }
    u->cell_first = segment * layout->unit_cells;
    u->cells = least(layout->unit_cells, layout->cells_out - u->cell_first);
    const size_t all = apart > 1 ? (layout->shared_output - phase + apart - 1) / apart : layout->shared_output;
    const size_t first = group * layout->unit_rows;
    if (first >= all)
        return false;
    u->rows = least(layout->unit_rows, all - first);
    if (layout->shared >= 0)
        u->coordinate[layout->shared] = phase + first * apart;
    return true;
}

static void place_pass(struct direct_unit *u, size_t pass)
{
    const struct direct_layout *layout = u->layout;
    u->accumulate = pass > 0;
    u->tap_first = u->row_tap_first = u->plane_first = 0;
    if (pass > 0) {
        const size_t tap_cuts = (layout->taps + layout->pass_taps - 1) / layout->pass_taps;
        const size_t row_cuts = (layout->row_taps + layout->pass_rows - 1) / layout->pass_rows;
        u->tap_first = pass % tap_cuts * layout->pass_taps;
        u->row_tap_first = pass / tap_cuts % row_cuts * layout->pass_rows;
        u->plane_first = pass / tap_cuts / row_cuts * layout->pass_planes;
    }
    u->taps = least(layout->pass_taps, layout->taps - u->tap_first);
    u->row_taps = least(layout->pass_rows, layout->row_taps - u->row_tap_first);
    u->planes = least(layout->pass_planes, layout->planes - u->plane_first);
    u->input_rows = (u->rows - 1) * layout->row_step + u->row_taps;
    if (layout->mode == DIRECT_PHASES)
        u->input_rows = (layout->phases - 1) * layout->stride + u->row_taps;
}

static void place_tensors(struct direct_unit *u, const struct convolve_run *run)
{
    const struct direct_layout *layout = u->layout;
    const struct direct_scratch scratch = direct_scratch_parts(layout, run->scratch);
    const size_t bytes = layout->element_bytes, value_bytes = bytes * layout->parts;
    u->slice = 0;
    u->output_index = u->cell_first * (layout->pitch_out / layout->parts);
    for (unsigned i = 0; i < layout->outer_count; i++) {
        u->slice += u->coordinate[i] * layout->outer[i].kernel_groups_pitch;
        u->output_index += u->coordinate[i] * layout->outer[i].output_pitch;
    }
    u->input = run->input;
    u->output = (unsigned char *)run->output + u->output_index * value_bytes;
    u->output_row_pitch = layout->shared >= 0 ? layout->outer[layout->shared].output_pitch * layout->row_apart : 0;
    const size_t row_taps = layout->taps * layout->parts; /* of phases a row is a tap */
    u->values = (const unsigned char *)scratch.values +
                (u->slice * layout->kernel_group_elements +
                 (u->plane_first * layout->row_taps + u->row_tap_first) * row_taps + u->tap_first * layout->parts) *
                    bytes;
}

static void place_scratch(struct direct_unit *u, void *tile_scratch)
{
    const size_t element = u->layout->element_bytes;
    unsigned char *cursor = tile_scratch;
    struct direct_scratch_counts counts;
    direct_unit_counts(u->layout, &counts); /* direct_layout_derive has seen it succeed */
    u->bases = plan_scratch_take(&cursor, counts.bases, sizeof(void *));
    u->table = plan_scratch_take(&cursor, counts.table, sizeof(void *));
    u->edge_table = plan_scratch_take(&cursor, counts.edge_table, sizeof(void *));
    u->outputs = plan_scratch_take(&cursor, counts.outputs, sizeof(void *));
    u->copies = plan_scratch_take(&cursor, counts.copies, element);
    u->constant = plan_scratch_take(&cursor, counts.constant, element);
    u->temporary = plan_scratch_take(&cursor, counts.temporary, element);
    u->edge_outputs = plan_scratch_take(&cursor, counts.edge_outputs, element);
}

/* The offset of the input row that tap `tap` of axis `axis` reads, in values; false where it is the constant. */
static bool row_offset(const struct direct_unit *u, unsigned axis, size_t place, size_t *offset)
{
    const struct direct_axis *a = &u->layout->outer[axis];
    const size_t index = boundary_index(u->plan->spec.boundary, (int64_t)place - (int64_t)a->before, a->input);
    *offset += index == BOUNDARY_NONE ? 0 : index * a->input_pitch;
    return index != BOUNDARY_NONE;
}

/* The rows of a plane that lie along the shared axis, the first at `first`: mostly within the input. */
static void find_shared_rows(const struct direct_unit *u, const unsigned char **bases, const unsigned char *plane,
                             size_t first, size_t rows)
{
    const struct direct_axis *axis = &u->layout->outer[u->layout->shared];
    const size_t step = u->layout->row_unit, pitch = axis->input_pitch * u->layout->element_bytes * u->layout->parts;
    const enum convolve_boundary boundary = u->plan->spec.boundary;
    const size_t length = axis->input;
    int64_t at = (int64_t)first - (int64_t)axis->before;
    for (size_t i = 0; i < rows; i++, at += (int64_t)step) {
        const size_t index = (size_t)at < length ? (size_t)at : boundary_index(boundary, at, length);
        bases[i] = index == BOUNDARY_NONE ? NULL : plane + index * pitch;
    }
}

void direct_find_bases(struct direct_unit *u, size_t rows)
{
    const struct direct_layout *layout = u->layout;
    const size_t value_bytes = layout->element_bytes * layout->parts;
    for (size_t plane = 0; plane < u->planes; plane++) {
        size_t offset = 0, rest = plane + u->plane_first;
        bool inside = true;
        for (unsigned i = layout->outer_count; i-- > 0;) {
            const struct direct_axis *axis = &layout->outer[i];
            if ((int)i == layout->shared)
                continue;
            inside &= row_offset(u, i, u->coordinate[i] * axis->stride + rest % axis->taps * axis->dilation, &offset);
            rest /= axis->taps;
        }
        const size_t first = layout->shared < 0
                                 ? 0
                                 : u->coordinate[layout->shared] * layout->outer[layout->shared].stride +
                                       (layout->mode == DIRECT_PHASES ? 0 : u->row_tap_first) * layout->row_unit;
        const unsigned char **const bases = u->bases + plane * rows;
        if (layout->shared < 0 || !inside) {
            for (size_t i = 0; i < rows; i++)
                bases[i] = inside ? u->input + offset * value_bytes : NULL;
            continue;
        }
        find_shared_rows(u, bases, u->input + offset * value_bytes, first, rows);
    }
}

/* ---- Blocks ----------------------------------------------------------------------------------------------------------- */

void direct_run_block(const struct direct_unit *u, const struct simd_block *block)
{
    switch (u->layout->element) {
    case DIRECT_F32:
        u->plan->routines->block_f32(block);
        break;
    case DIRECT_F64:
        u->plan->routines->block_f64(block);
        break;
    case DIRECT_U64:
        u->plan->routines->block_u64(block);
        break;
    }
}

struct simd_block direct_describe_block(const struct direct_unit *u)
{
    const struct direct_layout *layout = u->layout;
    const size_t row_values = layout->taps * layout->parts;
    return (struct simd_block){
        .rows = u->table,
        .rows_pitch = u->input_rows,
        .planes = u->planes,
        .row_taps = u->row_taps,
        .row_step = layout->row_step,
        .taps = u->taps * layout->parts,
        .values = u->values,
        .plane_pitch = layout->row_taps * row_values,
        .row_pitch = row_values,
        .accumulate = u->accumulate,
        .output = u->outputs,
        .output_rows = u->rows,
    };
}

/* Moves a row between the output, whose cells lie pitch_out apart, and a dense one. */
static void move_output(const struct direct_unit *u, unsigned char *dense, unsigned char *output, size_t cells,
                        bool out)
{
    const size_t cell_bytes = u->layout->cell * u->layout->element_bytes;
    const size_t pitch = u->layout->pitch_out * u->layout->element_bytes;
    for (size_t i = 0; i < cells; i++)
        memcpy(out ? output + i * pitch : dense + i * cell_bytes, out ? dense + i * cell_bytes : output + i * pitch,
               cell_bytes);
}

/* The outputs first .. first+cells of every row, from rows in place (which the windows must not leave) or from copies. */
static void make_part(struct direct_unit *u, size_t first, size_t cells, bool in_place)
{
    const struct direct_layout *layout = u->layout;
    const size_t bytes = layout->element_bytes, total = u->planes * u->input_rows;
    const bool scattered = layout->pitch_out != layout->cell;
    bool with_constant = false;
    if (cells == 0 || (!in_place && direct_make_edge(u, first, cells)))
        return;
    for (size_t i = 0; i < total; i++)
        with_constant |= !u->bases[i];
    if (!in_place)
        direct_copy_rows(u, first, cells, with_constant);
    else if (with_constant)
        direct_fill_constant(u, u->constant, (cells + (u->taps - 1) * layout->dilation) * layout->cell);
    const size_t shift = (first + u->tap_first * layout->dilation - layout->before) * layout->cell * bytes;
    for (size_t i = 0; i < total; i++)
        u->table[i] = !u->bases[i] ? u->constant
                      : in_place   ? u->bases[i] + shift
                                   : u->copies + i * layout->row_elements * bytes;
    struct simd_block block = direct_describe_block(u);
    block.offsets = in_place ? u->state->place_offsets : u->state->copy_offsets;
    block.count = cells * layout->cell;
    block.stream = layout->streams && layout->pass_count == 1 && !scattered;
    for (size_t row = 0; row < u->rows; row++) {
        unsigned char *const output =
            u->output +
            (row * u->output_row_pitch * layout->parts + (first - u->cell_first) * layout->pitch_out) * bytes;
        u->outputs[row] = output;
        if (!scattered)
            continue;
        u->outputs[row] = u->temporary + row * layout->unit_cells * layout->cell * bytes;
        if (u->accumulate)
            move_output(u, u->outputs[row], output, cells, false);
    }
    direct_run_block(u, &block);
    for (size_t row = 0; scattered && row < u->rows; row++)
        move_output(u, u->outputs[row], u->output + row * u->output_row_pitch * layout->parts * bytes, cells, true);
}

static void make_rows(struct direct_unit *u, struct simd_facts *facts)
{
    const struct direct_layout *layout = u->layout;
    const size_t end = u->cell_first + u->cells;
    direct_find_bases(u, u->input_rows);
    if (direct_has_strips(u->plan) && direct_make_strips(u, facts))
        return;
    if (layout->mode != DIRECT_IN_PLACE) {
        make_part(u, u->cell_first, u->cells, false);
        return;
    }
    /* Outputs inner .. outer have their windows wholly inside. */
    const size_t shift = u->tap_first * layout->dilation, reach = shift + (u->taps - 1) * layout->dilation;
    size_t inner = layout->before > shift ? layout->before - shift : 0;
    size_t outer = layout->cells_in + layout->before > reach ? layout->cells_in + layout->before - reach : 0;
    inner = least(inner < u->cell_first ? u->cell_first : inner, end);
    outer = least(outer < inner ? inner : outer, end);
    make_part(u, u->cell_first, inner - u->cell_first, false);
    make_part(u, inner, outer - inner, true);
    make_part(u, outer, end - outer, false);
}

void direct_run_unit(const struct convolve_plan *plan, const struct convolve_run *run, size_t unit, size_t pass,
                     void *tile_scratch, struct simd_facts *facts)
{
    struct direct_unit u = {.plan = plan, .state = direct_state(plan), .layout = &direct_state(plan)->layout};
    if (!place_unit(&u, unit))
        return;
    place_pass(&u, pass);
    place_tensors(&u, run);
    if (plan->slices && !plan->slices[u.slice])
        return;
    place_scratch(&u, tile_scratch);
    if (u.layout->mode == DIRECT_PHASES)
        direct_make_phases(&u);
    else
        make_rows(&u, facts);
}
