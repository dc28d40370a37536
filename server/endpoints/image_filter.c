/* SPDX-License-Identifier: MIT */
/* POST /v1/image. All of it is one job of the pool, since even a small picture takes longer to unpack and to pack than two thread
 * switches: stage 0 reads header and members and checks the cost; then stages of one tile decode some rows each, so that others get
 * their turn and a deadline is looked at between two; then, colour by colour, the samples become a plane of float64, the core's plan
 * runs over it, and the results take the samples' place; then stages encode. One plane at a time is a third of the memory, and the
 * same bits: planes know nothing of one another. */
#include <math.h>
#include <stddef.h>
#include <string.h>

#include "server/admission.h"
#include "server/daemon.h"
#include "server/endpoint.h"
#include "server/endpoints/answer_npy.h"
#include "server/endpoints/image_cost.h"
#include "server/endpoints/image_members.h"
#include "server/endpoints/image_samples.h"
#include "server/endpoints/inputs.h"
#include "server/metrics.h"
#include "server/pool.h"
#include "server/request.h"
#include "server/response.h"

enum { TILE_CELLS = 32 << 10 };

enum phase { PHASE_BEGIN, PHASE_DECODE, PHASE_UNPACK, PHASE_PLAN, PHASE_PACK, PHASE_ENCODE, PHASE_END };

struct filter {
    void *body; /* picture_input's reader */
    struct picture *picture; /* in it */
    struct image_members members;
    struct image_cost cost;
    struct convolve_plan *plan; /* in the draft's memory */
    struct convolve_run run;
    struct image_finish finish;
    void *samples; /* the picture, and later the result */
    double *array; /* the results of a .npy answer; NULL for a picture */
    struct image_writer *writer;

    enum phase phase;
    enum image_step step; /* of the last tile that decoded or encoded */
    unsigned plane, plan_stage;
    double error_bound; /* of the planes so far */
    uint64_t since_ns; /* when decoding, computing or encoding began */
    bool failed; /* request->error is the answer */
    _Atomic bool has_nan;
};

static bool is_npy(const struct request *request)
{
    return request->media.picture == MEDIA_ANSWER_NPY;
}

static struct request *request_of(struct job *job)
{
    return (struct request *)((char *)job - offsetof(struct request, job));
}

/* ---- The body ---- */

static bool begin(struct request *request, struct convolve_error *error)
{
    struct filter *filter = arena_alloc(&request->arena, sizeof *filter);

    if (!filter)
        return admission_fail_memory(request, error);
    memset(filter, 0, sizeof *filter);
    request->state = filter;
    return picture_input.begin(request, &image_schema, &filter->body, error);
}

static bool feed(struct request *request, const char *bytes, size_t count, struct convolve_error *error)
{
    const struct filter *filter = request->state;
    const bool fine = picture_input.feed(request, filter->body, bytes, count, error);

    request->decode_ns += request_lap_ns(request);
    return fine;
}

/* ---- Members ---- */

static bool read_members(struct request *request, struct convolve_error *error)
{
    struct filter *filter = request->state;
    struct image_members *members = &filter->members;
    const struct json_body *body = picture_input.finish(request, filter->body, error);

    if (!body || !image_members_read(members, body, request, error))
        return false;
    filter->picture = picture_of(filter->body);
    if (!filter->picture->reader)
        return convolve_fail(error, "invalid-value", "/image",
                             "image is no picture; send its bytes as the body, or as a file of a form");
    if (request->media.picture == MEDIA_ANSWER_NONE && !members->options.plan)
        return convolve_fail(error, "not-acceptable", "",
                             "Accept admits application/json alone, which only a plan is answered with");
    const struct image *image = &filter->picture->image;
    if (request->media.picture == MEDIA_ANSWER_JPEG &&
        (image->width > IMAGE_JPEG_SIDE_MAX || image->height > IMAGE_JPEG_SIDE_MAX))
        return convolve_fail(error, "not-acceptable", "",
                             "a JPEG is at most %d wide and high, this picture is %zu x %zu; accept image/png",
                             IMAGE_JPEG_SIDE_MAX, image->width, image->height);
    filter->finish = (struct image_finish){members->absolute, members->scale, members->offset};
    request_bring_forward(request, members->options.timeout_ms);
    return true;
}

/* ---- The job: what is done between stages ---- */

static void *take(struct request *request, size_t bytes, struct convolve_error *error)
{
    void *block = arena_block(&request->arena, bytes);
    if (!block)
        admission_fail_memory(request, error);
    return block;
}

/* Before the first tile: all that a refusal can come of, but for what the samples hold. */
static bool prepare(struct request *request, struct convolve_error *error)
{
    struct filter *filter = request->state;
    size_t bytes;

    if (!read_members(request, error) ||
        !image_cost_check(&filter->cost, request, &filter->members, filter->picture, error))
        return false;
    if (filter->members.options.plan)
        return true;
    if (!image_members_make_kernel(&filter->members, request, error))
        return false;
    if (filter->members.options.max_error_given &&
        !image_cost_check(&filter->cost, request, &filter->members, filter->picture,
                          error)) /* by the kernel's values, now there */
        return false;
    if (!convolve_draft_plan(&filter->plan, filter->cost.draft, filter->members.values, error) ||
        !image_bytes(&filter->picture->image, &bytes))
        return false;
    request->log_method = convolve_method_name(convolve_plan_method(filter->plan));
    filter->run.kernel = filter->members.values;
    filter->samples = take(request, bytes, error);
    return filter->samples != NULL;
}

/* The picture is decoded: its file and what decoding took go, what computing takes comes. */
static bool end_decoding(struct request *request, struct convolve_error *error)
{
    struct filter *filter = request->state;
    struct picture *picture = filter->picture;
    const size_t plane_bytes = filter->cost.cells * sizeof(double);

    if (filter->step == IMAGE_FAULT) {
        picture_place_fault(request, error);
        return false;
    }
    image_reader_close(picture->reader);
    picture->reader = NULL;
    arena_block_free(&request->arena, picture->bytes);
    picture->bytes = NULL;
    filter->run.input = take(request, plane_bytes, error);
    filter->run.output =
        filter->run.input ? take(request, (filter->members.is_gradient ? 2 : 1) * plane_bytes, error) : NULL;
    filter->run.scratch = filter->run.output ? take(request, convolve_plan_scratch_bytes(filter->plan), error) : NULL;
    if (!filter->run.scratch)
        return false;
    /* Workers take their scratch later, each for itself; what cannot be had then either is told now. */
    const size_t tile_bytes = convolve_plan_tile_scratch_bytes(filter->plan);
    if (tile_bytes > 0 && !arena_fits(&request->arena, tile_bytes, request->daemon->threads))
        return admission_fail_memory(request, error);
    if (!is_npy(request))
        return true;
    char *file = take(request, npy_output.headroom + plane_bytes * filter->picture->image.channels, error);
    filter->array = file ? (double *)(void *)(file + npy_output.headroom) : NULL;
    return filter->array != NULL;
}

/* The core is done with a plane. */
static bool end_plane(struct request *request, struct convolve_error *error)
{
    struct filter *filter = request->state;
    struct convolve_outcome outcome;

    if (!convolve_plan_finish(filter->plan, &filter->run, &outcome, error))
        return false;
    const double bound = image_cost_bound(&filter->members, &filter->picture->image, outcome.error_bound);
    if (!(bound <= filter->error_bound)) /* a NaN stays */
        filter->error_bound = isnan(filter->error_bound) ? filter->error_bound : bound;
    return true;
}

static bool end_computing(struct request *request, struct convolve_error *error)
{
    struct filter *filter = request->state;
    const enum image_format format = request->media.picture == MEDIA_ANSWER_JPEG ? IMAGE_JPEG : IMAGE_PNG;

    arena_block_free(&request->arena, (void *)(uintptr_t)filter->run.input);
    arena_block_free(&request->arena, filter->run.output);
    arena_block_free(&request->arena, filter->run.scratch);
    filter->run = (struct convolve_run){0};
    if (is_npy(request))
        return true;
    if (atomic_load_explicit(&filter->has_nan, memory_order_relaxed) && !filter->members.options.nonfinite_null)
        return convolve_fail(error, "non-finite-result", "",
                             "a result is not a number, which no colour stands for; ask for application/x-npy, or send "
                             "nonfinite \"null\" for black");
    filter->writer = image_writer_open(&request->arena, format, &filter->picture->image, filter->samples, error);
    return filter->writer != NULL;
}

static uint64_t lap(struct filter *filter)
{
    const uint64_t before = filter->since_ns;
    filter->since_ns = clock_now_ns();
    return filter->since_ns - before;
}

/* From the phase whose tiles have run to the next. False: request->error is the answer. */
static bool advance(struct request *request, struct convolve_error *error)
{
    struct filter *filter = request->state;

    switch (filter->phase) {
    case PHASE_BEGIN:
        filter->since_ns = clock_now_ns();
        if (!prepare(request, error)) {
            request->decode_ns += lap(filter);
            return false;
        }
        atomic_store_explicit(&request->job.deadline_ns, request->deadline_ns, memory_order_relaxed);
        request->decode_ns += lap(filter);
        filter->phase = filter->members.options.plan ? PHASE_END : PHASE_DECODE;
        return true;
    case PHASE_DECODE:
        if (filter->step == IMAGE_MORE)
            return true;
        if (!end_decoding(request, error))
            return false;
        request->decode_ns += lap(filter);
        filter->phase = PHASE_UNPACK;
        return true;
    case PHASE_UNPACK:
        filter->phase = PHASE_PLAN;
        filter->plan_stage = 0;
        return true;
    case PHASE_PLAN:
        if (++filter->plan_stage < convolve_plan_stage_count(filter->plan))
            return true;
        filter->phase = PHASE_PACK;
        return end_plane(request, error);
    case PHASE_PACK:
        if (++filter->plane < filter->cost.planes) {
            filter->phase = PHASE_UNPACK;
            return true;
        }
        if (!end_computing(request, error))
            return false;
        request->compute_ns = lap(filter);
        filter->phase = is_npy(request) ? PHASE_END : PHASE_ENCODE;
        filter->step = IMAGE_MORE;
        return true;
    case PHASE_ENCODE:
        if (filter->step == IMAGE_DONE) {
            image_writer_close(filter->writer); /* the file stays */
            arena_block_free(&request->arena, filter->samples);
            request->encode_ns += lap(filter);
            filter->phase = PHASE_END;
        }
        return filter->step != IMAGE_FAULT;
    case PHASE_END:
        break;
    }
    return true;
}

static size_t phase_tiles(const struct filter *filter)
{
    switch (filter->phase) {
    case PHASE_DECODE:
    case PHASE_ENCODE:
        return 1;
    case PHASE_UNPACK:
    case PHASE_PACK:
        return (filter->cost.cells + TILE_CELLS - 1) / TILE_CELLS;
    case PHASE_PLAN:
        return convolve_plan_tile_count(filter->plan, filter->plan_stage);
    default:
        return 0;
    }
}

/* About how many stages there will be, for the pool to judge what is left by. */
static unsigned expected_stages(const struct filter *filter)
{
    size_t bytes = 0;
    image_bytes(&filter->picture->image, &bytes);
    const uint64_t steps = bytes / (64 << 10);
    return (unsigned)(2 * (steps < 1000000 ? steps : 1000000)) + filter->cost.planes * 8 + 4;
}

static size_t job_tile_count(struct job *job, unsigned stage)
{
    struct request *request = request_of(job);
    struct filter *filter = request->state;

    filter->failed = !advance(request, &request->error);
    if (filter->failed || filter->phase == PHASE_END) {
        job->stage_count = stage + 1;
        return 0;
    }
    if (stage == 0) {
        job->stage_count = expected_stages(filter);
        job->work = filter->cost.work;
    }
    job->tile_scratch_bytes = filter->phase == PHASE_PLAN ? convolve_plan_tile_scratch_bytes(filter->plan) : 0;
    if (job->stage_count < stage + 2)
        job->stage_count = stage + 2;
    return phase_tiles(filter);
}

/* ---- The job: tiles ---- */

static void pack(struct filter *filter, size_t begin_cell, size_t end_cell)
{
    const struct image *image = &filter->picture->image;
    double *const plane = filter->run.output;
    const double *const second = filter->members.is_gradient ? plane + filter->cost.cells : NULL;

    image_samples_finish(&filter->finish, plane, second, begin_cell, end_cell);
    if (!filter->array) {
        if (!image_samples_from_plane(image, filter->samples, filter->plane, plane, begin_cell, end_cell))
            atomic_store_explicit(&filter->has_nan, true, memory_order_relaxed);
        return;
    }
    image_samples_to_array(image, filter->plane, plane, filter->array, begin_cell, end_cell);
    if (filter->plane == 0 && image->channels == 4)
        image_samples_copy_to_array(image, filter->samples, 3, filter->array, begin_cell, end_cell);
}

static void job_run_tile(struct job *job, unsigned stage, size_t tile, void *tile_scratch)
{
    struct request *request = request_of(job);
    struct filter *filter = request->state;
    const size_t first = tile * TILE_CELLS;
    const size_t last = filter->cost.cells - first < TILE_CELLS ? filter->cost.cells : first + TILE_CELLS;
    (void)stage;

    switch (filter->phase) {
    case PHASE_DECODE:
        filter->step = image_reader_step(filter->picture->reader, filter->samples, &request->error);
        break;
    case PHASE_UNPACK:
        image_samples_to_plane(&filter->picture->image, filter->samples, filter->plane,
                               (double *)(uintptr_t)filter->run.input, first, last);
        break;
    case PHASE_PLAN:
        convolve_plan_run_tile(filter->plan, &filter->run, filter->plan_stage, tile, tile_scratch);
        break;
    case PHASE_PACK:
        pack(filter, first, last);
        break;
    case PHASE_ENCODE:
        filter->step = image_writer_step(filter->writer, &request->error);
        break;
    default:
        break;
    }
}

static enum endpoint_answer answer(struct request *request, struct response *response, struct convolve_error *error)
{
    (void)response, (void)error;
    request->job = (struct job){
        .stage_count = 1,
        .tile_count = job_tile_count,
        .run_tile = job_run_tile,
        .work = request->body_bytes,
        .deadline_ns = request->deadline_ns,
    };
    return ENDPOINT_PENDING;
}

/* ---- The answer ---- */

static bool complete(struct request *request, struct response *response, struct convolve_error *error)
{
    const struct filter *filter = request->state;

    request->queue_ns = request->job.started_ns - request->job.submitted_ns;
    if (filter->failed)
        return false; /* request->error is the answer */
    if (filter->members.options.plan)
        return answer_write_plan(request, response, &filter->cost.whole, NAN, error);
    metrics_add_work(filter->cost.whole.multiply_adds);
    if (filter->array) {
        const struct answer values = {
            .values = filter->array,
            .dtype = CONVOLVE_FLOAT64,
            .shape = filter->cost.whole.output,
            .method = request->log_method,
            .error_bound = filter->error_bound,
        };
        return npy_output.write(request, response, &values, error);
    }
    size_t bytes;
    const char *const file = image_writer_file(filter->writer, &bytes);
    response_text(response, 200, request->media.picture == MEDIA_ANSWER_JPEG ? "image/jpeg" : "image/png", file, bytes);
    response_header(response, "Convolved-Method", request->log_method);
    return true;
}

static void release(struct request *request)
{
    struct filter *filter = request->state;

    if (!filter)
        return;
    if (filter->body)
        image_reader_close(picture_of(filter->body)->reader);
    image_writer_close(filter->writer);
    convolve_plan_destroy(filter->plan);
}

const struct endpoint endpoint_image = {begin, feed, answer, complete, release};
