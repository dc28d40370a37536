/* SPDX-License-Identifier: MIT */
/* The method `separable` as plans see it. What the values of input and kernel tell is gathered by an inner plan of direct, which
 * only lacks the passes: its stages run around the one that makes the outputs. Where some slices are not separable another
 * inner plan makes those first. With fewer than two axes that have taps, direct's pass is the one pass there is. */
#include "core/separable.h"

#include "core/direct_state.h"
#include "core/layout_math.h"
#include "core/separable_state.h"

#include <math.h>
#include <string.h>

/* ---- Stages ----------------------------------------------------------------------------------------------------------- */

enum stage { STAGE_PACK, STAGE_PASSES, STAGE_CONCLUDE, STAGE_CHECK, STAGE_COUNT };

static bool is_alone(const struct separable_state *state)
{
    return state->layout.axis_count == 0;
}

static unsigned rest_stages(const struct separable_state *state)
{
    return state->rest.method ? state->rest.method->stage_count(&state->rest) : 0;
}

static struct convolve_run rest_run(const struct separable_state *state, const struct convolve_run *run)
{
    struct convolve_run inner = *run;
    unsigned char *cursor = run->scratch;
    plan_scratch_take(&cursor, state->facts.sizes.scratch_bytes, 1);
    plan_scratch_take(&cursor, 1, sizeof(struct separable_findings));
    inner.scratch = cursor;
    return inner;
}

static struct separable_findings *findings_of(const struct separable_state *state, const struct convolve_run *run)
{
    unsigned char *cursor = run->scratch;
    plan_scratch_take(&cursor, state->facts.sizes.scratch_bytes, 1);
    return plan_scratch_take(&cursor, 1, sizeof(struct separable_findings));
}

static unsigned separable_stage_count(const struct convolve_plan *plan)
{
    const struct separable_state *const state = separable_state(plan);
    return is_alone(state) ? state->facts.method->stage_count(&state->facts) : rest_stages(state) + STAGE_COUNT;
}

static size_t separable_tile_count(const struct convolve_plan *plan, unsigned stage)
{
    const struct separable_state *const state = separable_state(plan);
    const unsigned before = rest_stages(state);
    if (is_alone(state))
        return state->facts.method->tile_count(&state->facts, stage);
    if (stage < before)
        return state->rest.method->tile_count(&state->rest, stage);
    switch ((enum stage)(stage - before)) {
    case STAGE_PACK:
        return state->facts.method->tile_count(&state->facts, 0);
    case STAGE_PASSES:
        return state->layout.tile_count;
    case STAGE_CHECK:
        return direct_state(&state->facts)->layout.check_tile_count;
    default:
        return 1;
    }
}

/* Before each unit its share of the input is looked at, which is about what it reads then: reading ahead in order is what
 * fetches it from memory soonest. */
static void scan_share(const struct separable_state *state, const struct convolve_run *run, size_t unit)
{
    const struct direct_layout *layout = &direct_state(&state->facts)->layout;
    const wide chunks = (wide)layout->input_groups * layout->input_chunks, units = state->layout.unit_count;
    const size_t first = (size_t)(chunks * unit / units), end = (size_t)(chunks * (unit + 1) / units);
    for (size_t chunk = first; chunk < end; chunk++)
        direct_scan_chunk(&state->facts, run, chunk);
}

static void passes_tile(const struct convolve_plan *plan, const struct convolve_run *run, size_t tile,
                        void *tile_scratch)
{
    const struct separable_state *const state = separable_state(plan);
    const struct separable_layout *const layout = &state->layout;
    const size_t first = tile * layout->units_per_tile;
    for (size_t unit = first; unit < layout->unit_count && unit < first + layout->units_per_tile; unit++) {
        scan_share(state, run, unit);
        separable_run_unit(plan, run, unit, tile_scratch);
    }
}

static bool all_finite(const struct convolve_plan *plan, const struct separable_layout *layout, const void *value)
{
    return layout->element == DIRECT_F32 ? plan->routines->finite_f32(value, layout->parts)
                                         : plan->routines->finite_f64(value, layout->parts);
}

static void conclude(const struct convolve_plan *plan, const struct convolve_run *run)
{
    const struct separable_state *const state = separable_state(plan);
    const struct direct_layout *const layout = &direct_state(&state->facts)->layout;
    const struct direct_scratch scratch = direct_scratch_parts(layout, run->scratch);
    struct separable_findings *const findings = findings_of(state, run);
    direct_conclude(&state->facts, run);
    findings->recheck = 0;
    for (size_t group = 0; group < layout->input_groups; group++)
        findings->recheck |= scratch.input_facts[group * layout->input_chunks].largest > state->largest;
    if (findings->recheck)
        direct_note(&scratch.findings->look_needed);
}

/* An output that is not finite is made again as direct makes it, which overflows less often. Where nothing overflows the window
 * has a NaN or an infinity, and direct's output is not finite either: then this one stays. */
static void recheck_output(const struct convolve_plan *plan, const struct convolve_run *run, size_t index)
{
    const struct separable_state *const state = separable_state(plan);
    const struct separable_layout *const layout = &state->layout;
    const size_t bytes = layout->element_bytes * layout->parts;
    unsigned char *const output = (unsigned char *)run->output + index * bytes;
    unsigned char before[16];
    memcpy(before, output, bytes);
    if (!direct_makes(&state->facts, index) || all_finite(plan, layout, output))
        return;
    direct_plain_output(&state->facts, run, index);
    if (!all_finite(plan, layout, output))
        memcpy(output, before, bytes);
}

static void check_tile(const struct convolve_plan *plan, const struct convolve_run *run, size_t tile)
{
    const struct separable_state *const state = separable_state(plan);
    const struct direct_layout *const layout = &direct_state(&state->facts)->layout;
    const unsigned check = state->facts.method->stage_count(&state->facts) - 1;
    const size_t first = tile * layout->check_outputs;
    const size_t end = first + least(layout->check_outputs, plan->geometry.output_count - first);
    if (findings_of(state, run)->recheck && layout->element != DIRECT_U64)
        for (size_t i = first; i < end; i++)
            recheck_output(plan, run, i);
    state->facts.method->run_tile(&state->facts, run, check, tile, NULL);
}

static void separable_run_tile(const struct convolve_plan *plan, const struct convolve_run *run, unsigned stage,
                               size_t tile, void *tile_scratch)
{
    const struct separable_state *const state = separable_state(plan);
    const unsigned before = rest_stages(state);
    if (is_alone(state)) {
        state->facts.method->run_tile(&state->facts, run, stage, tile, tile_scratch);
        return;
    }
    if (stage < before) {
        const struct convolve_run inner = rest_run(state, run);
        state->rest.method->run_tile(&state->rest, &inner, stage, tile, tile_scratch);
        return;
    }
    switch ((enum stage)(stage - before)) {
    case STAGE_PACK:
        state->facts.method->run_tile(&state->facts, run, 0, tile, tile_scratch);
        break;
    case STAGE_PASSES:
        passes_tile(plan, run, tile, tile_scratch);
        break;
    case STAGE_CONCLUDE:
        conclude(plan, run);
        break;
    default:
        check_tile(plan, run, tile);
    }
}

/* ---- What came out ---------------------------------------------------------------------------------------------------- */

static bool separable_finish(const struct convolve_plan *plan, const struct convolve_run *run,
                             struct convolve_outcome *outcome, struct convolve_error *error)
{
    const struct separable_state *const state = separable_state(plan);
    if (!state->facts.method->finish(&state->facts, run, outcome, error))
        return false;
    if (!state->rest.method)
        return true;
    const struct convolve_run inner = rest_run(state, run);
    struct convolve_outcome rest = {0};
    if (!state->rest.method->finish(&state->rest, &inner, &rest, error))
        return false;
    if (rest.nonfinite && (!outcome->nonfinite || rest.nonfinite_index < outcome->nonfinite_index))
        outcome->nonfinite_index = rest.nonfinite_index;
    outcome->nonfinite |= rest.nonfinite;
    /* NaN wins. */
    if (!(rest.error_bound <= outcome->error_bound) && !isnan(outcome->error_bound))
        outcome->error_bound = rest.error_bound;
    return true;
}

static double separable_predict(const struct convolve_plan *plan, const struct convolve_run *run)
{
    const struct separable_state *const state = separable_state(plan);
    const double bound = state->facts.method->predict(&state->facts, run);
    if (!state->rest.method)
        return bound;
    const struct convolve_run inner = rest_run(state, run);
    const double rest = state->rest.method->predict ? state->rest.method->predict(&state->rest, &inner) : (double)NAN;
    return isnan(bound) || isnan(rest) ? (double)NAN : fmax(bound, rest);
}

const struct plan_method separable_method = {
    .id = CONVOLVE_SEPARABLE,
    .accepts = separable_accepts,
    .measure = separable_measure,
    .create = separable_create,
    .destroy = separable_destroy,
    .stage_count = separable_stage_count,
    .tile_count = separable_tile_count,
    .run_tile = separable_run_tile,
    .finish = separable_finish,
    .predict = separable_predict,
};
