/* SPDX-License-Identifier: MIT */
/* The copied input of a unit. For each channel (and part of a complex value) lie, along each axis, slots of cells: cell i of
 * slot f is the source's place (unit's first + i)*step + first + f's own start. Rows beyond the ends are what the boundary
 * supplies. The taps' offsets into one channel are the same for all of them. */
#include "core/layer_state.h"

#include "core/boundary.h"

#include <string.h>

/* The place of tap `tap` relative to the least of the phase's taps. */
static size_t tap_place(const struct layer_cut *cut, const struct layer_phase *phase, size_t tap)
{
    return cut->delta < 0 ? (phase->taps - 1 - tap) * (size_t)-cut->delta : tap * (size_t)cut->delta;
}

/* Places of the source from cell to cell of a slot. */
static size_t cell_step(const struct layer_cut *cut)
{
    return cut->whole ? 1 : cut->step;
}

/* The source's place of cell 0 of a slot, for a unit whose first place is `first`. */
static int64_t slot_start(const struct layer_cut *cut, const struct layer_phase *phase, size_t slot, size_t first)
{
    const int64_t start = (int64_t)(first * cut->step) + phase->first;
    if (cut->slot_each_tap)
        return start + (int64_t)slot * cut->delta;
    const int64_t least = cut->delta < 0 ? (int64_t)(phase->taps - 1) * cut->delta : 0;
    return start + least + (int64_t)(slot * cut->slot_step);
}

static size_t slot_count(const struct layer_cut *cut, const struct layer_phase *phase)
{
    return cut->slot_each_tap ? phase->taps : cut->slots;
}

/* Cells of the unit's slots; no more than the plan has counted. */
static size_t cell_count(const struct layer_cut *cut, const struct layer_phase *phase, size_t count)
{
    const size_t last = tap_place(cut, phase, cut->delta < 0 ? 0 : phase->taps - 1);
    return cut->slot_each_tap ? count : cut->whole ? (count - 1) * cut->step + last + 1 : count + last / cut->step;
}

/* What tap `tap` adds to an offset: its slot, and the cells within it. */
static size_t tap_offset(const struct layer_cut *cut, const struct layer_phase *phase, size_t tap, size_t slot_pitch,
                         size_t cell_pitch)
{
    if (cut->slot_each_tap)
        return tap * slot_pitch;
    const size_t place = tap_place(cut, phase, tap);
    if (cut->whole)
        return place * cell_pitch;
    return place % cut->step / cut->slot_step * slot_pitch + place / cut->step * cell_pitch;
}

/* How a copied channel is laid out: [z slot][y slot][x slot][y cell][x cell]. */
struct layout {
    size_t slots[LAYER_AXES], cells[LAYER_AXES]; /* along z a slot has one cell */
    size_t pitch[LAYER_AXES]; /* from slot to slot */
    size_t channel;
};

static struct layout lay_out(const struct layer_unit *unit)
{
    struct layout layout;
    for (unsigned i = 0; i < LAYER_AXES; i++) {
        layout.slots[i] = slot_count(&unit->state->cut[i], &unit->phase[i]);
        layout.cells[i] = cell_count(&unit->state->cut[i], &unit->phase[i], unit->count[i]);
    }
    layout.pitch[2] = layout.cells[1] * layout.cells[2];
    layout.pitch[1] = layout.pitch[2] * layout.slots[2];
    layout.pitch[0] = layout.pitch[1] * layout.slots[1];
    layout.channel = layer_copy_pitch(unit->state, layout.pitch[0] * layout.slots[0]);
    return layout;
}

void layer_copy_offsets(struct layer_unit *unit)
{
    const struct layer_cut *cut = unit->state->cut;
    const struct layer_phase *phase = unit->phase;
    ptrdiff_t *offset = unit->offsets;
    unit->tap_count = phase[0].taps * phase[1].taps * phase[2].taps * unit->state->parts;
    if (unit->tap_count == 0)
        return;
    const struct layout layout = lay_out(unit);
    unit->row_pitch = layout.cells[2] * (cut[1].whole ? cut[1].step : 1);
    unit->channel_pitch = layout.channel * unit->state->parts;
    for (size_t z = 0; z < phase[0].taps; z++)
        for (size_t y = 0; y < phase[1].taps; y++)
            for (size_t x = 0; x < phase[2].taps; x++)
                for (unsigned part = 0; part < unit->state->parts; part++)
                    *offset++ =
                        (ptrdiff_t)(tap_offset(&cut[0], &phase[0], z, layout.pitch[0], 0) +
                                    tap_offset(&cut[1], &phase[1], y, layout.pitch[1], layout.cells[2]) +
                                    tap_offset(&cut[2], &phase[2], x, layout.pitch[2], 1) + part * layout.channel);
}

/* ---- Rows ------------------------------------------------------------------------------------------------------------- */

/* A row of cells: where in the source it starts, and which of its cells lie inside. */
struct span {
    int64_t start, step;
    size_t inside, end, count;
};

static struct span span_of(int64_t start, size_t step, size_t count, size_t length)
{
    const int64_t signed_step = (int64_t)step, signed_length = (int64_t)length;
    struct span span = {.start = start, .step = signed_step, .count = count};
    span.inside = start >= 0 ? 0 : layer_least((size_t)((-start + signed_step - 1) / signed_step), count);
    span.end = start >= signed_length ? 0 : (size_t)((signed_length - start + signed_step - 1) / signed_step);
    span.end = span.end < span.inside ? span.inside : layer_least(span.end, count);
    return span;
}

/* memcpy for rows that are mostly short: whole pieces, the last beginning earlier. */
static inline void copy_cells(void *restrict out, const void *restrict in, size_t bytes)
{
    enum { PIECE = 16, LONG = 1024 };
    if (bytes < PIECE || bytes > LONG) {
        memcpy(out, in, bytes);
        return;
    }
    for (size_t i = 0; i + PIECE <= bytes; i += PIECE)
        memcpy((char *)out + i, (const char *)in + i, PIECE);
    memcpy((char *)out + bytes - PIECE, (const char *)in + bytes - PIECE, PIECE);
}

/* `pitch` is between neighbours in the source, in elements. */
#define DEFINE_FILL(type, suffix)                                                                                      \
    static void fill_outside_##suffix(type *out, const type *base, const struct span *span, size_t from, size_t to,    \
                                      size_t pitch, enum convolve_boundary boundary, size_t length)                    \
    {                                                                                                                  \
        for (size_t i = from; i < to; i++) {                                                                           \
            const size_t index = boundary_index(boundary, span->start + (int64_t)i * span->step, length);              \
            out[i] = index == BOUNDARY_NONE ? 0 : base[index * pitch];                                                 \
        }                                                                                                              \
    }                                                                                                                  \
    static void fill_row_##suffix(type *restrict out, const type *restrict base, const struct span *span,              \
                                  size_t pitch, enum convolve_boundary boundary, size_t length)                        \
    {                                                                                                                  \
        if (boundary == CONVOLVE_CONSTANT) {                                                                           \
            for (size_t i = 0; i < span->inside; i++)                                                                  \
                out[i] = 0;                                                                                            \
            for (size_t i = span->end; i < span->count; i++)                                                           \
                out[i] = 0;                                                                                            \
        } else {                                                                                                       \
            fill_outside_##suffix(out, base, span, 0, span->inside, pitch, boundary, length);                          \
            fill_outside_##suffix(out, base, span, span->end, span->count, pitch, boundary, length);                   \
        }                                                                                                              \
        if (span->inside == span->end)                                                                                 \
            return;                                                                                                    \
        const size_t apart = pitch * (size_t)span->step;                                                               \
        const type *from = base + (size_t)(span->start + (int64_t)span->inside * span->step) * pitch;                  \
        if (apart == 1) {                                                                                              \
            copy_cells(out + span->inside, from, (span->end - span->inside) * sizeof *out);                            \
            return;                                                                                                    \
        }                                                                                                              \
        for (size_t i = span->inside; i < span->end; i++, from += apart)                                               \
            out[i] = *from;                                                                                            \
    }
DEFINE_FILL(uint32_t, u32)
DEFINE_FILL(uint64_t, u64)
#undef DEFINE_FILL

/* Only conv reads beyond the ends by the padding's mode; the others find nothing there. */
static enum convolve_boundary boundary_of(const struct layer_state *state)
{
    return layer_reads_y(&state->geometry) ? CONVOLVE_CONSTANT : state->geometry.boundary;
}

static void fill_row(const struct layer_state *state, unsigned char *out, const unsigned char *base,
                     const struct span *span, size_t pitch)
{
    const size_t length = state->cut[2].source;
    const enum convolve_boundary boundary = boundary_of(state);
    if (!base)
        memset(out, 0, span->count * state->element_bytes);
    else if (state->element_bytes == 4)
        fill_row_u32((uint32_t *)(void *)out, (const uint32_t *)(const void *)base, span, pitch, boundary, length);
    else
        fill_row_u64((uint64_t *)(void *)out, (const uint64_t *)(const void *)base, span, pitch, boundary, length);
}

void layer_copy_row(const struct layer_state *state, void *out, const void *base, int64_t start, size_t step,
                    size_t count)
{
    const struct span span = span_of(start, step, count, state->cut[2].source);
    fill_row(state, out, base, &span, state->source.axis_pitch[2] * state->parts);
}

/* The offset of the source's place along an axis, in values; false where it is a zero. */
static bool place_offset(const struct layer_state *state, unsigned axis, int64_t place, size_t *offset)
{
    const size_t index = boundary_index(boundary_of(state), place, state->cut[axis].source);
    *offset = index == BOUNDARY_NONE ? 0 : index * state->source.axis_pitch[axis];
    return index != BOUNDARY_NONE;
}

static void put_zeros(const struct layer_unit *unit, const struct layout *layout, unsigned char *to, size_t from,
                      size_t end)
{
    const size_t bytes = unit->state->element_bytes, step = unit->state->cut[2].step;
    for (size_t i = from; i < end; i++) {
        unsigned char *const cell = to + (i % step * layout->pitch[2] + i / step) * bytes;
        if (bytes == 4)
            memset(cell, 0, 4);
        else
            memset(cell, 0, 8);
    }
}

/* A row whose step is above 1, into all slots of x at once: cell i of slot s is the place start + i*step + s. The span is
 * that of the places. */
static void split_row(const struct layer_unit *unit, const struct layout *layout, unsigned char *to,
                      const unsigned char *base, const struct span *span)
{
    const struct layer_state *state = unit->state;
    const size_t bytes = state->element_bytes, step = state->cut[2].step;
    size_t i = span->inside;
    put_zeros(unit, layout, to, 0, span->inside);
    put_zeros(unit, layout, to, span->end, span->count);
    if (span->inside == span->end)
        return;
    const unsigned char *from = base + (size_t)(span->start + (int64_t)i) * bytes;
    for (; i % step && i < span->end; i++, from += bytes) {
        unsigned char *const cell = to + (i % step * layout->pitch[2] + i / step) * bytes;
        if (bytes == 4)
            memcpy(cell, from, 4);
        else
            memcpy(cell, from, 8);
    }
    if (bytes == 4)
        unit->plan->routines->split_u32(to + i / step * 4, layout->pitch[2], from, span->end - i, step);
    else
        unit->plan->routines->split_u64(to + i / step * 8, layout->pitch[2], from, span->end - i, step);
}

/* Clears cells of every row, `pitch` bytes apart. */
static void clear_cells(unsigned char *to, size_t rows, size_t pitch, size_t bytes, size_t from, size_t end)
{
    for (size_t row = 0; from < end && row < rows; row++, to += pitch)
        for (size_t i = from; i < end; i++) {
            if (bytes == 4)
                memset(to + i * 4, 0, 4);
            else
                memset(to + i * 8, 0, 8);
        }
}

/* All rows inside as split_row does it, for a step of 2: the source's values go to either slot in turns. `to` is the first
 * such row of the first slot. */
static void halve_rows(const struct layer_unit *unit, const struct layout *layout, unsigned char *to,
                       const unsigned char *from, size_t from_pitch, size_t rows, const struct span *span)
{
    const size_t bytes = unit->state->element_bytes, pitch = layout->cells[2], count = span->end - span->inside;
    unsigned char *const slots[2] = {to, to + layout->pitch[2] * bytes};
    for (size_t slot = 0; slot < 2; slot++) {
        clear_cells(slots[slot], rows, pitch * bytes, bytes, 0, (span->inside + 1 - slot) / 2);
        clear_cells(slots[slot], rows, pitch * bytes, bytes, (span->end + 1 - slot) / 2, pitch);
    }
    if (count == 0)
        return;
    unsigned char *const first = slots[span->inside % 2] + span->inside / 2 * bytes;
    unsigned char *const second = slots[(span->inside + 1) % 2] + (span->inside + 1) / 2 * bytes;
    struct simd_facts facts = {.fractional = true}; /* known: there is nothing to look for */
    if (bytes == 4)
        unit->plan->routines->plane_copy_f32(&facts, (float *)(void *)first, (float *)(void *)second, pitch,
                                             (const float *)(const void *)from, from_pitch, rows, count);
    else
        unit->plan->routines->plane_copy_f64(&facts, (double *)(void *)first, (double *)(void *)second, pitch,
                                             (const double *)(const void *)from, from_pitch, rows, count);
}

/* Every second value of `rows` rows. What lies between goes where the next row goes after it, so the last row is not made;
 * returns how many are. */
static size_t thin_rows(const struct layer_unit *unit, unsigned char *to, size_t to_pitch, const unsigned char *from,
                        size_t from_pitch, size_t rows, const struct span *span)
{
    const size_t bytes = unit->state->element_bytes, count = 2 * (span->end - span->inside) - 1;
    struct simd_facts facts = {.fractional = true}; /* known: there is nothing to look for */
    unsigned char *const out = to + span->inside * bytes, *const next = out + to_pitch * bytes;
    if (span->inside == span->end || rows < 2)
        return 0;
    clear_cells(to, rows - 1, to_pitch * bytes, bytes, 0, span->inside);
    clear_cells(to, rows - 1, to_pitch * bytes, bytes, span->end, span->count);
    if (bytes == 4)
        unit->plan->routines->plane_copy_f32(&facts, (float *)(void *)out, (float *)(void *)next, to_pitch,
                                             (const float *)(const void *)from, from_pitch, rows - 1, count);
    else
        unit->plan->routines->plane_copy_f64(&facts, (double *)(void *)out, (double *)(void *)next, to_pitch,
                                             (const double *)(const void *)from, from_pitch, rows - 1, count);
    return rows - 1;
}

/* One plane of slots of one channel's part, where zeros stand outside. `base` is the source's first place. */
static void copy_part(const struct layer_unit *unit, const struct layout *layout, unsigned char *to,
                      const unsigned char *base, const struct span *rows)
{
    const struct layer_state *state = unit->state;
    const struct layer_cut *x = &state->cut[2];
    const size_t step = cell_step(x);
    const size_t bytes = state->element_bytes, row_bytes = layout->cells[2] * bytes;
    const size_t value = bytes * state->parts, pitch = state->source.axis_pitch[1] * value;
    const bool split = step > 1 && !x->slot_each_tap && layout->slots[2] == step && state->parts == 1 &&
                       state->source.axis_pitch[2] == 1;
    const size_t slots = split ? 1 : layout->slots[2];
    for (size_t slot = 0; slot < layout->slots[2]; slot++) {
        memset(to + slot * layout->pitch[2] * bytes, 0, rows->inside * row_bytes);
        memset(to + slot * layout->pitch[2] * bytes + rows->end * row_bytes, 0, (rows->count - rows->end) * row_bytes);
    }
    const bool whole = step == 1 && state->parts == 1 && state->source.axis_pitch[2] == 1;
    const bool halves = step == 2 && state->parts == 1 && state->source.axis_pitch[2] == 1;
    for (size_t slot = 0; slot < slots; slot++, to += layout->pitch[2] * bytes) {
        const int64_t start = slot_start(x, &unit->phase[2], slot, unit->first[2]);
        const struct span span = split ? span_of(start, 1, layout->cells[2] * step, x->source)
                                       : span_of(start, step, layout->cells[2], x->source);
        if (whole && rows->inside < rows->end) {
            const unsigned char *const from =
                base + (size_t)(rows->start + (int64_t)rows->inside * rows->step) * pitch +
                (span.inside < span.end ? (size_t)(span.start + (int64_t)span.inside) * bytes : 0);
            (bytes == 4 ? unit->plan->routines->pad_u32 : unit->plan->routines->pad_u64)(
                to + rows->inside * row_bytes, layout->cells[2], from, pitch / bytes * (size_t)rows->step,
                rows->end - rows->inside, span.inside, span.end - span.inside, span.count - span.end);
            continue;
        }
        size_t row = rows->inside;
        if (halves && rows->inside < rows->end) {
            const unsigned char *const from =
                base + (size_t)(rows->start + (int64_t)rows->inside * rows->step) * pitch +
                (span.inside < span.end ? (size_t)(span.start + (int64_t)span.inside * span.step) * bytes : 0);
            const size_t from_pitch = pitch / bytes * (size_t)rows->step, inside = rows->end - rows->inside;
            if (split) {
                halve_rows(unit, layout, to + row * row_bytes, from, from_pitch, inside, &span);
                continue;
            }
            row += thin_rows(unit, to + row * row_bytes, layout->cells[2], from, from_pitch, inside, &span);
        }
        for (; row < rows->end; row++) {
            const unsigned char *const from = base + (size_t)(rows->start + (int64_t)row * rows->step) * pitch;
            if (split)
                split_row(unit, layout, to + row * row_bytes, from, &span);
            else
                fill_row(state, to + row * row_bytes, from, &span, state->source.axis_pitch[2] * state->parts);
        }
    }
}

/* One plane of slots (z slot, y slot) of every channel, where zeros stand outside. */
static void copy_bounded(const struct layer_unit *unit, const struct layout *layout, const unsigned char *source,
                         size_t channels, size_t z, size_t y)
{
    const struct layer_state *state = unit->state;
    const struct layer_cut *cut = state->cut;
    const size_t bytes = state->element_bytes, value = bytes * state->parts;
    const int64_t plane = slot_start(&cut[0], &unit->phase[0], z, unit->first[0]);
    struct span rows = span_of(slot_start(&cut[1], &unit->phase[1], y, unit->first[1]), cell_step(&cut[1]),
                               layout->cells[1], cut[1].source);
    unsigned char *to = (unsigned char *)unit->space + (z * layout->pitch[0] + y * layout->pitch[1]) * bytes;
    if (plane < 0 || plane >= (int64_t)cut[0].source) {
        rows.end = rows.inside;
    } else {
        source += (size_t)plane * state->source.axis_pitch[0] * value;
    }
    for (size_t c = 0; c < channels; c++)
        for (unsigned part = 0; part < state->parts; part++, to += layout->channel * bytes)
            copy_part(unit, layout, to, source + c * state->source.channel_pitch * value + part * bytes, &rows);
}

/* The same for every boundary. */
static void copy_plane(const struct layer_unit *unit, const struct layout *layout, const unsigned char *source,
                       size_t channels, size_t z, size_t y)
{
    const struct layer_state *state = unit->state;
    const struct layer_cut *cut = state->cut;
    const size_t bytes = state->element_bytes, value = bytes * state->parts;
    size_t plane_offset;
    const bool plane_inside =
        place_offset(state, 0, slot_start(&cut[0], &unit->phase[0], z, unit->first[0]), &plane_offset);
    const int64_t row_start = slot_start(&cut[1], &unit->phase[1], y, unit->first[1]);
    unsigned char *const out = (unsigned char *)unit->space + (z * layout->pitch[0] + y * layout->pitch[1]) * bytes;
    for (size_t x = 0; x < layout->slots[2]; x++) {
        const struct span span = span_of(slot_start(&cut[2], &unit->phase[2], x, unit->first[2]), cell_step(&cut[2]),
                                         layout->cells[2], cut[2].source);
        for (size_t row = 0; row < layout->cells[1]; row++) {
            size_t offset;
            const bool inside =
                place_offset(state, 1, row_start + (int64_t)(row * cell_step(&cut[1])), &offset) && plane_inside;
            offset += plane_offset;
            unsigned char *to = out + (x * layout->pitch[2] + row * layout->cells[2]) * bytes;
            for (size_t c = 0; c < channels; c++)
                for (unsigned part = 0; part < state->parts; part++, to += layout->channel * bytes)
                    fill_row(state, to,
                             inside ? source + (offset + c * state->source.channel_pitch) * value + part * bytes : NULL,
                             &span, state->source.axis_pitch[2] * state->parts);
        }
    }
}

void layer_copy_input(const struct layer_unit *unit, size_t channel, size_t channels)
{
    const struct layer_state *state = unit->state;
    const struct layout layout = lay_out(unit);
    const size_t first =
        unit->item * state->source.item_pitch + (unit->group * state->channels + channel) * state->source.channel_pitch;
    const unsigned char *const source =
        (const unsigned char *)layer_source(state, unit->run) + first * state->element_bytes * state->parts;
    for (size_t z = 0; z < layout.slots[0]; z++)
        for (size_t y = 0; y < layout.slots[1]; y++)
            (boundary_of(state) == CONVOLVE_CONSTANT ? copy_bounded : copy_plane)(unit, &layout, source, channels, z,
                                                                                  y);
}

void layer_copy_ahead(struct layer_unit *unit, size_t channel)
{
    const struct layer_state *state = unit->state;
    const struct layer_cut *const y = &state->cut[1];
    const struct layer_phase *const phase = &unit->phase[1];
    size_t first = unit->first[1];
    unit->ahead = unit->copy;
    unit->ahead_pitch = unit->ahead_lines = 0;
    if (!state->outer || state->in_place || state->parts > 1 || state->cut[0].source > 1 || state->cut[2].units > 1 ||
        state->source.axis_pitch[2] != 1)
        return;
    if (channel >= state->channels) {
        channel = 0;
        first += y->unit;
    }
    if (first >= phase->places)
        return;
    const int64_t reach = (int64_t)(phase->taps - 1) * y->delta, source = (int64_t)y->source;
    const int64_t low = (int64_t)(first * y->step) + phase->first + (reach < 0 ? reach : 0);
    const size_t last = layer_least(y->unit, phase->places - first) - 1;
    int64_t end = (int64_t)((first + last) * y->step) + phase->first + (reach > 0 ? reach : 0) + 1;
    const int64_t from = low < 0 ? 0 : low;
    end = end < source ? end : source;
    if (from >= end)
        return;
    unit->ahead = (const unsigned char *)layer_source(state, unit->run) +
                  (unit->item * state->source.item_pitch +
                   (unit->group * state->channels + channel) * state->source.channel_pitch +
                   (size_t)from * state->source.axis_pitch[1]) *
                      state->element_bytes;
    unit->ahead_pitch = state->source.channel_pitch * state->element_bytes;
    unit->ahead_lines = layer_divide_up((size_t)(end - from) * state->source.axis_pitch[1] * state->element_bytes, 64);
}

void layer_copy_look(const struct layer_unit *unit, size_t channels, struct layer_facts *facts)
{
    const struct layer_state *state = unit->state;
    const struct layout layout = lay_out(unit);
    const unsigned char *channel = unit->space;
    for (size_t c = 0; c < channels * state->parts; c++, channel += layout.channel * state->element_bytes)
        layer_look(unit->plan, channel, layout.pitch[0] * layout.slots[0], facts);
}
