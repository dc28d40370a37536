/* SPDX-License-Identifier: MIT */
/* A unit of winograd: some tiles of one item and group. Channel by channel its cells are copied, m phases of each row apart,
 * and transformed; a panel for each of the (m+2)^2 products sums over the channels; what comes of a block of rows (output
 * channels) is transformed back and brought to its place. */
#include "core/layer_winograd.h"

#include "core/boundary.h"

#include <string.h>

enum { PANEL_CHANNELS = 192 }; /* of one panel: their tiles stay in the first-level cache */

struct winograd_unit {
    const struct convolve_plan *plan;
    const struct layer_state *state;
    const struct convolve_run *run;
    size_t item, group, first[2], high, wide; /* tiles */
    int64_t start[2]; /* the source's place of its first cell */
    struct layer_item facts;
    unsigned char *line, *cells, *transformed, *products, *outputs, *row;
    uint32_t
        *filled; /* of every cell, bits that are set where a channel holds something else than 0; NULL: unknown, all */
};

static bool reads_backwards(const struct layer_state *state)
{
    return layer_reads_y(&state->geometry);
}

static bool needs_filled(const struct winograd_unit *unit)
{
    bool apart = false; /* whether windows may lie wholly outside */
    for (unsigned i = 1; i < LAYER_AXES; i++) {
        const struct layer_cut *cut = &unit->state->cut[i];
        const int64_t first = layer_phase_at(unit->state, i, 0).first - (reads_backwards(unit->state) ? 2 : 0);
        apart |= first <= -3 || first + (int64_t)cut->target > (int64_t)cut->source;
    }
    return apart || unit->facts.zeros;
}

bool layer_winograd_tile_scratch(const struct layer_state *state, size_t *bytes)
{
    const struct layer_winograd *w = &state->winograd;
    const size_t n = w->m + 2, row = w->m * w->phase;
    size_t products;
    return !__builtin_mul_overflow(n * n, w->cell_pitch, &products) &&
           plan_size_add(bytes, row, state->element_bytes) &&
           plan_size_add(bytes, w->lines * row, state->element_bytes) &&
           plan_size_add(bytes, products, state->element_bytes) &&
           plan_size_add(bytes, n * n * w->made_pitch, state->element_bytes) &&
           plan_size_add(bytes, w->m * row, state->element_bytes) && plan_size_add(bytes, row, state->element_bytes) &&
           plan_size_add(bytes, w->lines * row, sizeof(uint32_t));
}

static void take_scratch(struct winograd_unit *unit, void *tile_scratch)
{
    const struct layer_state *state = unit->state;
    const struct layer_winograd *w = &state->winograd;
    const size_t n = w->m + 2, row = w->m * w->phase, bytes = state->element_bytes;
    unsigned char *cursor = tile_scratch;
    unit->line = plan_scratch_take(&cursor, row, bytes);
    unit->cells = plan_scratch_take(&cursor, w->lines * row, bytes);
    unit->transformed = plan_scratch_take(&cursor, n * n * w->cell_pitch, bytes);
    unit->products = plan_scratch_take(&cursor, n * n * w->made_pitch, bytes);
    unit->outputs = plan_scratch_take(&cursor, w->m * row, bytes);
    unit->row = plan_scratch_take(&cursor, row, bytes);
    memset(unit->line, 0, row * bytes);
    unit->filled = needs_filled(unit) ? plan_scratch_take(&cursor, w->lines * row, sizeof(uint32_t)) : NULL;
    if (unit->filled)
        memset(unit->filled, 0, w->lines * row * sizeof(uint32_t));
}

/* ---- Cells ------------------------------------------------------------------------------------------------------------- */

static enum convolve_boundary boundary_of(const struct layer_state *state)
{
    return layer_reads_y(&state->geometry) ? CONVOLVE_CONSTANT : state->geometry.boundary;
}

/* One row of a channel into unit->line, whose cells outside stay zeros where the boundary is such. */
static void copy_line(const struct winograd_unit *unit, const unsigned char *base, size_t count)
{
    const struct layer_state *state = unit->state;
    const size_t bytes = state->element_bytes, length = state->cut[2].source, pitch = state->source.axis_pitch[2];
    const int64_t start = unit->start[1];
    const size_t inside = start >= 0 ? 0 : layer_least((size_t)-start, count);
    const int64_t left = (int64_t)length - start;
    const size_t end = left <= (int64_t)inside ? inside : layer_least((size_t)left, count);
    const unsigned char *const from = base + (size_t)(start + (int64_t)inside) * pitch * bytes;
    if (end == inside)
        ;
    else if (pitch == 1)
        memcpy(unit->line + inside * bytes, from, (end - inside) * bytes);
    else
        for (size_t i = inside; i < end; i++)
            memcpy(unit->line + i * bytes, from + (i - inside) * pitch * bytes, bytes);
    if (boundary_of(state) == CONVOLVE_CONSTANT)
        return;
    for (size_t i = 0; i < count; i++) {
        if (i == inside && end > inside)
            i = end;
        if (i >= count)
            break;
        const size_t index = boundary_index(boundary_of(state), start + (int64_t)i, length);
        memcpy(unit->line + i * bytes, base + index * pitch * bytes, bytes);
    }
}

static void note_filled(const struct winograd_unit *unit, size_t line, size_t count)
{
    uint32_t *const filled = unit->filled + line * unit->state->winograd.m * unit->state->winograd.phase;
    if (unit->state->element == LAYER_F32)
        for (size_t i = 0; i < count; i++)
            filled[i] |= ((const float *)(const void *)unit->line)[i] != 0;
    else
        for (size_t i = 0; i < count; i++)
            filled[i] |= ((const double *)(const void *)unit->line)[i] != 0;
}

/* The cells of one channel, and their transforms. */
static void transform_channel(const struct winograd_unit *unit, size_t channel)
{
    const struct layer_state *state = unit->state;
    const struct layer_winograd *w = &state->winograd;
    const struct simd_routines *const routines = unit->plan->routines;
    const size_t bytes = state->element_bytes, row = w->m * w->phase, cells = w->m * unit->wide + 2;
    const unsigned char *const base = (const unsigned char *)layer_source(state, unit->run) +
                                      (unit->item * state->source.item_pitch +
                                       (unit->group * state->channels + channel) * state->source.channel_pitch) *
                                          bytes;
    for (size_t line = 0; line < w->m * unit->high + 2; line++) {
        const size_t index = boundary_index(boundary_of(state), unit->start[0] + (int64_t)line, state->cut[1].source);
        unsigned char *const to = unit->cells + line * row * bytes;
        if (index == BOUNDARY_NONE) {
            memset(to, 0, row * bytes);
            continue;
        }
        copy_line(unit, base + index * state->source.axis_pitch[1] * bytes, cells);
        if (unit->filled)
            note_filled(unit, line, cells);
        if (bytes == 4)
            routines->split_u32(to, w->phase, unit->line, row, w->m);
        else
            routines->split_u64(to, w->phase, unit->line, row, w->m);
    }
    for (size_t y = 0; y < unit->high; y++) {
        const size_t from = y * w->m * row, to = channel * w->pitch + y * unit->wide;
        if (state->element == LAYER_F32)
            routines->winograd_input_f32(w->m, (float *)(void *)unit->transformed + to, w->cell_pitch,
                                         (const float *)(const void *)unit->cells + from, row, w->phase, unit->wide);
        else
            routines->winograd_input_f64(w->m, (double *)(void *)unit->transformed + to, w->cell_pitch,
                                         (const double *)(const void *)unit->cells + from, row, w->phase, unit->wide);
    }
}

/* ---- Products ---------------------------------------------------------------------------------------------------------- */

/* Where the weights of a block of rows begin, and from one product to the next. */
static size_t weight_offset(const struct layer_state *state, size_t group, size_t row)
{
    const size_t blocks = (state->rows + SIMD_PANEL_ROWS - 1) / SIMD_PANEL_ROWS;
    return (group * blocks + row / SIMD_PANEL_ROWS) * state->winograd.block;
}

static size_t weight_pitch(const struct layer_state *state)
{
    return state->winograd.block / ((state->winograd.m + 2) * (state->winograd.m + 2));
}

void layer_winograd_pack(const struct convolve_plan *plan, const struct convolve_run *run, size_t tile)
{
    const struct layer_state *state = layer_state(plan);
    const struct layer_scratch scratch = layer_scratch_parts(state, run->scratch);
    const size_t blocks = (state->rows + SIMD_PANEL_ROWS - 1) / SIMD_PANEL_ROWS, bytes = state->element_bytes;
    const size_t group = tile / blocks, row = tile % blocks * SIMD_PANEL_ROWS;
    const size_t width = layer_least(SIMD_PANEL_ROWS, state->rows - row), pitch = weight_pitch(state);
    const struct layer_phase phases[LAYER_AXES] = {layer_phase_at(state, 0, 0), layer_phase_at(state, 1, 0),
                                                   layer_phase_at(state, 2, 0)};
    const unsigned char *packed =
        (const unsigned char *)scratch.packed + layer_pack_offset(state, phases, group, row) * bytes;
    unsigned char *out = (unsigned char *)scratch.transformed + weight_offset(state, group, row) * bytes;
    for (size_t c = 0; c < state->channels; c++, packed += 9 * width * bytes, out += width * bytes) {
        if (state->element == LAYER_F32)
            plan->routines->winograd_weights_f32(state->winograd.m, (float *)(void *)out, pitch,
                                                 (const float *)(const void *)packed, width, reads_backwards(state));
        else
            plan->routines->winograd_weights_f64(state->winograd.m, (double *)(void *)out, pitch,
                                                 (const double *)(const void *)packed, width, reads_backwards(state));
    }
}

static void multiply(const struct winograd_unit *unit, size_t row, size_t rows)
{
    static const ptrdiff_t offset = 0;
    const struct layer_state *state = unit->state;
    const struct layer_winograd *w = &state->winograd;
    const size_t n = w->m + 2, bytes = state->element_bytes;
    const unsigned char *const weights = layer_scratch_parts(state, unit->run->scratch).transformed;
    for (size_t product = 0; product < n * n; product++)
        for (size_t c = 0; c < state->channels; c += PANEL_CHANNELS) {
            const struct simd_panel panel = {
                .input = unit->transformed + (product * w->cell_pitch + c * w->pitch) * bytes,
                .channels = layer_least(PANEL_CHANNELS, state->channels - c),
                .channel_pitch = w->pitch,
                .offsets = &offset,
                .taps = 1,
                .weights = weights + (weight_offset(state, unit->group, row) + product * weight_pitch(state)) * bytes,
                .block_pitch = w->block,
                .skipped = c,
                .accumulate = c > 0,
                .output = unit->products + product * w->made_pitch * bytes,
                .output_pitch = w->pitch,
                .rows = rows,
                .count = unit->high * unit->wide,
            };
            (state->element == LAYER_F32 ? unit->plan->routines->panel_f32 : unit->plan->routines->panel_f64)(&panel);
        }
}

/* ---- Outputs ----------------------------------------------------------------------------------------------------------- */

/* What the promises ask of a row of outputs, and the bias. `y` is its first row of cells. */
#define DEFINE_FINISH(type, suffix)                                                                                    \
    static void finish_##suffix(const struct winograd_unit *unit, type *row, size_t y, size_t count, const type *bias) \
    {                                                                                                                  \
        const size_t pitch = unit->state->winograd.m * unit->state->winograd.phase;                                    \
        for (size_t x = 0; unit->facts.positive && x < count; x++)                                                     \
            row[x] = row[x] > 0 ? row[x] : 0;                                                                          \
        for (size_t x = 0; unit->filled && x < count; x++) {                                                           \
            const uint32_t *const f = unit->filled + y * pitch + x;                                                    \
            if (!(f[0] | f[1] | f[2] | f[pitch] | f[pitch + 1] | f[pitch + 2] | f[2 * pitch] | f[2 * pitch + 1] |      \
                  f[2 * pitch + 2]))                                                                                   \
                row[x] = 0;                                                                                            \
        }                                                                                                              \
        for (size_t x = 0; bias && x < count; x++)                                                                     \
            row[x] += *bias;                                                                                           \
    }
DEFINE_FINISH(float, f32)
DEFINE_FINISH(double, f64)
#undef DEFINE_FINISH

/* One row of tiles of one output channel, `from` its first product. */
static void emit_tiles(const struct winograd_unit *unit, const unsigned char *from, size_t row, size_t tile_y)
{
    const struct layer_state *state = unit->state;
    const struct layer_winograd *w = &state->winograd;
    const struct simd_routines *const routines = unit->plan->routines;
    const size_t bytes = state->element_bytes, line = w->m * w->phase;
    const size_t first_y = (unit->first[0] + tile_y) * w->m, first_x = unit->first[1] * w->m;
    const size_t high = layer_least(w->m, state->cut[1].target - first_y);
    const size_t wide = layer_least(unit->wide * w->m, state->cut[2].target - first_x);
    const size_t pitch = state->target.axis_pitch[2];
    unsigned char *const target =
        (state->fold ? (unsigned char *)layer_scratch_parts(state, unit->run->scratch).target
                     : (unsigned char *)unit->run->output) +
        (unit->item * state->target.item_pitch + (unit->group * state->rows + row) * state->target.channel_pitch +
         first_y * state->target.axis_pitch[1] + first_x * pitch) *
            bytes;
    if (state->element == LAYER_F32)
        routines->winograd_output_f32(w->m, (float *)(void *)unit->outputs, line, w->phase,
                                      (const float *)(const void *)from, w->made_pitch, unit->wide);
    else
        routines->winograd_output_f64(w->m, (double *)(void *)unit->outputs, line, w->phase,
                                      (const double *)(const void *)from, w->made_pitch, unit->wide);
    for (size_t y = 0; y < high; y++) {
        unsigned char *const to = target + y * state->target.axis_pitch[1] * bytes, *const made =
                                                                                        pitch == 1 ? to : unit->row;
        const unsigned char *const bias =
            unit->run->bias ? (const unsigned char *)unit->run->bias + (unit->group * state->rows + row) * bytes : NULL;
        if (bytes == 4) {
            routines->merge_u32(made, unit->outputs + y * line * bytes, w->phase, wide, w->m);
            finish_f32(unit, (float *)(void *)made, tile_y * w->m + y, wide, (const float *)(const void *)bias);
        } else {
            routines->merge_u64(made, unit->outputs + y * line * bytes, w->phase, wide, w->m);
            finish_f64(unit, (double *)(void *)made, tile_y * w->m + y, wide, (const double *)(const void *)bias);
        }
        if (pitch != 1)
            layer_move_row(state, to, made, wide, pitch);
    }
}

void layer_winograd_unit(const struct convolve_plan *plan, const struct convolve_run *run, size_t number,
                         void *tile_scratch)
{
    const struct layer_state *state = layer_state(plan);
    const struct layer_winograd *w = &state->winograd;
    struct winograd_unit unit = {.plan = plan, .state = state, .run = run};
    const size_t units[2] = {w->row_units, w->column_units}, sizes[2] = {w->high, w->wide};
    for (unsigned i = 2; i-- > 0;) {
        unit.first[i] = number % units[i] * sizes[i];
        number /= units[i];
        unit.start[i] =
            layer_phase_at(state, i + 1, 0).first - (reads_backwards(state) ? 2 : 0) + (int64_t)(unit.first[i] * w->m);
    }
    unit.group = number % state->geometry.groups;
    unit.item = number / state->geometry.groups;
    unit.high = layer_least(w->high, w->tiles[0] - unit.first[0]);
    unit.wide = layer_least(w->wide, w->tiles[1] - unit.first[1]);
    unit.facts = layer_scratch_parts(state, run->scratch).items[unit.item];
    if (unit.facts.direct)
        return;
    take_scratch(&unit, tile_scratch);
    for (size_t c = 0; c < state->channels; c++)
        transform_channel(&unit, c);
    for (size_t row = 0; row < state->rows; row += w->rows) {
        const size_t rows = layer_least(w->rows, state->rows - row);
        multiply(&unit, row, rows);
        for (size_t r = 0; r < rows; r++)
            for (size_t y = 0; y < unit.high; y++)
                emit_tiles(&unit, unit.products + (r * w->pitch + y * unit.wide) * state->element_bytes, row + r, y);
    }
}
