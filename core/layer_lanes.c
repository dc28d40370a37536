/* SPDX-License-Identifier: MIT */
/* backward_weight of depthwise layers, one input and one output channel to a group: here the lanes are channels, W of them
 * a tile. In each pass, which takes some rows of places of one item, a tile brings its channels' cells and gradients side by
 * side into its own scratch, looking at them on the way, and adds what they give to its sums, [tap][lane]; the sums are at last
 * brought into order. Rows of cells go round in a ring of as many as a window holds, so that all stays in the first-level cache. */
#include "core/layer_state.h"

#include "core/boundary.h"

#include <string.h>

enum {
    PASS_PLACES = 4096,
    SEGMENT_PLACES = 1024,
    CELLS_MOST = 1 << 16, /* of a pass */
};

static size_t lane_count(const struct layer_state *state)
{
    return state->element == LAYER_F32 ? SIMD_LANES_f32 : SIMD_LANES_f64;
}

static size_t tap_count(const struct layer_geometry *geometry)
{
    return geometry->axis[1].kernel * geometry->axis[2].kernel;
}

static size_t reach_of(const struct layer_axis *axis)
{
    return (axis->kernel - 1) * axis->dilation;
}

/* Whether all places of x along an axis are gathered; `parts` of the windows' places are taken apart. */
static bool covers(const struct layer_axis *axis, size_t parts)
{
    const int64_t end = (int64_t)((axis->y - 1) * axis->stride + reach_of(axis)) + 1 - axis->before;
    return axis->before >= 0 && end >= (int64_t)axis->x && (parts == 1 || axis->stride <= reach_of(axis) + 1);
}

bool layer_lanes_derive(struct layer_state *state)
{
    const struct layer_geometry *geometry = &state->geometry;
    const struct layer_axis *z = &geometry->axis[0], *y = &geometry->axis[1], *x = &geometry->axis[2];
    struct layer_sweep *sweep = &state->sweep;
    if (state->element == LAYER_U64 || state->parts != 1 || geometry->x.channels != 1 || geometry->y.channels != 1 ||
        z->kernel != 1 || z->y != 1 || z->x != 1 || z->before != 0)
        return false;
    const size_t segments = layer_divide_up(x->y, SEGMENT_PLACES);
    sweep->segment = layer_divide_up(x->y, segments);
    /* Sums go along the rows, so that a row in parts is taken alone. */
    sweep->high = segments > 1 ? 1 : layer_least(y->y, layer_divide_up(PASS_PLACES, sweep->segment));
    const size_t wide = (sweep->segment - 1) * x->stride + reach_of(x) + 1, rows = reach_of(y) + 1;
    if (wide > CELLS_MOST || rows > CELLS_MOST / wide)
        return false;
    sweep->by_lanes = true;
    sweep->cells[1] = rows;
    sweep->cells[2] = wide;
    sweep->segments = segments;
    sweep->passes = geometry->items * layer_divide_up(y->y, sweep->high) * segments;
    sweep->tiles = layer_divide_up(geometry->groups, lane_count(state));
    sweep->emit_tiles = layer_divide_up(geometry->groups, 64);
    sweep->gathers = covers(y, y->y) && covers(x, segments);
    sweep->looked[0] = sweep->looked[1] = sweep->tiles;
    state->target_values = sweep->tiles * lane_count(state) * tap_count(geometry);
    return sweep->passes < (size_t)1 << 30;
}

bool layer_lanes_scratch(const struct layer_state *state, size_t *bytes)
{
    const struct layer_sweep *sweep = &state->sweep;
    const size_t lanes = lane_count(state);
    return plan_size_add(bytes, tap_count(&state->geometry), sizeof(ptrdiff_t)) &&
           plan_size_add(bytes, sweep->cells[1] * sweep->cells[2] * lanes, state->element_bytes) &&
           plan_size_add(bytes, sweep->segment * lanes, state->element_bytes);
}

static void look_at(const struct convolve_plan *plan, struct simd_facts *facts, const unsigned char *values,
                    size_t count)
{
    if (!layer_state(plan)->sweep.gathers)
        return;
    if (layer_state(plan)->element == LAYER_F32)
        plan->routines->scan_f32(facts, (const float *)(const void *)values, count);
    else
        plan->routines->scan_f64(facts, (const double *)(const void *)values, count);
}

/* A tile's facts go on from pass to pass. */
static struct simd_facts open_facts(const struct layer_facts *facts, size_t pass)
{
    return pass == 0 ? (struct simd_facts){0}
                     : (struct simd_facts){facts->largest, facts->fractional, facts->nonfinite};
}

static void close_facts(struct layer_facts *facts, const struct simd_facts *found)
{
    *facts =
        (struct layer_facts){.largest = found->largest, .fractional = found->fractional, .nonfinite = found->nonfinite};
}

/* `count` neighbours of a row, the channels of each side by side. */
static void gather(const struct convolve_plan *plan, unsigned char *out, const unsigned char *in,
                   const struct layer_side *side, size_t channels, size_t count)
{
    const struct layer_state *state = layer_state(plan);
    const size_t bytes = state->element_bytes, lanes = lane_count(state);
    if (side->axis_pitch[2] != 1)
        for (size_t i = 0; i < count; i++)
            memcpy(out + i * lanes * bytes, in + i * side->axis_pitch[2] * bytes, channels * bytes);
    else if (bytes == 4)
        plan->routines->transpose_u32(out, lanes, in, side->channel_pitch, channels, count);
    else
        plan->routines->transpose_u64(out, lanes, in, side->channel_pitch, channels, count);
}

/* A row of cells from `start` on, a place of the source; NULL: a row of zeros. */
static void gather_cells(const struct convolve_plan *plan, unsigned char *out, const unsigned char *row, int64_t start,
                         size_t channels)
{
    const struct layer_state *state = layer_state(plan);
    const struct layer_geometry *geometry = &state->geometry;
    const size_t length = geometry->axis[2].x, cells = state->sweep.cells[2];
    const size_t pitch = lane_count(state) * state->element_bytes;
    if (!row) {
        memset(out, 0, cells * pitch);
        return;
    }
    for (size_t i = 0; i < cells; i++) {
        const int64_t place = start + (int64_t)i;
        if (place >= 0 && place < (int64_t)length) {
            const size_t count = layer_least(cells - i, length - (size_t)place);
            gather(plan, out + i * pitch, row + (size_t)place * geometry->x.axis_pitch[2] * state->element_bytes,
                   &geometry->x, channels, count);
            i += count - 1;
            continue;
        }
        const size_t index = boundary_index(geometry->boundary, place, length);
        if (index == BOUNDARY_NONE)
            memset(out + i * pitch, 0, pitch);
        else
            gather(plan, out + i * pitch, row + index * geometry->x.axis_pitch[2] * state->element_bytes, &geometry->x,
                   channels, 1);
    }
}

void layer_lanes_tile(const struct convolve_plan *plan, const struct convolve_run *run, size_t pass, size_t tile,
                      void *tile_scratch)
{
    const struct layer_state *state = layer_state(plan);
    const struct layer_geometry *geometry = &state->geometry;
    const struct layer_sweep *sweep = &state->sweep;
    const struct layer_axis *y = &geometry->axis[1], *x = &geometry->axis[2];
    const size_t bytes = state->element_bytes, lanes = lane_count(state), taps = tap_count(geometry);
    const size_t channel = tile * lanes, channels = layer_least(lanes, geometry->groups - channel);
    const size_t blocks = layer_divide_up(y->y, sweep->high), item = pass / sweep->segments / blocks;
    const size_t first_y = pass / sweep->segments % blocks * sweep->high,
                 high = layer_least(sweep->high, y->y - first_y);
    const size_t first_x = pass % sweep->segments * sweep->segment, wide = layer_least(sweep->segment, x->y - first_x);
    unsigned char *cursor = tile_scratch;
    ptrdiff_t *const offsets = plan_scratch_take(&cursor, taps, sizeof(ptrdiff_t));
    unsigned char *const cells = plan_scratch_take(&cursor, sweep->cells[1] * sweep->cells[2] * lanes, bytes);
    unsigned char *const factors = plan_scratch_take(&cursor, sweep->segment * lanes, bytes);
    const struct layer_scratch scratch = layer_scratch_parts(state, run->scratch);
    unsigned char *const sums = (unsigned char *)scratch.target + tile * lanes * taps * bytes;
    const unsigned char *const input = (const unsigned char *)run->input +
                                       (item * geometry->x.item_pitch + channel * geometry->x.channel_pitch) * bytes;
    const unsigned char *const gradient = (const unsigned char *)run->grad_output +
                                          (item * geometry->y.item_pitch + channel * geometry->y.channel_pitch) * bytes;
    const size_t ring = sweep->cells[1], row_elements = sweep->cells[2] * lanes;
    struct simd_facts facts[2] = {{0}};
    for (unsigned i = 0; sweep->gathers && i < 2; i++)
        facts[i] = open_facts(&scratch.gathered[i * sweep->tiles + tile], pass);
    if (pass == 0)
        memset(sums, 0, lanes * taps * bytes);
    if (channels < lanes) { /* lanes without a channel */
        memset(cells, 0, ring * row_elements * bytes);
        memset(factors, 0, sweep->segment * lanes * bytes);
    }
    size_t next = first_y * y->stride; /* row of cells to be gathered */
    for (size_t row = first_y; row < first_y + high; row++) {
        const size_t begin = row * y->stride;
        for (next = next < begin ? begin : next; next < begin + ring; next++) {
            const size_t index = boundary_index(geometry->boundary, (int64_t)next - y->before, y->x);
            unsigned char *const to = cells + next % ring * row_elements * bytes;
            gather_cells(plan, to, index == BOUNDARY_NONE ? NULL : input + index * geometry->x.axis_pitch[1] * bytes,
                         (int64_t)(first_x * x->stride) - x->before, channels);
            look_at(plan, &facts[0], to, row_elements);
        }
        gather(plan, factors,
               gradient + (row * geometry->y.axis_pitch[1] + first_x * geometry->y.axis_pitch[2]) * bytes, &geometry->y,
               channels, wide);
        look_at(plan, &facts[1], factors, wide * lanes);
        for (size_t tap = 0; tap < taps; tap++)
            offsets[tap] = (ptrdiff_t)((begin + tap / x->kernel * y->dilation) % ring * row_elements +
                                       tap % x->kernel * x->dilation * lanes);
        const struct simd_lanes routine = {
            .input = cells,
            .factors = factors,
            .places = wide,
            .step = x->stride * lanes,
            .offsets = offsets,
            .taps = taps,
            .sums = sums,
        };
        (state->element == LAYER_F32 ? plan->routines->lanes_f32 : plan->routines->lanes_f64)(&routine);
    }
    for (unsigned i = 0; sweep->gathers && i < 2; i++)
        close_facts(&scratch.gathered[i * sweep->tiles + tile], &facts[i]);
}

void layer_lanes_emit(const struct convolve_plan *plan, const struct convolve_run *run, size_t tile)
{
    const struct layer_state *state = layer_state(plan);
    const size_t bytes = state->element_bytes, lanes = lane_count(state), taps = tap_count(&state->geometry);
    const unsigned char *const sums = layer_scratch_parts(state, run->scratch).target;
    const size_t first = tile * 64, end = layer_least(first + 64, state->geometry.groups);
    for (size_t channel = first; channel < end; channel++)
        for (size_t tap = 0; tap < taps; tap++)
            memcpy((unsigned char *)run->output + (channel * taps + tap) * bytes,
                   sums + ((channel / lanes * taps + tap) * lanes + channel % lanes) * bytes, bytes);
    layer_look_at(plan, run, first * taps, (end - first) * taps);
}
