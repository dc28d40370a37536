/* SPDX-License-Identifier: MIT */
/* Random requests, and their answers by `explain` and by plans: what the tests of every method are made of. */
#ifndef TESTS_CORE_RANDOM_SPEC_H
#define TESTS_CORE_RANDOM_SPEC_H

#include "core/convolve.h"

/* A generator of its own, so that a seed says it all. */
uint64_t random_bits(uint64_t *state);
size_t random_below(uint64_t *state, size_t bound);

enum random_values {
    RANDOM_SMALL_INTEGERS, /* every sum is exact */
    RANDOM_REALS, /* in -1 .. 1 */
    RANDOM_WILD, /* also NaN, infinities, -0, denormals, the largest; int64: its extremes */
    RANDOM_HOLES, /* reals, and now and then a NaN */
    RANDOM_LARGE_INTEGERS, /* about where sums stop being exact, or overflow */
};
enum { RANDOM_VALUES_COUNT = 5 };

void random_fill(uint64_t *state, enum convolve_dtype dtype, enum random_values values, void *tensor, size_t count);

/* A valid spec of any members, its tensors below `elements_max`, with `method` direct. */
void random_spec(uint64_t *state, struct convolve_spec *spec, size_t elements_max);

/* What a spec is, on one line, for failures. */
const char *describe_spec(const struct convolve_spec *spec);

/* Runs a plan, its tiles in random order on `threads` threads (1 or 2). */
bool run_plan(const struct convolve_spec *spec, const void *input, const void *kernel, void *output, unsigned threads,
              uint64_t *state, struct convolve_outcome *outcome, struct convolve_error *error);

/* Whether two values agree bit for bit; all NaNs are alike. */
bool same_value(enum convolve_dtype dtype, const void *a, const void *b, size_t index);

/* Fails the test unless every output is what `explain` says, or both fail alike. `samples` limits how many are asked for. */
void check_against_explain(const struct convolve_spec *spec, const void *input, const void *kernel, const void *output,
                           bool succeeded, const struct convolve_error *error, size_t samples, const char *name);

void *allocate_values(enum convolve_dtype dtype, size_t count); /* aligned; exits without memory */

#endif
