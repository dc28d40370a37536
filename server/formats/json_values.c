/* SPDX-License-Identifier: MIT */
/* From a tensor as it arrived to what is computed with: its shape, with every fault of notation, then its values in the dtype that
 * is asked for, in the memory they already have wherever that is large enough. */
#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "server/formats/json_body.h"

enum { POINTER_BYTES = 256 };

static bool fail_field(struct convolve_error *error, const char *slug, const char *pointer, const char *field,
                       const char *detail)
{
    char whole[POINTER_BYTES];
    snprintf(whole, sizeof whole, "%s/%s", pointer, field);
    return convolve_fail(error, slug, whole, "%s", detail);
}

const struct json_typed *json_tensor_typed(const struct json_value *value)
{
    return value->type == JSON_TENSOR && value->tensor->has[FIELD_BASE64] ? value->tensor->typed : NULL;
}

/* ---- Shape ---- */

static bool check_missing(const struct json_tensor *tensor, const char *pointer, bool allow_shape_only,
                          struct convolve_error *error)
{
    const bool *has = tensor->has;
    const char *missing = NULL, *why = "a tensor that is an object has a shape";
    if (!has[FIELD_SHAPE]) {
        missing = "shape";
    } else if (has[FIELD_REAL] != has[FIELD_IMAG]) {
        missing = has[FIELD_REAL] ? "imag" : "real";
        why = "complex values have real and imag, two lists of the same length";
    } else if (has[FIELD_BASE64] && !has[FIELD_DTYPE]) {
        missing = "dtype";
        why = "base64 needs the dtype of its bytes beside it";
    } else if (!has[FIELD_DATA] && !has[FIELD_REAL] && !has[FIELD_BASE64] && !(allow_shape_only && !has[FIELD_DTYPE])) {
        missing = has[FIELD_DTYPE] ? "base64" : "data";
        why = has[FIELD_DTYPE]
                  ? "a tensor with a dtype has its values in base64"
                  : "a tensor needs its values: data, real and imag, or dtype and base64 (only a plan needs none)";
    }
    return !missing || fail_field(error, "missing-member", pointer, missing, why);
}

static bool check_conflicts(const struct json_tensor *tensor, const char *pointer, struct convolve_error *error)
{
    const bool *has = tensor->has;
    if (has[FIELD_BASE64] && (has[FIELD_DATA] || has[FIELD_REAL]))
        return fail_field(error, "invalid-value", pointer, "base64",
                          "values come once: as lists of numbers or as base64");
    if (has[FIELD_DATA] && has[FIELD_REAL])
        return fail_field(error, "invalid-value", pointer, "data", "values come once: as data or as real and imag");
    if (has[FIELD_DTYPE] && !has[FIELD_BASE64])
        return fail_field(
            error, "invalid-value", pointer, "dtype",
            "the dtype of a tensor says what its base64 holds; lists of numbers have none, the dtype that is "
            "computed in is a member of the request");
    return true;
}

static bool fail_length(struct convolve_error *error, const char *pointer, const char *field,
                        const struct convolve_shape *shape, size_t found, const char *unit)
{
    char whole[POINTER_BYTES], product[32] = "more than can be counted";
    size_t count;
    if (convolve_shape_count(shape, &count))
        snprintf(product, sizeof product, "%zu", count);
    snprintf(whole, sizeof whole, "%s/%s", pointer, field);
    return convolve_fail(error, "shape-mismatch", whole, "the shape asks for %s elements, %s holds %zu%s", product,
                         field, found, unit);
}

static bool check_lengths(const struct json_tensor *tensor, const char *pointer, struct convolve_error *error)
{
    const struct convolve_shape *shape = &tensor->shape;
    size_t count, bytes;
    const bool counted = convolve_shape_count(shape, &count);
    for (unsigned i = 0; i < 3; i++) {
        if (tensor->has[FIELD_DATA + i] && (!counted || tensor->numbers[i].count != count))
            return fail_length(error, pointer, json_field_names[FIELD_DATA + i], shape, tensor->numbers[i].count, "");
    }
    if (tensor->has[FIELD_BASE64] && (!counted || __builtin_mul_overflow(count, (size_t)tensor->typed->bytes, &bytes) ||
                                      bytes != tensor->byte_count)) {
        char unit[48];
        snprintf(unit, sizeof unit, " bytes (%s: %u each)", tensor->typed->name, tensor->typed->bytes);
        return fail_length(error, pointer, "base64", shape, tensor->byte_count, unit);
    }
    return true;
}

static bool fail_no_tensor(const struct json_value *value, const char *pointer, struct convolve_error *error)
{
    if (value->type == JSON_OBJECT)
        return fail_field(error, "unknown-member", pointer, "name",
                          "a tensor has no member \"name\": only a kernel can be named");
    return convolve_fail(error, "invalid-value", pointer,
                         "expected a tensor (a nested array of numbers, or an object of shape and data), found %s%s",
                         json_type_name(value), value->type == JSON_STRING ? ": lists stand without quotes" : "");
}

bool json_tensor_shape(const struct json_value *value, const char *pointer, bool allow_shape_only, bool *shape_only,
                       struct convolve_shape *shape, struct convolve_error *error)
{
    struct json_tensor *tensor = value->tensor;
    *shape_only = false;
    if (value->type != JSON_TENSOR)
        return fail_no_tensor(value, pointer, error);
    if (tensor->object && !check_missing(tensor, pointer, allow_shape_only, error))
        return false;
    if (tensor->fault) {
        char whole[POINTER_BYTES];
        snprintf(whole, sizeof whole, "%.*s%.170s", 80, pointer, tensor->fault->pointer);
        return convolve_fail(error, tensor->fault->slug, whole, "%s", tensor->fault->detail);
    }
    if (!tensor->object) {
        tensor->shape.rank = tensor->rows.rank;
        memcpy(tensor->shape.size, tensor->rows.size, sizeof tensor->rows.size);
    } else {
        if (!check_conflicts(tensor, pointer, error) || !check_lengths(tensor, pointer, error))
            return false;
        *shape_only = !tensor->has[FIELD_DATA] && !tensor->has[FIELD_REAL] && !tensor->has[FIELD_BASE64];
    }
    *shape = tensor->shape;
    return true;
}

/* ---- Values ---- */

/* The pointer to number `index` of a list, and how it is called in a detail. */
static void number_pointer(const struct json_tensor *tensor, unsigned list, const char *pointer, size_t index,
                           char out[POINTER_BYTES])
{
    if (tensor->object) {
        snprintf(out, POINTER_BYTES, "%.*s/%s/%zu", 80, pointer, json_field_names[FIELD_DATA + list], index);
        return;
    }
    size_t place[CONVOLVE_RANK_MAX];
    for (unsigned axis = tensor->rows.rank; axis-- > 0; index /= tensor->rows.size[axis])
        place[axis] = index % tensor->rows.size[axis];
    size_t used = (size_t)snprintf(out, POINTER_BYTES, "%.*s", 80, pointer);
    for (unsigned axis = 0; axis < tensor->rows.rank && used < POINTER_BYTES; axis++)
        used += (size_t)snprintf(out + used, POINTER_BYTES - used, "/%zu", place[axis]);
}

static bool fail_number(const struct json_tensor *tensor, unsigned list, const char *pointer, size_t index,
                        const char *slug, const char *detail, struct convolve_error *error)
{
    char whole[POINTER_BYTES];
    number_pointer(tensor, list, pointer, index, whole);
    return convolve_fail(error, slug, whole, "%s", detail);
}

/* Whether the numbers of a list can have that dtype: the first that cannot is named. */
static bool check_numbers(const struct json_tensor *tensor, unsigned list, const char *pointer,
                          enum convolve_dtype dtype, bool allow_missing, struct convolve_error *error)
{
    const struct json_numbers *numbers = &tensor->numbers[list];
    const bool integers = dtype == CONVOLVE_INT64, null = numbers->null_index != SIZE_MAX;
    if (integers && numbers->inexact_index < numbers->null_index) {
        const bool beyond = numbers->inexact_kind == JSON_NUMBER_BEYOND_INT64;
        return fail_number(
            tensor, list, pointer, numbers->inexact_index, beyond ? "integer-overflow" : "invalid-value",
            beyond ? "the integer is beyond int64" : "expected an integer under dtype int64, found a fraction", error);
    }
    if (null && !allow_missing)
        return fail_number(tensor, list, pointer, numbers->null_index, "not-a-number",
                           "expected a number, found null (holes need \"missing\": \"ignore\")", error);
    if (null && integers)
        return fail_number(tensor, list, pointer, numbers->null_index, "invalid-value",
                           "a missing value needs a floating-point dtype, int64 has no NaN", error);
    return true;
}

static bool narrow_to_float32(struct json_numbers *numbers, size_t *beyond)
{
    if (numbers->form == NUMBERS_FLOAT32) {
        *beyond = numbers->beyond_float32_index;
        return *beyond == SIZE_MAX;
    }
    char *bytes = numbers->values;
    *beyond = SIZE_MAX;
    for (size_t i = 0; i < numbers->count; i++) {
        double real;
        memcpy(&real, bytes + i * sizeof real, sizeof real);
        const float single = (float)real;
        if (isinf(single) && *beyond == SIZE_MAX)
            *beyond = i;
        memcpy(bytes + i * sizeof single, &single, sizeof single);
    }
    numbers->form = NUMBERS_FLOAT32;
    return *beyond == SIZE_MAX;
}

/* Converts a list in place to the real type that `dtype` consists of. */
static bool settle_numbers(struct json_tensor *tensor, unsigned list, const char *pointer, enum convolve_dtype dtype,
                           struct convolve_error *error)
{
    struct json_numbers *numbers = &tensor->numbers[list];
    size_t beyond;
    /* Where dtype was known in time the numbers have its form, and it is what is asked for. */
    const bool single = dtype == CONVOLVE_FLOAT32 || dtype == CONVOLVE_COMPLEX64;
    assert(numbers->form != NUMBERS_FLOAT32 || single);
    assert(numbers->form == NUMBERS_WHOLE || numbers->form == NUMBERS_INT64 || dtype != CONVOLVE_INT64);
    if (dtype == CONVOLVE_INT64) {
        if (numbers->form == NUMBERS_WHOLE)
            json_numbers_to_int64(numbers);
        json_numbers_settle_integers(numbers);
        return true;
    }
    if (numbers->form == NUMBERS_INT64 || numbers->form == NUMBERS_WHOLE)
        json_numbers_to_float64(numbers);
    if (single && !narrow_to_float32(numbers, &beyond))
        return fail_number(tensor, list, pointer, beyond, "invalid-value", "the number is beyond float32", error);
    return true;
}

/* The block as large as `bytes`, but for empty tensors at least one; NULL: the error is filled, the block stays. */
static void *fit_block(struct arena *arena, void *block, size_t bytes, struct convolve_error *error)
{
    void *fitting = arena_block_resize(arena, block, bytes ? bytes : 1);
    if (!fitting)
        json_fail_memory(arena, error);
    return fitting;
}

/* Pairs of elements of `bytes` each; `imag` may be NULL. From the end, because `to` may begin where `real` does. */
static void interleave(char *to, const char *real, const char *imag, size_t count, size_t bytes)
{
    static const char zeros[sizeof(double)];
    for (size_t i = count; i-- > 0;) {
        char pair[2 * sizeof(double)];
        memcpy(pair, real + i * bytes, bytes);
        memcpy(pair + bytes, imag ? imag + i * bytes : zeros, bytes);
        memcpy(to + 2 * i * bytes, pair, 2 * bytes);
    }
}

static bool numbers_values(struct json_tensor *tensor, const char *pointer, enum convolve_dtype dtype,
                           bool allow_missing, struct arena *arena, void **values, struct convolve_error *error)
{
    const bool pairs = tensor->has[FIELD_REAL];
    const unsigned first = pairs ? 1 : 0, last = pairs ? 2 : 0;
    const size_t count = tensor->numbers[first].count;
    size_t bytes;
    if (pairs && !convolve_dtype_is_complex(dtype))
        return fail_field(error, "invalid-value", pointer, "imag", "complex values need dtype complex128 or complex64");
    if (__builtin_mul_overflow(count, convolve_dtype_bytes(dtype), &bytes))
        return convolve_fail(error, "too-large", pointer, "the tensor does not fit into memory");
    for (unsigned list = first; list <= last; list++) {
        if (!check_numbers(tensor, list, pointer, dtype, allow_missing, error) ||
            !settle_numbers(tensor, list, pointer, dtype, error))
            return false;
    }
    *values = fit_block(arena, tensor->numbers[first].values, bytes, error);
    if (!*values)
        return false;
    tensor->numbers[first].values = NULL;
    if (convolve_dtype_is_complex(dtype)) {
        interleave(*values, *values, pairs ? tensor->numbers[last].values : NULL, count,
                   convolve_dtype_bytes(dtype) / 2);
        json_numbers_discard(&tensor->numbers[last == first ? 1 : last]);
    }
    tensor->numbers[first].count = tensor->numbers[first].capacity = 0;
    return true;
}

static bool typed_values(struct json_tensor *tensor, const char *pointer, enum convolve_dtype dtype,
                         struct arena *arena, void **values, struct convolve_error *error)
{
    const struct json_typed *typed = tensor->typed;
    const size_t count = tensor->byte_count / typed->bytes, element_bytes = convolve_dtype_bytes(dtype);
    size_t bytes, index = 0;
    char whole[POINTER_BYTES];
    if (typed->kind == TYPED_COMPLEX && !convolve_dtype_is_complex(dtype)) {
        snprintf(whole, sizeof whole, tensor->file ? "%s" : "%s/dtype", pointer);
        return convolve_fail(error, "invalid-value", whole, "complex values need dtype complex128 or complex64");
    }
    if (__builtin_mul_overflow(count, element_bytes > typed->bytes ? element_bytes : typed->bytes, &bytes))
        return convolve_fail(error, "too-large", pointer, "the tensor does not fit into memory");
    *values = fit_block(arena, tensor->bytes, bytes, error);
    if (!*values)
        return false;
    tensor->bytes = NULL;
    tensor->byte_count = tensor->byte_capacity = 0;
    const enum json_typed_fault fault = json_typed_convert(typed, *values, count, dtype, *values, &index);
    if (fault == TYPED_FINE)
        return true;
    static const char *const details[] = {
        [TYPED_NOT_INTEGRAL] = "is no integer",
        [TYPED_BEYOND_INT64] = "is beyond int64",
        [TYPED_BEYOND_FLOAT32] = "is beyond float32",
    };
    snprintf(whole, sizeof whole, tensor->file ? "%s" : "%s/base64", pointer);
    return convolve_fail(error, fault == TYPED_BEYOND_INT64 ? "integer-overflow" : "invalid-value", whole,
                         "element %zu of the %s values, counted from 0, %s", index, typed->name, details[fault]);
}

bool json_tensor_values(const struct json_value *value, const char *pointer, enum convolve_dtype dtype,
                        bool allow_missing, struct arena *arena, void **values, struct convolve_error *error)
{
    struct json_tensor *tensor = value->tensor;
    if (value->type != JSON_TENSOR)
        return fail_no_tensor(value, pointer, error);
    if (tensor->has[FIELD_BASE64])
        return typed_values(tensor, pointer, dtype, arena, values, error);
    return numbers_values(tensor, pointer, dtype, allow_missing, arena, values, error);
}
