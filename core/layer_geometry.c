/* SPDX-License-Identifier: MIT */
/* From a layer's spec to its geometry: lengths along the axes, then the totals and pitches. layer_shapes.c has checked the
 * shapes before. Lengths are compared in 128 bits, so that one that does not fit is told as such however large it is. */
#include "core/layer_geometry.h"

#include "core/error.h"
#include "core/layer_shapes.h"

#include <stdio.h>

/* ---- Lengths ---------------------------------------------------------------------------------------------------------- */

static layer_wide dilated_length(const struct layer_axis *axis)
{
    return (layer_wide)(axis->kernel - 1) * (layer_wide)axis->dilation + 1;
}

static layer_wide half_down(layer_wide value)
{
    return (value - (value & 1)) / 2;
}

/* conv and its gradients: how many windows the padded x holds. */
static bool place_windows(struct layer_axis *axis, const struct convolve_layer_spec *spec, unsigned place,
                          struct convolve_error *error)
{
    const layer_wide dilated = dilated_length(axis), x = (layer_wide)axis->x, stride = (layer_wide)axis->stride;
    layer_wide before = 0, after = 0, count;
    if (spec->padding == CONVOLVE_LAYER_SAME || spec->padding == CONVOLVE_LAYER_SAME_LOWER) {
        count = (x + stride - 1) / stride;
        layer_wide total = (count - 1) * stride + dilated - x;
        total = total > 0 ? total : 0;
        before = spec->padding == CONVOLVE_LAYER_SAME ? total / 2 : total - total / 2;
    } else {
        if (spec->padding == CONVOLVE_LAYER_CELLS && spec->cells.given) {
            before = (layer_wide)spec->cells.before[spec->cells.scalar ? 0 : place];
            after = (layer_wide)spec->cells.after[spec->cells.scalar ? 0 : place];
        }
        if (before + x + after < dilated)
            return convolve_fail(
                error, "shape-mismatch", layer_weight_pointer(spec),
                "along spatial axis %u the kernel is %s long (%zu taps, dilation %zu), but the padded input only %s "
                "(%s and %s around %zu): the kernel may have at most %s taps there, or the padding must grow",
                place, layer_wide_text(dilated).text, axis->kernel, axis->dilation,
                layer_wide_text(before + x + after).text, layer_wide_text(before).text, layer_wide_text(after).text,
                axis->x, layer_wide_text((before + x + after - 1) / (layer_wide)axis->dilation + 1).text);
        count = (before + x + after - dilated) / stride + 1;
    }
    const layer_wide limit = (layer_wide)1 << 62;
    if (before + x + after + dilated + (count - 1) * stride > limit)
        return fail_uncountable(error, "", "max_output_bytes", "a window's place");
    axis->before = (int64_t)before;
    axis->y = (size_t)count;
    return true;
}

/* conv_transpose: which part of the full result is kept. */
static bool place_cut(struct layer_axis *axis, const struct convolve_layer_spec *spec, unsigned place,
                      struct convolve_error *error)
{
    const layer_wide y = (layer_wide)axis->y, stride = (layer_wide)axis->stride;
    const size_t more =
        spec->output_padding.given ? spec->output_padding.value[spec->output_padding.scalar ? 0 : place] : 0;
    const layer_wide full = (y - 1) * stride + dilated_length(axis) + (layer_wide)more;
    layer_wide before = 0, after = 0, count;
    if (spec->output_shape.given || spec->padding == CONVOLVE_LAYER_SAME ||
        spec->padding == CONVOLVE_LAYER_SAME_LOWER) {
        count = spec->output_shape.given ? (layer_wide)spec->output_shape.value[spec->output_shape.scalar ? 0 : place]
                                         : y * stride;
        const layer_wide cut = full - count;
        before = spec->padding == CONVOLVE_LAYER_SAME ? half_down(cut) : cut - half_down(cut);
    } else {
        if (spec->padding == CONVOLVE_LAYER_CELLS && spec->cells.given) {
            before = (layer_wide)spec->cells.before[spec->cells.scalar ? 0 : place];
            after = (layer_wide)spec->cells.after[spec->cells.scalar ? 0 : place];
        }
        count = full - before - after;
        if (count < 1)
            return convolve_fail(error, "shape-mismatch", "/padding",
                                 "along spatial axis %u the full result is %s long and padding cuts %s and %s of it "
                                 "away, which leaves nothing: together they may be at most %s",
                                 place, layer_wide_text(full).text, layer_wide_text(before).text,
                                 layer_wide_text(after).text, layer_wide_text(full - 1).text);
    }
    const layer_wide limit = (layer_wide)1 << 62;
    if (full + before + after > limit || count > limit || before < -limit)
        return fail_uncountable(error, "", "max_output_bytes", "an output's place");
    axis->before = (int64_t)before;
    axis->x = (size_t)count;
    return true;
}

static bool place_axes(struct layer_geometry *geometry, const struct convolve_layer_spec *spec,
                       struct convolve_error *error)
{
    const unsigned spatial = spec->weight.rank - 2;
    const bool transpose = spec->operation == CONVOLVE_LAYER_TRANSPOSE;
    for (unsigned i = 0; i < LAYER_AXES; i++)
        geometry->axis[i] = (struct layer_axis){.x = 1, .y = 1, .kernel = 1, .stride = 1, .dilation = 1};
    for (unsigned place = 0; place < spatial; place++) {
        struct layer_axis *axis = &geometry->axis[LAYER_AXES - spatial + place];
        axis->kernel = layer_spatial_size(&spec->weight, 2, spec->channels_last, place);
        axis->stride = layer_per_axis(&spec->stride, place);
        axis->dilation = layer_per_axis(&spec->dilation, place);
        const size_t size = layer_spatial_size(&spec->input, spec->input.rank - spatial, spec->channels_last, place);
        *(transpose ? &axis->y : &axis->x) = size;
        if (!(transpose ? place_cut : place_windows)(axis, spec, place, error))
            return false;
    }
    return true;
}

/* ---- Totals ----------------------------------------------------------------------------------------------------------- */

/* The shape of x or y: [N,] channels and spatial sizes in the request's layout. */
static void make_shape(struct convolve_shape *shape, const struct layer_geometry *geometry,
                       const struct convolve_layer_spec *spec, bool x)
{
    const unsigned spatial = spec->weight.rank - 2;
    const size_t channels = (x ? geometry->x.channels : geometry->y.channels) * geometry->groups;
    shape->rank = 0;
    if (layer_batched(spec))
        shape->size[shape->rank++] = geometry->items;
    if (!spec->channels_last)
        shape->size[shape->rank++] = channels;
    for (unsigned i = LAYER_AXES - spatial; i < LAYER_AXES; i++)
        shape->size[shape->rank++] = x ? geometry->axis[i].x : geometry->axis[i].y;
    if (spec->channels_last)
        shape->size[shape->rank++] = channels;
}

static void lay_side(struct layer_side *side, const struct layer_geometry *geometry, bool x, bool channels_last)
{
    const size_t channels = side->channels * geometry->groups;
    size_t pitch = channels_last ? channels : 1;
    side->channel_pitch = channels_last ? 1 : 0;
    for (unsigned i = LAYER_AXES; i-- > 0;) {
        side->axis_pitch[i] = pitch;
        pitch *= x ? geometry->axis[i].x : geometry->axis[i].y;
    }
    if (!channels_last) {
        side->channel_pitch = pitch;
        pitch *= channels;
    }
    side->item_pitch = pitch;
}

static void lay_weight(struct layer_weight *w, const struct layer_geometry *geometry, bool channels_last)
{
    size_t pitch = channels_last ? geometry->x.channels : 1;
    w->x_pitch = 1;
    for (unsigned i = LAYER_AXES; i-- > 0;) {
        w->axis_pitch[i] = pitch;
        pitch *= geometry->axis[i].kernel;
    }
    if (!channels_last) {
        w->x_pitch = pitch;
        pitch *= geometry->x.channels;
    }
    w->y_pitch = pitch;
}

static bool count_bytes(const struct convolve_shape *shape, enum convolve_dtype dtype, size_t *count)
{
    size_t bytes;
    return convolve_shape_count(shape, count) && !__builtin_mul_overflow(*count, convolve_dtype_bytes(dtype), &bytes);
}

static bool count_totals(struct layer_geometry *geometry, const struct convolve_layer_spec *spec,
                         struct convolve_error *error)
{
    const bool transpose = spec->operation == CONVOLVE_LAYER_TRANSPOSE;
    struct convolve_shape x, y;
    make_shape(&x, geometry, spec, true);
    make_shape(&y, geometry, spec, false);
    geometry->output = spec->operation == CONVOLVE_LAYER_BACKWARD_WEIGHT ? spec->weight
                       : layer_reads_y(geometry)                         ? x
                                                                         : y;
    if (!count_bytes(&spec->weight, spec->dtype, &geometry->w.count))
        return fail_uncountable(error, layer_weight_pointer(spec), "max_memory_bytes", "the weight's size");
    if (!count_bytes(&x, spec->dtype, &geometry->x.count))
        return fail_uncountable(error, transpose ? "" : layer_input_pointer(spec),
                                transpose ? "max_output_bytes" : "max_memory_bytes",
                                transpose ? "the output's size" : "the input's size");
    if (!count_bytes(&y, spec->dtype, &geometry->y.count))
        return fail_uncountable(error, transpose ? "/input" : "", transpose ? "max_memory_bytes" : "max_output_bytes",
                                transpose ? "the input's size" : "the output's size");
    convolve_shape_count(&geometry->output, &geometry->output_count);
    size_t places = geometry->items, taps = 1;
    for (unsigned i = 0; i < LAYER_AXES; i++) {
        places *= geometry->axis[i].y;
        taps *= geometry->axis[i].kernel;
    }
    geometry->terms = spec->operation == CONVOLVE_LAYER_BACKWARD_WEIGHT ? places
                      : layer_reads_y(geometry)                         ? geometry->y.channels * taps
                                                                        : geometry->x.channels * taps;
    if (__builtin_mul_overflow((uint64_t)geometry->y.count, (uint64_t)(geometry->x.channels * taps),
                               &geometry->multiply_adds))
        return fail_uncountable(error, "", "max_work", "the number of multiply-adds");
    return true;
}

bool layer_geometry_derive(struct layer_geometry *geometry, const struct convolve_layer_spec *spec,
                           struct convolve_error *error)
{
    *geometry = (struct layer_geometry){.operation = spec->operation,
                                        .dtype = spec->dtype,
                                        .boundary = spec->padding_mode,
                                        .channels_last = spec->channels_last,
                                        .groups = spec->groups,
                                        .bias = spec->bias_given};
    if (!convolve_layer_check_members(spec, error) || !layer_check_shapes(spec, error))
        return false;
    const bool transpose = spec->operation == CONVOLVE_LAYER_TRANSPOSE;
    geometry->spatial = spec->weight.rank - 2;
    geometry->batched = layer_batched(spec);
    geometry->items = layer_batched(spec) ? spec->input.size[0] : 1;
    geometry->y.channels = spec->weight.size[0] / spec->groups;
    geometry->x.channels = layer_channels(&spec->weight, 1, spec->channels_last);
    if (!place_axes(geometry, spec, error))
        return false;
    struct convolve_shape y;
    make_shape(&y, geometry, spec, false);
    if (!transpose && !layer_check_grad_output(spec, &y, error))
        return false;
    if (!count_totals(geometry, spec, error))
        return false;
    lay_side(&geometry->x, geometry, true, spec->channels_last);
    lay_side(&geometry->y, geometry, false, spec->channels_last);
    lay_weight(&geometry->w, geometry, spec->channels_last);
    return true;
}
