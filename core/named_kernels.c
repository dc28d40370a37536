/* SPDX-License-Identifier: MIT */
/* sobel_x, gaussian, ...: a table of makers. A row says what the kernel is called, for how many axes it exists and what its
 * parameters are; all else derives from it. Every axis of a named kernel is equally long, and that length is found without
 * allocating, so that a request can be refused for its cost. */
#include "core/convolve.h"
#include "core/named_kernel_makers.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* A row has a maker, or nine digits. */
static const struct row {
    struct convolve_named_kernel kernel;
    named_kernel_maker *make;
    signed char digits[9];
} rows[] = {
    {{"identity", "leaves the input as it is", 1, 3, 0, {{0}}}, make_identity, {0}},
    {{"box", "the mean of a window", 1, 3, 1, {{"size", 3}}}, make_box, {0}},
    {{"disk", "the mean of the cells whose centres are at most radius away", 2, 2, 1, {{"radius", 2}}}, make_disk, {0}},
    {{"gaussian", "a smooth blur; without size it reaches 4 sigma", 1, 3, 2, {{"sigma", 1}, {"size", NAN}}},
     make_gaussian,
     {0}},
    {{"sharpen", "raises each value against its four neighbours", 2, 2, 0, {{0}}},
     NULL,
     {0, -1, 0, -1, 5, -1, 0, -1, 0}},
    {{"unsharp", "adds amount times what a gaussian blur takes away", 2, 2, 2, {{"sigma", 1}, {"amount", 1}}},
     make_unsharp,
     {0}},
    {{"emboss", "a relief lit from one corner", 2, 2, 0, {{0}}}, NULL, {-2, -1, 0, -1, 1, 1, 0, 1, 2}},
    {{"outline", "how a value differs from its eight neighbours", 2, 2, 0, {{0}}},
     NULL,
     {-1, -1, -1, -1, 8, -1, -1, -1, -1}},
    {{"laplacian", "the second differences, added up over the axes", 1, 3, 0, {{0}}}, make_laplacian, {0}},
    {{"laplacian_of_gaussian", "the laplacian of a gaussian blur", 1, 3, 1, {{"sigma", 1}}},
     make_laplacian_of_gaussian,
     {0}},
    {{"sobel_x", "the gradient from left to right, smoothed", 2, 2, 0, {{0}}}, NULL, {-1, 0, 1, -2, 0, 2, -1, 0, 1}},
    {{"sobel_y", "the gradient from top to bottom, smoothed", 2, 2, 0, {{0}}}, NULL, {-1, -2, -1, 0, 0, 0, 1, 2, 1}},
    {{"prewitt_x", "the gradient from left to right, averaged", 2, 2, 0, {{0}}}, NULL, {-1, 0, 1, -1, 0, 1, -1, 0, 1}},
    {{"prewitt_y", "the gradient from top to bottom, averaged", 2, 2, 0, {{0}}}, NULL, {-1, -1, -1, 0, 0, 0, 1, 1, 1}},
    {{"scharr_x", "the gradient from left to right, nearly the same in every direction", 2, 2, 0, {{0}}},
     NULL,
     {-3, 0, 3, -10, 0, 10, -3, 0, 3}},
    {{"scharr_y", "the gradient from top to bottom, nearly the same in every direction", 2, 2, 0, {{0}}},
     NULL,
     {-3, -10, -3, 0, 0, 0, 3, 10, 3}},
    {{"vertical_edge", "falls from left to right: minus prewitt_x", 2, 2, 0, {{0}}},
     NULL,
     {1, 0, -1, 1, 0, -1, 1, 0, -1}},
    {{"horizontal_edge", "falls from top to bottom: minus prewitt_y", 2, 2, 0, {{0}}},
     NULL,
     {1, 1, 1, 0, 0, 0, -1, -1, -1}},
    {{"motion_blur", "the mean along a line of size cells at angle degrees", 2, 2, 2, {{"size", 5}, {"angle", 0}}},
     make_motion_blur,
     {0}},
};
enum { PARAMETERS_MAX = sizeof rows[0].kernel.parameters / sizeof rows[0].kernel.parameters[0] };

size_t convolve_named_kernel_count(void)
{
    return sizeof rows / sizeof rows[0];
}

const struct convolve_named_kernel *convolve_named_kernel_at(size_t index)
{
    assert(index < convolve_named_kernel_count());
    return &rows[index].kernel;
}

const struct convolve_named_kernel *convolve_named_kernel_find(const char *name)
{
    for (size_t i = 0; i < convolve_named_kernel_count(); i++) {
        if (strcmp(rows[i].kernel.name, name) == 0)
            return &rows[i].kernel;
    }
    return NULL;
}

/* ---- Parameters ------------------------------------------------------------------------------------------------------- */

/* What a parameter of that name may be, whichever kernel has it: all numbers are finite, and */
static const char *parameter_rule(const char *name, double value)
{
    if (!isfinite(value))
        return "must be finite";
    if (strcmp(name, "size") == 0 && (value < 1 || fmod(value, 2) != 1))
        return "must be an odd integer, 1 or more, so that there is a centre";
    if (strcmp(name, "sigma") == 0 && value <= 0)
        return "must be above 0";
    if (strcmp(name, "radius") == 0 && value < 0)
        return "must be 0 or more";
    return NULL;
}

/* A number for a detail, with a point whatever the locale. */
struct number_text {
    char text[32];
};

static struct number_text number_text(double value)
{
    struct number_text text;
    snprintf(text.text, sizeof text.text, "%.15g", value);
    for (char *c = text.text; *c; c++) {
        if (!strchr("+-0123456789aefin", *c))
            *c = '.';
    }
    return text;
}

static bool fail_parameter(const char *pointer, const char *name, double value, const char *rule,
                           struct convolve_error *error)
{
    char place[256];
    snprintf(place, sizeof place, "%s/%s", pointer, name);
    return convolve_fail(error, "invalid-value", place, "%s is %s: it %s", name, number_text(value).text, rule);
}

static void fill_parameters(const struct convolve_named_kernel *kernel, const double *parameters, double *filled)
{
    for (unsigned i = 0; i < kernel->parameter_count; i++)
        filled[i] = isnan(parameters[i]) ? kernel->parameters[i].standard : parameters[i];
}

/* The length of every axis, as a double because sigma may be anything: by the size, else by sigma or the radius. `index`
 * is the parameter that made it so. */
static double length_of(const struct convolve_named_kernel *kernel, const double *filled, unsigned *index)
{
    double length = 3;
    for (*index = 0; *index < kernel->parameter_count; ++*index) {
        if (strcmp(kernel->parameters[*index].name, "size") == 0 && !isnan(filled[*index]))
            return filled[*index];
    }
    *index = 0;
    if (kernel->parameter_count && strcmp(kernel->parameters[0].name, "sigma") == 0)
        length = 2 * floor(4 * filled[0] + 0.5) + 1;
    if (kernel->parameter_count && strcmp(kernel->parameters[0].name, "radius") == 0)
        length = 2 * floor(filled[0]) + 1;
    return length;
}

bool convolve_named_kernel_shape(const struct convolve_named_kernel *kernel, const double *parameters, unsigned axes,
                                 const char *pointer, struct convolve_shape *shape, struct convolve_error *error)
{
    double filled[PARAMETERS_MAX];
    fill_parameters(kernel, parameters, filled);
    for (unsigned i = 0; i < kernel->parameter_count; i++) {
        const char *const name = kernel->parameters[i].name;
        const char *const rule = isnan(parameters[i]) ? NULL : parameter_rule(name, parameters[i]);
        if (rule)
            return fail_parameter(pointer, name, parameters[i], rule, error);
        /* Its values reach 1 / sigma^2. */
        if (strcmp(kernel->name, "laplacian_of_gaussian") == 0 && filled[i] < 0x1p-500)
            return fail_parameter(pointer, name, filled[i], "must be larger, or the values would not be finite", error);
    }
    if (axes < kernel->axes_min || axes > kernel->axes_max) {
        char range[32];
        snprintf(range, sizeof range, kernel->axes_min == kernel->axes_max ? "%u" : "%u to %u", kernel->axes_min,
                 kernel->axes_max);
        return convolve_fail(error, "invalid-value", pointer,
                             "%s exists for %s convolved axes, not for %u: name as many with axes, or send the values",
                             kernel->name, range, axes);
    }
    unsigned by;
    const double length = length_of(kernel, filled, &by);
    *shape = (struct convolve_shape){.rank = axes};
    for (unsigned axis = 0; axis < axes; axis++)
        shape->size[axis] = length <= 0x1p53 ? (size_t)length : SIZE_MAX;
    size_t count;
    if (length > 0x1p53 || !convolve_shape_count(shape, &count) || count > SIZE_MAX / sizeof(double))
        return fail_parameter(pointer, kernel->parameters[by].name, filled[by],
                              "makes a kernel whose size cannot be counted in 64 bits", error);
    return true;
}

void convolve_named_kernel_values(const struct convolve_named_kernel *kernel, const double *parameters, unsigned axes,
                                  double *values)
{
    const struct row *const row = (const struct row *)kernel; /* its first member */
    double filled[PARAMETERS_MAX];
    unsigned by;
    fill_parameters(kernel, parameters, filled);
    const size_t length = (size_t)length_of(kernel, filled, &by);
    if (row->make) {
        row->make(filled, axes, length, values);
        return;
    }
    for (size_t i = 0; i < sizeof row->digits; i++)
        values[i] = row->digits[i];
}
