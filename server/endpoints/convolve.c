/* SPDX-License-Identifier: MIT */
/* POST /v1/convolve and /v1/correlate: decode, cost, admission, plan, run, answer. The two differ in one field of the spec.
 * What they share with other computations is in computation.c. */
#include <math.h>
#include <stddef.h>

#include "core/convolve.h"
#include "server/admission.h"
#include "server/daemon.h"
#include "server/endpoint.h"
#include "server/endpoints/computation.h"
#include "server/endpoints/convolve_members.h"
#include "server/request.h"

struct convolve_state {
    struct computation computation;
    struct convolve_members members;
};

static bool begin(struct request *request, struct convolve_error *error)
{
    return computation_begin(request, sizeof(struct convolve_state), &convolve_schema, error);
}

/* ---- The answer ---- */

/* A convolution along an axis that looks like colour channels: `convolve` flips those too. */
static bool looks_like_channels(const struct convolve_spec *spec)
{
    const unsigned rank = spec->input.rank;

    if (spec->operation != CONVOLVE_OP_CONVOLVE || spec->mode != CONVOLVE_VALID || !spec->mode_given || rank < 3 ||
        spec->kernel.rank != rank)
        return false;
    for (unsigned end = 0; end < 2; end++) {
        const unsigned axis = end ? rank - 1 : 0;
        const size_t size = spec->input.size[axis];
        bool convolved = !spec->axes_given;
        for (unsigned i = 0; i < spec->axis_count; i++)
            convolved |= spec->axes[i] == (int64_t)axis || spec->axes[i] == (int64_t)axis - (int64_t)rank;
        if (convolved && size == spec->kernel.size[axis] && size >= 2 && size <= 4)
            return true;
    }
    return false;
}

static size_t collect_notes(const struct convolve_state *state, struct answer_note notes[2])
{
    size_t count = 0;

    if (looks_like_channels(&state->members.spec))
        notes[count++] = (struct answer_note){
            "channels-flipped",
            "the first or last axis looks like channels; convolve flips the kernel along it too, so channel 0 of "
            "the kernel met the last channel of the input. /v1/conv, or /v1/correlate, takes channels in order"};
    if (state->computation.cost.exchanged)
        notes[count++] = (struct answer_note){
            "places-changed",
            "input is smaller than kernel, so with mode valid the windows lie in the kernel, as SciPy has it"};
    return count;
}

static bool complete(struct request *request, struct response *response, struct convolve_error *error)
{
    const struct convolve_state *state = request->state;
    const bool flipped = state->members.spec.operation == CONVOLVE_OP_CONVOLVE;
    struct convolve_outcome outcome;
    struct answer_note notes[2];

    return computation_finish(request, &outcome, error) &&
           computation_answer(request, response, &outcome, flipped ? FLIPPED_TRUE : FLIPPED_FALSE, notes,
                              collect_notes(state, notes), error);
}

/* The bound is what the values' own facts give; without values it is unknown. */
static enum endpoint_answer answer_plan(struct request *request, struct response *response,
                                        struct convolve_error *error)
{
    const struct convolve_state *state = request->state;
    const struct convolve_run *run = &state->computation.run;
    double error_bound = NAN;

    if (run->input && run->kernel &&
        !convolve_predict(&state->members.spec, run->input, run->kernel, &error_bound, error))
        return ENDPOINT_FAILED;
    return answer_write_plan(request, response, &state->computation.cost, error_bound, error) ? ENDPOINT_ANSWERED
                                                                                              : ENDPOINT_FAILED;
}

static bool decode(struct request *request, enum convolve_operation operation, struct convolve_error *error)
{
    struct convolve_state *state = request->state;
    const struct json_body *body = computation_body(request, error);

    if (!body || !convolve_members_read(&state->members, operation, body, request, error))
        return false;
    state->computation.options = state->members.options;
    state->computation.run.input = state->members.input;
    state->computation.run.kernel = state->members.kernel;
    computation_set_deadline(request);
    return convolve_cost(&state->computation.cost, &state->members.spec, request->daemon->threads, error) ||
           computation_fail_cost(request, error);
}

static enum endpoint_answer answer(struct request *request, struct response *response,
                                   enum convolve_operation operation, struct convolve_error *error)
{
    struct convolve_state *state = request->state;
    struct computation *computation = &state->computation;
    const uint64_t since = clock_now_ns();
    const bool decoded = decode(request, operation, error);

    request->decode_ns += clock_now_ns() - since;
    if (!decoded)
        return ENDPOINT_FAILED;
    if (computation->options.plan)
        return answer_plan(request, response, error);
    if (!admission_check(request, &computation->cost, error) ||
        !convolve_plan_create(&computation->plan, &state->members.spec, computation->run.kernel, error))
        return ENDPOINT_FAILED;
    return computation_start(request, response, complete, error);
}

static enum endpoint_answer answer_convolve(struct request *request, struct response *response,
                                            struct convolve_error *error)
{
    return answer(request, response, CONVOLVE_OP_CONVOLVE, error);
}

static enum endpoint_answer answer_correlate(struct request *request, struct response *response,
                                             struct convolve_error *error)
{
    return answer(request, response, CONVOLVE_OP_CORRELATE, error);
}

const struct endpoint endpoint_convolve = {begin, computation_feed, answer_convolve, complete, computation_release};
const struct endpoint endpoint_correlate = {begin, computation_feed, answer_correlate, complete, computation_release};
