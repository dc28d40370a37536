/* SPDX-License-Identifier: MIT */
/* A layer by `fft`: every plane of its target (one item and channel, or one pair of channels of a weight) is a sum over slices
 * (channels, or items) of correlations of one plane with another, each a filter's request without padding:
 *
 *     conv              the padded input by the taps, with the layer's stride and dilation
 *     transpose, input  y, `stride` apart among zeros, by the taps backwards, with the dilation
 *     weight            the padded input by grad_output, stride and dilation having changed places
 *
 * Filters keep integers exact, NaN and infinity within windows, signs and zeros, and so does a sum of them. A stage adds one
 * slice to every plane, so that no tile takes long. */
#include "core/layer_fft.h"

#include "core/boundary.h"
#include "core/fft_convolve.h"

#include <float.h>
#include <math.h>
#include <string.h>

enum { TERMS_LEAST = 100 }; /* of an output, below which `auto` does not look further */

bool layer_fft_accepts(const struct layer_geometry *geometry, struct convolve_error *error)
{
    return geometry->dtype != CONVOLVE_INT64 ||
           convolve_fail(error, "invalid-value", "/method",
                         "method fft does not compute in int64: use auto or direct, or dtype float64");
}

/* ---- The filters' request ---------------------------------------------------------------------------------------------- */

/* Along one axis: a plane, what it is correlated with, and the result. */
struct lengths {
    size_t plane, factors, result, stride, dilation;
};

static struct lengths lengths_of(const struct layer_state *state, unsigned i)
{
    const struct layer_axis *axis = &state->geometry.axis[i];
    const size_t reach = (axis->kernel - 1) * axis->dilation, padded = (axis->y - 1) * axis->stride + reach + 1;
    const size_t target = state->fold ? padded : axis->x;
    if (layer_reads_y(&state->geometry))
        return (struct lengths){target + reach, axis->kernel, target, 1, axis->dilation};
    if (state->geometry.operation == CONVOLVE_LAYER_BACKWARD_WEIGHT)
        return (struct lengths){padded, axis->y, axis->kernel, axis->dilation, axis->stride};
    return (struct lengths){padded, axis->kernel, axis->y, axis->stride, axis->dilation};
}

/* Leading axes of length 1 are left away. */
static struct convolve_spec filter_spec(const struct layer_state *state)
{
    struct convolve_spec spec = {.operation = CONVOLVE_OP_CORRELATE,
                                 .dtype = state->geometry.dtype,
                                 .padding = {.given = true, .scalar = true, .count = 1},
                                 .method = CONVOLVE_FFT};
    for (unsigned i = LAYER_AXES - state->geometry.spatial; i < LAYER_AXES; i++) {
        const struct lengths lengths = lengths_of(state, i);
        spec.input.size[spec.input.rank++] = lengths.plane;
        spec.kernel.size[spec.kernel.rank++] = lengths.factors;
        spec.stride.value[spec.stride.count++] = lengths.stride;
        spec.dilation.value[spec.dilation.count++] = lengths.dilation;
    }
    spec.stride.given = spec.dilation.given = true;
    return spec;
}

static bool count_elements(struct layer_state *state)
{
    struct layer_fft *const fft = &state->fft;
    fft->plane = fft->factors = fft->result = 1;
    for (unsigned i = 0; i < LAYER_AXES; i++) {
        const struct lengths lengths = lengths_of(state, i);
        if (__builtin_mul_overflow(fft->plane, lengths.plane, &fft->plane) ||
            __builtin_mul_overflow(fft->factors, lengths.factors, &fft->factors) ||
            __builtin_mul_overflow(fft->result, lengths.result, &fft->result))
            return false;
    }
    return true;
}

bool layer_fft_derive(struct layer_state *state)
{
    const struct layer_geometry *geometry = &state->geometry;
    struct layer_fft *const fft = &state->fft;
    struct convolve_draft draft;
    struct convolve_cost cost;
    const struct convolve_spec spec = filter_spec(state);
    if (!count_elements(state) || !convolve_draft_derive(&draft, &cost, &spec, 1, NULL))
        return false;
    fft->sizes = draft.plan.sizes;
    const size_t x = geometry->x.channels, y = geometry->y.channels;
    const bool weight = geometry->operation == CONVOLVE_LAYER_BACKWARD_WEIGHT;
    fft->slices = weight ? geometry->items : layer_reads_y(geometry) ? y : x;
    fft->planes = geometry->groups * (weight ? x * y : geometry->items * (layer_reads_y(geometry) ? x : y));
    fft->used = fft->slices < (size_t)1 << 30;
    layer_pack_nothing(state);
    state->sweep = (struct layer_sweep){0};
    if (!state->fold)
        state->target_values = 0;
    return fft->used;
}

/* Against `direct`, whose planes do best with some steps a nanosecond. As measured, a filter's transforms are an eighth of what it costs
 * here: what keeps its promises, and memory, take the rest. */
bool layer_fft_pays(const struct layer_state *state)
{
    const double steps_each_ns = state->element == LAYER_F32 ? 30 : 18;
    struct convolve_draft draft;
    struct convolve_cost cost;
    const struct convolve_spec spec = filter_spec(state);
    if (state->geometry.terms < TERMS_LEAST || state->channels != 1 || state->rows != state->parts ||
        state->geometry.operation == CONVOLVE_LAYER_BACKWARD_WEIGHT ||
        !convolve_draft_derive(&draft, &cost, &spec, 1, NULL))
        return false;
    const double each = fft_estimate_ns(&spec, &draft.plan.geometry, CONVOLVE_FFT);
    const double planes = (double)state->geometry.items * (double)state->geometry.groups;
    return 8 * each * planes < (double)state->geometry.multiply_adds * state->parts * state->parts / steps_each_ns;
}

bool layer_fft_tile_scratch(const struct layer_state *state, size_t *bytes)
{
    const struct layer_fft *fft = &state->fft;
    const size_t value = state->element_bytes * state->parts;
    return plan_size_add(bytes, fft->plane, value) && plan_size_add(bytes, fft->factors, value) &&
           plan_size_add(bytes, fft->result, value) && plan_size_add(bytes, fft->sizes.scratch_bytes, 1) &&
           plan_size_add(bytes, fft->sizes.tile_scratch_bytes, 1);
}

bool layer_fft_create(struct layer_state *state, struct convolve_error *error)
{
    const struct convolve_spec spec = filter_spec(state);
    return !state->fft.used || convolve_plan_create(&state->fft.plan, &spec, NULL, error);
}

void layer_fft_destroy(struct layer_state *state)
{
    convolve_plan_destroy(state->fft.plan);
}

/* ---- Planes ------------------------------------------------------------------------------------------------------------ */

/* Which values of the three tensors a tile takes. */
struct slice {
    size_t source, factors, target; /* where they begin, in values */
};

static struct slice find_slice(const struct layer_state *state, size_t slice, size_t plane)
{
    const struct layer_geometry *geometry = &state->geometry;
    const struct layer_side *x = &geometry->x, *y = &geometry->y;
    const struct layer_weight *w = &geometry->w;
    if (geometry->operation == CONVOLVE_LAYER_BACKWARD_WEIGHT) {
        const size_t channel = plane % x->channels, row = plane / x->channels;
        const size_t group = row / y->channels;
        return (struct slice){slice * x->item_pitch + (group * x->channels + channel) * x->channel_pitch,
                              slice * y->item_pitch + row * y->channel_pitch, row * w->y_pitch + channel * w->x_pitch};
    }
    const bool reads_y = layer_reads_y(geometry);
    const struct layer_side *from = reads_y ? y : x, *to = reads_y ? x : y;
    const size_t channels = to->channels * geometry->groups, item = plane / channels, all = plane % channels;
    const size_t group = all / to->channels, channel = all % to->channels, summed = group * from->channels + slice;
    return (struct slice){item * from->item_pitch + summed * from->channel_pitch,
                          reads_y ? summed * w->y_pitch + channel * w->x_pitch : all * w->y_pitch + slice * w->x_pitch,
                          item * state->target.item_pitch + all * state->target.channel_pitch};
}

/* The offset of the source's value that stands at a place of the plane; false where a zero does. */
static bool plane_offset(const struct layer_state *state, unsigned i, size_t place, size_t *offset)
{
    const struct layer_geometry *geometry = &state->geometry;
    const struct layer_axis *axis = &geometry->axis[i];
    if (layer_reads_y(geometry)) {
        const int64_t before = state->fold ? 0 : axis->before, reach = (int64_t)((axis->kernel - 1) * axis->dilation);
        const int64_t cell = (int64_t)place - (reach - before), stride = (int64_t)axis->stride;
        if (cell < 0 || cell % stride || cell / stride >= (int64_t)axis->y)
            return false;
        *offset = (size_t)(cell / stride) * geometry->y.axis_pitch[i];
        return true;
    }
    const size_t index = boundary_index(geometry->boundary, (int64_t)place - axis->before, axis->x);
    if (index == BOUNDARY_NONE)
        return false;
    *offset = index * geometry->x.axis_pitch[i];
    return true;
}

static void copy_plane(const struct layer_state *state, unsigned char *out, const unsigned char *source)
{
    const size_t value = state->element_bytes * state->parts;
    size_t lengths[LAYER_AXES], offset[LAYER_AXES];
    for (unsigned i = 0; i < LAYER_AXES; i++)
        lengths[i] = lengths_of(state, i).plane;
    for (size_t z = 0; z < lengths[0]; z++)
        for (size_t y = 0; y < lengths[1]; y++) {
            const bool inside = plane_offset(state, 0, z, &offset[0]) && plane_offset(state, 1, y, &offset[1]);
            for (size_t x = 0; x < lengths[2]; x++, out += value) {
                if (inside && plane_offset(state, 2, x, &offset[2]))
                    memcpy(out, source + (offset[0] + offset[1] + offset[2]) * value, value);
                else
                    memset(out, 0, value);
            }
        }
}

/* Taps, backwards where y is read, or gradients. Complex ones conjugated, which correlation undoes. */
static void copy_factors(const struct layer_state *state, unsigned char *out, const unsigned char *from)
{
    const struct layer_geometry *geometry = &state->geometry;
    const bool weight = geometry->operation == CONVOLVE_LAYER_BACKWARD_WEIGHT, backwards = layer_reads_y(geometry);
    const size_t value = state->element_bytes * state->parts,
                 *pitch = weight ? geometry->y.axis_pitch : geometry->w.axis_pitch;
    size_t lengths[LAYER_AXES], at[LAYER_AXES];
    for (unsigned i = 0; i < LAYER_AXES; i++)
        lengths[i] = lengths_of(state, i).factors;
    for (at[0] = 0; at[0] < lengths[0]; at[0]++)
        for (at[1] = 0; at[1] < lengths[1]; at[1]++)
            for (at[2] = 0; at[2] < lengths[2]; at[2]++, out += value) {
                size_t offset = 0;
                for (unsigned i = 0; i < LAYER_AXES; i++)
                    offset += (backwards ? lengths[i] - 1 - at[i] : at[i]) * pitch[i];
                memcpy(out, from + offset * value, value);
                if (state->parts == 2 && state->element == LAYER_F32)
                    ((float *)(void *)out)[1] = -((float *)(void *)out)[1];
                else if (state->parts == 2)
                    ((double *)(void *)out)[1] = -((double *)(void *)out)[1];
            }
}

/* Sets or adds one value, then the bias. */
#define DEFINE_ADD(type, suffix)                                                                                       \
    static void add_##suffix(type *to, const type *value, bool first, const type *bias, unsigned parts)                \
    {                                                                                                                  \
        for (unsigned part = 0; part < parts; part++) {                                                                \
            const type sum = first ? value[part] : to[part] + value[part];                                             \
            to[part] = bias ? sum + bias[part] : sum;                                                                  \
        }                                                                                                              \
    }
DEFINE_ADD(float, f32)
DEFINE_ADD(double, f64)
#undef DEFINE_ADD

static void add_result(const struct convolve_plan *plan, const struct convolve_run *run, size_t target,
                       const unsigned char *result, bool first, bool last, const unsigned char *bias)
{
    const struct layer_state *state = layer_state(plan);
    const bool weight = state->geometry.operation == CONVOLVE_LAYER_BACKWARD_WEIGHT;
    const size_t value = state->element_bytes * state->parts;
    const size_t *const pitch = weight ? state->geometry.w.axis_pitch : state->target.axis_pitch;
    unsigned char *const out =
        state->fold ? (unsigned char *)layer_scratch_parts(state, run->scratch).target : (unsigned char *)run->output;
    size_t lengths[LAYER_AXES];
    for (unsigned i = 0; i < LAYER_AXES; i++)
        lengths[i] = lengths_of(state, i).result;
    for (size_t z = 0; z < lengths[0]; z++)
        for (size_t y = 0; y < lengths[1]; y++)
            for (size_t x = 0; x < lengths[2]; x++, result += value) {
                const size_t at = target + z * pitch[0] + y * pitch[1] + x * pitch[2];
                if (state->element == LAYER_F32)
                    add_f32((float *)(void *)(out + at * value), (const float *)(const void *)result, first,
                            (const float *)(const void *)bias, state->parts);
                else
                    add_f64((double *)(void *)(out + at * value), (const double *)(const void *)result, first,
                            (const double *)(const void *)bias, state->parts);
                if (last && !state->fold)
                    layer_look_at(plan, run, at, 1);
            }
}

void layer_fft_tile(const struct convolve_plan *plan, const struct convolve_run *run, size_t slice, size_t tile,
                    void *tile_scratch)
{
    const struct layer_state *state = layer_state(plan);
    const struct layer_fft *fft = &state->fft;
    const size_t value = state->element_bytes * state->parts;
    const struct slice found = find_slice(state, slice, tile);
    const bool last = slice + 1 == fft->slices;
    double *const bounds = layer_scratch_parts(state, run->scratch).plane_bounds;
    unsigned char *cursor = tile_scratch;
    unsigned char *const plane = plan_scratch_take(&cursor, fft->plane, value);
    unsigned char *const factors = plan_scratch_take(&cursor, fft->factors, value);
    unsigned char *const result = plan_scratch_take(&cursor, fft->result, value);
    const struct convolve_run filter = {.input = plane,
                                        .kernel = factors,
                                        .output = result,
                                        .scratch = plan_scratch_take(&cursor, fft->sizes.scratch_bytes, 1)};
    copy_plane(state, plane, (const unsigned char *)layer_source(state, run) + found.source * value);
    copy_factors(state, factors, (const unsigned char *)layer_factors(state, run) + found.factors * value);
    for (unsigned stage = 0; stage < convolve_plan_stage_count(fft->plan); stage++)
        for (size_t i = 0, count = convolve_plan_tile_count(fft->plan, stage); i < count; i++)
            convolve_plan_run_tile(fft->plan, &filter, stage, i, cursor);
    struct convolve_outcome outcome = {.error_bound = NAN};
    convolve_plan_finish(fft->plan, &filter, &outcome, NULL);
    bounds[tile] = (slice ? bounds[tile] : 0) + (isnan(outcome.error_bound) ? INFINITY : outcome.error_bound);
    const size_t channels = state->row_channels * state->geometry.groups;
    const unsigned char *const bias =
        last && run->bias ? (const unsigned char *)run->bias + tile % channels * value : NULL;
    add_result(plan, run, found.target, result, slice == 0, last, bias);
}

/* Every slice is off by its filter's bound, and adding up rounds once for each slice, for each folded cell and for the bias. */
double layer_fft_bound(const struct layer_state *state, const struct layer_scratch *scratch)
{
    const struct layer_findings *found = scratch->findings;
    double most = 0;
    for (size_t plane = 0; plane < state->fft.planes; plane++)
        most = fmax(most, scratch->plane_bounds[plane]);
    const double folds = (double)state->fold_most, terms = (double)state->geometry.terms * state->parts * folds;
    const double absolute = terms * found->source.largest * found->weight.largest + found->bias.largest + folds * most;
    const double steps = (double)state->fft.slices + folds + 1;
    const double bound =
        folds * most + (absolute == 0 ? 0 : 1.5 * expm1(steps * state->unit_roundoff) * absolute) + steps * state->tiny;
    return bound < DBL_MAX ? bound * (1 + 0x1p-40) : DBL_MAX;
}
