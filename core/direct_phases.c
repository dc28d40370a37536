/* SPDX-License-Identifier: MIT */
/* Long rows without rows to share: a row is dealt out to phases, which then share their inputs as image rows do. */
#include "core/direct_unit.h"

#include <string.h>

/* Deals the positions that the segment's windows reach out to modulus slots: slot f holds f, f + modulus, ... */
static void deal_input(const struct direct_unit *u, unsigned char *copy, const unsigned char *base)
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
            const struct direct_span span = direct_find_span(layout, start + (int64_t)slot, modulus, filled);
            direct_fill_span(u, out, base, &span);
        } else if (!dense)
            direct_fill_constant(u, out, filled * layout->cell);
        /* Phases that are a cell shorter are computed as long as the others; what they read is not used. */
        memset(out + filled * cell_bytes, 0, (layout->slot_cells - filled) * cell_bytes);
        direct_turn_copy(u, out, layout->slot_cells * layout->cell);
    }
}

static void deal_output(const struct direct_unit *u, unsigned char *output, size_t phase_cells, bool out)
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
void direct_make_phases(struct direct_unit *u)
{
    const struct direct_layout *layout = u->layout;
    const size_t bytes = layout->element_bytes, modulus = layout->slots;
    const size_t phase_cells = (u->cells + layout->phases - 1) / layout->phases;
    direct_find_bases(u, u->rows);
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
        struct simd_block block = direct_describe_block(u);
        block.row_step = layout->stride;
        block.output_rows = layout->phases;
        block.offsets = u->state->copy_offsets;
        block.count = phase_cells * layout->cell;
        direct_run_block(u, &block);
        deal_output(u, output, phase_cells, true);
    }
}
