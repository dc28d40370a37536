/* SPDX-License-Identifier: MIT */
/* The definition of layers and their gradients: plain loops over channels, taps and places, written to be read and never
 * optimised. Every method is tested against it; outputs that only values can judge are made by it too. */
#ifndef CORE_LAYER_EXPLAIN_H
#define CORE_LAYER_EXPLAIN_H

#include "core/layer_geometry.h"

/* One product of the sum that makes an output. */
struct convolve_layer_term {
    bool inside; /* false: the padding supplied a zero */
    size_t input_index[CONVOLVE_RANK_MAX]; /* in `input` as given (backward_input: in grad_output); set where inside */
    size_t weight_index[CONVOLVE_RANK_MAX]; /* in `weight` (backward_weight: in grad_output) */
    struct convolve_scalar input, weight, product;
    int64_t product_high; /* int64: a product is product_high * 2^64 + (uint64_t)product.integer */
};

typedef void layer_term_callback(void *context, const struct convolve_layer_term *term);

/* One output. */
struct layer_value {
    struct convolve_scalar value, bias;
    bool overflow; /* an int64 that does not fit; value holds it modulo 2^64 */
    double absolute; /* the absolute products and the bias added up: exact, or at least 2^53 */
};

/* The output at row-major `index`, which must exist. `each` may be NULL. */
struct layer_value layer_define(const struct layer_geometry *geometry, const struct convolve_run *tensors, size_t index,
                                layer_term_callback *each, void *context);

/* The same from a spec. False with the faults of layer_geometry_derive, "integer-overflow", or "invalid-value" at "/index". */
bool convolve_layer_explain(const struct convolve_layer_spec *spec, const struct convolve_run *tensors, size_t index,
                            layer_term_callback *each, void *context, struct convolve_scalar *value,
                            struct convolve_scalar *bias, struct convolve_error *error);

#endif
