/* SPDX-License-Identifier: MIT */
/* Layers whose groups are small, depthwise ones above all, in one or two dimensions with zeros around them: conv, and
 * conv_transpose and backward_input of stride 1. There is little to do for each value that is read, so each is read from far away
 * once: a unit, some rows of one group's places, copies what its windows hold into the first-level cache, padding
 * included, looks at the values on the way, and makes its outputs from there. Under a stride of 2 a copied row has its even
 * cells first, then the odd ones, so that the places of a tap are neighbours. */
#include "core/layer_state.h"

#include <string.h>

enum {
    COPY_BYTES = 28 << 10, /* of a unit, about: less than the first-level cache */
    COPY_ELEMENTS_MOST = 1 << 17,
    REACH_MOST = 1 << 12, /* cells from the first tap to the last */
    WIDE_MOST = 1 << 10, /* places of a unit's rows */
    TILE_WORK = 1 << 20, /* multiply-adds */
    LINE = 16, /* elements: rows of copies begin at a multiple, and have room for a vector behind them */
};

static size_t divide_up(size_t a, size_t b)
{
    return (a - 1) / b + 1;
}

static size_t round_up(size_t elements)
{
    return divide_up(elements, LINE) * LINE;
}

static size_t reach_of(const struct layer_cut *cut)
{
    return (cut->taps - 1) * (size_t)(cut->delta < 0 ? -cut->delta : cut->delta);
}

/* The source's place of the least tap of place 0. */
static int64_t least_place(const struct layer_state *state, unsigned axis)
{
    const struct layer_cut *cut = &state->cut[axis];
    const int64_t first = layer_phase_at(state, axis, 0).first;
    return cut->delta < 0 ? first - (int64_t)reach_of(cut) : first;
}

/* Whether units copy every place of the source along an axis, so that what they have seen are all values. */
static bool covers(const struct layer_state *state, unsigned axis, size_t units)
{
    const struct layer_cut *cut = &state->cut[axis];
    const int64_t least = least_place(state, axis);
    const int64_t end = least + (int64_t)((cut->places - 1) * cut->step + reach_of(cut)) + 1;
    return least <= 0 && end >= (int64_t)cut->source && (units == 1 || cut->step <= reach_of(cut) + 1);
}

static bool suits(const struct layer_state *state)
{
    const struct layer_geometry *geometry = &state->geometry;
    const struct layer_cut *z = &state->cut[0], *y = &state->cut[1], *x = &state->cut[2];
    if (state->element == LAYER_U64 || state->parts != 1 || state->plain || state->fold || geometry->channels_last ||
        geometry->operation == CONVOLVE_LAYER_BACKWARD_WEIGHT ||
        (!layer_reads_y(geometry) && geometry->boundary != CONVOLVE_CONSTANT))
        return false;
    if (z->source != 1 || z->target != 1 || z->kernel != 1 || z->before != 0 || y->phases != 1 || x->phases != 1 ||
        x->step > 2 || y->step > REACH_MOST)
        return false;
    if (y->places == 1 && x->places > WIDE_MOST && state->channels == 1 && state->rows == 1 && x->taps > 3)
        return false; /* a long signal by many taps is for the filters' blocks */
    const size_t most = geometry->groups > 1 ? LAYER_PLANES_MOST : LAYER_PLANES_SINGLE;
    return state->channels <= most && state->rows <= most;
}

/* From the places of a unit to its copy. */
static bool lay_out(struct layer_state *state, size_t high, size_t wide)
{
    struct layer_planes *planes = &state->planes;
    const struct layer_cut *y = &state->cut[1], *x = &state->cut[2];
    const size_t rows = (high - 1) * y->step + reach_of(y) + 1, cells = (wide - 1) * x->step + reach_of(x) + 1;
    const int64_t least = least_place(state, 2);
    const size_t before = least < 0 ? (size_t)-least : 0;
    planes->high = high;
    planes->wide = wide;
    planes->slot = x->step > 1 ? round_up((cells + 1) / 2) : 0;
    planes->row = planes->slot ? 2 * planes->slot : round_up(cells);
    planes->origin = (LINE - before / x->step % LINE) % LINE;
    planes->plane = planes->origin + rows * planes->row + LINE;
    planes->copy = round_up(planes->plane * state->channels);
    return rows <= COPY_ELEMENTS_MOST / state->channels / planes->row;
}

void layer_planes_derive(struct layer_state *state)
{
    struct layer_planes *planes = &state->planes;
    const struct layer_cut *y = &state->cut[1], *x = &state->cut[2];
    if (!suits(state) || y->taps > REACH_MOST || x->taps > REACH_MOST || (uint64_t)y->dilation > REACH_MOST ||
        (uint64_t)x->dilation > REACH_MOST || reach_of(y) > REACH_MOST || reach_of(x) > REACH_MOST)
        return;
    const size_t wide = divide_up(x->places, divide_up(x->places, WIDE_MOST));
    size_t high = layer_least(y->places, COPY_BYTES);
    for (bool fits = lay_out(state, high, wide); !fits || planes->copy * state->element_bytes > COPY_BYTES;
         fits = lay_out(state, high, wide)) {
        if (high == 1 && !fits)
            return;
        if (high <= 4)
            break;
        high = layer_least(divide_up(y->places, divide_up(y->places, high) + 1), high - 1);
    }
    planes->bands = divide_up(y->places, planes->high);
    planes->strips = divide_up(x->places, planes->wide);
    const size_t slices = state->geometry.items * state->geometry.groups; /* at most the source's values */
    if (__builtin_mul_overflow(slices, planes->bands, &planes->units) ||
        __builtin_mul_overflow(planes->units, planes->strips, &planes->units))
        return;
    const size_t work =
        planes->high * planes->wide * (state->rows * state->channels * y->taps * x->taps + state->channels * 8);
    planes->units_per_tile = work > TILE_WORK / 2 ? 1 : TILE_WORK / work;
    planes->tiles = divide_up(planes->units, planes->units_per_tile);
    planes->gathers = covers(state, 1, planes->bands) && covers(state, 2, planes->strips);
    planes->used = true;
    layer_pack_nothing(state);
}

bool layer_planes_scratch(const struct layer_state *state, size_t *bytes)
{
    return plan_size_add(bytes, state->cut[1].taps * state->cut[2].taps, sizeof(ptrdiff_t)) &&
           plan_size_add(bytes, state->planes.copy, state->element_bytes);
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
    span.start = least_place(state, axis) + (int64_t)(first * cut->step);
    span.cells = (span.count - 1) * cut->step + reach_of(cut) + 1;
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

static void list_offsets(const struct layer_state *state, ptrdiff_t *offsets)
{
    const struct layer_cut *y = &state->cut[1], *x = &state->cut[2];
    for (size_t t = 0; t < y->taps; t++)
        for (size_t k = 0; k < x->taps; k++) {
            const size_t row = y->delta < 0 ? (y->taps - 1 - t) * (size_t)-y->delta : t * (size_t)y->delta;
            const size_t cell = x->delta < 0 ? (x->taps - 1 - k) * (size_t)-x->delta : k * (size_t)x->delta;
            *offsets++ = (ptrdiff_t)(row * state->planes.row + cell_offset(&state->planes, cell));
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
    if (y->inside == y->end || x->inside == x->end)
        return;
    unsigned char *const row = copy + (planes->origin + y->inside * planes->row) * bytes;
    for (size_t i = 0; planes->strips > 1 && i < y->end - y->inside; i++) {
        put_zeros(state, row + i * row_bytes, 0, x->inside);
        put_zeros(state, row + i * row_bytes, x->end, x->cells);
    }
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
static size_t square_side(const struct layer_state *state)
{
    const struct layer_cut *y = &state->cut[1], *x = &state->cut[2];
    return y->taps == x->taps && y->taps > 1 && y->step == 1 && x->step == 1 && (y->delta == 1 || y->delta == -1)
               ? y->taps
               : 0;
}

static void make_unit(const struct convolve_plan *plan, const struct convolve_run *run, size_t unit,
                      struct simd_facts *facts, unsigned char *copy, const ptrdiff_t *offsets)
{
    const struct layer_state *state = layer_state(plan);
    const struct layer_planes *planes = &state->planes;
    const size_t bytes = state->element_bytes, slice = unit / planes->strips / planes->bands;
    const size_t group = slice % state->geometry.groups, item = slice / state->geometry.groups;
    const struct span y = span_of(state, 1, unit / planes->strips % planes->bands * planes->high, planes->high),
                      x = span_of(state, 2, unit % planes->strips * planes->wide, planes->wide);
    const unsigned char *const source =
        (const unsigned char *)layer_source(state, run) +
        (item * state->source.item_pitch + group * state->channels * state->source.channel_pitch) * bytes;
    for (size_t c = 0; c < state->channels; c++)
        copy_channel(plan, facts, copy + c * planes->plane * bytes, source + c * state->source.channel_pitch * bytes,
                     &y, &x);
    /* Rows go backwards where taps do. */
    const bool backwards = state->cut[1].delta < 0;
    const size_t last = backwards ? y.count - 1 : 0, pitch = planes->row * state->cut[1].step;
    const size_t row_pitch = state->target.axis_pitch[1], plane_pitch = state->target.channel_pitch;
    const size_t target =
        item * state->target.item_pitch + group * state->rows * plane_pitch + y.first * row_pitch + x.first;
    const struct simd_plane plane = {
        .input = copy + (planes->origin + last * pitch) * bytes,
        .channels = state->channels,
        .channel_pitch = planes->plane,
        .input_pitch = backwards ? -(ptrdiff_t)pitch : (ptrdiff_t)pitch,
        .offsets = offsets,
        .taps = state->cut[1].taps * state->cut[2].taps,
        .side = square_side(state),
        .weights = (const unsigned char *)run->kernel + group * state->weight_group_pitch * bytes,
        .bias = run->bias ? (const unsigned char *)run->bias + group * state->rows * bytes : NULL,
        .weight_pitch = state->weight_channel_pitch,
        .filter_pitch = state->weight_row_pitch,
        .output = (unsigned char *)run->output + (target + last * row_pitch) * bytes,
        .output_pitch = backwards ? -(ptrdiff_t)row_pitch : (ptrdiff_t)row_pitch,
        .plane_pitch = plane_pitch,
        .filters = state->rows,
        .rows = y.count,
        .count = x.count,
    };
    if ((state->element == LAYER_F32 ? plan->routines->plane_f32 : plan->routines->plane_f64)(&plane))
        return;
    for (size_t f = 0; f < state->rows; f++)
        for (size_t r = 0; r < y.count; r++)
            layer_look_at(plan, run, target + f * plane_pitch + r * row_pitch, x.count);
}

void layer_planes_tile(const struct convolve_plan *plan, const struct convolve_run *run, size_t tile,
                       void *tile_scratch)
{
    const struct layer_state *state = layer_state(plan);
    const struct layer_planes *planes = &state->planes;
    unsigned char *cursor = tile_scratch;
    ptrdiff_t *const offsets = plan_scratch_take(&cursor, state->cut[1].taps * state->cut[2].taps, sizeof *offsets);
    unsigned char *const copy = plan_scratch_take(&cursor, planes->copy, state->element_bytes);
    struct simd_facts facts = {0};
    const size_t first = tile * planes->units_per_tile,
                 end = layer_least(planes->units - first, planes->units_per_tile) + first;
    memset(copy, 0, planes->copy * state->element_bytes);
    list_offsets(state, offsets);
    for (size_t unit = first; unit < end; unit++)
        make_unit(plan, run, unit, &facts, copy, offsets);
    layer_scratch_parts(state, run->scratch).gathered[tile] =
        (struct layer_facts){.largest = facts.largest, .fractional = facts.fractional, .nonfinite = facts.nonfinite};
}
