/* SPDX-License-Identifier: MIT */
/* backward_weight where the lanes are output channels and the rows are input channels under taps. grad_output is packed so that
 * the output channels of a place lie side by side; of the input one value at a time goes into all lanes, so it is read as it
 * lies, or from a copy with its padding. Places are taken in blocks, whose lanes stay in the first-level cache while the rows of
 * a unit pass; some blocks are a pass, a stage, so that no tile takes long. The sums, [row][lane], are at last turned into
 * the weight's order, at once where there is one pass. */
#include "core/layer_state.h"

#include "core/boundary.h"

#include <string.h>

enum {
    LANE_BYTES = 256, /* of a block of lanes, at most */
    BLOCK_PLACES = 112,
    UNITS_WANTED = 8, /* for as many threads */
    UNIT_ROWS_LEAST = 24,
    UNIT_ROWS = 48, /* or a multiple: whole blocks of rows, and whole lines of the output */
    UNIT_ROWS_MOST = 2 * UNIT_ROWS,
    COPY_CHANNELS = 8, /* of a tile */
    PACK_BLOCKS = 32,
    TILE_WORK = 1 << 23, /* multiply-adds */
};

/* ---- Cutting ---------------------------------------------------------------------------------------------------------- */

static size_t tap_count(const struct layer_geometry *geometry)
{
    return geometry->axis[0].kernel * geometry->axis[1].kernel * geometry->axis[2].kernel;
}

/* Of a group: input channels under taps. */
static size_t row_count(const struct layer_geometry *geometry)
{
    return geometry->x.channels * tap_count(geometry);
}

/* Output channels of a group, with the lanes that have none. */
static size_t lane_count(const struct layer_state *state)
{
    const size_t line = 64 / state->element_bytes;
    return layer_divide_up(state->geometry.y.channels, line) * line;
}

static size_t block_lanes(const struct layer_state *state)
{
    return layer_least(LANE_BYTES / state->element_bytes, lane_count(state));
}

static size_t lane_blocks(const struct layer_state *state)
{
    return layer_divide_up(lane_count(state), block_lanes(state));
}

/* Blocks of places of an item. */
static size_t place_blocks(const struct layer_state *state)
{
    const struct layer_axis *axis = state->geometry.axis;
    return axis[0].y * layer_divide_up(axis[1].y, state->sweep.high) * layer_divide_up(axis[2].y, state->sweep.segment);
}

/* Whether no window reaches beyond the input; `covered`: and each of its values is under one window alone. */
static bool lies_inside(const struct layer_state *state, bool *covered)
{
    *covered = true;
    for (unsigned i = 0; i < LAYER_AXES; i++) {
        const struct layer_axis *axis = &state->geometry.axis[i];
        if (axis->before != 0 || state->sweep.cells[i] > axis->x)
            return false;
        *covered = *covered && axis->kernel == 1 && axis->y == axis->x;
    }
    return true;
}

bool layer_cross_suits(const struct layer_state *state)
{
    const struct layer_geometry *geometry = &state->geometry;
    const size_t lanes = lane_count(state), channels = geometry->y.channels;
    return state->element != LAYER_U64 && state->parts == 1 && !geometry->channels_last &&
           lanes - channels <= lanes / 8 && row_count(geometry) >= UNIT_ROWS_LEAST;
}

bool layer_cross_derive(struct layer_state *state)
{
    const struct layer_geometry *geometry = &state->geometry;
    const struct layer_axis *axis = geometry->axis;
    struct layer_sweep *const sweep = &state->sweep;
    const size_t rows = row_count(geometry), lanes = lane_count(state);
    bool covered;
    sweep->by_cross = true;
    sweep->in_place = lies_inside(state, &covered);
    sweep->gathers = covered || !sweep->in_place;
    if (sweep->in_place)
        sweep->copied = 0;
    sweep->segment = layer_divide_up(axis[2].y, layer_divide_up(axis[2].y, BLOCK_PLACES));
    sweep->high = layer_least(axis[1].y, axis[2].y > BLOCK_PLACES ? 1 : BLOCK_PLACES / axis[2].y);
    const size_t blocks = place_blocks(state), sides = geometry->groups * lane_blocks(state);
    sweep->segments = geometry->items * blocks;
    const size_t least = layer_divide_up(UNITS_WANTED, layer_least(sides, UNITS_WANTED));
    const size_t share = layer_divide_up(rows, least);
    sweep->unit_rows = share <= UNIT_ROWS_LEAST ? UNIT_ROWS_LEAST : layer_divide_up(share, UNIT_ROWS) * UNIT_ROWS;
    sweep->unit_rows = layer_least(rows, layer_least(sweep->unit_rows, UNIT_ROWS_MOST));
    sweep->units = sides * layer_divide_up(rows, sweep->unit_rows);
    const size_t work = sweep->unit_rows * block_lanes(state) * sweep->segment * sweep->high;
    sweep->pass = layer_least(layer_divide_up(2 * (size_t)TILE_WORK, work), sweep->segments);
    sweep->passes = layer_divide_up(sweep->segments, sweep->pass);
    sweep->units_per_tile = layer_least(TILE_WORK / 2 / (work * sweep->pass) + 1, 64);
    sweep->tiles = layer_divide_up(sweep->units, sweep->units_per_tile);
    sweep->copy_tiles =
        sweep->in_place ? 0 : geometry->items * geometry->groups * layer_divide_up(geometry->x.channels, COPY_CHANNELS);
    sweep->pack_tiles = sides * geometry->items * layer_divide_up(blocks, PACK_BLOCKS);
    sweep->looked[0] = sweep->in_place ? sweep->tiles : sweep->copy_tiles;
    sweep->looked[1] = sweep->pack_tiles;
    sweep->emit_tiles = sweep->passes > 1 ? sweep->units : 0;
    return !__builtin_mul_overflow(geometry->y.count / geometry->y.channels, lanes, &sweep->packed) &&
           (sweep->passes == 1 || !__builtin_mul_overflow(rows * geometry->groups, lanes, &state->target_values)) &&
           sweep->passes < (size_t)1 << 30;
}

bool layer_cross_scratch(const struct layer_state *state, size_t *bytes)
{
    const struct layer_sweep *sweep = &state->sweep;
    return plan_size_add(bytes, sweep->unit_rows, sizeof(ptrdiff_t)) &&
           (sweep->passes > 1 || plan_size_add(bytes, sweep->unit_rows, LANE_BYTES));
}

/* Where what is summed lies: the copy, or the input itself. */
struct cells {
    size_t item_pitch, group_pitch, channel_pitch, axis_pitch[LAYER_AXES];
};

static struct cells find_cells(const struct layer_state *state)
{
    const struct layer_geometry *geometry = &state->geometry;
    const struct layer_sweep *sweep = &state->sweep;
    const struct layer_side *x = &geometry->x;
    if (sweep->in_place)
        return (struct cells){.item_pitch = x->item_pitch,
                              .group_pitch = x->channels * x->channel_pitch,
                              .channel_pitch = x->channel_pitch,
                              .axis_pitch = {x->axis_pitch[0], x->axis_pitch[1], x->axis_pitch[2]}};
    return (struct cells){.item_pitch = sweep->plane * geometry->groups,
                          .group_pitch = sweep->plane,
                          .channel_pitch = sweep->plane / x->channels,
                          .axis_pitch = {sweep->cells[1] * sweep->cells[2], sweep->cells[2], 1}};
}

/* Some places: rows of them, each a part of an item's row. */
struct place_block {
    size_t item, z, y, x, high, wide;
    size_t before; /* places of the item before it, as they are packed */
};

static struct place_block find_block(const struct layer_state *state, size_t number)
{
    const struct layer_sweep *sweep = &state->sweep;
    const struct layer_axis *axis = state->geometry.axis;
    const size_t blocks = place_blocks(state), parts = layer_divide_up(axis[2].y, sweep->segment);
    const size_t bands = layer_divide_up(axis[1].y, sweep->high), index = number % blocks;
    struct place_block block = {.item = number / blocks,
                                .z = index / parts / bands,
                                .y = index / parts % bands * sweep->high,
                                .x = index % parts * sweep->segment};
    block.high = layer_least(sweep->high, axis[1].y - block.y);
    block.wide = layer_least(sweep->segment, axis[2].y - block.x);
    block.before = (block.z * axis[1].y + block.y) * axis[2].y + block.x;
    return block;
}

/* ---- Copies ----------------------------------------------------------------------------------------------------------- */

static void look_at(const struct convolve_plan *plan, struct layer_facts *facts, const unsigned char *values,
                    size_t count)
{
    if (layer_state(plan)->sweep.gathers)
        layer_look(plan, values, count, facts);
}

/* A row of cells, from the source's row; NULL: zeros. */
static void copy_row(const struct layer_state *state, unsigned char *to, const unsigned char *from)
{
    const struct layer_axis *axis = &state->geometry.axis[2];
    const size_t bytes = state->element_bytes, cells = state->sweep.cells[2];
    const size_t first = layer_least((size_t)axis->before, cells), end = layer_least(first + axis->x, cells);
    if (!from) {
        memset(to, 0, cells * bytes);
        return;
    }
    memcpy(to + first * bytes, from, (end - first) * bytes);
    for (size_t i = 0; i < cells; i++) {
        if (i == first && end > first)
            i = end;
        if (i == cells)
            break;
        const size_t index = boundary_index(state->geometry.boundary, (int64_t)i - axis->before, axis->x);
        if (index == BOUNDARY_NONE)
            memset(to + i * bytes, 0, bytes);
        else
            memcpy(to + i * bytes, from + index * bytes, bytes);
    }
}

/* Some channels of one item's group, with their padding. */
static void copy_channels(const struct convolve_plan *plan, const struct convolve_run *run, size_t tile)
{
    const struct layer_state *state = layer_state(plan);
    const struct layer_geometry *geometry = &state->geometry;
    const struct layer_side *x = &geometry->x;
    const struct layer_axis *axis = geometry->axis;
    const size_t parts = layer_divide_up(x->channels, COPY_CHANNELS), bytes = state->element_bytes;
    const size_t slice = tile / parts, first = tile % parts * COPY_CHANNELS;
    const size_t item = slice / geometry->groups, group = slice % geometry->groups;
    const struct cells cells = find_cells(state);
    const struct layer_scratch scratch = layer_scratch_parts(state, run->scratch);
    struct layer_facts facts = {0};
    for (size_t c = first; c < x->channels && c < first + COPY_CHANNELS; c++) {
        const unsigned char *const from = (const unsigned char *)run->input +
                                          (item * x->item_pitch + (group * x->channels + c) * x->channel_pitch) * bytes;
        unsigned char *to = (unsigned char *)scratch.copied +
                            (item * cells.item_pitch + group * cells.group_pitch + c * cells.channel_pitch) * bytes;
        look_at(plan, &facts, from, x->channel_pitch);
        for (size_t z = 0; z < state->sweep.cells[0]; z++) {
            const size_t from_z = boundary_index(geometry->boundary, (int64_t)z - axis[0].before, axis[0].x);
            for (size_t y = 0; y < state->sweep.cells[1]; y++, to += state->sweep.cells[2] * bytes) {
                const size_t from_y = boundary_index(geometry->boundary, (int64_t)y - axis[1].before, axis[1].x);
                const bool zeros = from_z == BOUNDARY_NONE || from_y == BOUNDARY_NONE;
                copy_row(state, to,
                         zeros ? NULL : from + (from_z * x->axis_pitch[0] + from_y * x->axis_pitch[1]) * bytes);
            }
        }
    }
    if (state->sweep.gathers)
        scratch.gathered[tile] = facts;
}

/* Where the packed gradients of a block of lanes begin, for one item; `width` are its lanes. */
static size_t packed_offset(const struct layer_state *state, size_t side, size_t item, size_t *width)
{
    const struct layer_geometry *geometry = &state->geometry;
    const size_t places = geometry->axis[0].y * geometry->axis[1].y * geometry->axis[2].y, lanes = lane_count(state);
    const size_t group = side / lane_blocks(state), lane = side % lane_blocks(state) * block_lanes(state);
    *width = layer_least(block_lanes(state), lanes - lane);
    return places * (geometry->items * (group * lanes + lane) + item * *width);
}

/* Some blocks of places of one item, for one block of lanes. */
static void pack_gradients(const struct convolve_plan *plan, const struct convolve_run *run, size_t tile)
{
    const struct layer_state *state = layer_state(plan);
    const struct layer_geometry *geometry = &state->geometry;
    const struct layer_side *y = &geometry->y;
    const size_t blocks = place_blocks(state), chunks = layer_divide_up(blocks, PACK_BLOCKS),
                 bytes = state->element_bytes;
    const size_t chunk = tile % chunks, item = tile / chunks % geometry->items, side = tile / chunks / geometry->items;
    const size_t lane = side % lane_blocks(state) * block_lanes(state), group = side / lane_blocks(state);
    size_t width;
    const struct layer_scratch scratch = layer_scratch_parts(state, run->scratch);
    unsigned char *const out = (unsigned char *)scratch.packed + packed_offset(state, side, item, &width) * bytes;
    const size_t channels = layer_least(width, y->channels - lane);
    const unsigned char *const in = (const unsigned char *)run->grad_output +
                                    (item * y->item_pitch + (group * y->channels + lane) * y->channel_pitch) * bytes;
    struct layer_facts facts = {0};
    const size_t first = chunk * PACK_BLOCKS, end = layer_least(first + PACK_BLOCKS, blocks);
    /* Blocks follow each other as the places do. */
    const size_t begin = find_block(state, item * blocks + first).before;
    const struct place_block last = find_block(state, item * blocks + end - 1);
    const size_t stop = last.before + (last.high - 1) * geometry->axis[2].y + last.wide;
    for (size_t place = begin; place < stop; place += BLOCK_PLACES) {
        const size_t count = layer_least(BLOCK_PLACES, stop - place);
        unsigned char *const to = out + place * width * bytes;
        if (channels < width)
            memset(to, 0, count * width * bytes);
        (bytes == 4 ? plan->routines->transpose_u32 : plan->routines->transpose_u64)(to, width, in + place * bytes,
                                                                                     y->channel_pitch, channels, count);
        look_at(plan, &facts, to, count * width);
    }
    if (state->sweep.gathers)
        scratch.gathered[state->sweep.looked[0] + tile] = facts;
}

void layer_cross_prepare(const struct convolve_plan *plan, const struct convolve_run *run, size_t tile)
{
    const struct layer_sweep *sweep = &layer_state(plan)->sweep;
    if (tile < sweep->copy_tiles)
        copy_channels(plan, run, tile);
    else
        pack_gradients(plan, run, tile - sweep->copy_tiles);
}

/* ---- Sums ------------------------------------------------------------------------------------------------------------- */

/* A block of lanes of a group by some rows. */
struct cross_unit {
    size_t side, group, row, rows;
};

static struct cross_unit find_unit(const struct layer_state *state, size_t number)
{
    const size_t rows = row_count(&state->geometry), parts = layer_divide_up(rows, state->sweep.unit_rows);
    struct cross_unit unit = {.side = number / parts, .row = number % parts * state->sweep.unit_rows};
    unit.group = unit.side / lane_blocks(state);
    unit.rows = layer_least(state->sweep.unit_rows, rows - unit.row);
    return unit;
}

/* Where the sums of a unit begin, which are [row][lane], where they are kept from pass to pass. */
static size_t sums_offset(const struct layer_state *state, const struct cross_unit *unit)
{
    const size_t lane = unit->side % lane_blocks(state) * block_lanes(state), lanes = lane_count(state);
    return row_count(&state->geometry) * (unit->group * lanes + lane) +
           unit->row * layer_least(block_lanes(state), lanes - lane);
}

/* Of each row, from the cell under its place 0. */
static void find_offsets(const struct layer_state *state, const struct cells *cells, const struct cross_unit *unit,
                         ptrdiff_t *offsets)
{
    const struct layer_axis *axis = state->geometry.axis;
    size_t tap[LAYER_AXES], channel = unit->row;
    for (unsigned i = LAYER_AXES; i-- > 0; channel /= axis[i].kernel)
        tap[i] = channel % axis[i].kernel;
    for (size_t r = 0; r < unit->rows; r++) {
        size_t offset = channel * cells->channel_pitch;
        for (unsigned i = 0; i < LAYER_AXES; i++)
            offset += tap[i] * axis[i].dilation * cells->axis_pitch[i];
        offsets[r] = (ptrdiff_t)offset;
        unsigned i = LAYER_AXES;
        while (i > 0 && ++tap[i - 1] == axis[i - 1].kernel)
            tap[--i] = 0;
        channel += i == 0;
    }
}

/* What the rows of a block read, where no other rows read any of it. */
static void look_at_rows(const struct convolve_plan *plan, struct layer_facts *facts, const unsigned char *input,
                         const struct cells *cells, const ptrdiff_t *offsets, size_t rows,
                         const struct place_block *block)
{
    const size_t bytes = layer_state(plan)->element_bytes;
    const bool joined = cells->axis_pitch[1] == block->wide;
    const size_t high = joined ? 1 : block->high, wide = joined ? block->high * block->wide : block->wide;
    for (size_t row = 0; row < rows; row++)
        for (size_t y = 0; y < high; y++)
            layer_look(plan, input + ((size_t)offsets[row] + y * cells->axis_pitch[1]) * bytes, wide, facts);
}

static void sum_block(const struct convolve_plan *plan, const struct convolve_run *run, const struct cross_unit *unit,
                      size_t number, const ptrdiff_t *offsets, void *sums, struct layer_facts *facts)
{
    const struct layer_state *state = layer_state(plan);
    const struct layer_axis *axis = state->geometry.axis;
    const struct layer_scratch scratch = layer_scratch_parts(state, run->scratch);
    const struct cells cells = find_cells(state);
    const struct place_block block = find_block(state, number);
    const size_t bytes = state->element_bytes;
    const size_t cell = block.item * cells.item_pitch + unit->group * cells.group_pitch +
                        block.z * axis[0].stride * cells.axis_pitch[0] +
                        block.y * axis[1].stride * cells.axis_pitch[1] + block.x * axis[2].stride;
    const unsigned char *const input =
        (const unsigned char *)(state->sweep.in_place ? run->input : scratch.copied) + cell * bytes;
    size_t width;
    const size_t packed = packed_offset(state, unit->side, block.item, &width) + block.before * width;
    if (facts && unit->side % lane_blocks(state) == 0)
        look_at_rows(plan, facts, input, &cells, offsets, unit->rows, &block);
    const struct simd_cross cross = {
        .input = input,
        .offsets = offsets,
        .rows = unit->rows,
        .runs = block.high,
        .run_pitch = axis[1].stride * cells.axis_pitch[1],
        .places = block.wide,
        .step = axis[2].stride,
        .ahead = !state->sweep.in_place ? 0
                 : block.high > 1       ? block.high * axis[1].stride * cells.axis_pitch[1]
                                        : block.wide * axis[2].stride,
        .lanes = (const unsigned char *)scratch.packed + packed * bytes,
        .width = width,
        .accumulate = number > 0,
        .sums = sums,
        .sums_pitch = width,
    };
    (state->element == LAYER_F32 ? plan->routines->cross_f32 : plan->routines->cross_f64)(&cross);
}

/* ---- Into order ------------------------------------------------------------------------------------------------------- */

/* The sums of some rows of a block of lanes into the output. */
static void emit_rows(const struct convolve_plan *plan, const struct convolve_run *run, size_t side, size_t first,
                      size_t count, const unsigned char *sums)
{
    const struct layer_state *state = layer_state(plan);
    const struct layer_geometry *geometry = &state->geometry;
    const size_t rows = row_count(geometry), bytes = state->element_bytes, line = 64 / bytes;
    const size_t lane = side % lane_blocks(state) * block_lanes(state), group = side / lane_blocks(state);
    const size_t width = layer_least(block_lanes(state), lane_count(state) - lane);
    const size_t channels = layer_least(width, geometry->y.channels - lane);
    const size_t begin = (group * geometry->y.channels + lane) * rows + first;
    /* A line of lanes at a time, so that few rows of the output are under way. */
    for (size_t channel = 0; channel < channels; channel += line)
        (bytes == 4 ? plan->routines->transpose_u32 : plan->routines->transpose_u64)(
            (unsigned char *)run->output + (begin + channel * rows) * bytes, rows, sums + channel * bytes, width, count,
            layer_least(line, channels - channel));
    for (size_t channel = 0; channel < channels; channel++)
        layer_look_at(plan, run, begin + channel * rows, count);
}

void layer_cross_emit(const struct convolve_plan *plan, const struct convolve_run *run, size_t tile)
{
    const struct layer_state *state = layer_state(plan);
    const struct cross_unit unit = find_unit(state, tile);
    const unsigned char *const sums = layer_scratch_parts(state, run->scratch).target;
    emit_rows(plan, run, unit.side, unit.row, unit.rows, sums + sums_offset(state, &unit) * state->element_bytes);
}

/* ---- Tiles ------------------------------------------------------------------------------------------------------------ */

void layer_cross_tile(const struct convolve_plan *plan, const struct convolve_run *run, size_t pass, size_t tile,
                      void *tile_scratch)
{
    const struct layer_state *state = layer_state(plan);
    const struct layer_sweep *sweep = &state->sweep;
    const size_t first = pass * sweep->pass, end = layer_least(first + sweep->pass, sweep->segments);
    const struct cells cells = find_cells(state);
    const struct layer_scratch scratch = layer_scratch_parts(state, run->scratch);
    struct layer_facts *const facts = sweep->in_place && sweep->gathers ? &scratch.gathered[tile] : NULL;
    unsigned char *const kept = scratch.target;
    unsigned char *cursor = tile_scratch;
    ptrdiff_t *const offsets = plan_scratch_take(&cursor, sweep->unit_rows, sizeof *offsets);
    unsigned char *const made = cursor;
    if (facts && pass == 0)
        *facts = (struct layer_facts){0};
    for (size_t i = tile * sweep->units_per_tile; i < sweep->units && i < (tile + 1) * sweep->units_per_tile; i++) {
        const struct cross_unit unit = find_unit(state, i);
        unsigned char *const sums = sweep->passes == 1 ? made : kept + sums_offset(state, &unit) * state->element_bytes;
        find_offsets(state, &cells, &unit, offsets);
        for (size_t block = first; block < end; block++)
            sum_block(plan, run, &unit, block, offsets, sums, facts);
        if (sweep->passes == 1)
            emit_rows(plan, run, unit.side, unit.row, unit.rows, sums);
    }
}
