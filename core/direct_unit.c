/* SPDX-License-Identifier: MIT */
/* One unit in one pass: finds the input rows, copies what has to be copied, and hands the rows to the block routine. A row
 * in place needs copies only for the outputs whose windows reach beyond its ends; rows beyond the ends of the other axes
 * are other rows of the input, or the constant. */
#include "core/boundary.h"
#include "core/direct_state.h"

#include <math.h>
#include <string.h>

struct unit {
    const struct convolve_plan *plan;
    const struct direct_state *state;
    const struct direct_layout *layout;
    size_t coordinate[CONVOLVE_RANK_MAX]; /* of the outer axes; of the shared one that of the first row */
    size_t rows, cell_first, cells;
    size_t plane_first, planes, row_tap_first, row_taps, tap_first, taps; /* of the pass */
    bool accumulate;
    size_t input_rows; /* of each plane */
    const unsigned char *input;
    unsigned char *output; /* the value of row 0 at cell 0 */
    size_t output_row_pitch, output_index; /* in values */
    size_t slice; /* of the kernel */
    const unsigned char *values;
    const unsigned char **bases; /* NULL: the constant */
    const void **table;
    void **outputs;
    unsigned char *copies, *constant, *temporary;
};

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* ---- Where the unit lies ---------------------------------------------------------------------------------------------- */

/* False where the unit is empty: phases of the shared axis may differ by a row, and so by a group. */
static bool place_unit(struct unit *u, size_t unit)
{
    const struct direct_layout *layout = u->layout;
    const size_t segment = unit % layout->segments;
    unit /= layout->segments;
    const size_t group = unit % layout->row_groups;
    unit /= layout->row_groups;
    const size_t apart = least(layout->row_apart, layout->shared_output);
    const size_t phase = unit % apart;
    unit /= apart;
    for (unsigned i = layout->outer_count; i-- > 0;) {
        if ((int)i == layout->shared)
            continue;
        u->coordinate[i] = unit % layout->outer[i].output;
        unit /= layout->outer[i].output;
    }
    u->cell_first = segment * layout->unit_cells;
    u->cells = least(layout->unit_cells, layout->cells_out - u->cell_first);
    const size_t all = (layout->shared_output - phase + apart - 1) / apart, first = group * layout->unit_rows;
    if (first >= all)
        return false;
    u->rows = least(layout->unit_rows, all - first);
    if (layout->shared >= 0)
        u->coordinate[layout->shared] = phase + first * apart;
    return true;
}

static void place_pass(struct unit *u, size_t pass)
{
    const struct direct_layout *layout = u->layout;
    const size_t tap_cuts = (layout->taps + layout->pass_taps - 1) / layout->pass_taps;
    const size_t row_cuts = (layout->row_taps + layout->pass_rows - 1) / layout->pass_rows;
    u->accumulate = pass > 0;
    u->tap_first = pass % tap_cuts * layout->pass_taps;
    u->taps = least(layout->pass_taps, layout->taps - u->tap_first);
    pass /= tap_cuts;
    u->row_tap_first = pass % row_cuts * layout->pass_rows;
    u->row_taps = least(layout->pass_rows, layout->row_taps - u->row_tap_first);
    u->plane_first = pass / row_cuts * layout->pass_planes;
    u->planes = least(layout->pass_planes, layout->planes - u->plane_first);
    u->input_rows = (u->rows - 1) * layout->row_step + u->row_taps;
    if (layout->mode == DIRECT_PHASES)
        u->input_rows = (layout->phases - 1) * layout->stride + u->row_taps;
}

static void place_tensors(struct unit *u, const struct convolve_run *run)
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

static void place_scratch(struct unit *u, void *tile_scratch)
{
    const struct direct_layout *layout = u->layout;
    unsigned char *cursor = tile_scratch;
    const size_t rows = layout->mode == DIRECT_PHASES ? layout->phases : layout->unit_rows;
    const size_t copied = layout->mode == DIRECT_PHASES ? layout->pass_planes : layout->table_rows;
    const size_t place = layout->mode == DIRECT_IN_PLACE
                             ? (layout->unit_cells + (layout->pass_taps - 1) * layout->dilation) * layout->cell
                             : 0;
    u->bases = plan_scratch_take(&cursor, layout->table_rows, sizeof(void *));
    u->table = plan_scratch_take(&cursor, layout->table_rows, sizeof(void *));
    u->outputs = plan_scratch_take(&cursor, rows, sizeof(void *));
    u->copies = plan_scratch_take(&cursor, copied * layout->row_elements, layout->element_bytes);
    u->constant =
        plan_scratch_take(&cursor, place > layout->row_elements ? place : layout->row_elements, layout->element_bytes);
    u->temporary = cursor;
}

/* The offset of the input row that tap `tap` of axis `axis` reads, in values; false where it is the constant. */
static bool row_offset(const struct unit *u, unsigned axis, size_t place, size_t *offset)
{
    const struct direct_axis *a = &u->layout->outer[axis];
    const size_t index = boundary_index(u->plan->spec.boundary, (int64_t)place - (int64_t)a->before, a->input);
    *offset += index == BOUNDARY_NONE ? 0 : index * a->input_pitch;
    return index != BOUNDARY_NONE;
}

/* Fills `bases` with the input's rows, each at its first cell. */
static void find_bases(struct unit *u, size_t rows)
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
        for (size_t i = 0; i < rows; i++) {
            size_t row = offset;
            const bool there = inside && (layout->shared < 0 ||
                                          row_offset(u, (unsigned)layout->shared, first + i * layout->row_unit, &row));
            u->bases[plane * rows + i] = there ? u->input + row * value_bytes : NULL;
        }
    }
}

/* ---- Copies ----------------------------------------------------------------------------------------------------------- */

static void fill_constant(const struct unit *u, unsigned char *out, size_t elements)
{
    const struct convolve_scalar fill = u->plan->spec.fillvalue;
    const unsigned odd = u->layout->parts - 1; /* the imaginary parts */
    switch (u->layout->element) {
    case DIRECT_F32: {
        const float pair[2] = {(float)fill.real, (float)fill.imag};
        for (size_t i = 0; i < elements; i++)
            ((float *)out)[i] = pair[i & odd];
        break;
    }
    case DIRECT_F64: {
        const double pair[2] = {fill.real, fill.imag};
        for (size_t i = 0; i < elements; i++)
            ((double *)out)[i] = pair[i & odd];
        break;
    }
    case DIRECT_U64:
        for (size_t i = 0; i < elements; i++)
            ((int64_t *)out)[i] = fill.integer;
        break;
    }
}

/* Cells at start, start + step, ... of a row; those from `inside` up to `end` lie within it. */
struct span {
    int64_t start, step;
    size_t count, inside, end;
};

static struct span find_span(const struct direct_layout *layout, int64_t start, size_t step, size_t count)
{
    const int64_t length = (int64_t)layout->cells_in, signed_step = (int64_t)step;
    const size_t inside = start >= 0 ? 0 : (size_t)((-start + signed_step - 1) / signed_step);
    const size_t end = start >= length ? 0 : (size_t)((length - start + signed_step - 1) / signed_step);
    struct span span = {start, signed_step, count, least(inside, count), least(end, count)};
    span.end = span.end < span.inside ? span.inside : span.end;
    return span;
}

/* The cells first .. end of a span, which the boundary supplies. */
static void fill_beyond(const struct unit *u, unsigned char *out, const unsigned char *base, const struct span *span,
                        size_t first, size_t end)
{
    const struct direct_layout *layout = u->layout;
    const size_t cell_bytes = layout->cell * layout->element_bytes, pitch = layout->pitch_in * layout->element_bytes;
    if (u->plan->spec.boundary == CONVOLVE_CONSTANT) {
        fill_constant(u, out + first * cell_bytes, (end - first) * layout->cell);
        return;
    }
    for (size_t i = first; i < end; i++) {
        const size_t index =
            boundary_index(u->plan->spec.boundary, span->start + (int64_t)i * span->step, layout->cells_in);
        memcpy(out + i * cell_bytes, base + index * pitch, cell_bytes);
    }
}

/* A span of the row that begins at `base`. */
static void fill_span(const struct unit *u, unsigned char *out, const unsigned char *base, const struct span *span)
{
    const struct direct_layout *layout = u->layout;
    const size_t cell_bytes = layout->cell * layout->element_bytes, pitch = layout->pitch_in * layout->element_bytes;
    if (span->inside > 0)
        fill_beyond(u, out, base, span, 0, span->inside);
    if (span->end < span->count)
        fill_beyond(u, out, base, span, span->end, span->count);
    if (span->inside == span->end)
        return;
    const unsigned char *from = base + (size_t)(span->start + (int64_t)span->inside * span->step) * pitch;
    const size_t count = span->end - span->inside, apart = (size_t)span->step * pitch;
    out += span->inside * cell_bytes;
    if (apart == cell_bytes)
        memcpy(out, from, count * cell_bytes);
    else if (cell_bytes == 4)
        for (size_t i = 0; i < count; i++)
            memcpy(out + i * 4, from + i * apart, 4);
    else if (cell_bytes == 8)
        for (size_t i = 0; i < count; i++)
            memcpy(out + i * 8, from + i * apart, 8);
    else
        for (size_t i = 0; i < count; i++)
            memcpy(out + i * cell_bytes, from + i * apart, cell_bytes);
}

/* The second copy of complex values, turned: then their product is two chains of real taps. */
static void turn_copy(const struct unit *u, unsigned char *copy, size_t elements)
{
    unsigned char *const turned = copy + u->layout->turn_offset * u->layout->element_bytes;
    if (u->layout->parts == 1)
        return;
    if (u->layout->element == DIRECT_F32)
        u->plan->routines->turn_f32((float *)turned, (const float *)copy, elements / 2);
    else
        u->plan->routines->turn_f64((double *)turned, (const double *)copy, elements / 2);
}

/* Copies all rows of the table whole, for `cells` outputs from `first` on; the constant too, where a row is that. */
static void copy_rows(const struct unit *u, size_t first, size_t cells, bool with_constant)
{
    const struct direct_layout *layout = u->layout;
    const int64_t start = (int64_t)(first * layout->stride + u->tap_first * layout->dilation) - (int64_t)layout->before;
    const size_t count = layout->slot_each_tap ? cells : cells + (u->taps - 1) * layout->dilation / layout->stride;
    const size_t slots = least(layout->slots, u->taps), rows = u->planes * u->input_rows;
    const size_t row_bytes = layout->row_elements * layout->element_bytes;
    for (size_t slot = 0; slot < slots; slot++) {
        const size_t at = slot * layout->slot_cells * layout->cell * layout->element_bytes;
        const struct span span =
            find_span(layout, start + (int64_t)direct_slot_start(layout, slot), layout->stride, count);
        for (size_t i = 0; i < rows; i++) {
            if (!u->bases[i])
                continue;
            fill_span(u, u->copies + i * row_bytes + at, u->bases[i], &span);
            turn_copy(u, u->copies + i * row_bytes + at, count * layout->cell);
        }
        if (!with_constant)
            continue;
        fill_constant(u, u->constant + at, count * layout->cell);
        turn_copy(u, u->constant + at, count * layout->cell);
    }
}

/* ---- Blocks ----------------------------------------------------------------------------------------------------------- */

static void run_block(const struct unit *u, const struct simd_block *block)
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

static struct simd_block describe_block(const struct unit *u)
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
static void move_output(const struct unit *u, unsigned char *dense, unsigned char *output, size_t cells, bool out)
{
    const size_t cell_bytes = u->layout->cell * u->layout->element_bytes;
    const size_t pitch = u->layout->pitch_out * u->layout->element_bytes;
    for (size_t i = 0; i < cells; i++)
        memcpy(out ? output + i * pitch : dense + i * cell_bytes, out ? dense + i * cell_bytes : output + i * pitch,
               cell_bytes);
}

/* The outputs first .. first+cells of every row, from rows in place (which the windows must not leave) or from copies. */
static void make_part(struct unit *u, size_t first, size_t cells, bool in_place)
{
    const struct direct_layout *layout = u->layout;
    const size_t bytes = layout->element_bytes, total = u->planes * u->input_rows;
    const bool scattered = layout->pitch_out != layout->cell;
    bool with_constant = false;
    if (cells == 0)
        return;
    for (size_t i = 0; i < total; i++)
        with_constant |= !u->bases[i];
    if (!in_place)
        copy_rows(u, first, cells, with_constant);
    else if (with_constant)
        fill_constant(u, u->constant, (cells + (u->taps - 1) * layout->dilation) * layout->cell);
    const size_t shift = (first + u->tap_first * layout->dilation - layout->before) * layout->cell * bytes;
    for (size_t i = 0; i < total; i++)
        u->table[i] = !u->bases[i] ? u->constant
                      : in_place   ? u->bases[i] + shift
                                   : u->copies + i * layout->row_elements * bytes;
    struct simd_block block = describe_block(u);
    block.offsets = in_place ? u->state->place_offsets : u->state->copy_offsets;
    block.count = cells * layout->cell;
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
    run_block(u, &block);
    for (size_t row = 0; scattered && row < u->rows; row++)
        move_output(u, u->outputs[row], u->output + row * u->output_row_pitch * layout->parts * bytes, cells, true);
}

static void make_rows(struct unit *u)
{
    const struct direct_layout *layout = u->layout;
    const size_t end = u->cell_first + u->cells;
    find_bases(u, u->input_rows);
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

/* ---- Phases ----------------------------------------------------------------------------------------------------------- */

/* Deals the positions that the segment's windows reach out to modulus slots: slot f holds f, f + modulus, ... */
static void deal_input(const struct unit *u, unsigned char *copy, const unsigned char *base)
{
    const struct direct_layout *layout = u->layout;
    const size_t bytes = layout->element_bytes, cell_bytes = layout->cell * bytes, modulus = layout->slots;
    const int64_t start = (int64_t)(u->cell_first * layout->stride + u->row_tap_first) - (int64_t)layout->before;
    const size_t count = (u->cells - 1) * layout->stride + u->row_taps;
    const bool within = base && start >= 0 && (size_t)start + count <= layout->cells_in;
    const bool dense = within && layout->pitch_in == layout->cell && (cell_bytes == 4 || cell_bytes == 8);
    if (dense) {
        const unsigned char *const from = base + (size_t)start * cell_bytes;
        if (cell_bytes == 4)
            u->plan->routines->split_u32(copy, layout->slot_cells, from, count, modulus);
        else
            u->plan->routines->split_u64(copy, layout->slot_cells, from, count, modulus);
    }
    for (size_t slot = 0; slot < modulus; slot++) {
        unsigned char *const out = copy + slot * layout->slot_cells * cell_bytes;
        const size_t filled = slot < count ? (count - slot - 1) / modulus + 1 : 0;
        if (!dense && base) {
            const struct span span = find_span(layout, start + (int64_t)slot, modulus, filled);
            fill_span(u, out, base, &span);
        } else if (!dense)
            fill_constant(u, out, filled * layout->cell);
        /* Phases that are a cell shorter are computed as long as the others; what they read is not used. */
        memset(out + filled * cell_bytes, 0, (layout->slot_cells - filled) * cell_bytes);
        turn_copy(u, out, layout->slot_cells * layout->cell);
    }
}

static void deal_output(const struct unit *u, unsigned char *output, size_t phase_cells, bool out)
{
    const struct direct_layout *layout = u->layout;
    const size_t cell_bytes = layout->cell * layout->element_bytes, pitch = layout->pitch_out * layout->element_bytes;
    if (pitch == cell_bytes && (cell_bytes == 4 || cell_bytes == 8)) {
        const struct simd_routines *const routines = u->plan->routines;
        if (cell_bytes == 4 && out)
            routines->merge_u32(output, u->temporary, phase_cells, u->cells, layout->phases);
        else if (cell_bytes == 4)
            routines->split_u32(u->temporary, phase_cells, output, u->cells, layout->phases);
        else if (out)
            routines->merge_u64(output, u->temporary, phase_cells, u->cells, layout->phases);
        else
            routines->split_u64(u->temporary, phase_cells, output, u->cells, layout->phases);
        return;
    }
    for (size_t i = 0; i < u->cells; i++) {
        unsigned char *const dealt =
            u->temporary + (i % layout->phases * phase_cells + i / layout->phases) * cell_bytes;
        memcpy(out ? output + i * pitch : dealt, out ? dealt : output + i * pitch, cell_bytes);
    }
}

/* Output o of a row is output o / phases of phase o % phases. Its tap t reads position o*stride + t, which is cell
 * (i + ...) / modulus of slot i % modulus with i = phase*stride + t: the phases share their rows as image rows do. */
static void make_phases(struct unit *u)
{
    const struct direct_layout *layout = u->layout;
    const size_t bytes = layout->element_bytes, modulus = layout->slots;
    const size_t phase_cells = (u->cells + layout->phases - 1) / layout->phases;
    find_bases(u, u->rows);
    for (size_t row = 0; row < u->rows; row++) {
        unsigned char *const output = u->output + row * u->output_row_pitch * layout->parts * bytes;
        for (size_t plane = 0; plane < u->planes; plane++) {
            unsigned char *const copy = u->copies + plane * layout->row_elements * bytes;
            deal_input(u, copy, u->bases[plane * u->rows + row]);
            for (size_t i = 0; i < u->input_rows; i++)
                u->table[plane * u->input_rows + i] =
                    copy + (i % modulus * layout->slot_cells + i / modulus) * layout->cell * bytes;
        }
        for (size_t phase = 0; phase < layout->phases; phase++)
            u->outputs[phase] = u->temporary + phase * phase_cells * layout->cell * bytes;
        if (u->accumulate)
            deal_output(u, output, phase_cells, false);
        struct simd_block block = describe_block(u);
        block.row_step = layout->stride;
        block.output_rows = layout->phases;
        block.offsets = u->state->copy_offsets;
        block.count = phase_cells * layout->cell;
        run_block(u, &block);
        deal_output(u, output, phase_cells, true);
    }
}

/* ---- What came out ---------------------------------------------------------------------------------------------------- */

static bool all_finite(const struct convolve_plan *plan, const void *values, size_t elements)
{
    return direct_state(plan)->layout.element == DIRECT_F32 ? plan->routines->finite_f32(values, elements)
                                                            : plan->routines->finite_f64(values, elements);
}

void direct_look_at(const struct convolve_plan *plan, const struct convolve_run *run, size_t index, size_t count)
{
    const struct direct_layout *layout = &direct_state(plan)->layout;
    const size_t value_bytes = layout->element_bytes * layout->parts;
    struct direct_findings *const findings = direct_scratch_parts(layout, run->scratch).findings;
    const unsigned char *const values = (const unsigned char *)run->output + index * value_bytes;
    if (layout->element == DIRECT_U64 || all_finite(plan, values, count * layout->parts))
        return;
    for (size_t i = 0; i < count; i++) {
        if (all_finite(plan, values + i * value_bytes, layout->parts))
            continue;
        if (plan->spec.ignore_missing) {
            direct_mend_output(plan, run, index + i);
            continue;
        }
        direct_note_nonfinite(findings, index + i);
        return;
    }
}

void direct_run_unit(const struct convolve_plan *plan, const struct convolve_run *run, size_t unit, size_t pass,
                     void *tile_scratch)
{
    struct unit u = {.plan = plan, .state = direct_state(plan), .layout = &direct_state(plan)->layout};
    if (!place_unit(&u, unit))
        return;
    place_pass(&u, pass);
    place_tensors(&u, run);
    if (plan->slices && !plan->slices[u.slice])
        return;
    place_scratch(&u, tile_scratch);
    if (u.layout->mode == DIRECT_PHASES)
        make_phases(&u);
    else
        make_rows(&u);
}
