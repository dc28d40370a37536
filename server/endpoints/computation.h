/* SPDX-License-Identifier: MIT */
/* What every path that computes has in common: body to members, cost, admission, plan, job, outcome, answer. A path is a row of
 * `struct computation_operation`; its state begins with `struct computation`, so that request->state is either.
 *
 * A format plugs in at one of three places. A body in another notation is a `struct computation_input`, which ends in the same
 * members (struct json_body) that a JSON body ends in; an answer in another notation is a `struct computation_output`;
 * computation_begin chooses both. What has neither body nor members of ours fills the state itself (options, run, and what
 * `derive` reads) and calls computation_run. */
#ifndef SERVER_ENDPOINTS_COMPUTATION_H
#define SERVER_ENDPOINTS_COMPUTATION_H

#include "core/convolve.h"
#include "server/endpoint.h"
#include "server/endpoints/answer.h"
#include "server/endpoints/options.h"

struct request;
struct response;

/* A way in. Its reader is the arena's. False and NULL: the error is filled, and for "malformed-json" request->error_offset. */
struct computation_input {
    /* The headers and the query are known, no byte of the body is. */
    bool (*begin)(struct request *request, const struct json_schema *schema, void **reader,
                  struct convolve_error *error);
    /* As endpoint.feed. */
    bool (*feed)(struct request *request, void *reader, const char *bytes, size_t count, struct convolve_error *error);
    /* The body is whole: its members, tensors among them. */
    const struct json_body *(*finish)(struct request *request, void *reader, struct convolve_error *error);
};

/* A way out. */
struct computation_output {
    bool holds_nonfinite; /* a NaN or an infinity is no fault, whatever `format` and `nonfinite` say */
    size_t headroom; /* bytes before the values that `write` may use; a multiple of CONVOLVE_ALIGNMENT */
    bool (*write)(struct request *request, struct response *response, const struct answer *answer,
                  struct convolve_error *error);
};

/* A computation that is no plan's: steps, one after another, of some tenths of a millisecond each, so that the deadline and the
 * caller are looked at between them. */
struct computation_steps {
    /* The cost is admitted and the inputs are made; may raise request->job.work. */
    void (*begin)(struct request *request);
    /* One step. Without `*more` it was the last. */
    bool (*run)(struct request *request, bool *more, struct convolve_error *error);
    bool (*answer)(struct request *request, struct response *response, struct convolve_error *error);
};

/* What one path differs in. Each but `describe` fails with the error filled. */
struct computation_operation {
    size_t state_bytes;
    const struct json_schema *schema;
    /* Members to options, run and whatever the draft is made from. */
    bool (*read)(struct request *request, const struct json_body *body, struct convolve_error *error);
    /* The draft of the plan, and the cost. */
    bool (*derive)(struct request *request, struct convolve_error *error);
    /* Inputs that few bytes ask for and that take long to make, into `run`; the cost is admitted. May be NULL. */
    bool (*make_inputs)(struct request *request, struct convolve_error *error);
    /* What the plan is made from, where a thread may keep plans of it (kept_plan.h). May be NULL. */
    const struct convolve_spec *(*spec)(const struct request *request);
    /* The bound that the values tell beforehand; left as it is where a plan came with shapes alone. */
    bool (*predict)(struct request *request, double *error_bound, struct convolve_error *error);
    /* Adds `flipped` and notes. May be NULL. */
    void (*describe)(const struct request *request, struct answer *answer);
    const struct computation_steps *steps; /* in place of the draft's plan; or NULL */
};

struct computation {
    const struct computation_operation *operation;
    const struct computation_input *input;
    void *reader; /* the input's */
    const struct computation_output *output;
    struct options options;
    struct convolve_cost cost;
    struct convolve_draft *draft;
    struct convolve_plan *made; /* in the draft's memory */
    const struct convolve_plan *plan; /* the one that is run: that one, or one that this thread keeps */
    struct convolve_run run; /* its tensors are blocks of the arena; NULL where a plan came with shapes alone */
    bool is_read, failed; /* is_read: so far that the cost is known; failed: request->error is the answer */
    bool is_over; /* the last of the operation's steps is done */
    double error_bound; /* of a plan that was asked for */
    uint64_t began_ns; /* when the plan was made and computing began */
};

/* For endpoint.begin: the state, zeroed, with input and output chosen. */
bool computation_begin(struct request *request, const struct computation_operation *operation,
                       struct convolve_error *error);

/* The endpoint's other functions, the same for every operation. */
bool computation_feed(struct request *request, const char *bytes, size_t count, struct convolve_error *error);
enum endpoint_answer computation_answer(struct request *request, struct response *response,
                                        struct convolve_error *error);
bool computation_complete(struct request *request, struct response *response, struct convolve_error *error);
void computation_release(struct request *request);

/* The second half of computation_answer: the members are read. */
enum endpoint_answer computation_run(struct request *request, struct response *response, struct convolve_error *error);

/* The endpoint `name` of `operation`. */
#define COMPUTATION_ENDPOINT(name, operation)                                                                          \
    static bool begin_##name(struct request *request, struct convolve_error *error)                                    \
    {                                                                                                                  \
        return computation_begin(request, &(operation), error);                                                        \
    }                                                                                                                  \
    const struct endpoint name = {begin_##name, computation_feed, computation_answer, computation_complete,            \
                                  computation_release};

#endif
