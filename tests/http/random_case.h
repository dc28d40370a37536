/* SPDX-License-Identifier: MIT */
/* A random request in two forms: spec and values for the definition, text for the daemon. */
#ifndef TESTS_HTTP_RANDOM_CASE_H
#define TESTS_HTTP_RANDOM_CASE_H

#include "core/convolve.h"
#include "tests/http/harness.h"

struct request_case {
    struct convolve_spec spec;
    void *input, *kernel;
    char *body;
    const char *name; /* for messages; the caller's */
    struct answer answer; /* the caller's: what random_case_compare looks at */
};

void random_seed(uint64_t seed); /* one thread makes requests */
/* Of moderate size: the definition walks every tap of every output. */
void random_case_make(struct request_case *request);
void random_case_release(struct request_case *request);
const char *random_case_path(const struct request_case *request);
/* The same bits as the definition, each number in its shortest text; or the definition's refusal. */
void random_case_compare(const struct request_case *request);

#endif
