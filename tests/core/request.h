/* SPDX-License-Identifier: MIT */
/* One request with its values, and what the definition says of each output, summed in long double: what promises are held
 * against. The values are chosen to break them. */
#ifndef TESTS_CORE_REQUEST_H
#define TESTS_CORE_REQUEST_H

#include "tests/core/random_spec.h"

enum kind {
    KIND_SMALL_INTEGERS, /* up to here as enum random_values */
    KIND_REALS,
    KIND_WILD,
    KIND_HOLES,
    KIND_LARGE_INTEGERS,
    KIND_SPARSE, /* mostly zeros of both signs: windows of nothing else */
    KIND_POSITIVE, /* nothing negative, much that is 0 */
    KIND_HUGE,
    KIND_TINY,
    KIND_NEAR_LIMIT, /* integers whose products add up to just below 2^53, 2^24 */
    KIND_CANCELLING, /* large, and each but for a little the opposite of the one before */
    KIND_ANY_EXPONENT, /* from the least denormal to the largest number */
    KIND_NOT_NEGATIVE, /* likewise, with zeros of both signs, but nothing below them */
    KIND_NEAR_OVERFLOW, /* sums that leave the range, or nearly */
    KIND_COUNT
};
extern const char *const kind_names[KIND_COUNT];

struct request {
    struct convolve_spec spec;
    struct convolve_cost cost;
    void *input, *kernel, *output;
    size_t input_count, kernel_count;
    struct convolve_outcome outcome; /* of the last run */
    char name[128];
};

/* Allocates for `spec`, which the caller has filled. */
void request_begin(struct request *request);
void request_end(struct request *request);

/* Fills both tensors. Where the method is separable, and where `outer` says so, the kernel's slices are outer products. */
void request_fill(struct request *request, uint64_t *state, enum kind kind, bool outer);

/* A spec that the method takes, its tensors below `elements_max`, filled; the name is the caller's. */
void request_random(struct request *request, uint64_t *state, enum convolve_method method, enum kind kind,
                    size_t elements_max);

/* Runs the plan, its tiles in random order, over an output full of NaN. False, and the error, where it is refused. */
bool request_run(struct request *request, unsigned threads, uint64_t *state, struct convolve_error *error);

/* Parts: real and imaginary ones count each. `limit` says where integers and others that need one end. */
bool is_single(enum convolve_dtype dtype);
double part_at(enum convolve_dtype dtype, const void *values, size_t i);
void set_part(enum convolve_dtype dtype, void *values, size_t i, double value);
void fill_kind(uint64_t *state, enum convolve_dtype dtype, enum kind kind, void *values, size_t count, double limit);

/* ---- What an output should be ----------------------------------------------------------------------------------------- */

struct truth {
    long double real, imag; /* the exact sum, but for the roundings of long double */
    long double products; /* the sum of absolute values, of all parts */
    struct convolve_scalar defined; /* what `direct` makes */
    bool nonfinite, zeros, hole; /* the window holds a value that is not finite; nothing but zeros; a missing value */
    bool overflow; /* of int64 */
};
struct truth request_truth(const struct request *request, size_t index);

/* One output as it came, and how far that is from the truth. */
struct convolve_scalar request_output(const struct request *request, size_t index);
long double request_error(const struct request *request, size_t index, const struct truth *truth);

bool request_is_integral(const struct request *request); /* every value, the fillvalue too */
bool request_is_finite(const struct request *request);
bool request_is_nowhere_negative(const struct request *request);

/* Fails the test, saying which request, which output, what was found and what expected. */
void fail_output(const struct request *request, size_t index, const char *what, const struct truth *truth);
void fail_request(const struct request *request, const char *what);

#endif
