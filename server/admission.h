/* SPDX-License-Identifier: MIT */
/* What a request would cost against what is allowed, before it is spent. What does not fit is refused at once; nothing waits
 * for memory that may not come. */
#ifndef SERVER_ADMISSION_H
#define SERVER_ADMISSION_H

#include "core/convolve.h"

struct request;

/* The bytes that max_memory_bytes is compared with: tensors, scratch, and the answer's pieces under way. */
uint64_t admission_bytes(const struct request *request, const struct convolve_cost *cost);

/* "too-large" with limit, allowed and requested, where the request alone exceeds a limit. */
bool admission_check(const struct request *request, const struct convolve_cost *cost, struct convolve_error *error);

/* The same for an output of another size than the cost's tensor. */
bool admission_check_output(const struct request *request, const struct convolve_cost *cost, uint64_t output_bytes,
                            struct convolve_error *error);

/* Completes the error of a cost that could not be derived. Sizes beyond 64 bits: a plan calls that a wrong value, a computation
 * too large for the limit at hand. Always false. */
bool admission_fail_cost(const struct request *request, bool plan, struct convolve_error *error);

/* What the member of the configuration that limits cost allows; 0 for any other name. */
uint64_t admission_limit(const struct request *request, const char *name);

/* Whether the work is less than two thread switches cost, so that it runs where it was decoded. */
bool admission_is_tiny(const struct convolve_cost *cost);

/* The error of an arena that could not give memory: "too-large" where this request alone exceeds the ceiling, else
 * "overloaded". */
bool admission_fail_memory(const struct request *request, struct convolve_error *error);

#endif
