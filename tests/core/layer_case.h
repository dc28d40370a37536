/* SPDX-License-Identifier: MIT */
/* What the tests of layers share: tensors of a spec, the definition's output, a plan's output, random specs. */
#ifndef TESTS_CORE_LAYER_CASE_H
#define TESTS_CORE_LAYER_CASE_H

#include "core/layer_explain.h"

/* A layer with its values. Tensors that the operation does not have stay NULL. */
struct layer_case {
    char name[400];
    struct convolve_layer_spec spec;
    struct convolve_run tensors;
    struct convolve_shape output;
    size_t output_count, output_bytes;
};

enum layer_values {
    LAYER_VALUES_ANY,
    LAYER_VALUES_INTEGERS,
    LAYER_VALUES_POSITIVE,
    LAYER_VALUES_WIDE, /* exponents such that products of float32 go from denormals to the end of the range */
};

uint64_t layer_random(void);
void layer_seed(uint64_t seed);
size_t layer_random_below(size_t bound);

void *layer_random_tensor(enum convolve_dtype dtype, const struct convolve_shape *shape, enum layer_values values);

/* Finds the output's shape, gives grad_output its own, names the case, and fills all tensors. False: the spec is faulty. */
bool layer_case_make(struct layer_case *c, const struct convolve_layer_spec *spec, enum layer_values values);
void layer_case_release(struct layer_case *c);

/* A spec of small sizes that uses every member now and then; it may be faulty. */
struct convolve_layer_spec layer_random_spec(void);

/* By the definition; true where no output overflows. */
bool layer_case_define(const struct layer_case *c, void *output);

/* By a plan, tiles of each stage in a random order; scratch is filled with NaN. Fails the test where the plan cannot be made. */
bool layer_case_run(const struct layer_case *c, void *output, struct convolve_outcome *outcome,
                    struct convolve_error *error);

/* The real number `i` of a tensor, pairs counting twice. */
double layer_number(enum convolve_dtype dtype, const void *tensor, size_t i);

#endif
