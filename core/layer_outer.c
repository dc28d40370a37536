/* SPDX-License-Identifier: MIT */
/* Units whose lanes are output channels: no lane is lost at the ends of short rows of places. A block of rows is summed place
 * by place, [row of places][place][lane]; some channels of its weights at a time, so that they stay in the first-level cache
 * while all places pass. At last places and lanes change places on the way to the target. */
#include "core/layer_state.h"

#include <string.h>

enum {
    WEIGHT_BYTES = 26 << 10, /* of the first-level cache, for the weights of some channels */
    LANE_BYTES = 128, /* of the lanes of a block */
    CHAIN_LEAST = 64, /* terms of a sum */
    CHAIN_LONG = 256, /* below, the turning of what is made weighs more */
};

/* As measured. Panels of places are a little faster where their lanes are full, and what is made needs no turning; but they
 * also compute the gaps between rows of places, or lose the lanes at their ends, and each weight is packed for them first. */
bool layer_outer_suits(const struct layer_state *state)
{
    const struct layer_cut *const x = &state->cut[2];
    const size_t line = 64 / state->element_bytes, lanes = (state->rows - 1) / line * line + line;
    const size_t gap = (x->taps - 1) * (size_t)(x->delta < 0 ? -x->delta : x->delta) / x->step;
    size_t chain = state->channels, places = 1;
    for (unsigned i = 0; i < LAYER_AXES; i++) {
        chain = chain > SIZE_MAX / state->cut[i].taps ? SIZE_MAX : chain * state->cut[i].taps;
        places = places > SIZE_MAX / state->cut[i].places ? SIZE_MAX : places * state->cut[i].places;
    }
    const bool gaps_weigh = chain < CHAIN_LONG ? gap >= (x->places + 31) / 32 : gap >= x->places / 32;
    return state->element != LAYER_U64 && state->parts == 1 && !state->by_rows && lanes >= 2 * line &&
           lanes - state->rows <= lanes / 8 && chain >= CHAIN_LEAST && (places <= LAYER_OUTER_PLACES || gaps_weigh);
}

bool layer_outer_packs_late(const struct layer_state *state)
{
    const struct layer_geometry *geometry = &state->geometry;
    size_t units = geometry->items;
    for (unsigned i = 0; i < LAYER_AXES; i++)
        units *= state->cut[i].units;
    return units == 1 && state->pack_looks;
}

/* Lines of 64 bytes of the block that begins with `row`. */
static size_t block_lines(const struct layer_state *state, size_t row)
{
    const size_t line = 64 / state->element_bytes;
    return layer_least(state->packed_rows - row, state->block_rows) / line;
}

/* Where the sums of the unit's rows from `row` on are; blocks follow each other. */
static unsigned char *block_sums(const struct layer_unit *unit, size_t row)
{
    return (unsigned char *)unit->made +
           (row - unit->row) * unit->count[1] * unit->count[2] * unit->state->element_bytes;
}

/* Channels whose weights are taken at a time, at most. */
static size_t channels_at_once(const struct layer_state *state, size_t taps)
{
    const size_t fit = WEIGHT_BYTES / LANE_BYTES / (taps ? taps : 1);
    return taps == 0 || fit > state->channels ? state->channels : fit ? fit : 1;
}

void layer_outer_make(const struct layer_unit *unit, const void *packed, size_t channel, size_t channels, void *scratch)
{
    const struct layer_state *state = unit->state;
    const size_t bytes = state->element_bytes, taps = unit->tap_count, line = 64 / bytes;
    const bool dense = unit->row_pitch == unit->count[2];
    const size_t blocks = (state->rows - 1) / state->block_rows + 1;
    const size_t turns = layer_divide_up(channels, channels_at_once(state, taps));
    const size_t most = layer_divide_up(channels, turns),
                 calls = layer_divide_up(unit->rows, state->block_rows) * turns;
    size_t call = 0;
    for (size_t row = unit->row; row < unit->row + unit->rows; row += state->block_rows) {
        const size_t lines = block_lines(state, row), rows = layer_least(lines * line, state->rows - row);
        const unsigned char *const weights =
            (const unsigned char *)packed + (row - unit->row) * state->channels * taps * bytes;
        _Alignas(64) unsigned char bias[LANE_BYTES] = {0};
        if (unit->run->bias)
            memcpy(bias, (const unsigned char *)unit->run->bias + (unit->group * state->rows + row) * bytes,
                   rows * bytes);
        struct layer_facts *const known =
            &layer_scratch_parts(state, unit->run->scratch).weight[unit->group * blocks + row / state->block_rows];
        struct layer_facts facts = channel ? *known : (struct layer_facts){0};
        for (size_t c = 0; c < channels; c += most, call++) {
            const size_t taken = layer_least(most, channels - c), nearer = unit->ahead_lines * call / calls;
            const unsigned char *factors = weights + (channel + c) * taps * lines * 64;
            if (state->packs_late) {
                layer_pack_steps(unit->plan, unit->run, scratch, unit->group, row, (channel + c) * taps, taken * taps,
                                 &facts);
                factors = scratch;
            }
            const struct simd_outer outer = {
                .input = (const unsigned char *)unit->copy + c * unit->channel_pitch * bytes,
                .channels = taps ? taken : 0,
                .channel_pitch = unit->channel_pitch,
                .offsets = unit->offsets,
                .taps = taps,
                .weights = factors,
                .bias = unit->run->bias && channel + c + taken == state->channels ? bias : NULL,
                .lines = lines,
                .accumulate = channel + c > 0,
                .output = block_sums(unit, row),
                .rows = dense ? 1 : unit->count[1],
                .row_pitch = unit->row_pitch,
                .count = dense ? unit->count[1] * unit->count[2] : unit->count[2],
                .skip = state->cut[2].whole ? state->cut[2].step - 1 : 0,
                .ahead = (const unsigned char *)unit->ahead + 64 * nearer,
                .ahead_pitch = unit->ahead_pitch,
                .ahead_lines = unit->ahead_lines * (call + 1) / calls - nearer,
            };
            (state->element == LAYER_F32 ? unit->plan->routines->outer_f32 : unit->plan->routines->outer_f64)(&outer);
        }
        if (state->packs_late && state->pack_looks)
            *known = facts;
    }
}

/* `places` places of some rows: lanes become rows, `pitch` elements apart. */
static void turn(const struct layer_unit *unit, void *out, size_t pitch, const unsigned char *sums, size_t width,
                 size_t places, size_t rows)
{
    if (unit->state->element_bytes == 4)
        unit->plan->routines->transpose_u32(out, pitch, sums, width, places, rows);
    else
        unit->plan->routines->transpose_u64(out, pitch, sums, width, places, rows);
}

bool layer_outer_scratch(const struct layer_state *state, size_t *bytes)
{
    size_t taps = state->cut[0].taps * state->cut[1].taps * state->cut[2].taps, packed, moved = 0;
    packed = state->packs_late ? channels_at_once(state, taps) * taps * LANE_BYTES : 0;
    return plan_size_add(&moved, state->cut[2].unit * (state->pairs ? 2 : 1), LANE_BYTES) &&
           plan_size_add(bytes, moved > packed ? moved : packed, 1);
}

/* Whether the sums of all rows are finite. */
static bool sums_are_finite(const struct layer_unit *unit)
{
    const struct layer_state *state = unit->state;
    const struct simd_routines *const routines = unit->plan->routines;
    const size_t line = 64 / state->element_bytes;
    size_t rows = 0;
    for (size_t row = unit->row; row < unit->row + unit->rows; row += state->block_rows)
        rows += block_lines(state, row) * line;
    const size_t all = rows * unit->count[1] * unit->count[2];
    return state->element == LAYER_F32 ? routines->finite_f32((const float *)unit->made, all)
                                       : routines->finite_f64((const double *)unit->made, all);
}

/* One row of places of some rows, where places of the target lie apart: those of a pair come together. */
static void spread_row(const struct layer_unit *unit, const struct layer_unit *second, size_t row, size_t y,
                       size_t width, size_t rows, unsigned char *scratch)
{
    const struct layer_state *state = unit->state;
    const struct simd_routines *const routines = unit->plan->routines;
    const size_t bytes = state->element_bytes, wide = unit->count[2], other = second ? second->count[2] : 0;
    const size_t pitch = state->target.axis_pitch[2] * state->cut[2].phases_apart, apart = second ? 2 * wide : wide;
    turn(unit, scratch, apart, block_sums(unit, row) + y * wide * width * bytes, width, wide, rows);
    if (other)
        turn(unit, scratch + wide * bytes, apart, block_sums(second, row) + y * other * width * bytes, width, other,
             rows);
    unsigned char *to = layer_target_row(unit, row, y);
    for (size_t r = 0; r < rows; r++, to += state->target.channel_pitch * bytes, scratch += apart * bytes) {
        if (second)
            (bytes == 4 ? routines->merge_u32 : routines->merge_u64)(to, scratch, wide, wide + other, 2);
        else
            (bytes == 4 ? routines->spread_u32 : routines->spread_u64)(to, pitch, scratch, wide);
    }
}

bool layer_outer_emit(const struct layer_unit *unit, const struct layer_unit *second, void *scratch)
{
    const struct layer_state *state = unit->state;
    const size_t bytes = state->element_bytes, line = 64 / bytes, wide = unit->count[2];
    const size_t pitch = state->target.axis_pitch[2] * state->cut[2].phases_apart;
    const size_t row_pitch = state->target.axis_pitch[1] * state->cut[1].phases_apart;
    const size_t high = pitch == 1 && row_pitch == wide ? 1 : unit->count[1];
    const size_t places = unit->count[1] * wide / high;
    for (size_t row = unit->row; row < unit->row + unit->rows; row += state->block_rows) {
        const size_t width = block_lines(state, row) * line, rows = layer_least(width, unit->row + unit->rows - row);
        for (size_t y = 0; y < high; y++) {
            if (pitch == 1)
                turn(unit, layer_target_row(unit, row, y), state->target.channel_pitch,
                     block_sums(unit, row) + y * places * width * bytes, width, places, rows);
            else
                spread_row(unit, second, row, y, width, rows, scratch);
        }
    }
    return sums_are_finite(unit) && (!second || second->count[2] == 0 || sums_are_finite(second));
}
