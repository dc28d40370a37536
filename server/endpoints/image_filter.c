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
    struct convolve_spec spec; /* of one plane */
    struct convolve_cost cost; /* of the whole picture */
    struct convolve_draft *draft;
    struct convolve_plan *plan; /* in the draft's memory */
    struct convolve_run run;
    struct image_finish finish;
    unsigned planes; /* colours */
    size_t cells; /* of a plane */
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

/* ---- Members and cost ---- */

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
    filter->planes = image->channels == 1 ? 1 : 3;
    filter->finish = (struct image_finish){members->absolute, members->scale, members->offset};
    request_bring_forward(request, members->options.timeout_ms);
    return true;
}

/* What the members make of a bound on a plane's results: `*factor` times it, and the result of this call beside. Both kernels of a
 * gradient count into its magnitude. Without values of the kernel there is nothing to tell. */
static double bound_beside(const struct filter *filter, double *factor)
{
    const struct image_members *members = &filter->members;
    const double scale = fabs(members->scale), offset = fabs(members->offset), unit = 0x1p-53;
    const double sample_max = filter->picture->image.sample_bytes == 1 ? 255 : 65535;
    double magnitude = 0, beside = 0;
    size_t count = 0;
    bool exact = scale == rint(scale) && offset == rint(offset);

    convolve_shape_count(&members->kernel, &count);
    for (size_t i = 0; members->values && i < count; i++) {
        magnitude += fabs(members->values[i]);
        exact = exact && members->values[i] == rint(members->values[i]);
    }
    const double outside = members->boundary == CONVOLVE_CONSTANT ? fabs(members->fillvalue) : 0;
    const double value_max = magnitude * (sample_max > outside ? sample_max : outside);
    if (members->is_gradient) /* two squares, a sum and a root */
        beside += 3 * unit * value_max;
    if (members->normalize) /* a quotient of a sum in more digits */
        beside += (2 + (double)count * 0x1p-10) * unit * value_max;
    exact = exact && !members->is_gradient && !members->normalize && outside == rint(outside) &&
            scale * value_max + offset < 0x1p53;
    *factor = scale * (members->is_gradient ? M_SQRT2 * (1 + 4 * unit) : 1);
    if ((members->scale != 1 || members->offset != 0) && !exact)
        beside = scale * beside + 2 * unit * (2 * scale * value_max + offset);
    else
        beside *= scale;
    return beside;
}

static uint64_t add(uint64_t a, uint64_t b)
{
    uint64_t sum;
    return __builtin_add_overflow(a, b, &sum) ? UINT64_MAX : sum;
}

static uint64_t multiply(uint64_t a, uint64_t b)
{
    uint64_t product;
    return __builtin_mul_overflow(a, b, &product) ? UINT64_MAX : product;
}

static uint64_t larger(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* The cost of one plane to that of the picture. What is held at once while decoding, computing and encoding differs. */
static void scale_cost(struct request *request, uint64_t sample_bytes)
{
    struct filter *filter = request->state;
    const struct image *image = &filter->picture->image;
    struct convolve_cost *cost = &filter->cost;
    const bool npy = is_npy(request);
    const uint64_t samples = multiply(filter->cells, image->channels);
    const uint64_t array = npy ? multiply(samples, sizeof(double)) : 0;
    const uint64_t decoding = add(filter->picture->capacity, image_reader_scratch_bytes(filter->picture->reader));
    const uint64_t computing = add(add(cost->tensor_bytes, cost->scratch_bytes), array);
    const enum image_format format = request->media.picture == MEDIA_ANSWER_JPEG ? IMAGE_JPEG : IMAGE_PNG;
    const uint64_t encoding = npy ? 0 : image_writer_scratch_bytes(format, image);

    cost->tensor_bytes = add(sample_bytes, larger(decoding, larger(computing, encoding)));
    cost->scratch_bytes = 0;
    cost->multiply_adds = multiply(cost->multiply_adds, filter->planes);
    cost->output = (struct convolve_shape){image->channels > 1 ? 3 : 2, {image->height, image->width, image->channels}};
    cost->output_count = samples;
}

/* What is left of `max_error` for a plane's results. */
static bool set_max_error(struct filter *filter, struct convolve_error *error)
{
    const struct options *options = &filter->members.options;
    double factor;
    const double beside = bound_beside(filter, &factor);

    if (!options->max_error_given)
        return true;
    if (beside > options->max_error)
        return convolve_fail(error, "invalid-value", "/max_error",
                             "what scale, offset, normalize and the root of a gradient round alone may come to %.3g",
                             beside);
    filter->spec.max_error_given = true;
    filter->spec.max_error = factor > 0 ? (options->max_error - beside) / factor : INFINITY;
    return true;
}

static bool check_cost(struct request *request, struct convolve_error *error)
{
    struct filter *filter = request->state;
    const struct image_members *members = &filter->members;
    const struct image *image = &filter->picture->image;
    struct convolve_spec *spec = &filter->spec;
    size_t bytes;

    *spec = (struct convolve_spec){
        .operation = CONVOLVE_OP_CORRELATE,
        .dtype = CONVOLVE_FLOAT64,
        .kernel = members->kernel,
        .mode = CONVOLVE_SAME,
        .mode_given = true,
        .boundary = members->boundary,
        .fillvalue = {.real = members->fillvalue},
        .method = members->method,
    };
    if (members->is_gradient) { /* along the first axis the picture meets both kernels */
        spec->input = (struct convolve_shape){3, {1, image->height, image->width}};
        spec->axes_given = true;
        spec->axis_count = 2;
        spec->axes[0] = 1;
        spec->axes[1] = 2;
    } else {
        spec->input = (struct convolve_shape){2, {image->height, image->width}};
    }
    if (!filter->draft)
        filter->draft = arena_alloc(&request->arena, convolve_draft_bytes());
    if (!filter->draft)
        return admission_fail_memory(request, error);
    if (!set_max_error(filter, error))
        return false;
    if (!convolve_draft_derive(filter->draft, &filter->cost, spec, request->daemon->threads, error))
        return admission_fail_cost(request, members->options.plan, error);
    filter->cells = image->width * image->height; /* as much as a tensor that has just been counted */
    if (!image_bytes(image, &bytes))
        bytes = SIZE_MAX;
    scale_cost(request, bytes);
    const uint64_t output = is_npy(request) ? multiply(filter->cost.output_count, sizeof(double)) : bytes;
    return members->options.plan || admission_check_output(request, &filter->cost, output, error);
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

    if (!read_members(request, error) || !check_cost(request, error))
        return false;
    if (filter->members.options.plan)
        return true;
    if (!image_members_make_kernel(&filter->members, request, error))
        return false;
    if (filter->members.options.max_error_given && !check_cost(request, error)) /* by the kernel's values, now there */
        return false;
    if (!convolve_draft_plan(&filter->plan, filter->draft, filter->members.values, error) ||
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
    const size_t plane_bytes = filter->cells * sizeof(double);

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
    double factor;

    if (!convolve_plan_finish(filter->plan, &filter->run, &outcome, error))
        return false;
    const double beside = bound_beside(filter, &factor), bound = factor * outcome.error_bound + beside;
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
        if (++filter->plane < filter->planes) {
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
        return (filter->cells + TILE_CELLS - 1) / TILE_CELLS;
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
    return (unsigned)(2 * (steps < 1000000 ? steps : 1000000)) + filter->planes * 8 + 4;
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
        job->work = add(filter->cost.multiply_adds, multiply(filter->cost.output_count, 64));
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
    const double *const second = filter->members.is_gradient ? plane + filter->cells : NULL;

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
    const size_t last = filter->cells - first < TILE_CELLS ? filter->cells : first + TILE_CELLS;
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
        return answer_write_plan(request, response, &filter->cost, NAN, error);
    metrics_add_work(filter->cost.multiply_adds);
    if (filter->array) {
        const struct answer values = {
            .values = filter->array,
            .dtype = CONVOLVE_FLOAT64,
            .shape = filter->cost.output,
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
