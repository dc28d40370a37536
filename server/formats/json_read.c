/* SPDX-License-Identifier: MIT */
/* The only file that knows cJSON. The envelope, which the push parser wrote and which is valid and small, is parsed by cJSON and
 * copied at once into nodes of the arena: what lives on is bounded, freed with the request, and lists are arrays. Numbers and
 * tensors are marked strings there (json_envelope.h): cJSON's numbers, locale and case folding are never met. */
#include "server/formats/json_read.h"

#include <cjson/cJSON.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/formats/json_body.h"
#include "server/formats/json_envelope.h"
#include "server/nearest.h"

enum { CJSON_BYTES_PER_BYTE = 48 }; /* at most: a node of 64 bytes and malloc's own for two characters */

/* ---- From the envelope to nodes ---- */

static bool copy_node(struct json_value *value, const cJSON *node, struct arena *arena,
                      struct json_tensor *const *tensors);

static bool copy_string(struct json_value *value, const char *text, struct arena *arena,
                        struct json_tensor *const *tensors)
{
    if (strncmp(text, ENVELOPE_NUMBER, strlen(ENVELOPE_NUMBER)) == 0) {
        text += strlen(ENVELOPE_NUMBER);
        value->type = JSON_NUMBER;
        value->number = json_number_parse(text, strlen(text));
        return true;
    }
    if (strncmp(text, ENVELOPE_TENSOR, strlen(ENVELOPE_TENSOR)) == 0) {
        value->type = JSON_TENSOR;
        value->tensor = tensors[strtoul(text + strlen(ENVELOPE_TENSOR), NULL, 10)];
        return true;
    }
    value->type = JSON_STRING;
    value->text = arena_copy_text(arena, text, strlen(text));
    return value->text != NULL;
}

static bool copy_items(struct json_value *value, const cJSON *node, struct arena *arena,
                       struct json_tensor *const *tensors)
{
    size_t count = 0, bytes;
    for (const cJSON *child = node->child; child; child = child->next)
        count++;
    if (__builtin_mul_overflow(count, sizeof *value->items, &bytes))
        return false;
    value->items = arena_alloc(arena, bytes ? bytes : 1);
    if (!value->items)
        return false;
    for (const cJSON *child = node->child; child; child = child->next) {
        struct json_value *item = &value->items[value->count];
        *item = (struct json_value){0};
        if (!copy_node(item, child, arena, tensors))
            return false;
        if (child->string && strcmp(child->string, "\001") == 0) {
            value->tensor = item->tensor;
            continue;
        }
        if (child->string) {
            item->name = arena_copy_text(arena, child->string, strlen(child->string));
            if (!item->name)
                return false;
        }
        value->count++;
    }
    return true;
}

/* Recursion is bounded: the byte machine lets through 64 levels. */
static bool copy_node(struct json_value *value, const cJSON *node, struct arena *arena,
                      struct json_tensor *const *tensors)
{
    if (cJSON_IsString(node))
        return copy_string(value, node->valuestring, arena, tensors);
    if (cJSON_IsBool(node)) {
        value->type = JSON_BOOLEAN;
        value->boolean = cJSON_IsTrue(node);
        return true;
    }
    if (cJSON_IsNull(node)) {
        value->type = JSON_NULL;
        return true;
    }
    value->type = cJSON_IsArray(node) ? JSON_LIST : JSON_OBJECT;
    if (!copy_items(value, node, arena, tensors))
        return false;
    if (value->tensor && !json_object_member(value, "name"))
        value->type = JSON_TENSOR;
    return true;
}

struct json_body *json_body_create(struct arena *arena, const char *envelope, size_t count,
                                   struct json_tensor *const *tensors)
{
    const size_t charge = count * CJSON_BYTES_PER_BYTE; /* no overflow: the envelope is small */
    struct json_body *body = arena_alloc(arena, sizeof *body);
    if (!body || !arena_charge(arena, charge))
        return NULL;
    *body = (struct json_body){0};
    cJSON *root = cJSON_ParseWithLength(envelope, count);
    const bool copied = root && copy_node(&body->root, root, arena, tensors);
    cJSON_Delete(root);
    arena_discharge(arena, charge);
    return copied ? body : NULL;
}

/* ---- Members ---- */

const struct json_value *json_object_member(const struct json_value *value, const char *name)
{
    for (size_t i = 0; i < value->count; i++) {
        if (value->items[i].name && strcmp(value->items[i].name, name) == 0)
            return &value->items[i];
    }
    return NULL;
}

const struct json_value *json_member(const struct json_body *body, const char *name)
{
    return json_object_member(&body->root, name);
}

enum json_type json_type_of(const struct json_value *value)
{
    return value->type;
}

const char *json_type_name(const struct json_value *value)
{
    switch (value->type) {
    case JSON_NULL:
        return "null";
    case JSON_BOOLEAN:
        return value->boolean ? "true" : "false";
    case JSON_NUMBER:
        return "a number";
    case JSON_STRING:
        return "a string";
    case JSON_LIST:
        return "a list";
    case JSON_OBJECT:
        return "an object";
    case JSON_TENSOR:
        return "a tensor";
    }
    return "a value";
}

size_t json_list_count(const struct json_value *value)
{
    return value->type == JSON_LIST ? value->count : 0;
}

const struct json_value *json_list_at(const struct json_value *value, size_t index)
{
    return index < json_list_count(value) ? &value->items[index] : NULL;
}

size_t json_object_count(const struct json_value *value)
{
    return value->type == JSON_OBJECT ? value->count : 0;
}

const struct json_value *json_object_at(const struct json_value *value, size_t index, const char **name)
{
    if (index >= json_object_count(value))
        return NULL;
    *name = value->items[index].name;
    return &value->items[index];
}

bool json_names_kernel(const struct json_value *value)
{
    return value->type == JSON_STRING || (value->type == JSON_OBJECT && json_object_member(value, "name") != NULL);
}

/* ---- Scalars ---- */

static bool fail_type(const struct json_value *value, const char *pointer, const char *expected,
                      struct convolve_error *error)
{
    char shown[80];
    if (value->type != JSON_STRING)
        return convolve_fail(error, "invalid-value", pointer, "expected %s, found %s", expected, json_type_name(value));
    json_show_text(shown, sizeof shown, value->text);
    return convolve_fail(error, "invalid-value", pointer, "expected %s, found the string \"%s\"", expected, shown);
}

bool json_read_boolean(const struct json_value *value, const char *pointer, bool *result, struct convolve_error *error)
{
    if (value->type != JSON_BOOLEAN)
        return fail_type(value, pointer, "true or false", error);
    *result = value->boolean;
    return true;
}

bool json_read_number(const struct json_value *value, const char *pointer, double *result, struct convolve_error *error)
{
    if (value->type != JSON_NUMBER)
        return fail_type(value, pointer, "a number", error);
    if (value->number.kind == JSON_NUMBER_BEYOND_DOUBLE)
        return convolve_fail(error, "invalid-value", pointer, "the number is too large for a double");
    *result = value->number.real;
    return true;
}

bool json_read_integer(const struct json_value *value, const char *pointer, int64_t minimum, int64_t maximum,
                       int64_t *result, struct convolve_error *error)
{
    const int64_t exact_max = (int64_t)1 << 53;
    const struct json_number *number = &value->number;
    if (value->type != JSON_NUMBER)
        return fail_type(value, pointer, "an integer", error);
    if (number->kind == JSON_NUMBER_FRACTION)
        return convolve_fail(error, "invalid-value", pointer, "expected an integer, found a number with a fraction");
    if (number->kind != JSON_NUMBER_INTEGER || number->integer > exact_max || number->integer < -exact_max)
        return convolve_fail(error, "invalid-value", pointer, "expected an integer not beyond 2^53");
    if (number->integer < minimum || number->integer > maximum) {
        if (maximum >= exact_max)
            return convolve_fail(error, "invalid-value", pointer, "expected at least %" PRId64 ", found %" PRId64,
                                 minimum, number->integer);
        return convolve_fail(error, "invalid-value", pointer, "expected %" PRId64 " to %" PRId64 ", found %" PRId64,
                             minimum, maximum, number->integer);
    }
    *result = number->integer;
    return true;
}

static void list_choices(char *out, size_t bytes, const char *const *choices)
{
    size_t used = 0;
    out[0] = '\0';
    for (size_t i = 0; choices[i] && used < bytes; i++)
        used += (size_t)snprintf(out + used, bytes - used, "%s\"%s\"", i ? ", " : "", choices[i]);
}

bool json_read_choice(const struct json_value *value, const char *pointer, const char *const *choices, unsigned *result,
                      struct convolve_error *error)
{
    char list[300], expected[320], shown[80];
    for (unsigned i = 0; choices[i] && value->type == JSON_STRING; i++)
        if (strcmp(choices[i], value->text) == 0) {
            *result = i;
            return true;
        }
    list_choices(list, sizeof list, choices);
    if (value->type != JSON_STRING) {
        snprintf(expected, sizeof expected, "one of %s", list);
        return fail_type(value, pointer, expected, error);
    }
    struct nearest nearest = {.wanted = value->text};
    for (unsigned i = 0; choices[i]; i++)
        nearest_offer(&nearest, choices[i]);
    json_show_text(shown, sizeof shown, value->text);
    if (nearest.name)
        return convolve_fail(error, "invalid-value", pointer, "unknown value \"%s\"; did you mean \"%s\"? Known are %s",
                             shown, nearest.name, list);
    return convolve_fail(error, "invalid-value", pointer, "unknown value \"%s\"; known are %s", shown, list);
}

bool json_read_text(const struct json_value *value, const char *pointer, const char **text,
                    struct convolve_error *error)
{
    if (value->type != JSON_STRING)
        return fail_type(value, pointer, "a string", error);
    *text = value->text;
    return true;
}
