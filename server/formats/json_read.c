/* SPDX-License-Identifier: MIT */
/* The only file that knows cJSON. The envelope, which the push parser wrote and which is valid and small, is parsed by cJSON and
 * turned at once into nodes of the arena, whose lists are arrays. cJSON's memory is the arena's too: it is charged like any other,
 * freed with the request, and texts stay where cJSON has put them. Numbers and tensors are marked strings there
 * (json_envelope.h): cJSON's numbers, locale and case folding are never met. */
#include "server/formats/json_read.h"

#include <cjson/cJSON.h>
#include <inttypes.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "server/formats/json_body.h"
#include "server/formats/json_envelope.h"
#include "server/nearest.h"

/* ---- cJSON's memory ---- */

static _Thread_local struct arena *cjson_arena; /* NULL: somebody else's cJSON, in the same process */
static pthread_once_t cjson_once = PTHREAD_ONCE_INIT;

static void *cjson_allocate(size_t bytes)
{
    return cjson_arena ? arena_alloc(cjson_arena, bytes) : malloc(bytes);
}

static void cjson_free(void *memory)
{
    if (!cjson_arena)
        free(memory);
}

static void cjson_start(void)
{
    cJSON_InitHooks(&(cJSON_Hooks){cjson_allocate, cjson_free});
}

/* ---- From the envelope to nodes ---- */

static bool take_node(struct json_value *value, const cJSON *node, struct arena *arena,
                      struct json_tensor *const *tensors);

static void take_string(struct json_value *value, const char *text, struct json_tensor *const *tensors)
{
    if (text[0] == ENVELOPE_NUMBER[0] && text[1] == ENVELOPE_NUMBER[1]) {
        text += strlen(ENVELOPE_NUMBER);
        value->type = JSON_NUMBER;
        value->number = json_number_parse(text, strlen(text));
        return;
    }
    if (text[0] == ENVELOPE_TENSOR[0] && text[1] == ENVELOPE_TENSOR[1]) {
        size_t index = 0;
        for (text += strlen(ENVELOPE_TENSOR); *text; text++)
            index = index * 10 + (size_t)(*text - '0');
        value->type = JSON_TENSOR;
        value->tensor = tensors[index];
        return;
    }
    value->type = JSON_STRING;
    value->text = text;
}

static bool take_items(struct json_value *value, const cJSON *node, struct arena *arena,
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
        if (!take_node(item, child, arena, tensors))
            return false;
        if (child->string && strcmp(child->string, "\001") == 0) {
            value->tensor = item->tensor;
            continue;
        }
        item->name = child->string;
        value->count++;
    }
    return true;
}

/* Recursion is bounded: the byte machine lets through 64 levels. */
static bool take_node(struct json_value *value, const cJSON *node, struct arena *arena,
                      struct json_tensor *const *tensors)
{
    if (cJSON_IsString(node)) {
        take_string(value, node->valuestring, tensors);
        return true;
    }
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
    if (!take_items(value, node, arena, tensors))
        return false;
    if (value->tensor && !json_object_member(value, "name"))
        value->type = JSON_TENSOR;
    return true;
}

struct json_body *json_body_create(struct arena *arena, const char *envelope, size_t count,
                                   struct json_tensor *const *tensors)
{
    struct json_body *body = arena_alloc(arena, sizeof *body);
    if (!body)
        return NULL;
    *body = (struct json_body){0};
    pthread_once(&cjson_once, cjson_start);
    cjson_arena = arena;
    const cJSON *root = cJSON_ParseWithLength(envelope, count);
    cjson_arena = NULL;
    if (!root || !take_node(&body->root, root, arena, tensors))
        return NULL;
    for (size_t i = 0; i < body->root.count; i++)
        body->letters |= json_letter(body->root.items[i].name);
    return body;
}

/* ---- Members ---- */

const struct json_value *json_object_member(const struct json_value *value, const char *name)
{
    for (size_t i = 0; i < value->count; i++) {
        const char *item = value->items[i].name;
        if (item && item[0] == name[0] && item[0] && item[1] == name[1] && strcmp(item, name) == 0)
            return &value->items[i];
    }
    return NULL;
}

const struct json_value *json_member(const struct json_body *body, const char *name)
{
    return body->letters & json_letter(name) ? json_object_member(&body->root, name) : NULL;
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

/* What would be fine without its quotes. */
static bool is_quoted_value(const char *text)
{
    return strcmp(text, "true") == 0 || strcmp(text, "false") == 0 ||
           (text[0] != '\0' && text[strspn(text, "+-.0123456789eE")] == '\0' && strpbrk(text, "0123456789") != NULL);
}

static bool fail_type(const struct json_value *value, const char *pointer, const char *expected,
                      struct convolve_error *error)
{
    char shown[80];
    if (value->type != JSON_STRING)
        return convolve_fail(error, "invalid-value", pointer, "expected %s, found %s", expected, json_type_name(value));
    json_show_text(shown, sizeof shown, value->text);
    return convolve_fail(error, "invalid-value", pointer, "expected %s, found the string \"%s\"%s", expected, shown,
                         is_quoted_value(value->text) ? ": it stands without quotes" : "");
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

/* Words of other libraries that are far from ours by their letters. */
static const char *known_elsewhere(const char *word)
{
    static const char *const words[][2] = {
        {"nearest", "edge"},       {"replicate", "edge"}, {"repeat", "edge"},    {"mirror", "reflect"},
        {"zero", "constant"},      {"zeros", "constant"}, {"circular", "wrap"},  {"periodic", "wrap"},
        {"double", "float64"},     {"float", "float64"},  {"single", "float32"}, {"int", "int64"},
        {"complex", "complex128"},
    };
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strcasecmp(words[i][0], word) == 0)
            return words[i][1];
    return word;
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
    struct nearest nearest = {.wanted = known_elsewhere(value->text)};
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
