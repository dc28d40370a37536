/* SPDX-License-Identifier: MIT */
/* Members that every compute path knows. Read in the order of the contract's table, so that of several faults the first named
 * there is the one that is told. */
#include "server/endpoints/options.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const int64_t integer_max = INT64_C(1) << 53;

static const char *const dtype_names[] = {"float64", "float32", "int64", "complex128", "complex64", NULL};
static const char *const format_names[] = {"nested", "flat", "base64", NULL};
static const char *const nonfinite_names[] = {"error", "null", NULL};

bool options_read(struct options *options, const struct json_body *body, struct convolve_error *error)
{
    const struct json_value *value;
    unsigned choice = 0;
    int64_t integer;

    *options = (struct options){0};
    if ((value = json_member(body, "dtype"))) {
        if (!json_read_choice(value, "/dtype", dtype_names, &choice, error))
            return false;
        options->dtype_given = true;
        options->dtype = (enum convolve_dtype)choice;
    }
    if ((value = json_member(body, "format"))) {
        if (!json_read_choice(value, "/format", format_names, &choice, error))
            return false;
        options->format = (enum answer_format)choice;
    }
    if ((value = json_member(body, "nonfinite"))) {
        if (!json_read_choice(value, "/nonfinite", nonfinite_names, &choice, error))
            return false;
        options->nonfinite_null = choice == 1;
    }
    if ((value = json_member(body, "timeout_ms"))) {
        if (!json_read_integer(value, "/timeout_ms", 1, integer_max, &integer, error))
            return false;
        options->timeout_ms = (uint64_t)integer;
    }
    if ((value = json_member(body, "plan")) && !json_read_boolean(value, "/plan", &options->plan, error))
        return false;
    if ((value = json_member(body, "max_error"))) {
        if (!json_read_number(value, "/max_error", &options->max_error, error))
            return false;
        if (options->max_error < 0)
            return convolve_fail(error, "invalid-value", "/max_error", "max_error is negative; it is 0 or more");
        options->max_error_given = true;
    }
    return true;
}

void dtype_default_add(struct dtype_default *standard, const struct json_value *tensor)
{
    if (!tensor || json_names_kernel(tensor))
        return;
    const struct json_typed *typed = json_tensor_typed(tensor);
    standard->untyped |= !typed;
    if (typed)
        json_typed_add(&standard->typed, typed);
}

enum convolve_dtype dtype_default_result(const struct dtype_default *standard)
{
    return standard->untyped ? CONVOLVE_FLOAT64 : json_typed_result(&standard->typed);
}

bool per_axis_read(const struct json_value *value, const char *pointer, int64_t minimum,
                   struct convolve_per_axis *result, struct convolve_error *error)
{
    int64_t integer;

    *result = (struct convolve_per_axis){0};
    if (!value)
        return true;
    result->given = true;
    if (json_type_of(value) != JSON_LIST) {
        result->scalar = true;
        result->count = 1;
        if (!json_read_integer(value, pointer, minimum, integer_max, &integer, error))
            return false;
        result->value[0] = (size_t)integer;
        return true;
    }
    const size_t count = json_list_count(value);
    if (count > CONVOLVE_RANK_MAX)
        return convolve_fail(error, "invalid-value", pointer,
                             "a list of %zu; it has one integer per convolved axis, at most %d", count,
                             CONVOLVE_RANK_MAX);
    result->count = (unsigned)count;
    for (size_t i = 0; i < count; i++) {
        char item[64];
        snprintf(item, sizeof item, "%s/%zu", pointer, i);
        if (!json_read_integer(json_list_at(value, i), item, minimum, integer_max, &integer, error))
            return false;
        result->value[i] = (size_t)integer;
    }
    return true;
}

/* One side or both sides of one axis. */
static bool padding_item_read(const struct json_value *value, const char *pointer, size_t *before, size_t *after,
                              struct convolve_error *error)
{
    size_t *const sides[2] = {before, after};
    int64_t integer;

    if (json_type_of(value) != JSON_LIST) {
        if (!json_read_integer(value, pointer, 0, integer_max, &integer, error))
            return false;
        *before = *after = (size_t)integer;
        return true;
    }
    if (json_list_count(value) != 2)
        return convolve_fail(error, "invalid-value", pointer, "a list of %zu; an axis takes [before, after]",
                             json_list_count(value));
    for (size_t i = 0; i < 2; i++) {
        char item[80];
        snprintf(item, sizeof item, "%s/%zu", pointer, i);
        if (!json_read_integer(json_list_at(value, i), item, 0, integer_max, &integer, error))
            return false;
        *sides[i] = (size_t)integer;
    }
    return true;
}

bool padding_read(const struct json_value *value, const char *pointer, struct convolve_padding *result,
                  struct convolve_error *error)
{
    *result = (struct convolve_padding){0};
    if (!value)
        return true;
    result->given = true;
    if (json_type_of(value) != JSON_LIST) {
        result->scalar = true;
        result->count = 1;
        return padding_item_read(value, pointer, &result->before[0], &result->after[0], error);
    }
    const size_t count = json_list_count(value);
    if (count > CONVOLVE_RANK_MAX)
        return convolve_fail(error, "invalid-value", pointer,
                             "a list of %zu; it has one integer or one [before, after] per convolved axis, at most %d",
                             count, CONVOLVE_RANK_MAX);
    result->count = (unsigned)count;
    for (size_t i = 0; i < count; i++) {
        char item[64];
        snprintf(item, sizeof item, "%s/%zu", pointer, i);
        if (!padding_item_read(json_list_at(value, i), item, &result->before[i], &result->after[i], error))
            return false;
    }
    return true;
}

static bool part_read(const struct json_value *value, const char *pointer, enum convolve_dtype dtype, double *result,
                      struct convolve_error *error)
{
    const bool single = dtype == CONVOLVE_FLOAT32 || dtype == CONVOLVE_COMPLEX64;

    if (!json_read_number(value, pointer, result, error))
        return false;
    if (single && isinf((float)*result))
        return convolve_fail(error, "invalid-value", pointer, "the number is beyond %s, whose largest is 3.4028235e38",
                             convolve_dtype_name(dtype));
    if (single)
        *result = (double)(float)*result;
    return true;
}

bool scalar_read(const struct json_value *value, const char *pointer, enum convolve_dtype dtype,
                 struct convolve_scalar *result, struct convolve_error *error)
{
    char part[64];

    *result = (struct convolve_scalar){0};
    if (!value)
        return true;
    if (dtype == CONVOLVE_INT64)
        return json_read_integer(value, pointer, -integer_max, integer_max, &result->integer, error);
    if (json_type_of(value) != JSON_OBJECT)
        return part_read(value, pointer, dtype, &result->real, error);
    if (!convolve_dtype_is_complex(dtype))
        return convolve_fail(error, "invalid-value", pointer,
                             "an object; with dtype %s it is a number, {\"real\", \"imag\"} goes with a complex dtype",
                             convolve_dtype_name(dtype));
    for (size_t i = 0; i < json_object_count(value); i++) {
        const char *name;
        const struct json_value *item = json_object_at(value, i, &name);
        const bool real = !strcmp(name, "real");
        if (!real && strcmp(name, "imag") != 0)
            return convolve_fail(error, "unknown-member", pointer, "a complex number has the members real and imag");
        snprintf(part, sizeof part, "%s/%s", pointer, name);
        if (!part_read(item, part, dtype, real ? &result->real : &result->imag, error))
            return false;
    }
    return true;
}

bool tensor_read(const struct json_value *value, const char *pointer, enum convolve_dtype dtype, bool plan,
                 bool allow_missing, struct convolve_shape *shape, void **values, struct arena *arena,
                 struct convolve_error *error)
{
    bool shape_only = false;

    if (!json_tensor_shape(value, pointer, plan, &shape_only, shape, error))
        return false;
    return shape_only || json_tensor_values(value, pointer, dtype, allow_missing, arena, values, error);
}

bool member_required(const struct json_body *body, const char *name, const char *meaning, struct convolve_error *error)
{
    char pointer[64];

    if (json_member(body, name))
        return true;
    snprintf(pointer, sizeof pointer, "/%s", name);
    return convolve_fail(error, "missing-member", pointer, "the request has no member \"%s\"; it is required: %s", name,
                         meaning);
}
