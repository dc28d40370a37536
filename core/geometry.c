/* SPDX-License-Identifier: MIT */
/* From spec to geometry: members first, in the order of the contract's table, then ranks, then one axis after another, and
 * last the totals. Lengths are compared in 128 bits, where nothing here can overflow, so that a shape that does not fit is
 * told as such however large it is; only what has passed must be countable in 64. */
#include "core/geometry.h"

#include "core/error.h"

#include <stdio.h>

__extension__ typedef unsigned __int128 wide;

/* A length that may exceed 64 bits, for details. */
struct wide_text {
    char text[41];
};

static struct wide_text wide_text(wide value)
{
    struct wide_text text;
    char *digit = text.text + sizeof text.text - 1;
    *digit = '\0';
    do
        *--digit = (char)('0' + (int)(value % 10));
    while (value /= 10);
    size_t count = (size_t)(text.text + sizeof text.text - digit);
    for (size_t i = 0; i < count; i++)
        text.text[i] = digit[i];
    return text;
}

static unsigned rank_max(const struct convolve_spec *spec)
{
    return spec->input.rank > spec->kernel.rank ? spec->input.rank : spec->kernel.rank;
}

/* Three axes or more that do not fit are likely to be channels and batches. */
static const char *layers_hint(unsigned rank)
{
    return rank >= 3 ? "; for channels and batches use /v1/conv" : "";
}

/* ---- Members ---------------------------------------------------------------------------------------------------------- */

static bool check_list(const struct convolve_spec *spec, const char *pointer, unsigned count,
                       struct convolve_error *error)
{
    const unsigned expected = spec->axes_given ? spec->axis_count : rank_max(spec);
    if (count == expected)
        return true;
    /* Without `axes`, unequal ranks leave open how many axes are meant; that they are unequal is told later. */
    if (!spec->axes_given && (count == spec->input.rank || count == spec->kernel.rank))
        return true;
    return convolve_fail(error, "invalid-value", pointer,
                         "%s has %u member%s, but %u ax%s convolved: give one integer for all of them, or one member "
                         "for each",
                         pointer + 1, count, count == 1 ? "" : "s", expected, expected == 1 ? "is is" : "es are");
}

static bool check_per_axis(const struct convolve_spec *spec, const char *pointer,
                           const struct convolve_per_axis *member, struct convolve_error *error)
{
    if (!member->given)
        return true;
    if (!member->scalar && !check_list(spec, pointer, member->count, error))
        return false;
    const unsigned count = member->scalar ? 1 : member->count;
    for (unsigned i = 0; i < count; i++) {
        if (member->value[i] >= 1)
            continue;
        char place[32];
        snprintf(place, sizeof place, member->scalar ? "%s" : "%s/%u", pointer, i);
        return convolve_fail(error, "invalid-value", place, "%s is 0: it must be 1 or more", pointer + 1);
    }
    return true;
}

/* As a bit set of the axes of the tensor of higher rank. */
static bool resolve_axes(const struct convolve_spec *spec, unsigned *convolved, struct convolve_error *error)
{
    const unsigned rank = rank_max(spec);
    *convolved = (1u << rank) - 1;
    if (!spec->axes_given)
        return true;
    if (spec->axis_count == 0)
        return convolve_fail(error, "invalid-value", "/axes",
                             "axes is an empty list: name at least one axis, or leave axes away to convolve along all");
    *convolved = 0;
    for (unsigned i = 0; i < spec->axis_count; i++) {
        const int64_t named = spec->axes[i], bound = rank;
        if (named < -bound || named >= bound) {
            if (rank == 0)
                return convolve_fail(error, "invalid-value", "/axes",
                                     "axes names axis %lld, but both tensors are single numbers, which have no axis",
                                     (long long)named);
            return convolve_fail(
                error, "invalid-value", "/axes",
                "axes names axis %lld, but the tensor of higher rank has rank %u: its axes are %lld to "
                "%lld",
                (long long)named, rank, (long long)-bound, (long long)bound - 1);
        }
        const unsigned axis = (unsigned)(named < 0 ? named + bound : named);
        if (*convolved & 1u << axis)
            return convolve_fail(error, "invalid-value", "/axes", "axes names axis %u twice%s", axis,
                                 named < 0 ? ": negative ones count from the end" : "");
        *convolved |= 1u << axis;
    }
    return true;
}

bool convolve_check_members(const struct convolve_spec *spec, struct convolve_error *error)
{
    unsigned convolved;
    if (spec->padding.given && spec->mode_given)
        return convolve_fail(error, "invalid-value", "/padding",
                             "padding stands in place of mode: give one of them, not both");
    if (spec->padding.given && !spec->padding.scalar && !check_list(spec, "/padding", spec->padding.count, error))
        return false;
    return check_per_axis(spec, "/stride", &spec->stride, error) &&
           check_per_axis(spec, "/dilation", &spec->dilation, error) && resolve_axes(spec, &convolved, error);
}

/* ---- Shapes ----------------------------------------------------------------------------------------------------------- */

static bool check_empty(const struct convolve_spec *spec, bool *empty, struct convolve_error *error)
{
    const struct convolve_shape *const shapes[] = {&spec->input, &spec->kernel};
    const char *const pointers[] = {"/input", "/kernel"};
    *empty = false;
    for (unsigned i = 0; i < 2; i++) {
        for (unsigned axis = 0; axis < shapes[i]->rank; axis++) {
            if (shapes[i]->size[axis] != 0)
                continue;
            if (spec->method != CONVOLVE_FFT && spec->method != CONVOLVE_OVERLAP_ADD)
                return convolve_fail(error, "empty-tensor", pointers[i],
                                     "%s has shape %s, so axis %u has length 0 and there is nothing to compute from: "
                                     "every axis needs a length of 1 or more",
                                     pointers[i] + 1, convolve_shape_text(shapes[i]).text, axis);
            *empty = true;
        }
    }
    return true;
}

static bool check_ranks(const struct convolve_spec *spec, unsigned convolved, struct convolve_error *error)
{
    const unsigned input = spec->input.rank, kernel = spec->kernel.rank;
    const unsigned lower = input < kernel ? input : kernel, higher = rank_max(spec);
    const unsigned axes = (unsigned)__builtin_popcount(convolved);
    if (input == kernel || lower == axes)
        return true;
    const char *const layers = kernel >= 4 ? layers_hint(kernel) : "";
    const char *const lower_name = input < kernel ? "input" : "kernel",
                      *higher_name = input < kernel ? "kernel" : "input";
    if (spec->axes_given)
        return convolve_fail(error, "shape-mismatch", "/kernel",
                             "kernel has rank %u, input has rank %u, and axes names %u ax%s: the %s must have rank %u "
                             "to be applied to every slice of the %s%s",
                             kernel, input, axes, axes == 1 ? "is" : "es", lower_name, axes, higher_name, layers);
    if (lower == 0)
        return convolve_fail(error, "shape-mismatch", "/kernel",
                             "kernel has rank %u, input has rank %u: without axes their ranks must be equal; write the "
                             "%s as an array of rank %u",
                             kernel, input, lower_name, higher);
    char example[64];
    size_t used = 0;
    for (unsigned axis = higher - lower; axis < higher; axis++)
        used += (size_t)snprintf(example + used, sizeof example - used, "%s%u", used ? ", " : "", axis);
    return convolve_fail(error, "shape-mismatch", "/kernel",
                         "kernel has rank %u, input has rank %u: without axes their ranks must be equal; to apply the "
                         "%s to every slice of the %s, name the axes to convolve along, as in \"axes\": [%s]%s",
                         kernel, input, lower_name, higher_name, example, layers);
}

/* The lengths of both along each axis, and whether it is convolved. A tensor of lower rank has the convolved axes only. */
static bool pair_axes(struct geometry *geometry, const struct convolve_spec *spec, unsigned convolved,
                      struct convolve_error *error)
{
    unsigned input_axis = 0, kernel_axis = 0;
    geometry->rank = rank_max(spec);
    for (unsigned i = 0; i < geometry->rank; i++) {
        struct geometry_axis *axis = &geometry->axis[i];
        axis->convolved = convolved & 1u << i;
        const bool in_input = axis->convolved || spec->input.rank == geometry->rank;
        const bool in_kernel = axis->convolved || spec->kernel.rank == geometry->rank;
        axis->input = in_input ? spec->input.size[input_axis++] : 1;
        axis->kernel = in_kernel ? spec->kernel.size[kernel_axis++] : 1;
        if (!axis->convolved && axis->input != axis->kernel && axis->input != 1 && axis->kernel != 1)
            return convolve_fail(
                error, "shape-mismatch", "/kernel",
                "axis %u is not convolved, and has length %zu in input, %zu in kernel: there they must "
                "be equal, or one of them 1",
                i, axis->input, axis->kernel);
    }
    return true;
}

static wide dilated_length(const struct geometry_axis *axis)
{
    return (wide)(axis->kernel - 1) * axis->dilation + 1;
}

static size_t per_axis_value(const struct convolve_per_axis *member, unsigned place)
{
    return member->given ? member->value[member->scalar ? 0 : place] : 1;
}

/* `valid` wants one to lie within the other along every convolved axis; where only the input lies within the kernel they
 * change places. */
static bool decide_exchange(struct geometry *geometry, const struct convolve_spec *spec, struct convolve_error *error)
{
    if (spec->padding.given || spec->mode != CONVOLVE_VALID)
        return true;
    int shorter = -1, longer = -1; /* an axis along which the input is */
    for (unsigned i = 0; i < geometry->rank; i++) {
        const struct geometry_axis *axis = &geometry->axis[i];
        if (axis->convolved && axis->input < dilated_length(axis))
            shorter = (int)i;
        else if (axis->convolved && axis->input > dilated_length(axis))
            longer = (int)i;
    }
    geometry->exchanged = shorter >= 0;
    if (shorter < 0 || longer < 0)
        return true;
    const struct geometry_axis *above = &geometry->axis[longer], *below = &geometry->axis[shorter];
    return convolve_fail(error, "shape-mismatch", "/kernel",
                         "mode valid needs one of the two within the other along every convolved axis, but the dilated "
                         "kernel is shorter than the input along axis %d (%s and %zu), longer along axis %d (%s and "
                         "%zu): use mode same or full%s",
                         longer, wide_text(dilated_length(above)).text, above->input, shorter,
                         wide_text(dilated_length(below)).text, below->input, layers_hint(geometry->rank));
}

/* How many windows there are along one axis and where the first one begins. */
static bool place_windows(const struct geometry *geometry, struct geometry_axis *axis, const struct convolve_spec *spec,
                          unsigned place, struct convolve_error *error)
{
    const wide dilated = dilated_length(axis), input = axis->input;
    wide before, windows;
    axis->taps = geometry->exchanged ? axis->input : axis->kernel;
    if (spec->padding.given) {
        const unsigned member = spec->padding.scalar ? 0 : place;
        const wide after = spec->padding.after[member];
        before = spec->padding.before[member];
        if (before + input + after < dilated)
            return convolve_fail(error, "shape-mismatch", "/kernel",
                                 "along axis %u the kernel is %s long (%zu taps, dilation %zu), but the padded input "
                                 "only %s (%zu and %zu around %zu): the kernel must fit into it%s",
                                 (unsigned)(axis - geometry->axis), wide_text(dilated).text, axis->kernel,
                                 axis->dilation, wide_text(before + input + after).text, (size_t)before, (size_t)after,
                                 axis->input, layers_hint(geometry->rank));
        windows = before + input + after - dilated + 1;
    } else if (spec->mode == CONVOLVE_FULL) {
        before = dilated - 1;
        windows = input + dilated - 1;
    } else if (spec->mode == CONVOLVE_SAME) {
        before = dilated / 2; /* place (dilated - 1) / 2 of full, where before is dilated - 1 */
        windows = input;
    } else if (geometry->exchanged) {
        before = dilated - input;
        windows = dilated - input + 1;
    } else {
        before = 0;
        windows = input - dilated + 1;
    }
    const wide limit = (wide)1 << 62;
    if (dilated > limit || before + input + dilated + windows > limit)
        return fail_uncountable(error, "", "max_output_bytes", "a window's place");
    axis->before = (size_t)before;
    axis->output = (size_t)(windows - 1) / axis->stride + 1;
    return true;
}

static bool place_all_windows(struct geometry *geometry, const struct convolve_spec *spec, struct convolve_error *error)
{
    for (unsigned i = 0, place = 0; i < geometry->rank; i++) {
        struct geometry_axis *axis = &geometry->axis[i];
        if (axis->convolved) {
            if (!place_windows(geometry, axis, spec, place++, error))
                return false;
        } else {
            axis->output = axis->input == 1 ? axis->kernel : axis->input;
            axis->taps = 1;
        }
        geometry->output.size[i] = axis->output;
    }
    geometry->output.rank = geometry->rank;
    return true;
}

/* ---- Totals ----------------------------------------------------------------------------------------------------------- */

static bool count_bytes(const struct convolve_shape *shape, const struct convolve_spec *spec, size_t *count)
{
    size_t bytes;
    return convolve_shape_count(shape, count) &&
           !__builtin_mul_overflow(*count, convolve_dtype_bytes(spec->dtype), &bytes);
}

static bool count_totals(struct geometry *geometry, const struct convolve_spec *spec, struct convolve_error *error)
{
    size_t count;
    if (!count_bytes(&spec->input, spec, &count))
        return fail_uncountable(error, "/input", "max_memory_bytes", "the input's size");
    if (!count_bytes(&spec->kernel, spec, &count))
        return fail_uncountable(error, "/kernel", "max_memory_bytes", "the kernel's size");
    if (!count_bytes(&geometry->output, spec, &geometry->output_count))
        return fail_uncountable(error, "", "max_output_bytes", "the output's size");
    geometry->tap_count = 1;
    for (unsigned i = 0; i < geometry->rank; i++)
        geometry->tap_count *= geometry->axis[i].taps; /* at most the elements of one tensor */
    if (__builtin_mul_overflow((uint64_t)geometry->output_count, (uint64_t)geometry->tap_count,
                               &geometry->multiply_adds))
        return fail_uncountable(error, "", "max_work", "the number of multiply-adds");
    return true;
}

static void lay_pitches(struct geometry *geometry, const struct convolve_spec *spec)
{
    size_t input_pitch = 1, kernel_pitch = 1;
    for (unsigned i = geometry->rank; i-- > 0;) {
        struct geometry_axis *axis = &geometry->axis[i];
        const bool in_input = axis->convolved || (spec->input.rank == geometry->rank && axis->input != 1);
        const bool in_kernel = axis->convolved || (spec->kernel.rank == geometry->rank && axis->kernel != 1);
        axis->input_pitch = in_input ? input_pitch : 0;
        axis->kernel_pitch = in_kernel ? kernel_pitch : 0;
        input_pitch *= axis->input;
        kernel_pitch *= axis->kernel;
    }
}

bool geometry_derive(struct geometry *geometry, const struct convolve_spec *spec, struct convolve_error *error)
{
    unsigned convolved;
    *geometry = (struct geometry){0};
    if (!convolve_check_members(spec, error) || !resolve_axes(spec, &convolved, error))
        return false;
    if (!check_empty(spec, &geometry->empty, error) || !check_ranks(spec, convolved, error))
        return false;
    if (geometry->empty) {
        geometry->rank = geometry->output.rank = 1;
        return true;
    }
    geometry->flipped = spec->operation == CONVOLVE_OP_CONVOLVE;
    geometry->conjugated = !geometry->flipped && convolve_dtype_is_complex(spec->dtype);
    if (!pair_axes(geometry, spec, convolved, error))
        return false;
    for (unsigned i = 0, place = 0; i < geometry->rank; i++) {
        struct geometry_axis *axis = &geometry->axis[i];
        axis->stride = axis->convolved ? per_axis_value(&spec->stride, place) : 1;
        axis->dilation = axis->convolved ? per_axis_value(&spec->dilation, place) : 1;
        place += axis->convolved;
    }
    if (!decide_exchange(geometry, spec, error) || !place_all_windows(geometry, spec, error) ||
        !count_totals(geometry, spec, error))
        return false;
    lay_pitches(geometry, spec);
    return true;
}
