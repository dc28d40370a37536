/* SPDX-License-Identifier: MIT */
/* GET /healthz, /readyz, /metrics and /v1/info: for orchestrators, monitoring and clients that adapt to this daemon. The first
 * three are answered whatever the load, so nothing here waits or computes. */
#include "server/endpoints/about.h"

#include <string.h>

#include "core/convolve.h"
#include "server/admission.h"
#include "server/config.h"
#include "server/daemon.h"
#include "server/endpoint.h"
#include "server/endpoints/text.h"
#include "server/metrics.h"
#include "server/pool.h"
#include "server/request.h"
#include "server/response.h"

static const char plain[] = "text/plain; charset=utf-8";

static enum endpoint_answer answer_health(struct request *request, struct response *response,
                                          struct convolve_error *error)
{
    (void)request, (void)error;
    response_text(response, 200, plain, "ok\n", 3);
    return ENDPOINT_ANSWERED;
}

/* Ready is: a compute request that came now would be taken. */
static enum endpoint_answer answer_ready(struct request *request, struct response *response,
                                         struct convolve_error *error)
{
    struct daemon *daemon = request->daemon;
    const struct config *config = atomic_load(&daemon->config);
    if (atomic_load(&daemon->draining)) {
        convolve_fail(error, "draining", "", "the daemon is stopping; it finishes what it has accepted");
        return ENDPOINT_FAILED;
    }
    const size_t queued = pool_queued(daemon->pool);
    if (queued >= config->queue_depth) {
        convolve_fail(error, "overloaded", "", "%zu requests wait or run, as many as queue_depth allows", queued);
        return ENDPOINT_FAILED;
    }
    response_text(response, 200, plain, "ready\n", 6);
    return ENDPOINT_ANSWERED;
}

static enum endpoint_answer answer_metrics(struct request *request, struct response *response,
                                           struct convolve_error *error)
{
    size_t room = 16384;
    for (;;) {
        char *page = arena_block(&request->arena, room);
        if (page == NULL) {
            admission_fail_memory(request, error);
            return ENDPOINT_FAILED;
        }
        const size_t bytes = metrics_write(request->daemon, page, room);
        if (bytes <= room) {
            response_text(response, 200, "text/plain; version=0.0.4; charset=utf-8", page, bytes);
            return ENDPOINT_ANSWERED;
        }
        /* Counters grow between two looks, so ask for a little more than what was needed. */
        arena_block_free(&request->arena, page);
        room = bytes + 1024;
    }
}

static void add_names(struct text *text, const char *const *names)
{
    for (size_t i = 0; names[i] != NULL; i++)
        text_add(text, "%s\"%s\"", i == 0 ? "" : ", ", names[i]);
}

static enum endpoint_answer answer_info(struct request *request, struct response *response,
                                        struct convolve_error *error)
{
    /* All that some path takes. */
    static const char *const methods[] = {"auto", "direct", "separable", "fft", "overlap_add", "winograd", NULL};
    const struct daemon *daemon = request->daemon;
    struct text text = {.arena = &request->arena};
    char limits[1024];
    config_write_limits(atomic_load(&daemon->config), limits, sizeof limits);
    text_add(&text,
             "{\"name\": \"convolved\", \"version\": \"%s\", \"simd\": \"%s\", \"threads\": %u, \"io_threads\": %u, ",
             CONVOLVED_VERSION, convolve_simd_name(), daemon->threads, daemon->io_threads);
    text_add(&text, "\"uptime_seconds\": ");
    text_add_json_number(&text, (double)((clock_now_ns() - daemon->started_ns) / 1000000000));
    text_add(&text, ", \"methods\": [");
    add_names(&text, methods);
    text_add(&text, "], \"dtypes\": [");
    for (unsigned dtype = 0; dtype < CONVOLVE_DTYPE_COUNT; dtype++)
        text_add(&text, "%s\"%s\"", dtype == 0 ? "" : ", ", convolve_dtype_name((enum convolve_dtype)dtype));
    text_add(&text, "], \"rank_max\": %d, \"limits\": %s}\n", CONVOLVE_RANK_MAX, limits);
    return text_answer(&text, request, response, "application/json", error) ? ENDPOINT_ANSWERED : ENDPOINT_FAILED;
}

const struct endpoint endpoint_health = {.answer = answer_health};
const struct endpoint endpoint_ready = {.answer = answer_ready};
const struct endpoint endpoint_metrics = {.answer = answer_metrics};
const struct endpoint endpoint_info = {.answer = answer_info};
