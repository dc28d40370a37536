/* SPDX-License-Identifier: MIT */
/* What every endpoint that computes has in common: the body's decoder, the plan and its run, the job that executes it, and
 * the way from its outcome to the answer. An endpoint's own state begins with this one, so that request->state is either. */
#ifndef SERVER_ENDPOINTS_COMPUTATION_H
#define SERVER_ENDPOINTS_COMPUTATION_H

#include "core/convolve.h"
#include "server/endpoint.h"
#include "server/endpoints/answer.h"
#include "server/endpoints/options.h"

struct computation {
    struct json_decoder *decoder;
    struct options options;
    struct convolve_cost cost;
    struct convolve_plan *plan;
    struct convolve_run
        run; /* its tensors are blocks of the request's arena; NULL where a plan came with shapes alone */
};

/* The state of `bytes` bytes, zeroed, with a decoder of `schema`. */
bool computation_begin(struct request *request, size_t bytes, const struct json_schema *schema,
                       struct convolve_error *error);

/* endpoint.feed and endpoint.release of all of them. */
bool computation_feed(struct request *request, const char *bytes, size_t count, struct convolve_error *error);
void computation_release(struct request *request);

/* The members of the body, which is whole; NULL: the error is filled. */
const struct json_body *computation_body(struct request *request, struct convolve_error *error);

/* Brings the deadline forward to what `timeout_ms` says. */
void computation_set_deadline(struct request *request);

/* Returns false. Sizes beyond 64 bits: a plan calls that a wrong value, a computation too large for the limit at hand. */
bool computation_fail_cost(struct request *request, struct convolve_error *error);

/* The cost is known and `plan` made: output and scratch, then the job. A tiny one runs at once, and `complete` is called. */
enum endpoint_answer computation_start(struct request *request, struct response *response,
                                       bool (*complete)(struct request *, struct response *, struct convolve_error *),
                                       struct convolve_error *error);

/* After the job: the outcome, or what it found wrong. Input tensors and scratch are freed: sending may take long, and holds
 * the output alone. */
bool computation_finish(struct request *request, struct convolve_outcome *outcome, struct convolve_error *error);

/* The answer with the output and what `outcome` tells of it. */
bool computation_answer(struct request *request, struct response *response, const struct convolve_outcome *outcome,
                        enum answer_flipped flipped, const struct answer_note *notes, size_t note_count,
                        struct convolve_error *error);

#endif
