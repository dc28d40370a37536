/* SPDX-License-Identifier: MIT */
/* One tensor while it arrives, in whichever notation: its shape, its numbers or bytes, its first fault. Fed by the decoder
 * (json_tensor.c), read by json_values.c. A tensor with a fault holds no numbers and takes no more. */
#ifndef SERVER_FORMATS_JSON_COLLECT_H
#define SERVER_FORMATS_JSON_COLLECT_H

#include "core/convolve.h"
#include "server/formats/base64.h"
#include "server/formats/json_numbers.h"
#include "server/formats/json_syntax.h"
#include "server/formats/json_typed.h"

enum json_field { FIELD_SHAPE, FIELD_DATA, FIELD_REAL, FIELD_IMAG, FIELD_DTYPE, FIELD_BASE64, FIELD_COUNT };
extern const char *const json_field_names[FIELD_COUNT];
int json_field_find(const char *name); /* -1 where it is none of them */

struct json_tensor {
    struct arena *arena;
    bool object; /* {"shape", ...}; else a nested array or a number */
    bool
        file; /* a .npy file, kept as an object of shape, dtype and base64 would be, whose faults are the member's own */
    struct convolve_error *fault; /* the first; its pointer begins behind the member's ("/input") */

    struct json_rows rows; /* of a nested array */

    /* An object. */
    bool has[FIELD_COUNT];
    struct convolve_shape shape;
    struct json_numbers numbers[3]; /* data (or the nested array), real, imag */
    char dtype_text[16];
    size_t dtype_count; /* beyond the buffer where the text is too long */
    const struct json_typed *typed;
    struct base64_decoder base64;
    unsigned char *bytes; /* an arena block */
    size_t byte_count, byte_capacity;
};

/* NULL: no memory. `form` is that of the dtype where it is known already. */
struct json_tensor *json_collect_create(struct arena *arena, bool object, enum number_form form);
/* The first fault wins. False: no memory. */
bool json_collect_fail(struct json_tensor *tensor, const char *slug, const char *pointer, const char *format, ...)
    __attribute__((format(printf, 4, 5), cold));

/* A nested array. Each returns false only where there is no memory. */
bool json_nested_open(struct json_tensor *tensor);
bool json_nested_close(struct json_tensor *tensor);
bool json_nested_number(struct json_tensor *tensor, const struct json_number *number);
bool json_nested_other(struct json_tensor *tensor, const char *what); /* no number and no list: "a string" */
/* Only where numbers may stand at the present depth. */
const char *json_nested_run(struct json_tensor *tensor, const struct json_stretch *stretch, const char *at,
                            bool *after);

/* The lists of an object; `field` is one of data, real, imag. */
struct json_numbers *json_field_numbers(struct json_tensor *tensor, enum json_field field);
bool json_flat_number(struct json_tensor *tensor, enum json_field field, const struct json_number *number);
bool json_flat_other(struct json_tensor *tensor, enum json_field field, const char *what);
bool json_shape_item(struct json_tensor *tensor, const struct json_number *number); /* NULL: no number */
/* A field whose value has the wrong type: what stands there. */
bool json_field_other(struct json_tensor *tensor, enum json_field field, const char *what);
bool json_dtype_piece(struct json_tensor *tensor, const char *text, size_t count, bool last);
bool json_base64_piece(struct json_tensor *tensor, const char *text, size_t count, bool last);

#endif
