/* SPDX-License-Identifier: MIT */
/* backward_weight: every element of the weight is a sum over all items and places, so here the lanes are elements of the
 * weight, and panels go over places. Before that the input is copied with its padding, channels last, so that the channels
 * under one tap, and without dilation those under a row of taps, are neighbours; grad_output is packed so that the rows of
 * a block (output channels, two for complex ones) lie side by side. The sums are at last brought into the weight's order.
 *
 * Places are taken in segments of a row, segments in passes: a pass is a stage, so that no tile takes long. */
#include "core/layer_state.h"

#include "core/boundary.h"

#include <string.h>

enum {
    SEGMENT_PLACES = 1024,
    UNIT_BLOCKS = 4, /* of rows: they share what they read of the input */
    PANEL_PLACES = 192, /* of one panel: what it reads under a block of lanes stays in the first-level cache */
    TILE_WORK = 1 << 23, /* multiply-adds */
};

/* ---- Cutting ---------------------------------------------------------------------------------------------------------- */

/* Output channels of a group as rows of panels. */
static size_t sweep_rows(const struct layer_state *state)
{
    return state->geometry.y.channels * state->parts;
}

static size_t sweep_blocks(const struct layer_state *state)
{
    return layer_divide_up(sweep_rows(state), SIMD_PANEL_ROWS);
}

/* Units' worth of rows. */
static size_t sweep_parts(const struct layer_state *state)
{
    return layer_divide_up(sweep_blocks(state), UNIT_BLOCKS);
}

static size_t taps_of(const struct layer_state *state, unsigned axis)
{
    return axis == 2 && state->sweep.joined ? 1 : state->geometry.axis[axis].kernel;
}

/* A padding that only few windows reach into would be copied for nothing: such requests are computed plainly. */
static bool count_copy(struct layer_state *state, bool *sparse)
{
    const struct layer_geometry *geometry = &state->geometry;
    struct layer_sweep *sweep = &state->sweep;
    size_t read, limit;
    sweep->plane = geometry->x.channels;
    for (unsigned i = 0; i < LAYER_AXES; i++) {
        const struct layer_axis *axis = &geometry->axis[i];
        sweep->cells[i] = (axis->y - 1) * axis->stride + (axis->kernel - 1) * axis->dilation + 1;
        if (__builtin_mul_overflow(sweep->plane, sweep->cells[i], &sweep->plane))
            return false;
    }
    if (__builtin_mul_overflow(sweep->plane, geometry->items * geometry->groups * state->parts, &sweep->copied) ||
        __builtin_add_overflow(geometry->x.count, geometry->y.count, &read) ||
        __builtin_add_overflow(read, geometry->w.count, &read))
        return false;
    if (__builtin_mul_overflow(read, (size_t)16, &limit))
        limit = SIZE_MAX;
    *sparse = sweep->copied > limit + (1 << 20);
    return true;
}

bool layer_sweep_derive(struct layer_state *state)
{
    const struct layer_geometry *geometry = &state->geometry;
    struct layer_sweep *sweep = &state->sweep;
    bool sparse = false;
    if (!count_copy(state, &sparse))
        sparse = true;
    if (sparse) {
        state->sweep = (struct layer_sweep){0};
        state->plain = true;
        return true;
    }
    if (layer_lanes_derive(state)) {
        sweep->copied = 0;
        return true;
    }
    if (layer_cross_suits(state))
        return layer_cross_derive(state);
    sweep->joined = geometry->axis[2].dilation == 1;
    sweep->lanes = geometry->x.channels * (sweep->joined ? geometry->axis[2].kernel : 1);
    const size_t blocks = sweep_blocks(state) * geometry->groups;
    sweep->units = sweep_parts(state) * geometry->groups * taps_of(state, 0) * taps_of(state, 1) * taps_of(state, 2);
    const size_t row_segments = layer_divide_up(geometry->axis[2].y, SEGMENT_PLACES);
    sweep->segment = layer_divide_up(geometry->axis[2].y, row_segments);
    sweep->segments = geometry->items * geometry->axis[0].y * geometry->axis[1].y * row_segments;
    size_t work;
    if (__builtin_mul_overflow(sweep->segment * layer_least(sweep_rows(state), UNIT_BLOCKS * SIMD_PANEL_ROWS) *
                                   state->parts,
                               sweep->lanes + 16, &work))
        return false;
    sweep->pass = work >= TILE_WORK ? 1 : TILE_WORK / work;
    sweep->passes = layer_divide_up(sweep->segments, sweep->pass);
    const size_t pass_work = work * layer_least(sweep->pass, sweep->segments);
    sweep->units_per_tile = pass_work >= TILE_WORK / 2 ? 1 : layer_least(TILE_WORK / 2 / pass_work + 1, 64);
    sweep->tiles = layer_divide_up(sweep->units, sweep->units_per_tile);
    sweep->copy_tiles = geometry->items * geometry->groups * sweep->cells[0];
    sweep->pack_tiles = blocks * geometry->items;
    sweep->emit_tiles = layer_divide_up(geometry->y.channels * geometry->groups, 8);
    state->target_values = geometry->w.count;
    return sweep->passes < (size_t)1 << 30;
}

/* ---- Copies ----------------------------------------------------------------------------------------------------------- */

/* One plane of one item's group: rows of cells, each its channels. */
static void copy_cells(const struct convolve_plan *plan, const struct convolve_run *run, size_t tile)
{
    const struct layer_state *state = layer_state(plan);
    const struct layer_geometry *geometry = &state->geometry;
    const struct layer_sweep *sweep = &state->sweep;
    const size_t bytes = state->element_bytes, parts = state->parts, channels = geometry->x.channels;
    const size_t z = tile % sweep->cells[0], slice = tile / sweep->cells[0];
    const size_t group = slice % geometry->groups, item = slice / geometry->groups;
    const unsigned char *const source =
        (const unsigned char *)run->input +
        (item * geometry->x.item_pitch + group * channels * geometry->x.channel_pitch) * bytes * parts;
    unsigned char *const copied = layer_scratch_parts(state, run->scratch).copied;
    const size_t source_z =
        boundary_index(geometry->boundary, (int64_t)z - geometry->axis[0].before, geometry->axis[0].x);
    const size_t row = sweep->cells[2] * channels, length = geometry->axis[2].x;
    const int64_t before = geometry->axis[2].before, end = (int64_t)length + before;
    /* Cells first .. last lie inside the row. */
    const size_t first = before < (int64_t)sweep->cells[2] ? (size_t)before : sweep->cells[2];
    const size_t last = end < (int64_t)sweep->cells[2] ? (size_t)end : sweep->cells[2];
    for (unsigned part = 0; part < parts; part++) {
        for (size_t y = 0; y < sweep->cells[1]; y++) {
            const size_t source_y =
                boundary_index(geometry->boundary, (int64_t)y - geometry->axis[1].before, geometry->axis[1].x);
            unsigned char *const to =
                copied + ((slice * parts + part) * sweep->plane + (z * sweep->cells[1] + y) * row) * bytes;
            if (source_z == BOUNDARY_NONE || source_y == BOUNDARY_NONE) {
                memset(to, 0, row * bytes);
                continue;
            }
            const unsigned char *const from =
                source + (source_z * geometry->x.axis_pitch[0] + source_y * geometry->x.axis_pitch[1]) * bytes * parts +
                part * bytes;
            const bool rows = parts == 1 && geometry->x.axis_pitch[2] == 1;
            if (rows && last > first) {
                if (bytes == 4)
                    plan->routines->transpose_u32(to + first * channels * 4, channels, from, geometry->x.channel_pitch,
                                                  channels, last - first);
                else
                    plan->routines->transpose_u64(to + first * channels * 8, channels, from, geometry->x.channel_pitch,
                                                  channels, last - first);
            }
            for (size_t x = 0; x < sweep->cells[2]; x++) {
                if (rows && x >= first && x < last) {
                    x = last - 1;
                    continue;
                }
                const size_t source_x = boundary_index(geometry->boundary, (int64_t)x - before, length);
                if (source_x == BOUNDARY_NONE) {
                    memset(to + x * channels * bytes, 0, channels * bytes);
                    continue;
                }
                for (size_t c = 0; c < channels; c++)
                    memcpy(to + (x * channels + c) * bytes,
                           from +
                               (source_x * geometry->x.axis_pitch[2] + c * geometry->x.channel_pitch) * bytes * parts,
                           bytes);
            }
        }
    }
}

/* Places of an item. */
static size_t place_count(const struct layer_geometry *geometry)
{
    return geometry->axis[0].y * geometry->axis[1].y * geometry->axis[2].y;
}

/* Where the packed gradients of a block begin, for one item. */
static size_t gradient_offset(const struct layer_state *state, size_t group, size_t block, size_t item)
{
    const struct layer_geometry *geometry = &state->geometry;
    const size_t places = place_count(geometry) * state->parts, rows = sweep_rows(state);
    const size_t first = block * SIMD_PANEL_ROWS, width = layer_least(SIMD_PANEL_ROWS, rows - first);
    return places * (geometry->items * (group * rows + first) + item * width);
}

#define DEFINE_PACK(type, suffix)                                                                                      \
    static void pack_place_##suffix(type *out, const type *value, size_t channel_pitch, size_t row, size_t rows)       \
    {                                                                                                                  \
        for (size_t r = 0; r < rows; r++) {                                                                            \
            const type *const w = value + (row + r) / 2 * channel_pitch * 2;                                           \
            out[r] = w[(row + r) % 2];                                                                                 \
            out[rows + r] = (row + r) % 2 ? w[0] : -w[1];                                                              \
        }                                                                                                              \
    }
DEFINE_PACK(float, f32)
DEFINE_PACK(double, f64)
#undef DEFINE_PACK

/* One block of one item: place by place, the rows side by side; for complex values what multiplies the real part of an input,
 * then the imaginary one. */
static void pack_gradients(const struct convolve_plan *plan, const struct convolve_run *run, size_t tile)
{
    const struct layer_state *state = layer_state(plan);
    const struct layer_geometry *geometry = &state->geometry;
    const struct layer_side *y = &geometry->y;
    const size_t bytes = state->element_bytes, parts = state->parts, places = place_count(geometry);
    const size_t item = tile % geometry->items, blocks = sweep_blocks(state);
    const size_t block = tile / geometry->items % blocks, group = tile / geometry->items / blocks;
    const size_t row = block * SIMD_PANEL_ROWS, rows = layer_least(SIMD_PANEL_ROWS, sweep_rows(state) - row);
    unsigned char *const out = (unsigned char *)layer_scratch_parts(state, run->scratch).packed +
                               gradient_offset(state, group, block, item) * bytes;
    const unsigned char *const in = (const unsigned char *)run->grad_output +
                                    (item * y->item_pitch + group * y->channels * y->channel_pitch) * parts * bytes;
    if (parts == 1 && !geometry->channels_last) {
        const unsigned char *const from = in + row * y->channel_pitch * bytes;
        if (bytes == 4)
            plan->routines->transpose_u32(out, rows, from, y->channel_pitch, rows, places);
        else
            plan->routines->transpose_u64(out, rows, from, y->channel_pitch, rows, places);
        return;
    }
    /* Under either layout places are a constant pitch apart. */
    const size_t pitch = y->axis_pitch[2];
    for (size_t place = 0; place < places; place++) {
        const unsigned char *const from = in + place * pitch * parts * bytes;
        unsigned char *const to = out + place * rows * parts * bytes;
        if (parts == 1)
            memcpy(to, from + row * bytes, rows * bytes);
        else if (bytes == 4)
            pack_place_f32((float *)(void *)to, (const float *)(const void *)from, y->channel_pitch, row, rows);
        else
            pack_place_f64((double *)(void *)to, (const double *)(const void *)from, y->channel_pitch, row, rows);
    }
}

void layer_sweep_prepare(const struct convolve_plan *plan, const struct convolve_run *run, size_t tile)
{
    const struct layer_sweep *sweep = &layer_state(plan)->sweep;
    if (sweep->by_cross)
        layer_cross_prepare(plan, run, tile);
    else if (tile < sweep->copy_tiles)
        copy_cells(plan, run, tile);
    else
        pack_gradients(plan, run, tile - sweep->copy_tiles);
}

/* ---- Sums ------------------------------------------------------------------------------------------------------------- */

/* Some blocks of rows by the lanes of the taps of one row, or of one tap. */
struct sweep_unit {
    size_t group, row, rows, tap[LAYER_AXES];
    unsigned char *sums;
};

static struct sweep_unit find_unit(const struct layer_state *state, const struct layer_scratch *scratch, size_t number)
{
    const struct layer_sweep *sweep = &state->sweep;
    const size_t taps = taps_of(state, 0) * taps_of(state, 1) * taps_of(state, 2), tap = number % taps;
    const size_t parts = sweep_parts(state), row_values = taps * sweep->lanes, most = UNIT_BLOCKS * SIMD_PANEL_ROWS;
    struct sweep_unit unit = {.row = number / taps % parts * most, .group = number / taps / parts};
    unit.tap[2] = tap % taps_of(state, 2);
    unit.tap[1] = tap / taps_of(state, 2) % taps_of(state, 1);
    unit.tap[0] = tap / taps_of(state, 2) / taps_of(state, 1);
    unit.rows = layer_least(most, sweep_rows(state) - unit.row);
    /* [group][row][tap][lane] */
    unit.sums = (unsigned char *)scratch->target +
                ((unit.group * sweep_rows(state) + unit.row) * row_values + tap * sweep->lanes) * state->element_bytes;
    return unit;
}

/* Adds segments first .. end to the sums of a unit; those of some neighbouring whole rows as one panel. */
static void sum_unit(const struct convolve_plan *plan, const struct layer_scratch *scratch,
                     const struct sweep_unit *unit, size_t first, size_t end, const ptrdiff_t *offsets)
{
    const struct layer_state *state = layer_state(plan);
    const struct layer_geometry *geometry = &state->geometry;
    const struct layer_sweep *sweep = &state->sweep;
    const struct layer_axis *axis = geometry->axis;
    const size_t bytes = state->element_bytes, parts = state->parts, channels = geometry->x.channels;
    const size_t row_segments = layer_divide_up(axis[2].y, sweep->segment), pitch = sweep->cells[2] * channels;
    const size_t rows_most = sweep->segment >= PANEL_PLACES ? 1 : PANEL_PLACES / sweep->segment;
    const size_t all = place_count(geometry) * parts;
    size_t taps_pitch = 1;
    for (unsigned i = 0; i < LAYER_AXES; i++)
        taps_pitch *= taps_of(state, i);
    for (size_t s = first; s < end;) {
        const size_t row = s / row_segments, x = s % row_segments * sweep->segment;
        const size_t y = row % axis[1].y, z = row / axis[1].y % axis[0].y, item = row / axis[1].y / axis[0].y;
        const size_t rows = row_segments == 1 ? layer_least(rows_most, layer_least(axis[1].y - y, end - s)) : 1;
        const size_t cell = (z * axis[0].stride + unit->tap[0] * axis[0].dilation) * sweep->cells[1] * pitch +
                            (y * axis[1].stride + unit->tap[1] * axis[1].dilation) * pitch +
                            (x * axis[2].stride + unit->tap[2] * axis[2].dilation) * channels;
        const size_t slice = item * geometry->groups + unit->group;
        const size_t place = ((z * axis[1].y + y) * axis[2].y + x) * parts;
        const struct simd_panel panel = {
            .input = (const unsigned char *)scratch->copied + (slice * parts * sweep->plane + cell) * bytes,
            .channels = rows,
            .channel_pitch = axis[1].stride * pitch,
            .offsets = offsets,
            .taps = layer_least(sweep->segment, axis[2].y - x) * parts,
            .weights = (const unsigned char *)scratch->packed +
                       gradient_offset(state, unit->group, unit->row / SIMD_PANEL_ROWS, 0) * bytes,
            .block_pitch = all * geometry->items * SIMD_PANEL_ROWS,
            .skipped = item * all + place,
            .accumulate = s > 0,
            .output = unit->sums,
            .output_pitch = taps_pitch * sweep->lanes,
            .rows = unit->rows,
            .count = sweep->lanes,
        };
        (state->element == LAYER_F32   ? plan->routines->panel_f32
         : state->element == LAYER_F64 ? plan->routines->panel_f64
                                       : plan->routines->panel_u64)(&panel);
        s += rows;
    }
}

void layer_sweep_tile(const struct convolve_plan *plan, const struct convolve_run *run, size_t pass, size_t tile,
                      void *tile_scratch)
{
    const struct layer_state *state = layer_state(plan);
    const struct layer_sweep *sweep = &state->sweep;
    const struct layer_scratch scratch = layer_scratch_parts(state, run->scratch);
    const size_t first = pass * sweep->pass, end = layer_least(first + sweep->pass, sweep->segments);
    ptrdiff_t *const offsets = tile_scratch;
    for (size_t i = 0; i < sweep->segment * state->parts; i++)
        offsets[i] = (ptrdiff_t)(i / state->parts * state->geometry.axis[2].stride * state->geometry.x.channels +
                                 i % state->parts * sweep->plane);
    for (size_t i = tile * sweep->units_per_tile; i < sweep->units && i < (tile + 1) * sweep->units_per_tile; i++) {
        const struct sweep_unit unit = find_unit(state, &scratch, i);
        sum_unit(plan, &scratch, &unit, first, end, offsets);
    }
}

/* ---- Into order ------------------------------------------------------------------------------------------------------- */

/* The sums of one row, [tap][channel], to the weight's [channel][tap] or, channels last, as they are. */
static void emit_row(const struct convolve_plan *plan, unsigned char *out, const unsigned char *sums)
{
    const struct layer_state *state = layer_state(plan);
    const struct layer_geometry *geometry = &state->geometry;
    const size_t channels = geometry->x.channels, taps = geometry->w.y_pitch / channels, bytes = state->element_bytes;
    if (state->parts == 1 && geometry->channels_last)
        memcpy(out, sums, channels * taps * bytes);
    else if (state->parts == 1 && bytes == 4)
        plan->routines->transpose_u32(out, taps, sums, channels, taps, channels);
    else if (state->parts == 1)
        plan->routines->transpose_u64(out, taps, sums, channels, taps, channels);
    else
        for (size_t tap = 0; tap < taps; tap++)
            for (size_t c = 0; c < channels; c++)
                memcpy(out + 2 * (geometry->channels_last ? tap * channels + c : c * taps + tap) * bytes,
                       sums + (tap * channels + c) * bytes, bytes);
}

void layer_sweep_emit(const struct convolve_plan *plan, const struct convolve_run *run, size_t tile)
{
    const struct layer_state *state = layer_state(plan);
    const struct layer_geometry *geometry = &state->geometry;
    const size_t bytes = state->element_bytes, parts = state->parts, all = geometry->y.channels * geometry->groups;
    const size_t row_values = geometry->w.y_pitch, first = tile * 8, end = layer_least(first + 8, all);
    const unsigned char *const sums = layer_scratch_parts(state, run->scratch).target;
    for (size_t y = first; y < end; y++)
        for (unsigned part = 0; part < parts; part++)
            emit_row(plan, (unsigned char *)run->output + (y * row_values * parts + part) * bytes,
                     sums + (y * parts + part) * row_values * bytes);
    if (state->element != LAYER_U64)
        layer_look_at(plan, run, first * row_values, (end - first) * row_values);
}
