/* SPDX-License-Identifier: MIT */
/* Layers as plans see them: costs, plans and their stages. Its stages: the weights are packed and all values looked at; what
 * they tell is concluded; units make the outputs; padded gradients are folded; outputs that this leaves open are looked at. */
#include "core/layer_explain.h"
#include "core/layer_fft.h"
#include "core/layer_state.h"
#include "core/layer_winograd.h"

#include <assert.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    STAGE_PACK,
    STAGE_CONCLUDE,
    STAGE_MAKE,
    STAGE_SWEEP,
    STAGE_SLICE,
    STAGE_EMIT,
    STAGE_TRANSFORM,
    STAGE_TILES,
    STAGE_PRODUCTS,
    STAGE_TAPS,
    STAGE_PREPARE,
    STAGE_FOLD,
    STAGE_JOIN,
    STAGE_CHECK
};

/* ---- Stages ----------------------------------------------------------------------------------------------------------- */

static bool sweeps(const struct layer_state *state)
{
    return state->geometry.operation == CONVOLVE_LAYER_BACKWARD_WEIGHT && !state->plain && !state->fft.used;
}

/* Stages of backward_weight by winograd, after which come those of `direct`, for values that need it: two for each pass, taps, and
 * the copies that `direct` else makes while weights are packed. */
static unsigned gradient_stages(const struct layer_state *state)
{
    return state->gradient.used ? 2 * (unsigned)state->gradient.passes + 2 : 0;
}

static bool transforms(const struct layer_state *state)
{
    return state->winograd.m && !state->gradient.used;
}

/* winograd transforms first, knowing which items it makes; backward_weight goes over the places in passes, then brings its sums
 * into order; a fold follows on what makes padded cells. */
static unsigned layer_stage_count(const struct convolve_plan *plan)
{
    const struct layer_state *state = layer_state(plan);
    if (state->fft.used)
        return 3 + (unsigned)state->fft.slices + state->fold;
    return 4 + gradient_stages(state) + (sweeps(state) ? (unsigned)state->sweep.passes : 0) +
           (state->fold || layer_joins(state)) + transforms(state);
}

/* winograd packs weights for `direct` once it is known whether an item needs them. */
static size_t early_packs(const struct layer_state *state)
{
    return state->winograd.m ? 0 : state->pack_tiles;
}

static unsigned stage_of(const struct convolve_plan *plan, unsigned stage)
{
    const unsigned count = layer_stage_count(plan);
    if (stage < STAGE_MAKE)
        return stage;
    if (stage + 1 == count)
        return STAGE_CHECK;
    if (layer_state(plan)->fft.used)
        return stage < STAGE_MAKE + layer_state(plan)->fft.slices ? STAGE_SLICE : STAGE_FOLD;
    if (layer_joins(layer_state(plan)) && stage + 2 == count)
        return STAGE_JOIN;
    const unsigned before = STAGE_MAKE + gradient_stages(layer_state(plan));
    if (stage < before)
        return stage + 1 == before        ? STAGE_PREPARE
               : stage + 2 == before      ? STAGE_TAPS
               : (stage - STAGE_MAKE) % 2 ? STAGE_PRODUCTS
                                          : STAGE_TILES;
    if (sweeps(layer_state(plan)))
        return stage < before + layer_state(plan)->sweep.passes ? STAGE_SWEEP : STAGE_EMIT;
    if (transforms(layer_state(plan)))
        return stage == STAGE_MAKE ? STAGE_TRANSFORM : stage == STAGE_MAKE + 1 ? STAGE_MAKE : STAGE_FOLD;
    return stage == STAGE_MAKE ? STAGE_MAKE : STAGE_FOLD;
}

/* Copies that are made while weights are packed. */
static size_t early_copies(const struct layer_state *state)
{
    return state->gradient.used ? 0 : state->sweep.copy_tiles + state->sweep.pack_tiles;
}

static size_t layer_tile_count(const struct convolve_plan *plan, unsigned stage)
{
    const struct layer_state *state = layer_state(plan);
    switch (stage_of(plan, stage)) {
    case STAGE_PACK:
        return early_copies(state) + early_packs(state) + state->scan_tiles +
               (state->winograd.m ? layer_winograd_scan_tiles(state) : 0);
    case STAGE_CONCLUDE:
    case STAGE_JOIN:
        return 1;
    case STAGE_MAKE:
        return state->plain         ? state->plain_tiles
               : state->planes.used ? state->planes.tiles
                                    : state->tile_count + state->winograd.tiles_made;
    case STAGE_TILES:
        return state->gradient.units;
    case STAGE_PRODUCTS:
        return state->gradient.sum_units;
    case STAGE_TAPS:
        return state->gradient.emit_units;
    case STAGE_PREPARE:
        return state->sweep.copy_tiles + state->sweep.pack_tiles;
    case STAGE_SWEEP:
        return state->sweep.tiles;
    case STAGE_SLICE:
        return state->fft.planes;
    case STAGE_EMIT:
        return state->sweep.emit_tiles;
    case STAGE_TRANSFORM:
        return state->winograd.weight_tiles + state->winograd.cell_tiles + state->pack_tiles;
    case STAGE_FOLD:
        return state->fold_tiles;
    default:
        return state->plain_tiles;
    }
}

/* Winograd's weights, and the cells of its only unit; then the weights of `direct`. What no item needs is left out. */
static void transform_tile(const struct convolve_plan *plan, const struct convolve_run *run, size_t tile,
                           void *tile_scratch)
{
    const struct layer_winograd *w = &layer_state(plan)->winograd;
    const struct layer_findings *found = layer_scratch_parts(layer_state(plan), run->scratch).findings;
    if (tile >= w->weight_tiles + w->cell_tiles) {
        if (found->some_direct)
            layer_pack_tile(plan, run, tile - w->weight_tiles - w->cell_tiles);
    } else if (tile >= w->weight_tiles) {
        layer_winograd_cells(plan, run, tile - w->weight_tiles, tile_scratch);
    } else if (found->some_winograd) {
        layer_winograd_pack(plan, run, tile, tile_scratch);
    }
}

/* What tiles look at that make outputs is left to them. */
static size_t first_chunk(const struct layer_state *state)
{
    return (layer_gathers(state) ? state->source_chunks : 0) + (state->sweep.gathers ? state->weight_chunks : 0);
}

static void prepare_tile(const struct convolve_plan *plan, const struct convolve_run *run, size_t tile)
{
    const struct layer_state *state = layer_state(plan);
    const size_t sweep = early_copies(state);
    const size_t packs = sweep + early_packs(state);
    if (tile < sweep)
        layer_sweep_prepare(plan, run, tile);
    else if (tile < packs)
        layer_pack_tile(plan, run, tile - sweep);
    else if (tile - packs < state->scan_tiles)
        layer_scan_tile(plan, run, first_chunk(state), tile - packs);
    else
        layer_winograd_scan(plan, run, tile - packs - state->scan_tiles);
}

static void conclude(const struct convolve_plan *plan, const struct convolve_run *run)
{
    layer_begin(plan, run);
    layer_conclude(plan, run, false);
    if (layer_state(plan)->winograd.m)
        layer_winograd_conclude(plan, run);
}

/* winograd's units, then those of `direct` for the items that need it. */
static void make_tile(const struct convolve_plan *plan, const struct convolve_run *run, size_t tile, void *tile_scratch)
{
    const struct layer_state *state = layer_state(plan);
    if (tile < state->winograd.tiles_made) {
        layer_winograd_unit(plan, run, tile, tile_scratch);
        return;
    }
    const size_t first = (tile - state->winograd.tiles_made) * state->units_per_tile;
    for (size_t i = first; i < state->unit_count && i < first + state->units_per_tile; i++)
        layer_run_unit(plan, run, i, tile_scratch);
}

/* backward_weight by winograd, and what that leaves to `direct`. */
static void sweep_tile(const struct convolve_plan *plan, const struct convolve_run *run, unsigned stage, size_t tile,
                       void *tile_scratch)
{
    const struct layer_state *state = layer_state(plan);
    const size_t pass = stage - STAGE_MAKE;
    const bool direct = !state->gradient.used || layer_scratch_parts(state, run->scratch).items[0].direct;
    switch (stage_of(plan, stage)) {
    case STAGE_TILES:
        layer_winograd_gradient_transform(plan, run, pass / 2, tile, tile_scratch);
        break;
    case STAGE_PRODUCTS:
        layer_winograd_gradient_sum(plan, run, pass / 2, tile);
        break;
    case STAGE_TAPS:
        layer_winograd_gradient_emit(plan, run, tile, tile_scratch);
        break;
    case STAGE_PREPARE:
        if (direct)
            layer_sweep_prepare(plan, run, tile);
        break;
    case STAGE_SWEEP:
        if (direct)
            (state->sweep.by_lanes   ? layer_lanes_tile
             : state->sweep.by_cross ? layer_cross_tile
                                     : layer_sweep_tile)(plan, run, pass - gradient_stages(state), tile, tile_scratch);
        break;
    default:
        if (direct)
            (state->sweep.by_lanes   ? layer_lanes_emit
             : state->sweep.by_cross ? layer_cross_emit
                                     : layer_sweep_emit)(plan, run, tile);
        break;
    }
}

static void layer_run_tile(const struct convolve_plan *plan, const struct convolve_run *run, unsigned stage,
                           size_t tile, void *tile_scratch)
{
    const struct layer_state *state = layer_state(plan);
    switch (stage_of(plan, stage)) {
    case STAGE_PACK:
        prepare_tile(plan, run, tile);
        break;
    case STAGE_CONCLUDE:
        if (layer_joins(state))
            layer_begin(plan, run);
        else
            conclude(plan, run);
        break;
    case STAGE_JOIN:
        layer_conclude(plan, run, layer_gathers(state));
        break;
    case STAGE_MAKE:
        if (state->plain)
            layer_plain_tile(plan, run, tile, false);
        else if (state->planes.used)
            layer_planes_tile(plan, run, tile, tile_scratch);
        else
            make_tile(plan, run, tile, tile_scratch);
        break;
    case STAGE_TILES:
    case STAGE_PRODUCTS:
    case STAGE_TAPS:
    case STAGE_PREPARE:
    case STAGE_SWEEP:
    case STAGE_EMIT:
        sweep_tile(plan, run, stage, tile, tile_scratch);
        break;
    case STAGE_SLICE:
        layer_fft_tile(plan, run, stage - STAGE_MAKE, tile, tile_scratch);
        break;
    case STAGE_TRANSFORM:
        transform_tile(plan, run, tile, tile_scratch);
        break;
    case STAGE_FOLD:
        layer_fold_tile(plan, run, tile);
        break;
    default:
        layer_plain_tile(plan, run, tile, true);
        break;
    }
}

static bool layer_finish(const struct convolve_plan *plan, const struct convolve_run *run,
                         struct convolve_outcome *outcome, struct convolve_error *error)
{
    const struct layer_state *state = layer_state(plan);
    const struct layer_scratch scratch = layer_scratch_parts(state, run->scratch);
    const struct layer_findings *found = scratch.findings;
    const double bound = state->fft.used && found->bound > 0 ? layer_fft_bound(state, &scratch) : found->bound;
    if (found->overflow)
        return convolve_fail(error, "integer-overflow", "",
                             "an exact output does not fit int64: dtype float64 holds it approximately");
    outcome->nonfinite = found->first_nonfinite != UINT64_MAX;
    outcome->nonfinite_index = outcome->nonfinite ? (size_t)found->first_nonfinite : 0;
    outcome->error_bound = outcome->nonfinite                      ? NAN
                           : found->check && !found->checked_bound ? found->floor
                                                                   : fmax(bound, found->floor);
    return true;
}

static double layer_predict(const struct convolve_plan *plan, const struct convolve_run *run)
{
    const struct layer_state *state = layer_state(plan);
    const struct layer_findings *found = layer_scratch_parts(state, run->scratch).findings;
    if (state->fft.used)
        return NAN; /* filters by fft cannot tell */
    for (size_t tile = 0; tile < state->scan_tiles; tile++)
        layer_scan_tile(plan, run, 0, tile);
    for (size_t block = 0; state->pack_looks && block < state->weight_chunks; block++)
        layer_pack_look(plan, run, block);
    for (size_t tile = 0; state->winograd.m && tile < layer_winograd_scan_tiles(state); tile++)
        layer_winograd_scan(plan, run, tile);
    conclude(plan, run);
    return found->source.nonfinite || found->weight.nonfinite || found->bias.nonfinite
               ? NAN
               : fmax(found->bound, found->floor);
}

/* The state stays where the draft has put it. */
static bool layer_create(struct convolve_plan *plan, const void *weight, struct convolve_error *error)
{
    struct layer_state *const state = plan->drafted;
    const bool f32 = state->element == LAYER_F32;
    (void)weight; /* every weight of the shape is treated alike */
    state->unit_roundoff = f32 ? 0x1p-24 : 0x1p-53;
    state->tiny = f32 ? (double)FLT_TRUE_MIN : DBL_TRUE_MIN;
    state->exact_below = f32 ? 0x1p24 : 0x1p53;
    plan->state = state;
    return layer_fft_create(state, error);
}

static void layer_destroy(struct convolve_plan *plan)
{
    layer_fft_destroy(plan->state);
}

/* All are stages of one plan: what winograd leaves is made by `direct`. */
#define LAYER_METHOD(name, method)                                                                                     \
    static const struct plan_method name = {                                                                           \
        .id = method,                                                                                                  \
        .create = layer_create,                                                                                        \
        .destroy = layer_destroy,                                                                                      \
        .stage_count = layer_stage_count,                                                                              \
        .tile_count = layer_tile_count,                                                                                \
        .run_tile = layer_run_tile,                                                                                    \
        .finish = layer_finish,                                                                                        \
        .predict = layer_predict,                                                                                      \
    };
LAYER_METHOD(layer_direct, CONVOLVE_DIRECT)
LAYER_METHOD(layer_winograd, CONVOLVE_WINOGRAD)
LAYER_METHOD(layer_fft, CONVOLVE_FFT)
#undef LAYER_METHOD

/* ---- Creation --------------------------------------------------------------------------------------------------------- */

/* Methods that no layer has; whether one that some have can do this one depends on its shapes. */
static bool check_method(const struct convolve_layer_spec *spec, struct convolve_error *error)
{
    if (spec->method == CONVOLVE_AUTO || spec->method == CONVOLVE_DIRECT || spec->method == CONVOLVE_WINOGRAD ||
        spec->method == CONVOLVE_FFT)
        return true;
    return convolve_fail(error, "invalid-value", "/method",
                         "method %s is none of layers: there are auto, direct, winograd, fft",
                         convolve_method_name(spec->method));
}

/* `auto` goes by shapes and dtype alone; where a bound is asked for it takes the method whose bound is the least. */
static bool choose_method(struct convolve_plan *plan, struct layer_state *state, const struct convolve_layer_spec *spec)
{
    const struct layer_geometry *geometry = &state->geometry;
    const bool free_choice = spec->method == CONVOLVE_AUTO && !spec->max_error_given && !state->plain;
    if (spec->method == CONVOLVE_WINOGRAD ||
        (free_choice && layer_winograd_can(geometry) && layer_winograd_pays(state))) {
        plan->method = &layer_winograd;
        return layer_winograd_derive(state);
    }
    if (spec->method == CONVOLVE_FFT || (free_choice && layer_fft_accepts(geometry, NULL) && layer_fft_pays(state))) {
        plan->method = &layer_fft;
        return state->plain || layer_fft_derive(state);
    }
    layer_planes_derive(state);
    return true;
}

/* The plan up to its sizes. */
static bool prepare(struct convolve_draft *draft, const struct convolve_layer_spec *spec, struct convolve_error *error)
{
    struct convolve_plan *const plan = &draft->plan;
    struct layer_state *const state = (struct layer_state *)(void *)draft->room;
    struct layer_geometry geometry;
    static_assert(sizeof *state <= PLAN_ROOM_BYTES, "a draft has room for it");
    *plan = (struct convolve_plan){.method = &layer_direct, .spec.dtype = spec->dtype, .drafted = state};
    draft->may_separate = false;
    plan->spec.max_error_given = spec->max_error_given;
    plan->spec.max_error = spec->max_error;
    if (!check_method(spec, error) || !layer_geometry_derive(&geometry, spec, error) ||
        (spec->method == CONVOLVE_WINOGRAD && !layer_winograd_accepts(&geometry, error)) ||
        (spec->method == CONVOLVE_FFT && !layer_fft_accepts(&geometry, error)))
        return false;
    plan->geometry.output = geometry.output;
    plan->geometry.output_count = geometry.output_count;
    plan->geometry.multiply_adds = geometry.multiply_adds;
    plan->routines = simd_routines();
    if (plan_size_add(&plan->sizes.plan_bytes, 1, sizeof *state) && layer_cut_derive(state, &geometry) &&
        choose_method(plan, state, spec) && layer_scratch_size(state, &plan->sizes.scratch_bytes) &&
        layer_tile_scratch(state, &plan->sizes.tile_scratch_bytes))
        return true;
    return plan_fail_uncountable(error);
}

bool convolve_layer_draft_derive(struct convolve_draft *draft, struct convolve_cost *cost,
                                 const struct convolve_layer_spec *spec, unsigned threads, struct convolve_error *error)
{
    const struct convolve_plan *const plan = &draft->plan;
    *cost = (struct convolve_cost){0};
    if (!prepare(draft, spec, error))
        return false;
    const struct layer_state *const state = plan->drafted;
    const struct layer_geometry *const geometry = &state->geometry;
    uint64_t values = plan_count_add(plan_count_add(geometry->x.count, geometry->y.count), geometry->w.count);
    values = plan_count_add(values, state->bias_values / state->parts);
    cost->dtype = spec->dtype;
    cost->output = geometry->output;
    cost->output_count = geometry->output_count;
    cost->method = plan->method->id;
    cost->multiply_adds = geometry->multiply_adds;
    cost->tensor_bytes = plan_count_multiply(values, convolve_dtype_bytes(spec->dtype));
    cost->scratch_bytes = plan_bytes(&plan->sizes, threads);
    return true;
}

bool convolve_layer_cost(struct convolve_cost *cost, const struct convolve_layer_spec *spec, unsigned threads,
                         struct convolve_error *error)
{
    struct convolve_draft draft;
    return convolve_layer_draft_derive(&draft, cost, spec, threads, error);
}

bool convolve_layer_plan_create(struct convolve_plan **plan, const struct convolve_layer_spec *spec, const void *weight,
                                struct convolve_error *error)
{
    struct convolve_draft *const draft = malloc(sizeof *draft);
    *plan = NULL;
    if (!draft)
        return convolve_fail(error, "overloaded", "", "out of memory");
    if (!prepare(draft, spec, error) || !convolve_draft_plan(plan, draft, weight, error)) {
        free(draft);
        return false;
    }
    (*plan)->memory = draft;
    return true;
}

bool convolve_layer_predict(const struct convolve_layer_spec *spec, const struct convolve_run *tensors,
                            double *error_bound, struct convolve_error *error)
{
    struct convolve_plan *plan;
    if (!convolve_layer_plan_create(&plan, spec, NULL, error))
        return false;
    size_t bytes = 0;
    void *scratch = NULL;
    const bool ready =
        plan_size_add(&bytes, plan->sizes.scratch_bytes, 1) && (scratch = aligned_alloc(CONVOLVE_ALIGNMENT, bytes));
    if (ready) {
        struct convolve_run run = *tensors;
        run.scratch = scratch;
        *error_bound = plan->method->predict(plan, &run);
    }
    free(scratch);
    convolve_plan_destroy(plan);
    return ready || convolve_fail(error, "overloaded", "", "out of memory");
}
