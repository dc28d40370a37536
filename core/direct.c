/* SPDX-License-Identifier: MIT */
/* The method `direct` as plans see it. Its stages: the kernel is brought into canonical order; the passes make the outputs
 * and look at the input beside; what the values tell is concluded; outputs that this leaves open are looked at, which
 * is seldom any. */
#include "core/direct.h"

#include "core/direct_state.h"
#include "core/layout_math.h"

#include <assert.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { CHUNK_TILES = 16 }; /* chunks of the kernel, or small slices, in a tile */

bool direct_scratch_size(const struct direct_layout *layout, size_t *bytes)
{
    size_t kernel_elements, kernel_chunks, input_chunks;
    *bytes = 0;
    return !__builtin_mul_overflow(layout->kernel_groups, layout->kernel_group_elements, &kernel_elements) &&
           !__builtin_mul_overflow(layout->kernel_groups, layout->kernel_chunks, &kernel_chunks) &&
           !__builtin_mul_overflow(layout->input_groups, layout->input_chunks, &input_chunks) &&
           plan_size_add(bytes, 1, sizeof(struct direct_findings)) &&
           plan_size_add(bytes, kernel_elements, layout->element_bytes) &&
           plan_size_add(bytes, kernel_chunks, sizeof(struct direct_facts)) &&
           plan_size_add(bytes, input_chunks, sizeof(struct direct_facts));
}

struct direct_scratch direct_scratch_parts(const struct direct_layout *layout, void *scratch)
{
    unsigned char *cursor = scratch;
    struct direct_scratch parts;
    parts.findings = plan_scratch_take(&cursor, 1, sizeof *parts.findings);
    parts.values =
        plan_scratch_take(&cursor, layout->kernel_groups * layout->kernel_group_elements, layout->element_bytes);
    parts.kernel_facts =
        plan_scratch_take(&cursor, layout->kernel_groups * layout->kernel_chunks, sizeof *parts.kernel_facts);
    parts.input_facts =
        plan_scratch_take(&cursor, layout->input_groups * layout->input_chunks, sizeof *parts.input_facts);
    return parts;
}

/* ---- Creation --------------------------------------------------------------------------------------------------------- */

static bool direct_accepts(const struct convolve_spec *spec, const struct geometry *geometry,
                           struct convolve_error *error)
{
    (void)spec, (void)geometry, (void)error;
    return true; /* whatever has a geometry */
}

/* The offsets of a pass's taps, in place and in copies. */
static bool state_bytes(const struct direct_layout *layout, size_t *bytes)
{
    size_t offsets;
    *bytes = 0;
    return !__builtin_mul_overflow(layout->pass_taps, (size_t)layout->parts + 1, &offsets) &&
           plan_size_add(bytes, 1, sizeof(struct direct_state)) && plan_size_add(bytes, offsets, sizeof(ptrdiff_t));
}

static bool direct_measure(const struct convolve_spec *spec, const struct geometry *geometry, struct plan_sizes *sizes)
{
    struct direct_layout layout;
    return direct_layout_derive(&layout, spec, geometry) && state_bytes(&layout, &sizes->plan_bytes) &&
           direct_scratch_size(&layout, &sizes->scratch_bytes) &&
           direct_unit_scratch(&layout, &sizes->tile_scratch_bytes);
}

static bool direct_draft(struct convolve_plan *plan, void *room)
{
    struct direct_state *const state = room;
    struct plan_sizes *const sizes = &plan->sizes;
    static_assert(sizeof *state <= PLAN_ROOM_BYTES, "a draft has room for it");
    plan->drafted = state;
    return direct_layout_derive(&state->layout, &plan->spec, &plan->geometry) &&
           state_bytes(&state->layout, &sizes->plan_bytes) &&
           direct_scratch_size(&state->layout, &sizes->scratch_bytes) &&
           direct_unit_scratch(&state->layout, &sizes->tile_scratch_bytes);
}

static void fill_offsets(struct direct_state *state)
{
    const struct direct_layout *layout = &state->layout;
    if (layout->mode == DIRECT_PLAIN)
        return;
    const size_t period = layout->slots;
    for (size_t k = 0; k < layout->pass_taps; k++) {
        size_t at = k % period * layout->slot_cells;
        if (!layout->slot_each_tap)
            at += k * layout->dilation / layout->stride;
        if (layout->mode == DIRECT_PHASES)
            at = 0;
        for (unsigned part = 0; part < layout->parts; part++)
            state->copy_offsets[k * layout->parts + part] = (ptrdiff_t)(at * layout->cell + part * layout->turn_offset);
        if (layout->mode == DIRECT_IN_PLACE)
            state->place_offsets[k] = (ptrdiff_t)(k * layout->dilation * layout->cell);
    }
    /* Neighbours are told apart by NULL: the routines then need no table. */
    if (layout->dilation * layout->cell == 1 || layout->taps == 1)
        state->place_offsets = NULL;
    if (layout->parts == 1 && layout->slots == 1 && layout->cell == 1 && layout->dilation == 1 &&
        !layout->slot_each_tap)
        state->copy_offsets = NULL;
}

/* The state with its layout, and its offsets behind it, as plan_bytes counts them; of a draft both stay in its room where they
 * fit. */
static struct direct_state *state_create(const struct convolve_plan *plan)
{
    struct direct_state *state = plan->drafted;
    if (state && plan->sizes.plan_bytes <= PLAN_ROOM_BYTES)
        return state;
    state = aligned_alloc(CONVOLVE_ALIGNMENT, plan->sizes.plan_bytes);
    if (state && plan->drafted)
        state->layout = ((const struct direct_state *)plan->drafted)->layout;
    else if (state)
        direct_layout_derive(&state->layout, &plan->spec, &plan->geometry); /* direct_measure has seen it succeed */
    return state;
}

static bool direct_create(struct convolve_plan *plan, const void *kernel, struct convolve_error *error)
{
    (void)kernel; /* every kernel of the shape is treated alike */
    struct direct_state *const state = state_create(plan);
    if (!state)
        return convolve_fail(error, "overloaded", "", "out of memory");
    unsigned char *cursor = (unsigned char *)state;
    plan_scratch_take(&cursor, 1, sizeof *state);
    state->place_offsets = (ptrdiff_t *)(void *)cursor;
    state->copy_offsets = state->place_offsets + state->layout.pass_taps;
    fill_offsets(state);
    const bool f32 = state->layout.element == DIRECT_F32;
    state->unit_roundoff = f32 ? 0x1p-24 : 0x1p-53;
    state->tiny = f32 ? (double)FLT_TRUE_MIN : DBL_TRUE_MIN;
    state->exact_below = f32 ? 0x1p24 : 0x1p53;
    state->bound = NULL;
    state->maker = NULL;
    plan->state = state;
    return true;
}

static void direct_destroy(struct convolve_plan *plan)
{
    if (plan->state != plan->drafted)
        free(plan->state);
}

/* ---- Stages ----------------------------------------------------------------------------------------------------------- */

/* Stage 0 packs, 1 .. pass_count make outputs, then one concludes and one checks. */
static unsigned direct_stage_count(const struct convolve_plan *plan)
{
    return (unsigned)direct_state(plan)->layout.pass_count + 3;
}

static size_t pass_tiles(const struct direct_layout *layout)
{
    return layout->mode == DIRECT_PLAIN ? layout->plain_tile_count : layout->tile_count;
}

static size_t direct_tile_count(const struct convolve_plan *plan, unsigned stage)
{
    const struct direct_layout *layout = &direct_state(plan)->layout;
    if (stage == 0)
        return (layout->kernel_groups * layout->kernel_chunks + CHUNK_TILES - 1) / CHUNK_TILES;
    if (stage <= layout->pass_count)
        return pass_tiles(layout);
    return stage == layout->pass_count + 1 ? 1 : layout->check_tile_count;
}

static void pack_tile(const struct convolve_plan *plan, const struct convolve_run *run, size_t tile)
{
    const struct direct_layout *layout = &direct_state(plan)->layout;
    const size_t all = layout->kernel_groups * layout->kernel_chunks, first = tile * CHUNK_TILES;
    if (tile == 0)
        *direct_scratch_parts(layout, run->scratch).findings = (struct direct_findings){.first_nonfinite = UINT64_MAX};
    if (tile == 0 && direct_looks_beside(plan))
        direct_clear_facts(plan, run);
    for (size_t chunk = first; chunk < all && chunk < first + CHUNK_TILES; chunk++)
        direct_pack_chunk(plan, run, chunk);
}

/* With the first pass each unit (or plain tile), of `count` of them, looks at its share of the input, which is about what it
 * reads then: reading ahead in order is what fetches it from memory soonest. */
static void scan_share(const struct convolve_plan *plan, const struct convolve_run *run, size_t index, size_t count)
{
    const struct direct_layout *layout = &direct_state(plan)->layout;
    const wide chunks = (wide)layout->input_groups * layout->input_chunks;
    const size_t first = index == 0 ? 0 : (size_t)(chunks * index / count);
    const size_t end = index + 1 == count ? (size_t)chunks : (size_t)(chunks * (index + 1) / count);
    for (size_t chunk = first; chunk < end; chunk++)
        direct_scan_chunk(plan, run, chunk);
}

static void plain_tile(const struct convolve_plan *plan, const struct convolve_run *run, size_t tile)
{
    const struct direct_layout *layout = &direct_state(plan)->layout;
    const size_t all = plan->geometry.output_count, first = tile * layout->plain_outputs;
    for (size_t i = first; i < all && i < first + layout->plain_outputs; i++)
        direct_plain_output(plan, run, i);
}

static void pass_tile(const struct convolve_plan *plan, const struct convolve_run *run, size_t pass, size_t tile,
                      void *tile_scratch)
{
    const struct direct_layout *layout = &direct_state(plan)->layout;
    if (layout->mode == DIRECT_PLAIN) {
        scan_share(plan, run, tile, layout->plain_tile_count);
        plain_tile(plan, run, tile);
        return;
    }
    const size_t first = tile * layout->units_per_tile;
    const bool beside = direct_looks_beside(plan);
    struct simd_facts facts = {0};
    for (size_t unit = first; unit < layout->unit_count && unit < first + layout->units_per_tile; unit++) {
        if (pass == 0 && !beside)
            scan_share(plan, run, unit, layout->unit_count);
        direct_run_unit(plan, run, unit, pass, tile_scratch, beside ? &facts : NULL);
    }
    if (layout->strips && layout->streams)
        plan->routines->stream_end();
    if (beside)
        direct_add_facts(plan, run, &facts);
}

static void check_tile(const struct convolve_plan *plan, const struct convolve_run *run, size_t tile)
{
    const struct direct_layout *layout = &direct_state(plan)->layout;
    const size_t all = plan->geometry.output_count, first = tile * layout->check_outputs;
    const size_t count = all - first < layout->check_outputs ? all - first : layout->check_outputs;
    const struct direct_findings *findings = direct_scratch_parts(layout, run->scratch).findings;
    const bool look = __atomic_load_n(&findings->look_needed, __ATOMIC_RELAXED);
    if (look && !plan->slices)
        direct_look_at(plan, run, first, count);
    for (size_t i = first; look && plan->slices && i < first + count; i++)
        if (direct_makes(plan, i))
            direct_look_at(plan, run, i, 1);
    if (!__atomic_load_n(&findings->check_needed, __ATOMIC_RELAXED))
        return;
    for (size_t i = first; i < first + count; i++)
        direct_check_output(plan, run, i);
}

static void direct_run_tile(const struct convolve_plan *plan, const struct convolve_run *run, unsigned stage,
                            size_t tile, void *tile_scratch)
{
    const struct direct_layout *layout = &direct_state(plan)->layout;
    if (stage == 0) {
        pack_tile(plan, run, tile);
    } else if (stage <= layout->pass_count) {
        pass_tile(plan, run, stage - 1, tile, tile_scratch);
    } else if (stage == layout->pass_count + 1) {
        direct_conclude(plan, run);
    } else {
        check_tile(plan, run, tile);
    }
}

static bool direct_finish(const struct convolve_plan *plan, const struct convolve_run *run,
                          struct convolve_outcome *outcome, struct convolve_error *error)
{
    const struct direct_findings *found = direct_scratch_parts(&direct_state(plan)->layout, run->scratch).findings;
    if (found->overflow)
        return convolve_fail(error, "integer-overflow", "",
                             "an exact output does not fit int64: dtype float64 holds it approximately");
    if (found->whole_zero)
        return convolve_fail(error, "invalid-value", "/missing",
                             "the kernel sums to 0, so the weights beside a hole cannot be scaled to its sum: missing "
                             "must be propagate for such a kernel");
    outcome->nonfinite = found->first_nonfinite != UINT64_MAX;
    outcome->nonfinite_index = outcome->nonfinite ? (size_t)found->first_nonfinite : 0;
    memcpy(&outcome->error_bound, &found->bound, sizeof outcome->error_bound);
    if (outcome->nonfinite || found->empty_windows)
        outcome->error_bound = NAN;
    return true;
}

const struct plan_method direct_method = {
    .id = CONVOLVE_DIRECT,
    .accepts = direct_accepts,
    .measure = direct_measure,
    .draft = direct_draft,
    .create = direct_create,
    .destroy = direct_destroy,
    .stage_count = direct_stage_count,
    .tile_count = direct_tile_count,
    .run_tile = direct_run_tile,
    .finish = direct_finish,
    .predict = direct_predict,
};
