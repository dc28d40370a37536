/* SPDX-License-Identifier: MIT */
/* The members of a request body: typed access to the envelope (the only file that knows cJSON) and to the tensors the push
 * parser has put beside it. Every fault is an error that names the member, what was found and what would be right. */
#ifndef SERVER_FORMATS_JSON_READ_H
#define SERVER_FORMATS_JSON_READ_H

#include "core/convolve.h"
#include "server/arena.h"

struct json_body;
struct json_value; /* a member's value; lives as long as the body */

enum json_type { JSON_NULL, JSON_BOOLEAN, JSON_NUMBER, JSON_STRING, JSON_LIST, JSON_OBJECT, JSON_TENSOR };

/* NULL where the member is absent. A member that is null is present (JSON_NULL). */
const struct json_value *json_member(const struct json_body *body, const char *name);
enum json_type json_type_of(const struct json_value *value);
const char *json_type_name(const struct json_value *value); /* "a string", "null", ...: for details */

/* Scalars. `pointer` is the member's, "/mode". Each fails with "invalid-value" at it. */
bool json_read_boolean(const struct json_value *value, const char *pointer, bool *result, struct convolve_error *error);
bool json_read_number(const struct json_value *value, const char *pointer, double *result,
                      struct convolve_error *error);
/* 3, 3.0 and 3e0 are integers; beyond 2^53 is invalid-value. */
bool json_read_integer(const struct json_value *value, const char *pointer, int64_t minimum, int64_t maximum,
                       int64_t *result, struct convolve_error *error);
/* The index of the string in `choices` (NULL-terminated); the detail lists them and the nearest. */
bool json_read_choice(const struct json_value *value, const char *pointer, const char *const *choices, unsigned *result,
                      struct convolve_error *error);
/* The text of a string, UTF-8 (NUL and lone surrogates replaced by what no known name holds). */
bool json_read_text(const struct json_value *value, const char *pointer, const char **text,
                    struct convolve_error *error);

/* Lists and objects. Items and members are read with the functions above. */
size_t json_list_count(const struct json_value *value);
const struct json_value *json_list_at(const struct json_value *value, size_t index);
size_t json_object_count(const struct json_value *value);
const struct json_value *json_object_at(const struct json_value *value, size_t index, const char **name);
const struct json_value *json_object_member(const struct json_value *value, const char *name);

/* ---- Tensors: nested, {"shape", "data"}, {"shape", "real", "imag"}, {"shape", "dtype", "base64"}, or, where the caller allows
 * plan-only, {"shape"} alone. ---- */

/* Whether the value is an object that names a kernel ({"name": ...}) or a string; such a value is no tensor. */
bool json_names_kernel(const struct json_value *value);

/* Its type where it came with one (base64, a .npy file), else NULL. */
struct json_typed;
const struct json_typed *json_tensor_typed(const struct json_value *value);

/* The shape, with all faults of notation checked (unknown members, missing ones, data of another length). `shape_only` allows
 * and reports a tensor without values. */
bool json_tensor_shape(const struct json_value *value, const char *pointer, bool allow_shape_only, bool *shape_only,
                       struct convolve_shape *shape, struct convolve_error *error);

/* The values converted to `dtype`, 64-byte aligned, a block of `arena` (the raw values' own memory where it fits; the value
 * cannot be read again). Faults carry the pointer of the number: "invalid-value" (fraction under int64, beyond float32, null
 * or NaN where it cannot be), "integer-overflow". Where `allow_missing`, null is read as NaN. */
bool json_tensor_values(const struct json_value *value, const char *pointer, enum convolve_dtype dtype,
                        bool allow_missing, struct arena *arena, void **values, struct convolve_error *error);

#endif
