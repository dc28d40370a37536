/* SPDX-License-Identifier: MIT */
/* The cells of winograd's units: channel by channel rows are brought m phases apart, and transformed tile by tile, [product]
 * [channel][plane][strip][tile]. Strips below each other share rows. */
#include "core/layer_winograd_unit.h"

#include "core/boundary.h"

#include <string.h>

/* The source's place, along an axis, of the first tap of a window at place 0. */
static int64_t first_place(const struct layer_state *state, unsigned axis)
{
    const struct layer_cut *cut = &state->cut[axis];
    return layer_phase_at(state, axis, 0).first -
           (winograd_backwards(state) ? (int64_t)((cut->kernel - 1) * cut->dilation) : 0);
}

static bool needs_filled(const struct layer_state *state, const struct layer_item *facts)
{
    bool apart = false; /* whether windows may lie wholly outside */
    for (unsigned i = 0; i < LAYER_AXES; i++) {
        const struct layer_cut *cut = &state->cut[i];
        const int64_t first = first_place(state, i), reach = (int64_t)((cut->kernel - 1) * cut->dilation);
        apart |=
            first + reach < 0 || first + (int64_t)cut->target > (int64_t)cut->source || cut->dilation > cut->source;
    }
    return apart || facts->zeros;
}

/* ---- Scratch ------------------------------------------------------------------------------------------------------------ */

static bool filled_cells(const struct layer_state *state, size_t *cells)
{
    const struct layer_winograd *w = &state->winograd;
    return !__builtin_mul_overflow(w->filled * winograd_row(state), w->planes, cells);
}

static bool transformed_cells(const struct layer_state *state, size_t *elements)
{
    const size_t n = state->winograd.m + 2;
    return !__builtin_mul_overflow(n * n, state->winograd.cell_pitch, elements);
}

bool layer_winograd_shared_scratch(const struct layer_state *state, size_t *bytes)
{
    size_t filled, elements;
    return filled_cells(state, &filled) && transformed_cells(state, &elements) &&
           plan_size_add(bytes, elements, state->element_bytes) && plan_size_add(bytes, filled, sizeof(uint32_t));
}

bool winograd_cells_scratch(const struct layer_state *state, size_t *bytes)
{
    return plan_size_add(bytes, winograd_row(state), state->element_bytes) &&
           plan_size_add(bytes, state->winograd.lines * winograd_row(state), state->element_bytes) &&
           (state->winograd.shared || layer_winograd_shared_scratch(state, bytes));
}

void winograd_take_cells(struct winograd_unit *unit, unsigned char **cursor)
{
    const struct layer_state *state = unit->state;
    const struct layer_winograd *w = &state->winograd;
    unsigned char *shared = layer_scratch_parts(state, unit->run->scratch).cells;
    size_t elements, filled;
    transformed_cells(state, &elements);
    filled_cells(state, &filled);
    unit->line = plan_scratch_take(cursor, winograd_row(state), state->element_bytes);
    unit->cells = plan_scratch_take(cursor, w->lines * winograd_row(state), state->element_bytes);
    unsigned char **const rest = w->shared ? &shared : cursor;
    unit->transformed = plan_scratch_take(rest, elements, state->element_bytes);
    unit->filled = plan_scratch_take(rest, filled, sizeof(uint32_t));
    if (!needs_filled(state, &unit->facts))
        unit->filled = NULL;
}

/* ---- Cells ------------------------------------------------------------------------------------------------------------- */

static enum convolve_boundary boundary_of(const struct layer_state *state)
{
    return layer_reads_y(&state->geometry) ? CONVOLVE_CONSTANT : state->geometry.boundary;
}

struct strip_run winograd_run_from(const struct winograd_unit *unit, size_t strip)
{
    const struct layer_winograd *w = &unit->state->winograd;
    const size_t number = unit->first[1] + strip, phase = number / w->tiles[0], tile = number % w->tiles[0];
    return (struct strip_run){
        .strip = strip,
        .high = layer_least(w->tiles[0] - tile, unit->high - strip),
        .phase = {phase / w->step[1], phase % w->step[1]},
        .tile = tile,
    };
}

static void note_filled(const struct winograd_unit *unit, uint32_t *filled, size_t count)
{
    if (unit->state->element == LAYER_F32)
        for (size_t i = 0; i < count; i++)
            filled[i] |= ((const float *)(const void *)unit->line)[i] != 0;
    else
        for (size_t i = 0; i < count; i++)
            filled[i] |= ((const double *)(const void *)unit->line)[i] != 0;
}

uint32_t *winograd_filled_row(const struct winograd_unit *unit, size_t plane, size_t strip, size_t line)
{
    const struct layer_winograd *w = &unit->state->winograd;
    return unit->filled + (plane * w->filled + strip * (w->m + 2) + line) * winograd_row(unit->state);
}

/* What follows is of one channel and plane, `base` the plane's first place; NULL: zeros. */
struct strip_cells {
    const unsigned char *base;
    size_t channel, plane;
    bool transform, note;
};

/* Asks the memory for the same cells of the next channel: pieces of rows are too short for it to find the way. */
static void fetch_line(const struct winograd_unit *unit, const unsigned char *base, int64_t start, size_t cells)
{
    const struct layer_state *state = unit->state;
    const size_t bytes = state->element_bytes, first = start < 0 ? 0 : (size_t)start;
    const size_t end = layer_least(first + cells * state->winograd.step[1], state->cut[2].source);
    for (size_t i = first * bytes; state->source.axis_pitch[2] == 1 && i < end * bytes; i += 64)
        __builtin_prefetch(base + i);
}

/* Where cell `cell` of a row is, in real numbers; m is 2 or 4. */
static size_t place_of(const struct layer_winograd *w, size_t cell)
{
    return (cell & (w->m - 1)) * w->phase + (cell >> w->m / 2);
}

static void put_cell(const struct layer_state *state, unsigned char *to, size_t cell, const void *value)
{
    if (state->element_bytes == 4)
        memcpy(to + place_of(&state->winograd, cell) * 4, value, 4);
    else
        memcpy(to + place_of(&state->winograd, cell) * 8, value, 8);
}

/* Brings a row of cells apart without a copy between, whose short stores the loads behind them would wait for. False where
 * its neighbours are none in the source, or something else than zeros stands outside. */
static bool split_inside(const struct winograd_unit *unit, unsigned char *to, const unsigned char *base, int64_t start,
                         size_t cells)
{
    const struct layer_state *state = unit->state;
    const struct layer_winograd *w = &state->winograd;
    const size_t bytes = state->element_bytes, length = state->cut[2].source;
    if (w->step[1] != 1 || state->source.axis_pitch[2] != 1 || boundary_of(state) != CONVOLVE_CONSTANT ||
        start >= (int64_t)length || start + (int64_t)cells <= 0)
        return false;
    const size_t inside = start < 0 ? (size_t)-start : 0, end = layer_least(cells, (size_t)((int64_t)length - start));
    const unsigned char *from = base + (size_t)(start + (int64_t)inside) * bytes;
    size_t i = inside;
    static const double zero = 0;
    for (size_t outside = 0; outside < inside; outside++)
        put_cell(state, to, outside, &zero);
    for (size_t outside = end; outside < cells; outside++)
        put_cell(state, to, outside, &zero);
    for (; (i & (w->m - 1)) && i < end; i++, from += bytes)
        put_cell(state, to, i, from);
    if (bytes == 4)
        unit->plan->routines->split_u32(to + place_of(w, i) * 4, w->phase, from, end - i, w->m);
    else
        unit->plan->routines->split_u64(to + place_of(w, i) * 8, w->phase, from, end - i, w->m);
    return true;
}

/* The cells of a run, and their transforms. */
static void take_run(const struct winograd_unit *unit, const struct strip_cells *of, const struct strip_run *run)
{
    const struct layer_state *state = unit->state;
    const struct layer_winograd *w = &state->winograd;
    const struct simd_routines *const routines = unit->plan->routines;
    const size_t bytes = state->element_bytes, row = winograd_row(state), cells = w->m * unit->wide + 2;
    const int64_t start_y = first_place(state, 1) + (int64_t)(run->phase[0] + run->tile * w->m * w->step[0]);
    const int64_t start_x = first_place(state, 2) + (int64_t)(run->phase[1] + unit->first[2] * w->m * w->step[1]);
    for (size_t line = 0; line < w->m * run->high + 2; line++) {
        const size_t index =
            boundary_index(boundary_of(state), start_y + (int64_t)(line * w->step[0]), state->cut[1].source);
        unsigned char *const to = unit->cells + line * row * bytes;
        if (!of->base || index == BOUNDARY_NONE) {
            memset(to, 0, row * bytes);
            continue;
        }
        const unsigned char *const base = of->base + index * state->source.axis_pitch[1] * bytes;
        fetch_line(unit, base + state->source.channel_pitch * bytes, start_x, cells);
        if (!of->note && split_inside(unit, to, base, start_x, cells))
            continue;
        layer_copy_row(state, unit->line, base, start_x, w->step[1], cells);
        for (size_t y = line < 2 ? 0 : (line - 2) / w->m; of->note && y < run->high && y * w->m <= line; y++)
            if (line < (y + 1) * w->m + 2)
                note_filled(unit, winograd_filled_row(unit, of->plane, run->strip + y, line - y * w->m), cells);
        if (!of->transform)
            continue;
        if (bytes == 4)
            routines->split_u32(to, w->phase, unit->line, cells, w->m);
        else
            routines->split_u64(to, w->phase, unit->line, cells, w->m);
    }
    for (size_t y = 0; of->transform && y < run->high; y++) {
        const size_t from = y * w->m * row;
        const size_t to = of->channel * w->pitch + (of->plane * unit->high + run->strip + y) * unit->wide;
        if (state->element == LAYER_F32)
            routines->winograd_input_f32(w->m, (float *)(void *)unit->transformed + to, w->cell_pitch,
                                         (const float *)(const void *)unit->cells + from, row, w->phase, unit->wide);
        else
            routines->winograd_input_f64(w->m, (double *)(void *)unit->transformed + to, w->cell_pitch,
                                         (const double *)(const void *)unit->cells + from, row, w->phase, unit->wide);
    }
}

void winograd_take_channels(const struct winograd_unit *unit, size_t channel, size_t channels, bool transform,
                            bool note)
{
    const struct layer_state *state = unit->state;
    const unsigned char *const source =
        (const unsigned char *)layer_source(state, unit->run) +
        (unit->item * state->source.item_pitch + unit->group * state->channels * state->source.channel_pitch) *
            state->element_bytes;
    const int64_t start = first_place(state, 0) + (int64_t)unit->first[0];
    struct strip_cells of = {.channel = channel, .transform = transform, .note = note};
    for (; of.channel < channel + channels; of.channel++)
        for (of.plane = 0; of.plane < unit->planes; of.plane++) {
            const size_t index = boundary_index(boundary_of(state), start + (int64_t)of.plane, state->cut[0].source);
            of.base = index == BOUNDARY_NONE
                          ? NULL
                          : source + (of.channel * state->source.channel_pitch + index * state->source.axis_pitch[0]) *
                                         state->element_bytes;
            for (size_t strip = 0; strip < unit->high;) {
                const struct strip_run run_of_strips = winograd_run_from(unit, strip);
                take_run(unit, &of, &run_of_strips);
                strip += run_of_strips.high;
            }
        }
}

void winograd_clear_filled(const struct winograd_unit *unit)
{
    size_t filled;
    if (unit->filled && filled_cells(unit->state, &filled))
        memset(unit->filled, 0, filled * sizeof(uint32_t));
}
