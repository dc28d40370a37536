/* SPDX-License-Identifier: MIT */
/* POST /v1/convolve and /v1/correlate: what computation.c asks of an operation. The two differ in one field of the spec. */
#include <stddef.h>

#include "core/convolve.h"
#include "server/daemon.h"
#include "server/endpoint.h"
#include "server/endpoints/computation.h"
#include "server/endpoints/convolve_members.h"
#include "server/request.h"

struct convolve_state {
    struct computation computation;
    struct convolve_members members;
};

static bool read_members(struct request *request, enum convolve_operation operation, const struct json_body *body,
                         struct convolve_error *error)
{
    struct convolve_state *state = request->state;
    struct computation *computation = &state->computation;

    if (!convolve_members_read(&state->members, operation, body, request, error))
        return false;
    computation->options = state->members.options;
    computation->run.input = state->members.input;
    computation->run.kernel = state->members.kernel;
    return true;
}

static bool read_convolve(struct request *request, const struct json_body *body, struct convolve_error *error)
{
    return read_members(request, CONVOLVE_OP_CONVOLVE, body, error);
}

static bool read_correlate(struct request *request, const struct json_body *body, struct convolve_error *error)
{
    return read_members(request, CONVOLVE_OP_CORRELATE, body, error);
}

static bool derive(struct request *request, struct convolve_error *error)
{
    struct convolve_state *state = request->state;
    return convolve_draft_derive(state->computation.draft, &state->computation.cost, &state->members.spec,
                                 request->daemon->threads, error);
}

static bool make_inputs(struct request *request, struct convolve_error *error)
{
    struct convolve_state *state = request->state;
    const bool made = convolve_members_make_kernel(&state->members, request, error);
    state->computation.run.kernel = state->members.kernel;
    return made;
}

static const struct convolve_spec *spec_of(const struct request *request)
{
    const struct convolve_state *state = request->state;
    return &state->members.spec;
}

static bool predict(struct request *request, double *error_bound, struct convolve_error *error)
{
    struct convolve_state *state = request->state;
    const struct convolve_run *run = &state->computation.run;

    return !run->input || !run->kernel ||
           convolve_predict(&state->members.spec, run->input, run->kernel, error_bound, &state->computation.cost.method,
                            error);
}

/* ---- Notes ---- */

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

static void describe(const struct request *request, struct answer *answer)
{
    const struct convolve_state *state = request->state;
    const struct convolve_spec *spec = &state->members.spec;

    answer->flipped = spec->operation == CONVOLVE_OP_CONVOLVE ? FLIPPED_TRUE : FLIPPED_FALSE;
    if (looks_like_channels(spec))
        answer->notes[answer->note_count++] = (struct answer_note){
            "channels-flipped",
            "the first or last axis looks like channels; convolve flips the kernel along it too, so channel 0 of "
            "the kernel met the last channel of the input. /v1/conv, or /v1/correlate, takes channels in order"};
    if (state->computation.cost.exchanged)
        answer->notes[answer->note_count++] = (struct answer_note){
            "places-changed",
            "input is smaller than kernel, so with mode valid the windows lie in the kernel, as SciPy has it"};
}

#define CONVOLVE_OPERATION(reader)                                                                                     \
    {                                                                                                                  \
        sizeof(struct convolve_state), &convolve_schema, reader, derive, make_inputs, spec_of, predict, describe, NULL \
    }
static const struct computation_operation convolve = CONVOLVE_OPERATION(read_convolve);
static const struct computation_operation correlate = CONVOLVE_OPERATION(read_correlate);

COMPUTATION_ENDPOINT(endpoint_convolve, convolve)
COMPUTATION_ENDPOINT(endpoint_correlate, correlate)
