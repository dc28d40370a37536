/* SPDX-License-Identifier: MIT */
/* Making a plan of separable: what it needs, the factors of each slice of the kernel, and the inner plans.
 *
 * How far an output may be off. Pass i multiplies by factor f_i, in chains of N_i steps (a complex factor takes two chains of
 * n taps and a sum: 2n covers it). Let F_i be the sum of |f_i|, u the unit roundoff, B_i what bounds the computed values after
 * pass i and E_i their distance from the exact passes over exact values; B_0 = M, the largest input, E_0 = 0. As for direct,
 * a chain over values up to B is within ((1+u)^N - 1)*F*B + N*tiny*(1+u)^N of its exact sum. The exact sum over computed values
 * differs from that over exact ones by no more than F*E. So
 *
 *     E_i <= F_i*E_(i-1) + expm1(N_i*u)*F_i*B_(i-1) + N_i*tiny*exp(N_i*u)
 *     B_i <= exp(N_i*u)*(F_i*B_(i-1) + N_i*tiny)
 *
 * The product of the factors misses the kernel by no more than `missing` in sum, which costs M*missing: the bound is
 * E_m + M*missing, of complex values sqrt(2) times that, since each part is so close. */
#include "core/separable.h"

#include "core/choose.h"
#include "core/direct.h"
#include "core/direct_state.h"
#include "core/layout_math.h"
#include "core/separable_state.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define SLACK (1 + 0x1p-40)

/* ---- The bound -------------------------------------------------------------------------------------------------------- */

/* The products of values first: where those leave the range there is nothing to tell, where they are lost `tiny` covers them. */
static double separable_bound(const void *maker, size_t slice, double largest)
{
    const struct separable_state *const state = maker;
    const struct separable_layout *const layout = &state->layout;
    const struct factors *const factors = &state->factors[slice];
    const double u = direct_state(&state->facts)->unit_roundoff, tiny = direct_state(&state->facts)->tiny;
    double error = 0, values = largest;
    for (unsigned i = 0; i < layout->axis_count; i++) {
        const double n = (double)layout->axis[i].taps * (factors->complex[i] ? 2 : 1), sum = factors->sum[i];
        error = sum * error + expm1(n * u) * (sum * values) + n * tiny * exp(n * u);
        values = exp(n * u) * (sum * values + n * tiny);
    }
    const double missing = (double)((long double)largest * factors->missing);
    const double bound = (error + missing) * SLACK * (layout->parts == 2 ? 1.4142135623730952 : 1);
    return bound < DBL_MAX ? bound : DBL_MAX;
}

/* Whether the bound keeps max_error wherever direct's does, whatever the input. Both are straight lines over its largest value.
 * That of separable is lower by 2^-19 where the sum of products is 1, and what it is at 0, from denormals on the way, is no more
 * than direct's, or 2^-20 of what is asked for. */
static bool keeps_bound(const struct convolve_plan *plan, const struct separable_state *state, size_t slice)
{
    const struct direct_state *const direct = direct_state(&state->facts);
    const double n = (double)plan->geometry.tap_count * state->layout.parts, u = direct->unit_roundoff;
    const double sum = state->factors[slice].kernel_sum, one = fmin(1 / sum, 0x1p1000);
    const double root = state->layout.parts == 2 ? 1.4142135623730952 : 1, lost = n * direct->tiny * root;
    return separable_bound(state, slice, 0) <= fmax(lost, plan->spec.max_error * 0x1p-20) &&
           separable_bound(state, slice, one) <= expm1(n * u) * (sum * one) * root * (1 - 0x1p-19);
}

/* ---- Creation --------------------------------------------------------------------------------------------------------- */

bool separable_accepts(const struct convolve_spec *spec, const struct geometry *geometry, struct convolve_error *error)
{
    struct separable_layout layout;
    if (geometry->exchanged)
        return convolve_fail(error, "invalid-value", "/method",
                             "input and kernel have changed places, where only method direct can do it");
    if (separable_axis_count(geometry) >= 2 && !separable_layout_derive(&layout, spec, geometry))
        return convolve_fail(error, "invalid-value", "/method",
                             "the kernel is too long for separable passes: try method direct or fft");
    return true;
}

static const struct plan_method *rest_method(const struct convolve_spec *spec, const struct geometry *geometry)
{
    return plan_method_find(choose(spec, geometry).method);
}

/* The arrays that follow the state, and the state itself. */
static bool state_bytes(const struct separable_layout *layout, size_t *bytes)
{
    size_t values;
    *bytes = 0;
    return !__builtin_mul_overflow(layout->factor_taps, layout->parts, &values) &&
           !__builtin_mul_overflow(values, layout->kernel_groups, &values) &&
           plan_size_add(bytes, 1, sizeof(struct separable_state)) &&
           plan_size_add(bytes, layout->kernel_groups, sizeof(bool)) &&
           plan_size_add(bytes, layout->kernel_groups, sizeof(bool)) &&
           plan_size_add(bytes, layout->kernel_groups, sizeof(struct factors)) &&
           plan_size_add(bytes, layout->chunk_taps, sizeof(ptrdiff_t)) &&
           plan_size_add(bytes, values, layout->element_bytes);
}

bool separable_measure(const struct convolve_spec *spec, const struct geometry *geometry, struct plan_sizes *sizes)
{
    struct separable_layout layout = {.kernel_groups = 1};
    struct plan_sizes facts, rest = {0};
    const bool alone = separable_axis_count(geometry) < 2;
    if (!direct_method.measure(spec, geometry, &facts) || (!alone && !separable_layout_derive(&layout, spec, geometry)))
        return false;
    if (!alone && layout.kernel_groups > 1 && spec->method == CONVOLVE_AUTO &&
        !rest_method(spec, geometry)->measure(spec, geometry, &rest))
        return false;
    size_t unit = 0;
    *sizes = (struct plan_sizes){0};
    if (!state_bytes(&layout, &sizes->plan_bytes) || (!alone && !separable_unit_scratch(&layout, &unit)))
        return false;
    sizes->tile_scratch_bytes = most(most(facts.tile_scratch_bytes, rest.tile_scratch_bytes), unit);
    return plan_size_add(&sizes->plan_bytes, facts.plan_bytes, 1) &&
           plan_size_add(&sizes->plan_bytes, rest.plan_bytes, 1) &&
           plan_size_add(&sizes->scratch_bytes, facts.scratch_bytes, 1) &&
           plan_size_add(&sizes->scratch_bytes, 1, sizeof(struct separable_findings)) &&
           plan_size_add(&sizes->scratch_bytes, rest.scratch_bytes, 1);
}

/* An inner plan for the same request, by another method. */
static bool create_inner(struct convolve_plan *inner, const struct convolve_plan *plan,
                         const struct plan_method *method, const void *kernel, struct convolve_error *error)
{
    *inner = *plan;
    inner->spec.method = method->id;
    inner->sizes = (struct plan_sizes){0};
    inner->state = NULL;
    method->measure(&inner->spec, &inner->geometry, &inner->sizes); /* separable_measure has seen it succeed */
    inner->method = method;
    if (method->create(inner, kernel, error))
        return true;
    inner->method = NULL;
    return false;
}

void separable_destroy(struct convolve_plan *plan)
{
    struct separable_state *const state = plan->state;
    if (state->facts.method)
        state->facts.method->destroy(&state->facts);
    if (state->rest.method)
        state->rest.method->destroy(&state->rest);
    free(state);
}

static void place_arrays(struct separable_state *state)
{
    const struct separable_layout *layout = &state->layout;
    unsigned char *cursor = (unsigned char *)state;
    plan_scratch_take(&cursor, 1, sizeof *state);
    state->mine = plan_scratch_take(&cursor, layout->kernel_groups, sizeof(bool));
    state->others = plan_scratch_take(&cursor, layout->kernel_groups, sizeof(bool));
    state->factors = plan_scratch_take(&cursor, layout->kernel_groups, sizeof(struct factors));
    state->offsets = plan_scratch_take(&cursor, layout->chunk_taps, sizeof(ptrdiff_t));
    for (size_t slice = 0; slice < layout->kernel_groups; slice++)
        for (unsigned i = 0; i < layout->axis_count; i++) {
            const size_t bytes = layout->axis[i].taps * layout->element_bytes;
            state->factors[slice].real[i] = cursor;
            state->factors[slice].imag[i] = cursor + (layout->parts == 2 ? bytes : 0);
            cursor += bytes * layout->parts;
        }
}

static void fill_offsets(struct separable_state *state)
{
    const struct separable_layout *layout = &state->layout;
    const struct separable_axis *row = &layout->axis[layout->axis_count - 1];
    if (!layout->row_pass || (layout->slots == 0 && row->dilation * layout->cell == 1)) {
        state->offsets = NULL;
        return;
    }
    for (size_t k = 0; k < layout->chunk_taps; k++) {
        size_t at = k * row->dilation;
        if (layout->slots > 0)
            at = k % layout->slots * layout->slot_cells + at / row->stride;
        state->offsets[k] = (ptrdiff_t)(at * layout->cell);
    }
}

static struct factors_slice slice_of(const struct convolve_plan *plan, const void *kernel, size_t slice)
{
    const struct geometry *geometry = &plan->geometry;
    struct factors_slice found = {.dtype = plan->spec.dtype, .conjugated = geometry->conjugated};
    size_t element = 0, taps_axis = separable_axis_count(geometry);
    found.axis_count = (unsigned)taps_axis;
    for (unsigned i = geometry->rank; i-- > 0;) {
        const struct geometry_axis *axis = &geometry->axis[i];
        if (axis->convolved && axis->kernel > 1) {
            taps_axis--;
            found.taps[taps_axis] = axis->kernel;
            found.pitch[taps_axis] = geometry->flipped ? -(ptrdiff_t)axis->kernel_pitch : (ptrdiff_t)axis->kernel_pitch;
            element += geometry->flipped ? (axis->kernel - 1) * axis->kernel_pitch : 0;
        } else if (!axis->convolved && axis->kernel_pitch != 0) {
            element += slice % axis->kernel * axis->kernel_pitch;
            slice /= axis->kernel;
        }
    }
    found.values = (const unsigned char *)kernel + element * convolve_dtype_bytes(plan->spec.dtype);
    return found;
}

/* Finds the factors of every slice that has some. Returns the number of those; without memory false, and an error. */
static bool find_slices(const struct convolve_plan *plan, struct separable_state *state, const void *kernel,
                        size_t *count, struct convolve_error *error)
{
    const bool choosing = plan->spec.method == CONVOLVE_AUTO && plan->spec.max_error_given;
    size_t bytes, taps[CONVOLVE_RANK_MAX];
    double product_most = 0;
    *count = 0;
    for (unsigned i = 0; i < state->layout.axis_count; i++)
        taps[i] = state->layout.axis[i].taps;
    void *const work = factors_work_bytes(taps, state->layout.axis_count, &bytes) ? malloc(bytes) : NULL;
    if (!work)
        return convolve_fail(error, "overloaded", "", "out of memory");
    for (size_t slice = 0; slice < state->layout.kernel_groups; slice++) {
        const struct factors_slice values = slice_of(plan, kernel, slice);
        struct factors *const factors = &state->factors[slice];
        state->mine[slice] = factors_find(factors, &values, work) && (!choosing || keeps_bound(plan, state, slice));
        state->others[slice] = !state->mine[slice];
        *count += state->mine[slice];
        double product = 1;
        for (unsigned i = 0; i < state->layout.axis_count && state->mine[slice]; i++)
            product *= factors->sum[i];
        product_most = state->mine[slice] ? fmax(product_most, product) : product_most;
    }
    free(work);
    state->largest = (state->layout.element == DIRECT_F32 ? (double)FLT_MAX : DBL_MAX) / 4 / fmax(product_most, 1);
    return true;
}

/* The facts are bounded as the passes are. */
static void take_facts(struct separable_state *state)
{
    struct direct_state *const direct = state->facts.state;
    direct->bound = separable_bound;
    direct->maker = state;
}

static bool fail_slice(const struct separable_state *state, struct convolve_error *error)
{
    size_t slice = 0;
    while (state->mine[slice])
        slice++;
    if (state->layout.kernel_groups == 1)
        return convolve_fail(error, "invalid-value", "/method",
                             "the kernel is not separable: it is no outer product of one factor per axis%s",
                             state->layout.element == DIRECT_U64 ? " of integers below 2^62" : "");
    return convolve_fail(error, "invalid-value", "/method",
                         "slice %zu of the kernel is not separable: it is no outer product of one factor per axis%s",
                         slice, state->layout.element == DIRECT_U64 ? " of integers below 2^62" : "");
}

/* Nothing is separable, and the method was not named: the plan becomes one of another method. */
static bool become(struct convolve_plan *plan, const struct plan_method *method, const void *kernel,
                   struct convolve_error *error)
{
    plan->method = method;
    plan->sizes = (struct plan_sizes){0};
    method->measure(&plan->spec, &plan->geometry, &plan->sizes);
    return method->create(plan, kernel, error);
}

static bool create_passes(struct convolve_plan *plan, struct separable_state *state, const void *kernel, size_t *mine,
                          struct convolve_error *error)
{
    const bool named = plan->spec.method != CONVOLVE_AUTO;
    separable_layout_derive(&state->layout, &plan->spec, &plan->geometry); /* separable_measure has seen it succeed */
    place_arrays(state);
    fill_offsets(state);
    if (!kernel)
        return convolve_fail(error, "invalid-value", "/method",
                             "whether a kernel is separable depends on its values, which are not known");
    if (!find_slices(plan, state, kernel, mine, error))
        return false;
    take_facts(state);
    if (*mine == state->layout.kernel_groups || *mine == 0)
        return !named || *mine > 0 || fail_slice(state, error);
    if (named)
        return fail_slice(state, error);
    if (!create_inner(&state->rest, plan, rest_method(&plan->spec, &plan->geometry), kernel, error))
        return false;
    state->facts.slices = state->mine;
    state->rest.slices = state->others;
    return true;
}

bool separable_create(struct convolve_plan *plan, const void *kernel, struct convolve_error *error)
{
    struct separable_state *const state = aligned_alloc(CONVOLVE_ALIGNMENT, plan->sizes.plan_bytes);
    size_t mine = 1;
    if (!state)
        return convolve_fail(error, "overloaded", "", "out of memory");
    memset(state, 0, plan->sizes.plan_bytes);
    plan->state = state;
    if (!create_inner(&state->facts, plan, &direct_method, kernel, error) ||
        (separable_axis_count(&plan->geometry) >= 2 && !create_passes(plan, state, kernel, &mine, error))) {
        separable_destroy(plan);
        return false;
    }
    if (mine > 0)
        return true;
    separable_destroy(plan);
    return become(plan, rest_method(&plan->spec, &plan->geometry), kernel, error);
}
