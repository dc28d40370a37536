/* SPDX-License-Identifier: MIT */
/* POST /v1/conv, /v1/conv_transpose, /v1/conv_backward_input and /v1/conv_backward_weight. They differ in one field of the
 * spec and in the members they have. */
#include <math.h>
#include <stddef.h>

#include "core/convolve.h"
#include "server/admission.h"
#include "server/daemon.h"
#include "server/endpoint.h"
#include "server/endpoints/computation.h"
#include "server/endpoints/layers_members.h"
#include "server/request.h"

struct layers_state {
    struct computation computation;
    struct layers_members members;
};

static bool complete(struct request *request, struct response *response, struct convolve_error *error)
{
    struct convolve_outcome outcome;

    return computation_finish(request, &outcome, error) &&
           computation_answer(request, response, &outcome, FLIPPED_ABSENT, NULL, 0, error);
}

/* The bound is what the values' own facts give; without values it is unknown. */
static enum endpoint_answer answer_plan(struct request *request, struct response *response,
                                        struct convolve_error *error)
{
    const struct layers_state *state = request->state;
    double error_bound = NAN;

    if (!state->members.shape_only &&
        !convolve_layer_predict(&state->members.spec, &state->computation.run, &error_bound, error))
        return ENDPOINT_FAILED;
    return answer_write_plan(request, response, &state->computation.cost, error_bound, error) ? ENDPOINT_ANSWERED
                                                                                              : ENDPOINT_FAILED;
}

static bool decode(struct request *request, enum convolve_layer_operation operation, struct convolve_error *error)
{
    struct layers_state *state = request->state;
    const struct json_body *body = computation_body(request, error);

    if (!body || !layers_members_read(&state->members, operation, body, request, error))
        return false;
    state->computation.options = state->members.options;
    state->computation.run = state->members.tensors;
    computation_set_deadline(request);
    return convolve_layer_cost(&state->computation.cost, &state->members.spec, request->daemon->threads, error) ||
           computation_fail_cost(request, error);
}

static enum endpoint_answer answer(struct request *request, struct response *response,
                                   enum convolve_layer_operation operation, struct convolve_error *error)
{
    struct layers_state *state = request->state;
    struct computation *computation = &state->computation;
    const uint64_t since = clock_now_ns();
    const bool decoded = decode(request, operation, error);

    request->decode_ns += clock_now_ns() - since;
    if (!decoded)
        return ENDPOINT_FAILED;
    if (computation->options.plan)
        return answer_plan(request, response, error);
    if (!admission_check(request, &computation->cost, error) ||
        !convolve_layer_plan_create(&computation->plan, &state->members.spec, computation->run.kernel, error))
        return ENDPOINT_FAILED;
    return computation_start(request, response, complete, error);
}

#define LAYER_ENDPOINT(name, operation)                                                                                \
    static bool begin_##name(struct request *request, struct convolve_error *error)                                    \
    {                                                                                                                  \
        return computation_begin(request, sizeof(struct layers_state), &layers_schemas[operation], error);             \
    }                                                                                                                  \
    static enum endpoint_answer answer_##name(struct request *request, struct response *response,                      \
                                              struct convolve_error *error)                                            \
    {                                                                                                                  \
        return answer(request, response, operation, error);                                                            \
    }                                                                                                                  \
    const struct endpoint endpoint_##name = {begin_##name, computation_feed, answer_##name, complete,                  \
                                             computation_release};

LAYER_ENDPOINT(conv, CONVOLVE_LAYER_CONV)
LAYER_ENDPOINT(conv_transpose, CONVOLVE_LAYER_TRANSPOSE)
LAYER_ENDPOINT(conv_backward_input, CONVOLVE_LAYER_BACKWARD_INPUT)
LAYER_ENDPOINT(conv_backward_weight, CONVOLVE_LAYER_BACKWARD_WEIGHT)
