/* SPDX-License-Identifier: MIT */
/* POST /v1/convolve and /v1/correlate: decode, cost, admission, plan, run, answer. The two differ in one field of the spec.
 * A tiny job runs where it was decoded; any other is the pool's, and the answer is made once it has ended. */
#include <math.h>
#include <stddef.h>
#include <string.h>

#include "core/convolve.h"
#include "server/admission.h"
#include "server/daemon.h"
#include "server/endpoint.h"
#include "server/endpoints/answer.h"
#include "server/endpoints/convolve_members.h"
#include "server/metrics.h"
#include "server/pool.h"
#include "server/request.h"
#include "server/response.h"

struct convolve_state {
    struct json_decoder *decoder;
    struct convolve_members members;
    struct convolve_cost cost;
    struct convolve_plan *plan;
    struct convolve_run run;
};

static bool begin(struct request *request, struct convolve_error *error)
{
    struct convolve_state *state = arena_alloc(&request->arena, sizeof *state);

    if (!state)
        return admission_fail_memory(request, error);
    *state = (struct convolve_state){0};
    state->decoder = json_decoder_create(&request->arena, &convolve_schema);
    if (!state->decoder)
        return admission_fail_memory(request, error);
    request->state = state;
    return true;
}

static bool feed(struct request *request, const char *bytes, size_t count, struct convolve_error *error)
{
    struct convolve_state *state = request->state;
    const uint64_t since = clock_now_ns();
    const bool fine = json_decoder_feed(state->decoder, bytes, count, error);

    request->decode_ns += clock_now_ns() - since;
    if (!fine)
        request->error_offset = json_decoder_offset(state->decoder);
    return fine;
}

/* ---- The job ---- */

static struct request *request_of(struct job *job)
{
    return (struct request *)((char *)job - offsetof(struct request, job));
}

static size_t job_tile_count(struct job *job, unsigned stage)
{
    const struct convolve_state *state = request_of(job)->state;
    return convolve_plan_tile_count(state->plan, stage);
}

static void job_run_tile(struct job *job, unsigned stage, size_t tile, void *tile_scratch)
{
    const struct convolve_state *state = request_of(job)->state;
    convolve_plan_run_tile(state->plan, &state->run, stage, tile, tile_scratch);
}

/* Plan, output and scratch, all that the tiles need. */
static bool job_prepare(struct request *request, struct convolve_error *error)
{
    struct convolve_state *state = request->state;
    const struct convolve_members *members = &state->members;
    size_t output_bytes;

    if (!convolve_plan_create(&state->plan, &members->spec, members->kernel, error))
        return false;
    request->log_method = convolve_method_name(convolve_plan_method(state->plan));
    if (__builtin_mul_overflow(state->cost.output_count, convolve_dtype_bytes(members->spec.dtype), &output_bytes))
        return convolve_fail(error, "too-large", "", "the output's size cannot be counted");
    state->run = (struct convolve_run){
        .input = members->input,
        .kernel = members->kernel,
        .output = arena_block(&request->arena, output_bytes),
        .scratch = arena_block(&request->arena, convolve_plan_scratch_bytes(state->plan)),
    };
    if (!state->run.output || !state->run.scratch)
        return admission_fail_memory(request, error);
    request->job = (struct job){
        .stage_count = convolve_plan_stage_count(state->plan),
        .tile_count = job_tile_count,
        .run_tile = job_run_tile,
        .work = state->cost.multiply_adds,
        .tile_scratch_bytes = convolve_plan_tile_scratch_bytes(state->plan),
        .deadline_ns = request->deadline_ns,
    };
    return true;
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
    if (state->cost.exchanged)
        notes[count++] = (struct answer_note){
            "places-changed",
            "input is smaller than kernel, so with mode valid the windows lie in the kernel, as SciPy has it"};
    return count;
}

static bool complete(struct request *request, struct response *response, struct convolve_error *error)
{
    struct convolve_state *state = request->state;
    const struct convolve_members *members = &state->members;
    const struct options *options = &members->options;
    struct convolve_outcome outcome;
    struct answer_note notes[2];

    request->queue_ns = request->job.started_ns - request->job.submitted_ns;
    request->compute_ns = request->job.ended_ns - request->job.started_ns;
    metrics_add_work(state->cost.multiply_adds);
    if (!convolve_plan_finish(state->plan, &state->run, &outcome, error))
        return false;
    if (outcome.nonfinite && options->format != ANSWER_BASE64 && !options->nonfinite_null)
        return convolve_fail(error, "non-finite-result", "",
                             "output %zu (row-major) is not a finite number, which JSON cannot hold; send nonfinite "
                             "\"null\", or format \"base64\"",
                             outcome.nonfinite_index);

    /* Sending may take long: it holds the output alone. */
    arena_block_free(&request->arena, members->input);
    arena_block_free(&request->arena, members->kernel);
    arena_block_free(&request->arena, state->run.scratch);
    state->members.input = state->members.kernel = state->run.scratch = NULL;

    const uint64_t since = clock_now_ns();
    const struct answer answer = {
        .values = state->run.output,
        .dtype = members->spec.dtype,
        .shape = *convolve_plan_output(state->plan),
        .format = options->format,
        .method = request->log_method,
        .flipped = members->spec.operation == CONVOLVE_OP_CONVOLVE ? FLIPPED_TRUE : FLIPPED_FALSE,
        .error_bound = outcome.error_bound,
        .notes = notes,
        .note_count = collect_notes(state, notes),
    };
    const bool written = answer_write(request, response, &answer, error);
    request->encode_ns += clock_now_ns() - since;
    return written;
}

/* The bound is what the values' own facts give; without values it is unknown. */
static enum endpoint_answer answer_plan(struct request *request, struct response *response,
                                        struct convolve_error *error)
{
    struct convolve_state *state = request->state;
    const struct convolve_members *members = &state->members;
    double error_bound = NAN;

    if (members->input && members->kernel &&
        !convolve_predict(&members->spec, members->input, members->kernel, &error_bound, error))
        return ENDPOINT_FAILED;
    return answer_write_plan(request, response, &state->cost, error_bound, error) ? ENDPOINT_ANSWERED : ENDPOINT_FAILED;
}

/* Sizes beyond 64 bits: a plan calls that a wrong value, a computation too large for the limit at hand. */
static bool fail_uncountable(struct request *request, const struct convolve_state *state, struct convolve_error *error)
{
    if (error->slug && !strcmp(error->slug, "too-large")) {
        if (state->members.options.plan)
            error->slug = "invalid-value", error->limit = NULL;
        else
            error->allowed = admission_limit(request, error->limit);
    }
    return false;
}

static bool decode(struct request *request, enum convolve_operation operation, struct convolve_error *error)
{
    struct convolve_state *state = request->state;
    const struct json_body *body = json_decoder_finish(state->decoder, error);

    if (!body) {
        request->error_offset = json_decoder_offset(state->decoder);
        return false;
    }
    if (!convolve_members_read(&state->members, operation, body, request, error))
        return false;
    if (state->members.options.timeout_ms) {
        const uint64_t deadline_ns = request->received_ns + state->members.options.timeout_ms * UINT64_C(1000000);
        if (deadline_ns > request->received_ns && deadline_ns < request->deadline_ns)
            request->deadline_ns = deadline_ns;
    }
    return convolve_cost(&state->cost, &state->members.spec, request->daemon->threads, error) ||
           fail_uncountable(request, state, error);
}

static enum endpoint_answer answer(struct request *request, struct response *response,
                                   enum convolve_operation operation, struct convolve_error *error)
{
    struct convolve_state *state = request->state;
    const uint64_t since = clock_now_ns();
    const bool decoded = decode(request, operation, error);

    request->decode_ns += clock_now_ns() - since;
    if (!decoded)
        return ENDPOINT_FAILED;
    if (state->members.options.plan)
        return answer_plan(request, response, error);
    if (!admission_check(request, &state->cost, error) || !job_prepare(request, error))
        return ENDPOINT_FAILED;
    if (!admission_is_tiny(&state->cost))
        return ENDPOINT_PENDING;
    switch (pool_run_here(request->daemon->pool, &request->job)) {
    case JOB_COMPLETE:
        return complete(request, response, error) ? ENDPOINT_ANSWERED : ENDPOINT_FAILED;
    case JOB_LATE:
        convolve_fail(error, "deadline-exceeded", "", "the answer was not ready by the deadline");
        return ENDPOINT_FAILED;
    default:
        convolve_fail(error, "overloaded", "", "there was no memory to compute in; try again in a moment");
        return ENDPOINT_FAILED;
    }
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

static void release(struct request *request)
{
    struct convolve_state *state = request->state;

    if (state)
        convolve_plan_destroy(state->plan);
}

const struct endpoint endpoint_convolve = {begin, feed, answer_convolve, complete, release};
const struct endpoint endpoint_correlate = {begin, feed, answer_correlate, complete, release};
