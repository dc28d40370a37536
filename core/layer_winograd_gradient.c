/* SPDX-License-Identifier: MIT */
/* Gradients of the weight by the same transforms, transposed: where an output of F(m, 3) is A^T [(G g G^T) * (B^T d B)] A, the
 * gradient of the taps is G^T [sum over tiles of (A o A^T) * (B^T d B)] G, o a tile of m x m gradients and d the cells under
 * its windows. Channels are lanes throughout. Tiles are taken in passes of some rows of tiles, two stages each: their cells and
 * gradients are transformed; each of the (m+2)^2 products is added to its sums, [input channel][output channel]. At last the sums
 * are transformed back.
 *
 * The bound is that of layer_winograd.c with the tiles in the place of the channels: a path meets no more than 2 roundings along
 * an axis in A, 4 in B^T and 5 in G^T, and K, the largest over k of sum_j |G_jk| sum_i |A_ij| sum_l |B_jl|, is 6 for m of 2 and
 * less than 54 for m of 4. What the transforms would not keep is kept for the request as a whole, since all items are summed. */
#include "core/layer_winograd.h"

#include "core/boundary.h"

#include <string.h>

enum {
    PASS_BYTES = 5 << 18, /* of transformed tiles: they stay in the second-level cache */
    EMIT_CHANNELS = 4, /* input channels of a tile */
};

static size_t line_of(const struct layer_state *state)
{
    return 64 / state->element_bytes;
}

/* Lanes of a side's channels. */
static size_t lanes_of(const struct layer_state *state, const struct layer_side *side)
{
    return layer_divide_up(side->channels, line_of(state)) * line_of(state);
}

static size_t product_count(const struct layer_state *state)
{
    return (state->gradient.m + 2) * (state->gradient.m + 2);
}

/* ---- What it can do ---------------------------------------------------------------------------------------------------- */

static double tiles_of(const struct layer_geometry *geometry, unsigned m)
{
    return (double)layer_divide_up(geometry->axis[1].y, m) * (double)layer_divide_up(geometry->axis[2].y, m);
}

static unsigned choose_tile(const struct layer_geometry *geometry)
{
    return 36 * tiles_of(geometry, 4) < 16 * tiles_of(geometry, 2) ? 4 : 2;
}

/* In steps of a multiply-add, as measured, like layer_winograd_pays. */
bool layer_winograd_gradient_pays(const struct layer_state *state)
{
    const struct layer_geometry *const geometry = &state->geometry;
    const double channels = (double)geometry->x.channels, rows = (double)geometry->y.channels;
    const unsigned m = choose_tile(geometry);
    const double tiles = tiles_of(geometry, m), n2 = (m + 2) * (m + 2), items = (double)geometry->items;
    if (state->element != LAYER_F32 || channels < 16 || rows < 16)
        return false;
    const double places = (double)geometry->axis[1].y * (double)geometry->axis[2].y;
    const double winograd =
        items * tiles * (1.3 * n2 * channels * rows + 1400 * (channels + rows)) + 55 * n2 * channels * rows;
    return winograd < 0.9 * items * 1.3 * places * 9 * channels * rows;
}

bool layer_winograd_gradient_derive(struct layer_state *state)
{
    const struct layer_geometry *const geometry = &state->geometry;
    struct layer_gradient *const w = &state->gradient;
    const size_t m = choose_tile(geometry), n2 = (m + 2) * (m + 2), line = line_of(state);
    const size_t cells = lanes_of(state, &geometry->x), gradients = lanes_of(state, &geometry->y);
    size_t row_bytes, values;
    state->winograd = (struct layer_winograd){.m = (unsigned)m};
    *w = (struct layer_gradient){.used = true, .m = m};
    w->rows = layer_divide_up(geometry->axis[1].y, m);
    w->wide = layer_divide_up(geometry->axis[2].y, m);
    if (__builtin_mul_overflow(n2 * w->wide, cells + gradients, &row_bytes) ||
        __builtin_mul_overflow(row_bytes, state->element_bytes, &row_bytes))
        return false;
    const size_t fit = row_bytes > PASS_BYTES ? 1 : PASS_BYTES / row_bytes;
    w->bands = layer_divide_up(w->rows, layer_least(fit, w->rows));
    w->high = layer_divide_up(w->rows, w->bands);
    w->bands = layer_divide_up(w->rows, w->high);
    w->passes = geometry->items * w->bands;
    w->lines = m * w->high + 2;
    const size_t tiles = w->high * w->wide;
    w->cell_pitch = layer_winograd_odd_lines(state, tiles * cells);
    w->made_pitch = layer_winograd_odd_lines(state, tiles * gradients);
    w->source_lines = cells / line;
    w->units = geometry->groups * (cells + gradients) / line;
    w->sum_units = geometry->groups * n2;
    w->emit_units = geometry->groups * layer_divide_up(geometry->x.channels, EMIT_CHANNELS);
    state->sweep.gathers = false;
    layer_winograd_count_chunks(state);
    return !__builtin_mul_overflow(cells * gradients, geometry->groups * n2, &w->sums) && w->sums < SIZE_MAX / 16 &&
           !__builtin_mul_overflow(w->cell_pitch + w->made_pitch, geometry->groups * n2, &values) &&
           values < SIZE_MAX / 16 && (state->winograd.weights = values) && w->passes < (size_t)1 << 28;
}

/* A line of lanes: the rows of cells or gradients under some rows of tiles. Of emitted channels: sums, and taps. */
bool layer_winograd_gradient_tile_scratch(const struct layer_state *state, size_t *bytes)
{
    const struct layer_gradient *w = &state->gradient;
    size_t copied, made = 0;
    return !__builtin_mul_overflow(w->lines, w->m * w->wide + 2, &copied) && plan_size_add(bytes, copied, 64) &&
           plan_size_add(&made, EMIT_CHANNELS * 9 * lanes_of(state, &state->geometry.y), state->element_bytes) &&
           plan_size_add(bytes, made, 1);
}

/* ---- Transforms -------------------------------------------------------------------------------------------------------- */

/* Neighbours of a row, from place `place` on, a line of their channels side by side. */
static void turn(const struct convolve_plan *plan, unsigned char *out, const unsigned char *row,
                 const struct layer_side *side, size_t place, size_t channels, size_t count)
{
    const size_t bytes = layer_state(plan)->element_bytes, line = 64 / bytes, pitch = side->axis_pitch[2];
    const unsigned char *const from = row + place * pitch * bytes;
    if (pitch != 1)
        for (size_t i = 0; i < count; i++)
            memcpy(out + i * 64, from + i * pitch * bytes, channels * bytes);
    else
        (bytes == 4 ? plan->routines->transpose_u32
                    : plan->routines->transpose_u64)(out, line, from, side->channel_pitch, channels, count);
}

/* `count` cells of a row from `start` on, zeros behind the first `wanted`; NULL: zeros. */
static void copy_line(const struct convolve_plan *plan, unsigned char *out, const unsigned char *row,
                      const struct layer_side *side, size_t length, int64_t start, size_t channels, size_t count,
                      size_t wanted)
{
    if (!row || channels * layer_state(plan)->element_bytes < 64)
        memset(out, 0, count * 64);
    if (!row)
        return;
    memset(out + wanted * 64, 0, (count - wanted) * 64);
    for (size_t i = 0; i < wanted; i++) {
        const int64_t place = start + (int64_t)i;
        const bool inside = place >= 0 && place < (int64_t)length;
        const size_t index = boundary_index(layer_state(plan)->geometry.boundary, place, length);
        const size_t taken = inside ? layer_least(wanted - i, length - (size_t)place) : 1;
        if (index == BOUNDARY_NONE)
            memset(out + i * 64, 0, 64);
        else
            turn(plan, out + i * 64, row, side, index, channels, taken);
        i += taken - 1;
    }
}

/* Some rows of tiles of one item, for a line of channels of either side. */
void layer_winograd_gradient_transform(const struct convolve_plan *plan, const struct convolve_run *run, size_t pass,
                                       size_t unit, void *tile_scratch)
{
    const struct layer_state *state = layer_state(plan);
    const struct layer_geometry *geometry = &state->geometry;
    const struct layer_gradient *w = &state->gradient;
    const struct layer_scratch scratch = layer_scratch_parts(state, run->scratch);
    if (scratch.items[0].direct)
        return;
    const size_t bytes = state->element_bytes, line = line_of(state), lines = w->units / geometry->groups;
    const size_t group = unit / lines, item = pass / w->bands, m = w->m;
    const bool cells = unit % lines < w->source_lines;
    const size_t channel = (unit % lines - (cells ? 0 : w->source_lines)) * line;
    const struct layer_side *const side = cells ? &geometry->x : &geometry->y;
    const struct layer_axis *const axis = geometry->axis;
    const size_t channels = layer_least(line, side->channels - channel), lanes = lanes_of(state, side);
    const size_t first = pass % w->bands * w->high, high = layer_least(w->high, w->rows - first);
    const size_t rows = m * high + (cells ? 2 : 0), wide = m * w->wide + (cells ? 2 : 0);
    const size_t length[] = {cells ? axis[1].x : axis[1].y, cells ? axis[2].x : axis[2].y};
    /* Beyond what the windows of y reach, and beyond y, stand zeros. */
    const size_t wanted = axis[2].y + (cells ? 2 : 0), all = axis[1].y + (cells ? 2 : 0);
    const int64_t start = cells ? -axis[2].before : 0;
    const unsigned char *const base =
        (const unsigned char *)(cells ? run->input : run->grad_output) +
        (item * side->item_pitch + (group * side->channels + channel) * side->channel_pitch) * bytes;
    unsigned char *const copied = tile_scratch;
    for (size_t y = 0; y < rows; y++) {
        const size_t row = first * m + y;
        const size_t index = row >= all ? BOUNDARY_NONE
                             : cells    ? boundary_index(geometry->boundary, (int64_t)row - axis[1].before, length[0])
                                        : row;
        copy_line(plan, copied + y * wide * 64,
                  index == BOUNDARY_NONE ? NULL : base + index * side->axis_pitch[1] * bytes, side, length[1], start,
                  channels, wide, wanted);
    }
    const size_t pitch = cells ? w->cell_pitch : w->made_pitch, n2 = product_count(state);
    unsigned char *const transformed =
        (unsigned char *)scratch.transformed +
        (group * n2 * (w->cell_pitch + w->made_pitch) + (cells ? 0 : n2 * w->cell_pitch) + channel) * bytes;
    for (size_t y = 0; y < high; y++) {
        unsigned char *const out = transformed + y * w->wide * lanes * bytes, *const from = copied + y * m * wide * 64;
        if (state->element == LAYER_F32)
            (cells ? plan->routines->winograd_cells_f32
                   : plan->routines->winograd_tiles_f32)((unsigned)m, (float *)(void *)out, pitch, lanes,
                                                         (const float *)(const void *)from, wide * line, w->wide);
        else
            (cells ? plan->routines->winograd_cells_f64
                   : plan->routines->winograd_tiles_f64)((unsigned)m, (double *)(void *)out, pitch, lanes,
                                                         (const double *)(const void *)from, wide * line, w->wide);
    }
}

/* ---- Products ---------------------------------------------------------------------------------------------------------- */

void layer_winograd_gradient_sum(const struct convolve_plan *plan, const struct convolve_run *run, size_t pass,
                                 size_t unit)
{
    enum { ROWS = 96 }; /* at a time */
    const struct layer_state *state = layer_state(plan);
    const struct layer_gradient *w = &state->gradient;
    const struct layer_scratch scratch = layer_scratch_parts(state, run->scratch);
    if (scratch.items[0].direct)
        return;
    const size_t n2 = product_count(state), group = unit / n2, product = unit % n2, bytes = state->element_bytes;
    const size_t cells = lanes_of(state, &state->geometry.x), gradients = lanes_of(state, &state->geometry.y);
    const size_t first = pass % w->bands * w->high, high = layer_least(w->high, w->rows - first);
    const unsigned char *const transformed =
        (const unsigned char *)scratch.transformed + group * n2 * (w->cell_pitch + w->made_pitch) * bytes;
    ptrdiff_t offsets[ROWS];
    for (size_t r = 0; r < ROWS; r++)
        offsets[r] = (ptrdiff_t)r;
    for (size_t row = 0; row < state->geometry.x.channels; row += ROWS) {
        const struct simd_cross cross = {
            .input = transformed + (product * w->cell_pitch + row) * bytes,
            .offsets = offsets,
            .rows = layer_least(ROWS, state->geometry.x.channels - row),
            .runs = 1,
            .run_pitch = 0,
            .places = high * w->wide,
            .step = cells,
            .lanes = transformed + (n2 * w->cell_pitch + product * w->made_pitch) * bytes,
            .width = gradients,
            .accumulate = pass > 0,
            .sums = (unsigned char *)scratch.sums + ((group * n2 + product) * cells + row) * gradients * bytes,
            .sums_pitch = gradients,
        };
        (state->element == LAYER_F32 ? plan->routines->cross_f32 : plan->routines->cross_f64)(&cross);
    }
}

/* ---- Outputs ----------------------------------------------------------------------------------------------------------- */

static bool is_zero(const struct layer_state *state, const unsigned char *value)
{
    return state->element == LAYER_F32 ? *(const float *)(const void *)value == 0
                                       : *(const double *)(const void *)value == 0;
}

/* Whether anything but zeros is under a tap of a channel: mostly the first that is looked at. */
static bool window_is_filled(const struct layer_state *state, const struct convolve_run *run, size_t channel,
                             size_t tap)
{
    const struct layer_geometry *geometry = &state->geometry;
    const struct layer_axis *axis = geometry->axis;
    const struct layer_side *x = &geometry->x;
    for (size_t item = 0; item < geometry->items; item++)
        for (size_t y = 0; y < axis[1].y; y++) {
            const size_t from_y =
                boundary_index(geometry->boundary, (int64_t)(y + tap / 3) - axis[1].before, axis[1].x);
            for (size_t i = 0; from_y != BOUNDARY_NONE && i < axis[2].y; i++) {
                const size_t from_x =
                    boundary_index(geometry->boundary, (int64_t)(i + tap % 3) - axis[2].before, axis[2].x);
                const size_t value = item * x->item_pitch + channel * x->channel_pitch + from_y * x->axis_pitch[1] +
                                     from_x * x->axis_pitch[2];
                if (from_x != BOUNDARY_NONE &&
                    !is_zero(state, (const unsigned char *)run->input + value * state->element_bytes))
                    return true;
            }
        }
    return false;
}

/* Nothing that is below 0 in a row of sums. */
static void cut_below_zero(const struct layer_state *state, unsigned char *row, size_t count)
{
    float *const single = (float *)(void *)row;
    double *const twice = (double *)(void *)row;
    for (size_t i = 0; i < count; i++)
        if (state->element == LAYER_F32)
            single[i] = single[i] > 0 ? single[i] : 0;
        else
            twice[i] = twice[i] > 0 ? twice[i] : 0;
}

/* Some input channels of a group: back to taps, [channel][tap][lane], and into the weight's order. */
void layer_winograd_gradient_emit(const struct convolve_plan *plan, const struct convolve_run *run, size_t unit,
                                  void *tile_scratch)
{
    const struct layer_state *state = layer_state(plan);
    const struct layer_geometry *geometry = &state->geometry;
    const struct layer_scratch scratch = layer_scratch_parts(state, run->scratch);
    if (scratch.items[0].direct)
        return;
    const size_t bytes = state->element_bytes, n2 = product_count(state), line = line_of(state);
    const size_t parts = state->gradient.emit_units / geometry->groups, group = unit / parts;
    const size_t first = unit % parts * EMIT_CHANNELS, count = layer_least(EMIT_CHANNELS, geometry->x.channels - first);
    const size_t cells = lanes_of(state, &geometry->x), lanes = lanes_of(state, &geometry->y);
    const size_t channels = geometry->y.channels;
    unsigned char *const taps = tile_scratch;
    for (size_t c = 0; c < count; c++) {
        const unsigned char *const sums =
            (const unsigned char *)scratch.sums + (group * n2 * cells + first + c) * lanes * bytes;
        unsigned char *const made = taps + c * 9 * lanes * bytes;
        if (state->element == LAYER_F32)
            plan->routines->winograd_taps_f32((unsigned)state->gradient.m, (float *)(void *)made, lanes,
                                              (const float *)(const void *)sums, cells * lanes, lanes);
        else
            plan->routines->winograd_taps_f64((unsigned)state->gradient.m, (double *)(void *)made, lanes,
                                              (const double *)(const void *)sums, cells * lanes, lanes);
        for (size_t tap = 0; tap < 9; tap++)
            if (!window_is_filled(state, run, group * geometry->x.channels + first + c, tap))
                memset(made + tap * lanes * bytes, 0, lanes * bytes);
    }
    if (scratch.items[0].positive)
        cut_below_zero(state, taps, count * 9 * lanes);
    unsigned char *const output = run->output;
    const size_t row_values = geometry->w.y_pitch, begin = group * channels * row_values;
    if (geometry->channels_last) {
        for (size_t k = 0; k < channels; k++)
            for (size_t tap = 0; tap < 9; tap++)
                for (size_t c = 0; c < count; c++)
                    memcpy(output + (begin + k * row_values + tap * geometry->x.channels + first + c) * bytes,
                           taps + ((c * 9 + tap) * lanes + k) * bytes, bytes);
        for (size_t k = 0; k < channels; k++)
            for (size_t tap = 0; tap < 9; tap++)
                layer_look_at(plan, run, begin + k * row_values + tap * geometry->x.channels + first, count);
        return;
    }
    for (size_t k = 0; k < channels; k += line)
        (bytes == 4 ? plan->routines->transpose_u32 : plan->routines->transpose_u64)(
            output + (begin + k * row_values + first * 9) * bytes, row_values, taps + k * bytes, lanes, count * 9,
            layer_least(line, channels - k));
    for (size_t k = 0; k < channels; k++)
        layer_look_at(plan, run, begin + k * row_values + first * 9, count * 9);
}
