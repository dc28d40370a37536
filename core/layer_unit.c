/* SPDX-License-Identifier: MIT */
/* One unit: copies its input, makes its rows with panels, and brings what did not go straight to its place there. Channels
 * that do not fit the copy together, or the first-level cache, are taken in turns, the rows going on where they were. */
#include "core/layer_state.h"

#include <string.h>

enum {
    PANEL_BYTES = 20 << 10, /* of the first-level cache, for the input */
    PANEL_LINE_BYTES = 128, /* of one channel's row under a block of places */
    STREAM_BYTES = 1 << 20, /* of the target, from which on panels write past the caches */
};

/* Its places along an axis; false where it is empty: phases may differ by a place, and so by a unit. */
static bool place_axis(struct layer_unit *unit, unsigned axis)
{
    const struct layer_state *state = unit->state;
    unit->phase[axis] = layer_phase_at(state, axis, unit->phase_number[axis]);
    const size_t left = unit->phase[axis].places - unit->first[axis];
    if (unit->first[axis] >= unit->phase[axis].places)
        return false;
    unit->count[axis] = layer_least(state->cut[axis].unit, left);
    return true;
}

/* Of a pair the first unit. */
static bool place_unit(struct layer_unit *unit, size_t number)
{
    const struct layer_state *state = unit->state;
    unit->row = number % state->row_units * state->unit_rows;
    unit->rows = layer_least(state->unit_rows, state->rows - unit->row);
    number /= state->row_units;
    /* Phases next to each other: of a line of the target each has a part. */
    for (unsigned i = LAYER_AXES; i-- > 0;) {
        const size_t phases = i == 2 && state->pairs ? 1 : state->cut[i].phases;
        unit->phase_number[i] = number % phases;
        number /= phases;
    }
    for (unsigned i = LAYER_AXES; i-- > 0;) {
        unit->first[i] = number % state->cut[i].units * state->cut[i].unit;
        number /= state->cut[i].units;
        if (!place_axis(unit, i))
            return false;
    }
    unit->group = number % state->geometry.groups;
    unit->item = number / state->geometry.groups;
    return true;
}

/* The target's value at place (row of places y, place x) of a row, in values; the plane is the unit's. */
static size_t target_value(const struct layer_unit *unit, size_t row, size_t y, size_t x)
{
    const struct layer_state *state = unit->state;
    const size_t place[LAYER_AXES] = {0, y, x};
    size_t value = unit->item * state->target.item_pitch +
                   (unit->group * state->row_channels + row / state->parts) * state->target.channel_pitch;
    for (unsigned i = 0; i < LAYER_AXES; i++)
        value += (unit->phase_number[i] + (unit->first[i] + place[i]) * state->cut[i].phases_apart) *
                 state->target.axis_pitch[i];
    return value;
}

static unsigned char *target_of(const struct layer_unit *unit)
{
    const struct layer_state *state = unit->state;
    return state->fold ? layer_scratch_parts(state, unit->run->scratch).target : unit->run->output;
}

unsigned char *layer_target_row(const struct layer_unit *unit, size_t row, size_t y)
{
    const struct layer_state *state = unit->state;
    return target_of(unit) + (target_value(unit, row, y, 0) * state->parts + row % state->parts) * state->element_bytes;
}

/* The unit's first place in a channel of the source, where units read that in place. */
static const void *source_place(const struct layer_unit *unit, size_t channel)
{
    const struct layer_state *state = unit->state;
    const size_t value = unit->item * state->source.item_pitch +
                         (unit->group * state->channels + channel) * state->source.channel_pitch + unit->first[2];
    return (const unsigned char *)layer_source(state, unit->run) + value * state->element_bytes;
}

/* ---- Rows to their places --------------------------------------------------------------------------------------------- */

void layer_move_row(const struct layer_state *state, unsigned char *to, const unsigned char *from, size_t count,
                    size_t pitch)
{
    if (pitch == 1) {
        memcpy(to, from, count * state->element_bytes);
    } else if (state->element_bytes == 4) {
        for (size_t i = 0; i < count; i++)
            memcpy(to + i * pitch * 4, from + i * 4, 4);
    } else {
        for (size_t i = 0; i < count; i++)
            memcpy(to + i * pitch * 8, from + i * 8, 8);
    }
}

static void move_rows(const struct layer_unit *unit)
{
    const struct layer_state *state = unit->state;
    const size_t bytes = state->element_bytes, parts = state->parts;
    const size_t pitch = state->target.axis_pitch[2] * state->cut[2].phases_apart * parts;
    const size_t row_bytes = state->target.axis_pitch[1] * state->cut[1].phases_apart * parts * bytes;
    const struct simd_routines *const routines = unit->plan->routines;
    for (size_t row = 0; row < unit->rows; row++) {
        const unsigned char *made = (const unsigned char *)unit->made + row * unit->made_pitch * bytes;
        unsigned char *to = layer_target_row(unit, unit->row + row, 0);
        for (size_t y = 0; y < unit->count[1]; y++, made += unit->row_pitch * bytes, to += row_bytes) {
            if (pitch == 1)
                memcpy(to, made, unit->count[2] * bytes);
            else
                (bytes == 4 ? routines->spread_u32 : routines->spread_u64)(to, pitch, made, unit->count[2]);
        }
    }
}

/* ---- Panels ----------------------------------------------------------------------------------------------------------- */

static bool run_panel(const struct layer_unit *unit, const struct simd_panel *panel)
{
    const struct simd_routines *const routines = unit->plan->routines;
    return (unit->state->element == LAYER_F32   ? routines->panel_f32
            : unit->state->element == LAYER_F64 ? routines->panel_f64
                                                : routines->panel_u64)(panel);
}

/* Whether the target is so large that it is not to be found in the second-level cache by who reads it next. */
static bool streams(const struct layer_unit *unit, const struct simd_panel *panel)
{
    const struct layer_state *state = unit->state;
    return unit->straight && state->geometry.output_count >= STREAM_BYTES / state->element_bytes &&
           (uintptr_t)panel->output % 64 == 0 && panel->output_pitch * state->element_bytes % 64 == 0;
}

/* One row of places, or all as one, of `channels` copied channels. `channel` is the first of them. What panels read of one
 * stretch of places should stay in the first-level cache: where a block of places is too much, channels are taken in turns.
 * Whether all that is made is finite, as far as is known: what is not remains so. */
static bool run_panels(const struct layer_unit *unit, struct simd_panel *panel, size_t channel, size_t channels)
{
    const struct layer_state *state = unit->state;
    const struct layer_cut *cut = state->cut;
    const size_t lines = cut[0].taps * cut[1].taps * (cut[2].slot_each_tap ? cut[2].taps : 1);
    const size_t fit = layer_least(PANEL_BYTES / PANEL_LINE_BYTES / lines, channels);
    const size_t most = unit->tap_count == 0 ? channels : fit ? fit : 1;
    const unsigned char *const input = panel->input;
    const void *const bias = panel->bias;
    bool finite = true;
    panel->stream = streams(unit, panel) && most == channels && channels == state->channels;
    panel->stretch = most == channels ? PANEL_BYTES / state->element_bytes / lines / channels : 0;
    for (size_t c = 0; c < channels; c += most) {
        const size_t taken = layer_least(most, channels - c);
        panel->input = input + c * unit->channel_pitch * state->element_bytes;
        panel->channels = unit->tap_count ? taken : 0;
        panel->skipped = (channel + c) * unit->tap_count;
        panel->accumulate = channel + c > 0;
        panel->bias = channel + c + taken == state->channels ? bias : NULL;
        finite = run_panel(unit, panel);
    }
    return finite;
}

unsigned char *layer_made_row(const struct layer_unit *unit, size_t row, size_t *pitch)
{
    const struct layer_state *state = unit->state;
    const size_t bytes = state->element_bytes;
    *pitch = (unit->straight ? state->target.axis_pitch[1] * state->cut[1].phases_apart : unit->row_pitch) * bytes;
    if (unit->straight)
        return layer_target_row(unit, row, 0);
    return (unsigned char *)unit->made + (row - unit->row) * unit->made_pitch * bytes;
}

/* The packed weights of the unit's rows. */
static const unsigned char *packed_weights(const struct layer_unit *unit)
{
    return (const unsigned char *)layer_scratch_parts(unit->state, unit->run->scratch).packed +
           layer_pack_offset(unit->state, unit->phase, unit->group, unit->row) * unit->state->element_bytes;
}

/* All rows of the unit from `channels` copied channels, `channel` the first of them. Whether all are finite. */
static bool make_rows(const struct layer_unit *unit, size_t channel, size_t channels)
{
    const struct layer_state *state = unit->state;
    const size_t bytes = state->element_bytes;
    struct simd_panel panel = {
        .channel_pitch = unit->channel_pitch,
        .offsets = unit->offsets,
        .taps = unit->tap_count,
        .weights = packed_weights(unit),
        .block_pitch = state->channels * unit->tap_count * SIMD_PANEL_ROWS,
        .bias = unit->run->bias
                    ? (const unsigned char *)unit->run->bias + (unit->group * state->rows + unit->row) * bytes
                    : NULL,
        .rows = unit->rows,
        .output_pitch = unit->straight ? state->target.channel_pitch : unit->made_pitch,
    };
    size_t made_pitch;
    unsigned char *const made = layer_made_row(unit, unit->row, &made_pitch);
    bool finite = true;
    for (size_t y = 0; y < (unit->flat ? 1 : unit->count[1]); y++) {
        panel.input = (const unsigned char *)unit->copy + y * unit->row_pitch * bytes;
        panel.output = made + y * made_pitch;
        panel.count = !unit->flat      ? unit->count[2]
                      : unit->straight ? unit->count[1] * unit->count[2]
                                       : (unit->count[1] - 1) * unit->row_pitch + unit->count[2];
        finite &= run_panels(unit, &panel, channel, channels);
    }
    return finite;
}

/* All rows as one where the gaps between them cost less than the vectors that their ends leave half empty; straight to the
 * target where places are neighbours there. */
static void choose_shape(struct layer_unit *unit)
{
    const struct layer_state *state = unit->state;
    const size_t lanes = 64 / state->element_bytes, y = unit->count[1], x = unit->count[2];
    const bool neighbours = state->parts == 1 && state->target.axis_pitch[2] == 1 && state->cut[2].phases_apart == 1;
    if (unit->tap_count == 0)
        unit->row_pitch = x;
    const bool dense = unit->row_pitch == x;
    const size_t flat_vectors = ((y - 1) * unit->row_pitch + x + lanes - 1) / lanes;
    unit->flat = y > 1 && !state->by_rows && !state->outer && (dense || flat_vectors < (x + lanes - 1) / lanes * y);
    unit->straight =
        neighbours && (!unit->flat || (dense && state->cut[1].phases_apart == 1 && state->target.axis_pitch[1] == x));
    unit->made_pitch = (y - 1) * unit->row_pitch + x;
}

/* The same of what filters' blocks made beside the target. */
static bool made_is_finite(const struct layer_unit *unit)
{
    const struct simd_routines *const routines = unit->plan->routines;
    const size_t count = unit->rows * unit->made_pitch;
    return !unit->straight && (unit->state->element == LAYER_F32 ? routines->finite_f32(unit->made, count)
                                                                 : routines->finite_f64(unit->made, count));
}

static void look_at_rows(const struct layer_unit *unit)
{
    const struct layer_state *state = unit->state;
    if (state->fold || state->element == LAYER_U64)
        return;
    const size_t pitch = state->target.axis_pitch[2] * state->cut[2].phases_apart;
    const size_t row_pitch = state->target.axis_pitch[1] * state->cut[1].phases_apart;
    const bool joined = pitch == 1 && row_pitch == unit->count[2];
    const size_t rows = joined ? 1 : unit->count[1], count = joined ? unit->count[1] * unit->count[2] : unit->count[2];
    for (size_t r = 0; r < unit->rows; r += state->parts) {
        size_t value = target_value(unit, unit->row + r, 0, 0);
        for (size_t y = 0; y < rows; y++, value += row_pitch) {
            if (pitch == 1)
                layer_look_at(unit->plan, unit->run, value, count);
            else
                for (size_t x = 0; x < count; x++)
                    layer_look_at(unit->plan, unit->run, value + x * pitch, 1);
        }
    }
}

/* Copies and makes. Whether all outputs are known to be finite. */
static bool make_unit(struct layer_unit *unit, struct layer_facts *facts, void *scratch)
{
    const struct layer_state *state = unit->state;
    bool finite = false;
    layer_copy_offsets(unit);
    if (state->in_place)
        unit->channel_pitch = state->source.channel_pitch;
    choose_shape(unit);
    for (size_t channel = 0; channel < state->channels; channel += state->unit_channels) {
        const size_t channels = layer_least(state->unit_channels, state->channels - channel);
        if (state->in_place)
            unit->copy = source_place(unit, channel);
        else if (unit->tap_count)
            layer_copy_input(unit, channel, channels);
        if (facts && unit->row == 0)
            layer_copy_look(unit, channels, facts);
        layer_copy_ahead(unit, channel + channels);
        if (state->outer)
            layer_outer_make(unit, packed_weights(unit), channel, channels, scratch);
        else if (state->by_rows)
            layer_make_by_rows(unit, packed_weights(unit), scratch);
        else
            finite = make_rows(unit, channel, channels);
    }
    return finite;
}

/* The other unit of a pair, which may be empty. */
static struct layer_unit pair_unit(const struct layer_unit *unit)
{
    const struct layer_state *state = unit->state;
    struct layer_unit second = *unit;
    second.phase_number[2] = 1;
    second.made = (unsigned char *)unit->made + state->made_rows * state->made_row * state->element_bytes;
    if (!place_axis(&second, 2))
        second.count[2] = 0;
    return second;
}

void layer_run_unit(const struct convolve_plan *plan, const struct convolve_run *run, size_t number, void *tile_scratch)
{
    struct layer_unit unit = {.plan = plan, .state = layer_state(plan), .run = run}, second = {.state = NULL};
    const struct layer_state *state = unit.state;
    unsigned char *cursor = tile_scratch;
    struct layer_facts *const facts =
        layer_units_look(state) ? &layer_scratch_parts(state, run->scratch).gathered[number] : NULL;
    if (facts)
        *facts = (struct layer_facts){0};
    if (!place_unit(&unit, number))
        return;
    if (state->winograd.m && !layer_scratch_parts(state, run->scratch).items[unit.item].direct)
        return;
    unit.offsets = plan_scratch_take(&cursor, state->tap_count, sizeof(ptrdiff_t));
    unit.space = plan_scratch_take(&cursor, state->copy_elements, state->element_bytes);
    unit.copy = unit.space;
    unit.made = plan_scratch_take(&cursor, layer_made_size(state), state->element_bytes);
    bool finite = make_unit(&unit, facts, cursor); /* all outputs, which then need no look */
    if (state->pairs) {
        second = pair_unit(&unit);
        if (second.count[2])
            make_unit(&second, facts, cursor);
    }
    if (state->outer)
        finite = layer_outer_emit(&unit, state->pairs ? &second : NULL, cursor);
    else if (!unit.straight)
        move_rows(&unit);
    if (state->by_rows)
        finite = made_is_finite(&unit);
    if (finite)
        return;
    look_at_rows(&unit);
    if (state->pairs && second.count[2])
        look_at_rows(&second);
}
