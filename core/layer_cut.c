/* SPDX-License-Identifier: MIT */
/* How a layer is cut into units, from its geometry alone. A unit's copied input should stay in the second-level cache, its
 * work be some tenths of a millisecond, and its rows of places be long. */
#include "core/layer_fft.h"
#include "core/layer_state.h"
#include "core/layer_winograd.h"

enum {
    OUTER_PLACES = 7, /* of a row, from which on blocks of places are as good without gaps */
    UNIT_PLACES = 512, /* at most, where channels are few */
    UNIT_PLACES_LEAST = 96, /* where rows are not cut */
    ROWS_PLACES = 4096, /* where filters' blocks make the rows */
    COPY_ELEMENTS = 3 << 15, /* real numbers of a unit's copied input */
    WHOLE_COPY = 1 << 15, /* the same where cells are copied as they lie: */
    WHOLE_CHANNELS = 22, /* of some channels at a time, at most so many */
    ALL_PLACES = 1024, /* at most, where lanes are output channels and a copy has room for all channels */
    TILE_WORK = 1 << 23, /* multiply-adds; a unit may have four times as many before its rows are cut */
    PLAIN_WORK = 1 << 18,
};

static size_t greatest_divisor(size_t a, size_t b)
{
    while (b) {
        const size_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

/* ---- Phases ----------------------------------------------------------------------------------------------------------- */

/* The cells of the padded x that windows reach. */
static size_t padded_length(const struct layer_axis *axis)
{
    return (axis->y - 1) * axis->stride + (axis->kernel - 1) * axis->dilation + 1;
}

static bool folds(const struct layer_geometry *geometry)
{
    return geometry->operation == CONVOLVE_LAYER_BACKWARD_INPUT && geometry->boundary != CONVOLVE_CONSTANT;
}

static size_t target_length(const struct layer_geometry *geometry, unsigned i)
{
    const struct layer_axis *axis = &geometry->axis[i];
    return !layer_reads_y(geometry) ? axis->y : folds(geometry) ? padded_length(axis) : axis->x;
}

static size_t phases_of(const struct layer_geometry *geometry, unsigned i)
{
    return layer_reads_y(geometry) ? layer_least(geometry->axis[i].stride, target_length(geometry, i)) : 1;
}

static bool count_phases(const struct layer_geometry *geometry)
{
    size_t product = 1;
    for (unsigned i = 0; i < LAYER_AXES; i++) {
        const size_t phases = phases_of(geometry, i);
        if (phases > LAYER_PHASES_MAX)
            return false;
        product *= phases;
    }
    return product <= LAYER_PHASES_MAX;
}

/* The first tap that falls on cells that are `wanted` modulo the stride; the kernel's length where none does. */
static size_t find_tap(const struct layer_cut *cut, size_t wanted)
{
    const size_t turn = cut->dilation % cut->stride, end = layer_least(cut->tap_step, cut->kernel);
    size_t place = 0;
    for (size_t tap = 0; tap < end; tap++) {
        if (place == wanted)
            return tap;
        place = place >= cut->stride - turn ? place - (cut->stride - turn) : place + turn;
    }
    return cut->kernel;
}

struct layer_phase layer_phase_at(const struct layer_state *state, unsigned axis, size_t phase)
{
    const struct layer_cut *cut = &state->cut[axis];
    if (!layer_reads_y(&state->geometry))
        return (struct layer_phase){.places = cut->target, .taps = cut->kernel, .first = -cut->before};
    const int64_t stride = (int64_t)cut->stride, cell = (int64_t)phase + cut->before;
    const size_t tap = find_tap(cut, (size_t)((cell % stride + stride) % stride));
    struct layer_phase found = {.places = layer_divide_up(cut->target - phase, cut->stride), .tap_first = tap};
    if (tap < cut->kernel) {
        found.taps = layer_divide_up(cut->kernel - tap, cut->tap_step);
        found.first = (cell - (int64_t)(tap * cut->dilation)) / stride;
    }
    return found;
}

static void derive_axis(struct layer_state *state, unsigned i)
{
    const struct layer_geometry *geometry = &state->geometry;
    const struct layer_axis *axis = &geometry->axis[i];
    const bool reads_y = layer_reads_y(geometry);
    const size_t divisor = reads_y ? greatest_divisor(axis->stride, axis->dilation) : 1;
    state->cut[i] = (struct layer_cut){
        .source = reads_y ? axis->y : axis->x,
        .target = target_length(geometry, i),
        .step = reads_y ? 1 : axis->stride,
        .phases = phases_of(geometry, i),
        .phases_apart = reads_y ? axis->stride : 1,
        .tap_step = reads_y ? axis->stride / divisor : 1,
        .delta = reads_y ? -(int64_t)(axis->dilation / divisor) : (int64_t)axis->dilation,
        .kernel = axis->kernel,
        .stride = axis->stride,
        .dilation = axis->dilation,
        .before = state->fold ? 0 : axis->before,
    };
    state->cut[i].taps = layer_divide_up(axis->kernel, state->cut[i].tap_step);
    state->cut[i].places = reads_y ? layer_divide_up(state->cut[i].target, axis->stride) : state->cut[i].target;
}

/* An axis along which neither window nor step does anything goes into the one behind it: rows of places become longer. */
static void join_axes(struct layer_cut *cut)
{
    for (unsigned i = LAYER_AXES - 1; i-- > 0;) {
        struct layer_cut *const outer = &cut[i], *const inner = &cut[LAYER_AXES - 1];
        if (outer->kernel != 1 || inner->kernel != 1 || outer->stride != 1 || inner->stride != 1 || outer->before ||
            inner->before || outer->source != outer->target || inner->source != inner->target)
            return;
        inner->source *= outer->source;
        inner->target = inner->places = inner->source;
        outer->source = outer->target = outer->places = 1;
    }
}

/* ---- Copies ----------------------------------------------------------------------------------------------------------- */

/* The slots and cells that `unit` places need: the taps that are equal modulo the step share one, unless `each_tap`, or the
 * cells between them that no tap reads cost more. */
static bool derive_slots(struct layer_cut *cut, size_t unit, bool each_tap)
{
    const size_t taps = cut->taps, apart = (size_t)(cut->delta < 0 ? -cut->delta : cut->delta);
    size_t shared, each, reach;
    cut->slot_step = greatest_divisor(apart, cut->step);
    cut->slots = cut->step / cut->slot_step;
    cut->unit = unit;
    if (cut->whole) {
        cut->slots = 1;
        cut->slot_each_tap = false;
        return !__builtin_mul_overflow(unit - 1, cut->step, &cut->cells) &&
               !__builtin_add_overflow(cut->cells, (taps - 1) * apart + 1, &cut->cells);
    }
    if (__builtin_mul_overflow(taps, unit, &each))
        return false;
    reach = (taps - 1) * apart / cut->step;
    cut->cells = unit + reach;
    cut->slot_each_tap =
        each_tap || cut->slots >= taps || __builtin_mul_overflow(cut->slots, cut->cells, &shared) || each < shared;
    if (cut->slot_each_tap) {
        cut->slots = taps;
        cut->cells = unit;
    }
    return true;
}

/* Real numbers of one channel's copy. */
static bool count_copy(struct layer_state *state)
{
    size_t elements = 1;
    for (unsigned i = 0; i < LAYER_AXES; i++)
        if (__builtin_mul_overflow(elements, state->cut[i].slots, &elements) ||
            __builtin_mul_overflow(elements, state->cut[i].cells, &elements))
            return false;
    return elements < SIZE_MAX / 64 &&
           !__builtin_mul_overflow(layer_copy_pitch(state, elements), state->parts, &state->copy_channel);
}

/* Multiply-adds of one place, all rows and taps of the largest phase. */
static size_t place_work(const struct layer_state *state)
{
    size_t work = state->channels * state->parts;
    if (__builtin_mul_overflow(work, state->rows, &work))
        return SIZE_MAX;
    for (unsigned i = 0; i < LAYER_AXES; i++)
        if (__builtin_mul_overflow(work, state->cut[i].taps, &work))
            return SIZE_MAX;
    return work ? work : 1;
}

/* Whether the taps along x get slots of their own: rows of places then follow each other without gaps, which panels else
 * compute for nothing. It costs a copy for each tap. */
static bool slot_each_x(const struct layer_state *state, size_t wide, size_t high)
{
    const struct layer_cut *const x = &state->cut[2];
    const double gap = (double)(x->taps - 1) * (double)(x->delta < 0 ? -x->delta : x->delta);
    if (state->outer && wide >= OUTER_PLACES)
        return false;
    return high > 1 && wide == x->places && x->step == 1 && state->parts == 1 && !state->by_rows &&
           (double)place_work(state) / (double)state->channels * gap > 16 * (double)(x->taps - 1) * (double)wide;
}

/* Whether cells are copied as they lie, which is a copy of whole rows. Where lanes are output channels it makes no difference
 * to sums; cells that no tap reads come with them. */
static bool copies_whole(const struct layer_state *state, unsigned axis)
{
    const struct layer_cut *const cut = &state->cut[axis];
    return state->outer && cut->step == 2 && cut->delta == 1 && cut->taps > 1;
}

/* Whether one unit copies all channels of all places, so that no other one needs their weights. */
static bool copies_all(struct layer_state *state)
{
    struct layer_cut *const cut = state->cut;
    size_t elements;
    return state->outer && !cut[1].whole && !cut[2].whole && cut[0].places == 1 &&
           cut[2].places <= ALL_PLACES / cut[1].places && derive_slots(&cut[0], 1, true) &&
           derive_slots(&cut[1], cut[1].places, false) && derive_slots(&cut[2], cut[2].places, false) &&
           count_copy(state) && !__builtin_mul_overflow(state->copy_channel, state->channels, &elements) &&
           elements <= COPY_ELEMENTS;
}

/* Shrinks the unit until some channels of its copy fit the cache, or it is as small as makes sense. */
static bool choose_unit(struct layer_state *state)
{
    struct layer_cut *const y = &state->cut[1], *const x = &state->cut[2];
    const size_t fit_work = 4 * (size_t)TILE_WORK / place_work(state);
    const bool few = state->outer && x->places <= LAYER_OUTER_PLACES / y->places;
    y->whole = copies_whole(state, 1);
    x->whole = copies_whole(state, 2);
    const size_t most = state->by_rows                 ? ROWS_PLACES
                        : few                          ? LAYER_OUTER_PLACES
                        : copies_all(state)            ? ALL_PLACES
                        : fit_work < UNIT_PLACES_LEAST ? UNIT_PLACES_LEAST
                                                       : layer_least(fit_work, UNIT_PLACES);
    const size_t units = layer_divide_up(x->places, most);
    size_t wide = layer_divide_up(x->places, units), high = layer_least(y->places, layer_divide_up(most, wide));
    high = layer_divide_up(y->places, layer_divide_up(y->places, high)); /* all about as high */
    const bool turns = x->whole && !few;
    const size_t wanted = layer_least(state->channels, turns ? WHOLE_CHANNELS : 256);
    const size_t elements_most = turns ? WHOLE_COPY : COPY_ELEMENTS;
    for (;;) {
        size_t elements;
        if (!derive_slots(&state->cut[0], 1, true) || !derive_slots(y, high, false) ||
            !derive_slots(x, wide, slot_each_x(state, wide, high)) || !count_copy(state))
            return false;
        if (__builtin_mul_overflow(state->copy_channel, wanted, &elements) || elements > elements_most) {
            if (high > 1 && high * wide > 64) {
                high = layer_divide_up(high, 2);
                continue;
            }
            if (high == 1 && wide > 64) {
                wide = layer_divide_up(wide, 2);
                continue;
            }
        }
        break;
    }
    for (unsigned i = 0; i < LAYER_AXES; i++)
        state->cut[i].units = layer_divide_up(state->cut[i].places, state->cut[i].unit);
    const size_t fit = elements_most / state->copy_channel;
    state->unit_channels = fit < 1 ? 1 : layer_least(fit, state->channels);
    if (turns)
        state->unit_channels =
            layer_divide_up(state->channels, layer_divide_up(state->channels, layer_least(fit < 1 ? 1 : fit, wanted)));
    if (state->by_rows && state->unit_channels < state->channels) {
        state->by_rows = false;
        return choose_unit(state);
    }
    return true;
}

/* ---- Units and tiles -------------------------------------------------------------------------------------------------- */

static bool count_units(struct layer_state *state)
{
    const struct layer_geometry *geometry = &state->geometry;
    size_t phases = 1, places = 1, chain = state->channels * state->parts, work;
    state->unit_count = geometry->items * geometry->groups; /* at most the source's values */
    for (unsigned i = 0; i < LAYER_AXES; i++) {
        phases *= i == 2 && state->pairs ? 1 : state->cut[i].phases;
        places *= state->cut[i].unit;
        if (__builtin_mul_overflow(chain, state->cut[i].taps, &chain) ||
            __builtin_mul_overflow(state->unit_count, state->cut[i].units, &state->unit_count))
            return false;
    }
    if (__builtin_mul_overflow(chain, places, &work))
        work = SIZE_MAX;
    work = work ? work : 1;
    const size_t block = state->block_rows;
    /* Of places that are not cut rows share a copy. */
    size_t rows = (state->outer ? 8 : 4) * (size_t)TILE_WORK / work / block * block;
    rows = rows < block ? block : rows;
    state->row_units = layer_divide_up(state->rows, rows);
    state->unit_rows = layer_divide_up(layer_divide_up(state->rows, state->row_units), block) * block;
    state->row_units = layer_divide_up(state->rows, state->unit_rows);
    if (__builtin_mul_overflow(state->unit_count, phases, &state->unit_count) ||
        __builtin_mul_overflow(state->unit_count, state->row_units, &state->unit_count))
        return false;
    const size_t unit_rows = layer_least(state->unit_rows, state->rows);
    size_t tile = work > TILE_WORK / unit_rows ? 1 : TILE_WORK / (work * unit_rows);
    tile = layer_least(tile, 64);
    state->units_per_tile = tile < 1 ? 1 : tile;
    state->tile_count = layer_divide_up(state->unit_count, state->units_per_tile);
    state->tap_count = state->parts;
    for (unsigned i = 0; i < LAYER_AXES; i++)
        if (__builtin_mul_overflow(state->tap_count, state->cut[i].taps, &state->tap_count))
            return false;
    state->made_rows = layer_least(state->unit_rows, state->packed_rows);
    return !__builtin_mul_overflow(state->unit_channels, state->copy_channel, &state->copy_elements) &&
           !__builtin_mul_overflow(state->cut[1].unit, state->cut[2].cells, &state->made_row) &&
           !__builtin_mul_overflow(state->made_row, state->made_rows, &(size_t){0});
}

/* Whether windows of one cell read the source where it lies. It has to be one row of places, as joined axes are, and channels
 * to spread over the first-level cache's sets. */
static bool reads_in_place(const struct layer_state *state)
{
    const struct layer_cut *const cut = state->cut;
    const size_t lines = state->source.channel_pitch * state->element_bytes / 64;
    return cut[0].target == 1 && cut[1].target == 1 && cut[0].kernel == 1 && cut[1].kernel == 1 && cut[2].kernel == 1 &&
           cut[2].stride == 1 && cut[2].before == 0 && cut[2].source == cut[2].target && cut[0].source == 1 &&
           cut[1].source == 1 && cut[0].before == 0 && cut[1].before == 0 && state->source.axis_pitch[2] == 1 &&
           state->parts == 1 && !state->by_rows && !state->fold && (state->channels == 1 || lines % 8 != 0);
}

static struct layer_tensor tensor_of(const struct layer_side *side)
{
    return (struct layer_tensor){.item_pitch = side->item_pitch,
                                 .channel_pitch = side->channel_pitch,
                                 .axis_pitch = {side->axis_pitch[0], side->axis_pitch[1], side->axis_pitch[2]}};
}

/* The padded target of a fold: dense, channels first. */
static bool lay_fold(struct layer_state *state)
{
    const struct layer_geometry *geometry = &state->geometry;
    size_t pitch = 1;
    state->fold_most = 1;
    for (unsigned i = LAYER_AXES; i-- > 0;) {
        state->target.axis_pitch[i] = pitch;
        if (__builtin_mul_overflow(pitch, state->cut[i].target, &pitch))
            return false;
        /* Reflected, an element comes twice in a period; replicated, a corner has all that stands outside. */
        const size_t all = state->cut[i].target, length = geometry->axis[i].x;
        const size_t most = geometry->boundary == CONVOLVE_EDGE ? all : 2 * (all / length + 2);
        if (__builtin_mul_overflow(state->fold_most, layer_least(most, all), &state->fold_most))
            return false;
    }
    state->target.channel_pitch = pitch;
    if (__builtin_mul_overflow(pitch, geometry->x.channels * geometry->groups, &pitch))
        return false;
    state->target.item_pitch = pitch;
    return !__builtin_mul_overflow(pitch, geometry->items, &state->target_values);
}

/* Outputs that are looked at, or made, one by one. */
static void count_plain(struct layer_state *state)
{
    const struct layer_geometry *geometry = &state->geometry;
    size_t terms = geometry->terms;
    for (unsigned i = 0; folds(geometry) && i < LAYER_AXES; i++)
        if (__builtin_mul_overflow(terms, padded_length(&geometry->axis[i]), &terms))
            terms = SIZE_MAX;
    state->plain_outputs = terms >= PLAIN_WORK ? 1 : PLAIN_WORK / (terms + 1) + 1;
    state->plain_tiles = layer_divide_up(geometry->output_count, state->plain_outputs);
}

static void count_chunks(struct layer_state *state)
{
    const struct layer_geometry *geometry = &state->geometry;
    const bool backward_weight = geometry->operation == CONVOLVE_LAYER_BACKWARD_WEIGHT;
    const size_t bias = layer_reads_y(geometry) ? geometry->x.channels : geometry->y.channels;
    state->source_values = (layer_reads_y(geometry) ? geometry->y.count : geometry->x.count) * state->parts;
    state->weight_values = (backward_weight ? geometry->y.count : geometry->w.count) * state->parts;
    state->bias_values = geometry->bias ? bias * geometry->groups * state->parts : 0;
    state->source_chunks = layer_divide_up(state->source_values, LAYER_CHUNK);
    state->weight_chunks = layer_divide_up(state->weight_values, LAYER_CHUNK);
    state->bias_chunks = state->bias_values ? layer_divide_up(state->bias_values, LAYER_CHUNK) : 0;
    state->scan_tiles = layer_divide_up(state->source_chunks + state->weight_chunks + state->bias_chunks, 16);
}

bool layer_cut_derive(struct layer_state *state, const struct layer_geometry *geometry)
{
    *state = (struct layer_state){.geometry = *geometry, .fold = folds(geometry), .fold_most = 1};
    state->parts = convolve_dtype_is_complex(geometry->dtype) ? 2 : 1;
    state->element = geometry->dtype == CONVOLVE_INT64                                              ? LAYER_U64
                     : geometry->dtype == CONVOLVE_FLOAT32 || geometry->dtype == CONVOLVE_COMPLEX64 ? LAYER_F32
                                                                                                    : LAYER_F64;
    state->element_bytes = state->element == LAYER_F32 ? 4 : 8;
    count_chunks(state);
    count_plain(state);
    if (geometry->operation == CONVOLVE_LAYER_BACKWARD_WEIGHT)
        return layer_sweep_derive(state);
    if (!count_phases(geometry)) {
        state->plain = true;
        state->fold = false;
        return true;
    }
    const bool reads_y = layer_reads_y(geometry);
    const struct layer_side *source = reads_y ? &geometry->y : &geometry->x;
    const struct layer_side *target = reads_y ? &geometry->x : &geometry->y;
    state->source = tensor_of(source);
    state->target = tensor_of(target);
    state->channels = source->channels;
    state->row_channels = target->channels;
    state->rows = target->channels * state->parts;
    state->weight_channel_pitch = reads_y ? geometry->w.y_pitch : geometry->w.x_pitch;
    state->weight_row_pitch = reads_y ? geometry->w.x_pitch : geometry->w.y_pitch;
    state->weight_group_pitch = geometry->y.channels * geometry->w.y_pitch;
    for (unsigned i = 0; i < LAYER_AXES; i++)
        derive_axis(state, i);
    if (state->fold && !lay_fold(state))
        return false;
    if (!state->fold)
        join_axes(state->cut);
    state->fold_tiles = state->fold ? layer_divide_up(geometry->output_count, 1 << 12) : 0;
    state->by_rows = layer_rows_suit(state);
    layer_pack_shape(state, layer_outer_suits(state));
    state->pairs = state->outer && state->cut[2].phases == 2 && state->target.axis_pitch[2] == 1;
    if (!choose_unit(state) || !count_units(state))
        return false;
    state->in_place = reads_in_place(state);
    if (state->in_place)
        state->copy_elements = 0;
    /* Several phases would all look at the same. */
    state->looks = state->outer && !state->in_place && !state->fold &&
                   state->cut[0].phases * state->cut[1].phases * state->cut[2].phases == 1;
    if (state->outer && layer_outer_packs_late(state))
        layer_pack_late(state);
    return true;
}

static bool direct_scratch(const struct layer_state *state, size_t *bytes)
{
    if (state->sweep.by_lanes)
        return layer_lanes_scratch(state, bytes);
    if (state->sweep.by_cross)
        return layer_cross_scratch(state, bytes);
    if (state->planes.used)
        return layer_planes_scratch(state, bytes);
    if (state->geometry.operation == CONVOLVE_LAYER_BACKWARD_WEIGHT)
        return state->plain || plan_size_add(bytes, state->sweep.segment * state->parts, sizeof(ptrdiff_t));
    return state->plain || (plan_size_add(bytes, state->tap_count, sizeof(ptrdiff_t)) &&
                            plan_size_add(bytes, state->copy_elements, state->element_bytes) &&
                            plan_size_add(bytes, layer_made_size(state), state->element_bytes) &&
                            (!state->by_rows || layer_rows_scratch(state, bytes)) &&
                            (!state->outer || layer_outer_scratch(state, bytes)));
}

bool layer_tile_scratch(const struct layer_state *state, size_t *bytes)
{
    size_t winograd = 0;
    *bytes = 0;
    if (state->fft.used)
        return layer_fft_tile_scratch(state, bytes);
    if (!direct_scratch(state, bytes) || (state->winograd.m && !layer_winograd_tile_scratch(state, &winograd)))
        return false;
    *bytes = *bytes > winograd ? *bytes : winograd;
    return true;
}
