/* SPDX-License-Identifier: MIT */
/* POST /v1/conv, /v1/conv_transpose, /v1/conv_backward_input and /v1/conv_backward_weight: what computation.c asks of an
 * operation. They differ in one field of the spec and in the members they have. */
#include "core/convolve.h"
#include "server/daemon.h"
#include "server/endpoint.h"
#include "server/endpoints/computation.h"
#include "server/endpoints/layers_members.h"
#include "server/request.h"

struct layers_state {
    struct computation computation;
    struct layers_members members;
};

static bool read_members(struct request *request, enum convolve_layer_operation operation, const struct json_body *body,
                         struct convolve_error *error)
{
    struct layers_state *state = request->state;

    if (!layers_members_read(&state->members, operation, body, request, error))
        return false;
    state->computation.options = state->members.options;
    state->computation.run = state->members.tensors;
    return true;
}

static bool derive(struct request *request, struct convolve_error *error)
{
    struct layers_state *state = request->state;
    return convolve_layer_draft_derive(state->computation.draft, &state->computation.cost, &state->members.spec,
                                       request->daemon->threads, error);
}

static bool predict(struct request *request, double *error_bound, struct convolve_error *error)
{
    const struct layers_state *state = request->state;

    return state->members.shape_only ||
           convolve_layer_predict(&state->members.spec, &state->computation.run, error_bound, error);
}

#define LAYER_ENDPOINT(name, which)                                                                                    \
    static bool read_##name(struct request *request, const struct json_body *body, struct convolve_error *error)       \
    {                                                                                                                  \
        return read_members(request, which, body, error);                                                              \
    }                                                                                                                  \
    static const struct computation_operation operation_##name = {                                                     \
        .state_bytes = sizeof(struct layers_state),                                                                    \
        .schema = &layers_schemas[which],                                                                              \
        .read = read_##name,                                                                                           \
        .derive = derive,                                                                                              \
        .predict = predict,                                                                                            \
    };                                                                                                                 \
    COMPUTATION_ENDPOINT(endpoint_##name, operation_##name)

LAYER_ENDPOINT(conv, CONVOLVE_LAYER_CONV)
LAYER_ENDPOINT(conv_transpose, CONVOLVE_LAYER_TRANSPOSE)
LAYER_ENDPOINT(conv_backward_input, CONVOLVE_LAYER_BACKWARD_INPUT)
LAYER_ENDPOINT(conv_backward_weight, CONVOLVE_LAYER_BACKWARD_WEIGHT)
