/* SPDX-License-Identifier: MIT */
/* Reads a request of the layers: first what is missing, then every member in the order of the contract's tables. After each
 * member that counts axes the core looks whether it fits the weight, so that the first fault is the one that is told. */
#include "server/endpoints/layers_members.h"

#include <stdio.h>
#include <string.h>

#include "server/request.h"

#define COMMON_SCHEMA                                                                                                  \
    OPTIONS_SCHEMA, {"stride", false}, {"dilation", false}, {"padding", false}, {"groups", false}, {"layout", false},  \
        {"method", false},                                                                                             \
    {                                                                                                                  \
        "padding_mode", false                                                                                          \
    }

static const struct json_schema_member conv_rows[] = {COMMON_SCHEMA, {"input", true}, {"weight", true}, {"bias", true}};
static const struct json_schema_member transpose_rows[] = {
    COMMON_SCHEMA,  {"input", true},           {"weight", true},
    {"bias", true}, {"output_padding", false}, {"output_shape", false}};
static const struct json_schema_member backward_input_rows[] = {
    COMMON_SCHEMA, {"weight", true}, {"grad_output", true}, {"input_shape", false}};
static const struct json_schema_member backward_weight_rows[] = {
    COMMON_SCHEMA, {"input", true}, {"grad_output", true}, {"weight_shape", false}};

#define SCHEMA(rows, example)                                                                                          \
    {                                                                                                                  \
        rows, sizeof(rows) / sizeof *(rows), example                                                                   \
    }
const struct json_schema layers_schemas[] = {
    [CONVOLVE_LAYER_CONV] = SCHEMA(conv_rows, "{\"input\": [[[1, 2, 3]]], \"weight\": [[[1, 1]]]}"),
    [CONVOLVE_LAYER_TRANSPOSE] = SCHEMA(transpose_rows, "{\"input\": [[[1, 2, 3]]], \"weight\": [[[1, 1]]]}"),
    [CONVOLVE_LAYER_BACKWARD_INPUT] = SCHEMA(
        backward_input_rows, "{\"grad_output\": [[[1, 2]]], \"weight\": [[[1, 1]]], \"input_shape\": [1, 1, 3]}"),
    [CONVOLVE_LAYER_BACKWARD_WEIGHT] = SCHEMA(
        backward_weight_rows, "{\"grad_output\": [[[1, 2]]], \"input\": [[[1, 2, 3]]], \"weight_shape\": [1, 1, 2]}"),
};

static const char *const padding_names[] = {"valid", "same", "same_lower", NULL};
static const enum convolve_layer_padding paddings[] = {CONVOLVE_LAYER_VALID, CONVOLVE_LAYER_SAME,
                                                       CONVOLVE_LAYER_SAME_LOWER};
static const char *const mode_names[] = {"zeros", "reflect", "replicate", "circular", NULL};
static const enum convolve_boundary modes[] = {CONVOLVE_CONSTANT, CONVOLVE_REFLECT, CONVOLVE_EDGE, CONVOLVE_WRAP};
static const char *const layout_names[] = {"channels_first", "channels_last", NULL};
static const char *const method_names[] = {"auto", "direct", "winograd", "fft", NULL};
static const enum convolve_method methods[] = {CONVOLVE_AUTO, CONVOLVE_DIRECT, CONVOLVE_WINOGRAD, CONVOLVE_FFT};

/* ---- Shapes and tensors ---- */

/* A list of sizes, each 1 or more. */
static bool shape_read(const struct json_value *value, const char *pointer, struct convolve_shape *shape,
                       struct convolve_error *error)
{
    if (json_type_of(value) != JSON_LIST)
        return convolve_fail(error, "invalid-value", pointer, "%s; it is a list of sizes, such as [1, 3, 8, 8]",
                             json_type_name(value));
    const size_t count = json_list_count(value);
    if (count > CONVOLVE_RANK_MAX)
        return convolve_fail(error, "invalid-value", pointer, "a list of %zu sizes; a tensor has at most %d axes",
                             count, CONVOLVE_RANK_MAX);
    shape->rank = (unsigned)count;
    for (size_t i = 0; i < count; i++) {
        char item[64];
        int64_t size;
        snprintf(item, sizeof item, "%s/%zu", pointer, i);
        if (!json_read_integer(json_list_at(value, i), item, 1, INT64_C(1) << 53, &size, error))
            return false;
        shape->size[i] = (size_t)size;
    }
    return true;
}

static bool read_tensor(struct layers_members *members, const struct json_body *body, const char *pointer,
                        struct convolve_shape *shape, const void **tensor, struct request *request,
                        struct convolve_error *error)
{
    const struct json_value *value = json_member(body, pointer + 1);
    void *values = NULL;

    if (!value)
        return true;
    if (!tensor_read(value, pointer, members->spec.dtype, members->options.plan, false, shape, &values, &request->arena,
                     error))
        return false;
    *tensor = values;
    members->shape_only |= !values;
    return true;
}

/* ---- What is missing ---- */

static bool require_members(enum convolve_layer_operation operation, const struct json_body *body,
                            struct convolve_error *error)
{
    const bool backward_input = operation == CONVOLVE_LAYER_BACKWARD_INPUT;
    const bool backward_weight = operation == CONVOLVE_LAYER_BACKWARD_WEIGHT;

    if (!backward_input && !member_required(body, "input", "a tensor [N, C, spatial...], or [C, spatial...]", error))
        return false;
    if (!backward_weight &&
        !member_required(body, "weight",
                         operation == CONVOLVE_LAYER_TRANSPOSE ? "a tensor [C, M/groups, kernel...]"
                                                               : "a tensor [M, C/groups, kernel...]",
                         error))
        return false;
    if ((backward_input || backward_weight) &&
        !member_required(body, "grad_output", "a tensor of the shape that conv's output has", error))
        return false;
    if (backward_input && !member_required(body, "input_shape", "the shape of conv's input", error))
        return false;
    return !backward_weight || member_required(body, "weight_shape", "the shape of conv's weight", error);
}

/* ---- Members ---- */

static bool read_padding(struct convolve_layer_spec *spec, const struct json_value *value, struct convolve_error *error)
{
    unsigned choice;

    if (!value || json_type_of(value) != JSON_STRING)
        return padding_read(value, "/padding", &spec->cells, error);
    if (!json_read_choice(value, "/padding", padding_names, &choice, error))
        return false;
    spec->padding = paddings[choice];
    return true;
}

static bool read_groups(struct convolve_layer_spec *spec, const struct json_value *value, struct convolve_error *error)
{
    int64_t groups = 1;

    if (value && !json_read_integer(value, "/groups", 1, INT64_C(1) << 53, &groups, error))
        return false;
    spec->groups = (size_t)groups;
    return true;
}

static bool read_choices(struct convolve_layer_spec *spec, const struct json_body *body, struct convolve_error *error)
{
    const struct json_value *value;
    unsigned choice;

    spec->groups = 1;
    if (!per_axis_read(json_member(body, "stride"), "/stride", 1, &spec->stride, error) ||
        !convolve_layer_check_members(spec, error) ||
        !per_axis_read(json_member(body, "dilation"), "/dilation", 1, &spec->dilation, error) ||
        !convolve_layer_check_members(spec, error) || !read_padding(spec, json_member(body, "padding"), error) ||
        !convolve_layer_check_members(spec, error))
        return false;
    if ((value = json_member(body, "padding_mode"))) {
        if (!json_read_choice(value, "/padding_mode", mode_names, &choice, error))
            return false;
        spec->padding_mode = modes[choice];
        if (!convolve_layer_check_members(spec, error))
            return false;
    }
    if (!read_groups(spec, json_member(body, "groups"), error))
        return false;
    if ((value = json_member(body, "layout"))) {
        if (!json_read_choice(value, "/layout", layout_names, &choice, error))
            return false;
        spec->channels_last = choice == 1;
    }
    return per_axis_read(json_member(body, "output_padding"), "/output_padding", 0, &spec->output_padding, error) &&
           convolve_layer_check_members(spec, error) &&
           per_axis_read(json_member(body, "output_shape"), "/output_shape", 1, &spec->output_shape, error) &&
           convolve_layer_check_members(spec, error);
}

static bool read_method(struct convolve_layer_spec *spec, const struct json_value *value, struct convolve_error *error)
{
    unsigned choice;

    if (!value)
        return true;
    if (!json_read_choice(value, "/method", method_names, &choice, error))
        return false;
    spec->method = methods[choice];
    return true;
}

bool layers_members_read(struct layers_members *members, enum convolve_layer_operation operation,
                         const struct json_body *body, struct request *request, struct convolve_error *error)
{
    struct convolve_layer_spec *spec = &members->spec;
    struct convolve_run *tensors = &members->tensors;
    struct dtype_default standard = {0};
    const struct json_value *value;
    static const char *const names[] = {"input", "weight", "bias", "grad_output"};

    *members = (struct layers_members){.spec = {.operation = operation, .groups = 1}};
    if (!require_members(operation, body, error) || !options_read(&members->options, body, error))
        return false;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        dtype_default_add(&standard, json_member(body, names[i]));
    spec->dtype = members->options.dtype_given ? members->options.dtype : dtype_default_result(&standard);
    spec->max_error_given = members->options.max_error_given;
    spec->max_error = members->options.max_error;
    spec->bias_given = json_member(body, "bias") != NULL;

    if (!read_tensor(members, body, "/input", &spec->input, &tensors->input, request, error) ||
        !read_tensor(members, body, "/weight", &spec->weight, &tensors->kernel, request, error) ||
        !read_tensor(members, body, "/bias", &spec->bias, &tensors->bias, request, error))
        return false;
    /* How many axes there are is said by a member further down; its own faults are told in their turn. */
    if ((value = json_member(body, "weight_shape")) && !shape_read(value, "/weight_shape", &spec->weight, NULL))
        spec->weight.rank = 0;
    if (!read_choices(spec, body, error) ||
        !read_tensor(members, body, "/grad_output", &spec->grad_output, &tensors->grad_output, request, error))
        return false;
    if (value && !shape_read(value, "/weight_shape", &spec->weight, error))
        return false;
    if ((value = json_member(body, "input_shape")) && !shape_read(value, "/input_shape", &spec->input, error))
        return false;
    return read_method(spec, json_member(body, "method"), error);
}
