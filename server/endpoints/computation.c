/* SPDX-License-Identifier: MIT */
/* The life of a computation: bytes to the reader, members to cost and plan, plan to job, outcome to answer. A tiny one runs from
 * start to end where it was decoded. Any other is the pool's, with all that takes time: reading its members where the body was
 * long, the plan, the tiles, and the beginning of the answer. So the thread that speaks HTTP is soon there for others again. */
#include "server/endpoints/computation.h"

#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "server/admission.h"
#include "server/daemon.h"
#include "server/endpoints/answer_npy.h"
#include "server/endpoints/inputs.h"
#include "server/endpoints/kept_plan.h"
#include "server/metrics.h"
#include "server/pool.h"
#include "server/request.h"
#include "server/response.h"

/* A body is read to its end where it came in, unless it is longer, or packed, so that its length says nothing. */
enum { INLINE_BODY_BYTES = 32 << 10, LONG_OUTPUT_BYTES = 64 << 10, ANSWER_BYTES = 320 << 10 };

/* ---- JSON, the way in and out that every caller has ---- */

static bool json_begin(struct request *request, const struct json_schema *schema, void **reader,
                       struct convolve_error *error)
{
    struct json_decoder *const decoder = json_decoder_create(&request->arena, schema);

    *reader = decoder;
    if (decoder && !request->media.gzip)
        json_decoder_expect(decoder, request->announced_bytes);
    return decoder || admission_fail_memory(request, error);
}

static bool json_feed(struct request *request, void *reader, const char *bytes, size_t count,
                      struct convolve_error *error)
{
    const bool is_whole = request->body_bytes == count && json_decoder_expected(reader) == count;

    if (is_whole ? json_decoder_feed_whole(reader, bytes, count, error)
                 : json_decoder_feed(reader, bytes, count, error))
        return true;
    request->error_offset = json_decoder_offset(reader);
    return false;
}

static const struct json_body *json_finish(struct request *request, void *reader, struct convolve_error *error)
{
    const struct json_body *body = json_decoder_finish(reader, error);

    if (!body)
        request->error_offset = json_decoder_offset(reader);
    return body;
}

static const struct computation_input json_input = {json_begin, json_feed, json_finish};
static const struct computation_output json_output = {.write = answer_write};

/* ---- The body ---- */

bool computation_begin(struct request *request, const struct computation_operation *operation,
                       struct convolve_error *error)
{
    struct computation *state = arena_alloc(&request->arena, operation->state_bytes);

    if (!state)
        return admission_fail_memory(request, error);
    memset(state, 0, operation->state_bytes);
    state->error_bound = NAN;
    state->operation = operation;
    state->input = request->media.body == MEDIA_NPY         ? &npy_input
                   : request->media.body == MEDIA_MULTIPART ? &multipart_input
                                                            : &json_input;
    state->output = request->media.npy_answer ? &npy_output : &json_output;
    request->state = state;
    return state->input->begin(request, operation->schema, &state->reader, error);
}

bool computation_feed(struct request *request, const char *bytes, size_t count, struct convolve_error *error)
{
    struct computation *state = request->state;
    const bool fine = state->input->feed(request, state->reader, bytes, count, error);

    /* What is small and whole is followed by its members at once, and by one look at the clock for both. */
    const bool goes_on = fine && request->body_bytes == request->announced_bytes &&
                         request->body_bytes <= INLINE_BODY_BYTES && !request->media.gzip;
    if (!goes_on)
        request->decode_ns += request_lap_ns(request);
    return fine;
}

void computation_release(struct request *request)
{
    struct computation *state = request->state;

    if (state)
        convolve_plan_destroy(state->made);
}

static bool read_body(struct request *request, struct convolve_error *error)
{
    struct computation *state = request->state;
    const struct json_body *body = state->input->finish(request, state->reader, error);

    return body && state->operation->read(request, body, error);
}

/* ---- The job ---- */

static struct request *request_of(struct job *job)
{
    return (struct request *)((char *)job - offsetof(struct request, job));
}

/* Workers take their scratch later, each for itself, and hold it for a while; and a long answer is not begun without room for its
 * head and two pieces. Where that would not fit although the request were alone, it is told before anything is computed. */
static bool leaves_room(struct request *request, size_t output_bytes)
{
    const size_t tile_bytes = convolve_plan_tile_scratch_bytes(((struct computation *)request->state)->plan);
    const size_t answer_bytes = output_bytes > LONG_OUTPUT_BYTES ? ANSWER_BYTES : 0;

    if (tile_bytes == 0)
        return true;
    if (!arena_charge(&request->arena, answer_bytes))
        return false;
    const bool fits = arena_fits(&request->arena, tile_bytes, request->daemon->threads);
    arena_discharge(&request->arena, answer_bytes);
    return fits;
}

/* Output and scratch, all that the tiles need. */
static bool take_memory(struct request *request, struct convolve_error *error)
{
    struct computation *state = request->state;
    size_t output_bytes;
    char *output;

    request->log_method = convolve_method_name(convolve_plan_method(state->plan));
    if (__builtin_mul_overflow(state->cost.output_count, convolve_dtype_bytes(state->cost.dtype), &output_bytes) ||
        __builtin_add_overflow(output_bytes, state->output->headroom, &output_bytes))
        return convolve_fail(error, "too-large", "", "the output's size cannot be counted");
    output = arena_block(&request->arena, output_bytes);
    state->run.scratch = arena_block(&request->arena, convolve_plan_scratch_bytes(state->plan));
    if (!output || !state->run.scratch || !leaves_room(request, output_bytes))
        return admission_fail_memory(request, error);
    state->run.output = output + state->output->headroom;
    return true;
}

/* A plan asked for: the bound that the values tell. Else the plan that is run, and its memory. */
static bool make_plan(struct request *request, struct convolve_error *error)
{
    struct computation *state = request->state;

    if (state->operation->make_inputs && !state->operation->make_inputs(request, error))
        return false;
    if (state->options.plan)
        return state->operation->predict(request, &state->error_bound, error);
    if (state->operation->steps) {
        state->operation->steps->begin(request);
        return true;
    }
    if (!state->plan && !convolve_draft_plan(&state->made, state->draft, state->run.kernel, error))
        return false;
    if (!state->plan)
        state->plan = state->made;
    return take_memory(request, error);
}

/* Whether this thread keeps the plan, which only a request that is run here from start to end may use. */
static bool find_kept_plan(struct request *request)
{
    struct computation *state = request->state;
    struct kept_plan kept;

    if (!state->operation->spec || state->options.plan ||
        !kept_plan_find(&kept, state->operation->spec(request), request->daemon->threads))
        return false;
    state->plan = kept.plan;
    state->cost = *kept.cost;
    return true;
}

/* From the members to what they cost, which admits them or not. `here`: on the thread that would run it if it is tiny. */
static bool check_cost(struct request *request, bool here, struct convolve_error *error)
{
    struct computation *state = request->state;

    request_bring_forward(request, state->options.timeout_ms);
    if (here && find_kept_plan(request))
        return admission_check(request, &state->cost, error);
    state->draft = arena_alloc(&request->arena, convolve_draft_bytes());
    if (!state->draft)
        return admission_fail_memory(request, error);
    return (state->operation->derive(request, error) || admission_fail_cost(request, state->options.plan, error)) &&
           (state->options.plan || admission_check(request, &state->cost, error));
}

/* The first stage, which has no tiles: what is still to be done before the plan's own. */
static void begin_job(struct request *request, struct job *job)
{
    struct computation *state = request->state;

    if (!state->is_read) {
        const uint64_t since = clock_now_ns();
        state->failed = !read_body(request, &request->error) || !check_cost(request, false, &request->error);
        request->decode_ns += clock_now_ns() - since;
        atomic_store_explicit(&job->deadline_ns, request->deadline_ns, memory_order_relaxed);
        job->work = state->cost.multiply_adds;
    }
    const bool is_kept = state->plan != NULL; /* then there is nothing to make */
    state->failed = state->failed || !make_plan(request, &request->error);
    state->began_ns = is_kept ? job->started_ns : clock_now_ns();
    if (state->failed || state->options.plan || state->operation->steps)
        return;
    job->stage_count = 1 + convolve_plan_stage_count(state->plan);
    job->tile_scratch_bytes = convolve_plan_tile_scratch_bytes(state->plan);
}

static size_t job_tile_count(struct job *job, unsigned stage)
{
    struct request *request = request_of(job);
    const struct computation *state = request->state;

    if (stage == 0)
        begin_job(request, job);
    else if (!state->operation->steps)
        return convolve_plan_tile_count(state->plan, stage - 1);
    /* Each step is a stage of one tile, and makes room for another. */
    if (state->operation->steps && !state->failed && !state->options.plan && !state->is_over) {
        job->stage_count = stage + 2;
        return stage > 0;
    }
    return 0;
}

static void job_run_tile(struct job *job, unsigned stage, size_t tile, void *tile_scratch)
{
    struct request *request = request_of(job);
    struct computation *state = request->state;
    bool more = false;

    if (state->operation->steps) {
        state->failed = !state->operation->steps->run(request, &more, &request->error);
        state->is_over = !more;
        return;
    }
    convolve_plan_run_tile(state->plan, &state->run, stage - 1, tile, tile_scratch);
}

/* Everything else is the pool's. Before the members are read all that is known of the work is the body's length. */
static enum endpoint_answer defer(struct request *request)
{
    const struct computation *state = request->state;

    request->job = (struct job){
        .stage_count = 1,
        .tile_count = job_tile_count,
        .run_tile = job_run_tile,
        .work = state->is_read ? state->cost.multiply_adds : request->body_bytes,
        .deadline_ns = request->deadline_ns,
    };
    return ENDPOINT_PENDING;
}

static enum endpoint_answer run_here(struct request *request, struct response *response, struct convolve_error *error)
{
    defer(request);
    request->job.submitted_ns = request->lap_ns;
    switch (pool_run_here(&request->arena, &request->job)) {
    case JOB_COMPLETE:
        return computation_complete(request, response, error) ? ENDPOINT_ANSWERED : ENDPOINT_FAILED;
    case JOB_LATE:
        convolve_fail(error, "deadline-exceeded", "", "the answer was not ready by the deadline");
        return ENDPOINT_FAILED;
    default:
        admission_fail_memory(request, error);
        return ENDPOINT_FAILED;
    }
}

enum endpoint_answer computation_run(struct request *request, struct response *response, struct convolve_error *error)
{
    struct computation *state = request->state;
    const bool admitted = check_cost(request, true, error);

    request->decode_ns += request_lap_ns(request);
    if (!admitted)
        return ENDPOINT_FAILED;
    state->is_read = true;
    return admission_is_tiny(&state->cost) ? run_here(request, response, error) : defer(request);
}

enum endpoint_answer computation_answer(struct request *request, struct response *response,
                                        struct convolve_error *error)
{
    if (request->body_bytes > INLINE_BODY_BYTES || request->media.gzip)
        return defer(request);
    if (read_body(request, error))
        return computation_run(request, response, error);
    request->decode_ns += request_lap_ns(request);
    return ENDPOINT_FAILED;
}

/* ---- The answer ---- */

/* Sending may take long, and holds the output alone. */
static void free_inputs(struct request *request, struct convolve_run *run)
{
    const void **const tensors[] = {&run->input, &run->kernel, &run->bias, &run->grad_output};

    for (size_t i = 0; i < sizeof tensors / sizeof *tensors; i++) {
        arena_block_free(&request->arena, (void *)*tensors[i]);
        *tensors[i] = NULL;
    }
    arena_block_free(&request->arena, run->scratch);
    run->scratch = NULL;
}

static void note_times(struct request *request)
{
    const struct computation *state = request->state;

    request->queue_ns = request->job.started_ns - request->job.submitted_ns;
    request->compute_ns = request->job.ended_ns - state->began_ns;
    metrics_add_work(state->cost.multiply_adds);
}

static bool finish(struct request *request, struct convolve_outcome *outcome, struct convolve_error *error)
{
    struct computation *state = request->state;
    const struct options *options = &state->options;

    note_times(request);
    if (!convolve_plan_finish(state->plan, &state->run, outcome, error))
        return false;
    if (outcome->nonfinite && !state->output->holds_nonfinite && options->format != ANSWER_BASE64 &&
        !options->nonfinite_null)
        return convolve_fail(error, "non-finite-result", "",
                             "output %zu (row-major) is not a finite number, which JSON cannot hold; send nonfinite "
                             "\"null\", or format \"base64\"",
                             outcome->nonfinite_index);
    free_inputs(request, &state->run);
    return true;
}

bool computation_complete(struct request *request, struct response *response, struct convolve_error *error)
{
    struct computation *state = request->state;
    struct convolve_outcome outcome;

    if (state->failed)
        return false; /* request->error is the answer */
    if (state->options.plan)
        return answer_write_plan(request, response, &state->cost, state->error_bound, error);
    if (state->operation->steps) {
        note_times(request);
        free_inputs(request, &state->run);
        return state->operation->steps->answer(request, response, error);
    }
    if (!finish(request, &outcome, error))
        return false;
    struct answer answer = {
        .values = state->run.output,
        .dtype = state->cost.dtype,
        .shape = *convolve_plan_output(state->plan),
        .format = state->options.format,
        .method = request->log_method,
        .error_bound = outcome.error_bound,
    };
    if (state->operation->describe)
        state->operation->describe(request, &answer);
    const bool written = state->output->write(request, response, &answer, error);

    request->lap_ns = request->job.ended_ns; /* just now, on this thread */
    request->encode_ns += request_lap_ns(request);
    return written;
}
