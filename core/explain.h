/* SPDX-License-Identifier: MIT */
/* The definition: a plain loop over outputs and taps, written to be read and never optimised. Every method of the library
 * is tested against it, and `/v1/explain` answers from it. */
#ifndef CORE_EXPLAIN_H
#define CORE_EXPLAIN_H

#include "core/convolve.h"

/* One product of the sum that makes an output. */
struct convolve_term {
    bool inside; /* false: the boundary supplied the input value */
    bool missing; /* a hole that `ignore_missing` leaves out of the sum (see core/missing.h) */
    size_t input_index[CONVOLVE_RANK_MAX]; /* in the input tensor as given; set where inside */
    size_t kernel_index[CONVOLVE_RANK_MAX]; /* in the kernel tensor as given */
    struct convolve_scalar input, kernel, product; /* kernel conjugated where the operation conjugates */
    int64_t product_high; /* int64: a product is product_high * 2^64 + (uint64_t)product.integer, as it may not fit */
};

/* The output at row-major `index`, as `direct` computes it, and its terms in the order they are added: `each` (may be NULL)
 * is called for every one. False with "integer-overflow", with "invalid-value" at "/index" beyond the output or at
 * "/missing" where the weights sum to 0, or with the faults of geometry_derive. */
bool convolve_explain(const struct convolve_spec *spec, const void *input, const void *kernel, size_t index,
                      void (*each)(void *context, const struct convolve_term *term), void *context,
                      struct convolve_scalar *value, struct convolve_error *error);

#endif
