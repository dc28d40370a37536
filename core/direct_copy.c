/* SPDX-License-Identifier: MIT */
/* Rows of the input brought together for a unit of direct: what the boundary supplies, what the stride leaves, and complex
 * values a second time, turned. */
#include "core/boundary.h"
#include "core/direct_unit.h"
#include "core/layout_math.h"

#include <string.h>

void direct_fill_constant(const struct direct_unit *u, unsigned char *out, size_t elements)
{
    const struct convolve_scalar fill = u->plan->spec.fillvalue;
    const unsigned parts = u->layout->parts;
    const double of_part[2] = {fill.real, fill.imag};
    for (unsigned part = 0; part < parts; part++)
        switch (u->layout->element) {
        case DIRECT_F32:
            for (size_t i = part; i < elements; i += parts)
                ((float *)out)[i] = (float)of_part[part];
            break;
        case DIRECT_F64:
            for (size_t i = part; i < elements; i += parts)
                ((double *)out)[i] = of_part[part];
            break;
        case DIRECT_U64:
            for (size_t i = 0; i < elements; i++)
                ((int64_t *)out)[i] = fill.integer;
            break;
        }
}

struct direct_span direct_find_span(const struct direct_layout *layout, int64_t start, size_t step, size_t count)
{
    const int64_t length = (int64_t)layout->cells_in, signed_step = (int64_t)step;
    const size_t inside = start >= 0 ? 0 : (size_t)((-start + signed_step - 1) / signed_step);
    const size_t end = start >= length ? 0 : (size_t)((length - start + signed_step - 1) / signed_step);
    struct direct_span span = {start, signed_step, count, least(inside, count), least(end, count)};
    span.end = span.end < span.inside ? span.inside : span.end;
    return span;
}

/* The cells first .. end of a span, which the boundary supplies. */
static void fill_beyond(const struct direct_unit *u, unsigned char *out, const unsigned char *base,
                        const struct direct_span *span, size_t first, size_t end)
{
    const struct direct_layout *layout = u->layout;
    const size_t cell_bytes = layout->cell * layout->element_bytes, pitch = layout->pitch_in * layout->element_bytes;
    if (u->plan->spec.boundary == CONVOLVE_CONSTANT) {
        direct_fill_constant(u, out + first * cell_bytes, (end - first) * layout->cell);
        return;
    }
    for (size_t i = first; i < end; i++) {
        const size_t index =
            boundary_index(u->plan->spec.boundary, span->start + (int64_t)i * span->step, layout->cells_in);
        memcpy(out + i * cell_bytes, base + index * pitch, cell_bytes);
    }
}

void direct_fill_span(const struct direct_unit *u, unsigned char *out, const unsigned char *base,
                      const struct direct_span *span)
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

void direct_turn_copy(const struct direct_unit *u, unsigned char *copy, size_t elements)
{
    unsigned char *const turned = copy + u->layout->turn_offset * u->layout->element_bytes;
    if (u->layout->parts == 1)
        return;
    if (u->layout->element == DIRECT_F32)
        u->plan->routines->turn_f32((float *)turned, (const float *)copy, elements / 2);
    else
        u->plan->routines->turn_f64((double *)turned, (const double *)copy, elements / 2);
}

void direct_copy_rows(const struct direct_unit *u, size_t first, size_t cells, bool with_constant)
{
    const struct direct_layout *layout = u->layout;
    const int64_t start = (int64_t)(first * layout->stride + u->tap_first * layout->dilation) - (int64_t)layout->before;
    const size_t count = layout->slot_each_tap ? cells : cells + (u->taps - 1) * layout->dilation / layout->stride;
    const size_t slots = least(layout->slots, u->taps), rows = u->planes * u->input_rows;
    const size_t row_bytes = layout->row_elements * layout->element_bytes;
    for (size_t slot = 0; slot < slots; slot++) {
        const size_t at = slot * layout->slot_cells * layout->cell * layout->element_bytes;
        const struct direct_span span =
            direct_find_span(layout, start + (int64_t)direct_slot_start(layout, slot), layout->stride, count);
        for (size_t i = 0; i < rows; i++) {
            if (!u->bases[i])
                continue;
            direct_fill_span(u, u->copies + i * row_bytes + at, u->bases[i], &span);
            direct_turn_copy(u, u->copies + i * row_bytes + at, count * layout->cell);
        }
        if (!with_constant)
            continue;
        direct_fill_constant(u, u->constant + at, count * layout->cell);
        direct_turn_copy(u, u->constant + at, count * layout->cell);
    }
}
