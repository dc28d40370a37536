/* SPDX-License-Identifier: MIT */
/* The members that every compute path knows (section 2 of the contract): dtype, format, nonfinite, timeout_ms, plan,
 * max_error; and readers for notations that several paths share. */
#ifndef SERVER_ENDPOINTS_OPTIONS_H
#define SERVER_ENDPOINTS_OPTIONS_H

#include "core/convolve.h"
#include "server/formats/json_read.h"
#include "server/formats/json_tensor.h"
#include "server/formats/json_typed.h"

enum answer_format { ANSWER_NESTED, ANSWER_FLAT, ANSWER_BASE64 };

struct options {
    bool dtype_given;
    enum convolve_dtype dtype;
    enum answer_format format;
    bool nonfinite_null;
    uint64_t timeout_ms; /* 0: the server's */
    bool plan;
    bool max_error_given;
    double max_error;
};

/* The rows of a schema for these members. */
#define OPTIONS_SCHEMA                                                                                                 \
    {"dtype", false}, {"format", false}, {"nonfinite", false}, {"timeout_ms", false}, {"plan", false},                 \
    {                                                                                                                  \
        "max_error", false                                                                                             \
    }

bool options_read(struct options *options, const struct json_body *body, struct convolve_error *error);

/* The dtype of a request that names none: float64, but where every tensor came with a type of its own. Tensors are
 * added one after another; absent ones (NULL) and named kernels do not count. */
struct dtype_default {
    bool untyped; /* a tensor came without a type */
    struct json_typed_sum typed;
};
void dtype_default_add(struct dtype_default *standard, const struct json_value *tensor);
enum convolve_dtype dtype_default_result(const struct dtype_default *standard);

/* An integer for every axis or a list with one per axis; an absent member (NULL) stays not given. */
bool per_axis_read(const struct json_value *value, const char *pointer, int64_t minimum,
                   struct convolve_per_axis *result, struct convolve_error *error);
/* Likewise, where each may be [before, after]. */
bool padding_read(const struct json_value *value, const char *pointer, struct convolve_padding *result,
                  struct convolve_error *error);
/* A number of `dtype`, or under a complex one {"real", "imag"}. */
bool scalar_read(const struct json_value *value, const char *pointer, enum convolve_dtype dtype,
                 struct convolve_scalar *result, struct convolve_error *error);

/* A tensor's shape, and its values as `dtype`, a block of `arena`; `*values` stays as it is where a plan's tensor has none. */
bool tensor_read(const struct json_value *value, const char *pointer, enum convolve_dtype dtype, bool plan,
                 bool allow_missing, struct convolve_shape *shape, void **values, struct arena *arena,
                 struct convolve_error *error);

/* "missing-member" at "/name". */
bool member_required(const struct json_body *body, const char *name, const char *meaning, struct convolve_error *error);

#endif
