/* SPDX-License-Identifier: MIT */
/* What the values tell about a layer's outputs: whether integers are exact, and how far floats may be off.
 *
 * As in direct_facts.c a chain of n fused multiply-adds, then additions, of terms whose absolute values sum to A ends within
 * expm1(n*u)*A + n*tiny*exp(n*u) of the exact sum, n counting every step; and, the result being finite, within
 * n*(u*max + tiny). Here A is taken as (number of terms) * (largest input) * (largest weight) + (largest bias), over the
 * whole request. Where all values are integers and A < 2^53 (2^24) nothing rounds; where A is larger each output is judged
 * by its own sum. int64 results are made modulo 2^64 and are right where A < 2^62; else they are made again, exactly. */
#include "core/layer_explain.h"
#include "core/layer_state.h"
#include "core/layer_winograd.h"

#include <float.h>
#include <math.h>
#include <string.h>

/* Counted in values; lanes that have no row as well. */
static bool packed_values(const struct layer_state *state, size_t *values)
{
    if (state->sweep.by_cross) {
        *values = state->sweep.packed;
        return true;
    }
    *values = state->plain || state->sweep.by_lanes || state->fft.used || state->planes.used || state->packs_late
                  ? 0
                  : state->weight_values;
    return !state->outer || !__builtin_mul_overflow(*values / state->rows, state->packed_rows, values);
}

static size_t gathered_count(const struct layer_state *state)
{
    return state->planes.tiles + (layer_units_look(state) ? state->unit_count : 0) +
           (state->sweep.gathers ? state->sweep.looked[0] + state->sweep.looked[1] : 0);
}

bool layer_scratch_size(const struct layer_state *state, size_t *bytes)
{
    size_t packed;
    *bytes = 0;
    return packed_values(state, &packed) && plan_size_add(bytes, 1, sizeof(struct layer_findings)) &&
           plan_size_add(bytes, state->source_chunks, sizeof(struct layer_facts)) &&
           plan_size_add(bytes, state->weight_chunks, sizeof(struct layer_facts)) &&
           plan_size_add(bytes, state->bias_chunks, sizeof(struct layer_facts)) &&
           plan_size_add(bytes, gathered_count(state), sizeof(struct layer_facts)) &&
           plan_size_add(bytes, packed, state->parts * state->element_bytes) &&
           plan_size_add(bytes, state->target_values, state->parts * state->element_bytes) &&
           plan_size_add(bytes, state->sweep.copied, state->element_bytes) &&
           plan_size_add(bytes, state->fft.planes, sizeof(double)) &&
           (!state->winograd.m || layer_winograd_scratch(state, bytes));
}

struct layer_scratch layer_scratch_parts(const struct layer_state *state, void *scratch)
{
    unsigned char *cursor = scratch;
    struct layer_scratch parts = {0};
    size_t packed;
    packed_values(state, &packed); /* has been counted */
    parts.findings = plan_scratch_take(&cursor, 1, sizeof *parts.findings);
    parts.source = plan_scratch_take(&cursor, state->source_chunks, sizeof *parts.source);
    parts.weight = plan_scratch_take(&cursor, state->weight_chunks, sizeof *parts.weight);
    parts.bias = plan_scratch_take(&cursor, state->bias_chunks, sizeof *parts.bias);
    parts.gathered = plan_scratch_take(&cursor, gathered_count(state), sizeof *parts.gathered);
    parts.packed = plan_scratch_take(&cursor, packed, state->parts * state->element_bytes);
    parts.target = plan_scratch_take(&cursor, state->target_values, state->parts * state->element_bytes);
    parts.copied = plan_scratch_take(&cursor, state->sweep.copied, state->element_bytes);
    parts.plane_bounds = plan_scratch_take(&cursor, state->fft.planes, sizeof *parts.plane_bounds);
    if (state->winograd.m)
        layer_winograd_parts(state, cursor, &parts);
    return parts;
}

const void *layer_source(const struct layer_state *state, const struct convolve_run *run)
{
    return state->geometry.operation == CONVOLVE_LAYER_BACKWARD_INPUT ? run->grad_output : run->input;
}

const void *layer_factors(const struct layer_state *state, const struct convolve_run *run)
{
    return state->geometry.operation == CONVOLVE_LAYER_BACKWARD_WEIGHT ? run->grad_output : run->kernel;
}

/* ---- Gathering -------------------------------------------------------------------------------------------------------- */

void layer_look(const struct convolve_plan *plan, const void *values, size_t count, struct layer_facts *facts)
{
    struct simd_facts found = {facts->largest, facts->fractional, facts->nonfinite};
    uint64_t integer = 0;
    switch (layer_state(plan)->element) {
    case LAYER_F32:
        plan->routines->scan_f32(&found, values, count);
        break;
    case LAYER_F64:
        plan->routines->scan_f64(&found, values, count);
        break;
    case LAYER_U64:
        integer = plan->routines->largest_i64(values, count);
        break;
    }
    *facts = (struct layer_facts){.largest = found.largest,
                                  .integer = integer > facts->integer ? integer : facts->integer,
                                  .fractional = found.fractional,
                                  .nonfinite = found.nonfinite};
}

static struct layer_facts scan_chunk(const struct convolve_plan *plan, const void *values, size_t count, size_t chunk)
{
    const size_t first = chunk * LAYER_CHUNK;
    struct layer_facts facts = {0};
    layer_look(plan, (const unsigned char *)values + first * layer_state(plan)->element_bytes,
               layer_least(LAYER_CHUNK, count - first), &facts);
    return facts;
}

void layer_scan_tile(const struct convolve_plan *plan, const struct convolve_run *run, size_t first, size_t tile)
{
    const struct layer_state *state = layer_state(plan);
    const struct layer_scratch scratch = layer_scratch_parts(state, run->scratch);
    const size_t weights = state->pack_looks ? 0 : state->weight_chunks;
    const size_t all = state->source_chunks + weights + state->bias_chunks;
    first += tile * 16;
    for (size_t i = first; i < all && i < first + 16; i++) {
        size_t chunk = i;
        if (chunk < state->source_chunks) {
            scratch.source[chunk] = scan_chunk(plan, layer_source(state, run), state->source_values, chunk);
        } else if ((chunk -= state->source_chunks) < weights) {
            scratch.weight[chunk] = scan_chunk(plan, layer_factors(state, run), state->weight_values, chunk);
        } else {
            chunk -= weights;
            scratch.bias[chunk] = scan_chunk(plan, run->bias, state->bias_values, chunk);
        }
    }
}

static struct layer_facts join(const struct layer_facts *facts, size_t count)
{
    struct layer_facts all = {0};
    for (size_t i = 0; i < count; i++) {
        all.largest = fmax(all.largest, facts[i].largest);
        all.integer = all.integer > facts[i].integer ? all.integer : facts[i].integer;
        all.fractional |= facts[i].fractional;
        all.nonfinite |= facts[i].nonfinite;
    }
    return all;
}

/* ---- Concluding ------------------------------------------------------------------------------------------------------- */

static double bound_of(const struct layer_state *state, double steps, double absolute)
{
    const double u = state->unit_roundoff, most = state->element == LAYER_F32 ? (double)FLT_MAX : DBL_MAX;
    const double by_terms = (absolute == 0 ? 0 : expm1(steps * u) * absolute) + steps * state->tiny * exp(steps * u);
    const double by_range = steps * u * most + steps * state->tiny;
    const double part = (by_terms < by_range ? by_terms : by_range) * (1 + 0x1p-40);
    const double bound = state->parts == 2 ? part * 1.4142135623730952 : part;
    return bound < DBL_MAX ? bound : DBL_MAX;
}

void layer_begin(const struct convolve_plan *plan, const struct convolve_run *run)
{
    *layer_scratch_parts(layer_state(plan), run->scratch).findings =
        (struct layer_findings){.first_nonfinite = UINT64_MAX};
}

void layer_conclude(const struct convolve_plan *plan, const struct convolve_run *run, bool gathered)
{
    const struct layer_state *state = layer_state(plan);
    const struct layer_scratch scratch = layer_scratch_parts(state, run->scratch);
    struct layer_findings *const found = scratch.findings;
    const size_t *const looked = state->sweep.looked;
    found->source = gathered ? join(scratch.gathered, gathered_count(state) - looked[1])
                             : join(scratch.source, state->source_chunks);
    found->weight = gathered && state->sweep.gathers ? join(scratch.gathered + looked[0], looked[1])
                                                     : join(scratch.weight, state->weight_chunks);
    found->bias = join(scratch.bias, state->bias_chunks);
    if (state->winograd.m)
        layer_winograd_facts(state, &scratch, found);
    const double terms = (double)state->geometry.terms * state->parts * (double)state->fold_most;
    if (state->element == LAYER_U64) {
        const double sum = terms * (double)found->source.integer * (double)found->weight.integer;
        found->check = !(sum + (double)found->bias.integer < 0x1p62);
        return;
    }
    const bool integral = !found->source.fractional && !found->weight.fractional && !found->bias.fractional &&
                          !found->source.nonfinite && !found->weight.nonfinite && !found->bias.nonfinite;
    const double products = found->source.largest == 0 || found->weight.largest == 0
                                ? 0
                                : terms * found->source.largest * found->weight.largest;
    const double absolute = (products + found->bias.largest) * (1 + 0x1p-50);
    if (integral && absolute < state->exact_below)
        return;
    found->bound = bound_of(state, terms + 1 + (double)state->fold_most, absolute);
    found->check = integral;
}

/* ---- Outputs ---------------------------------------------------------------------------------------------------------- */

void layer_look_at(const struct convolve_plan *plan, const struct convolve_run *run, size_t index, size_t count)
{
    const struct layer_state *state = layer_state(plan);
    const size_t begin = index * state->parts, elements = count * state->parts;
    if (state->element == LAYER_F32 ? plan->routines->finite_f32((const float *)run->output + begin, elements)
                                    : plan->routines->finite_f64((const double *)run->output + begin, elements))
        return;
    uint64_t *const first = &layer_scratch_parts(state, run->scratch).findings->first_nonfinite;
    for (size_t i = begin; i < begin + elements; i++) {
        if (state->element == LAYER_F32 ? isfinite(((const float *)run->output)[i])
                                        : isfinite(((const double *)run->output)[i]))
            continue;
        const uint64_t at = i / state->parts;
        uint64_t seen = __atomic_load_n(first, __ATOMIC_RELAXED);
        while (seen > at && !__atomic_compare_exchange_n(first, &seen, at, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
            ;
        return;
    }
}

static void store_value(const struct layer_state *state, void *output, size_t index, const struct layer_value *made)
{
    const struct convolve_scalar value = made->value;
    switch (state->geometry.dtype) {
    case CONVOLVE_INT64:
        ((int64_t *)output)[index] = value.integer;
        break;
    case CONVOLVE_FLOAT64:
        ((double *)output)[index] = value.real;
        break;
    case CONVOLVE_FLOAT32:
        ((float *)output)[index] = (float)value.real;
        break;
    case CONVOLVE_COMPLEX128:
        ((double *)output)[2 * index] = value.real;
        ((double *)output)[2 * index + 1] = value.imag;
        break;
    case CONVOLVE_COMPLEX64:
        ((float *)output)[2 * index] = (float)value.real;
        ((float *)output)[2 * index + 1] = (float)value.imag;
        break;
    }
}

void layer_plain_tile(const struct convolve_plan *plan, const struct convolve_run *run, size_t tile, bool check)
{
    const struct layer_state *state = layer_state(plan);
    struct layer_findings *const found = run->scratch; /* is the first part */
    /* A weight that is not finite would spoil outputs on which only padding of the source meets it. */
    const bool again = check && !state->plain && found->weight.nonfinite && layer_reads_y(&state->geometry);
    if (check && !found->check && !again)
        return;
    const size_t first = tile * state->plain_outputs, all = state->geometry.output_count;
    const struct layer_item *const items = layer_scratch_parts(state, run->scratch).items;
    const size_t item_outputs = state->gradient.used ? all : all / state->geometry.items;
    for (size_t i = first; i < all && i < first + state->plain_outputs; i++) {
        if (items && !again && !items[i / item_outputs].judged)
            continue;
        const struct layer_value made = layer_define(&state->geometry, run, i);
        if (made.overflow)
            __atomic_store_n(&found->overflow, 1, __ATOMIC_RELAXED);
        if (!check || again || state->element == LAYER_U64)
            store_value(state, run->output, i, &made);
        if (check && made.absolute >= state->exact_below)
            __atomic_store_n(&found->checked_bound, 1, __ATOMIC_RELAXED);
    }
    if ((!check || again) && state->element != LAYER_U64)
        layer_look_at(plan, run, first, layer_least(state->plain_outputs, all - first));
}
