/* SPDX-License-Identifier: MIT */
/* Tensors that are objects: {"shape", "data"}, {"shape", "real", "imag"}, {"shape", "dtype", "base64"}, field by field as they
 * come. What is missing or does not fit together is found at the end, by json_values.c. */
#include "server/formats/json_collect.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { SIZE_EXACT_MAX_BITS = 53, BASE64_PIECE = 3 << 12 };

const char *const json_field_names[FIELD_COUNT] = {
    [FIELD_SHAPE] = "shape", [FIELD_DATA] = "data",   [FIELD_REAL] = "real",
    [FIELD_IMAG] = "imag",   [FIELD_DTYPE] = "dtype", [FIELD_BASE64] = "base64",
};

int json_field_find(const char *name)
{
    for (int field = 0; field < FIELD_COUNT; field++) {
        if (strcmp(json_field_names[field], name) == 0)
            return field;
    }
    return -1;
}

bool json_field_other(struct json_tensor *tensor, enum json_field field, const char *what)
{
    static const char *const expected[FIELD_COUNT] = {
        [FIELD_SHAPE] = "a list of 0 to 8 integers", [FIELD_DATA] = "a flat list of numbers",
        [FIELD_REAL] = "a flat list of numbers",     [FIELD_IMAG] = "a flat list of numbers",
        [FIELD_DTYPE] = "the name of a dtype",       [FIELD_BASE64] = "a string of base64",
    };
    char pointer[24];
    snprintf(pointer, sizeof pointer, "/%s", json_field_names[field]);
    return json_collect_fail(tensor, "invalid-value", pointer, "expected %s, found %s", expected[field], what);
}

/* ---- shape ---- */

static bool fail_size(struct json_tensor *tensor, const char *detail)
{
    char pointer[32];
    snprintf(pointer, sizeof pointer, "/shape/%u", tensor->shape.rank);
    return json_collect_fail(tensor, "invalid-value", pointer, "%s", detail);
}

bool json_shape_item(struct json_tensor *tensor, const struct json_number *number)
{
    if (tensor->fault)
        return true;
    if (!number || number->kind == JSON_NUMBER_FRACTION)
        return fail_size(tensor, "expected a non-negative integer");
    if (number->kind == JSON_NUMBER_INTEGER && number->integer < 0)
        return fail_size(tensor, "the length of an axis cannot be negative");
    if (number->kind != JSON_NUMBER_INTEGER || number->integer > (int64_t)1 << SIZE_EXACT_MAX_BITS)
        return fail_size(tensor, number->real < 0 ? "the length of an axis cannot be negative"
                                                  : "the length of an axis must not be beyond 2^53");
    if (tensor->shape.rank == CONVOLVE_RANK_MAX)
        return json_collect_fail(tensor, "shape-mismatch", "/shape", "a tensor has at most %d axes", CONVOLVE_RANK_MAX);
    tensor->shape.size[tensor->shape.rank++] = (size_t)number->integer;
    return true;
}

/* ---- data, real, imag ---- */

struct json_numbers *json_field_numbers(struct json_tensor *tensor, enum json_field field)
{
    return &tensor->numbers[field - FIELD_DATA];
}

static void flat_pointer(struct json_tensor *tensor, enum json_field field, char out[48])
{
    snprintf(out, 48, "/%s/%zu", json_field_names[field], json_field_numbers(tensor, field)->count);
}

bool json_flat_number(struct json_tensor *tensor, enum json_field field, const struct json_number *number)
{
    char pointer[48];
    if (number->kind != JSON_NUMBER_BEYOND_DOUBLE)
        return json_numbers_append(json_field_numbers(tensor, field), number);
    flat_pointer(tensor, field, pointer);
    return json_collect_fail(tensor, "invalid-value", pointer, "the number is too large for a double");
}

bool json_flat_other(struct json_tensor *tensor, enum json_field field, const char *what)
{
    char pointer[48];
    flat_pointer(tensor, field, pointer);
    return json_collect_fail(tensor, "not-a-number", pointer, "expected a number in a flat, row-major list, found %s",
                             what);
}

/* ---- dtype, base64 ---- */

bool json_dtype_piece(struct json_tensor *tensor, const char *text, size_t count, bool last)
{
    const size_t room = sizeof tensor->dtype_text - 1;
    if (tensor->dtype_count <= room && count <= room - tensor->dtype_count && !memchr(text, 0, count)) {
        memcpy(tensor->dtype_text + tensor->dtype_count, text, count);
        tensor->dtype_count += count;
    } else {
        tensor->dtype_count = room + 1;
    }
    if (!last)
        return true;
    if (tensor->dtype_count <= room)
        tensor->typed = json_typed_find(tensor->dtype_text);
    return tensor->typed ||
           json_collect_fail(tensor, "invalid-value", "/dtype", "unknown dtype; known are %s", json_typed_names());
}

static bool reserve_bytes(struct json_tensor *tensor, size_t count)
{
    size_t needed, capacity;
    if (__builtin_add_overflow(tensor->byte_count, count, &needed))
        return false;
    if (needed <= tensor->byte_capacity)
        return true;
    const size_t more = tensor->byte_capacity < (1 << 19) ? tensor->byte_capacity : tensor->byte_capacity / 4;
    if (__builtin_add_overflow(tensor->byte_capacity, more, &capacity))
        return false;
    capacity = capacity < needed ? needed : capacity;
    unsigned char *bytes = arena_block_resize(tensor->arena, tensor->bytes, capacity);
    if (!bytes)
        return false;
    tensor->bytes = bytes;
    tensor->byte_capacity = capacity;
    return true;
}

static bool fail_base64(struct json_tensor *tensor)
{
    return json_collect_fail(tensor, "invalid-value", "/base64",
                             "no base64 of RFC 4648 section 4: A-Z a-z 0-9 + /, padded with =, without line breaks");
}

bool json_base64_piece(struct json_tensor *tensor, const char *text, size_t count, bool last)
{
    while (count > 0 && !tensor->fault) {
        const size_t piece = count < BASE64_PIECE ? count : BASE64_PIECE;
        if (!reserve_bytes(tensor, (piece + 3) / 4 * 3))
            return false;
        const ptrdiff_t written = base64_decode(&tensor->base64, text, piece, tensor->bytes + tensor->byte_count);
        if (written < 0)
            return fail_base64(tensor);
        tensor->byte_count += (size_t)written;
        text += piece;
        count -= piece;
    }
    if (last && !tensor->fault && !base64_decode_end(&tensor->base64))
        return fail_base64(tensor);
    return true;
}
