/* SPDX-License-Identifier: MIT */
/* The definition: a plain walk over the taps of an output, written to be read and never optimised. Every method of the library
 * is tested against it, and `/v1/explain` answers from it (core/explanation.c). */
#ifndef CORE_EXPLAIN_H
#define CORE_EXPLAIN_H

#include "core/exact_sum.h"
#include "core/geometry.h"
#include "core/missing.h"

/* What the taps add up to. Each dtype has its chain; only the one asked for is filled. */
struct explain_sums {
    struct exact_sum integer;
    double real, imag;
    float real32, imag32;
    /* With `ignore_missing`: the same chain over the present terms, and the weights. */
    double present_real, present_imag;
    struct missing_sum whole_real, whole_imag, remaining_real, remaining_imag;
    size_t present_count, hole_count;
};

/* One output's taps, one after another. */
struct explain_walk {
    const struct convolve_spec *spec;
    const struct convolve_run *tensors;
    struct geometry geometry;
    size_t output[CONVOLVE_RANK_MAX], tap[CONVOLVE_RANK_MAX];
    bool ignore_missing, ended;
    bool scaling; /* products are told as they count beside holes */
    struct convolve_scalar whole, remaining; /* where scaling: the kernel's sum, and without the weights on holes */
    struct explain_sums sums;
};

/* The number in that place of a tensor; a complex one takes two values. */
struct convolve_scalar explain_scalar_at(enum convolve_dtype dtype, const void *tensor, size_t element);

/* As convolve_explain_begin, _step and _conclude. */
bool explain_begin(struct explain_walk *walk, const struct convolve_spec *spec, const struct convolve_run *tensors,
                   size_t index, struct convolve_error *error);
bool explain_step(struct explain_walk *walk, struct convolve_term *term);
bool explain_conclude(struct explain_walk *walk, struct convolve_explained *found, struct convolve_error *error);

/* All of it: the output at row-major `index`, and its terms in the order they are added: `each` (may be NULL) is called for
 * every one. */
bool convolve_explain(const struct convolve_spec *spec, const void *input, const void *kernel, size_t index,
                      void (*each)(void *context, const struct convolve_term *term), void *context,
                      struct convolve_scalar *value, struct convolve_error *error);

#endif
