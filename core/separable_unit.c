/* SPDX-License-Identifier: MIT */
/* One unit: where it lies, and its passes, from the rows of the input through tile scratch to the output. */
#include "core/separable_unit.h"

#include "core/boundary.h"
#include "core/layout_math.h"

#include <string.h>

/* ---- Where the unit lies ---------------------------------------------------------------------------------------------- */

/* Along one pass axis. False where the phase has no such group: phases may differ by an output. */
static bool place_axis(struct separable_unit *u, unsigned index, size_t group, size_t phase)
{
    const struct separable_axis *axis = &u->layout->axis[index];
    const size_t all = (axis->output - phase + axis->apart - 1) / axis->apart, row = group * axis->rows;
    if (row >= all)
        return false;
    u->rows[index] = least(axis->rows, all - row);
    u->positions[index] = (u->rows[index] - 1) * axis->step + axis->taps;
    u->first[index] = phase + row * axis->apart;
    u->output_index += u->first[index] * axis->output_pitch;
    return true;
}

/* Neighbouring units follow each other along the outermost pass axis, where they share what they read. */
static bool place_unit(struct separable_unit *u, size_t unit)
{
    const struct separable_layout *layout = u->layout;
    for (unsigned i = 0; i < layout->pass_count; i++) {
        const struct separable_axis *axis = &layout->axis[i];
        const size_t group = unit % axis->groups;
        unit /= axis->groups;
        const size_t phase = unit % axis->apart;
        unit /= axis->apart;
        if (!place_axis(u, i, group, phase))
            return false;
    }
    u->cell_first = unit % layout->segments * layout->segment_cells;
    unit /= layout->segments;
    u->cells = least(layout->segment_cells, layout->cells_out - u->cell_first);
    u->output_index += layout->row_pass ? u->cell_first * layout->axis[layout->axis_count - 1].output_pitch
                                        : u->cell_first / layout->parts;
    for (unsigned i = layout->loop_axes; i-- > 0;) {
        const struct separable_loop *loop = &layout->loop[i];
        const size_t place = unit % loop->output;
        unit /= loop->output;
        const size_t index = boundary_index(u->plan->spec.boundary,
                                            (int64_t)(place * loop->stride) - (int64_t)loop->before, loop->input);
        u->constant |= index == BOUNDARY_NONE;
        u->input_offset += index == BOUNDARY_NONE ? 0 : index * loop->input_pitch;
        u->slice += place * loop->kernel_groups_pitch;
        u->output_index += place * loop->output_pitch;
    }
    return true;
}

static void place_scratch(struct separable_unit *u, void *tile_scratch)
{
    const struct separable_layout *layout = u->layout;
    const size_t element = layout->element_bytes;
    size_t positions = 0, table = 0, rows = 1;
    for (unsigned i = 0; i < layout->pass_count; i++) {
        positions += layout->axis[i].positions;
        table = layout->axis[i].positions > table ? layout->axis[i].positions : table;
        rows = layout->axis[i].rows > rows ? layout->axis[i].rows : rows;
    }
    size_t outputs = rows;
    for (unsigned i = 0; i < 2; i++)
        outputs = layout->buffer_rows[i] > outputs ? layout->buffer_rows[i] : outputs;
    unsigned char *cursor = tile_scratch;
    size_t *position = plan_scratch_take(&cursor, positions, sizeof(size_t));
    for (unsigned i = 0; i < layout->pass_count; i++) {
        u->position[i] = position;
        position += layout->axis[i].positions;
    }
    u->table = plan_scratch_take(&cursor, table > outputs ? table : outputs, sizeof(void *));
    u->outputs = plan_scratch_take(&cursor, outputs, sizeof(void *));
    u->buffer[0] = plan_scratch_take(&cursor, layout->buffer_rows[0] * layout->row_pitch, element);
    u->buffer[1] = plan_scratch_take(&cursor, layout->buffer_rows[1] * layout->row_pitch, element);
    u->gathered = plan_scratch_take(&cursor, layout->gather_rows * layout->gather_cells * layout->cell, element);
    u->constants = plan_scratch_take(&cursor, layout->row_pitch, element);
    u->turned =
        plan_scratch_take(&cursor, layout->parts == 1 ? 0 : (SEPARABLE_TURNED_ROWS + 1) * layout->row_pitch, element);
    u->slots = plan_scratch_take(&cursor, layout->slots * layout->slot_cells * layout->cell, element);
    u->temporary = cursor;
}

static void find_positions(struct separable_unit *u)
{
    for (unsigned i = 0; i < u->layout->pass_count; i++) {
        const struct separable_axis *axis = &u->layout->axis[i];
        for (size_t v = 0; v < u->positions[i]; v++) {
            const int64_t place = (int64_t)(u->first[i] * axis->stride + v * axis->dilation) - (int64_t)axis->before;
            const size_t index = boundary_index(u->plan->spec.boundary, place, axis->input);
            u->position[i][v] = index == BOUNDARY_NONE ? BOUNDARY_NONE : index * axis->input_pitch;
        }
    }
}

/* ---- A pass ----------------------------------------------------------------------------------------------------------- */

static void run_block(const struct separable_unit *u, const struct simd_block *block)
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

/* Adds the imaginary unit times `turned` to each output row. */
static void add_turned(const struct separable_unit *u, const struct simd_block *block)
{
    static const float one_f32 = 1;
    static const double one_f64 = 1;
    const struct separable_layout *layout = u->layout;
    const bool f32 = layout->element == DIRECT_F32;
    unsigned char *const again = u->turned;
    for (size_t r = 0; r < block->output_rows; r++) {
        const void *const row = u->turned + (r + 1) * layout->row_pitch * layout->element_bytes;
        if (f32)
            u->plan->routines->turn_f32((float *)again, row, block->count / 2);
        else
            u->plan->routines->turn_f64((double *)again, row, block->count / 2);
        const void *const rows[1] = {again};
        void *const output[1] = {block->output[r]};
        const struct simd_block sum = {.rows = rows,
                                       .planes = 1,
                                       .row_taps = 1,
                                       .row_step = 1,
                                       .taps = 1,
                                       .values = f32 ? (const void *)&one_f32 : (const void *)&one_f64,
                                       .accumulate = true,
                                       .output = output,
                                       .output_rows = 1,
                                       .count = block->count};
        run_block(u, &sum);
    }
}

/* Of a complex factor the imaginary parts make a sum of their own,
 * which is then turned and added. */
void separable_run_factor(const struct separable_unit *u, unsigned axis, size_t first, struct simd_block *block)
{
    const size_t bytes = u->layout->element_bytes;
    block->planes = 1;
    block->values = (const unsigned char *)u->factors->real[axis] + first * bytes;
    run_block(u, block);
    if (!u->factors->complex[axis])
        return;
    void *rows[SEPARABLE_TURNED_ROWS];
    const void *const *const all_rows = block->rows;
    void *const *const all_outputs = block->output;
    const size_t all = block->output_rows;
    struct simd_block imaginary = *block;
    imaginary.values = (const unsigned char *)u->factors->imag[axis] + first * bytes;
    imaginary.accumulate = false;
    imaginary.output = rows;
    for (size_t r = 0; r < all; r += imaginary.output_rows) {
        imaginary.output_rows = least(SEPARABLE_TURNED_ROWS, all - r);
        imaginary.rows = all_rows + r * block->row_step;
        for (size_t i = 0; i < imaginary.output_rows; i++)
            rows[i] = u->turned + (i + 1) * u->layout->row_pitch * bytes;
        run_block(u, &imaginary);
        block->output = all_outputs + r;
        block->output_rows = imaginary.output_rows;
        add_turned(u, block);
    }
}

/* ---- The passes between ----------------------------------------------------------------------------------------------- */

/* The value of the output, from the unit's first on, that row `row` of the outputs along pass axes 0 .. axes-1 begins with. */
static size_t output_offset(const struct separable_unit *u, size_t row, unsigned axes)
{
    size_t offset = 0;
    for (unsigned i = axes; i-- > 0; row /= u->rows[i])
        offset += row % u->rows[i] * u->layout->axis[i].apart * u->layout->axis[i].output_pitch;
    return offset;
}

static unsigned char *output_at(const struct separable_unit *u, size_t offset)
{
    return u->output + (u->output_index + offset) * u->layout->parts * u->layout->element_bytes;
}

/* From one buffer to the other; without a row pass the last one writes the output. */
static void middle_pass(struct separable_unit *u, unsigned j)
{
    const struct separable_layout *layout = u->layout;
    const struct separable_axis *axis = &layout->axis[j];
    const unsigned char *const from = u->buffer[(j - 1) % 2];
    const size_t row_bytes = layout->row_pitch * layout->element_bytes;
    const bool last = j + 1 == layout->axis_count;
    size_t before = 1, after = 1;
    for (unsigned i = 0; i < layout->pass_count; i++) {
        before *= i < j ? u->rows[i] : 1;
        after *= i > j ? u->positions[i] : 1;
    }
    for (size_t a = 0; a < before; a++)
        for (size_t z = 0; z < after; z++) {
            for (size_t v = 0; v < u->positions[j]; v++)
                u->table[v] = from + ((a * u->positions[j] + v) * after + z) * row_bytes;
            for (size_t r = 0; r < u->rows[j]; r++)
                u->outputs[r] = last ? output_at(u, output_offset(u, a * u->rows[j] + r, j + 1))
                                     : u->buffer[j % 2] + ((a * u->rows[j] + r) * after + z) * row_bytes;
            struct simd_block block = {.rows = u->table,
                                       .row_taps = axis->taps,
                                       .row_step = axis->step,
                                       .taps = 1,
                                       .row_pitch = 1,
                                       .output = u->outputs,
                                       .output_rows = u->rows[j],
                                       .count = u->span * layout->cell};
            separable_run_factor(u, j, 0, &block);
        }
}

/* ---- The pass along the row ------------------------------------------------------------------------------------------- */

static size_t row_count(const struct separable_unit *u)
{
    size_t rows = 1;
    for (unsigned i = 0; i < u->layout->pass_count; i++)
        rows *= u->rows[i];
    return rows;
}

/* Brings together what a stride keeps apart: slot f has the cells f*dilation % stride + i*stride. */
static void deal_slots(const struct separable_unit *u, const unsigned char *row)
{
    const struct separable_layout *layout = u->layout;
    const struct separable_axis *axis = &layout->axis[layout->axis_count - 1];
    const size_t cell_bytes = layout->cell * layout->element_bytes;
    for (size_t slot = 0; slot < layout->slots; slot++) {
        unsigned char *out = u->slots + slot * layout->slot_cells * cell_bytes;
        for (size_t i = slot * axis->dilation % axis->stride; i < u->span; i += axis->stride, out += cell_bytes)
            memcpy(out, row + i * cell_bytes, cell_bytes);
    }
}

/* Moves a row between the output, whose cells lie pitch_out apart, and a dense one. */
static void move_output(const struct separable_unit *u, unsigned char *output, bool out)
{
    const size_t cell_bytes = u->layout->cell * u->layout->element_bytes;
    const size_t pitch = u->layout->pitch_out * u->layout->element_bytes;
    for (size_t i = 0; i < u->cells; i++)
        memcpy(out ? output + i * pitch : u->temporary + i * cell_bytes,
               out ? u->temporary + i * cell_bytes : output + i * pitch, cell_bytes);
}

static void row_pass(struct separable_unit *u)
{
    const struct separable_layout *layout = u->layout;
    const size_t rows = row_count(u), row_bytes = layout->row_pitch * layout->element_bytes;
    const unsigned char *const from = u->buffer[(layout->pass_count - 1) % 2];
    const bool scattered = layout->pitch_out != layout->cell, alone = scattered || layout->slots > 0;
    struct simd_block block = {.rows = u->table,
                               .row_taps = 1,
                               .row_step = 1,
                               .taps = u->taps,
                               .offsets = u->state->offsets,
                               .accumulate = u->tap_first > 0,
                               .output = u->outputs,
                               .output_rows = rows,
                               .count = u->cells * layout->cell,
                               .stream = layout->streams};
    for (size_t r = 0; r < rows; r++) {
        unsigned char *const output = output_at(u, output_offset(u, r, layout->pass_count));
        const size_t i = alone ? 0 : r;
        u->table[i] = from + r * row_bytes;
        u->outputs[i] = scattered ? u->temporary : output;
        if (!alone)
            continue;
        if (layout->slots > 0) {
            deal_slots(u, from + r * row_bytes);
            u->table[0] = u->slots;
        }
        if (scattered && block.accumulate)
            move_output(u, output, false);
        struct simd_block single = block;
        single.output_rows = 1;
        separable_run_factor(u, layout->axis_count - 1, u->tap_first, &single);
        if (scattered)
            move_output(u, output, true);
    }
    if (!alone)
        separable_run_factor(u, layout->axis_count - 1, u->tap_first, &block);
}

/* ---- The unit --------------------------------------------------------------------------------------------------------- */

void separable_run_unit(const struct convolve_plan *plan, const struct convolve_run *run, size_t unit,
                        void *tile_scratch)
{
    const struct separable_state *const state = separable_state(plan);
    const struct separable_layout *const layout = &state->layout;
    struct separable_unit u = {
        .plan = plan, .state = state, .layout = layout, .input = run->input, .output = run->output};
    if (!place_unit(&u, unit) || !state->mine[u.slice])
        return;
    u.factors = &state->factors[u.slice];
    place_scratch(&u, tile_scratch);
    find_positions(&u);
    const size_t taps = layout->row_pass ? layout->axis[layout->axis_count - 1].taps : 1;
    for (; u.tap_first < taps; u.tap_first += layout->chunk_taps) {
        u.taps = least(layout->chunk_taps, taps - u.tap_first);
        u.span = u.cells;
        if (layout->row_pass) {
            const struct separable_axis *row = &layout->axis[layout->axis_count - 1];
            u.span = (u.cells - 1) * row->stride + (u.taps - 1) * row->dilation + 1;
        }
        separable_first_pass(&u);
        for (unsigned j = 1; j < layout->pass_count; j++)
            middle_pass(&u, j);
        if (layout->row_pass)
            row_pass(&u);
    }
}
