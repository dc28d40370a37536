/* SPDX-License-Identifier: MIT */
/* Reads a request of the convolve family: first what is missing, then every member in the order of the contract's tables. The
 * shapes are judged later, by the core, from the spec. */
#include "server/endpoints/convolve_members.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "server/admission.h"
#include "server/nearest.h"
#include "server/request.h"

static const struct json_schema_member member_rows[] = {
    OPTIONS_SCHEMA,      {"input", true},     {"kernel", true},     {"mode", false},
    {"padding", false},  {"boundary", false}, {"fillvalue", false}, {"stride", false},
    {"dilation", false}, {"axes", false},     {"method", false},    {"missing", false},
};
const struct json_schema convolve_schema = {member_rows, sizeof member_rows / sizeof *member_rows,
                                            "{\"input\": [1, 2, 3], \"kernel\": [1, 1]}"};

static const char *const mode_names[] = {"full", "same", "valid", NULL};
static const char *const boundary_names[] = {"constant", "wrap", "symmetric", "reflect", "edge", "fill", "symm", NULL};
static const enum convolve_boundary boundaries[] = {CONVOLVE_CONSTANT, CONVOLVE_WRAP, CONVOLVE_SYMMETRIC,
                                                    CONVOLVE_REFLECT,  CONVOLVE_EDGE, CONVOLVE_CONSTANT,
                                                    CONVOLVE_SYMMETRIC};
static const char *const method_names[] = {"auto", "direct", "separable", "fft", "overlap_add", NULL};
static const char *const missing_names[] = {"propagate", "ignore", NULL};

static bool axes_read(const struct json_value *value, struct convolve_spec *spec, struct convolve_error *error)
{
    if (!value)
        return true;
    spec->axes_given = true;
    if (json_type_of(value) != JSON_LIST) {
        spec->axis_count = 1;
        return json_read_integer(value, "/axes", INT32_MIN, INT32_MAX, &spec->axes[0], error);
    }
    const size_t count = json_list_count(value);
    if (count > CONVOLVE_RANK_MAX)
        return convolve_fail(error, "invalid-value", "/axes", "a list of %zu axes; a tensor has at most %d", count,
                             CONVOLVE_RANK_MAX);
    spec->axis_count = (unsigned)count;
    for (size_t i = 0; i < count; i++) {
        char item[64];
        snprintf(item, sizeof item, "/axes/%zu", i);
        if (!json_read_integer(json_list_at(value, i), item, INT32_MIN, INT32_MAX, &spec->axes[i], error))
            return false;
    }
    return true;
}

/* ---- Tensors ---- */

enum { NAMED_VALUES_AT_ONCE = 4096 }; /* are made where the members are read */

bool convolve_members_make_kernel(struct convolve_members *members, struct request *request,
                                  struct convolve_error *error)
{
    const struct named_kernel named = members->named;
    members->named.kernel = NULL;
    return named.kernel == NULL ||
           named_kernel_values(&named, &members->spec.kernel, members->spec.dtype, request, &members->kernel, error);
}

static bool kernel_read(struct convolve_members *members, const struct json_value *value, struct request *request,
                        struct convolve_error *error)
{
    struct convolve_spec *spec = &members->spec;
    struct named_kernel named;

    if (!json_names_kernel(value))
        return tensor_read(value, "/kernel", spec->dtype, members->options.plan, false, &spec->kernel, &members->kernel,
                           &request->arena, error);
    named.axes = spec->axes_given ? spec->axis_count : spec->input.rank;
    if (!named_kernel_read(&named, value, NULL, error) ||
        !convolve_named_kernel_shape(named.kernel, named.parameters, named.axes, "/kernel", &spec->kernel, error))
        return false;
    /* What it would cost is judged before the values are made: a size can be anything. */
    size_t count;
    const struct convolve_cost values_cost = {
        .dtype = CONVOLVE_FLOAT64,
        .tensor_bytes = convolve_shape_count(&spec->kernel, &count) && count < SIZE_MAX / 16 ? 16 * count : UINT64_MAX};
    if (members->options.plan && !members->input)
        return true;
    if (!admission_check(request, &values_cost, error)) {
        if (!members->options.plan)
            return false;
        *error = (struct convolve_error){0}; /* a plan is never too large: it is one of shapes then */
        return true;
    }
    members->named = named;
    return count > NAMED_VALUES_AT_ONCE || convolve_members_make_kernel(members, request, error);
}

static bool choices_read(struct convolve_members *members, const struct json_body *body, struct convolve_error *error)
{
    struct convolve_spec *spec = &members->spec;
    const struct json_value *value;
    unsigned choice;

    if ((value = json_member(body, "mode"))) {
        if (!json_read_choice(value, "/mode", mode_names, &choice, error))
            return false;
        spec->mode = (enum convolve_mode)choice;
        spec->mode_given = true;
    }
    if ((value = json_member(body, "padding")) && json_type_of(value) == JSON_STRING)
        return convolve_fail(error, "invalid-value", "/padding",
                             "padding is a string; here it takes integers, without quotes: \"same\" and \"valid\" are "
                             "values of mode");
    if (!padding_read(value, "/padding", &spec->padding, error))
        return false;
    if ((value = json_member(body, "boundary"))) {
        if (!json_read_choice(value, "/boundary", boundary_names, &choice, error))
            return false;
        spec->boundary = boundaries[choice];
    }
    if (!scalar_read(json_member(body, "fillvalue"), "/fillvalue", spec->dtype, &spec->fillvalue, error) ||
        !per_axis_read(json_member(body, "stride"), "/stride", 1, &spec->stride, error) ||
        !per_axis_read(json_member(body, "dilation"), "/dilation", 1, &spec->dilation, error) ||
        !axes_read(json_member(body, "axes"), spec, error) || !convolve_check_members(spec, error))
        return false;
    if ((value = json_member(body, "method"))) {
        if (!json_read_choice(value, "/method", method_names, &choice, error))
            return false;
        spec->method = (enum convolve_method)choice;
    }
    return true;
}

bool convolve_members_read(struct convolve_members *members, enum convolve_operation operation,
                           const struct json_body *body, struct request *request, struct convolve_error *error)
{
    struct convolve_spec *spec = &members->spec;
    struct dtype_default standard = {0};
    const struct json_value *input, *kernel, *value, *axes;
    unsigned missing = 0;

    *members = (struct convolve_members){.spec = {.operation = operation}};
    if (!member_required(body, "input", "a tensor, such as [[1, 2], [3, 4]]", error) ||
        !member_required(body, "kernel", "a tensor, or the name of a kernel", error) ||
        !options_read(&members->options, body, error))
        return false;
    input = json_member(body, "input");
    kernel = json_member(body, "kernel");
    dtype_default_add(&standard, input);
    dtype_default_add(&standard, kernel);
    spec->dtype = members->options.dtype_given ? members->options.dtype : dtype_default_result(&standard);
    spec->max_error_given = members->options.max_error_given;
    spec->max_error = members->options.max_error;

    /* Two members say how the tensors before them are to be read. Their own faults are told in their turn. */
    if ((value = json_member(body, "missing")) && json_read_choice(value, "/missing", missing_names, &missing, NULL))
        spec->ignore_missing = missing == 1;
    if ((axes = json_member(body, "axes"))) {
        struct convolve_spec early = {0};
        if (axes_read(axes, &early, NULL)) {
            spec->axes_given = early.axes_given;
            spec->axis_count = early.axis_count;
        }
    }
    if (!tensor_read(input, "/input", spec->dtype, members->options.plan, spec->ignore_missing, &spec->input,
                     &members->input, &request->arena, error) ||
        !kernel_read(members, kernel, request, error) || !choices_read(members, body, error))
        return false;
    return !value || json_read_choice(value, "/missing", missing_names, &missing, error);
}
