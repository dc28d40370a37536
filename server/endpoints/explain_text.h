/* SPDX-License-Identifier: MIT */
/* The answer of /v1/explain as it grows: the value, then one term after another, and the formula beside them. */
#ifndef SERVER_ENDPOINTS_EXPLAIN_TEXT_H
#define SERVER_ENDPOINTS_EXPLAIN_TEXT_H

#include "core/convolve.h"

struct request;

struct explain_text {
    struct request *request;
    enum convolve_dtype dtype;
    unsigned input_rank, kernel_rank; /* how many integers the terms' indices have */
    bool bias;
    bool nonfinite_null; /* a number that is not finite is null, and no fault */
    size_t bytes_max; /* of the whole, from explain_text_bytes */
    struct convolve_explained found;
    size_t term_count, present_count; /* so far; without the holes */
    char *bytes, *formula; /* of the request's arena */
    size_t count, room, formula_count;
};

/* How long the answer is at most; UINT64_MAX where that cannot be counted. */
uint64_t explain_text_bytes(const struct convolve_explain_cost *cost, enum convolve_dtype dtype);

/* The caller has filled the first part. Each fails with "non-finite-result" or for want of memory. */
bool explain_text_begin(struct explain_text *text, const struct convolve_explained *found,
                        struct convolve_error *error);
bool explain_text_term(struct explain_text *text, const struct convolve_term *term, struct convolve_error *error);
bool explain_text_end(struct explain_text *text, struct convolve_error *error);

#endif
