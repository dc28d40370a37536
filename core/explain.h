/* SPDX-License-Identifier: MIT */
/* The definition: a plain loop over outputs and taps, written to be read and never optimised. Every method of the library
 * is tested against it, and `/v1/explain` answers from it. */
#ifndef CORE_EXPLAIN_H
#define CORE_EXPLAIN_H

#include "core/convolve.h"

/* One product of the sum that makes an output. */
struct convolve_term {
    bool inside; /* false: the boundary supplied the input value */
    size_t input_index[CONVOLVE_RANK_MAX]; /* in the input tensor as given; set where inside */
    size_t kernel_index[CONVOLVE_RANK_MAX]; /* in the kernel tensor as given */
    struct convolve_scalar input, kernel, product; /* kernel conjugated where the operation conjugates */
};

/* The output at row-major `index`, as `direct` computes it, and its terms in the order they are added: `each` (may be NULL)
 * is called for every one. False with "integer-overflow", or with the faults of convolve_cost. */
bool convolve_explain(const struct convolve_spec *spec, const void *input, const void *kernel, size_t index,
                      void (*each)(void *context, const struct convolve_term *term), void *context,
                      struct convolve_scalar *value, struct convolve_error *error);

#endif
