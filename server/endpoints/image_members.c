/* SPDX-License-Identifier: MIT */
/* A named kernel's parameters may stand beside it (kernel=gaussian&sigma=2), as no other path has them, or in an object. */
#include "server/endpoints/image_members.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "server/admission.h"
#include "server/request.h"

static const char *const parameter_names[] = {"sigma", "size", "radius", "amount", "angle", NULL};

static const struct json_schema_member member_rows[] = {
    OPTIONS_SCHEMA,    {"image", false},     {"kernel", true},    {"sigma", false},    {"size", false},
    {"radius", false}, {"amount", false},    {"angle", false},    {"boundary", false}, {"fillvalue", false},
    {"method", false}, {"normalize", false}, {"absolute", false}, {"scale", false},    {"offset", false},
};
const struct json_schema image_schema = {member_rows, sizeof member_rows / sizeof *member_rows, "?kernel=gaussian"};

static const char *const gradient_names[] = {"sobel", "scharr", "prewitt", NULL};
static const char *const boundary_names[] = {"constant", "wrap", "symmetric", "reflect", "edge", "fill", "symm", NULL};
static const enum convolve_boundary boundaries[] = {CONVOLVE_CONSTANT, CONVOLVE_WRAP, CONVOLVE_SYMMETRIC,
                                                    CONVOLVE_REFLECT,  CONVOLVE_EDGE, CONVOLVE_CONSTANT,
                                                    CONVOLVE_SYMMETRIC};
static const char *const method_names[] = {"auto", "direct", "separable", "fft", "overlap_add", NULL};

/* ---- The kernel ---- */

static int gradient_index(const char *name)
{
    for (int i = 0; gradient_names[i]; i++)
        if (!strcmp(name, gradient_names[i]))
            return i;
    return -1;
}

/* Parameters that stand beside the kernel's name; where the kernel has no such parameter they mean nothing. */
static bool parameters_read(struct image_members *members, const struct json_body *body, const char *kernel_name,
                            struct convolve_error *error)
{
    for (size_t i = 0; parameter_names[i]; i++) {
        const struct convolve_named_kernel *kernel = members->named.kernel;
        const struct json_value *value = json_member(body, parameter_names[i]);
        char pointer[32];
        unsigned p = 0;

        if (!value)
            continue;
        snprintf(pointer, sizeof pointer, "/%s", parameter_names[i]);
        while (kernel && p < kernel->parameter_count && strcmp(kernel->parameters[p].name, parameter_names[i]) != 0)
            p++;
        if (!kernel || p == kernel->parameter_count)
            return convolve_fail(error, "unknown-member", pointer, "%s has no parameter %s",
                                 kernel_name ? kernel_name : "a kernel that is given by its values",
                                 parameter_names[i]);
        if (!isnan(members->named.parameters[p]))
            return convolve_fail(error, "duplicate-member", pointer,
                                 "%s stands beside the kernel and within it; once is enough", parameter_names[i]);
        if (!json_read_number(value, pointer, &members->named.parameters[p], error))
            return false;
    }
    return true;
}

static bool named_read(struct image_members *members, const struct json_body *body, const struct json_value *value,
                       struct convolve_error *error)
{
    const bool is_object = json_type_of(value) == JSON_OBJECT;
    const char *name, *pointer;

    if (!named_kernel_name(value, &name, &pointer, error))
        return false;
    const int gradient = gradient_index(name);
    if (gradient < 0) {
        members->named.axes = 2;
        return named_kernel_read(&members->named, value, gradient_names, error) &&
               parameters_read(members, body, members->named.kernel->name, error) &&
               convolve_named_kernel_shape(members->named.kernel, members->named.parameters, 2,
                                           is_object ? "/kernel" : "", &members->kernel, error);
    }
    if (is_object && json_object_count(value) > 1)
        return convolve_fail(error, "unknown-member", "/kernel", "%s has no parameters", name);
    members->is_gradient = true;
    members->kernel = (struct convolve_shape){3, {2, 3, 3}};
    /* Its two kernels are named_x and named_y; nine values each are no cost. */
    char along[2][16];
    snprintf(along[0], sizeof along[0], "%s_x", name);
    snprintf(along[1], sizeof along[1], "%s_y", name);
    for (int i = 0; i < 2; i++)
        convolve_named_kernel_values(convolve_named_kernel_find(along[i]), members->named.parameters, 2,
                                     members->values + (ptrdiff_t)9 * i);
    return parameters_read(members, body, gradient_names[gradient], error);
}

static bool kernel_read(struct image_members *members, const struct json_body *body, struct request *request,
                        struct convolve_error *error)
{
    const struct json_value *value = json_member(body, "kernel");
    void *values = NULL;

    if (json_names_kernel(value)) {
        members->values = arena_block(&request->arena, 18 * sizeof *members->values); /* of a gradient */
        if (!members->values)
            return admission_fail_memory(request, error);
        if (!named_read(members, body, value, error))
            return false;
        if (!members->is_gradient)
            members->values = NULL;
        return true;
    }
    if (!tensor_read(value, "/kernel", CONVOLVE_FLOAT64, members->options.plan, false, &members->kernel, &values,
                     &request->arena, error))
        return false;
    members->values = values;
    return parameters_read(members, body, NULL, error);
}

/* What only a picture asks of a kernel, once all values are read. */
static bool check_kernel(const struct convolve_shape *kernel, struct convolve_error *error)
{
    if (kernel->rank != 2)
        return convolve_fail(error, "shape-mismatch", "/kernel",
                             "kernel has rank %u; a picture is filtered by one of rank 2, such as [[1, 2, 1]], which "
                             "goes over each channel",
                             kernel->rank);
    if (kernel->size[0] == 0 || kernel->size[1] == 0)
        return convolve_fail(error, "empty-tensor", "/kernel", "kernel has an axis of length 0");
    return true;
}

/* ---- Other members ---- */

static bool boolean_read(const struct json_body *body, const char *name, const char *pointer, bool *result,
                         struct convolve_error *error)
{
    const struct json_value *value = json_member(body, name);
    return !value || json_read_boolean(value, pointer, result, error);
}

static bool number_read(const struct json_body *body, const char *name, const char *pointer, double *result,
                        struct convolve_error *error)
{
    const struct json_value *value = json_member(body, name);
    return !value || json_read_number(value, pointer, result, error);
}

static bool choices_read(struct image_members *members, const struct json_body *body, struct convolve_error *error)
{
    const struct json_value *value;
    unsigned choice;

    if ((value = json_member(body, "boundary"))) {
        if (!json_read_choice(value, "/boundary", boundary_names, &choice, error))
            return false;
        members->boundary = boundaries[choice];
    }
    if (!number_read(body, "fillvalue", "/fillvalue", &members->fillvalue, error))
        return false;
    if ((value = json_member(body, "method"))) {
        if (!json_read_choice(value, "/method", method_names, &choice, error))
            return false;
        members->method = (enum convolve_method)choice;
    }
    return boolean_read(body, "normalize", "/normalize", &members->normalize, error) &&
           boolean_read(body, "absolute", "/absolute", &members->absolute, error) &&
           number_read(body, "scale", "/scale", &members->scale, error) &&
           number_read(body, "offset", "/offset", &members->offset, error);
}

bool image_members_read(struct image_members *members, const struct json_body *body, struct request *request,
                        struct convolve_error *error)
{
    *members = (struct image_members){.boundary = CONVOLVE_REFLECT, .scale = 1};
    for (size_t i = 0; i < 4; i++)
        members->named.parameters[i] = NAN;
    if (!member_required(body, "image", "the bytes of a PNG or a JPEG, as the body or as a file of a form", error) ||
        !member_required(body, "kernel", "the name of a kernel, or its values: [[0, 1, 0], [1, -4, 1], [0, 1, 0]]",
                         error) ||
        !options_read(&members->options, body, error))
        return false;
    if (members->options.dtype_given && members->options.dtype != CONVOLVE_FLOAT64)
        return convolve_fail(error, "invalid-value", "/dtype", "pictures are computed in float64, found %s",
                             convolve_dtype_name(members->options.dtype));
    return kernel_read(members, body, request, error) && choices_read(members, body, error) &&
           (members->is_gradient || check_kernel(&members->kernel, error));
}

/* ---- The kernel's values ---- */

/* Divides by the sum. What the rounding of a sum of 0 may have left counts as 0. */
static bool normalize(double *values, size_t count, struct convolve_error *error)
{
    long double sum = 0, magnitude = 0;

    for (size_t i = 0; i < count; i++) {
        sum += values[i];
        magnitude += fabs(values[i]);
    }
    if (!(fabsl(sum) > magnitude * 0x1p-52L * (long double)count) || !isfinite((double)sum))
        return convolve_fail(
            error, "invalid-value", "/normalize",
            "the kernel's values sum to 0, so they cannot be divided by their sum; leave normalize out");
    for (size_t i = 0; i < count; i++)
        values[i] = (double)(values[i] / sum);
    return true;
}

bool image_members_make_kernel(struct image_members *members, struct request *request, struct convolve_error *error)
{
    void *values = members->values;
    size_t count;

    if (!values && !named_kernel_values(&members->named, &members->kernel, CONVOLVE_FLOAT64, request, &values, error))
        return false;
    members->values = values;
    return !members->normalize || (convolve_shape_count(&members->kernel, &count) && normalize(values, count, error));
}
