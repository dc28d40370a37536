/* SPDX-License-Identifier: MIT */
/* What is decided about a request before its body: the faults in the contract's order (HTTP, draining, key, path, method, rate,
 * media type and coding, announced length), then the endpoint's own beginning. */
#include <inttypes.h>
#include <string.h>
#include <strings.h>

#include "server/endpoint.h"
#include "server/listener_parts.h"
#include "server/media.h"

/* How much of a body that is too large is read to throw it away, so that the caller can finish writing and read the answer. */
enum { WASTE_BYTES_MAX = 16 << 20, SMALL_BODY_BYTES = 32 << 10 };

uint64_t exchange_body_max(const struct exchange *exchange)
{
    const struct config *config = atomic_load_explicit(&exchange->request.daemon->config, memory_order_acquire);
    return config->max_body_bytes + WASTE_BYTES_MAX;
}

/* Where /metrics has an address of its own, that one has little else, and the others have no /metrics. */
static bool is_elsewhere(const struct exchange *exchange, const struct config *config)
{
    const struct route *route = exchange->match.route;
    if (config->metrics_listen == NULL || route == NULL)
        return false;
    if (exchange->connection->only_metrics)
        return (route->flags & ENDPOINT_OPEN) == 0;
    return strcmp(route->path, "/metrics") == 0;
}

static bool check_length(struct exchange *exchange, const struct config *config, struct convolve_error *error)
{
    if (!exchange->framing.has_length || exchange->framing.length <= config->max_body_bytes)
        return true;
    convolve_fail(error, "too-large", "",
                  "the body has %" PRIu64 " bytes, max_body_bytes allows %" PRIu64 "; cut the work into smaller pieces",
                  exchange->framing.length, config->max_body_bytes);
    error->limit = "max_body_bytes";
    error->allowed = config->max_body_bytes;
    error->requested = exchange->framing.length;
    return false;
}

/* Where the memory is not there that a body will probably take, it is refused before it holds any; or many would each get a part
 * of what they need, and none the whole. What is small finds room in what others leave. */
static bool check_room(const struct exchange *exchange, struct convolve_error *error)
{
    const struct memory_budget *budget = &exchange->request.daemon->budget;
    const size_t limit = atomic_load_explicit(&budget->limit, memory_order_relaxed);
    const size_t used = atomic_load_explicit(&budget->used, memory_order_relaxed);
    const uint64_t length = exchange->framing.chunked ? UINT64_MAX : exchange->framing.length;
    const uint64_t need = length < limit / 4 ? 2 * length : limit / 2;
    return length <= SMALL_BODY_BYTES || used + need <= limit ||
           convolve_fail(error, "overloaded", "", "other requests hold the memory that this one may need; try again");
}

static bool check_rate(struct exchange *exchange, const struct config *config, uint64_t key,
                       struct convolve_error *error)
{
    struct request *request = &exchange->request;
    const uint64_t client = key != 0 ? key : config->rate_limit_per_second != 0 ? access_hash(request->client) : 0;
    if (access_take(exchange->connection->listener->access, config, client, &exchange->rate, error))
        return true;
    request->retry_after_s = exchange->rate.wait_s;
    return false;
}

static bool check_target(struct exchange *exchange, const struct config *config, enum router_verdict verdict,
                         struct convolve_error *error)
{
    struct request *request = &exchange->request;
    if (verdict == ROUTER_NO_PATH || is_elsewhere(exchange, config))
        return router_fail_path(error, request->path);
    if (verdict == ROUTER_NO_METHOD)
        return router_fail_method(error, &exchange->match, request->method);
    return true;
}

static bool check_media(struct request *request, unsigned flags, struct convolve_error *error)
{
    const bool is_compute = (flags & ENDPOINT_COMPUTE) != 0, gives_npy = (flags & ENDPOINT_NPY) != 0;
    bool npy = false;
    if ((flags & ENDPOINT_JSON) != 0 && !media_accepts(request, "application/json")) {
        npy = gives_npy && media_accepts(request, "application/x-npy");
        if (!npy)
            return convolve_fail(error, "not-acceptable", "",
                                 "Accept admits nothing that this path answers with: application/json%s",
                                 gives_npy ? ", application/x-npy" : "");
    }
    if (!is_compute)
        return true;
    if ((flags & ENDPOINT_PICTURE) != 0)
        return media_read_picture(request, &request->media, error);
    if (!media_read_body(request, &request->media, error))
        return false;
    request->media.npy_answer = npy || (gives_npy && media_prefers(request, "application/x-npy", "application/json"));
    return true;
}

/* A browser asks before it sends what a page may not send unasked, and sends no key with the question. */
static bool is_preflight(const struct request *request)
{
    return strcmp(request->method, "OPTIONS") == 0 && request_header(request, "Origin") != NULL &&
           request_header(request, "Access-Control-Request-Method") != NULL;
}

static bool read_target(struct exchange *exchange, enum router_verdict *verdict)
{
    struct request *request = &exchange->request;
    const char *target = request->path, *path, *query;
    if (!router_split_target(&request->arena, target, &path, &query))
        return false;
    request->path = path;
    *verdict = router_find(&exchange->match, request->method, path);
    if (*verdict == ROUTER_FOUND) {
        request->route = exchange->match.route->path;
        request->path_rest = exchange->match.rest;
    }
    return request_read_query(request, query);
}

bool exchange_admit(struct exchange *exchange, bool *at_once)
{
    struct request *request = &exchange->request;
    struct convolve_error *error = &request->error;
    const struct config *config = atomic_load_explicit(&request->daemon->config, memory_order_acquire);
    enum router_verdict verdict = ROUTER_NO_PATH;
    uint64_t key = 0;

    *at_once = exchange->close = true;
    request->client = access_client(config, request, exchange->connection->peer);
    if (!guard_check(&exchange->framing, request->headers, request->header_count, exchange->version, error))
        return false;
    request->announced_bytes = exchange->framing.length;
    if (!read_target(exchange, &verdict))
        return convolve_fail(error, "overloaded", "", "there is no memory for the request");

    const unsigned flags = verdict == ROUTER_FOUND ? exchange->match.route->flags : 0;
    const bool is_open = (flags & ENDPOINT_OPEN) != 0;
    if (!is_open && atomic_load_explicit(&request->daemon->draining, memory_order_relaxed))
        return convolve_fail(error, "draining", "", "the daemon is stopping; repeat the request");
    if (!is_open && !connection_is_counted(exchange->connection))
        return convolve_fail(error, "overloaded", "", "more connections are open than the daemon serves");

    /* From here on the connection can be used again, once the body has been read; where that is very long, or the caller waits
     * to be told to send it, it is not asked for. A POST that says nothing of its body may be followed by one. */
    const bool expects = request_header(request, "Expect") != NULL;
    exchange->close =
        strcmp(request->method, "POST") == 0 && !exchange->framing.has_length && !exchange->framing.chunked;
    *at_once = expects || (exchange->framing.has_length && exchange->framing.length > exchange_body_max(exchange));
    exchange->options = verdict == ROUTER_OPTIONS;
    if (!is_open && (flags & ENDPOINT_PAGE) == 0 && !is_preflight(request) &&
        !access_check_key(exchange->connection->listener->access, request, &key, error)) {
        *at_once = true;
        return false;
    }
    if (!check_target(exchange, config, verdict, error))
        return false;
    if ((flags & ENDPOINT_COMPUTE) != 0 && !check_rate(exchange, config, key, error))
        return false;
    if (!check_media(request, flags, error) || !check_length(exchange, config, error))
        return false;
    if (exchange->options)
        return true;
    if (!is_open && request->arena.budget != &request->daemon->budget)
        return convolve_fail(error, "overloaded", "", "other requests hold all memory; try again in a moment");
    if ((flags & ENDPOINT_COMPUTE) != 0 && !check_room(exchange, error))
        return false;
    request->endpoint = exchange->match.route->endpoint;
    if (request->media.gzip && !exchange_unpack(exchange, error))
        return false;
    return request->endpoint->begin == NULL || request->endpoint->begin(request, error);
}
