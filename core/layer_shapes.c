/* SPDX-License-Identifier: MIT */
/* The faults of a layer's members and shapes. Members come first, in the order of the contract's table; then ranks, then
 * groups and channels, then what hangs on the spatial axes (layer_geometry.c). Details say which sizes would fit. */
#include "core/layer_shapes.h"

#include <stdio.h>

struct layer_wide_text layer_wide_text(layer_wide value)
{
    struct layer_wide_text text;
    char digits[41];
    size_t count = 0, at = 0;
    const bool negative = value < 0;
    do {
        const int digit = (int)(value % 10);
        digits[count++] = (char)('0' + (digit < 0 ? -digit : digit));
    } while ((value /= 10) != 0);
    if (negative)
        digits[count++] = '-';
    while (count)
        text.text[at++] = digits[--count];
    text.text[at] = '\0';
    return text;
}

const char *layer_input_pointer(const struct convolve_layer_spec *spec)
{
    return spec->operation == CONVOLVE_LAYER_BACKWARD_INPUT ? "/input_shape" : "/input";
}

const char *layer_weight_pointer(const struct convolve_layer_spec *spec)
{
    return spec->operation == CONVOLVE_LAYER_BACKWARD_WEIGHT ? "/weight_shape" : "/weight";
}

/* ---- Members ---------------------------------------------------------------------------------------------------------- */

/* 0 while the weight's rank does not tell. */
static unsigned spatial_axes(const struct convolve_layer_spec *spec)
{
    return spec->weight.rank >= 3 && spec->weight.rank <= 5 ? spec->weight.rank - 2 : 0;
}

static bool check_list(const struct convolve_layer_spec *spec, const char *pointer, bool given, bool scalar,
                       unsigned count, struct convolve_error *error)
{
    const unsigned expected = spatial_axes(spec);
    if (!given || scalar || expected == 0 || count == expected)
        return true;
    return convolve_fail(error, "invalid-value", pointer,
                         "%s has %u member%s, but the weight has %u spatial ax%s: give one integer for all of them, or "
                         "one member for each",
                         pointer + 1, count, count == 1 ? "" : "s", expected, expected == 1 ? "is" : "es");
}

static bool check_per_axis(const struct convolve_layer_spec *spec, const char *pointer,
                           const struct convolve_per_axis *member, size_t minimum, struct convolve_error *error)
{
    if (!check_list(spec, pointer, member->given, member->scalar, member->count, error))
        return false;
    for (unsigned i = 0; member->given && i < (member->scalar ? 1 : member->count); i++) {
        if (member->value[i] >= minimum)
            continue;
        char place[40];
        snprintf(place, sizeof place, member->scalar ? "%s" : "%s/%u", pointer, i);
        return convolve_fail(error, "invalid-value", place, "%s is 0: it must be 1 or more", pointer + 1);
    }
    return true;
}

/* More would be rows that no stride reaches: the next larger output has them as its own. */
static bool check_output_padding(const struct convolve_layer_spec *spec, struct convolve_error *error)
{
    const struct convolve_per_axis *member = &spec->output_padding;
    if (!check_per_axis(spec, "/output_padding", member, 0, error))
        return false;
    const unsigned axes = spatial_axes(spec);
    for (unsigned i = 0; member->given && i < axes; i++) {
        const size_t stride = layer_per_axis(&spec->stride, i), dilation = layer_per_axis(&spec->dilation, i);
        const size_t value = member->value[member->scalar ? 0 : i], bound = stride > dilation ? stride : dilation;
        if (value < bound)
            continue;
        char place[40];
        snprintf(place, sizeof place, member->scalar ? "/output_padding" : "/output_padding/%u", i);
        return convolve_fail(error, "invalid-value", place,
                             "output_padding is %zu along spatial axis %u, where the stride is %zu and the dilation "
                             "%zu: it must be smaller than one of them, at most %zu",
                             value, i, stride, dilation, bound - 1);
    }
    return true;
}

bool convolve_layer_check_members(const struct convolve_layer_spec *spec, struct convolve_error *error)
{
    if (!check_per_axis(spec, "/stride", &spec->stride, 1, error) ||
        !check_per_axis(spec, "/dilation", &spec->dilation, 1, error) ||
        !check_list(spec, "/padding", spec->cells.given, spec->cells.scalar, spec->cells.count, error))
        return false;
    if (spec->operation == CONVOLVE_LAYER_TRANSPOSE && spec->padding_mode != CONVOLVE_CONSTANT)
        return convolve_fail(error, "invalid-value", "/padding_mode",
                             "conv_transpose knows only padding_mode \"zeros\": its padding cuts the result");
    if (spec->padding_mode == CONVOLVE_SYMMETRIC)
        return convolve_fail(error, "invalid-value", "/padding_mode", "layers have no symmetric padding");
    if (spec->groups == 0)
        return convolve_fail(error, "invalid-value", "/groups", "groups is 0: it must be 1 or more");
    if (!check_output_padding(spec, error) || !check_per_axis(spec, "/output_shape", &spec->output_shape, 1, error))
        return false;
    if (spec->output_shape.given && (spec->cells.given || spec->padding == CONVOLVE_LAYER_VALID))
        return convolve_fail(error, "invalid-value", "/output_shape",
                             "output_shape stands in place of padding: give one of them, or with output_shape the "
                             "padding \"same\" or \"same_lower\", which say where the odd row is cut");
    return true;
}

/* ---- Shapes ----------------------------------------------------------------------------------------------------------- */

static bool check_empty(const char *pointer, const struct convolve_shape *shape, struct convolve_error *error)
{
    for (unsigned axis = 0; axis < shape->rank; axis++)
        if (shape->size[axis] == 0)
            return convolve_fail(error, "empty-tensor", pointer,
                                 "%s has shape %s, so axis %u has length 0 and there is nothing to compute from: every "
                                 "axis needs a length of 1 or more",
                                 pointer + 1, convolve_shape_text(shape).text, axis);
    return true;
}

static bool check_ranks(const struct convolve_layer_spec *spec, struct convolve_error *error)
{
    const char *const input = layer_input_pointer(spec), *const weight = layer_weight_pointer(spec);
    const bool transpose = spec->operation == CONVOLVE_LAYER_TRANSPOSE, last = spec->channels_last;
    const unsigned rank = spec->weight.rank;
    const char *const form = transpose ? (last ? "[C, kernel..., M/groups]" : "[C, M/groups, kernel...]")
                                       : (last ? "[M, kernel..., C/groups]" : "[M, C/groups, kernel...]");
    if (rank < 3 || rank > 5)
        return convolve_fail(error, "shape-mismatch", weight,
                             "%s has rank %u: it is %s with 1 to 3 spatial axes, so its rank is 3 to 5%s", weight + 1,
                             rank, form, rank < 3 ? "; to filter without channels use /v1/correlate" : "");
    if (spec->input.rank != rank && spec->input.rank + 1 != rank)
        return convolve_fail(error, "shape-mismatch", input,
                             "%s has rank %u, %s has rank %u and so %u spatial ax%s: %s must have rank %u (%s), or %u "
                             "for a single item without N",
                             input + 1, spec->input.rank, weight + 1, rank, rank - 2, rank == 3 ? "is" : "es",
                             input + 1, rank, last ? "[N, spatial..., C]" : "[N, C, spatial...]", rank - 1);
    if (spec->operation == CONVOLVE_LAYER_BACKWARD_INPUT && spec->grad_output.rank + 1 != rank &&
        spec->grad_output.rank != rank)
        return convolve_fail(error, "shape-mismatch", "/grad_output",
                             "grad_output has rank %u, weight has rank %u: grad_output must have rank %u, or %u for a "
                             "single item without N",
                             spec->grad_output.rank, rank, rank, rank - 1);
    if (spec->operation >= CONVOLVE_LAYER_BACKWARD_INPUT && spec->grad_output.rank != spec->input.rank)
        return convolve_fail(error, "shape-mismatch",
                             spec->operation == CONVOLVE_LAYER_BACKWARD_INPUT ? input : "/grad_output",
                             "%s has rank %u, grad_output has rank %u: either both have N, or neither", input + 1,
                             spec->input.rank, spec->grad_output.rank);
    return true;
}

static bool check_channels(const struct convolve_layer_spec *spec, struct convolve_error *error)
{
    const char *const weight = layer_weight_pointer(spec);
    const bool last = spec->channels_last, transpose = spec->operation == CONVOLVE_LAYER_TRANSPOSE;
    const size_t channels = layer_channels(&spec->input, layer_batched(spec) ? 1 : 0, last), groups = spec->groups;
    const size_t first = spec->weight.size[0], second = layer_channels(&spec->weight, 1, last);
    const unsigned second_axis = last ? spec->weight.rank - 1 : 1;
    size_t filters = first;
    if (channels % groups != 0)
        return convolve_fail(error, "shape-mismatch", "/groups",
                             "%s has %zu channels, which %zu groups do not divide: groups must divide them",
                             layer_input_pointer(spec) + 1, channels, groups);
    if (transpose && first != channels)
        return convolve_fail(error, "shape-mismatch", weight,
                             "the input has %zu channels, so axis 0 of weight must be %zu, not %zu; layout %s expects "
                             "%s",
                             channels, channels, first, last ? "channels_last" : "channels_first",
                             last ? "[C, kernel..., M/groups]" : "[C, M/groups, kernel...]");
    if (!transpose && second != channels / groups)
        return convolve_fail(error, "shape-mismatch", weight,
                             "%s has %zu channels in %zu group%s, so axis %u of %s must be %zu, not %zu; layout %s "
                             "expects %s",
                             layer_input_pointer(spec) + 1, channels, groups, groups == 1 ? "" : "s", second_axis,
                             weight + 1, channels / groups, second, last ? "channels_last" : "channels_first",
                             last ? "[M, kernel..., C/groups]" : "[M, C/groups, kernel...]");
    if (!transpose && filters % groups != 0)
        return convolve_fail(error, "shape-mismatch", "/groups",
                             "%s makes %zu output channels, which %zu groups do not divide: groups must divide them",
                             weight + 1, filters, groups);
    if (transpose && __builtin_mul_overflow(second, groups, &filters))
        filters = SIZE_MAX;
    if (spec->bias_given && (spec->bias.rank != 1 || spec->bias.size[0] != filters))
        return convolve_fail(error, "shape-mismatch", "/bias",
                             "bias has shape %s, but the output has %zu channels: its shape must be [%zu]",
                             convolve_shape_text(&spec->bias).text, filters, filters);
    return true;
}

bool layer_check_shapes(const struct convolve_layer_spec *spec, struct convolve_error *error)
{
    return check_empty(layer_input_pointer(spec), &spec->input, error) &&
           check_empty(layer_weight_pointer(spec), &spec->weight, error) &&
           (!spec->bias_given || check_empty("/bias", &spec->bias, error)) &&
           (spec->operation < CONVOLVE_LAYER_BACKWARD_INPUT ||
            check_empty("/grad_output", &spec->grad_output, error)) &&
           check_ranks(spec, error) && check_channels(spec, error);
}

bool layer_check_grad_output(const struct convolve_layer_spec *spec, const struct convolve_shape *expected,
                             struct convolve_error *error)
{
    if (spec->operation < CONVOLVE_LAYER_BACKWARD_INPUT)
        return true;
    for (unsigned axis = 0; axis < expected->rank; axis++)
        if (spec->grad_output.size[axis] != expected->size[axis])
            return convolve_fail(error, "shape-mismatch", "/grad_output",
                                 "grad_output has shape %s, but conv of %s with %s gives %s: axis %u must be %zu",
                                 convolve_shape_text(&spec->grad_output).text, convolve_shape_text(&spec->input).text,
                                 convolve_shape_text(&spec->weight).text, convolve_shape_text(expected).text, axis,
                                 expected->size[axis]);
    return true;
}
