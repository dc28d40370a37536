/* SPDX-License-Identifier: MIT */
/* A unit of winograd: some tiles of one item and group. Blocks of places by output channels, which are the lanes, sum each of
 * the (m+2)^2 products over the channels and the taps along z; what comes of it is transformed back, and lanes and places change
 * places on the way to the target. */
#include "core/layer_winograd_unit.h"

#include <string.h>

enum {
    PANEL_BYTES = 16 << 10, /* of the first-level cache, for the weights of some channels of one product */
    PANEL_STEPS = PANEL_BYTES / 64,
};

/* What is made of a strip of a block, before lanes and places change places: [row][place][lane]. */
static size_t outputs_of(const struct layer_state *state)
{
    const struct layer_winograd *w = &state->winograd;
    return w->m * w->m * w->wide * w->lanes;
}

bool layer_winograd_tile_scratch(const struct layer_state *state, size_t *bytes)
{
    const struct layer_winograd *w = &state->winograd;
    const size_t n = w->m + 2;
    size_t turned;
    if (state->gradient.used)
        return layer_winograd_gradient_tile_scratch(state, bytes);
    return layer_winograd_turned(state, &turned) && winograd_cells_scratch(state, bytes) &&
           plan_size_add(bytes, turned, state->element_bytes) &&
           plan_size_add(bytes, w->late ? n * n * w->chunk_pitch : 0, state->element_bytes) &&
           plan_size_add(bytes, n * n * w->made_pitch, state->element_bytes) &&
           plan_size_add(bytes, outputs_of(state), state->element_bytes) &&
           plan_size_add(bytes, outputs_of(state) / w->m, state->element_bytes);
}

/* ---- Products ---------------------------------------------------------------------------------------------------------- */

/* Some strips of all planes, one behind the other, and some channels. */
struct winograd_part {
    size_t strip, strips, channel, channels;
};

/* A part of the block that begins with `row`. `weights` begin with its channels, their products `pitch` apart. */
static void multiply(const struct winograd_unit *unit, const struct winograd_part *part, unsigned char *products,
                     const unsigned char *weights, size_t pitch, size_t row)
{
    const struct layer_state *state = unit->state;
    const struct layer_winograd *w = &state->winograd;
    const size_t n = w->m + 2, bytes = state->element_bytes, plane = unit->high * unit->wide;
    const size_t width = layer_winograd_width(state, row);
    const size_t fit = PANEL_BYTES / (w->taps * width * bytes);
    const size_t most = layer_least(fit < 1 ? 1 : fit, part->channels), first = part->strip * unit->wide;
    ptrdiff_t offsets[PANEL_STEPS]; /* channels and taps in one, which is one loop less */
    for (size_t i = 0; i < most * w->taps; i++) {
        const size_t tap = i % w->taps;
        offsets[i] =
            (ptrdiff_t)(i / w->taps * w->pitch + (winograd_backwards(state) ? w->taps - 1 - tap : tap) * plane);
    }
    for (size_t product = 0; product < n * n; product++) {
        if (w->late)
            layer_winograd_fetch(unit->plan, unit->run, unit->group, row, part->channel + part->channels, product);
        for (size_t c = 0; c < part->channels; c += most) {
            const struct simd_outer outer = {
                .input = unit->transformed + (product * w->cell_pitch + (part->channel + c) * w->pitch + first) * bytes,
                .channels = 1,
                .offsets = offsets,
                .taps = layer_least(most, part->channels - c) * w->taps,
                .weights = weights + (product * pitch + c * w->taps * width) * bytes,
                .lines = width * bytes / 64,
                .accumulate = part->channel + c > 0,
                .output = products + product * w->made_pitch * bytes,
                .rows = 1,
                .count = part->strips * unit->wide,
            };
            (state->element == LAYER_F32 ? unit->plan->routines->outer_f32 : unit->plan->routines->outer_f64)(&outer);
        }
    }
}

/* ---- Outputs ----------------------------------------------------------------------------------------------------------- */

/* A strip of a block: where it lies in the unit and in the target. */
struct strip_outputs {
    size_t plane, tile, phase[2]; /* the row of tiles in its phase */
    size_t high, wide; /* places that the target has */
    const uint32_t *filled; /* of the first row of cells; NULL: all */
};

static bool is_filled(const struct winograd_unit *unit, const uint32_t *filled)
{
    const size_t row = winograd_row(unit->state), plane = unit->state->winograd.filled * row;
    uint32_t any = 0;
    for (size_t tap = 0; tap < unit->state->winograd.taps; tap++, filled += plane)
        for (size_t y = 0; y < 3; y++)
            any |= filled[y * row] | filled[y * row + 1] | filled[y * row + 2];
    return any != 0;
}

/* What the promises ask of a row of outputs, [place][lane], and the bias. */
#define DEFINE_FINISH(type, suffix)                                                                                    \
    static void finish_##suffix(const struct winograd_unit *unit, type *row, const uint32_t *filled, size_t count,     \
                                size_t width, const type *bias, size_t rows)                                           \
    {                                                                                                                  \
        for (size_t i = 0; unit->facts.positive && i < count * width; i++)                                             \
            row[i] = row[i] > 0 ? row[i] : 0;                                                                          \
        for (size_t x = 0; filled && x < count; x++)                                                                   \
            if (!is_filled(unit, filled + x))                                                                          \
                memset(row + x * width, 0, width * sizeof *row);                                                       \
        for (size_t x = 0; bias && x < count; x++)                                                                     \
            for (size_t r = 0; r < rows; r++)                                                                          \
                row[x * width + r] += bias[r];                                                                         \
    }
DEFINE_FINISH(float, f32)
DEFINE_FINISH(double, f64)
#undef DEFINE_FINISH

static unsigned char *target_place(const struct winograd_unit *unit, const struct strip_outputs *strip, size_t row,
                                   size_t y)
{
    const struct layer_state *state = unit->state;
    const struct layer_winograd *w = &state->winograd;
    const size_t value = unit->item * state->target.item_pitch +
                         (unit->group * state->rows + row) * state->target.channel_pitch +
                         (unit->first[0] + strip->plane) * state->target.axis_pitch[0] +
                         (strip->phase[0] + (strip->tile * w->m + y) * w->step[0]) * state->target.axis_pitch[1] +
                         (strip->phase[1] + unit->first[2] * w->m * w->step[1]) * state->target.axis_pitch[2];
    return (state->fold ? (unsigned char *)layer_scratch_parts(state, unit->run->scratch).target
                        : (unsigned char *)unit->run->output) +
           value * state->element_bytes;
}

/* One row of outputs to the target; `room` takes rows whose places lie apart there. */
static void emit_row(const struct winograd_unit *unit, unsigned char *to, const unsigned char *made, size_t places,
                     size_t width, size_t rows, unsigned char *room)
{
    const struct layer_state *state = unit->state;
    const struct simd_routines *const routines = unit->plan->routines;
    const size_t bytes = state->element_bytes, pitch = state->target.axis_pitch[2] * state->winograd.step[1];
    const size_t channel_pitch = state->target.channel_pitch;
    if (channel_pitch == 1) {
        for (size_t x = 0; x < places; x++)
            memcpy(to + x * pitch * bytes, made + x * width * bytes, rows * bytes);
        return;
    }
    unsigned char *const out = pitch == 1 ? to : room;
    const size_t out_pitch = pitch == 1 ? channel_pitch : places;
    if (bytes == 4)
        routines->transpose_u32(out, out_pitch, made, width, places, rows);
    else
        routines->transpose_u64(out, out_pitch, made, width, places, rows);
    for (size_t r = 0; pitch != 1 && r < rows; r++)
        layer_move_row(state, to + r * channel_pitch * bytes, room + r * places * bytes, places, pitch);
}

/* One strip of a block of rows, `from` its first product. */
static void emit_strip(const struct winograd_unit *unit, const struct strip_outputs *strip, const unsigned char *from,
                       unsigned char *outputs, size_t row, size_t width)
{
    const struct layer_state *state = unit->state;
    const struct layer_winograd *w = &state->winograd;
    const struct simd_routines *const routines = unit->plan->routines;
    const size_t bytes = state->element_bytes, line = unit->wide * w->m * width;
    const size_t rows = layer_least(width, state->rows - row);
    unsigned char *const room = outputs + outputs_of(state) * bytes;
    const void *const bias =
        unit->run->bias ? (const unsigned char *)unit->run->bias + (unit->group * state->rows + row) * bytes : NULL;
    for (size_t t = 0; t < unit->wide; t++) {
        unsigned char *const to = outputs + t * w->m * width * bytes;
        const unsigned char *const products = from + t * width * bytes;
        if (state->element == LAYER_F32)
            routines->winograd_output_f32(w->m, (float *)(void *)to, line, width, (const float *)(const void *)products,
                                          w->made_pitch, width);
        else
            routines->winograd_output_f64(w->m, (double *)(void *)to, line, width,
                                          (const double *)(const void *)products, w->made_pitch, width);
    }
    for (size_t y = 0; y < strip->high; y++) {
        unsigned char *const made = outputs + y * line * bytes;
        const uint32_t *const filled = strip->filled ? strip->filled + y * winograd_row(state) : NULL;
        if (state->element == LAYER_F32)
            finish_f32(unit, (float *)(void *)made, filled, strip->wide, width, bias, rows);
        else
            finish_f64(unit, (double *)(void *)made, filled, strip->wide, width, bias, rows);
        emit_row(unit, target_place(unit, strip, row, y), made, strip->wide, width, rows, room);
    }
}

/* Places of a phase along an axis, of `most` tiles from `tile` on. */
static size_t places_left(const struct layer_state *state, unsigned axis, size_t phase, size_t tile, size_t most)
{
    const struct layer_winograd *w = &state->winograd;
    const size_t step = w->step[axis - 1], all = (state->cut[axis].target - phase + step - 1) / step;
    return all <= tile * w->m ? 0 : layer_least(all - tile * w->m, most * w->m);
}

/* What is made of some strips of the block that begins with `row`. */
static void emit_strips(const struct winograd_unit *unit, const struct winograd_part *part,
                        const unsigned char *products, unsigned char *outputs, size_t row)
{
    const struct layer_state *state = unit->state;
    const size_t width = layer_winograd_width(state, row);
    for (size_t i = 0; i < part->strips; i++) {
        const size_t plane = (part->strip + i) / unit->high, number = (part->strip + i) % unit->high;
        const struct strip_run run = winograd_run_from(unit, number);
        const struct strip_outputs strip = {
            .plane = plane,
            .tile = run.tile,
            .phase = {run.phase[0], run.phase[1]},
            .high = places_left(state, 1, run.phase[0], run.tile, 1),
            .wide = places_left(state, 2, run.phase[1], unit->first[2], unit->wide),
            .filled = unit->filled ? winograd_filled_row(unit, plane, number, 0) : NULL,
        };
        emit_strip(unit, &strip, products + i * unit->wide * width * state->element_bytes, outputs, row, width);
    }
}

/* ---- Units ------------------------------------------------------------------------------------------------------------- */

/* False where its item is made by `direct`. */
static bool place_unit(struct winograd_unit *unit, size_t number)
{
    const struct layer_state *state = unit->state;
    const struct layer_winograd *w = &state->winograd;
    const size_t column = number % w->column_units, strip = number / w->column_units % w->strip_units;
    number /= w->column_units * w->strip_units;
    unit->first[0] = number % w->plane_units * w->deep;
    unit->first[1] = strip * w->high - (strip > w->high_units ? strip - w->high_units : 0);
    unit->first[2] = column * w->wide;
    number /= w->plane_units;
    unit->group = number % state->geometry.groups;
    unit->item = number / state->geometry.groups;
    unit->deep = layer_least(w->deep, state->cut[0].target - unit->first[0]);
    unit->high = strip < w->high_units ? w->high : w->high - 1;
    unit->wide = layer_least(w->wide, w->tiles[1] - unit->first[2]);
    unit->planes = unit->deep + w->taps - 1;
    unit->facts = layer_scratch_parts(state, unit->run->scratch).items[unit->item];
    return !unit->facts.direct;
}

/* The last tile notes which cells are filled, the others transform some channels each. */
void layer_winograd_cells(const struct convolve_plan *plan, const struct convolve_run *run, size_t tile,
                          void *tile_scratch)
{
    const struct layer_state *state = layer_state(plan);
    struct winograd_unit unit = {.plan = plan, .state = state, .run = run};
    unsigned char *cursor = tile_scratch;
    if (!place_unit(&unit, 0))
        return;
    winograd_take_cells(&unit, &cursor);
    const size_t tiles = state->winograd.cell_tiles - 1, first = state->channels * tile / tiles;
    if (tile < tiles) {
        winograd_take_channels(&unit, first, state->channels * (tile + 1) / tiles - first, true, false);
    } else if (unit.filled) {
        winograd_clear_filled(&unit);
        winograd_take_channels(&unit, 0, state->channels, false, true);
    }
}

static void make_block(const struct winograd_unit *unit, size_t row, unsigned char *cursor)
{
    const struct layer_state *state = unit->state;
    const struct layer_winograd *w = &state->winograd;
    const struct layer_scratch scratch = layer_scratch_parts(state, unit->run->scratch);
    const size_t n = w->m + 2, bytes = state->element_bytes;
    size_t turned;
    layer_winograd_turned(state, &turned);
    unsigned char *const taps = plan_scratch_take(&cursor, turned, bytes);
    unsigned char *const chunk = plan_scratch_take(&cursor, w->late ? n * n * w->chunk_pitch : 0, bytes);
    unsigned char *const products = plan_scratch_take(&cursor, n * n * w->made_pitch, bytes);
    unsigned char *const outputs = plan_scratch_take(&cursor, outputs_of(state), bytes);
    const size_t strips = unit->deep * unit->high;
    struct winograd_part part = {.strips = strips, .channels = state->channels};
    for (; !w->late && part.strip < strips; part.strip += w->band) {
        part.strips = layer_least(w->band, strips - part.strip);
        multiply(unit, &part, products, layer_winograd_block(state, &scratch, unit->group, row), w->block / (n * n),
                 row);
        emit_strips(unit, &part, products, outputs, row);
    }
    for (; w->late && part.channel < state->channels; part.channel += w->chunk) {
        part.channels = layer_least(w->chunk, state->channels - part.channel);
        layer_winograd_transform(unit->plan, unit->run, chunk, w->chunk_pitch, taps, unit->group, row, part.channel,
                                 part.channels);
        multiply(unit, &part, products, chunk, w->chunk_pitch, row);
    }
    if (w->late)
        emit_strips(unit, &part, products, outputs, row);
}

void layer_winograd_unit(const struct convolve_plan *plan, const struct convolve_run *run, size_t number,
                         void *tile_scratch)
{
    const struct layer_state *state = layer_state(plan);
    const struct layer_winograd *w = &state->winograd;
    struct winograd_unit unit = {.plan = plan, .state = state, .run = run};
    unsigned char *cursor = tile_scratch;
    if (!place_unit(&unit, w->shared ? 0 : number))
        return;
    winograd_take_cells(&unit, &cursor);
    if (w->shared) {
        make_block(&unit, number * w->lanes, cursor);
        return;
    }
    winograd_clear_filled(&unit);
    winograd_take_channels(&unit, 0, state->channels, true, unit.filled != NULL);
    for (size_t row = 0; row < state->rows; row += w->lanes)
        make_block(&unit, row, cursor);
}
