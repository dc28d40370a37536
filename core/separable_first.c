/* SPDX-License-Identifier: MIT */
/* The first pass of a unit, which reads the input: what reaches beyond an end of the row is copied, boundary and all; beyond the
 * ends of the other axes stand other rows, or the constant. */
#include "core/boundary.h"
#include "core/layout_math.h"
#include "core/separable_unit.h"

#include <math.h>
#include <string.h>

static void fill_constant(const struct separable_unit *u, unsigned char *out, size_t elements)
{
    const struct convolve_scalar fill = u->plan->spec.fillvalue;
    const unsigned parts = u->layout->parts;
    for (size_t i = 0; i < elements; i++) {
        const double part = i % parts ? fill.imag : fill.real;
        if (u->layout->element == DIRECT_F32)
            ((float *)out)[i] = (float)part;
        else if (u->layout->element == DIRECT_F64)
            ((double *)out)[i] = part;
        else
            ((int64_t *)out)[i] = fill.integer;
    }
}

/* The cells of a row that stand at `count` places, given as distances in bytes from its first, or BOUNDARY_NONE. */
static void gather_cells(const struct separable_unit *u, unsigned char *out, const unsigned char *base,
                         const size_t *places, size_t count)
{
    const struct separable_layout *layout = u->layout;
    const size_t cell_bytes = layout->cell * layout->element_bytes;
    for (size_t i = 0; i < count; i++, out += cell_bytes) {
        if (!base || places[i] == BOUNDARY_NONE)
            fill_constant(u, out, layout->cell);
        else if (cell_bytes == 4)
            memcpy(out, base + places[i], 4);
        else if (cell_bytes == 8)
            memcpy(out, base + places[i], 8);
        else
            memcpy(out, base + places[i], cell_bytes);
    }
}

/* Where the cells from `start` on are: what gather_cells takes. */
static void find_places(const struct separable_unit *u, size_t *places, int64_t start, size_t count)
{
    const struct separable_layout *layout = u->layout;
    const size_t length = layout->axis[layout->axis_count - 1].input;
    for (size_t i = 0; i < count; i++) {
        const size_t index = boundary_index(u->plan->spec.boundary, start + (int64_t)i, length);
        places[i] = index == BOUNDARY_NONE ? BOUNDARY_NONE : index * layout->pitch_in * layout->element_bytes;
    }
}

/* Where the input row of position v begins, with the other axes at `offset`; NULL for the constant. */
static const unsigned char *input_row(const struct separable_unit *u, size_t v, size_t offset, bool constant)
{
    const struct separable_layout *layout = u->layout;
    if (constant || u->position[0][v] == BOUNDARY_NONE)
        return NULL;
    return u->input + (offset + u->position[0][v]) * layout->parts * layout->element_bytes;
}

/* Whether the constant makes zeros of whatever the taps are: those are finite, and sums begin with +0. */
static bool constant_is_zero(const struct separable_unit *u)
{
    const struct convolve_scalar fill = u->plan->spec.fillvalue;
    if (u->layout->element == DIRECT_U64)
        return fill.integer == 0;
    return fill.real == 0 && !signbit(fill.real) && (u->layout->parts == 1 || (fill.imag == 0 && !signbit(fill.imag)));
}

static bool are_beyond(const size_t *places, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (places[i] != BOUNDARY_NONE)
            return false;
    return true;
}

static void clear_piece(const struct separable_unit *u, size_t z, size_t all_z, size_t first, size_t cells)
{
    const struct separable_layout *layout = u->layout;
    const size_t cell_bytes = layout->cell * layout->element_bytes, pitch = layout->row_pitch * layout->element_bytes;
    for (size_t r = 0; r < u->rows[0]; r++)
        memset(u->buffer[0] + (r * all_z + z) * pitch + first * cell_bytes, 0, cells * cell_bytes);
}

/* The cells first .. first + cells of the span, in buffer 0, of all rows that the positions `z` of the other axes give. `place`
 * is the first one's place in the input's row. */
static void make_piece(struct separable_unit *u, size_t z, size_t all_z, size_t offset, bool constant, size_t first,
                       size_t cells, int64_t place, bool gather)
{
    const struct separable_layout *layout = u->layout;
    const struct separable_axis *axis = &layout->axis[0];
    const size_t bytes = layout->element_bytes, cell_bytes = layout->cell * bytes;
    const size_t taps_max = gather ? layout->gather_taps : axis->taps;
    size_t places[SEPARABLE_GATHER_CELLS];
    if (gather) {
        find_places(u, places, place, cells);
        if (are_beyond(places, cells) && constant_is_zero(u)) {
            clear_piece(u, z, all_z, first, cells);
            return;
        }
    }
    for (size_t tap = 0; tap < axis->taps; tap += taps_max) {
        const size_t taps = least(taps_max, axis->taps - tap), rows = (u->rows[0] - 1) * axis->step + taps;
        for (size_t i = 0; i < rows; i++) {
            const unsigned char *const base = input_row(u, tap + i, offset, constant);
            unsigned char *const copy = u->gathered + i * layout->gather_cells * cell_bytes;
            if (gather) {
                gather_cells(u, copy, base, places, cells);
                u->table[i] = copy;
                continue;
            }
            if (!base && !u->constants_made) {
                fill_constant(u, u->constants, layout->span * layout->cell);
                u->constants_made = true;
            }
            u->table[i] = base ? base + (size_t)place * cell_bytes : u->constants;
        }
        for (size_t r = 0; r < u->rows[0]; r++)
            u->outputs[r] = u->buffer[0] + (r * all_z + z) * layout->row_pitch * bytes + first * cell_bytes;
        struct simd_block block = {.rows = u->table,
                                   .row_taps = taps,
                                   .row_step = axis->step,
                                   .taps = 1,
                                   .row_pitch = 1,
                                   .accumulate = tap > 0,
                                   .output = u->outputs,
                                   .output_rows = u->rows[0],
                                   .count = cells * layout->cell};
        separable_run_factor(u, 0, tap, &block);
    }
}

static void make_pieces(struct separable_unit *u, size_t z, size_t all_z, size_t offset, bool constant)
{
    const struct separable_layout *layout = u->layout;
    if (!layout->row_pass) {
        make_piece(u, z, all_z, offset, constant, 0, u->span, (int64_t)u->cell_first, false);
        return;
    }
    const struct separable_axis *row = &layout->axis[layout->axis_count - 1];
    const int64_t start = (int64_t)(u->cell_first * row->stride + u->tap_first * row->dilation) - (int64_t)row->before;
    size_t inside = 0, end = 0; /* of the span, where cells may be read in place */
    if (layout->pitch_in == layout->cell) {
        inside = start < 0 ? least((size_t)-start, u->span) : 0;
        end = start < (int64_t)row->input ? least((size_t)((int64_t)row->input - start), u->span) : 0;
        end = end < inside ? inside : end;
    }
    if (inside == end)
        inside = end = 0;
    for (size_t i = 0; i < inside; i += layout->gather_cells)
        make_piece(u, z, all_z, offset, constant, i, least(layout->gather_cells, inside - i), start + (int64_t)i, true);
    if (inside < end)
        make_piece(u, z, all_z, offset, constant, inside, end - inside, start + (int64_t)inside, false);
    for (size_t i = end; i < u->span; i += layout->gather_cells)
        make_piece(u, z, all_z, offset, constant, i, least(layout->gather_cells, u->span - i), start + (int64_t)i,
                   true);
}

void separable_first_pass(struct separable_unit *u)
{
    size_t all_z = 1;
    for (unsigned i = 1; i < u->layout->pass_count; i++)
        all_z *= u->positions[i];
    for (size_t z = 0; z < all_z; z++) {
        size_t offset = u->input_offset, rest = z;
        bool constant = u->constant;
        for (unsigned i = u->layout->pass_count; i-- > 1;) {
            const size_t position = u->position[i][rest % u->positions[i]];
            rest /= u->positions[i];
            constant |= position == BOUNDARY_NONE;
            offset += position == BOUNDARY_NONE ? 0 : position;
        }
        make_pieces(u, z, all_z, offset, constant);
    }
}
