/* SPDX-License-Identifier: MIT */
/* Nested arrays: the shape is found on the way. The first list of each depth sets the size of its axis, and everything after it
 * must agree. */
#include "server/formats/json_collect.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { POINTER_BYTES = 192 };

struct json_tensor *json_collect_create(struct arena *arena, bool object, enum number_form form)
{
    struct json_tensor *tensor = arena_alloc(arena, sizeof *tensor);
    if (!tensor)
        return NULL;
    *tensor = (struct json_tensor){.arena = arena, .object = object};
    for (unsigned i = 0; i < (object ? 3 : 1); i++) /* a nested array has one list only */
        json_numbers_init(&tensor->numbers[i], arena, form);
    return tensor;
}

bool json_collect_fail(struct json_tensor *tensor, const char *slug, const char *pointer, const char *format, ...)
{
    if (tensor->fault)
        return true;
    struct convolve_error *fault = arena_alloc(tensor->arena, sizeof *fault);
    if (!fault)
        return false;
    *fault = (struct convolve_error){.slug = slug};
    snprintf(fault->pointer, sizeof fault->pointer, "%s", pointer);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(fault->detail, sizeof fault->detail, format, arguments);
    va_end(arguments);
    tensor->fault = fault;
    for (unsigned i = 0; i < 3; i++)
        json_numbers_discard(&tensor->numbers[i]);
    arena_block_free(tensor->arena, tensor->bytes);
    tensor->bytes = NULL;
    tensor->byte_count = tensor->byte_capacity = 0;
    return true;
}

/* "/3/1": the item that is next at depth `depth`. */
static void item_pointer(const struct json_tensor *tensor, unsigned depth, char out[POINTER_BYTES])
{
    size_t used = 0;
    out[0] = '\0';
    for (unsigned d = 0; d < depth; d++)
        used += (size_t)snprintf(out + used, POINTER_BYTES - used, "/%zu", tensor->rows.index[d]);
}

static bool fail_item(struct json_tensor *tensor, const char *slug, const char *detail)
{
    char pointer[POINTER_BYTES];
    item_pointer(tensor, tensor->rows.depth, pointer);
    return json_collect_fail(tensor, slug, pointer, "%s", detail);
}

bool json_nested_open(struct json_tensor *tensor)
{
    if (tensor->rows.depth == CONVOLVE_RANK_MAX)
        return json_collect_fail(tensor, "shape-mismatch", "",
                                 "lists are nested more than %d deep: a tensor has at most %d axes", CONVOLVE_RANK_MAX,
                                 CONVOLVE_RANK_MAX);
    if (tensor->rows.rank && tensor->rows.depth >= tensor->rows.rank)
        return fail_item(tensor, "ragged-array",
                         tensor->rows.index[tensor->rows.depth - 1]
                             ? "a list stands beside numbers: all items of a list must be numbers, "
                               "or all lists of the same shape"
                             : "a list stands where the lists before have numbers: all must have "
                               "the same shape");
    tensor->rows.index[tensor->rows.depth++] = 0;
    return true;
}

bool json_nested_close(struct json_tensor *tensor)
{
    const unsigned axis = --tensor->rows.depth;
    const size_t count = tensor->rows.index[axis];
    if (count == 0 && tensor->rows.rank == 0)
        tensor->rows.rank = axis + 1;
    if (!tensor->rows.size_known[axis]) {
        tensor->rows.size_known[axis] = true;
        tensor->rows.size[axis] = count;
    } else if (tensor->rows.size[axis] != count) {
        char pointer[POINTER_BYTES];
        item_pointer(tensor, axis, pointer);
        return json_collect_fail(tensor, "ragged-array", pointer, "row %zu has %zu element%s, the rows before have %zu",
                                 tensor->rows.index[axis - 1], count, count == 1 ? "" : "s", tensor->rows.size[axis]);
    }
    if (axis > 0)
        tensor->rows.index[axis - 1]++;
    else
        json_numbers_trim(&tensor->numbers[0]);
    return true;
}

/* Whether numbers may stand at the current depth. */
static bool is_number_depth(struct json_tensor *tensor)
{
    if (tensor->rows.rank == 0)
        tensor->rows.rank = tensor->rows.depth;
    return tensor->rows.rank == tensor->rows.depth;
}

bool json_nested_number(struct json_tensor *tensor, const struct json_number *number)
{
    if (tensor->rows.depth > 0 && !is_number_depth(tensor))
        return fail_item(
            tensor, "ragged-array",
            "a number stands where the items before are lists: all items of a list must be numbers, or all "
            "lists of the same shape");
    if (number->kind == JSON_NUMBER_BEYOND_DOUBLE)
        return fail_item(tensor, "invalid-value", "the number is too large for a double");
    if (!json_numbers_append(&tensor->numbers[0], number))
        return false;
    if (tensor->rows.depth > 0)
        tensor->rows.index[tensor->rows.depth - 1]++;
    return true;
}

bool json_nested_other(struct json_tensor *tensor, const char *what)
{
    char pointer[POINTER_BYTES];
    item_pointer(tensor, tensor->rows.depth, pointer);
    return json_collect_fail(tensor, "not-a-number", pointer, "expected a number, found %s%s", what,
                             strcmp(what, "a string") == 0 ? ": numbers stand without quotes" : "");
}

const char *json_nested_run(struct json_tensor *tensor, const struct json_stretch *stretch, const char *at, bool *after)
{
    struct json_numbers *numbers = &tensor->numbers[0];
    *after = false;
    if (tensor->rows.rank != 0 && tensor->rows.rank != tensor->rows.depth)
        return at;
    const size_t before = numbers->count;
    at = json_numbers_run(numbers, &tensor->rows, stretch, at, after);
    if (at && numbers->count > before)
        tensor->rows.rank = tensor->rows.depth;
    return at;
}
