/* SPDX-License-Identifier: MIT */
/* Layers whose groups are small, depthwise ones above all, in one or two dimensions with zeros around them: conv,
 * conv_transpose and backward_input. There is little to do for each value that is read, so each is read from far away once: a
 * unit, some rows of one group's places in all phases, copies what its windows hold into the first-level cache, padding
 * included, looks at the values on the way, and makes its outputs from there. Where conv has a stride of 2 a copied row has
 * its even cells first, then the odd ones, so that the places of a tap are neighbours; where the others have one along x,
 * the phases are made apart and then brought together, row by row. */
#include "core/layer_state.h"

#include <string.h>

enum {
    COPY_BYTES = 28 << 10, /* of a unit, about: less than the first-level cache */
    COPY_ELEMENTS_MOST = 1 << 17,
    REACH_MOST = 1 << 12, /* cells from the first tap to the last */
    WIDE_MOST = 1 << 10, /* places of a unit's rows */
    PHASES_MOST = 8, /* along an axis */
    PACKED_MOST = 1 << 16,
    LARGE_KERNEL = 64, /* taps; and bytes of a row, from where filters' blocks make them faster */
    LARGE_ROW = 256,
    TILE_WORK = 1 << 20, /* multiply-adds */
    LINE = 16, /* elements: rows of copies begin at a multiple, and have room for a vector behind them */
};

static size_t round_up(size_t elements)
{
    return layer_divide_up(elements, LINE) * LINE;
}

/* Finds what lies under the windows of place 0; false where that is too far apart. */
static bool find_reach(struct layer_state *state, unsigned axis)
{
    const struct layer_cut *cut = &state->cut[axis];
    int64_t least = INT64_MAX, most = INT64_MIN;
    if (cut->taps > REACH_MOST || cut->delta > REACH_MOST || cut->delta < -REACH_MOST || cut->phases > PHASES_MOST)
        return false;
    for (size_t p = 0; p < cut->phases; p++) {
        const struct layer_phase phase = layer_phase_at(state, axis, p);
        if (phase.taps == 0)
            continue;
        const int64_t last = phase.first + (int64_t)(phase.taps - 1) * cut->delta;
        const int64_t low = last < phase.first ? last : phase.first, high = last < phase.first ? phase.first : last;
        least = low < least ? low : least;
        most = high > most ? high : most;
    }
    state->planes.least[axis] = least > most ? 0 : least;
    state->planes.reach[axis] = least > most ? 0 : (size_t)(most - least);
    return state->planes.reach[axis] <= REACH_MOST;
}

/* Whether units copy every place of the source along an axis, so that what they have seen are all values. */
static bool covers(const struct layer_state *state, unsigned axis, size_t units)
{
    const struct layer_cut *cut = &state->cut[axis];
    const int64_t least = state->planes.least[axis];
    const size_t reach = state->planes.reach[axis];
    const int64_t end = least + (int64_t)((cut->places - 1) * cut->step + reach) + 1;
    return least <= 0 && end >= (int64_t)cut->source && (units == 1 || cut->step <= reach + 1);
}

static bool suits(const struct layer_state *state)
{
    const struct layer_geometry *geometry = &state->geometry;
    const struct layer_cut *z = &state->cut[0], *y = &state->cut[1], *x = &state->cut[2];
    if (state->element == LAYER_U64 || state->parts != 1 || state->plain || state->fold || geometry->channels_last ||
        geometry->operation == CONVOLVE_LAYER_BACKWARD_WEIGHT ||
        (!layer_reads_y(geometry) && geometry->boundary != CONVOLVE_CONSTANT))
        return false;
    if (z->source != 1 || z->target != 1 || z->kernel != 1 || z->before != 0 || z->phases != 1 || x->step > 2 ||
        y->step > REACH_MOST)
        return false;
    const bool single = state->channels == 1 && state->rows == 1;
    if (single && y->places == 1 && x->places > WIDE_MOST && x->taps > 3)
        return false; /* a long signal by many taps is for the filters' blocks */
    if (single && y->step == 1 && y->taps > 1 && y->taps * x->taps >= LARGE_KERNEL &&
        x->places > LARGE_ROW / state->element_bytes)
        return false; /* and so is a large kernel */
    const size_t most = y->phases * x->phases > 1 ? LAYER_PLANES_PHASES
                        : geometry->groups > 1    ? LAYER_PLANES_MOST
                                                  : LAYER_PLANES_SINGLE;
    return state->channels <= most && state->rows <= most;
}

/* From the places of a unit to its copy. */
static bool lay_out(struct layer_state *state, size_t high, size_t wide)
{
    struct layer_planes *planes = &state->planes;
    const struct layer_cut *y = &state->cut[1], *x = &state->cut[2];
    const size_t rows = (high - 1) * y->step + planes->reach[1] + 1,
                 cells = (wide - 1) * x->step + planes->reach[2] + 1;
    const size_t before = planes->least[2] < 0 ? (size_t)-planes->least[2] : 0;
    planes->high = high;
    planes->wide = wide;
    planes->slot = x->step > 1 ? round_up((cells + 1) / 2) : 0;
    planes->row = planes->slot ? 2 * planes->slot : round_up(cells);
    planes->origin = (LINE - before / x->step % LINE) % LINE;
    planes->plane = planes->origin + rows * planes->row + LINE;
    planes->copy = round_up(planes->plane * state->channels);
    planes->made_row = x->phases > 1 ? round_up(wide) : 0;
    planes->made = planes->made_row * x->phases * high * state->rows;
    return rows <= COPY_ELEMENTS_MOST / state->channels / planes->row && planes->made <= COPY_ELEMENTS_MOST;
}

void layer_planes_derive(struct layer_state *state)
{
    struct layer_planes *planes = &state->planes;
    const struct layer_cut *y = &state->cut[1], *x = &state->cut[2];
    if (!suits(state) || !find_reach(state, 1) || !find_reach(state, 2))
        return;
    /* Of a stride not all taps are a phase's, even where one place is all there is. */
    const bool all = y->phases == 1 && x->phases == 1 && y->tap_step == 1 && x->tap_step == 1;
    planes->packed = all ? 0 : y->kernel * x->kernel * state->rows * state->channels;
    if (planes->packed > PACKED_MOST)
        return;
    const size_t wide = layer_divide_up(x->places, layer_divide_up(x->places, WIDE_MOST));
    size_t high = layer_least(y->places, COPY_BYTES);
    for (bool fits = lay_out(state, high, wide);
         !fits || (planes->copy + planes->made) * state->element_bytes > COPY_BYTES;
         fits = lay_out(state, high, wide)) {
        if (high == 1 && !fits)
            return;
        if (high <= 4)
            break;
        high = layer_least(layer_divide_up(y->places, layer_divide_up(y->places, high) + 1), high - 1);
    }
    planes->bands = layer_divide_up(y->places, planes->high);
    planes->strips = layer_divide_up(x->places, planes->wide);
    const size_t slices = state->geometry.items * state->geometry.groups; /* at most the source's values */
    if (__builtin_mul_overflow(slices, planes->bands, &planes->units) ||
        __builtin_mul_overflow(planes->units, planes->strips, &planes->units))
        return;
    const size_t work = planes->high * y->phases * planes->wide * x->phases *
                        (state->rows * state->channels * y->taps * x->taps + state->channels * 8);
    planes->units_per_tile = work > TILE_WORK / 2 ? 1 : TILE_WORK / work;
    planes->tiles = layer_divide_up(planes->units, planes->units_per_tile);
    planes->gathers = covers(state, 1, planes->bands) && covers(state, 2, planes->strips);
    planes->used = true;
    layer_pack_nothing(state);
}

bool layer_planes_scratch(const struct layer_state *state, size_t *bytes)
{
    return plan_size_add(bytes, state->cut[1].kernel * state->cut[2].kernel, sizeof(ptrdiff_t)) &&
           plan_size_add(bytes, state->planes.copy, state->element_bytes) &&
           plan_size_add(bytes, state->planes.packed, state->element_bytes) &&
           plan_size_add(bytes, state->planes.made, state->element_bytes);
}

/* ---- Units ------------------------------------------------------------------------------------------------------------ */

/* Some places of a unit along one axis: the source's place of cell 0, and which cells lie inside. */
struct span {
    size_t first, count; /* places */
    int64_t start;
    size_t inside, end, cells;
};

static struct span span_of(const struct layer_state *state, unsigned axis, size_t first, size_t most)
{
    const struct layer_cut *cut = &state->cut[axis];
    struct span span = {.first = first, .count = layer_least(most, cut->places - first)};
    span.start = state->planes.least[axis] + (int64_t)(first * cut->step);
    span.cells = (span.count - 1) * cut->step + state->planes.reach[axis] + 1;
    const int64_t left = (int64_t)cut->source - span.start;
    span.inside = span.start < 0 ? layer_least((size_t)-span.start, span.cells) : 0;
    span.end = left < 0 ? 0 : layer_least((size_t)left, span.cells);
    span.end = span.end < span.inside ? span.inside : span.end;
    return span;
}

/* Where cell x of a copied row is. */
static size_t cell_offset(const struct layer_planes *planes, size_t x)
{
    return planes->slot ? x % 2 * planes->slot + x / 2 : x;
}

/* The taps of all phases, phase by phase. */
static void list_offsets(const struct layer_state *state, ptrdiff_t *offsets)
{
    const struct layer_planes *planes = &state->planes;
    const struct layer_cut *y = &state->cut[1], *x = &state->cut[2];
    for (size_t p = 0; p < y->phases * x->phases; p++) {
        const struct layer_phase rows = layer_phase_at(state, 1, p / x->phases),
                                 cells = layer_phase_at(state, 2, p % x->phases);
        for (size_t t = 0; t < rows.taps; t++)
            for (size_t k = 0; k < cells.taps; k++) {
                const int64_t row = rows.first + (int64_t)t * y->delta - planes->least[1];
                const int64_t cell = cells.first + (int64_t)k * x->delta - planes->least[2];
                *offsets++ = (ptrdiff_t)((size_t)row * planes->row + cell_offset(planes, (size_t)cell));
            }
    }
}

static void put_zeros(const struct layer_state *state, unsigned char *row, size_t cell, size_t end)
{
    for (; cell < end; cell++)
        memset(row + cell_offset(&state->planes, cell) * state->element_bytes, 0, state->element_bytes);
}

/* One channel: `from` is the source's first value. */
static void copy_channel(const struct convolve_plan *plan, struct simd_facts *facts, unsigned char *copy,
                         const unsigned char *from, const struct span *y, const struct span *x)
{
    const struct layer_state *state = layer_state(plan);
    const struct layer_planes *planes = &state->planes;
    const size_t bytes = state->element_bytes, row_bytes = planes->row * bytes, pitch = state->source.axis_pitch[1];
    if (planes->strips > 1 || planes->bands > 1) { /* else nothing has been written to there */
        unsigned char *const rows = copy + planes->origin * bytes;
        memset(rows, 0, y->inside * row_bytes);
        memset(rows + y->end * row_bytes, 0, (y->cells - y->end) * row_bytes);
    }
    unsigned char *const row = copy + (planes->origin + y->inside * planes->row) * bytes;
    for (size_t i = 0; planes->strips > 1 && i < y->end - y->inside; i++) {
        put_zeros(state, row + i * row_bytes, 0, x->inside);
        put_zeros(state, row + i * row_bytes, x->end, x->cells);
    }
    if (y->inside == y->end || x->inside == x->end)
        return;
    unsigned char *const out = row + cell_offset(planes, x->inside) * bytes,
                         *const odd = planes->slot ? row + cell_offset(planes, x->inside + 1) * bytes : NULL;
    from += ((size_t)(y->start + (int64_t)y->inside) * pitch + (size_t)(x->start + (int64_t)x->inside)) * bytes;
    if (state->element == LAYER_F32)
        plan->routines->plane_copy_f32(facts, (float *)(void *)out, (float *)(void *)odd, planes->row,
                                       (const float *)(const void *)from, pitch, y->end - y->inside,
                                       x->end - x->inside);
    else
        plan->routines->plane_copy_f64(facts, (double *)(void *)out, (double *)(void *)odd, planes->row,
                                       (const double *)(const void *)from, pitch, y->end - y->inside,
                                       x->end - x->inside);
}

/* The side of a small square kernel whose tap rows are one copied row apart, as output rows are; else 0. */
static size_t square_side(const struct layer_state *state, size_t rows, size_t cells)
{
    const struct layer_cut *y = &state->cut[1], *x = &state->cut[2];
    return rows == cells && rows > 1 && y->step == 1 && x->step == 1 && (y->delta == 1 || y->delta == -1) ? rows : 0;
}

/* What a unit's phases have in common. */
struct unit {
    const struct convolve_plan *plan;
    const struct convolve_run *run;
    size_t group;
    struct span y, x;
    unsigned char *copy, *packed, *made;
    const ptrdiff_t *offsets;
    size_t target; /* the value of its first place in phase 0 */
};

/* The weights of one phase's taps, in the order of the tensor otherwise; returns where they begin. */
static const unsigned char *phase_weights(const struct unit *unit, const struct layer_phase *rows,
                                          const struct layer_phase *cells, size_t taps_before)
{
    const struct layer_state *state = layer_state(unit->plan);
    const struct layer_cut *y = &state->cut[1], *x = &state->cut[2];
    const size_t bytes = state->element_bytes;
    const unsigned char *const weights =
        (const unsigned char *)unit->run->kernel + unit->group * state->weight_group_pitch * bytes;
    if (!state->planes.packed)
        return weights;
    unsigned char *const packed = unit->packed + taps_before * state->rows * state->channels * bytes;
    unsigned char *to = packed;
    for (size_t f = 0; f < state->rows; f++)
        for (size_t c = 0; c < state->channels; c++)
            for (size_t t = 0; t < rows->taps; t++)
                for (size_t k = 0; k < cells->taps; k++, to += bytes)
                    memcpy(to,
                           weights +
                               (f * state->weight_row_pitch + c * state->weight_channel_pitch +
                                (rows->tap_first + t * y->tap_step) * x->kernel + cells->tap_first + k * x->tap_step) *
                                   bytes,
                           bytes);
    return packed;
}

/* One phase of a unit's rows, to where it belongs or beside it; returns whether all is finite. */
static bool make_phase(const struct unit *unit, const struct layer_phase *rows, const struct layer_phase *cells,
                       size_t taps_before, unsigned char *output, size_t row_pitch, size_t plane_pitch)
{
    const struct layer_state *state = layer_state(unit->plan);
    const struct layer_planes *planes = &state->planes;
    if (rows->places <= unit->y.first || cells->places <= unit->x.first)
        return true;
    const size_t bytes = state->element_bytes, taps = rows->taps * cells->taps;
    /* Rows go backwards where taps do. */
    const bool backwards = state->cut[1].delta < 0;
    const size_t count = layer_least(unit->y.count, rows->places - unit->y.first);
    const size_t last = backwards ? count - 1 : 0, pitch = planes->row * state->cut[1].step;
    const struct simd_plane plane = {
        .input = unit->copy + (planes->origin + last * pitch) * bytes,
        .channels = state->channels,
        .channel_pitch = planes->plane,
        .input_pitch = backwards ? -(ptrdiff_t)pitch : (ptrdiff_t)pitch,
        .offsets = unit->offsets + taps_before,
        .taps = taps,
        .side = square_side(state, rows->taps, cells->taps),
        .weights = phase_weights(unit, rows, cells, taps_before),
        .bias = unit->run->bias ? (const unsigned char *)unit->run->bias + unit->group * state->rows * bytes : NULL,
        .weight_pitch = planes->packed ? taps : state->weight_channel_pitch,
        .filter_pitch = planes->packed ? taps * state->channels : state->weight_row_pitch,
        .output = output + last * row_pitch * bytes,
        .output_pitch = backwards ? -(ptrdiff_t)row_pitch : (ptrdiff_t)row_pitch,
        .plane_pitch = plane_pitch,
        .filters = state->rows,
        .rows = count,
        .count = layer_least(unit->x.count, cells->places - unit->x.first),
    };
    return (state->element == LAYER_F32 ? unit->plan->routines->plane_f32 : unit->plan->routines->plane_f64)(&plane);
}

/* The rows of one phase along y: values of the target's rows, which are `row_pitch` apart, from `target` on. */
static void make_rows(const struct unit *unit, size_t phase, size_t *taps_before)
{
    const struct layer_state *state = layer_state(unit->plan);
    const struct layer_planes *planes = &state->planes;
    const struct layer_cut *y = &state->cut[1], *x = &state->cut[2];
    const size_t bytes = state->element_bytes, row_pitch = state->target.axis_pitch[1] * y->phases_apart;
    const size_t plane_pitch = state->target.channel_pitch, target = unit->target + phase * state->target.axis_pitch[1];
    const size_t made_pitch = planes->made_row * x->phases;
    const struct layer_phase rows = layer_phase_at(state, 1, phase);
    unsigned char *const output = (unsigned char *)unit->run->output + target * bytes;
    bool finite = true;
    for (size_t p = 0; p < x->phases; p++) {
        const struct layer_phase cells = layer_phase_at(state, 2, p);
        if (planes->made)
            finite &= make_phase(unit, &rows, &cells, *taps_before, unit->made + p * planes->made_row * bytes,
                                 made_pitch, made_pitch * planes->high);
        else
            finite &= make_phase(unit, &rows, &cells, *taps_before, output, row_pitch, plane_pitch);
        *taps_before += rows.taps * cells.taps;
    }
    if (rows.places <= unit->y.first)
        return;
    const size_t high = layer_least(unit->y.count, rows.places - unit->y.first);
    const size_t wide =
        planes->made ? layer_least(unit->x.count * x->stride, x->target - unit->x.first * x->stride) : unit->x.count;
    for (size_t f = 0; f < state->rows; f++)
        for (size_t r = 0; r < high; r++) {
            if (planes->made)
                (bytes == 4 ? unit->plan->routines->merge_u32 : unit->plan->routines->merge_u64)(
                    output + (f * plane_pitch + r * row_pitch) * bytes,
                    unit->made + (f * planes->high + r) * made_pitch * bytes, planes->made_row, wide, x->phases);
            if (!finite)
                layer_look_at(unit->plan, unit->run, target + f * plane_pitch + r * row_pitch, wide);
        }
}

static void make_unit(struct unit *unit, size_t number, struct simd_facts *facts)
{
    const struct layer_state *state = layer_state(unit->plan);
    const struct layer_planes *planes = &state->planes;
    const size_t bytes = state->element_bytes, slice = number / planes->strips / planes->bands;
    const size_t item = slice / state->geometry.groups;
    size_t taps_before = 0;
    unit->group = slice % state->geometry.groups;
    unit->y = span_of(state, 1, number / planes->strips % planes->bands * planes->high, planes->high);
    unit->x = span_of(state, 2, number % planes->strips * planes->wide, planes->wide);
    unit->target = item * state->target.item_pitch + unit->group * state->rows * state->target.channel_pitch +
                   unit->y.first * state->cut[1].phases_apart * state->target.axis_pitch[1] +
                   unit->x.first * state->cut[2].phases_apart;
    const unsigned char *const source =
        (const unsigned char *)layer_source(state, unit->run) +
        (item * state->source.item_pitch + unit->group * state->channels * state->source.channel_pitch) * bytes;
    for (size_t c = 0; c < state->channels; c++)
        copy_channel(unit->plan, facts, unit->copy + c * planes->plane * bytes,
                     source + c * state->source.channel_pitch * bytes, &unit->y, &unit->x);
    for (size_t phase = 0; phase < state->cut[1].phases; phase++)
        make_rows(unit, phase, &taps_before);
}

void layer_planes_tile(const struct convolve_plan *plan, const struct convolve_run *run, size_t tile,
                       void *tile_scratch)
{
    const struct layer_state *state = layer_state(plan);
    const struct layer_planes *planes = &state->planes;
    unsigned char *cursor = tile_scratch;
    ptrdiff_t *const offsets = plan_scratch_take(&cursor, state->cut[1].kernel * state->cut[2].kernel, sizeof *offsets);
    struct unit unit = {.plan = plan, .run = run, .offsets = offsets};
    unit.copy = plan_scratch_take(&cursor, planes->copy, state->element_bytes);
    unit.packed = plan_scratch_take(&cursor, planes->packed, state->element_bytes);
    unit.made = plan_scratch_take(&cursor, planes->made, state->element_bytes);
    struct simd_facts facts = {0};
    const size_t first = tile * planes->units_per_tile,
                 end = layer_least(planes->units - first, planes->units_per_tile) + first;
    memset(unit.copy, 0, planes->copy * state->element_bytes);
    list_offsets(state, offsets);
    for (size_t number = first; number < end; number++)
        make_unit(&unit, number, &facts);
    layer_scratch_parts(state, run->scratch).gathered[tile] =
        (struct layer_facts){.largest = facts.largest, .fractional = facts.fractional, .nonfinite = facts.nonfinite};
}
