/* SPDX-License-Identifier: MIT */
/* The dtypes that bytes may have (base64 in JSON): their names, sizes, and how their values become those of the five that are
 * computed in. Values are little-endian and need not be aligned. */
#ifndef SERVER_FORMATS_JSON_TYPED_H
#define SERVER_FORMATS_JSON_TYPED_H

#include "core/convolve.h"
#include "server/formats/simd/typed.h"

enum json_typed_kind {
    TYPED_BOOL,
    TYPED_SIGNED,
    TYPED_UNSIGNED,
    TYPED_FLOAT,
    TYPED_BFLOAT16,
    TYPED_COMPLEX,
};

struct json_typed {
    const char *name;
    enum json_typed_kind kind;
    unsigned bytes; /* of one element */
    enum typed_source source; /* of a complex one: its parts' */
};

const struct json_typed *json_typed_find(const char *name); /* NULL where there is none */
const char *json_typed_names(void); /* "float64, float32, ..." */

/* What several types have in common: zero-initialise, add each, ask for the one of the five dtypes that NumPy's result type of
 * all of them needs: int64 for integers, float32 for float16 and for bfloat16, which counts as float16 does. */
struct json_typed_sum {
    bool any, real, complex; /* real: a type with fractions */
    bool unsigned64, negative; /* no integer type holds the values of both */
    unsigned bits; /* of the narrowest real type that holds the values of each */
};
void json_typed_add(struct json_typed_sum *sum, const struct json_typed *typed);
enum convolve_dtype json_typed_result(const struct json_typed_sum *sum);

enum json_typed_fault {
    TYPED_FINE,
    TYPED_NOT_INTEGRAL, /* a fraction, a NaN or an infinity under int64 */
    TYPED_BEYOND_INT64,
    TYPED_BEYOND_FLOAT32, /* finite, and infinite as float32 */
};

/* `count` elements to `dtype`; `to` may be `from` itself (memory of max(sizes) * count). A complex type must go into a complex
 * one: the caller's check. On a fault *index is the element's. */
enum json_typed_fault json_typed_convert(const struct json_typed *typed, const unsigned char *from, size_t count,
                                         enum convolve_dtype dtype, void *to, size_t *index);

#endif
